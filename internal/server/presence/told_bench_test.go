package presence

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"

	"imp/internal/sip/event"
	"imp/internal/sip/header"
	"imp/internal/sip/stack"
)

// prompt is a wire that answers at once, and counts.
type prompt struct {
	answers chan func(*sip.Response, error)
	awaited sync.WaitGroup
	stop    sync.WaitGroup
	bytes   atomic.Int64 // of bodies
}

func newPrompt() *prompt {
	p := &prompt{answers: make(chan func(*sip.Response, error), 4096)}
	ok := sip.NewResponse(200, "OK")
	p.stop.Go(func() {
		for done := range p.answers {
			done(ok, nil)
			p.awaited.Done()
		}
	})
	return p
}

func (p *prompt) Send(o *stack.Outgoing, done func(*sip.Response, error)) {
	p.bytes.Add(int64(len(o.Body)))
	p.answers <- done
}

// showing is the package presence for one presentity, all of whose watchers ask for
// the same.
type showing struct {
	*Agent
	presentity *presentity
	asked      *asked
}

func (s *showing) Open(context.Context, event.Request) (event.View, event.Decision, error) {
	s.presentity.retain()
	return newView(s.presentity, entityOfTest, layers{asked: s.asked}), event.Decision{}, nil
}

func (*showing) Resource(header.URI) (string, bool) { return entityOfTest, true }

// BenchmarkFanOutOfChanges is a change of one note in a document of 3 kB, told to
// a thousand watchers, per NOTIFY: whole, filtered, as what changed, and as both.
func BenchmarkFanOutOfChanges(b *testing.B) {
	const watchers = 1000
	noContacts := func() *asked { return filterOfTest(b, `<what><exclude>//p:contact</exclude></what>`) }
	both := noContacts()
	both.partial, both.name = true, both.name+"+"
	for _, c := range []struct {
		name  string
		asked *asked
	}{{"whole", nil}, {"filtered", noContacts()}, {"partial", &asked{partial: true, name: "+"}}, {"filtered-partial", both}} {
		b.Run(c.name, func(b *testing.B) {
			p := held()
			p.publish("one", someState(0))
			wire, pkg := newPrompt(), &showing{Agent: &Agent{}, presentity: p, asked: c.asked}
			at := int64(0)
			n := event.NewNotifier(event.NotifierConfig{Wire: wire, Resources: pkg, MinInterval: new(time.Duration),
				Contact: func(*stack.Request, string) string { return "sip:alice@192.0.2.9:5060;gr" }}, pkg)
			wire.awaited.Add(watchers)
			for i := range watchers {
				if res := n.Subscribe(b.Context(), subscribing(b, i)); res.Status != 200 {
					b.Fatalf("answered %d", res.Status)
				} else {
					res.Sent()
				}
			}
			wire.awaited.Wait()
			wire.bytes.Store(0)
			used := cpuTime(b)
			for b.Loop() {
				at++
				p.publish("one", someState(at))
				wire.awaited.Add(watchers)
				n.Changed("presence", entityOfTest)
				wire.awaited.Wait()
			}
			told := float64(b.N) * watchers
			b.ReportMetric(float64(cpuTime(b)-used)/told, "cpu-ns/NOTIFY")
			b.ReportMetric(float64(wire.bytes.Load())/told, "bytes/NOTIFY")
			n.Close()
			close(wire.answers)
			wire.stop.Wait()
		})
	}
}

// cpuTime is what the process has used: benchmarks share the machine.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// someState is a document with some tuples, in one of which a note changes.
func someState(at int64) string {
	var b strings.Builder
	for i := range 20 {
		fmt.Fprintf(&b, `<tuple id="t%d"><status><basic>open</basic></status><contact priority="0.5">sip:alice@device%d.example.com</contact></tuple>`, i, i)
	}
	fmt.Fprintf(&b, `<note>change %d</note>`, at)
	return b.String()
}

func subscribing(tb testing.TB, i int) *stack.Request {
	tb.Helper()
	m, err := sip.ParseMessage([]byte(strings.Join([]string{"SUBSCRIBE " + entityOfTest + " SIP/2.0",
		"Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK" + stack.NewTag(), "Max-Forwards: 70",
		fmt.Sprintf("From: <sip:watcher%d@example.com>;tag=%s", i, stack.NewTag()), "To: <" + entityOfTest + ">",
		"Call-ID: " + stack.NewCallID(), "CSeq: 1 SUBSCRIBE", "Event: presence", "Expires: 3600",
		fmt.Sprintf("Contact: <sip:watcher%d@192.0.2.1:5070;transport=tcp>", i), "Content-Length: 0"}, "\r\n") + "\r\n\r\n"))
	if err != nil {
		tb.Fatal(err)
	}
	return &stack.Request{Request: m.(*sip.Request)}
}
