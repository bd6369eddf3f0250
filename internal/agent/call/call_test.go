package call

import (
	"context"
	"errors"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"imp/internal/doc/sdp"
	"imp/internal/sip/header"
	"imp/internal/sip/stack"
	"imp/internal/sip/uac"
	"imp/internal/sip/useragent"
)

const patience = 10 * time.Second

// user is a user agent on this machine.
type user struct {
	*Agent
	at string // host:port
}

func start(t *testing.T, transport string, cfg Config) user {
	t.Helper()
	ua, err := useragent.New(useragent.Config{AOR: header.Address{URI: "sip:me@example.com"},
		Listen: []stack.Endpoint{{Transport: transport, Addr: "127.0.0.1:0"}}})
	if err != nil {
		t.Fatal(err)
	}
	cfg.User = ua
	a := New(cfg)
	if err := ua.Listen(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ua.Close() })
	return user{a, ua.Stack.Addrs()[0].Addr}
}

func desc(version uint64, port int) *sdp.Description {
	return &sdp.Description{ID: 1, Version: version, Host: "127.0.0.1", Media: []*sdp.Media{{Kind: "message", Port: port, Protocol: "TCP/MSRP",
		Formats: "*", Host: "127.0.0.1", AcceptTypes: []string{"*"}, Path: "msrp://127.0.0.1:7/x;tcp"}}}
}

// call calls u over a transport.
func call(t *testing.T, from, to user, transport string, offer *sdp.Description) (*Call, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	return from.Invite(ctx, Outgoing{To: "sip:bob@" + to.at + ";transport=" + transport, Offer: offer})
}

func await[T any](t *testing.T, what string, ch <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-ch:
	case <-time.After(patience):
		t.Fatalf("waited in vain for %s", what)
	}
	return v
}

