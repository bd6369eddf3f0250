package presence

import (
	"strings"
	"sync"
	"time"

	"imp/internal/doc/pidf"
	"imp/internal/doc/rules"
	"imp/internal/sip/event"
	"imp/internal/sip/header"
)

// rulebook is all that the rules documents of a presentity say, at one sphere: the
// documents of a user are one set (RFC 5025 section 9.7). It does not change; a
// change makes another one.
type rulebook struct {
	sets    []*rules.Ruleset // of the documents that can be read; others grant nothing
	spheres bool             // a rule asks for the sphere
	sphere  string           // "" when it is undefined

	mu        sync.Mutex
	permitted map[string]*permitted // what it has permitted, by key
}

// permitted is the layer of what the rules let a watcher see. It may be nil, for
// everything.
type permitted struct {
	name   string             // equal for those who may see the same
	rules  *rules.Permissions // nil: nothing, in a document that tells so of nobody
	polite bool
}

// nobody may see anything: he gets the document of somebody unavailable, or none
// as long as he waits.
var nobody = &permitted{name: "-", polite: true}

func (p *permitted) key() string {
	if p == nil {
		return ""
	}
	return p.name
}

// newRulebook reads the rules documents and works out the sphere; nil when there
// are none. The second result is when its verdicts may be others without any
// document being changed, zero: never.
func newRulebook(documents map[string]ruleDocument, published []source, now time.Time) (*rulebook, time.Time) {
	if len(documents) == 0 {
		return nil, time.Time{}
	}
	b := &rulebook{permitted: map[string]*permitted{}}
	var next time.Time
	for _, d := range documents {
		if d.set == nil {
			continue
		}
		b.sets = append(b.sets, d.set)
		b.spheres = b.spheres || d.set.Spheres()
		next = earlier(next, d.set.NextBound(now))
	}
	if b.spheres {
		var bound time.Time
		b.sphere, bound = sphere(published, now)
		next = earlier(next, bound)
	}
	return b, next
}

func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// sphere is that of the persons in all that is published: the one that they agree
// on, else "" for undefined (RFC 5025 section 3.1.2). next is when one begins or
// ends to count (RFC 4480 section 3.1), zero for never.
func sphere(published []source, now time.Time) (value string, next time.Time) {
	agreed := true
	for _, s := range published {
		d, err := pidf.Read(s.body)
		if err != nil {
			continue
		}
		for i := range d.Persons {
			for _, one := range d.Persons[i].Spheres {
				for _, t := range []time.Time{one.From, one.Until} {
					if t.After(now) {
						next = earlier(next, t)
					}
				}
				if one.Value == "" || !one.Covers(now) {
					continue
				}
				agreed = agreed && (value == "" || strings.EqualFold(value, one.Value))
				value = one.Value
			}
		}
	}
	if !agreed {
		value = ""
	}
	return value, next
}

// judge combines the rules that apply to a watcher (RFC 4745 section 10).
func (b *rulebook) judge(identities []string, now time.Time) (rules.Handling, *permitted) {
	p := rules.Evaluate(b.sets, rules.Request{Identities: identities, Sphere: b.sphere, Now: now})
	if p.Handling != rules.Allow {
		return p.Handling, nobody
	}
	return p.Handling, b.share(&p)
}

// share makes equal permissions one.
func (b *rulebook) share(p *rules.Permissions) *permitted {
	name := p.Key()
	b.mu.Lock()
	defer b.mu.Unlock()
	if known := b.permitted[name]; known != nil {
		return known
	}
	shared := &permitted{name: name, rules: p}
	b.permitted[name] = shared
	return shared
}

// judge decides on a watcher: by the rules of the presentity, without any by the
// policy of the server. Everybody sees himself in full.
func (a *Agent) judge(p *presentity, watcher string) (event.Decision, *permitted) {
	if watcher == p.name {
		return event.Decision{State: event.Active}, nil
	}
	handling, permitted := rules.Allow, (*permitted)(nil)
	if book := p.book(); book != nil {
		handling, permitted = book.judge(identities(watcher), time.Now())
	} else if handling = a.policy(watcher); handling != rules.Allow {
		permitted = nobody
	}
	switch handling {
	case rules.Allow, rules.PoliteBlock:
		return event.Decision{State: event.Active}, permitted
	case rules.Confirm:
		return event.Decision{State: event.Pending}, permitted
	}
	return event.Decision{State: event.Terminated, Reason: "rejected"}, permitted
}

// policy is what becomes of a watcher where there are no rules: watchers who are
// not users of the domain are confirmed at most.
func (a *Agent) policy(watcher string) rules.Handling {
	switch a.cfg.Policy {
	case Block:
		return rules.Block
	case Confirm:
		return rules.Confirm
	}
	u, err := header.ParseURI(watcher)
	if err != nil || len(identities(watcher)) == 0 || !a.cfg.Directory.serves(strings.ToLower(u.Host)) {
		return rules.Confirm
	}
	return rules.Allow
}

// identities are the URIs that a watcher was authenticated as: none for one who
// is anonymous (RFC 5025 section 3.1.1.1, RFC 3323 section 4.1.1.3).
func identities(watcher string) []string {
	_, rest, _ := strings.Cut(watcher, ":")
	if user, host, _ := strings.Cut(rest, "@"); watcher == "" || user == "anonymous" || host == "anonymous.invalid" {
		return nil
	}
	return []string{watcher}
}

// Review implements event.Reviewer: the rules, the sphere or the time are others.
func (a *Agent) Review(watcher string, v event.View) (event.View, event.Decision) {
	current, l := layersOf(v)
	decision, permitted := a.judge(current.presentity, watcher)
	if permitted.key() == l.permitted.key() {
		return v, decision
	}
	l.permitted = permitted
	current.presentity.retain()
	return newView(current.presentity, current.entity, l), decision
}
