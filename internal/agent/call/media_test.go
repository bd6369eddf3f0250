package call

import (
	"bytes"
	"context"
	"errors"
	"io"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"imp/internal/doc/sdp"
	"imp/internal/msrp/file"
	"imp/internal/msrp/session"
	"imp/internal/msrp/wire"
	"imp/internal/sip/uac"
)

// capture keeps what goes over the connections of a node.
type capture struct {
	mu      sync.Mutex
	out, in bytes.Buffer
}

func (c *capture) take(r session.Record) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r.Out {
		c.out.Write(r.Data)
	} else {
		c.in.Write(r.Data)
	}
}

func (c *capture) sent() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.out.String()
}

// until waits until text was sent.
func (c *capture) until(t *testing.T, text string) {
	t.Helper()
	for end := time.Now().Add(patience); !strings.Contains(c.sent(), text); runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatalf("%q was not sent: %q", text, c.sent())
		}
	}
}

// stage makes an endpoint on this machine.
func stage(t *testing.T, change func(*Endpoint)) (*Endpoint, *capture) {
	t.Helper()
	c := new(capture)
	cert, err := session.NewCertificate(time.Now(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	node := session.New(session.Config{Trace: c.take, Certificate: &cert})
	t.Cleanup(func() { _ = node.Close() })
	e := &Endpoint{Node: node, Local: session.Local{Reachable: true}, Types: []string{"text/plain", "message/cpim", "*"},
		Fingerprint: session.FingerprintOf(cert.Certificate[0]).String()}
	for transport, addr := range map[string]*string{"tcp": &e.Plain, "tls": &e.TLS} {
		l, err := node.Listen(t.Context(), transport, "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		*addr = l.Addr()
	}
	if change != nil {
		change(e)
	}
	return e, c
}

// received is what bob's side knows.
type received struct {
	n    *Connection
	leg  *Leg
	body []byte
	err  error
	in   *session.Incoming
}

// pair is alice with a connection to bob, who takes everything.
type pair struct {
	alice, bob *Endpoint
	sent, got  *capture
	n          *Connection
	errs       []error
	err        error
	offer      *sdp.Description
	came       chan received
	decided    int
	mu         sync.Mutex
}

type setup struct {
	lines      []Line
	alice, bob func(*Endpoint)
	decide     Decide
	read       func(*received) // reads a session at bob's; nil: one message
	tamper     func(*sdp.Description)
}

func connect(t *testing.T, s setup) *pair {
	t.Helper()
	p := &pair{came: make(chan received, 16)}
	p.alice, p.sent = stage(t, s.alice)
	p.bob, p.got = stage(t, s.bob)
	if s.read == nil {
		s.read = func(r *received) {
			if r.in, r.err = r.leg.Session.Receive(r.leg.Context()); r.err == nil {
				r.body, r.err = io.ReadAll(r.in)
			}
		}
	}
	if s.decide == nil {
		s.decide = func(m *sdp.Media) (*sdp.File, error) {
			if m.File == nil {
				return nil, nil
			}
			return m.File.ToReceive(), nil
		}
	}
	decide := func(m *sdp.Media) (*sdp.File, error) {
		p.mu.Lock()
		p.decided++
		p.mu.Unlock()
		return s.decide(m)
	}
	bob := start(t, "tcp", Config{Invited: func(in *Incoming) {
		if s.tamper != nil {
			s.tamper(in.Offer)
		}
		p.offer = in.Offer
		_, _ = p.bob.Take(context.Background(), in, decide, func(n *Connection, leg *Leg) {
			r := received{n: n, leg: leg}
			s.read(&r)
			p.came <- r
		})
	}})
	alice := start(t, "tcp", Config{})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	p.n, p.errs, p.err = alice.Connect(ctx, p.alice, Outgoing{To: "sip:bob@" + bob.at + ";transport=tcp"}, s.lines)
	return p
}

func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// push is a line for a file.
func push(name string, size int64) Line {
	return Line{File: &sdp.File{Name: name, Size: size, Type: "text/plain", ID: file.NewID()}, Direction: sdp.SendOnly}
}

func text(body string) session.Message {
	return session.Message{Type: "text/plain", Body: strings.NewReader(body), Size: int64(len(body))}
}

func TestMessages(t *testing.T) {
	for _, tls := range []bool{false, true} {
		p := connect(t, setup{lines: []Line{{TLS: tls}}})
		if p.err != nil {
			t.Fatal(p.err)
		}
		leg := p.n.Legs()[0]
		sent, err := leg.Send(within(t), text("hello"))
		if err == nil {
			err = sent.Wait(within(t))
		}
		if r := await(t, "the message", p.came); err != nil || string(r.body) != "hello" {
			t.Errorf("%q, %v, %v", r.body, r.err, err)
		}
		m, a := p.offer.Media[0], p.n.Call.Remote().Media[0]
		t.Run("MSRP-068 port and host are those of the URI, the protocol is that of the transport", func(t *testing.T) {
			for _, line := range []*sdp.Media{m, a} {
				path, err := wire.ParsePath(line.Path)
				if err != nil || len(path) != 1 || path[0].Port != uint16(line.Port) || path[0].Host != line.Host || line.TLS() != tls || path[0].Secure != tls || line.Formats != "*" {
					t.Errorf("%+v", line)
				}
			}
		})
		t.Run("MCON-001 MCON-013 setup and msrp-cema are in offer and answer", func(t *testing.T) {
			if m.Setup != sdp.ActPass || a.Setup != sdp.Passive || !m.CEMA || !a.CEMA {
				t.Errorf("%+v, %+v", m, a)
			}
		})
		t.Run("MSRP-102 all types that everybody must take are listed, or *", func(t *testing.T) {
			for _, mediaType := range session.MustAccept {
				if !a.Accepts(mediaType) {
					t.Errorf("%s is not", mediaType)
				}
			}
		})
		t.Run("MCON-009 MSRP-091 certificates are checked with the fingerprints", func(t *testing.T) {
			if (len(m.Fingerprints) == 1) != tls || (len(a.Fingerprints) == 1) != tls {
				t.Errorf("%q, %q", m.Fingerprints, a.Fingerprints)
			}
		})
		t.Run("MSRP-070 MSRP-071 To-Path is the whole path", func(t *testing.T) {
			p.sent.until(t, "To-Path: "+a.Path+"\r\n")
		})
		t.Run("MSRP-079 the same offer again changes nothing", func(t *testing.T) {
			d, err := p.n.Call.Offer(within(t), p.n.description())
			if err != nil || d.Version != 1 || d.Media[0].Path != a.Path || p.n.Call.Local().Version != 1 {
				t.Errorf("%+v, %v", d, err)
			}
		})
		if err := p.n.Call.Bye(within(t)); err != nil {
			t.Error(err)
		}
		await(t, "the end of the session", leg.Session.Done())
	}
}

func TestWhoConnects(t *testing.T) {
	hello := func(t *testing.T, p *pair) {
		t.Helper()
		if p.err != nil {
			t.Fatal(p.err)
		}
		if _, err := p.n.Legs()[0].Send(within(t), text("hello")); err != nil {
			t.Fatal(err)
		}
		if r := await(t, "the message", p.came); string(r.body) != "hello" {
			t.Errorf("%q, %v", r.body, r.err)
		}
	}
	t.Run("MCON-006 MCON-003 who cannot be reached is active, at port 9, and connects", func(t *testing.T) {
		p := connect(t, setup{lines: []Line{{}}, alice: func(e *Endpoint) { e.Local.Reachable = false }})
		hello(t, p)
		if m := p.offer.Media[0]; m.Setup != sdp.Active || m.Port != 9 || strings.Contains(m.Path, ":9/") || p.n.Call.Remote().Media[0].Setup != sdp.Passive {
			t.Errorf("%+v", m)
		}
	})
	t.Run("MCON-004 MCON-008 an answerer that cannot be reached connects, and sends first", func(t *testing.T) {
		p := connect(t, setup{lines: []Line{{}}, bob: func(e *Endpoint) { e.Local.Reachable = false }})
		hello(t, p)
		p.got.until(t, " SEND\r\n")
		if a := p.n.Call.Remote().Media[0]; a.Setup != sdp.Active || a.Port != 9 {
			t.Errorf("%+v", a)
		}
	})
	t.Run("MSRP-081 MCON-007 without setup the offerer connects", func(t *testing.T) {
		p := connect(t, setup{lines: []Line{{}}, alice: func(e *Endpoint) { e.Local.Plain = true }})
		hello(t, p)
		if m, a := p.offer.Media[0], p.n.Call.Remote().Media[0]; m.Setup != "" || a.Setup != sdp.Passive || a.CEMA {
			t.Errorf("%+v, %+v", m, a)
		}
	})
	t.Run("MCON-015 an address that is not of the path, without msrp-cema", func(t *testing.T) {
		p := connect(t, setup{lines: []Line{{}}, alice: func(e *Endpoint) { e.Local.NoCEMA = true }, tamper: func(d *sdp.Description) { d.Media[0].Host = "192.0.2.1" }})
		var refused *uac.ResponseError
		if !errors.As(p.err, &refused) || refused.Status != 488 {
			t.Errorf("%v", p.err)
		}
	})
	t.Run("MCON-002 an offer with holdconn is one without setup", func(t *testing.T) {
		hello(t, connect(t, setup{lines: []Line{{}}, tamper: func(d *sdp.Description) { d.Media[0].Setup = sdp.NoSetup }}))
	})
}

func TestRefusals(t *testing.T) {
	refuses := func(name string, status int, s setup) {
		t.Run(name, func(t *testing.T) {
			if s.lines == nil {
				s.lines = []Line{{}}
			}
			p := connect(t, s)
			var refused *uac.ResponseError
			if !errors.As(p.err, &refused) || refused.Status != status {
				t.Errorf("%v", p.err)
			}
		})
	}
	refuses("MSRP-076 no type in common", 488, setup{alice: func(e *Endpoint) { e.Types = []string{"foo/bar"} }, bob: func(e *Endpoint) { e.Types = []string{"text/plain"} }})
	refuses("MSRP-069 no path", 488, setup{tamper: func(d *sdp.Description) { d.Media[0].Path = "" }})
	refuses("MSRP-004 a path without a port", 488, setup{tamper: func(d *sdp.Description) { d.Media[0].Path = "msrp://127.0.0.1/x;tcp" }})
	refuses("no MSRP at all", 488, setup{tamper: func(d *sdp.Description) { d.Media[0].Kind = "audio" }})
	refuses("TLS without a listener for it", 488, setup{lines: []Line{{TLS: true}}, bob: func(e *Endpoint) { e.TLS = "" }})
	refuses("FILE-025 FILE-019 somebody decides", 603, setup{lines: []Line{push("a", 5)}, decide: func(*sdp.Media) (*sdp.File, error) { return nil, &Refusal{603, "no"} }})
	refuses("FILE-039 a file without a selector", 488, setup{lines: []Line{push("a", 5)}, tamper: func(d *sdp.Description) { d.Media[0].File.Capability = true }})
	t.Run("MSRP-077 FILE-015 one line of two is refused", func(t *testing.T) {
		p := connect(t, setup{lines: []Line{push("a", 5), push("b", 5)}, decide: func(m *sdp.Media) (*sdp.File, error) {
			if m.File.Name == "a" {
				return nil, errors.New("not this one")
			}
			return m.File.ToReceive(), nil
		}})
		if p.err != nil || p.errs[0] != sdp.ErrRefused || p.errs[1] != nil || p.n.Legs()[0] != nil || p.n.Legs()[1] == nil {
			t.Fatalf("%v, %v", p.err, p.errs)
		}
		if m := p.n.Call.Remote().Media[0]; m.Port != 0 || m.File.ID != p.offer.Media[0].File.ID {
			t.Errorf("%+v", m)
		}
	})
}

func TestFiles(t *testing.T) {
	t.Run("FILE-011 FILE-026 three files, three lines, sessions and ids, each with its file only", func(t *testing.T) {
		p := connect(t, setup{lines: []Line{push("a", 1), push("b", 1), push("c", 1)}})
		if p.err != nil {
			t.Fatal(p.err)
		}
		paths, ids := map[string]bool{}, map[string]bool{}
		for i, leg := range p.n.Legs() {
			paths[leg.Line.Path], ids[leg.Line.File.ID] = true, true
			if leg.Line.Direction != sdp.SendOnly || leg.Remote.Direction != sdp.RecvOnly || leg.Line.AcceptTypes == nil {
				t.Errorf("%+v", leg.Line)
			}
			if _, err := leg.Send(within(t), text(string(rune('a'+i)))); err != nil {
				t.Error(err)
			}
			if _, err := leg.Send(within(t), text("chat")); err != ErrDedicated {
				t.Error(err)
			}
		}
		if len(paths) != 3 || len(ids) != 3 {
			t.Errorf("%v, %v", paths, ids)
		}
		for range 3 {
			if r := await(t, "a file", p.came); string(r.body) != r.leg.Remote.File.Name {
				t.Errorf("%q: %q, %v", r.leg.Remote.File.Name, r.body, r.err)
			}
		}
	})
	t.Run("FILE-030 a file that is larger than the peer takes is not begun", func(t *testing.T) {
		p := connect(t, setup{lines: []Line{push("a", 6)}, bob: func(e *Endpoint) { e.MaxSize = 5 }})
		if p.err != nil {
			t.Fatal(p.err)
		}
		if _, err := p.n.Legs()[0].Send(within(t), text("123456")); !errors.Is(err, session.ErrSize) {
			t.Error(err)
		}
		if strings.Contains(p.sent.sent(), "123456") {
			t.Error("it was sent")
		}
	})
	t.Run("FILE-014 a file joins a session for messages, which goes on", func(t *testing.T) {
		p := connect(t, setup{lines: []Line{{}}})
		if p.err != nil {
			t.Fatal(p.err)
		}
		chat := p.n.Legs()[0]
		leg, err := p.n.Add(within(t), push("a", 4))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := leg.Send(within(t), text("file")); err != nil {
			t.Error(err)
		}
		if r := await(t, "the file", p.came); string(r.body) != "file" || r.leg.Remote.File.Name != "a" {
			t.Errorf("%q, %v", r.body, r.err)
		}
		if _, err := chat.Send(within(t), text("chat")); err != nil || p.n.Call.Remote().Media[0].Path != chat.Remote.Path {
			t.Error(err)
		}
		if r := await(t, "the message", p.came); string(r.body) != "chat" || r.leg.Line.File != nil {
			t.Errorf("%q, %v", r.body, r.err)
		}
	})
	t.Run("FILE-022 FILE-024 the description again: nothing starts, and port 0 when the file has come", func(t *testing.T) {
		hold := make(chan struct{})
		p := connect(t, setup{lines: []Line{push("a", 4)}, read: func(r *received) {
			r.in, r.err = r.leg.Session.Receive(r.leg.Context())
			<-hold
		}})
		if p.err != nil {
			t.Fatal(p.err)
		}
		again := func() *sdp.Description {
			d := *p.n.Call.Local()
			d.Media = append([]*sdp.Media(nil), d.Media...)
			m := *d.Media[0]
			m.Title = "another o-line" + number(int(d.Version))
			d.Media[0] = &m
			answer, err := p.n.Call.Offer(within(t), &d)
			if err != nil {
				t.Fatal(err)
			}
			return answer
		}
		if a := again(); a.Media[0].Port == 0 || a.Media[0].Path != p.n.Legs()[0].Remote.Path {
			t.Errorf("during it: %+v", a.Media[0])
		}
		if _, err := p.n.Legs()[0].Send(within(t), text("file")); err != nil {
			t.Error(err)
		}
		close(hold)
		r := await(t, "the file", p.came)
		<-r.leg.idle
		if a := again(); a.Media[0].Port != 0 || a.Media[0].File.ID != p.offer.Media[0].File.ID {
			t.Errorf("after it: %+v", a.Media[0])
		}
		if p.decided != 1 || r.err != nil {
			t.Errorf("decided %d times, %v", p.decided, r.err)
		}
	})
}

func number(n int) string { return string(rune('0' + n)) }

// sending begins to send a file of which only the beginning comes.
func sending(t *testing.T, p *pair, failure wire.Failure) (leg *Leg, done chan error) {
	t.Helper()
	if p.err != nil {
		t.Fatal(p.err)
	}
	leg, done = p.n.Legs()[0], make(chan error, 1)
	pipe, feed := io.Pipe()
	go func() {
		_, _ = feed.Write(bytes.Repeat([]byte("x"), 100_000))
		<-leg.Context().Done()
		_ = feed.CloseWithError(leg.Context().Err())
	}()
	go func() {
		_, err := leg.Send(leg.Context(), session.Message{Type: "text/plain", Body: pipe, Size: 1_000_000, FailureReport: failure})
		done <- err
		leg.Finish()
	}()
	return leg, done
}

func TestAbort(t *testing.T) {
	half := func(r *received) { // reads until nothing comes any more
		if r.in, r.err = r.leg.Session.Receive(r.leg.Context()); r.err == nil {
			r.body, r.err = io.ReadAll(r.in)
		}
	}
	t.Run("FILE-034 the sender gives up: flag #, and port 0 with the same id", func(t *testing.T) {
		p := connect(t, setup{lines: []Line{push("a", 1_000_000)}, read: half})
		leg, done := sending(t, p, wire.FailureYes)
		p.sent.until(t, strings.Repeat("x", 1000))
		leg.cancel()
		if err := await(t, "Send", done); err == nil {
			t.Error("it was sent")
		}
		p.sent.until(t, "#\r\n")
		if err := p.n.Drop(within(t), leg); err != nil {
			t.Error(err)
		}
		r := await(t, "the end", p.came)
		if r.err == nil || r.n.Call.Remote().Media[0].Port != 0 || r.n.Call.Remote().Media[0].File.ID != p.offer.Media[0].File.ID {
			t.Errorf("%v, %+v", r.err, r.n.Call.Remote().Media[0])
		}
	})
	stops := func(name string, failure wire.Failure, refuse bool) {
		t.Run(name, func(t *testing.T) {
			p := connect(t, setup{lines: []Line{push("a", 1_000_000)}, read: func(r *received) {
				if r.in, r.err = r.leg.Session.Receive(r.leg.Context()); r.err == nil {
					_, r.err = io.ReadFull(r.in, make([]byte, 1000))
				}
				if refuse {
					_ = r.in.Close()
				}
				if err := r.n.Drop(context.Background(), r.leg); err != nil {
					t.Error(err)
				}
				sender := senderOf(r)
				if !sender.n.Legs()[0].finished() {
					t.Error("the answer came before the end of the message")
				}
				sender.sent.until(t, "#\r\n")
			}})
			if p.err != nil {
				t.Fatal(p.err)
			}
			senders.Store(p.offer.Media[0].Path, p)
			_, done := sending(t, p, failure)
			if err := await(t, "Send", done); err == nil {
				t.Error("it was sent")
			}
			await(t, "the drop", p.came)
			if m := p.n.Call.Remote().Media[0]; m.Port != 0 || m.File == nil || m.File.ID != p.offer.Media[0].File.ID {
				t.Errorf("%+v", m)
			}
			if told := strings.Contains(p.got.sent(), " 413"); told && failure == wire.FailureNo {
				t.Error("413 to a message with Failure-Report: no")
			}
		})
	}
	stops("FILE-035 the receiver gives up", wire.FailureYes, true)
	stops("FILE-036 FILE-037 the receiver gives up, and tells by port 0 only; the sender ends with # before it answers", wire.FailureNo, false)
}

// senders finds who has called, by the path of a session.
var senders sync.Map

func senderOf(r *received) *pair {
	for end := time.Now().Add(patience); time.Now().Before(end); runtime.Gosched() {
		if p, ok := senders.Load(r.leg.Remote.Path); ok {
			return p.(*pair)
		}
	}
	return nil
}
