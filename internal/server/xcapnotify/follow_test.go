package xcapnotify_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"imp/internal/agent/xcapwatch"
	"imp/internal/server/xcapnotify"
	"imp/internal/store"
	"imp/internal/xcap/key"
	"imp/internal/xcap/resource"
	"imp/internal/xcap/uri"
	"imp/internal/xml/tree"
)

// forgetful is a store whose watch loses events, and says so.
type forgetful struct {
	store.KV
	lose   chan struct{} // events are lost from now on
	reset  chan struct{} // the watch says so
	closes bool          // by its end, and not by Reset
	late   chan struct{} // what was lost comes all the same
}

func (f *forgetful) Watch(ctx context.Context, prefix string) (<-chan store.Event, error) {
	inner, cancel := context.WithCancel(ctx)
	events, err := f.KV.Watch(inner, prefix)
	out := make(chan store.Event)
	go func() {
		defer close(out)
		defer func() { cancel() }()
		losing := false
		var lost []store.Event
		for {
			select {
			case <-f.late:
				losing = false
				for _, e := range lost {
					out <- e
				}
			case <-ctx.Done():
				return
			case <-f.lose:
				losing = true
			case <-f.reset:
				if f.closes {
					return
				}
				cancel()
				inner, cancel = context.WithCancel(ctx)
				if events, err = f.KV.Watch(inner, prefix); err != nil {
					return
				}
				losing = false
				out <- store.Event{Kind: store.Reset}
			case e, ok := <-events:
				if !ok {
					return
				}
				if losing {
					lost = append(lost, e)
					continue
				}
				select {
				case out <- e:
				case <-ctx.Done():
					return
				}
			}
		}
	}()
	return out, err
}

func runLosing(t *testing.T, closes bool, f func(*rig, *forgetful)) {
	var kv *forgetful
	runWith(t, nil, func(inner store.KV) store.KV {
		kv = &forgetful{KV: inner, lose: make(chan struct{}), reset: make(chan struct{}), late: make(chan struct{}), closes: closes}
		return kv
	}, func(r *rig) { f(r, kv) })
}

func TestLostEvents(t *testing.T) {
	for _, closes := range []bool{false, true} {
		for processing, want := range map[string]string{"no-patching": "fetch", "xcap-patching": "fetch", "aggregate": "patch"} {
			runLosing(t, closes, func(r *rig, f *forgetful) {
				r.put(index, friends())
				r.put(lists+"gone", friends())
				r.put(lists+"same", friends())
				entry := index + "/~~/*/list/entry/@uri"
				r.subscribe("alice", processing, lists, entry)
				f.lose <- struct{}{}
				r.put(index, friends("bob"))
				r.put(index, friends("carol"))
				r.delete(lists + "gone")
				r.put(lists+"new", friends())
				r.quiet()
				f.reset <- struct{}{}
				d := r.next()
				got := map[string]bool{}
				for i := range d.Changes {
					c := &d.Changes[i]
					got[fmt.Sprintf("%s %s %s>%s", c.Action(), c.Sel, c.PreviousETag, c.NewETag)] = true
				}
				if len(d.Changes) < 3 { // what is gone is found out last
					for _, c := range r.next().Changes {
						got[fmt.Sprintf("%s %s %s>%s", c.Action(), c.Sel, c.PreviousETag, c.NewETag)] = true
					}
				}
				for _, w := range []string{want + " " + index + " e1>e5", "remove " + lists + "gone e2>", "exist " + lists + "new >e6"} {
					if !got[w] {
						t.Errorf("%s: no %s in %v", processing, w, got)
					}
				}
				if len(got) != 3 || len(d.Attributes) != 1 || d.Attributes[0].Value != "sip:carol@example.com" {
					t.Errorf("%v %v", got, d.Attributes)
				}
				r.settle(index, friends())
				r.next()
			})
		}
	}
}

func TestLateEvents(t *testing.T) {
	runLosing(t, false, func(r *rig, f *forgetful) {
		synctest.Wait()
		f.lose <- struct{}{}
		r.settle(index, friends())
		r.settle(index, friends("bob"))
		_, d := r.subscribe("alice", "xcap-patching", index)
		r.says(d, "exist "+index+" >e2")
		f.late <- struct{}{}
		r.settle(index, friends("carol"))
		r.says(r.next(), "patch "+index+" e2>e3")
	})
}

