package event

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"imp/internal/sip/stack"
	"imp/internal/store"
	"imp/internal/store/memory"
)

// TestStoreFails: a PUBLISH is processed completely or not at all.
func TestStoreFails(t *testing.T) {
	broken := errors.New("input/output error")
	for _, tt := range []struct {
		op                               string
		err                              error
		status                           int
		initial, refresh, modify, remove bool // which fail
	}{
		{"put", broken, 500, true, true, true, false},
		{"put", store.ErrUnavailable, 503, true, true, true, false},
		{"put", store.ErrUnknown, 504, true, true, true, false},
		{"put", store.ErrTooLarge, 413, true, true, true, false},
		{"put", store.ErrConflict, 503, true, true, true, false},
		{"delete", broken, 500, false, false, false, true},
		{"delete", store.ErrUnavailable, 503, false, false, false, true},
		{"delete", store.ErrUnknown, 504, false, false, false, true},
		{"delete", store.ErrConflict, 503, false, false, false, true},
		{"get", broken, 500, false, true, true, true},
		{"get", store.ErrUnavailable, 503, false, true, true, true},
		{"get", context.DeadlineExceeded, 503, false, true, true, true},
		{"scan", broken, 500, true, false, false, false},
		{"scan", store.ErrUnavailable, 503, true, false, false, false},
	} {
		t.Run(fmt.Sprintf("PUB-041 a failing %s has no effect: %v", tt.op, tt.err), func(t *testing.T) {
			open(t, func(o *office) {
				tag := o.published("alice", "x")
				told := o.desk.count()
				for _, step := range []struct {
					body, tag, expires string
					fails              bool
				}{{"y", "", "100", tt.initial}, {"", tag, "100", tt.refresh}, {"z", tag, "100", tt.modify}, {"", tag, "0", tt.remove}} {
					if !step.fails {
						continue
					}
					o.store.before = fails(tt.op, tt.err)
					res := o.publish("alice", step.body, step.tag, "Expires: "+step.expires)
					o.store.before = nil
					want(o.t, res, tt.status, "SIP-ETag", "")
					if tt.status == 503 && fieldOf(res, "Retry-After") == "" {
						o.t.Fatal("no Retry-After")
					}
					o.holds("alice", "x")
				}
				if n := o.desk.count(); n != told {
					o.t.Fatalf("%d changes were told", n-told)
				}
				want(o.t, o.publish("alice", "y", tag), 200)
				o.holds("alice", "y")
			})
		})
	}
}

// TestStoreUnclear: the store does not know, or does not tell the truth.
func TestStoreUnclear(t *testing.T) {
	publishTests{
		{"PUB-041 a write that happened all the same is a success", func(t *testing.T, o *office) {
			for _, err := range []error{store.ErrUnknown, store.ErrConflict} {
				o.store.after = failsOnce("put", err)
				tag := o.published("alice", "x")
				o.store.after = failsOnce("put", err)
				res := o.publish("alice", "y", tag)
				want(t, res, 200)
				o.holds("alice", "y")
				want(t, o.publish("alice", "", fieldOf(res, "SIP-ETag"), "Expires: 0"), 200)
			}
		}},
		{"PUB-041 a removal that happened all the same is a success", func(t *testing.T, o *office) {
			tag := o.published("alice", "x")
			o.store.after = failsOnce("delete", store.ErrUnknown)
			want(t, o.publish("alice", "", tag, "Expires: 0"), 200)
			o.holds("alice")
		}},
		{"PUB-041 a refusal without a cause is tried again", func(t *testing.T, o *office) {
			tag := o.published("alice", "x")
			o.store.before = failsOnce("put", store.ErrConflict)
			res := o.publish("alice", "y", tag)
			want(t, res, 200)
			o.holds("alice", "y")
			o.store.before = failsOnce("delete", store.ErrConflict)
			want(t, o.publish("alice", "", fieldOf(res, "SIP-ETag"), "Expires: 0"), 200)
			o.holds("alice")
		}},
		{"PUB-032 what expires while it is changed is 412", func(t *testing.T, o *office) {
			for _, expires := range []string{"100", "0"} {
				tag := o.published("alice", "x", "Expires: 60")
				o.store.before = func(op string) error {
					if op != "get" {
						time.Sleep(time.Minute)
					}
					return nil
				}
				res := o.publish("alice", "y", tag, "Expires: "+expires)
				o.store.before = nil
				want(t, res, 412)
				o.holds("alice")
			}
		}},
		{"a stored form of another version is left out, and its tag is 412", func(t *testing.T, o *office) {
			tag := o.published("alice", "x")
			id := splitTag(tag)
			o.published("alice", "y")
			form := (&Publication{Type: "text/plain"}).encode()
			form[0]++
			if _, err := o.store.Put(context.Background(), publicationKey(alice, "notes", id), form, store.AnyRev, time.Hour); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			pubs, err := o.Publications(context.Background(), "notes", alice)
			if err != nil || len(pubs) != 1 || string(pubs[0].Body) != "y" {
				t.Fatal(pubs, err)
			}
			want(t, o.publish("alice", "z", tag), 412)
		}},
		{"Publications tells that the store fails", func(t *testing.T, o *office) {
			o.published("alice", "x")
			o.store.before = fails("scan", store.ErrUnavailable)
			if pubs, err := o.Publications(context.Background(), "notes", alice); !errors.Is(err, store.ErrUnavailable) || pubs != nil {
				t.Fatal(pubs, err)
			}
		}},
	}.run(t)
}

