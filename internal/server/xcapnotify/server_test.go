package xcapnotify_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	agent "imp/internal/agent/presence"
	"imp/internal/agent/xcapwatch"
	"imp/internal/auth/certs"
	"imp/internal/auth/users"
	"imp/internal/server/xcapnotify"
	"imp/internal/sip/event"
	"imp/internal/sip/header"
	"imp/internal/sip/stack"
	"imp/internal/store"
	"imp/internal/store/bolt"
	"imp/internal/store/memory"
	"imp/internal/xcap/key"
	"imp/internal/xcap/uri"
)

// site is a notifier of its own on loopback.
type site struct {
	t      *testing.T
	ctx    context.Context
	store  store.KV
	server *xcapnotify.Server

	mu   sync.Mutex
	seen []string // SUBSCRIBEs as they came
}

func newSite(t *testing.T, change func(*xcapnotify.ServerConfig)) *site {
	t.Helper()
	s := &site{t: t}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	s.ctx = ctx
	t.Cleanup(cancel)
	inner := memory.New()
	t.Cleanup(func() { inner.Close() })
	eps, err := stack.ParseEndpoint("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	cfg := xcapnotify.ServerConfig{Config: xcapnotify.Config{Store: inner, Root: root, RootURI: rootURI, MinInterval: time.Millisecond}, Listen: eps, Domains: []string{"Example.com"}}
	cfg.Stack.Trace = func(r stack.Record) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if bytes.HasPrefix(r.Data, []byte("SUBSCRIBE ")) {
			s.seen = append(s.seen, string(r.Data))
		}
	}
	if change != nil {
		change(&cfg)
	}
	s.store = cfg.Store
	if s.server, err = xcapnotify.Serve(ctx, cfg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.server.Close)
	return s
}

// subscribes are the SUBSCRIBEs so far.
func (s *site) subscribes() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.seen...)
}

func (s *site) user(change func(*agent.Config)) *agent.Agent {
	s.t.Helper()
	cfg := agent.Config{AOR: header.Address{URI: "sip:alice@example.com"}, Proxy: stack.Target{Addr: s.server.Addrs()[0].Addr}}
	if change != nil {
		change(&cfg)
	}
	a, err := agent.Start(s.ctx, cfg)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { a.Close() })
	return a
}

func (s *site) put(path, body, etag, previous string) {
	s.t.Helper()
	u, err := uri.Parse(path)
	if err != nil {
		s.t.Fatal(err)
	}
	v := key.Value{ETag: etag, Path: u.Path(), Previous: previous, Body: []byte(body)}
	if _, err := s.store.Put(s.ctx, key.Document(root, u), v.Bytes(), store.AnyRev, 0); err != nil {
		s.t.Fatal(err)
	}
}

// Fetch implements xcapwatch.Fetcher.
func (s *site) Fetch(ctx context.Context, path, etag string) (string, []byte, error) {
	etag, doc, err := library{s.store}.Fetch(ctx, path, etag)
	return etag, bytes.Clone(doc), err
}

// follow follows until the document has an entity-tag.
func (s *site) follow(a *agent.Agent, until string, o xcapwatch.Options, learned func([]xcapwatch.Event)) error {
	s.t.Helper()
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	o.Subscriber, o.Copies = a, xcapwatch.New(xcapwatch.Config{Fetch: s})
	if o.Target == "" {
		o.Target = "sip:alice@example.com"
	}
	if o.URIs == nil {
		o.URIs = []string{index}
	}
	met := false
	o.Learned = func(_ *event.Notification, events []xcapwatch.Event) error {
		if learned != nil {
			learned(events)
		}
		if _, etag := o.Copies.Document(index); etag == until && o.Copies.Synced() {
			met = true
			cancel()
		}
		return nil
	}
	err := xcapwatch.Follow(ctx, o)
	if err == nil && !met {
		err = errors.New("it ended early")
	}
	return err
}