func TestHistory(t *testing.T) {
	// The watch of the store coalesces these, as nothing gives it time.
	burst := func(r *rig, tell bool) {
		u, _ := uri.Parse(index)
		for i := range 5 {
			if tell {
				r.pkg.Storing(key.Document(root, u), key.Value{ETag: fmt.Sprintf("e%d", i+2), Path: u.Path(), Previous: fmt.Sprintf("e%d", i+1), Body: []byte(friends(fmt.Sprint(i)))})
				r.pkg.Storing(key.Document(root, u), key.Value{ETag: fmt.Sprintf("lost%d", i+2), Path: u.Path(), Previous: fmt.Sprintf("e%d", i+1), Body: []byte(friends("lost"))})
			}
			r.put(index, friends(fmt.Sprint(i)))
		}
		synctest.Wait()
	}
	t.Run("XDE-027 versions that the watch leaves out are told when they were heard of", func(t *testing.T) {
		runLosing(t, false, func(r *rig, f *forgetful) {
			r.put(index, friends())
			r.subscribe("alice", "xcap-patching", index)
			f.lose <- struct{}{}
			burst(r, true)
			f.reset <- struct{}{}
			r.says(r.next(), "patch "+index+" e1>e2", "patch "+index+" e2>e3", "patch "+index+" e3>e4", "patch "+index+" e4>e5", "patch "+index+" e5>e6")
			r.settle(index, friends())
			r.says(r.next(), "patch "+index+" e6>e7")
		})
	})
	t.Run("XDE-027 what was heard of stays known until the watch has passed it", func(t *testing.T) {
		runLosing(t, false, func(r *rig, f *forgetful) {
			r.put(index, friends())
			r.subscribe("alice", "xcap-patching", index)
			u, _ := uri.Parse(index)
			for i := range 3 { // long before they are there
				r.pkg.Storing(key.Document(root, u), key.Value{ETag: fmt.Sprintf("e%d", i+2), Path: u.Path(), Previous: fmt.Sprintf("e%d", i+1), Body: []byte(friends(fmt.Sprint(i)))})
			}
			r.settle(index, friends("0"))
			f.lose <- struct{}{}
			r.settle(index, friends("1"))
			r.settle(index, friends("2"))
			f.reset <- struct{}{}
			r.says(r.next(), "patch "+index+" e1>e2", "patch "+index+" e2>e3", "patch "+index+" e3>e4")
		})
	})
	t.Run("XDE-027 XDE-017 where they were not, the step is a reference and no aggregate", func(t *testing.T) {
		runLosing(t, false, func(r *rig, f *forgetful) {
			r.put(index, friends())
			r.subscribe("alice", "xcap-patching", index)
			f.lose <- struct{}{}
			burst(r, false)
			f.reset <- struct{}{}
			r.says(r.next(), "fetch "+index+" e1>e6")
			r.settle(index, friends())
			r.says(r.next(), "patch "+index+" e6>e7")
		})
	})
}

// library fetches from the store, as the XCAP server would.
type library struct{ store store.KV }

func (l library) Fetch(ctx context.Context, path, etag string) (string, []byte, error) {
	u, err := uri.Parse(path)
	if err != nil {
		return "", nil, err
	}
	e, err := l.store.Get(ctx, key.Document(root, u.Canonical(uri.Naming{Domain: "example.com"})))
	if err != nil {
		return "", nil, xcapwatch.ErrGone
	}
	v, err := key.Parse(e.Value)
	if v.ETag == etag {
		return "", nil, xcapwatch.ErrNotModified
	}
	return v.ETag, v.Body, err
}

// editor makes random requests of XCAP clients.
type editor struct {
	*rand.Rand
	t      *testing.T
	serial int
}

// edit makes one change of a document; nil when the request is refused.
func (e *editor) edit(doc []byte) []byte {
	e.t.Helper()
	e.serial++
	name := fmt.Sprintf("u%d", e.IntN(30))
	node, body := `resource-lists/list[1]/entry[@uri="sip:`+name+`@example.com"]`, ""
	switch e.IntN(8) {
	case 0, 1, 2:
		body = fmt.Sprintf(`<entry uri="sip:%s@example.com"><display-name>%s %d</display-name></entry>`, name, name, e.serial)
	case 3:
		body = fmt.Sprintf("<entry\turi='sip:%s@example.com'  x:n=\"%d\"\n/>", name, e.serial)
	case 4:
		node, body = `resource-lists/list[1]/display-name`, fmt.Sprintf(`<display-name xml:lang="en">n%d &amp; &#x41; <!-- c --></display-name>`, e.serial)
	case 5:
		node, body = `resource-lists/list[1]/@name`, fmt.Sprintf(`"name %d"`, e.serial)
	case 6:
		node = fmt.Sprintf(`resource-lists/list[1]/entry[%d]`, 1+e.IntN(12))
	}
	u, err := uri.New("resource-lists", "sip:alice@example.com", "index", node, nil)
	if err != nil {
		e.t.Fatal(err)
	}
	sel, err := u.Selector("urn:ietf:params:xml:ns:resource-lists")
	if err != nil {
		e.t.Fatal(err)
	}
	t, err := tree.Parse(doc, tree.Options{})
	if err != nil {
		e.t.Fatal(err)
	}
	if body == "" {
		err = resource.Delete(t, sel)
	} else {
		_, err = resource.Put(t, sel, []byte(body), nil)
	}
	if err != nil {
		return nil
	}
	return bytes.Clone(t.Bytes())
}

