package stack

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	sip "github.com/emiago/sipgo/sip"
)

const pidf = `<?xml version="1.0" encoding="UTF-8"?>` + "\r\n" +
	`<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="sip:alice@example.com">` +
	`<tuple id="t1"><status><basic>open</basic></status><contact>sip:alice@192.0.2.1</contact></tuple>` +
	`<note>at my desk</note></presence>`

func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkPublish is a PUBLISH over UDP from the socket through a handler to its answer, with 64 outstanding. The
// CPU time includes that of the peer, which sends and reads without parsing.
func BenchmarkPublish(b *testing.B) {
	for _, transport := range []string{"udp", "tcp"} {
		b.Run(transport, func(b *testing.B) {
			s := serve(b, Config{Product: "imp/bench", T1: 20 * time.Millisecond}, func(s *Stack) {
				s.Handle("PUBLISH", func(context.Context, *Request) *Response {
					return Answer(200, Field{"SIP-ETag", "4bKaXq8z"}, Field{"Expires", "3600"})
				})
			})
			w := dial(b, s, transport)
			template := msgBody("PUBLISH", pidf, "Event: presence", "Expires: 3600", "Content-Type: application/pidf+xml",
				"Contact: <sip:alice@192.0.2.1:5060>", "User-Agent: bench", "Via: SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bK-########;rport",
				"Call-ID: ########@example.com")
			parts := strings.SplitN(template, "########", 3)
			read := make([]byte, 1<<16)
			b.ReportAllocs()
			begin := cpu()
			b.ResetTimer()
			outstanding := 0
			var buf []byte
			for i := range b.N {
				id := fmt.Sprintf("%08d", serial.Add(1))
				buf = append(append(append(append(append(buf[:0], parts[0]...), id...), parts[1]...), id...), parts[2]...)
				if _, err := w.conn.Write(buf); err != nil {
					b.Fatal(err)
				}
				if outstanding++; outstanding == 64 || i == b.N-1 {
					for outstanding > 0 {
						_ = w.conn.SetReadDeadline(time.Now().Add(patience))
						n, err := w.conn.Read(read)
						if err != nil {
							b.Fatal(err)
						}
						outstanding -= strings.Count(string(read[:n]), "SIP/2.0 200")
					}
				}
			}
			b.ReportMetric(float64(cpu()-begin)/float64(b.N), "cpu-ns/op")
		})
	}
}

// drain is a socket that takes everything.
type drain struct{ *fakeUDP }

func (drain) WriteToUDPAddrPort(b []byte, _ netip.AddrPort) (int, error) { return len(b), nil }

// BenchmarkHandle is the same without sockets: parse, guard, handler, rendering.
func BenchmarkHandle(b *testing.B) {
	s := New(Config{Product: "imp/bench"})
	s.Handle("PUBLISH", func(context.Context, *Request) *Response {
		return Answer(200, Field{"SIP-ETag", "4bKaXq8z"}, Field{"Expires", "3600"})
	})
	template := msgBody("PUBLISH", pidf, "Event: presence", "Expires: 3600", "Content-Type: application/pidf+xml",
		"Contact: <sip:alice@192.0.2.1:5060>", "User-Agent: bench", "Via: SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bK-########;rport",
		"Call-ID: ########@example.com")
	parts := strings.SplitN(template, "########", 3)
	b.Cleanup(func() { _ = s.Close() })
	u := s.newSocket(drain{&fakeUDP{local: here}})
	e := new(envelope)
	b.Run("whole", func(b *testing.B) {
		b.ReportAllocs()
		var buf []byte
		for range b.N {
			id := fmt.Sprintf("%08d", serial.Add(1))
			buf = append(append(append(append(append(buf[:0], parts[0]...), id...), parts[1]...), id...), parts[2]...)
			u.handle(e, buf, there)
		}
	})
	msg := []byte(strings.ReplaceAll(template, "########", "12345678"))
	b.Run("scan", func(b *testing.B) {
		b.ReportAllocs()
		for range b.N {
			end := headEnd(msg, 0)
			e.scan(msg[:end])
		}
	})
	b.Run("request", func(b *testing.B) {
		b.ReportAllocs()
		for range b.N {
			if _, fault := e.request(); fault != "" {
				b.Fatal(fault)
			}
		}
	})
}

// BenchmarkNotify starts client transactions towards a peer that stays silent.
func BenchmarkNotify(b *testing.B) {
	sink, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer sink.Close()
	s := serve(b, Config{MaxPending: 1 << 30, T1: time.Hour}, nil)
	o := &Outgoing{
		Method: "NOTIFY", URI: "sip:watcher@127.0.0.1:5060",
		Head: []byte("From: <sip:alice@example.com>;tag=a\r\nTo: <sip:bob@example.com>;tag=b\r\nCall-ID: 1234567890@example.com\r\n" +
			"CSeq: 1 NOTIFY\r\nMax-Forwards: 70\r\nContact: <sip:127.0.0.1:5060>\r\nEvent: presence\r\n" +
			"Subscription-State: active;expires=3600\r\nContent-Type: application/pidf+xml\r\n"),
		Body: []byte(pidf), Target: Target{Addr: sink.LocalAddr().String()},
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		s.Send(o, func(*sip.Response, error) {})
	}
	b.StopTimer()
	runtime.GC()
	runtime.ReadMemStats(&after)
	b.ReportMetric((float64(after.HeapAlloc)-float64(before.HeapAlloc))/float64(b.N), "held-B/op")
}
