package rls

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/emiago/sipgo/sip"

	"imp/internal/sip/event"
	"imp/internal/sip/stack"
)

// sink answers every NOTIFY and counts them.
type sink struct {
	sent, bytes atomic.Int64
	told        chan struct{}
}

func (w *sink) Send(o *stack.Outgoing, done func(*sip.Response, error)) {
	w.sent.Add(1)
	w.bytes.Add(int64(len(o.Body)))
	done(&sip.Response{StatusCode: 200}, nil)
	w.told <- struct{}{}
}

// watched is a rig with so many watchers of a list of 100 members each.
func watched(b *testing.B, watchers int) (*rig, *sink) {
	w := &sink{told: make(chan struct{}, watchers)}
	r := newRig(b, func(_ *Config, n *event.NotifierConfig) { n.Wire = w })
	b.Cleanup(func() { r.n.Close(); r.store.Close() })
	var users []string
	for i := range 100 {
		users = append(users, fmt.Sprintf("u%d", i))
		r.notes.text[aor(users[i])] = strings.Repeat("x", 500)
	}
	r.friends(users...)
	for range watchers {
		if res := r.watcher("alice", "list").subscribe(); res.Status != 200 {
			b.Fatal(res.Status)
		}
		<-w.told
	}
	w.sent.Store(0)
	w.bytes.Store(0)
	return r, w
}

// BenchmarkChange is one change of a member of a list of 100, with one watcher
// and with a thousand: the document is rendered once, each NOTIFY has the part of
// that member alone.
func BenchmarkChange(b *testing.B) {
	for _, watchers := range []int{1, 1000} {
		b.Run(fmt.Sprintf("watchers=%d", watchers), func(b *testing.B) {
			r, w := watched(b, watchers)
			before := r.notes.renders
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N {
				r.notes.set("u7", fmt.Sprintf("%0500d", i))
				for range watchers {
					<-w.told
				}
			}
			b.StopTimer()
			b.ReportMetric(float64(w.bytes.Load())/float64(w.sent.Load()), "bytes/notify")
			b.ReportMetric(float64(r.notes.renders-before)/float64(b.N), "renderings/change")
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(w.sent.Load()), "ns/notify")
		})
	}
}

// BenchmarkFull is the full state of a list of 100, as a refresh brings it.
func BenchmarkFull(b *testing.B) {
	r, _ := watched(b, 1)
	w := r.watcher("alice", "list")
	v, _, err := (&listPackage{r.Server, r.notes}).Open(context.Background(), event.Request{Message: w.message(), Resource: w.target, Watcher: aor("alice")})
	if err != nil {
		b.Fatal(err)
	}
	defer v.Close("")
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := v.Render(0); err != nil {
			b.Fatal(err)
		}
	}
}
