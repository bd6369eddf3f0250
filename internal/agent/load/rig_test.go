package load

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"

	"imp/internal/sip/header"
	"imp/internal/sip/stack"
)

// server is a presence server in the place of the wire. It answers after delay
// and notifies after notifyDelay; the functions, where there are any, say
// otherwise.
type server struct {
	t           *testing.T
	g           *generator
	delay       time.Duration
	notifyDelay time.Duration
	answer      func(*sip.Request) (status int, fields string) // status 0: as usual, negative: no answer
	tells       func(watcher string, nth int) bool             // whether the nth change is told to the watcher with that Call-ID
	first       string                                         // Subscription-State of the first NOTIFY; "" is active, "none" sends none

	mu            sync.Mutex
	requests      []*sip.Request
	busy          map[string]bool   // presentities with a PUBLISH without an answer
	inFlight, top int               // PUBLISHes without an answer
	tags          map[string]string // of the publications, by presentity
	documents     map[string]string
	changes       map[string]int
	subscriptions map[string]*subscribed // by Call-ID
}

type subscribed struct {
	presentity, localTag, remoteTag string
	seq                             int
}

// newServer makes a server and the generator that loads it.
func newServer(t *testing.T, cfg Config) *server {
	s := &server{t: t, busy: map[string]bool{}, tags: map[string]string{}, documents: map[string]string{}, changes: map[string]int{},
		subscriptions: map[string]*subscribed{}, delay: 10 * time.Millisecond, notifyDelay: 30 * time.Millisecond}
	for i, d := range []*time.Duration{&cfg.Duration, &cfg.Settle, &cfg.Timeout, &cfg.Expires} {
		if *d == 0 {
			*d = []time.Duration{2 * time.Second, time.Second, 10 * time.Second, time.Hour}[i]
		}
	}
	cfg.From = "sip:me@example.com"
	s.g = newGenerator(cfg)
	s.g.wire = s
	s.g.reachable("192.0.2.1:5060", "udp")
	return s
}

// users are the URIs of n presentities.
func users(n int) (all []string) {
	for i := range n {
		all = append(all, fmt.Sprintf("sip:u%d@example.com", i))
	}
	return all
}

func parse[T sip.Message](t *testing.T, text string) T {
	t.Helper()
	m, err := sip.ParseMessage([]byte(text))
	if err != nil {
		t.Fatalf("%v in:\n%s", err, text)
	}
	return m.(T)
}

func value(m header.Message, name string) string {
	v, _, _ := header.Single(m, name)
	return v
}

// Send takes a request of the generator.
func (s *server) Send(o *stack.Outgoing, done func(*sip.Response, error)) {
	text := fmt.Sprintf("%s %s SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKx\r\n%sContent-Length: %d\r\n\r\n%s", o.Method, o.URI, o.Head, len(o.Body), o.Body)
	r := parse[*sip.Request](s.t, text)
	s.mu.Lock()
	s.requests = append(s.requests, r)
	if r.Method == sip.PUBLISH {
		if s.busy[o.URI] {
			s.t.Errorf("a second PUBLISH for %s while the first has no answer", o.URI)
		}
		s.busy[o.URI] = true
		s.inFlight++
		s.top = max(s.top, s.inFlight)
	}
	s.mu.Unlock()
	go func() {
		time.Sleep(s.delay)
		status, fields := s.handle(r)
		if r.Method == sip.PUBLISH {
			s.mu.Lock()
			s.busy[o.URI] = false
			s.inFlight--
			s.mu.Unlock()
		}
		if status < 0 {
			time.Sleep(32 * time.Second)
			done(nil, stack.ErrTimeout)
			return
		}
		done(parse[*sip.Response](s.t, fmt.Sprintf("SIP/2.0 %d X\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKx\r\nFrom: %s\r\nTo: %s\r\nCall-ID: %s\r\nCSeq: %s\r\n%sContent-Length: 0\r\n\r\n",
			status, value(r, "From"), value(r, "To"), value(r, "Call-ID"), value(r, "CSeq"), fields)), nil)
	}()
}

