//go:build linux

package stack

import (
	"context"
	"fmt"
	"net"
	"testing"
	"time"
)

// TestAnswersTogether has a busy listener send several answers at a time, over both families: each arrives, in order,
// and Close leaves none behind.
func TestAnswersTogether(t *testing.T) {
	for _, at := range []string{"127.0.0.1:0", "[::1]:0", ":0"} {
		s := New(Config{})
		if err := s.Listen(context.Background(), Endpoint{Transport: "udp", Addr: at}); err != nil {
			t.Logf("no %s here: %v", at, err)
			continue
		}
		u := (*s.bindings.Load())[0].socket
		to := u.pc.LocalAddr().(*net.UDPAddr)
		if to.IP.IsUnspecified() {
			to = &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: to.Port}
		}
		c, err := net.DialUDP("udp", nil, to)
		if err != nil {
			t.Fatal(err)
		}
		_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
		next := 0
		expect := func(n int) {
			t.Helper()
			for ; next < n; next++ {
				b := make([]byte, 100)
				k, err := c.Read(b)
				if want := fmt.Sprint("answer ", next); err != nil || string(b[:k]) != want {
					t.Fatalf("%s: %q, %v, not %s", at, b[:k], err, want)
				}
			}
		}
		u.busy.Store(true) // as the reader finds when there are really many
		put := func(i int) {
			buf := borrow()
			*buf = fmt.Appendf(*buf, "answer %d", i)
			u.answer(buf, addrPort(c.LocalAddr()), true)
		}
		for i := range 50 {
			if put(i); i%20 == 19 {
				expect(i + 1)
			}
		}
		expect(50)
		before := s.Stats().Messages["udp"].Out
		u.answers.sending.Lock() // until there are several
		for i := 50; i < 50+2*batchSize+3; i++ {
			put(i)
		}
		u.answers.sending.Unlock()
		expect(50 + 2*batchSize + 3)
		if s.Stats().Messages["udp"].Out != before+2*batchSize+3 {
			t.Errorf("%s: %d datagrams are counted", at, s.Stats().Messages["udp"].Out-before)
		}
		u.answers.sending.Lock()
		put(next)
		u.answers.sending.Unlock()
		_ = s.Close()
		expect(next + 1)
		put(next) // is lost, and nothing else
		_ = c.Close()
	}
}
