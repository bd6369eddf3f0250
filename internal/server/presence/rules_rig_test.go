package presence

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emiago/sipgo/sip"

	"imp/internal/doc/pidf"
	"imp/internal/doc/rules"
	"imp/internal/sip/event"
	"imp/internal/sip/stack"
	"imp/internal/store"
	"imp/internal/store/memory"
	"imp/internal/xcap/key"
	"imp/internal/xcap/uri"
)

// ruledSite is an agent of example.com in a bubble of synthetic time, with the
// documents of alice in its store.
type ruledSite struct {
	t     *testing.T
	store *memory.Store
	agent *Agent
	seq   int
	tags  map[string]string // entity-tags of publications
}

func ruled1(t *testing.T, policy Policy, f func(*ruledSite)) {
	t.Helper()
	ruledBy(t, policy, func(kv store.KV) store.KV { return kv }, f)
}

// ruledBy has the agent see another store than the site.
func ruledBy(t *testing.T, policy Policy, seen func(store.KV) store.KV, f func(*ruledSite)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := &ruledSite{t: t, store: memory.New(), tags: map[string]string{}}
		st := stack.New(stack.Config{})
		s.agent = New(Config{Stack: st, Store: seen(s.store), Directory: &Directory{Domains: []string{"example.com"}}, XCAPRoot: "/root", Policy: policy})
		ctx, cancel := context.WithCancel(t.Context())
		var ran sync.WaitGroup
		ran.Go(func() { s.agent.Run(ctx, nil) })
		defer func() {
			cancel()
			ran.Wait()
			s.agent.Close()
			st.Close()
			s.store.Close()
		}()
		synctest.Wait()
		f(s)
	})
}