func (s *server) handle(r *sip.Request) (int, string) {
	if s.answer != nil {
		if status, fields := s.answer(r); status != 0 {
			return status, fields
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.Method == sip.PUBLISH {
		return s.publish(r)
	}
	return s.subscribe(r)
}

// publish demands the right entity-tag and tells the watchers.
func (s *server) publish(r *sip.Request) (int, string) {
	uri, expires := r.Recipient.String(), value(r, "Expires")
	if value(r, "SIP-If-Match") != s.tags[uri] {
		return 412, ""
	}
	tag := fmt.Sprintf("tag-%s", strings.Fields(value(r, "CSeq"))[0])
	if expires == "0" {
		delete(s.tags, uri)
		return 200, "SIP-ETag: " + tag + "\r\nExpires: 0\r\n"
	}
	s.tags[uri] = tag
	if len(r.Body()) == 0 {
		return 200, "SIP-ETag: " + tag + "\r\nExpires: " + expires + "\r\n"
	}
	s.documents[uri] = string(r.Body())
	s.changes[uri]++
	for id, sub := range s.subscriptions {
		if sub.presentity == uri && (s.tells == nil || s.tells(id, s.changes[uri])) {
			s.notify(id, sub, "active;expires=60", s.documents[uri])
		}
	}
	return 200, "SIP-ETag: " + tag + "\r\nExpires: " + expires + "\r\n"
}

func (s *server) subscribe(r *sip.Request) (int, string) {
	id, expires := value(r, "Call-ID"), value(r, "Expires")
	sub := s.subscriptions[id]
	state := "active;expires=60"
	switch {
	case sub == nil && strings.Contains(value(r, "To"), ";tag="):
		return 481, ""
	case sub == nil:
		from, err := header.ParseAddress(value(r, "From"))
		if err != nil {
			s.t.Error(err)
		}
		sub = &subscribed{presentity: r.Recipient.String(), localTag: "s" + id, remoteTag: from.Tag()}
		s.subscriptions[id] = sub
		if s.first != "" {
			state = s.first
		}
	case value(r, "Expires") == "0":
		delete(s.subscriptions, id)
		state = "terminated;reason=timeout"
	}
	if state != "none" {
		s.notify(id, sub, state, s.documents[sub.presentity])
	}
	return 200, "Contact: <sip:192.0.2.2>\r\nExpires: " + expires + "\r\n"
}

// notify sends NOTIFY after its delay; s is locked.
func (s *server) notify(id string, sub *subscribed, state, body string) {
	sub.seq++
	text := fmt.Sprintf("NOTIFY sip:w@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.2;branch=z9hG4bKy\r\nFrom: <%s>;tag=%s\r\nTo: <sip:me@example.com>;tag=%s\r\n"+
		"Call-ID: %s\r\nCSeq: %d NOTIFY\r\nContact: <sip:192.0.2.2>\r\nEvent: presence\r\nSubscription-State: %s\r\nContent-Length: %d\r\n\r\n%s",
		sub.presentity, sub.localTag, sub.remoteTag, id, sub.seq, state, len(body), body)
	r := &stack.Request{Request: parse[*sip.Request](s.t, text)}
	go func() {
		time.Sleep(s.notifyDelay)
		if res := s.g.notify(context.Background(), r); res.Status != 200 {
			s.t.Errorf("NOTIFY answered %d", res.Status)
		}
	}()
}

// run runs the load and demands that nothing is left of it but what is said.
func (s *server) run(ctx context.Context, left int) (*Report, error) {
	s.t.Helper()
	report, err := s.g.run(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.tags) + len(s.subscriptions); n != left || report.LeftBehind != left {
		s.t.Errorf("%d publications and %d subscriptions are left, the report says %d and %d are expected", len(s.tags), len(s.subscriptions), report.LeftBehind, left)
	}
	return report, err
}

// about tells whether d is what was measured of want.
func about(d, want time.Duration) bool { return d >= want && d <= want+want/100 }