// TestPublishRace: requests with one tag at one time.
func TestPublishRace(t *testing.T) {
	publishTests{
		{"PUB-042 of changes with one tag one succeeds", func(t *testing.T, o *office) {
			tag := o.published("alice", "x")
			for round := range 20 {
				const n = 16
				results := make(chan *stack.Response, n)
				for i := range n {
					body, tag := fmt.Sprintf("%d of %d", i, round), tag
					go func() { results <- o.publish("alice", body, tag) }()
				}
				statuses := map[int]int{}
				for range n {
					res := <-results
					statuses[res.Status]++
					if res.Status == 200 {
						tag = fieldOf(res, "SIP-ETag")
					}
				}
				if statuses[200] != 1 || statuses[412] != n-1 {
					t.Fatalf("answered %v", statuses)
				}
			}
			want(t, o.publish("alice", "last", tag), 200)
			o.holds("alice", "last")
		}},
		{"PUB-042 a removal that another change overtook is 412", func(t *testing.T, o *office) {
			tag := o.published("alice", "x")
			o.store.before = func(op string) error {
				if op == "delete" {
					o.store.before = nil
					want(t, o.publish("alice", "y", tag), 200)
				}
				return nil
			}
			want(t, o.publish("alice", "", tag, "Expires: 0"), 412)
			o.holds("alice", "y")
		}},
		{"PUB-042 chains of many publishers stay linear", func(t *testing.T, o *office) {
			var all sync.WaitGroup
			for i := range 20 {
				all.Go(func() {
					tag := ""
					for step := range 30 {
						res := o.publish("alice", fmt.Sprintf("%02d %d", i, step), tag)
						want(t, res, 200)
						tag = fieldOf(res, "SIP-ETag")
					}
				})
			}
			all.Wait()
			var last []string
			for i := range 20 {
				last = append(last, fmt.Sprintf("%02d 29", i))
			}
			o.holds("alice", last...)
		}},
	}.run(t)
}

