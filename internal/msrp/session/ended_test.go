package session

import (
	"context"
	"strings"
	"testing"
	"time"

	"imp/internal/msrp/wire"
)

// TestSameURIAgain has a session follow another one at once, as for one peer after another.
func TestSameURIAgain(t *testing.T) {
	n := New(Config{})
	defer n.Close()
	uri, err := n.NewURI("tcp", "127.0.0.1:9")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 2000 {
		s, err := n.Open(Own{URI: uri})
		if err != nil {
			t.Fatalf("session %d: %v", i, err)
		}
		go s.Close()
		<-s.Done()
	}
}

func TestAcknowledged(t *testing.T) {
	for name, c := range map[string]struct {
		then func(p *raw, g got)
		want bool
	}{
		"before the response": {func(*raw, got) {}, false},
		"after a 200":         {func(p *raw, g got) { p.answer(g, wire.OK) }, true},
		"after a 413":         {func(p *raw, g got) { p.answer(g, wire.StopSending) }, false},
		"after a 200 and a failure": {func(p *raw, g got) {
			p.answer(g, wire.OK)
			p.write("tid9 REPORT", "TO", "FROM", "Message-ID: m001", "Byte-Range: 1-1/1", "Status: 000 413 no", "-------tid9$")
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			s, p := passive(t, Config{}, Own{}, Peer{})
			p.bind()
			out, err := s.Send(context.Background(), textMessage("m001", "x"))
			if err != nil {
				t.Fatal(err)
			}
			c.then(p, p.next())
			p.write("tid8 SEND", "TO", "FROM", "Message-ID: m002", "-------tid8$")
			p.next() // what came before has been seen
			s.fail(ErrDisconnected)
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			defer cancel()
			if err := out.Wait(ctx); err == nil || out.Acknowledged() != c.want {
				t.Errorf("%v, acknowledged %v", err, out.Acknowledged())
			}
		})
	}
}

func textMessage(id, text string) Message {
	return Message{ID: id, Type: "text/plain", Body: strings.NewReader(text), Size: int64(len(text)), SuccessReport: true}
}
