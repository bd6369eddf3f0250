package presence

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"imp/internal/doc/pidf"
	"imp/internal/doc/rules"
	"imp/internal/store"
	"imp/internal/xcap/key"
)

// The application usages whose documents a presence agent reads.
const (
	omaRules  = "org.openmobilealliance.pres-rules"
	hardState = "pidf-manipulation" // RFC 4827
)

// usages of the documents that count for a presentity.
var usages = []string{rules.AUID, omaRules, hardState}

// ruleDocument is a rules document of the store.
type ruleDocument struct {
	rev store.Rev
	set *rules.Ruleset // nil: it cannot be read
}

// stateDocument is the presence document of RFC 4827 in the store.
type stateDocument struct {
	rev  store.Rev
	body []byte
}

// userDocuments are those of a user, as they were read.
type userDocuments struct {
	rules map[string]ruleDocument // by key
	state *stateDocument
}

// put takes over an entry of the store and reports whether that changed anything.
func (d *userDocuments) put(auid string, e store.Entry, log func(err error)) bool {
	v, err := key.Parse(e.Value)
	if auid == hardState {
		if err == nil {
			err = pidf.Accept(v.Body)
		}
		if err != nil {
			log(fmt.Errorf("reading a presence document of XCAP: %w", err))
			return false
		}
		if d.state != nil && d.state.rev >= e.Rev {
			return false
		}
		d.state = &stateDocument{e.Rev, v.Body}
		return true
	}
	if old, known := d.rules[e.Key]; known && old.rev >= e.Rev {
		return false
	}
	var set *rules.Ruleset
	if err == nil {
		set, err = rules.Parse(v.Body)
	}
	if err != nil {
		log(fmt.Errorf("reading presence rules, which grant nothing now: %w", err))
		set = nil
	}
	if d.rules == nil {
		d.rules = map[string]ruleDocument{}
	}
	d.rules[e.Key] = ruleDocument{e.Rev, set}
	return true
}

// remove takes over that an entry is gone.
func (d *userDocuments) remove(auid, documentKey string) bool {
	if auid == hardState {
		there := d.state != nil
		d.state = nil
		return there
	}
	_, there := d.rules[documentKey]
	delete(d.rules, documentKey)
	return there
}

// readDocuments reads what there is of a presentity.
func (a *Agent) readDocuments(ctx context.Context, name string) (d userDocuments, err error) {
	if a.cfg.XCAPRoot == "" {
		return d, nil
	}
	for _, auid := range usages {
		for e, err := range a.cfg.Store.Scan(ctx, key.Home(a.cfg.XCAPRoot, auid, name)) {
			if err != nil {
				return d, fmt.Errorf("reading presence rules: %w", err)
			}
			if counts(auid, e.Key) {
				d.put(auid, e, a.broken(e.Key))
			}
		}
	}
	return d, nil
}

// counts tells whether a document counts: of RFC 4827 only index does (section 6.7).
func counts(auid, documentKey string) bool {
	return auid != hardState || strings.Count(documentKey, ".") == 5 && strings.HasSuffix(documentKey, ".index")
}

func (a *Agent) broken(documentKey string) func(error) {
	return func(err error) { a.cfg.Log.Warn("a document is left out", "key", documentKey, "error", err) }
}

// documentPause is how long a watch of documents waits before it begins anew when
// the store has closed it.
const documentPause = 100 * time.Millisecond

