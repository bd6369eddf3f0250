package stack

import (
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
)

// fakeUDP stands for a UDP socket in tests that run on a fake clock.
type fakeUDP struct {
	t      testing.TB
	local  netip.AddrPort
	in     chan datagram
	closed chan struct{}
	once   sync.Once

	mu   sync.Mutex
	out  []datagram
	fail error // of the next writes
}

type datagram struct {
	data string
	peer netip.AddrPort
}

var (
	here  = netip.MustParseAddrPort("192.0.2.1:5060")
	there = netip.MustParseAddrPort("192.0.2.2:5070")
)

// fake adds a listener at here to a stack.
func fake(t testing.TB, s *Stack) *fakeUDP {
	f := &fakeUDP{t: t, local: here, in: make(chan datagram), closed: make(chan struct{})}
	u := s.newSocket(f)
	s.bindings.Store(&[]*binding{{Endpoint: Endpoint{"udp", here.String()}, kind: s.kinds["udp"], local: here, socket: u}})
	u.start()
	return f
}

func (f *fakeUDP) ReadFromUDPAddrPort(b []byte) (int, netip.AddrPort, error) {
	select {
	case d := <-f.in:
		return copy(b, d.data), d.peer, nil
	case <-f.closed:
		return 0, netip.AddrPort{}, net.ErrClosed
	}
}

func (f *fakeUDP) WriteToUDPAddrPort(b []byte, to netip.AddrPort) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fail != nil {
		return 0, f.fail
	}
	f.out = append(f.out, datagram{string(b), to})
	return len(b), nil
}

func (f *fakeUDP) LocalAddr() net.Addr     { return net.UDPAddrFromAddrPort(f.local) }
func (f *fakeUDP) SetReadBuffer(int) error { return nil }
func (f *fakeUDP) Close() error            { f.once.Do(func() { close(f.closed) }); return nil }

// sent takes away what was sent.
func (f *fakeUDP) sent() []datagram {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := f.out
	f.out = nil
	return out
}

// answerTo makes a response to a request that the stack sent.
func answerFor(request, status string, fields ...string) string {
	head, _, _ := strings.Cut(request, "\r\n\r\n")
	out := []string{"SIP/2.0 " + status}
	for _, line := range strings.Split(head, "\r\n")[1:] {
		switch name, _, _ := strings.Cut(line, ":"); name {
		case "Via", "From", "To", "Call-ID", "CSeq":
			out = append(out, line)
		}
	}
	out = append(out, fields...)
	return strings.Join(append(out, "Content-Length: 0", "", ""), "\r\n")
}

// outgoing is a request with its own Call-ID.
func outgoing(method string, to Target) *Outgoing {
	return &Outgoing{
		Method: method, URI: "sip:bob@example.com", Target: to,
		Head: []byte("From: <sip:alice@example.com>;tag=1\r\nTo: <sip:bob@example.com>\r\nCall-ID: " + NewCallID() +
			"\r\nCSeq: 7 " + method + "\r\nMax-Forwards: 70\r\n"),
	}
}
