package event

import (
	"context"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/emiago/sipgo/sip"

	"imp/internal/sip/stack"
	"imp/internal/store/memory"
)

// prompt is a wire that answers at once. It tells when as many NOTIFYs as
// awaited have been answered.
type prompt struct {
	answers chan func(*sip.Response, error)
	awaited sync.WaitGroup
	stop    sync.WaitGroup
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

func (p *prompt) Send(_ *stack.Outgoing, done func(*sip.Response, error)) { p.answers <- done }

// fixed is a package with a body of a usual size that changes with its mark.
type fixed struct {
	body []byte
	mark Mark
}

func (*fixed) Name() string       { return "fixed" }
func (*fixed) Types() []string    { return []string{"application/pidf+xml"} }
func (*fixed) Defaults() Defaults { return Defaults{} }
func (f *fixed) Open(context.Context, Request) (View, Decision, error) {
	return &fixedView{f}, Decision{}, nil
}
func (f *fixed) Check(contentType string, body []byte) (Doc, error) {
	return Doc{Type: contentType, Body: body}, nil
}

type fixedView struct{ f *fixed }

func (*fixedView) Key() string  { return "all" }
func (*fixedView) Close(string) {}
func (v *fixedView) Render(Mark) (Body, Mark, error) {
	return Body{Type: "application/pidf+xml", Bytes: v.f.body}, v.f.mark, nil
}

// watched is a notifier with n watchers spread over resources.
func watched(tb testing.TB, n, resources int) (*Notifier, *fixed, *prompt) {
	tb.Helper()
	wire, pkg := newPrompt(), &fixed{body: make([]byte, 800), mark: 1}
	notifier := NewNotifier(NotifierConfig{Wire: wire, Resources: everyone{},
		Contact: func(_ *stack.Request, user string) string { return "sip:" + user + "@192.0.2.9:5060;gr" }}, pkg)
	wire.awaited.Add(n)
	for i := range n {
		r := subscribe(tb, i, resources)
		if res := respond(notifier.Subscribe, r); res.Status != 200 {
			tb.Fatalf("answered %d %s", res.Status, res.Reason)
		}
	}
	wire.awaited.Wait()
	tb.Cleanup(func() {
		notifier.Close()
		close(wire.answers)
		wire.stop.Wait()
	})
	return notifier, pkg, wire
}

func subscribe(tb testing.TB, i, resources int) *stack.Request {
	tb.Helper()
	user := "user" + strconv.Itoa(i%resources)
	text := strings.Join([]string{"SUBSCRIBE sip:" + user + "@example.com SIP/2.0",
		"Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK" + stack.NewTag(), "Max-Forwards: 70",
		fmt.Sprintf("From: <sip:watcher%d@example.com>;tag=%s", i, stack.NewTag()), "To: <sip:" + user + "@example.com>",
		"Call-ID: " + stack.NewCallID(), "CSeq: 1 SUBSCRIBE", "Event: fixed", "Expires: 3600", "Accept: application/pidf+xml",
		fmt.Sprintf("Contact: <sip:watcher%d@192.0.2.1:5070;transport=tcp>", i), "Content-Length: 0"}, "\r\n") + "\r\n\r\n"
	m, err := sip.ParseMessage([]byte(text))
	if err != nil {
		tb.Fatal(err)
	}
	return &stack.Request{Request: m.(*sip.Request)}
}

// BenchmarkFanOut is one change told to many watchers, per NOTIFY.
func BenchmarkFanOut(b *testing.B) {
	for _, n := range []int{100, 1000} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			notifier, pkg, wire := watched(b, n, 1)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			for b.Loop() {
				wire.awaited.Add(n)
				pkg.mark++
				notifier.Changed("fixed", "sip:user0@example.com")
				wire.awaited.Wait()
			}
			runtime.ReadMemStats(&after)
			notifies := float64(b.N) * float64(n)
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/notifies, "ns/NOTIFY")
			b.ReportMetric(float64(after.Mallocs-before.Mallocs)/notifies, "allocs/NOTIFY")
		})
	}
}

// BenchmarkSubscribe is a fetch with its NOTIFY.
func BenchmarkSubscribe(b *testing.B) {
	notifier, _, wire := watched(b, 0, 1)
	reqs := make([]*stack.Request, 1000)
	for i := range reqs {
		reqs[i] = subscribe(b, i, 100)
		reqs[i].ReplaceHeader(sip.NewHeader("Expires", "0"))
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		wire.awaited.Add(1)
		respond(notifier.Subscribe, reqs[i%len(reqs)])
		wire.awaited.Wait()
	}
}

// BenchmarkMemory is the live heap of a subscription with its dialog.
func BenchmarkMemory(b *testing.B) {
	const n = 10_000
	for _, resources := range []int{100, n} {
		b.Run(fmt.Sprint(resources, " resources"), func(b *testing.B) {
			for b.Loop() {
				before := liveHeap()
				notifier, _, _ := watched(b, n, resources)
				b.ReportMetric(float64(liveHeap()-before)/n, "B/subscription")
				runtime.KeepAlive(notifier)
			}
		})
	}
}

func liveHeap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// BenchmarkPublish is a modification on the store in memory, with the watch
// running.
func BenchmarkPublish(b *testing.B) {
	kv, pkg := memory.New(), &fixed{}
	defer kv.Close()
	c := NewCompositor(CompositorConfig{Store: kv, Resources: everyone{}}, pkg)
	told := 0
	c.OnChange("fixed", func(Change) { told++ })
	ctx, cancel := context.WithCancel(context.Background())
	ready, stopped := make(chan struct{}), make(chan struct{})
	go func() { c.Run(ctx, func() { close(ready) }); close(stopped) }()
	<-ready
	publish := func(tag string) string {
		lines := []string{"PUBLISH sip:user@example.com SIP/2.0", "Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKa", "Max-Forwards: 70",
			"From: <sip:user@example.com>;tag=x", "To: <sip:user@example.com>", "Call-ID: call@192.0.2.1", "CSeq: 1 PUBLISH",
			"Event: fixed", "Expires: 3600", "Content-Type: application/pidf+xml", "Content-Length: 800"}
		if tag != "" {
			lines = append(lines, "SIP-If-Match: "+tag)
		}
		m, err := sip.ParseMessage([]byte(strings.Join(lines, "\r\n") + "\r\n\r\n" + strings.Repeat("x", 800)))
		if err != nil {
			b.Fatal(err)
		}
		req := &stack.Request{Request: m.(*sip.Request)}
		b.StartTimer()
		res := c.Publish(ctx, req)
		b.StopTimer()
		if res.Status != 200 {
			b.Fatalf("answered %d %s", res.Status, res.Reason)
		}
		return fieldOf(res, "SIP-ETag")
	}
	b.StopTimer()
	tag := publish("")
	b.ResetTimer()
	b.ReportAllocs()
	for range b.N {
		tag = publish(tag)
	}
	cancel()
	<-stopped
	if told < b.N {
		b.Fatalf("%d changes were told", told)
	}
}