func TestCall(t *testing.T) {
	for _, transport := range []string{"udp", "tcp"} {
		t.Run(transport, func(t *testing.T) {
			answered := make(chan *Call, 1)
			bob := start(t, transport, Config{Invited: func(in *Incoming) {
				in.Ring()
				c, err := in.Accept(in.Offer.Answer(2, "127.0.0.1"))
				if err != nil {
					t.Error(err)
				}
				answered <- c
			}})
			alice := start(t, transport, Config{})
			c, err := call(t, alice, bob, transport, desc(1, 7))
			if err != nil {
				t.Fatal(err)
			}
			b := await(t, "the call", answered)
			if c.Remote().Media[0].Port != 0 || b.Remote().Media[0].Port != 7 || b.CallID() != c.CallID() {
				t.Errorf("%+v, %+v", c.Remote(), b.Remote())
			}
			b.OnReoffer(func(offer *sdp.Description) (*sdp.Description, error) {
				if offer.Media[0].Port == 13 {
					return nil, errors.New("not that port")
				}
				return desc(0, offer.Media[0].Port+1), nil
			})
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			d, err := c.Offer(ctx, desc(0, 20))
			if err != nil || d.Media[0].Port != 21 || d.Version != 2 || d.ID != 2 || b.Remote().Version != 2 {
				t.Fatalf("%+v, %v", d, err)
			}
			var refused *uac.ResponseError
			if _, err = c.Offer(ctx, desc(0, 13)); !errors.As(err, &refused) || refused.Status != 488 || !strings.Contains(err.Error(), "not that port") {
				t.Fatal(err)
			}
			if err := b.Bye(ctx); err != nil {
				t.Fatal(err)
			}
			await(t, "the end", c.Done())
			if c.Err() != ErrEnded || b.Err() != nil {
				t.Errorf("%v, %v", c.Err(), b.Err())
			}
			if err := c.Bye(ctx); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestRefused(t *testing.T) {
	alice := start(t, "tcp", Config{})
	for _, status := range []int{480, 486, 488, 603} {
		bob := start(t, "tcp", Config{Invited: func(in *Incoming) { in.Refuse(status, "it is \"so\"") }})
		var refused *uac.ResponseError
		if _, err := call(t, alice, bob, "tcp", desc(1, 7)); !errors.As(err, &refused) || refused.Status != status || refused.Warning != `it is "so"` {
			t.Errorf("%d: %v", status, err)
		}
	}
	nobody := start(t, "tcp", Config{})
	var refused *uac.ResponseError
	if _, err := call(t, alice, nobody, "tcp", desc(1, 7)); !errors.As(err, &refused) || refused.Status != 480 {
		t.Error(err)
	}
	wrong := start(t, "tcp", Config{Invited: func(in *Incoming) { _, _ = in.Accept(&sdp.Description{Host: "127.0.0.1"}) }})
	if _, err := call(t, alice, wrong, "tcp", desc(1, 7)); !errors.Is(err, ErrAnswer) {
		t.Error(err)
	}
}

func TestCancel(t *testing.T) {
	cancelled := make(chan error, 1)
	bob := start(t, "udp", Config{Invited: func(in *Incoming) {
		in.Ring()
		<-in.Cancelled()
		_, err := in.Accept(in.Offer.Answer(2, "127.0.0.1"))
		cancelled <- err
	}})
	alice := start(t, "udp", Config{})
	ctx, cancel := context.WithCancel(t.Context())
	_, err := alice.Invite(ctx, Outgoing{To: "sip:bob@" + bob.at, Offer: desc(1, 7), Ringing: func(status int, _ string) {
		if status == 180 {
			cancel()
		}
	}})
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if err := await(t, "CANCEL", cancelled); err != ErrCancelled {
		t.Error(err)
	}
}

// peer speaks SIP over one TCP connection, line by line.
type peer struct {
	t *testing.T
	net.Conn
}

func (p peer) ask(lines ...string) string {
	p.t.Helper()
	if _, err := p.Write([]byte(strings.Join(lines, "\r\n"))); err != nil {
		p.t.Fatal(err)
	}
	_ = p.SetReadDeadline(time.Now().Add(patience))
	var b []byte
	for {
		buf := make([]byte, 4096)
		n, err := p.Read(buf)
		if err != nil {
			p.t.Fatalf("%v: %s", err, b)
		}
		b = append(b, buf[:n]...)
		if text := string(b); !strings.HasPrefix(text, "SIP/2.0 1") || strings.Count(text, "SIP/2.0 ") > 1 {
			return text
		}
	}
}

func TestHandlers(t *testing.T) {
	bob := start(t, "tcp", Config{Invited: func(in *Incoming) { in.Refuse(603, "") }, Capabilities: sdp.Capabilities("127.0.0.1", []string{"*"})})
	conn, err := net.Dial("tcp", bob.at)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	p, n := peer{t, conn}, 0
	request := func(method, to string, more ...string) string {
		n++
		seq := strconv.Itoa(n)
		body := more[len(more)-1]
		head := append([]string{method + " sip:bob@example.com SIP/2.0", "Via: SIP/2.0/TCP h;branch=z9hG4bK" + seq, "From: <sip:a@h>;tag=1", "To: <sip:bob@example.com>" + to,
			"Call-ID: c" + seq, "CSeq: 1 " + method, "Max-Forwards: 70", "Contact: <sip:a@192.0.2.1>", "Content-Length: " + strconv.Itoa(len(body))}, more[:len(more)-1]...)
		return p.ask(append(head, "", body)...)
	}
	for name, c := range map[string]struct{ got, want string }{
		"a body of another kind":        {request("INVITE", "", "Content-Type: text/plain", "x"), "SIP/2.0 415"},
		"no offer":                      {request("INVITE", "", ""), "SIP/2.0 488"},
		"no description after all":      {request("INVITE", "", "Content-Type: application/sdp", "x"), "SIP/2.0 400"},
		"a dialog that is not there":    {request("INVITE", ";tag=x", "Content-Type: application/sdp", "x"), "SIP/2.0 481"},
		"BYE of one that is not there":  {request("BYE", ";tag=x", ""), "SIP/2.0 481"},
		"FILE-038 OPTIONS tells it all": {request("OPTIONS", "", ""), "a=file-selector\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			if !strings.Contains(c.got, c.want) {
				t.Error(c.got)
			}
		})
	}
}

func TestIcons(t *testing.T) {
	icon := sdp.Icon{ID: "i@h", Type: "image/png", Data: []byte("\x89PNG")}
	offer := desc(1, 7)
	offer.Media[0].File = &sdp.File{Name: "a", Size: 1, ID: "x", Icon: "cid:i@h"}
	call := func(t *testing.T, bob user) error {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		_, err := start(t, "tcp", Config{}).Invite(ctx, Outgoing{To: "sip:bob@" + bob.at + ";transport=tcp", Offer: offer, Icons: []sdp.Icon{icon}})
		return err
	}
	t.Run("FILE-040 FILE-008 the icon goes beside the description", func(t *testing.T) {
		got := make(chan *Incoming, 1)
		bob := start(t, "tcp", Config{Invited: func(in *Incoming) {
			got <- in
			_, _ = in.Accept(in.Offer.Answer(2, "127.0.0.1"))
		}})
		if err := call(t, bob); err != nil {
			t.Fatal(err)
		}
		in := await(t, "the call", got)
		if i, ok := sdp.IconOf(in.Offer.Media[0].File.Icon, in.Icons); !ok || string(i.Data) != string(icon.Data) || i.Type != "image/png" {
			t.Errorf("%+v", in.Icons)
		}
	})
	t.Run("FILE-041 a peer that takes no multipart is called without the icon", func(t *testing.T) {
		bodies := make(chan string, 2)
		ua, err := useragent.New(useragent.Config{AOR: header.Address{URI: "sip:me@example.com"}, Listen: []stack.Endpoint{{Transport: "tcp", Addr: "127.0.0.1:0"}}})
		if err != nil {
			t.Fatal(err)
		}
		ua.Stack.Handle("INVITE", func(_ context.Context, r *stack.Request) *stack.Response {
			ct := contentType(r.Request)
			if bodies <- ct; ct == sdp.MediaType && strings.Contains(string(r.Body()), "icon") {
				t.Error("the icon is named")
			}
			if ct != sdp.MediaType {
				return stack.Answer(415, stack.Field{Name: "Accept", Value: sdp.MediaType})
			}
			return stack.Answer(486)
		})
		if err := ua.Listen(t.Context()); err != nil {
			t.Fatal(err)
		}
		defer ua.Close()
		var refused *uac.ResponseError
		if err := call(t, user{at: ua.Stack.Addrs()[0].Addr}); !errors.As(err, &refused) || refused.Status != 486 {
			t.Error(err)
		}
		if first, second := <-bodies, <-bodies; !strings.HasPrefix(first, "multipart/related") || second != sdp.MediaType {
			t.Errorf("%s, %s", first, second)
		}
	})
}