func TestFollow(t *testing.T) {
	t.Run("XDE-001 XDE-002 XDE-004 XDE-005 XDE-006 XDE-008 what is asked", func(t *testing.T) {
		s := newSite(t, nil)
		s.put(index, friends(), "e1", "")
		o := xcapwatch.Options{Target: "sip:xcap@example.com", URIs: []string{index, lists, index + `/~~/*/list%5b@name=%22a&b%22%5d`}, Processing: xcapwatch.Aggregate}
		if err := s.follow(s.user(nil), "e1", o, nil); err != nil {
			t.Fatal(err)
		}
		first := s.subscribes()[0]
		head, body, _ := strings.Cut(first, "\r\n\r\n")
		for _, want := range []string{"SUBSCRIBE sip:xcap@example.com SIP/2.0\r\n", "\r\nEvent: xcap-diff;diff-processing=aggregate\r\n", "\r\nAccept: application/xcap-diff+xml\r\n",
			"\r\nContent-Type: application/resource-lists+xml\r\n"} {
			if !strings.Contains(head, want) {
				t.Errorf("no %q in\n%s", want, head)
			}
		}
		if strings.Contains(head, "\r\nExpires:") {
			t.Errorf("Expires in\n%s", head)
		}
		if strings.Count(body, "<list>") != 1 || strings.Count(body, "<entry uri=") != 3 || strings.Contains(body, "entry-ref") || strings.Contains(body, "external") ||
			!strings.Contains(body, `uri="`+lists+`"`) || !strings.Contains(body, `/~~/*/list%5b@name=%22a&amp;b%22%5d"`) {
			t.Errorf("%s", body)
		}
		if s.server.Subscriptions() != 0 {
			t.Error("the subscription was not ended")
		}
	})
	t.Run("XDE-002 namespaces are refused before anything is sent", func(t *testing.T) {
		s := newSite(t, nil)
		o := xcapwatch.Options{Subscriber: s.user(nil), URIs: []string{index + "/~~/a/namespace::*?xmlns(a=b)"}, Copies: xcapwatch.New(xcapwatch.Config{})}
		if err := xcapwatch.Follow(s.ctx, o); err == nil || len(s.subscribes()) != 0 {
			t.Errorf("%v, %q", err, s.subscribes())
		}
	})
	t.Run("XDE-012 after a patch that failed the subscription goes on without", func(t *testing.T) {
		s := newSite(t, nil)
		s.put(index, friends(), "e1", "")
		var actions []string
		step := 0
		o := xcapwatch.Options{Processing: xcapwatch.XCAPPatching}
		err := s.follow(s.user(nil), "e4", o, func(events []xcapwatch.Event) {
			for _, e := range events {
				actions = append(actions, e.Action.String())
			}
			switch step++; step {
			case 1: // the copy is damaged
				copy(events[0].Doc, "<other/>"+strings.Repeat(" ", len(events[0].Doc)))
				s.put(index, friends("bob"), "e2", "e1")
			case 3:
				s.put(index, friends("carol"), "e3", "e2")
			case 4:
				s.put(index, friends("dave"), "e4", "e3")
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		sent := s.subscribes()
		found := false
		for _, m := range sent[1:] {
			found = found || strings.Contains(m, "\r\nEvent: xcap-diff\r\n") && !strings.Contains(m, "\r\nExpires: 0\r\n")
		}
		if !found || strings.Contains(strings.Join(actions, " "), "patch") {
			t.Errorf("%q\n%s", actions, strings.Join(sent, "\n"))
		}
	})
	for _, kept := range []bool{false, true} {
		hundred(t, kept)
	}
}

// hundred has a client follow a hundred changes, of a store in memory or in a file.
func hundred(t *testing.T, kept bool) {
	t.Run(fmt.Sprint("a hundred changes while it follows, in a file ", kept), func(t *testing.T) {
		s := newSite(t, func(c *xcapnotify.ServerConfig) {
			if kept {
				file, err := bolt.Open(filepath.Join(t.TempDir(), "x.db"), bolt.Config{})
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { file.Close() })
				c.Store = file
			}
		})
		s.put(lists+"gone", friends(), "g", "")
		s.put(index, friends(), "e1", "")
		change := func() {
			for i := 2; i <= 101; i++ {
				s.put(index, friends(fmt.Sprint(i)), fmt.Sprint("e", i), fmt.Sprint("e", i-1))
				if i == 50 {
					u, _ := uri.Parse(lists + "gone")
					s.store.Delete(s.ctx, key.Document(root, u), store.AnyRev)
				}
			}
		}
		var begun sync.Once
		var writer sync.WaitGroup // a watch may tell of a write before the write returns
		removed := false
		var got []byte
		err := s.follow(s.user(nil), "e101", xcapwatch.Options{Processing: xcapwatch.Aggregate, URIs: []string{lists}}, func(events []xcapwatch.Event) {
			begun.Do(func() { writer.Go(change) })
			for _, e := range events {
				if e.Kind == xcapwatch.Removed {
					removed = e.Path == lists+"gone"
					continue
				}
				got = e.Doc
			}
		})
		writer.Wait()
		if err != nil || string(got) != friends("101") || !removed {
			t.Errorf("%v, removed %v\n%s", err, removed, got)
		}
	})
}

func TestServer(t *testing.T) {
	source, err := users.New(users.Config{Realms: []string{"example.com"}, Entries: []string{"alice:wonderland"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Run("XDE-041 who does not authenticate is challenged, who does is the XCAP user", func(t *testing.T) {
		s := newSite(t, func(c *xcapnotify.ServerConfig) { c.Auth = &xcapnotify.Auth{Realm: "example.com", Users: source} })
		s.put(index, friends(), "e1", "")
		s.put(strings.ReplaceAll(index, "alice", "bob"), friends(), "e2", "")
		err := s.follow(s.user(nil), "e1", xcapwatch.Options{}, nil)
		if refused := (*event.ResponseError)(nil); !errors.As(err, &refused) || refused.Status != 401 {
			t.Fatalf("%v", err)
		}
		a := s.user(func(c *agent.Config) {
			c.Credentials = func(string) (string, string, error) { return "alice", "wonderland", nil }
		})
		var paths []string
		if err := s.follow(a, "e1", xcapwatch.Options{URIs: []string{"resource-lists/"}}, func(events []xcapwatch.Event) {
			for _, e := range events {
				paths = append(paths, e.Path)
			}
		}); err != nil || len(paths) != 1 || paths[0] != index {
			t.Errorf("%v, %q", err, paths)
		}
	})
	t.Run("XDE-042 over TLS", func(t *testing.T) {
		authority, err := certs.NewAuthority("test", time.Now(), time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		certPEM, keyPEM, err := authority.Issue(certs.Names{Domains: []string{"example.com"}}, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		own, err := tls.X509KeyPair(certPEM, keyPEM)
		if err != nil {
			t.Fatal(err)
		}
		s := newSite(t, func(c *xcapnotify.ServerConfig) {
			c.Listen = []stack.Endpoint{{Transport: "tls", Addr: "127.0.0.1:0"}}
			c.Stack.ServerTLS = func() *tls.Config {
				return &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{own}}
			}
		})
		s.put(index, friends(), "e1", "")
		a := s.user(func(c *agent.Config) {
			c.Proxy = stack.Target{Addr: s.server.Addrs()[0].Addr, Transport: "tls", Domain: "example.com"}
			c.ClientTLS = func(domain string) *tls.Config { return certs.Client(domain, authority.Pool(), nil) }
		})
		if err := s.follow(a, "e1", xcapwatch.Options{Target: "sips:alice@example.com"}, nil); err != nil {
			t.Error(err)
		}
	})
	t.Run("URIs of other servers are not found", func(t *testing.T) {
		s := newSite(t, nil)
		err := s.follow(s.user(nil), "e1", xcapwatch.Options{Target: "sip:alice@example.net"}, nil)
		if refused := (*event.ResponseError)(nil); !errors.As(err, &refused) || refused.Status != 404 {
			t.Errorf("%v", err)
		}
		s.put(index, friends(), "e1", "")
		if err := s.follow(s.user(nil), "e1", xcapwatch.Options{Target: "sip:" + s.server.Addrs()[0].Addr}, nil); err != nil {
			t.Errorf("its own address: %v", err)
		}
	})
	t.Run("the root must be one", func(t *testing.T) {
		if _, err := xcapnotify.Serve(t.Context(), xcapnotify.ServerConfig{Config: xcapnotify.Config{RootURI: "sip:a"}}); err == nil {
			t.Error("taken")
		}
	})
}
