package proxy

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"imp/internal/sip/header"
	"imp/internal/sip/stack"
)

func TestRank(t *testing.T) {
	order := []int{200, 603, 302, 401, 404, 430, 501, 503}
	for i := range order[1:] {
		if rank(order[i]) >= rank(order[i+1]) {
			t.Errorf("%d does not go before %d", order[i], order[i+1])
		}
	}
	for _, help := range []int{401, 407, 415, 420, 484} {
		if rank(help) >= rank(486) || rank(help) <= rank(399) {
			t.Errorf("%d has the wrong place", help)
		}
	}
}

func TestNothingFromDevices(t *testing.T) {
	for _, c := range []struct {
		fork *fork
		want int
	}{{&fork{silent: true, failed: true}, 408}, {&fork{gone: true}, 480}, {&fork{gone: true, failed: true}, 480}, {&fork{failed: true}, 500}, {&fork{}, 480}} {
		if got := c.fork.best(); got.Status != c.want {
			t.Errorf("silent %v, gone %v, failed %v: %d", c.fork.silent, c.fork.gone, c.fork.failed, got.Status)
		}
	}
}

func TestTokens(t *testing.T) {
	p := New(Config{Stack: stack.New(stack.Config{}), Location: nowhere{}})
	target := stack.Target{Transport: "tcp", Addr: "192.0.2.1:5060"}
	there := leg{"c", "sip:a@example.com", "sip:b@example.com"}
	token := p.token(target, there)
	if payload, ok := p.open(token, there); !ok || payload != "atcp 192.0.2.1:5060" {
		t.Errorf("opened as %q, %v", payload, ok)
	}
	t.Run("NAM-088 tokens cannot be forged", func(t *testing.T) {
		for i := range token {
			for _, c := range "AbZ09-_" {
				forged := token[:i] + string(c) + token[i+1:]
				if _, ok := p.open(forged, there); ok && forged != token {
					t.Fatalf("%s opens too", forged)
				}
			}
		}
		for _, forged := range []string{"", "a", token + "AAAA", token[4:], strings.Repeat("A", 200)} {
			if _, ok := p.open(forged, there); ok {
				t.Errorf("%q opens", forged)
			}
		}
		other := New(Config{Stack: stack.New(stack.Config{}), Location: nowhere{}})
		if _, ok := other.open(token, there); ok {
			t.Error("another server opens it")
		}
		for _, d := range []leg{{"d", there.from, there.to}, {"c", "sip:x@example.com", there.to}, {"c", there.from, "sip:x@example.com"}, there.reversed()} {
			if _, ok := p.open(token, d); ok {
				t.Errorf("it opens for %+v", d)
			}
		}
	})
	if p.token(target, there) != token || p.token(stack.Target{Transport: "udp", Addr: target.Addr}, there) == token {
		t.Error("a token is for one target, and the same each time")
	}
}

// nowhere has no users.
type nowhere struct{}

func (nowhere) Serves(header.URI) bool                                           { return false }
func (nowhere) IsGRUU(header.URI) bool                                           { return false }
func (nowhere) Locate(context.Context, header.URI) ([][]Contact, int)            { return nil, 404 }
func (nowhere) Contact(context.Context, header.URI) (c Contact, registered bool) { return c, false }

func TestConsumed(t *testing.T) {
	p := &Proxy{cfg: Config{Realm: `our "realm"`}}
	for _, c := range []struct {
		name, value string
		want        bool
	}{
		{"proxy-authorization", `Digest username="a, realm=\"x\"", Realm="our \"realm\"", nonce="n"`, true},
		{"Proxy-Authorization", `Digest realm="other", opaque="realm=our"`, false},
		{"Authorization", `Digest realm="our \"realm\""`, false},
		{"Proxy-Authorization", ``, false},
		{"Proxy-Authorization", `Digest realm=our`, false},
	} {
		if got := p.consumed(c.name, c.value); got != c.want {
			t.Errorf("%s: %s is consumed: %v", c.name, c.value, got)
		}
	}
	if (&Proxy{}).consumed("Proxy-Authorization", `Digest realm=""`) {
		t.Error("without a realm nothing is consumed")
	}
}

func TestOnward(t *testing.T) {
	w := &way{routes: []string{"<sip:far.example.com;lr>"}}
	for _, c := range []struct {
		path          []string
		uri, to, rest string
	}{
		{nil, "sip:b@192.0.2.1", "192.0.2.1", "<sip:far.example.com;lr>"}, // a sender's Route does not say where it goes
		{[]string{"<sip:edge.example.com:5070;transport=tcp;lr>"}, "sip:b@192.0.2.1", "edge.example.com:5070", "<sip:edge.example.com:5070;transport=tcp;lr>, <sip:far.example.com;lr>"},
		{[]string{"<sip:old.example.com>"}, "sip:old.example.com", "old.example.com", "<sip:far.example.com;lr>, <sip:b@192.0.2.1>"},
	} {
		uri, routes, target := w.onward(Contact{URI: "sip:b@192.0.2.1", Path: c.path, Target: stack.Target{Addr: "192.0.2.1"}})
		if uri != c.uri || strings.Join(routes, ", ") != c.rest || target.Addr != c.to {
			t.Errorf("%v: %s, %q, %+v", c.path, uri, routes, target)
		}
	}
	direct := &way{}
	if uri, routes, target := direct.onward(Contact{URI: "sip:b@192.0.2.1", Target: stack.Target{Addr: "x"}}); uri != "sip:b@192.0.2.1" || routes != nil || target.Addr != "x" {
		t.Errorf("%s %q %+v", uri, routes, target)
	}
}

func TestIsInvalid(t *testing.T) {
	for host, want := range map[string]bool{"a.invalid": true, "A.INVALID.": true, "invalid": true, "invalid.com": false, "xinvalid": false} {
		if IsInvalid(host) != want {
			t.Errorf("%s: %v", host, !want)
		}
	}
}

// ways are branches to devices that no stack sends.
func ways(n int) []*stack.Outgoing {
	list := make([]*stack.Outgoing, n)
	for i := range list {
		list[i] = &stack.Outgoing{}
	}
	return list
}

func TestLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answers := 0
		var last *stack.Response
		f := &fork{p: &Proxy{}, open: 2, answer: func(r *stack.Response) { answers++; last = r }}
		f.timer = time.AfterFunc(time.Second, f.late)
		w := ways(2)
		time.Sleep(2 * time.Second)
		if answers != 0 {
			t.Error("with nothing to say there is nothing said")
		}
		f.done(w[0], nil, errors.New("refused"))
		if answers != 0 {
			t.Error("one device may still answer")
		}
		f.done(w[1], nil, fmt.Errorf("no answer: %w", stack.ErrTimeout))
		if answers != 1 || last.Status != 408 {
			t.Errorf("%d answers, the last %+v", answers, last)
		}
		f.late()
		f.done(w[0], &stack.Reply{Status: 200}, nil)
		if answers != 1 {
			t.Error("there is one answer only")
		}
	})
}
