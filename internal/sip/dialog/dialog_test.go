package dialog

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"unsafe"

	"github.com/emiago/sipgo/sip"

	"imp/internal/sip/stack"
)

// request parses a SUBSCRIBE with the given CSeq number and further lines.
func request(t testing.TB, seq uint32, extra ...string) *stack.Request {
	t.Helper()
	lines := []string{
		"SUBSCRIBE sip:alice@example.com SIP/2.0",
		"Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKa",
		`From: "Bob" <sip:bob@example.com>;tag=remote;x=y`, "To: <sip:alice@example.com>",
		"Call-ID: call@192.0.2.1", fmt.Sprintf("CSeq: %d SUBSCRIBE", seq),
	}
	m, err := sip.ParseMessage([]byte(strings.Join(append(lines, extra...), "\r\n") + "\r\nContent-Length: 0\r\n\r\n"))
	if err != nil {
		t.Fatal(err)
	}
	return &stack.Request{Request: m.(*sip.Request)}
}

const contact = "Contact: <sip:bob@192.0.2.1:5070>"

func dialog(t testing.TB, extra ...string) *Dialog {
	t.Helper()
	d, err := FromRequest(request(t, 10, extra...), "local", 0)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// head checks a rendered request line by line.
func head(t *testing.T, o *stack.Outgoing, lines ...string) {
	t.Helper()
	if got, want := string(o.Head), strings.Join(lines, "\r\n")+"\r\n"; got != want {
		t.Fatalf("the head is\n%s\nwant\n%s", got, want)
	}
}

const ends = "From: <sip:alice@example.com>;tag=local\r\nTo: <sip:bob@example.com>;tag=remote\r\nCall-ID: call@192.0.2.1"

func TestFromRequest(t *testing.T) {
	d := dialog(t, contact)
	if d.CallID() != "call@192.0.2.1" || d.LocalTag() != "local" || d.RemoteTag() != "remote" {
		t.Fatalf("%q %q %q", d.CallID(), d.LocalTag(), d.RemoteTag())
	}
	for _, s := range []string{strings.Clone(d.CallID()), "not in it"} {
		kept := d.Kept(s)
		if kept != s || (unsafe.StringData(kept) == unsafe.StringData(s)) != (s == "not in it") {
			t.Errorf("%q is kept as %q", s, kept)
		}
	}
	if d.Target() != "sip:bob@192.0.2.1:5070" || d.LocalSeq() != 0 || d.Flow() != nil {
		t.Fatalf("%q %d", d.Target(), d.LocalSeq())
	}
	t.Run("a peer without tag", func(t *testing.T) {
		r := request(t, 10, contact)
		r.From().Params.Remove("tag")
		d, err := FromRequest(r, "local", 0)
		if err != nil {
			t.Fatal(err)
		}
		if d.RemoteTag() != "" || !strings.Contains(string(d.Request("NOTIFY", nil, nil).Head), "To: <sip:bob@example.com>\r\n") {
			t.Fatalf("remote tag %q", d.RemoteTag())
		}
	})
	for name, extra := range map[string][]string{
		"no Contact": nil, "two Contacts": {contact, contact}, "a list of Contacts": {contact + ", <sip:x@192.0.2.2>"},
		"Contact *": {"Contact: *"}, "another scheme": {"Contact: <tel:+123>"},
		"a broken Record-Route": {contact, "Record-Route: <sip:>"},
	} {
		t.Run(name, func(t *testing.T) {
			if d, err := FromRequest(request(t, 10, extra...), "local", 0); err == nil {
				t.Fatalf("made %+v", d)
			}
		})
	}
}

func TestRequest(t *testing.T) {
	t.Run("EVT-084 the identifiers of the dialog and a CSeq that grows by one", func(t *testing.T) {
		d, err := FromRequest(request(t, 10, contact), "local", 7)
		if err != nil {
			t.Fatal(err)
		}
		for seq := uint32(8); seq < 11; seq++ {
			o := d.Request("NOTIFY", []byte("Event: x\r\n"), []byte("body"))
			head(t, o, "Max-Forwards: 70", ends, fmt.Sprintf("CSeq: %d NOTIFY", seq), "Event: x")
			if o.Method != "NOTIFY" || o.URI != "sip:bob@192.0.2.1:5070" || string(o.Body) != "body" || d.LocalSeq() != seq {
				t.Fatalf("%+v", o)
			}
			if o.Target != (stack.Target{Addr: "192.0.2.1:5070"}) {
				t.Fatalf("goes to %+v", o.Target)
			}
		}
	})
	t.Run("the route set is that of the request, in its order", func(t *testing.T) {
		d := dialog(t, contact, "Record-Route: <sip:p1.example.com;lr;x=y>, <sip:p2.example.com;lr>", "Record-Route: <sip:p3.example.com;transport=tcp>")
		o := d.Request("NOTIFY", nil, nil)
		head(t, o, "Max-Forwards: 70", "Route: <sip:p1.example.com;lr;x=y>", "Route: <sip:p2.example.com;lr>",
			"Route: <sip:p3.example.com;transport=tcp>", ends, "CSeq: 1 NOTIFY")
		if o.URI != "sip:bob@192.0.2.1:5070" || o.Target != (stack.Target{Addr: "p1.example.com", URI: "sip:p1.example.com;lr;x=y"}) {
			t.Fatalf("%s goes to %+v", o.URI, o.Target)
		}
	})
	t.Run("a strict router is the Request-URI, the target the last route", func(t *testing.T) {
		d := dialog(t, contact, "Record-Route: <sip:p1.example.com:5070;transport=TCP;method=INVITE?x=y>, <sip:p2.example.com;lr>")
		for _, target := range []string{"sip:bob@192.0.2.1:5070", "sip:bob@192.0.2.9"} {
			o := d.Request("NOTIFY", nil, nil)
			head(t, o, "Max-Forwards: 70", "Route: <sip:p2.example.com;lr>", "Route: <"+target+">", ends, fmt.Sprintf("CSeq: %d NOTIFY", d.LocalSeq()))
			if o.URI != "sip:p1.example.com:5070;transport=TCP" || o.Target != (stack.Target{Addr: "p1.example.com:5070", Transport: "tcp", URI: o.URI}) {
				t.Fatalf("%s goes to %+v", o.URI, o.Target)
			}
			if err := d.Accept(request(t, d.remote+1, "Contact: <sip:bob@192.0.2.9>")); err != nil {
				t.Fatal(err)
			}
		}
	})
	t.Run("a strict router alone", func(t *testing.T) {
		o := dialog(t, contact, "Record-Route: <sip:p1.example.com>").Request("NOTIFY", nil, nil)
		head(t, o, "Max-Forwards: 70", "Route: <sip:bob@192.0.2.1:5070>", ends, "CSeq: 1 NOTIFY")
		if o.URI != "sip:p1.example.com" || o.Target.Addr != "p1.example.com" {
			t.Fatalf("%s goes to %+v", o.URI, o.Target)
		}
	})
	t.Run("what a Request-URI may not have is left out", func(t *testing.T) {
		d := dialog(t, "Contact: <sip:bob@192.0.2.1;method=NOTIFY;transport=tcp?Subject=x>")
		if o := d.Request("NOTIFY", nil, nil); o.URI != "sip:bob@192.0.2.1;transport=tcp" || o.Target.Transport != "tcp" {
			t.Fatalf("%s goes to %+v", o.URI, o.Target)
		}
	})
	t.Run("it costs two allocations", func(t *testing.T) {
		d := dialog(t, contact, "Record-Route: <sip:p1.example.com;lr>")
		fields := []byte("Event: x\r\n")
		if n := testing.AllocsPerRun(100, func() { d.Request("NOTIFY", fields, nil) }); n > 2 {
			t.Fatalf("%v allocations, want the Outgoing and its head", n)
		}
	})
}

func TestAccept(t *testing.T) {
	t.Run("EVT-058 a CSeq that is not higher is out of order and changes nothing", func(t *testing.T) {
		d := dialog(t, contact)
		for _, seq := range []uint32{10, 9, 0} {
			if err := d.Accept(request(t, seq, "Contact: <sip:evil@192.0.2.66>")); !errors.Is(err, ErrOutOfOrder) {
				t.Fatalf("CSeq %d: %v", seq, err)
			}
		}
		if d.Target() != "sip:bob@192.0.2.1:5070" {
			t.Fatalf("the target is %s", d.Target())
		}
		for _, seq := range []uint32{11, 20, 1<<31 - 1} { // a gap is no error
			if err := d.Accept(request(t, seq)); err != nil {
				t.Fatalf("CSeq %d: %v", seq, err)
			}
		}
		if err := d.Accept(request(t, 21)); !errors.Is(err, ErrOutOfOrder) {
			t.Fatalf("after a higher one: %v", err)
		}
	})
	t.Run("EVT-057 its Contact is the new target, its Record-Route nothing", func(t *testing.T) {
		d := dialog(t, contact)
		if err := d.Accept(request(t, 11, "Contact: <sip:bob@192.0.2.7;transport=tcp>", "Record-Route: <sip:p1.example.com;lr>")); err != nil {
			t.Fatal(err)
		}
		o := d.Request("NOTIFY", nil, nil)
		head(t, o, "Max-Forwards: 70", ends, "CSeq: 1 NOTIFY")
		if o.URI != "sip:bob@192.0.2.7;transport=tcp" || o.Target != (stack.Target{Addr: "192.0.2.7", Transport: "tcp"}) {
			t.Fatalf("%s goes to %+v", o.URI, o.Target)
		}
		if err := d.Accept(request(t, 12)); err != nil || d.Target() != "sip:bob@192.0.2.7;transport=tcp" {
			t.Fatalf("without Contact: %v, the target is %s", err, d.Target())
		}
	})
	t.Run("a broken Contact changes nothing, CSeq included", func(t *testing.T) {
		d := dialog(t, contact)
		if err := d.Accept(request(t, 11, contact, contact)); err == nil || d.Target() != "sip:bob@192.0.2.1:5070" {
			t.Fatalf("%v, the target is %s", err, d.Target())
		}
		if err := d.Accept(request(t, 11, contact)); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("a target refresh does not change the next hop of a route set", func(t *testing.T) {
		d := dialog(t, contact, "Record-Route: <sip:p1.example.com;lr>")
		if err := d.Accept(request(t, 11, "Contact: <sip:bob@192.0.2.7>")); err != nil {
			t.Fatal(err)
		}
		if o := d.Request("NOTIFY", nil, nil); o.URI != "sip:bob@192.0.2.7" || o.Target.Addr != "p1.example.com" {
			t.Fatalf("%s goes to %+v", o.URI, o.Target)
		}
	})
}

func TestAnswered(t *testing.T) {
	for _, tt := range []struct {
		name   string
		status int
		line   string
		want   string
	}{
		{"EVT-057 the Contact of a 2xx is the new target", 200, "<sip:bob@192.0.2.8>", "sip:bob@192.0.2.8"},
		{"that of another answer is not", 302, "<sip:bob@192.0.2.8>", "sip:bob@192.0.2.1:5070"},
		{"one that is no target is ignored", 200, "<tel:+123>", "sip:bob@192.0.2.1:5070"},
		{"none changes nothing", 200, "", "sip:bob@192.0.2.1:5070"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := dialog(t, contact)
			res := sip.NewResponse(tt.status, "")
			if tt.line != "" {
				res.AppendHeader(sip.NewHeader("Contact", tt.line))
			}
			d.Answered(res)
			if o := d.Request("NOTIFY", nil, nil); o.URI != tt.want || o.Target.Addr != Hop(tt.want).Addr {
				t.Fatalf("%s goes to %+v", o.URI, o.Target)
			}
		})
	}
}

func TestHop(t *testing.T) {
	for uri, want := range map[string]stack.Target{
		"sip:bob@example.com":                          {Addr: "example.com"},
		"sip:example.com:5070":                         {Addr: "example.com:5070"},
		"sip:bob@example.com;transport=TCP":            {Addr: "example.com", Transport: "tcp"},
		"sip:bob@example.com;transport=sctp":           {Addr: "example.com", Transport: "sctp"},
		"sip:bob@[2001:db8::1]:5070;transport=udp":     {Addr: "[2001:db8::1]:5070", Transport: "udp"},
		"sip:bob@[2001:db8::1]":                        {Addr: "[2001:db8::1]"},
		"sip:bob@example.com:5070;maddr=192.0.2.7":     {Addr: "192.0.2.7:5070"},
		"sip:bob@example.com;maddr=[2001:db8::2]":      {Addr: "[2001:db8::2]"},
		"sips:bob@example.com":                         {Addr: "example.com", Transport: "tls"},
		"sips:bob@example.com;transport=tcp":           {Addr: "example.com", Transport: "tls"},
		"sips:bob@example.com;transport=ws":            {Addr: "example.com", Transport: "wss"},
		"sip:bob@example.com;transport=ws":             {Addr: "example.com", Transport: "ws"},
		"no URI":                                       {},
		"sip:bob@example.com;transport=tcp;transport=": {},
	} {
		if want.Addr != "" && strings.Contains(want.Addr, "example.com") {
			want.URI = uri // a name is not all that location needs
		}
		if got := Hop(uri); got != want {
			t.Errorf("%s: %+v, want %+v", uri, got, want)
		}
	}
}

// TestFlow: requests go back over the connection that one came by, when what
// is at its other end is the next hop.
func TestFlow(t *testing.T) {
	s := stack.New(stack.Config{})
	got := make(chan *stack.Request, 1)
	s.Handle("SUBSCRIBE", func(_ context.Context, r *stack.Request) *stack.Response {
		got <- r
		return stack.Answer(200)
	})
	eps, _ := stack.ParseEndpoint("tcp:127.0.0.1:0")
	if err := s.Listen(context.Background(), eps...); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	conn, err := net.Dial("tcp", s.Addrs()[0].Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	send := func(seq uint32, extra ...string) *stack.Request {
		t.Helper()
		r := request(t, seq, append(extra, "Max-Forwards: 70")...)
		text := strings.ReplaceAll(r.Request.String(), "z9hG4bKa", fmt.Sprint("z9hG4bK", seq))
		if _, err := conn.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
		return <-got
	}
	second := "Via: SIP/2.0/UDP 192.0.2.2:5060;branch=z9hG4bKb"
	direct, err := FromRequest(send(1, contact), "local", 0)
	if err != nil {
		t.Fatal(err)
	}
	flow := direct.Flow()
	if flow == nil || direct.Request("NOTIFY", nil, nil).Target.Flow != flow {
		t.Fatal("the peer's own connection is not used")
	}
	proxied, err := FromRequest(send(2, contact, second), "local", 0)
	if err != nil || proxied.Flow() != nil {
		t.Fatalf("the connection of a proxy that does not stay in the path is used: %v", err)
	}
	routed, err := FromRequest(send(3, contact, second, "Record-Route: <sip:p1.example.com;lr>"), "local", 0)
	if err != nil || routed.Flow() != flow {
		t.Fatalf("the connection of the first route is not used: %v", err)
	}
	if err := direct.Accept(request(t, 4, contact)); err != nil || direct.Flow() != nil {
		t.Fatalf("a refresh from elsewhere leaves the connection: %v", err)
	}
	if err := direct.Accept(send(5)); err != nil || direct.Flow() != flow {
		t.Fatalf("a refresh brings no connection: %v", err)
	}
	s.Close()
	if o := routed.Request("NOTIFY", nil, nil); o.Target.Flow != nil || routed.Flow() != nil || o.Target.Addr != "p1.example.com" {
		t.Fatalf("with the connection closed it goes to %+v", o.Target)
	}
}

// TestNamed: the name of a target is located by its URI, an address is not.
func TestNamed(t *testing.T) {
	for target, want := range map[string]string{"sip:bob@phone.example.com;x=y": "sip:bob@phone.example.com;x=y", "sip:bob@192.0.2.1": ""} {
		d := dialog(t, "Contact: <"+target+">")
		if o := d.Request("NOTIFY", nil, nil); o.Target.URI != want {
			t.Errorf("%s is located by %q, want %q", target, o.Target.URI, want)
		}
	}
}

// TestDatagram: a target that tells no place is reached where its datagrams
// come from.
func TestDatagram(t *testing.T) {
	s := stack.New(stack.Config{})
	got := make(chan *stack.Request, 1)
	s.Handle("SUBSCRIBE", func(_ context.Context, r *stack.Request) *stack.Response {
		got <- r
		return stack.Answer(200)
	})
	eps, _ := stack.ParseEndpoint("udp:127.0.0.1:0")
	if err := s.Listen(context.Background(), eps...); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	conn, err := net.Dial("udp", s.Addrs()[0].Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	second := "Via: SIP/2.0/UDP 192.0.2.2:5060;branch=z9hG4bKb"
	for i, tt := range []struct {
		name, target string
		more         []string
		want         string
	}{
		{"a GRUU", "sip:bob@example.com;gr=urn:uuid:1", nil, conn.LocalAddr().String()},
		{"no host", "sip:x@df7jal23ls0d.INVALID.invalid", nil, conn.LocalAddr().String()},
		{"a host", "sip:bob@192.0.2.1:5070", nil, "192.0.2.1:5070"},
		{"a host that looks like a GRUU", "sip:bob@192.0.2.1:5070;grade=a", nil, "192.0.2.1:5070"},
		{"a GRUU behind a proxy", "sip:bob@example.com;gr=1", []string{second}, "example.com"},
		{"a GRUU behind a proxy that stays", "sip:bob@example.com;gr=1", []string{second, "Record-Route: <sip:192.0.2.2;lr>"}, "192.0.2.2"},
	} {
		r := request(t, uint32(i+1), append(tt.more, "Contact: <"+tt.target+">", "Max-Forwards: 70")...)
		if _, err := conn.Write([]byte(strings.ReplaceAll(r.Request.String(), "z9hG4bKa", fmt.Sprint("z9hG4bK", i)))); err != nil {
			t.Fatal(err)
		}
		d, err := FromRequest(<-got, "local", 0)
		if err != nil {
			t.Fatal(err)
		}
		res := sip.NewResponse(200, "")
		res.AppendHeader(sip.NewHeader("Contact", "<"+tt.target+">"))
		for range 2 {
			if o := d.Request("NOTIFY", nil, nil); o.Target.Addr != tt.want || o.URI != tt.target {
				t.Errorf("%s: %s goes to %+v, want %s", tt.name, o.URI, o.Target, tt.want)
			}
			d.Answered(res)
		}
	}
}

func BenchmarkRequest(b *testing.B) {
	d := dialog(b, contact)
	fields := []byte("Event: presence\r\nContact: <sip:alice@192.0.2.9:5060;gr>\r\nSubscription-State: active;expires=3600\r\n")
	b.ReportAllocs()
	for b.Loop() {
		d.Request("NOTIFY", fields, nil)
	}
}
