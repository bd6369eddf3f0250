package rules

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"time"
)

// ErrTooMany tells that there are more watchers, spheres and times to compare than is reasonable.
var ErrTooMany = errors.New("the rules name too many users, spheres and times to compare them")

// maxMatches bounds how many identities a comparison looks at.
const maxMatches = 20_000_000

// Names of watchers for whom nothing is said by name.
const (
	Authenticated = "authenticated" // of any other domain
	Anonymous     = "anonymous"     // not authenticated
)

// OtherSphere is none of those that the rules name.
const OtherSphere = "other"

// Difference is what a watcher gets by one set of rules and by another.
type Difference struct {
	Watcher       string // URI, "@domain" for the others of a domain, Authenticated or Anonymous
	Sphere        string // in which it is so, OtherSphere, or "" for all
	From, Until   time.Time
	Before, After Permissions // as Permissions.Shown tells
}

// Compare returns what differs between two sets of rules from a time on, by watcher: what anybody gets, not how it is written. Of each watcher named in any
// of them, of each domain, and of all others one stands for all. From is zero for what is so already, Until for what stays so.
func Compare(before, after []*Ruleset, now time.Time) ([]Difference, error) {
	c := newComparison(before, after, now)
	if c.matches() > maxMatches {
		return nil, ErrTooMany
	}
	var all []Difference
	for _, w := range c.watchers {
		all = append(all, c.watcher(w)...)
	}
	return all, nil
}

// watcher is a name with the identities that it stands for.
type watcher struct {
	name string
	ids  []string
}

type comparison struct {
	before, after []*Ruleset
	watchers      []watcher
	spheres       []string    // small letters; the last is OtherSphere
	bounds        []time.Time // begins of spans, the first is now
}

func newComparison(before, after []*Ruleset, now time.Time) *comparison {
	c := &comparison{before: before, after: after, bounds: []time.Time{now}}
	users, domains, spheres := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, set := range slices.Concat(before, after) {
		for _, r := range set.Rules {
			for _, cond := range r.Conditions {
				for _, id := range cond.Identity {
					users[canonical(id.One)], domains[ascii(id.Domain)] = true, true
					for _, e := range id.Except {
						users[canonical(e.ID)], domains[ascii(e.Domain)] = true, true
					}
				}
				for _, p := range cond.Validity {
					span, _ := p.times()
					for _, t := range span {
						if t.After(now) {
							c.bounds = append(c.bounds, t)
						}
					}
				}
				for _, s := range strings.Fields(strings.ToLower(cond.Sphere)) {
					spheres[s] = true
				}
			}
		}
	}
	delete(users, "")
	delete(domains, "")
	for _, u := range slices.Sorted(maps.Keys(users)) {
		c.watchers = append(c.watchers, watcher{u, []string{u}})
	}
	for _, d := range slices.Sorted(maps.Keys(domains)) {
		c.watchers = append(c.watchers, watcher{"@" + d, []string{"sip:*@" + d}})
	}
	c.watchers = append(c.watchers, watcher{Authenticated, []string{"sip:*@*"}}, watcher{Anonymous, nil})
	c.spheres = append(slices.Sorted(maps.Keys(spheres)), OtherSphere)
	slices.SortFunc(c.bounds, time.Time.Compare)
	c.bounds = slices.CompactFunc(c.bounds, time.Time.Equal)
	return c
}

// matches is how many identities have to be looked at.
func (c *comparison) matches() int {
	each := 1
	for _, set := range slices.Concat(c.before, c.after) {
		for _, r := range set.Rules {
			each++
			for _, cond := range r.Conditions {
				for _, id := range cond.Identity {
					each += 1 + len(id.Except)
				}
			}
		}
	}
	return each * len(c.watchers) * len(c.spheres) * len(c.bounds)
}

// watcher returns the differences for one watcher; what is the same in all spheres is one.
func (c *comparison) watcher(w watcher) []Difference {
	bySphere := make([][]Difference, len(c.spheres))
	same := true
	for i, sphere := range c.spheres {
		bySphere[i] = c.spans(w, sphere)
		same = same && slices.EqualFunc(bySphere[0], bySphere[i], Difference.equal)
	}
	if same {
		for i := range bySphere[0] {
			bySphere[0][i].Sphere = ""
		}
		return bySphere[0]
	}
	return slices.Concat(bySphere...)
}

// equal compares but for the sphere.
func (d Difference) equal(o Difference) bool {
	return d.From.Equal(o.From) && d.Until.Equal(o.Until) && d.Before.Equal(&o.Before) && d.After.Equal(&o.After)
}

// spans returns the differences for a watcher in a sphere; spans of time that follow one another with the same are one.
func (c *comparison) spans(w watcher, sphere string) (all []Difference) {
	req := Request{Identities: w.ids, Sphere: sphere}
	if sphere == OtherSphere {
		req.Sphere = ""
	}
	for i, from := range c.bounds {
		req.Now = from
		b, a := Evaluate(c.before, req), Evaluate(c.after, req)
		d := Difference{Watcher: w.name, Sphere: sphere, Before: b.Shown(), After: a.Shown()}
		if d.Before.Equal(&d.After) {
			continue
		}
		if i > 0 {
			d.From = from
		}
		if i+1 < len(c.bounds) {
			d.Until = c.bounds[i+1]
		}
		if last := len(all) - 1; last >= 0 && !d.From.IsZero() && all[last].Until.Equal(d.From) && all[last].Before.Equal(&d.Before) && all[last].After.Equal(&d.After) {
			all[last].Until = d.Until
			continue
		}
		all = append(all, d)
	}
	return all
}
