package stack

import (
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestReceives sends datagrams of several lengths over both families and sees that they arrive whole and in order, with
// their source.
func TestReceives(t *testing.T) {
	for _, at := range []string{"127.0.0.1:0", "[::1]:0", "[::]:0"} {
		pc, err := net.ListenPacket("udp", at)
		if err != nil {
			t.Logf("no %s here: %v", at, err)
			continue
		}
		s := New(Config{Workers: 1, WorkerQueue: 100})
		u := s.newSocket(pc.(*net.UDPConn))
		receive, queue := u.receiver(), &u.requests.lanes[0]
		to := addrPort(pc.LocalAddr())
		if to.Addr().IsUnspecified() { // both families
			to = netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), to.Port())
		}
		from, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(to))
		if err != nil {
			t.Fatal(err)
		}
		var sent []string
		for i := range 40 {
			sent = append(sent, "OPTIONS sip:a SIP/2.0\r\n"+strings.Repeat(string(rune('A'+i)), i*20))
		}
		sent[0] += strings.Repeat("x", 60_000)
		for i, m := range sent {
			if _, err := from.Write([]byte(m)); err != nil {
				t.Fatal(err)
			}
			for queue.len() <= i && i%20 == 0 || i == len(sent)-1 && queue.len() < len(sent) { // some alone, some together
				if err := receive(); err != nil {
					t.Fatal(err)
				}
			}
		}
		_ = pc.Close()
		if receive() == nil {
			t.Error("a closed socket gives no error")
		}
		got := 0
		for queue.len() > 0 {
			p := queue.pop()
			if got >= len(sent) || string(*p.data) != sent[got] {
				t.Fatalf("%s: datagram %d is not what was sent", at, got)
			}
			if p.remote != addrPort(from.LocalAddr()) {
				t.Errorf("%s: from %v, not %v", at, p.remote, from.LocalAddr())
			}
			got++
		}
		if got < len(sent) {
			t.Errorf("%s: %d of %d", at, got, len(sent))
		}
		_ = from.Close()
		_ = s.Close()
	}
}

func TestPacer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p pacer
		waited := func() time.Duration {
			before := time.Now()
			p.wait()
			return time.Since(before)
		}
		run := func(perSecond int, n int) {
			for range n {
				time.Sleep(time.Second / time.Duration(perSecond))
				p.count(1)
			}
		}
		run(100, 50)
		if d := waited(); d != 0 {
			t.Errorf("waits %v at 100 a second", d)
		}
		run(2000, 400)
		if d := waited(); d != pause {
			t.Errorf("waits %v at 2000 a second", d)
		}
		run(1300, 130) // a stall of whoever sends, not the doing of the wait
		run(2000, 200)
		if d := waited(); d != pause {
			t.Errorf("waits %v after a slow moment", d)
		}
		run(20_000, 4000)
		if d := waited(); d != 0 || !p.busy {
			t.Errorf("waits %v at 20000 a second, busy: %v", d, p.busy)
		}
		time.Sleep(time.Second)
		p.count(1) // one after a rest
		if d := waited(); d != 0 {
			t.Errorf("waits %v after a rest", d)
		}
	})
}

// TestPacerHoldsNobodyUp has senders that send on when they are answered.
func TestPacerHoldsNobodyUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const each = 250 * time.Microsecond // of work
		for _, senders := range []int{1, 4, 16} {
			var p pacer
			begin, waited, n := time.Now(), time.Duration(0), 0
			for ; n < 20_000; n += senders {
				before := time.Now()
				p.wait()
				waited += time.Since(before)
				time.Sleep(each * time.Duration(senders))
				p.count(senders)
			}
			// Sixteen fill most of the time that is waited for them.
			if rate := float64(n) / time.Since(begin).Seconds(); rate < 0.9*4000 && senders < 16 || rate < 0.6*4000 {
				t.Errorf("%d senders: %.0f a second with %v of waiting, not 4000", senders, rate, waited)
			}
			if waited == 0 {
				t.Errorf("%d senders: waiting was not tried", senders)
			}
		}
	})
}