// followDocuments keeps the documents of watched presentities current until ctx
// is done. ready is called once all watches run.
func (a *Agent) followDocuments(ctx context.Context, ready func()) error {
	if a.cfg.XCAPRoot == "" {
		ready()
		return nil
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var begun, ended sync.WaitGroup
	begun.Add(len(usages))
	for _, auid := range usages {
		ended.Go(func() {
			once := sync.OnceFunc(begun.Done)
			defer once()
			if err := a.followUsage(ctx, auid, once); err != nil {
				cancel(err)
			}
		})
	}
	begun.Wait()
	if ctx.Err() == nil {
		ready()
	}
	ended.Wait()
	return context.Cause(ctx)
}

// followUsage follows the documents of one application usage.
func (a *Agent) followUsage(ctx context.Context, auid string, ready func()) error {
	prefix := key.Users(a.cfg.XCAPRoot, auid)
	for lost := false; ; lost = true {
		events, err := a.cfg.Store.Watch(ctx, prefix)
		if err != nil {
			return err
		}
		for e := range events {
			switch e.Kind {
			case store.Reset:
				lost = true
			case store.Synced:
				if lost {
					a.rereadDocuments(ctx)
				}
				lost = false
				ready()
			default:
				a.documentChanged(ctx, auid, prefix, e)
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(documentPause):
		}
	}
}

// documentChanged takes over a change of one document, when somebody watches its
// owner.
func (a *Agent) documentChanged(ctx context.Context, auid, prefix string, e store.Event) {
	if len(e.Entry.Key) <= len(prefix) || !counts(auid, e.Entry.Key) {
		return
	}
	owner, _, _ := strings.Cut(e.Entry.Key[len(prefix)+1:], ".")
	p := a.presentities.find(owner)
	if p == nil {
		if auid != hardState {
			a.reconsider(ctx, owner)
		}
		return
	}
	entry, there := e.Entry, e.Kind == store.Put
	if !there { // it may be there again
		now, err := a.cfg.Store.Get(ctx, e.Entry.Key)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			a.cfg.Log.Error("looking up a document", "key", e.Entry.Key, "error", err)
			return
		}
		if there = err == nil; there {
			entry = now
		}
	}
	a.tellOf(p, p.change(func(d *userDocuments) bool {
		if there {
			return d.put(auid, entry, a.broken(entry.Key))
		}
		return d.remove(auid, e.Entry.Key)
	}))
}

// rereadDocuments reads those of all watched presentities anew, because changes
// were lost.
func (a *Agent) rereadDocuments(ctx context.Context) {
	for _, p := range a.presentities.watched() {
		fresh, err := a.readDocuments(ctx, p.name)
		if err != nil {
			a.cfg.Log.Error("reading documents anew", "presentity", p.name, "error", err)
			continue
		}
		a.tellOf(p, p.change(func(d *userDocuments) bool {
			*d = fresh
			return true
		}))
	}
}

// catchUp takes over rules that were stored before a change of state, given the
// part of a key of whose it is. There is no order between the watches of rules and
// of state, and what is published after a rule was changed must not be told by the
// rule before.
func (a *Agent) catchUp(ctx context.Context, owner string) {
	p := a.presentities.find(owner)
	if p == nil || a.cfg.XCAPRoot == "" {
		return
	}
	var stored []store.Entry
	for _, auid := range []string{rules.AUID, omaRules} {
		for e, err := range a.cfg.Store.Scan(ctx, key.Home(a.cfg.XCAPRoot, auid, p.name)) {
			if err != nil {
				a.cfg.Log.Error("reading presence rules", "presentity", p.name, "error", err)
				return
			}
			stored = append(stored, e)
		}
	}
	a.tellOf(p, p.change(func(d *userDocuments) bool { return d.match(stored, a.broken) }))
}

// match makes the rules documents those that are stored, and reports whether that
// changed anything.
func (d *userDocuments) match(stored []store.Entry, broken func(documentKey string) func(error)) (changed bool) {
	for documentKey := range d.rules {
		if !slices.ContainsFunc(stored, func(e store.Entry) bool { return e.Key == documentKey }) {
			changed = d.remove(rules.AUID, documentKey)
		}
	}
	for _, e := range stored {
		changed = d.put(rules.AUID, e, broken(e.Key)) || changed
	}
	return changed
}

// tellOf tells the watchers what a change of documents means for them.
func (a *Agent) tellOf(p *presentity, c consequence) {
	if c.rules {
		a.notifier.Review(a.Name(), p.name)
		a.winfo[0].Reconsider(context.Background(), p.name)
	}
	if c.state {
		a.notifier.Changed(a.Name(), p.name)
	}
}

// reconsider has those judged again who wait for an answer of a user whom nobody
// watches, given by his part of a key.
func (a *Agent) reconsider(ctx context.Context, owner string) {
	if parts, err := store.SplitKey(owner); err == nil {
		a.winfo[0].Reconsider(ctx, parts[0])
	}
}