// TestEcho: the answer comes when the watch has told of the change.
func TestEcho(t *testing.T) {
	steps := []struct{ name, body, expires string }{{"a modification", "y", "100"}, {"a refresh", "", "100"}, {"a removal", "", "0"}}
	publishTests{
		{"PUB-050 who is answered finds the state", func(t *testing.T, o *office) {
			told := 0
			o.desk.after = func(Change) { told++ }
			tag := o.published("alice", "x")
			for i, step := range steps {
				if told != i+1 {
					t.Fatalf("%s: %d changes were told before the answer", step.name, told)
				}
				res := o.publish("alice", step.body, tag, "Expires: "+step.expires)
				want(t, res, 200)
				tag = fieldOf(res, "SIP-ETag")
			}
			if told != 4 {
				t.Fatalf("%d changes were told", told)
			}
		}},
		{"a watch that stalls holds an answer up for a second", func(t *testing.T, o *office) {
			tag := o.published("alice", "x")
			gate := make(chan struct{})
			o.desk.before = func(Change) { <-gate }
			defer close(gate)
			for _, step := range steps {
				began := time.Now()
				res := o.publish("alice", step.body, tag, "Expires: "+step.expires)
				want(t, res, 200)
				if d := time.Since(began); d != echoPatience {
					t.Fatalf("%s took %v", step.name, d)
				}
				tag = fieldOf(res, "SIP-ETag")
			}
			if len(o.echo.waiting) != 0 {
				t.Fatalf("%d still wait", len(o.echo.waiting))
			}
		}},
		{"what nobody watches is answered at once", func(t *testing.T, o *office) {
			watched := false
			o.cfg.Watched = func(string, string) bool { return watched }
			gate := make(chan struct{})
			o.desk.before = func(Change) { <-gate }
			defer close(gate)
			began := time.Now()
			tag := o.published("alice", "x")
			for _, step := range steps {
				res := o.publish("alice", step.body, tag, "Expires: "+step.expires)
				want(t, res, 200)
				tag = fieldOf(res, "SIP-ETag")
			}
			if d := time.Since(began); d != 0 {
				t.Fatalf("took %v", d)
			}
			watched = true
			o.published("bob", "x")
			if d := time.Since(began); d != echoPatience {
				t.Fatalf("what is watched took %v", d)
			}
		}},
		{"what the watch tells of an earlier change is not what an answer waits for", func(t *testing.T, o *office) {
			gate := make(chan struct{})
			o.desk.before = func(Change) { <-gate }
			tag := o.published("alice", "x")
			answered := make(chan *stack.Response, 1)
			go func() { answered <- o.publish("alice", "y", tag) }()
			synctest.Wait()
			gate <- struct{}{}
			synctest.Wait()
			if len(answered) != 0 {
				t.Fatal("answered too early")
			}
			began := time.Now()
			gate <- struct{}{}
			want(t, <-answered, 200)
			if d := time.Since(began); d != 0 {
				t.Fatalf("answered after %v", d)
			}
		}},
		{"the end of its context ends the wait", func(t *testing.T, o *office) {
			gate := make(chan struct{})
			o.desk.before = func(Change) { <-gate }
			defer close(gate)
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
			defer cancel()
			began := time.Now()
			res := o.Publish(ctx, newPeer(t, "PUBLISH", "alice").request("x", "Event: notes", "Content-Type: text/plain"))
			want(t, res, 200)
			if d := time.Since(began); d != 10*time.Millisecond {
				t.Fatalf("after %v", d)
			}
		}},
		{"without a watch nobody waits", func(t *testing.T, o *office) {
			o.stop()
			synctest.Wait()
			began := time.Now()
			want(t, o.publish("alice", "x", ""), 200)
			if d := time.Since(began); d != 0 {
				t.Fatalf("after %v", d)
			}
		}},
	}.run(t)
}

// TestRun: what becomes of the watch.
func TestRun(t *testing.T) {
	publishTests{
		{"what there is at the start is told before ready", func(t *testing.T, o *office) {
			o.published("alice", "x")
			again := NewCompositor(CompositorConfig{Store: o.store, Resources: everyone{}}, o.notes)
			d := newDesk()
			again.OnChange("notes", d.take)
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			ready := make(chan struct{})
			go again.Run(ctx, func() { close(ready) })
			<-ready
			if got := fmt.Sprint(d.bodies(alice)); got != "[x]" || d.lost != 0 {
				t.Fatalf("told %s, lost %d", got, d.lost)
			}
		}},
		{"the end of the context ends Run", func(t *testing.T, o *office) {
			o.stop()
			if err := <-o.stopped; !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
		}},
		{"a store that cannot be watched ends Run", func(t *testing.T, o *office) {
			o.store.KV.(*memory.Store).Close()
			if err := <-o.stopped; !errors.Is(err, store.ErrUnavailable) {
				t.Fatal(err)
			}
		}},
		{"keys of another shape and of other packages are passed over", func(t *testing.T, o *office) {
			form := (&Publication{}).encode()
			for _, key := range []string{"pub", "pub.a", "pub.a.notes", "pub.a.notes.b.c", store.Key("pub", alice, "other", "x")} {
				if _, err := o.store.Put(context.Background(), key, form, 0, 0); err != nil {
					t.Fatal(err)
				}
			}
			synctest.Wait()
			if n := o.desk.count(); n != 0 {
				t.Fatalf("%d changes were told", n)
			}
		}},
	}.run(t)
}

// cut is what a test does to a watch.
type cut uint8

const (
	gap  cut = iota // from here on events are lost
	mend            // Reset and all there is
	end             // the watch is closed
)

