package stack

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	sip "github.com/emiago/sipgo/sip"

	"imp/internal/transport/websocket"
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

// BenchmarkPublish is a PUBLISH from the socket through a handler to its answer, with 64 outstanding. The
// CPU time includes that of the peer, which sends and reads without parsing.
func BenchmarkPublish(b *testing.B) {
	a := newAuthority(b)
	show := server(a.domains("example.com"))()
	for _, transport := range []string{"udp", "tcp", "tls", "ws", "wss"} {
		b.Run(transport, func(b *testing.B) {
			cfg := Config{Product: "imp/bench", T1: 20 * time.Millisecond, ServerTLS: func() *tls.Config { return show }}
			s := serveAt(b, cfg, func(s *Stack) {
				s.Handle("PUBLISH", func(context.Context, *Request) *Response {
					return Answer(200, Field{"SIP-ETag", "4bKaXq8z"}, Field{"Expires", "3600"})
				})
			}, transport+":127.0.0.1:0")
			conn, frame := benchConn(b, s)
			template := msgBody("PUBLISH", pidf, "Event: presence", "Expires: 3600", "Content-Type: application/pidf+xml",
				"Contact: <sip:alice@192.0.2.1:5060>", "User-Agent: bench", "Via: SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bK-########;rport",
				"Call-ID: ########@example.com")
			parts := strings.SplitN(template, "########", 3)
			read := make([]byte, 1<<16)
			b.ReportAllocs()
			begin := cpu()
			b.ResetTimer()
			outstanding := 0
			var buf, out []byte
			for i := range b.N {
				id := fmt.Sprintf("%08d", serial.Add(1))
				buf = append(append(append(append(append(buf[:0], parts[0]...), id...), parts[1]...), id...), parts[2]...)
				out = frame(out[:0], buf)
				if _, err := conn.Write(out); err != nil {
					b.Fatal(err)
				}
				if outstanding++; outstanding == 64 || i == b.N-1 {
					for kept := 0; outstanding > 0; {
						_ = conn.SetReadDeadline(time.Now().Add(patience))
						n, err := conn.Read(read[kept:])
						if err != nil {
							b.Fatal(err)
						}
						outstanding -= bytes.Count(read[:kept+n], okLine)
						rest := read[max(0, kept+n-len(okLine)+1) : kept+n] // half of one may be there
						kept = copy(read, rest)
					}
				}
			}
			b.ReportMetric(float64(cpu()-begin)/float64(b.N), "cpu-ns/op")
		})
	}
}

var okLine = []byte("SIP/2.0 200")

// benchConn connects to the one endpoint of a stack; frame is what makes of a message what goes over the wire.
func benchConn(b *testing.B, s *Stack) (conn net.Conn, frame func(out, m []byte) []byte) {
	frame = func(out, m []byte) []byte { return append(out, m...) }
	ep := s.Addrs()[0]
	network := "tcp"
	if ep.Transport == "udp" {
		network = "udp"
	}
	conn, err := net.Dial(network, ep.Addr)
	if err != nil {
		b.Fatal(err)
	}
	if s.kinds[ep.Transport].secure {
		conn = tls.Client(conn, &tls.Config{InsecureSkipVerify: true})
	}
	if s.kinds[ep.Transport].framed {
		if _, _, err := (&websocket.Client{Protocol: "sip", Host: "x", Path: "/", MaxHeader: 4096}).Connect(conn); err != nil {
			b.Fatal(err)
		}
		frame = func(out, m []byte) []byte { return websocket.AppendMessage(out, m, true) }
	}
	b.Cleanup(func() { _ = conn.Close() })
	return conn, frame
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
