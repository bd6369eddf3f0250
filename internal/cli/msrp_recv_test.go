package cli

import (
	"bytes"
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"imp/internal/cli/kit"
	"imp/internal/msrp/session"
	"imp/internal/msrp/wire"
)

// TestDuplicates sends a message again with its Message-ID, in another session, as somebody does whose connection broke before he heard
// of the first one.
func TestDuplicates(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var out bytes.Buffer
	o := &msrpRecvOptions{kit: kit.New(kit.Streams{Out: &out, Err: new(bytes.Buffer)}), things: make(chan thing, 64), over: make(chan struct{}), accept: []string{"*"}}
	receiver, sender := session.New(session.Config{}), session.New(session.Config{})
	defer receiver.Close()
	defer sender.Close()
	l, err := receiver.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	uri, err := receiver.NewURI("tcp", l.Addr())
	if err != nil {
		t.Fatal(err)
	}
	watch, err := o.kit.Watch(ctx, kit.Wait{Count: 3})
	if err != nil {
		t.Fatal(err)
	}
	var peers, senders sync.WaitGroup
	peers.Go(func() { o.peers(watch.Context(), receiver, uri) })
	senders.Go(func() {
		for _, id := range []string{"first", "second", "first", "third"} {
			sendAs(t, ctx, sender, uri, id)
		}
	})
	if err := o.print(watch, nil); err != nil {
		t.Error(err)
	}
	senders.Wait()
	watch.Stop()
	o.rest(&peers)
	if text := out.String(); strings.Count(text, "first") != 1 || strings.Count(text, "third") != 1 {
		t.Errorf("printed:\n%s", text)
	}
}

// sendAs sends a message with an ID in a session of its own, and waits until it is known to have arrived.
func sendAs(t *testing.T, ctx context.Context, node *session.Node, to wire.URI, id string) {
	own, err := node.NewURI("tcp", "127.0.0.1:9")
	if err != nil {
		t.Error(err)
		return
	}
	s, err := node.Open(session.Own{URI: own})
	if err == nil {
		defer s.Close()
		err = s.Start(ctx, session.Peer{Path: wire.Path{to}, Decision: session.Decision{Active: true}})
	}
	if err != nil {
		t.Error(err)
		return
	}
	sent, err := s.Send(ctx, session.Message{ID: id, Type: "text/plain", Body: strings.NewReader(id), Size: int64(len(id)), SuccessReport: true})
	if err == nil {
		err = sent.Wait(ctx)
	}
	if err != nil {
		t.Errorf("%s: %v", id, err)
	}
}
