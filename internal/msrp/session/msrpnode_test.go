package session

import (
	"bufio"
	"encoding/json"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"imp/internal/msrp/wire"
)

// TestNodeLibrary exchanges messages with msrp-node-lib, whose folder IMP_MSRP_NODE names.
func TestNodeLibrary(t *testing.T) {
	library := os.Getenv("IMP_MSRP_NODE")
	if library == "" {
		t.Skip("IMP_MSRP_NODE names no folder of msrp-node-lib")
	}
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("node is not installed")
	}
	t.Run("it connects", func(t *testing.T) {
		n := New(Config{})
		t.Cleanup(func() { n.Close() })
		l, err := n.Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		s := openFor(t, n, l.Addr())
		p := startNodePeer(t, node, library, s, "passive")
		if err := s.Start(t.Context(), Peer{Path: p.path}); err != nil {
			t.Fatal(err)
		}
		p.talk(s)
	})
	t.Run("it is connected to", func(t *testing.T) {
		n := New(Config{})
		t.Cleanup(func() { n.Close() })
		s := openFor(t, n, "127.0.0.1:9")
		p := startNodePeer(t, node, library, s, "active")
		if err := s.Start(t.Context(), Peer{Path: p.path, Decision: Decision{Active: true}}); err != nil {
			t.Fatal(err)
		}
		p.talk(s)
	})
}

func openFor(t *testing.T, n *Node, addr string) *Session {
	t.Helper()
	u, err := n.NewURI("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	s, err := n.Open(Own{URI: u})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// nodePeer is the library in a process.
type nodePeer struct {
	t    *testing.T
	in   io.Writer
	told chan nodeEvent
	path wire.Path
}

type nodeEvent struct{ Event, Path, Type, Body, Error string }

func startNodePeer(t *testing.T, node, library string, s *Session, setup string) *nodePeer {
	t.Helper()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := free.Addr().(*net.TCPAddr).Port
	free.Close()
	settings, err := json.Marshal(map[string]any{"library": library, "port": port, "path": s.URI().String(), "setup": setup})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), node, "--no-deprecation", "../../../testdata/interop/msrpnode.mjs")
	cmd.Env = append(os.Environ(), "PEER="+string(settings))
	cmd.Stderr, cmd.WaitDelay = os.Stderr, 5*time.Second
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p := &nodePeer{t: t, told: make(chan nodeEvent, 16)}
	if p.in, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("node does not start: %v", err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			var e nodeEvent
			if json.Unmarshal(lines.Bytes(), &e) == nil {
				p.told <- e
			}
		}
		close(p.told)
		cmd.Wait()
	}()
	t.Cleanup(func() { cmd.Process.Kill(); <-ended })
	if p.path, err = wire.ParsePath(p.await("ready").Path); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *nodePeer) await(event string) nodeEvent {
	p.t.Helper()
	give := time.After(20 * time.Second)
	for {
		select {
		case e, ok := <-p.told:
			if !ok || e.Event == "error" {
				p.t.Fatalf("waiting for %q: %+v", event, e)
			}
			if e.Event == event {
				return e
			}
		case <-give:
			p.t.Fatalf("the library tells no %q", event)
		}
	}
}

// talk sends messages both ways, of one chunk and of several.
func (p *nodePeer) talk(s *Session) {
	p.t.Helper()
	if err := s.Bound(p.t.Context()); err != nil {
		p.t.Fatal(err)
	}
	for _, text := range []string{"hello", "", strings.Repeat("a line of text\r\n", 400)} {
		if text != "" { // it sends nothing of an empty message
			body, err := json.Marshal(map[string]string{"body": text})
			if err != nil {
				p.t.Fatal(err)
			}
			p.in.Write(append(body, '\n'))
			in, err := s.Receive(p.t.Context())
			if err != nil {
				p.t.Fatal(err)
			}
			got, err := io.ReadAll(in)
			in.Close()
			if string(got) != text || in.Type != "text/plain" || err != nil {
				p.t.Errorf("of %d bytes %d of %s came: %v", len(text), len(got), in.Type, err)
			}
			p.await("sent")
		}
		sent, err := s.Send(p.t.Context(), Message{Type: "text/plain", Body: strings.NewReader(text), Size: int64(len(text)), SuccessReport: true})
		if err != nil {
			p.t.Fatal(err)
		}
		if err := sent.Wait(p.t.Context()); err != nil {
			p.t.Errorf("%d bytes: %v", len(text), err)
		}
		if e := p.await("message"); e.Body != text {
			p.t.Errorf("of %d bytes the library has %d", len(text), len(e.Body))
		}
	}
}

// TestBoundWithoutMessageID has a session bound as msrp-node-lib and its like do it.
func TestBoundWithoutMessageID(t *testing.T) {
	_, p := passive(t, Config{}, Own{}, Peer{})
	p.write("tid1 SEND", "TO", "FROM", "Success-Report: yes", "-------tid1$")
	if g := p.next(); g.code != 200 {
		t.Errorf("%+v", g)
	}
	p.quiet() // there is nothing that a report could be about
}
