package registrar

import (
	"context"
	"net"
	"os/exec"
	"strconv"
	"testing"
	"time"
)

// freePort is a port that nobody uses, and the next but one neither, which media takes too.
func freePort(t *testing.T) string {
	t.Helper()
	for range 100 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		port := l.Addr().(*net.TCPAddr).Port
		free := true
		for _, n := range []int{port, port + 2} {
			c, err := net.ListenPacket("udp", net.JoinHostPort("127.0.0.1", strconv.Itoa(n)))
			if free = free && err == nil; err == nil {
				c.Close()
			}
		}
		l.Close()
		if free {
			return strconv.Itoa(port)
		}
	}
	t.Fatal("no port is free")
	return ""
}

// TestSIPpCalls has sipp call sipp: INVITE, 180, 200, ACK, BYE, over UDP and from TCP to UDP.
func TestSIPpCalls(t *testing.T) {
	sipp, err := exec.LookPath("sipp")
	if err != nil {
		t.Skip("sipp is not installed")
	}
	for _, transport := range []string{"u1", "t1"} {
		t.Run(transport, func(t *testing.T) {
			s := newSite(t, nil)
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			at := freePort(t)
			callee := exec.CommandContext(ctx, sipp, "-sn", "uas", "-i", "127.0.0.1", "-p", at, "-mp", freePort(t), "-nostdin")
			callee.Dir = t.TempDir()
			if err := callee.Start(); err != nil {
				t.Fatal(err)
			}
			defer func() {
				_ = callee.Process.Kill()
				_ = callee.Wait()
			}()
			s.phone("bob", "udp").registered("Contact: <sip:bob@127.0.0.1:" + at + ">")
			caller := exec.CommandContext(ctx, sipp, s.addr(), "-sn", "uac", "-s", "bob", "-t", transport, "-i", "127.0.0.1", "-p", freePort(t),
				"-mp", freePort(t), "-m", "20", "-r", "50", "-d", "20", "-nostdin", "-timeout", "20s")
			caller.Dir = t.TempDir()
			if out, err := caller.CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out[max(0, len(out)-2000):])
			}
			if n := s.registrar.Stats().Proxy.Forwarded; n < 60 {
				t.Errorf("%d requests were forwarded for 20 calls", n)
			}
		})
	}
}
