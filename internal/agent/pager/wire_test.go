package pager_test

import (
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"imp/internal/agent/pager"
	"imp/internal/sip/header"
	"imp/internal/sip/stack"
)

// listening is a stack on loopback that a receiver listens at over UDP, and a
// socket to write to it.
func listening(t *testing.T) (*pager.Receiver, net.Conn) {
	t.Helper()
	r := receiver(t, pager.ReceiverConfig{})
	s := stack.New(stack.Config{})
	t.Cleanup(func() { s.Close() })
	s.Handle("MESSAGE", r.Handle)
	if err := s.Listen(t.Context(), stack.Endpoint{Transport: "udp", Addr: "127.0.0.1:0"}); err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("udp", s.Addrs()[0].Addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return r, c
}

// ask writes a datagram and reads the answer.
func ask(t *testing.T, c net.Conn, datagram string) string {
	t.Helper()
	if _, err := c.Write([]byte(datagram)); err != nil {
		t.Fatal(err)
	}
	c.SetReadDeadline(time.Now().Add(10 * time.Second))
	buf := make([]byte, 4096)
	n, err := c.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	return string(buf[:n])
}

func datagram(branch string) string {
	return "MESSAGE sip:alice@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:5060;rport;branch=z9hG4bK" + branch +
		"\r\nMax-Forwards: 70\r\nFrom: <sip:bob@example.com>;tag=b\r\nTo: <sip:alice@example.com>\r\nCall-ID: c\r\nCSeq: 1 MESSAGE\r\n" +
		"Content-Type: text/plain\r\nContent-Length: 2\r\n\r\nhi"
}

// waiting counts the messages that wait for their reader.
func waiting(t *testing.T, r *pager.Receiver) (n int) {
	r.Close()
	for {
		if _, err := r.Next(t.Context()); err != nil {
			return n
		}
		n++
	}
}

func TestOverUDP(t *testing.T) {
	t.Run("MSG-020 the 200 has neither body nor Contact on the wire", func(t *testing.T) {
		_, c := listening(t)
		got := ask(t, c, datagram("1"))
		if !strings.HasPrefix(got, "SIP/2.0 200 ") || !strings.HasSuffix(got, "\r\nContent-Length: 0\r\n\r\n") ||
			strings.Contains(got, "\nContact") || strings.Contains(got, "\nAccept") {
			t.Error(got)
		}
	})
	t.Run("MSG-022 a retransmission is answered again and shown once", func(t *testing.T) {
		r, c := listening(t)
		first := ask(t, c, datagram("1"))
		if again := ask(t, c, datagram("1")); again != first {
			t.Errorf("%s\nand then\n%s", first, again)
		}
		if n := waiting(t, r); n != 1 {
			t.Errorf("%d messages", n)
		}
	})
	t.Run("MSG-023 a copy that came another way is answered 482", func(t *testing.T) {
		r, c := listening(t)
		ask(t, c, datagram("1"))
		if got := ask(t, c, datagram("2")); !strings.HasPrefix(got, "SIP/2.0 482 ") {
			t.Error(got)
		}
		if n := waiting(t, r); n != 1 {
			t.Errorf("%d messages", n)
		}
	})
}

func TestSilentPeer(t *testing.T) {
	t.Run("MSG-018 a message over UDP is retransmitted and given up after 64*T1", func(t *testing.T) {
		peer, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer peer.Close()
		s := stack.New(stack.Config{T1: 4 * time.Millisecond})
		defer s.Close()
		if err := s.Listen(t.Context(), stack.Endpoint{Transport: "udp", Addr: "127.0.0.1:0"}); err != nil {
			t.Fatal(err)
		}
		sender := pager.NewSender(pager.SenderConfig{Wire: s, From: header.Address{URI: "sip:alice@example.com"},
			Proxy: stack.Target{Transport: "udp", Addr: peer.LocalAddr().String()}})
		if _, err := sender.Send(t.Context(), plain("sip:bob@example.com", "hi")); !errors.Is(err, stack.ErrTimeout) {
			t.Fatal(err)
		}
		last, err := net.Dial("udp", peer.LocalAddr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer last.Close()
		last.Write([]byte("end"))
		var all []string
		buf := make([]byte, 4096)
		for len(all) == 0 || all[len(all)-1] != "end" {
			n, _, err := peer.ReadFrom(buf)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, string(buf[:n]))
		}
		// The timer doubles up to 8*T1: 11 times in all, fewer on a busy machine.
		if len(all) < 3 {
			t.Errorf("sent %d times", len(all)-1)
		}
		for _, d := range all[1 : len(all)-1] {
			if d != all[0] {
				t.Errorf("%s\nis no retransmission of\n%s", d, all[0])
			}
		}
	})
}
