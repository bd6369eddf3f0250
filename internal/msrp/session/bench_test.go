package session

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"runtime"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"imp/internal/msrp/wire"
)

// cpu reports the processor time of an operation, both ends together: the time on the clock says little on a machine
// that has other things to do.
func cpu(b *testing.B) func() {
	spent := func() int64 {
		var u syscall.Rusage
		if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
			return 0
		}
		return u.Utime.Nano() + u.Stime.Nano()
	}
	begin := spent()
	return func() { b.ReportMetric(float64(spent()-begin)/float64(b.N), "cpu-ns/op") }
}

// drain reads all messages of a session and counts them.
func drain(s *Session, messages *atomic.Int64) {
	for {
		in, err := s.Receive(context.Background())
		if err != nil {
			return
		}
		io.Copy(io.Discard, in)
		in.Close()
		messages.Add(1)
	}
}

// BenchmarkSmall is whole messages of 2 kB from one session to another, both ends in this process.
func BenchmarkSmall(b *testing.B) {
	for _, transport := range []string{"tcp", "tls"} {
		b.Run(transport, func(b *testing.B) {
			r := newRig(b, rigOptions{transport: transport})
			body := bytes.Repeat([]byte("x"), 2048)
			var messages atomic.Int64
			go drain(r.b, &messages)
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			var last *Sent
			report := cpu(b)
			for b.Loop() {
				last, _ = r.a.Send(b.Context(), Message{Type: "text/plain", Body: bytes.NewReader(body), Size: int64(len(body))})
			}
			if err := last.Wait(b.Context()); err != nil {
				b.Fatal(err)
			}
			report()
		})
	}
}

// zeros is content without end.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// BenchmarkLarge is one large message, in chunks of 64 kB and in as few as can be.
func BenchmarkLarge(b *testing.B) {
	for _, c := range []struct {
		name, transport string
		chunk           int
	}{{"tcp-64k", "tcp", 65536}, {"tcp", "tcp", 0}, {"tls-64k", "tls", 65536}, {"tls", "tls", 0}} {
		b.Run(c.name, func(b *testing.B) {
			r := newRig(b, rigOptions{transport: c.transport})
			var messages atomic.Int64
			go drain(r.b, &messages)
			b.SetBytes(1 << 20)
			b.ReportAllocs()
			b.ResetTimer()
			report := cpu(b)
			size := int64(b.N) << 20
			sent, err := r.a.Send(b.Context(), Message{Type: "application/octet-stream", Body: zeros{}, Size: size, Chunk: c.chunk})
			if err != nil {
				b.Fatal(err)
			}
			if err := sent.Wait(b.Context()); err != nil {
				b.Fatal(err)
			}
			report()
		})
	}
}

// BenchmarkBeside measures a small message, until its response is there, beside a bulk transfer on the same connection.
func BenchmarkBeside(b *testing.B) {
	for _, transport := range []string{"tcp", "tls"} {
		b.Run(transport, func(b *testing.B) {
			r := newRig(b, rigOptions{transport: transport})
			a2, b2 := r.pair(Own{}, Own{})
			var messages atomic.Int64
			go drain(r.b, &messages)
			go drain(b2, &messages)
			ctx, cancel := context.WithCancel(b.Context())
			bulk := make(chan struct{})
			go func() {
				defer close(bulk)
				r.a.Send(ctx, Message{Type: "application/octet-stream", Body: zeros{}, Size: -1, FailureReport: wire.FailureYes})
			}()
			var took []time.Duration
			for b.Loop() {
				begin := time.Now()
				sent, err := a2.Send(b.Context(), Message{Type: "text/plain", Body: bytes.NewReader([]byte("hello")), Size: 5})
				if err != nil {
					b.Fatal(err)
				}
				if err := sent.Wait(b.Context()); err != nil {
					b.Fatal(err)
				}
				took = append(took, time.Since(begin))
				time.Sleep(time.Millisecond)
			}
			cancel()
			<-bulk
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
			b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
		})
	}
}

// BenchmarkReceive is one session that receives frames that were made before and are written as fast as they are
// taken; the responses are read and thrown away.
func BenchmarkReceive(b *testing.B) {
	for _, c := range []struct {
		name        string
		body, total int
	}{{"2k", 2048, 2048}, {"64k", 65536, 65536}} {
		b.Run(c.name, func(b *testing.B) {
			n := New(Config{})
			defer n.Close()
			l, err := n.Listen(b.Context(), "tcp", "127.0.0.1:0")
			if err != nil {
				b.Fatal(err)
			}
			uri, _ := n.NewURI("tcp", l.Addr())
			s, _ := n.Open(Own{URI: uri})
			s.Start(b.Context(), Peer{})
			var messages atomic.Int64
			go drain(s, &messages)
			var frames []byte
			per := max(1, (1<<20)/c.body)
			for i := range per {
				id := fmt.Sprintf("tid%05d", i)
				frames = wire.AppendRequest(frames, id, wire.SEND)
				frames = wire.AppendField(frames, "To-Path", uri.String())
				frames = wire.AppendField(frames, "From-Path", "msrp://127.0.0.1:9/source;tcp")
				frames = wire.AppendField(frames, "Message-ID", fmt.Sprintf("message%05d", i))
				frames = wire.AppendField(frames, "Byte-Range", fmt.Sprintf("1-*/%d", c.total))
				frames = wire.AppendField(frames, "Content-Type", "application/octet-stream")
				frames = append(append(frames, "\r\n"...), bytes.Repeat([]byte("x"), c.body)...)
				frames = wire.AppendEnd(frames, id, wire.Last, true)
			}
			nc, err := net.Dial("tcp", l.Addr())
			if err != nil {
				b.Fatal(err)
			}
			go io.Copy(io.Discard, nc)
			b.SetBytes(int64(c.body))
			b.ReportAllocs()
			sent := int64(0)
			report := cpu(b)
			for b.Loop() {
				if sent%int64(per) == 0 {
					if _, err := nc.Write(frames); err != nil {
						b.Fatal(err)
					}
				}
				sent++
			}
			whole := (sent + int64(per) - 1) / int64(per) * int64(per)
			for messages.Load() < whole {
				runtime.Gosched()
			}
			report()
		})
	}
}