// put stores a document of alice; "" removes it.
func (s *ruledSite) put(auid, name, doc string) {
	s.t.Helper()
	u := &uri.URI{AUID: auid, XUI: "sip:alice@example.com", Document: []string{name}}
	k := key.Document("/root", u)
	var err error
	if doc == "" {
		err = s.store.Delete(s.t.Context(), k, store.AnyRev)
	} else {
		_, err = s.store.Put(s.t.Context(), k, key.Value{ETag: "1", Path: u.Path(), Body: []byte(doc)}.Bytes(), store.AnyRev, 0)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	synctest.Wait()
}

// rules stores the rules of alice, without any it removes them.
func (s *ruledSite) rules(list ...string) {
	s.t.Helper()
	doc := ""
	if len(list) > 0 {
		doc = ruleset(list...)
	}
	s.put(rules.AUID, "index", doc)
}

func ruleset(list ...string) string {
	return `<ruleset xmlns="urn:ietf:params:xml:ns:common-policy" xmlns:pr="urn:ietf:params:xml:ns:pres-rules">` + strings.Join(list, "") + `</ruleset>`
}

// rule makes one for the conditions given.
func rule(id, conditions, handling, transformations string) string {
	if conditions != "" {
		conditions = "<conditions>" + conditions + "</conditions>"
	}
	return `<rule id="` + id + `">` + conditions + `<actions><pr:sub-handling>` + handling + `</pr:sub-handling></actions><transformations>` + transformations + `</transformations></rule>`
}

const (
	isBob    = `<identity><one id="sip:bob@example.com"/></identity>`
	services = `<pr:provide-services><pr:all-services/></pr:provide-services>`
	persons  = services + `<pr:provide-persons><pr:all-persons/></pr:provide-persons><pr:provide-activities>true</pr:provide-activities>`
)

// publish publishes for alice, or removes with an empty document; name tells
// publications apart.
func (s *ruledSite) publish(name, inside string) {
	s.t.Helper()
	s.seq++
	time.Sleep(time.Second) // what is younger counts
	lines := []string{"PUBLISH sip:alice@example.com SIP/2.0", "Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK" + stack.NewTag(), "Max-Forwards: 70",
		"From: <sip:alice@example.com>;tag=a", "To: <sip:alice@example.com>", "Call-ID: " + name, fmt.Sprintf("CSeq: %d PUBLISH", s.seq), "Event: presence"}
	if tag := s.tags[name]; tag != "" {
		lines = append(lines, "SIP-If-Match: "+tag)
	}
	body := ""
	if inside == "" {
		lines = append(lines, "Expires: 0")
	} else {
		body = `<presence xmlns="urn:ietf:params:xml:ns:pidf" xmlns:dm="urn:ietf:params:xml:ns:pidf:data-model" xmlns:r="urn:ietf:params:xml:ns:pidf:rpid" entity="sip:alice@example.com">` + inside + `</presence>`
		lines = append(lines, "Expires: 3600", "Content-Type: application/pidf+xml")
	}
	lines = append(lines, fmt.Sprintf("Content-Length: %d", len(body)), "", body)
	m, err := sip.ParseMessage([]byte(strings.Join(lines, "\r\n")))
	if err != nil {
		s.t.Fatal(err)
	}
	res := s.agent.compositor.Publish(s.t.Context(), &stack.Request{Request: m.(*sip.Request)})
	if res.Status != 200 {
		s.t.Fatalf("PUBLISH is answered %d %s", res.Status, res.Reason)
	}
	for _, f := range res.Fields {
		if f.Name == "SIP-ETag" {
			s.tags[name] = f.Value
		}
	}
	if inside == "" {
		delete(s.tags, name)
	}
	synctest.Wait()
}

// at is a document that says where alice is and how she feels.
func at(activity, mood, sphere string) string {
	text := `<tuple id="t"><status><basic>open</basic></status></tuple><dm:person id="p"><r:activities><r:` + activity + `/></r:activities><r:mood><r:` + mood + `/></r:mood>`
	if sphere != "" {
		text += `<r:sphere><r:` + sphere + `/></r:sphere>`
	}
	return text + `</dm:person>`
}

// watching is a watcher in the same process, and what he was told.
type watching struct {
	s   *ruledSite
	sub *event.Local
	mu  sync.Mutex
	all []event.Notice
}

// watch subscribes; nil when that is refused with 403.
func (s *ruledSite) watch(who string) *watching {
	s.t.Helper()
	w := &watching{s: s}
	var err error
	w.sub, err = s.agent.notifier.Local(s.t.Context(), event.LocalRequest{Package: "presence", URI: "sip:alice@example.com", Watcher: who, Duration: 9 * time.Hour},
		func(n event.Notice) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.all = append(w.all, n)
		})
	if err != nil {
		if event.Status(err) != 403 {
			s.t.Fatal(err)
		}
		return nil
	}
	s.t.Cleanup(w.sub.Close)
	return w
}

// told fails unless the watcher was told exactly these since the last call: each
// is a state, then words of the document, with ! words that are not in it.
func (w *watching) told(want ...string) (last []byte) {
	w.s.t.Helper()
	synctest.Wait()
	w.mu.Lock()
	got := w.all
	w.all = nil
	w.mu.Unlock()
	if len(got) != len(want) {
		for _, n := range got {
			w.s.t.Logf("%s %s %s", n.State, n.Reason, n.Body.Bytes)
		}
		w.s.t.Fatalf("told %d times, want %q", len(got), want)
	}
	for i, n := range got {
		words := strings.Fields(want[i])
		if s := strings.TrimSuffix(n.State.String()+":"+n.Reason, ":"); s != words[0] {
			w.s.t.Fatalf("told %s, want %s", s, words[0])
		}
		if (n.State == event.Active) != (n.Body.Type != "") {
			w.s.t.Fatalf("%s with a body of type %q", n.State, n.Body.Type)
		}
		has(w.s.t, string(n.Body.Bytes), words[1:]...)
		last = n.Body.Bytes
	}
	return last
}

const bob, carol, eve = "sip:bob@example.com", "sip:carol@example.com", "sip:eve@example.net"

var neutral = pidf.Neutral("sip:alice@example.com")