const blank = `<?xml version="1.0" encoding="UTF-8"?>
<resource-lists xmlns="urn:ietf:params:xml:ns:resource-lists" xmlns:x='urn:x'>
  <list name="friends">
    <entry uri="sip:u1@example.com"/>
  </list>
</resource-lists>
`

// TestThousands has a client follow changes that come faster than notifications; whatever it has under an entity-tag are the bytes that
// the server had under it.
func TestThousands(t *testing.T) {
	for _, processing := range []string{"no-patching", "xcap-patching", "aggregate"} {
		t.Run("XDE-010 XDE-030 a client has the same bytes, "+processing, func(t *testing.T) {
			for _, tell := range []bool{true, false} {
				runWith(t, func(c *xcapnotify.Config) { c.MinInterval = time.Second }, nil, func(r *rig) { follow(t, r, processing, tell) })
			}
		})
	}
}

func follow(t *testing.T, r *rig, processing string, tell bool) {
	e := &editor{Rand: rand.New(rand.NewPCG(5, 7)), t: t}
	u, _ := uri.Parse(index)
	k := key.Document(root, u)
	doc, last := []byte(blank), r.put(index, blank)
	bodies := map[string]string{last: blank}
	p := r.subscriber("alice")
	p.ask(list(lists), "Event: xcap-diff;diff-processing="+processing)
	copies := xcapwatch.New(xcapwatch.Config{Fetch: library{r.store}})
	patched, fetched := 0, 0
	take := func() bool {
		synctest.Wait()
		r.mu.Lock()
		if len(r.sent) == 0 {
			r.mu.Unlock()
			return false
		}
		s := r.sent[0]
		r.sent = r.sent[1:]
		r.mu.Unlock()
		events, err := copies.Take(t.Context(), bytes.Clone(s.Body()))
		if err != nil {
			t.Fatalf("%v in\n%s", err, s.Body())
		}
		for _, ev := range events {
			if ev.Kind == xcapwatch.Document && bodies[ev.ETag] != string(ev.Doc) {
				t.Fatalf("%s by %s: got\n%s\nwant\n%s", ev.ETag, ev.Action, ev.Doc, bodies[ev.ETag])
			}
			if ev.Fetched {
				fetched++
			} else {
				patched++
			}
		}
		s.answer(200)
		return true
	}
	for changes := 0; changes < 2000; {
		if e.IntN(200) == 0 {
			r.store.Delete(t.Context(), k, store.AnyRev)
			doc, last = []byte(blank), ""
		}
		next := e.edit(doc)
		if next == nil {
			continue
		}
		doc = next
		etag := fmt.Sprintf("e%d", r.serial+1)
		bodies[etag] = string(doc)
		if tell {
			r.pkg.Storing(k, key.Value{ETag: etag, Path: u.Path(), Previous: last, Body: doc})
		}
		last = r.put(index, string(doc))
		changes++
		if e.IntN(3) > 0 {
			synctest.Wait()
		}
		if e.IntN(20) == 0 {
			<-time.After(time.Second)
		}
		if e.IntN(10) == 0 {
			take()
		}
	}
	for quiet := 0; quiet < 3; {
		<-time.After(2 * time.Second)
		if quiet++; take() {
			quiet = 0
		}
	}
	got, etag := copies.Document(index)
	if string(got) != string(doc) || etag != last || !copies.Synced() {
		t.Errorf("has %q, want %q, synced %v:\n%s\nwant\n%s", etag, last, copies.Synced(), got, doc)
	}
	if processing != "no-patching" && patched == 0 || processing == "no-patching" && patched > 20 {
		t.Errorf("%d applied, %d fetched", patched, fetched)
	}
	t.Logf("%s, heard of %v: %d applied, %d fetched", processing, tell, patched, fetched)
}
