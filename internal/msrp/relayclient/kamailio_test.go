//go:build unix

package relayclient

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"imp/internal/msrp/session"
	"imp/internal/msrp/wire"
)

// TestKamailio sends messages through the relay that Kamailio's module msrp makes.
func TestKamailio(t *testing.T) {
	relay := startKamailio(t)
	na, nb := newNode(t), newNode(t)
	t.Run("both ends behind it", func(t *testing.T) {
		a, b := behind(t, na, newClient(t, "alice", na, relay)), behind(t, nb, newClient(t, "bob", nb, relay))
		if use := a.Path()[0]; use.Authority() != relay.Authority() || use.Equal(relay) {
			t.Errorf("Use-Path is %s", use)
		}
		start(t, a, b)
		there(t, a, b)
		there(t, b, a)
	})
	t.Run("one end behind it", func(t *testing.T) {
		a := behind(t, na, newClient(t, "alice", na, relay))
		l, err := nb.Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		u, err := nb.NewURI("tcp", l.Addr())
		if err != nil {
			t.Fatal(err)
		}
		b, err := nb.Open(session.Own{URI: u, Stream: 1})
		if err != nil {
			t.Fatal(err)
		}
		start(t, a, b)
		there(t, a, b)
		there(t, b, a)
	})
	t.Run("a wrong password is refused", func(t *testing.T) {
		c, err := New(Config{Node: na, Relays: []wire.URI{relay}, Credentials: func(string) (string, string, error) { return "alice", "wrong", nil }})
		if err != nil {
			t.Fatal(err)
		}
		if _, err = c.Auth(t.Context()); err == nil {
			t.Error("it let us in")
		}
	})
	t.Run("MSRPR-025 an answer without proof is not taken", func(t *testing.T) {
		if _, err := newClient(t, "carol", na, relay).Auth(t.Context()); !errors.Is(err, ErrUnproven) {
			t.Errorf("AUTH: %v", err)
		}
	})
	t.Run("unless that is allowed", func(t *testing.T) {
		trusting := func(n *session.Node) *session.Session {
			c, err := New(Config{Node: n, Relays: []wire.URI{relay}, Insecure: true,
				Credentials: func(string) (string, string, error) { return "carol", "secret", nil }})
			if err != nil {
				t.Fatal(err)
			}
			return behind(t, n, c)
		}
		a, b := trusting(na), trusting(nb)
		start(t, a, b)
		there(t, a, b)
		there(t, b, a)
	})
}

// there sends messages of several sizes, in chunks: Kamailio 5.6 ends the connection at a frame of more than 10,240 bytes.
func there(t *testing.T, a, b *session.Session) {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for _, size := range []int{0, 1, 2047, 2048, 2049, 100_000} {
		body := make([]byte, size)
		for i := range body {
			body[i] = "\r\n-$abc\x00\xff"[random.IntN(9)]
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		sent, err := a.Send(ctx, session.Message{Type: "text/plain", Body: bytes.NewReader(body), Size: int64(size), Chunk: 2048, SuccessReport: true})
		if err != nil {
			t.Fatal(size, err)
		}
		in, err := b.Receive(ctx)
		if err != nil {
			t.Fatal(size, err)
		}
		got, err := io.ReadAll(in)
		in.Close()
		if err != nil || !bytes.Equal(got, body) {
			t.Errorf("of %d bytes %d came, and not what was sent: %v", size, len(got), err)
		}
		if err := sent.Wait(ctx); err != nil {
			t.Errorf("%d bytes, %d reported: %v", size, sent.Reported(), err)
		}
		cancel()
	}
}

// startKamailio starts it and waits until it listens.
func startKamailio(t *testing.T) wire.URI {
	t.Helper()
	program, err := exec.LookPath("kamailio")
	if err != nil {
		t.Skip("kamailio is not installed")
	}
	found, _ := filepath.Glob("/usr/lib/*/kamailio/modules/msrp.so")
	if len(found) == 0 {
		t.Skip("the module msrp of Kamailio is not installed")
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := free.Addr().String()
	free.Close()
	text, err := os.ReadFile("../../../testdata/interop/kamailio-msrp.cfg")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "kamailio.cfg")
	config := strings.NewReplacer("{{addr}}", addr, "{{modules}}", filepath.Dir(found[0])).Replace(string(text))
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	cmd := exec.Command(program, "-DD", "-E", "-f", file, "-w", dir, "-Y", dir)
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = &out, &out, 5*time.Second
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // it has processes of its own
	if err := cmd.Start(); err != nil {
		t.Fatalf("kamailio does not start: %v", err)
	}
	ended := make(chan struct{})
	go func() { cmd.Wait(); close(ended) }()
	t.Cleanup(func() {
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		<-ended
		if t.Failed() {
			t.Logf("kamailio said:\n%s", out.Bytes())
		}
	})
	u, err := wire.ParseURI("msrp://" + addr + ";tcp")
	if err != nil {
		t.Fatal(err)
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	give := time.After(20 * time.Second)
	for {
		if c, err := net.Dial("tcp", addr); err == nil {
			c.Close()
			return u
		}
		select {
		case <-ended:
			t.Fatalf("kamailio ended: %s", out.Bytes())
		case <-give:
			t.Fatal("kamailio does not listen")
		case <-tick.C:
		}
	}
}