// lossy opens an office whose watch can be cut.
func lossy(t *testing.T, f func(*office, chan<- cut)) {
	open(t, func(o *office) {
		o.stop()
		cuts := make(chan cut)
		kv := &faulty{KV: o.store.KV}
		kv.watch = func(in <-chan store.Event) <-chan store.Event {
			out := make(chan store.Event)
			go lose(kv.KV, in, out, cuts)
			return out
		}
		o.Compositor = NewCompositor(CompositorConfig{Store: kv, Resources: everyone{}}, o.notes)
		o.OnChange("notes", o.desk.take)
		var ctx context.Context
		ctx, o.stop = context.WithCancel(context.Background())
		defer o.stop()
		ready := make(chan struct{})
		go o.Run(ctx, func() { close(ready) })
		<-ready
		f(o, cuts)
		o.stop()
		synctest.Wait()
	})
}

func lose(kv store.KV, in <-chan store.Event, out chan<- store.Event, cuts <-chan cut) {
	defer close(out)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	lost := false
	for {
		select {
		case e, ok := <-in:
			if !ok {
				return
			}
			if !lost {
				out <- e
			}
		case c := <-cuts:
			switch c {
			case gap:
				lost = true
			case mend:
				lost = false
				out <- store.Event{Kind: store.Reset}
				in, _ = kv.Watch(ctx, "pub")
			case end:
				return
			}
		}
	}
}

func TestLost(t *testing.T) {
	t.Run("a gap is told when the watch is in step again", func(t *testing.T) {
		lossy(t, func(o *office, cuts chan<- cut) {
			tag := o.published("alice", "x")
			o.published("alice", "y")
			cuts <- gap
			want(t, o.publish("alice", "", tag, "Expires: 0"), 200)
			read := "nothing"
			o.desk.after = func(Change) {
				pubs, err := o.Publications(context.Background(), "notes", alice)
				read = fmt.Sprint(len(pubs), err, o.desk.count())
			}
			cuts <- mend
			synctest.Wait()
			if o.desk.lost != 1 || read != "1 <nil> 4" { // x, y, y again, and then that changes were lost
				t.Fatalf("told %d times that changes were lost, read then %s", o.desk.lost, read)
			}
			o.published("bob", "z")
			if n := o.desk.count(); o.desk.changes[n-1].Publication == nil || o.desk.lost != 1 {
				t.Fatal("nothing is told any more")
			}
		})
	})
	t.Run("a watch that the store closes is opened anew", func(t *testing.T) {
		lossy(t, func(o *office, cuts chan<- cut) {
			tag := o.published("alice", "x")
			cuts <- gap
			answer := make(chan *stack.Response)
			began := time.Now()
			go func() { answer <- o.publish("alice", "y", tag) }()
			synctest.Wait()
			cuts <- end
			res := <-answer
			want(t, res, 200)
			if d := time.Since(began); d != 0 {
				t.Fatalf("the end of the watch held the answer up for %v", d)
			}
			want(t, o.publish("alice", "", fieldOf(res, "SIP-ETag"), "Expires: 0"), 200)
			if o.desk.losses() != 0 {
				t.Fatal("told while there is no watch")
			}
			time.Sleep(watchPause)
			synctest.Wait()
			last := o.desk.changes[len(o.desk.changes)-1]
			if o.desk.lost != 1 || last.ID != "" || last.Resource != "" || last.Publication != nil {
				t.Fatalf("told %d times that changes were lost, last %+v", o.desk.lost, last)
			}
			o.published("bob", "z")
			if n := o.desk.count(); o.desk.changes[n-1].Publication == nil {
				t.Fatal("nothing is told any more")
			}
		})
	})
}

func FuzzStoredForm(f *testing.F) {
	p := Publication{Type: "text/plain", Body: []byte("body"), Published: time.Unix(1, 2), seq: 3, writeID: 4}
	f.Add(p.encode())
	f.Add([]byte{valueVersion})
	for n := range 11 {
		f.Add(append((&Publication{}).encode()[:fixedLen], bytes.Repeat([]byte{0xff}, n)...))
		f.Add(append(append((&Publication{}).encode()[:fixedLen], bytes.Repeat([]byte{0xff}, n)...), 1))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := decodePublication("id", store.Entry{Value: b})
		if err != nil {
			return
		}
		again, err := decodePublication("id", store.Entry{Value: p.encode()})
		if err != nil || again.Type != p.Type || !bytes.Equal(again.Body, p.Body) || again.seq != p.seq || again.writeID != p.writeID || !again.Published.Equal(p.Published) {
			t.Fatalf("%+v became %+v: %v", p, again, err)
		}
	})
}
