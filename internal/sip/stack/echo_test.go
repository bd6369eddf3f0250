package stack

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"
)

func TestTopVia(t *testing.T) {
	v4, v6 := netip.MustParseAddrPort("192.0.2.1:40000"), netip.MustParseAddrPort("[2001:db8::9:1]:40000")
	for _, tt := range []struct {
		via    string
		source netip.AddrPort
		want   string
	}{
		{"SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKa", v4, "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKa"},
		{"SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKa", v4, "SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKa;received=192.0.2.1"},
		{"SIP/2.0/UDP pc.example.com", v4, "SIP/2.0/UDP pc.example.com;received=192.0.2.1"},
		{"SIP/2.0/UDP 192.0.2.1;rport;branch=a", v4, "SIP/2.0/UDP 192.0.2.1;rport=40000;branch=a;received=192.0.2.1"},
		{"SIP/2.0/UDP h;branch=a;RPort", v4, "SIP/2.0/UDP h;branch=a;rport=40000;received=192.0.2.1"},
		{"SIP/2.0/UDP h;rport=1;branch=a", v4, "SIP/2.0/UDP h;rport=40000;branch=a;received=192.0.2.1"},
		{"SIP/2.0/UDP h;received=10.0.0.1;branch=a", v4, "SIP/2.0/UDP h;branch=a;received=192.0.2.1"},
		{"SIP/2.0/UDP 192.0.2.1;received=10.0.0.1;branch=a", v4, "SIP/2.0/UDP 192.0.2.1;received=10.0.0.1;branch=a"},
		{"SIP/2.0/UDP h;received=10.0.0.1;rport;branch=a", v4, "SIP/2.0/UDP h;rport=40000;branch=a;received=192.0.2.1"},
		{"SIP/2.0/UDP h;rport;x;received=10.0.0.1", v4, "SIP/2.0/UDP h;rport=40000;x;received=192.0.2.1"},
		{"SIP/2.0/UDP [2001:db8::9:1];branch=a", v6, "SIP/2.0/UDP [2001:db8::9:1];branch=a"},
		{"SIP/2.0/UDP [2001:DB8:0:0::9:1];branch=a", v6, "SIP/2.0/UDP [2001:DB8:0:0::9:1];branch=a"},
		{"SIP/2.0/UDP [2001:db8::2];branch=a", v6, "SIP/2.0/UDP [2001:db8::2];branch=a;received=2001:db8::9:1"},
		{"SIP/2.0/UDP [2001:db8::9:1];received=[2001:db8::9:255];branch=a", v6, "SIP/2.0/UDP [2001:db8::9:1];received=[2001:db8::9:255];branch=a"},
		{"SIP  / 2.0  / TCP     h   ;\r\n  branch  =   z9hG4bK9ikj8", v4, "SIP  / 2.0  / TCP     h   ;\r\n  branch  =   z9hG4bK9ikj8;received=192.0.2.1"},
		{`SIP/2.0/UDP h;x="a;rport,\"b";branch=a`, v4, `SIP/2.0/UDP h;x="a;rport,\"b";branch=a;received=192.0.2.1`},
	} {
		v, rest, ok := parseVia([]byte(tt.via))
		if !ok || len(rest) > 0 {
			t.Errorf("%s: not read", tt.via)
			continue
		}
		if got := string(appendTopVia(nil, &v, tt.source)); got != tt.want {
			t.Errorf("%s\n got %s\nwant %s", tt.via, got, tt.want)
		}
	}
}

func TestEcho(t *testing.T) {
	s := serve(t, Config{Product: "imp/test"}, func(s *Stack) {
		s.Handle("SUBSCRIBE", func(context.Context, *Request) *Response {
			return &Response{
				Status: 200, Reason: "Fine\r\nX: 1", ToTag: "t", RecordRoute: true, Fields: []Field{{"Expires", "60"}, {"X", "a\r\nY: b"}},
				Body: []byte("text"), ContentType: "text/plain",
			}
		})
	})
	w := dial(t, s, "udp")
	_, port, _ := strings.Cut(w.conn.LocalAddr().String(), ":")
	got := w.ask("SUBSCRIBE sip:bob@example.com SIP/2.0\r\n" +
		"v:  SIP / 2.0 /UDP a.example.com:5061 ;rport;branch=z9hG4bKecho ,SIP/2.0/TCP b.example.com\r\n" +
		"Record-Route: <sip:p1.example.com;lr>,\r\n <sip:p2.example.com;lr>\r\n" +
		"f: \"Ann \\\"A\\\"\"  <sip:ann@example.com;x=1> ; TAG = 4711;y\r\n" +
		"t:\r\n Bob B  <sip:bob@example.com>\r\n" +
		"VIA: SIP/2.0/TLS c.example.com;received=192.0.2.9\r\n" +
		"i: w@rd\r\n" +
		"record-route: <sip:p3.example.com;lr>\r\n" +
		"cseq: 0009\t SUBSCRIBE\r\n" +
		"User-Agent: x\r\n\r\n")
	want := "SIP/2.0 200 Fine  X: 1\r\n" +
		"Via: SIP / 2.0 /UDP a.example.com:5061 ;rport=" + port + ";branch=z9hG4bKecho ;received=127.0.0.1,SIP/2.0/TCP b.example.com\r\n" +
		"Via: SIP/2.0/TLS c.example.com;received=192.0.2.9\r\n" +
		"From: \"Ann \\\"A\\\"\"  <sip:ann@example.com;x=1> ; TAG = 4711;y\r\n" +
		"To: Bob B  <sip:bob@example.com>;tag=t\r\n" +
		"Call-ID: w@rd\r\n" +
		"CSeq: 0009\t SUBSCRIBE\r\n" +
		"Record-Route: <sip:p1.example.com;lr>,\r\n <sip:p2.example.com;lr>\r\n" +
		"Record-Route: <sip:p3.example.com;lr>\r\n" +
		"Expires: 60\r\nX: a  Y: b\r\nServer: imp/test\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n\r\ntext"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestAnswerAddress(t *testing.T) {
	t.Run("NAM-029 to the source address and the port in Via", func(t *testing.T) {
		s := serve(t, Config{}, nil)
		w, back := dial(t, s, "udp"), dial(t, s, "udp")
		_, port, _ := strings.Cut(back.conn.LocalAddr().String(), ":")
		w.send(msg("OPTIONS", "Via: SIP/2.0/UDP nowhere.invalid:"+port+";branch=z9hG4bK-x"))
		answer := back.receive()
		wants(t, answer, 200)
		if via := field(answer, "Via"); !strings.HasSuffix(via, ";received=127.0.0.1") {
			t.Errorf("Via %q", via)
		}
	})
	t.Run("5060 without a port", func(t *testing.T) {
		e := new(envelope)
		e.scan([]byte(msg("OPTIONS", "Via: SIP/2.0/UDP h;branch=1")))
		if got := answerTo(e, there); got != netip.AddrPortFrom(there.Addr(), 5060) {
			t.Errorf("got %v", got)
		}
	})
}

func TestSalvage(t *testing.T) {
	s := serve(t, Config{}, nil)
	for _, tt := range []struct {
		name, msg, status string // status "" = dropped
	}{
		{"empty Via parameters", msg("OPTIONS", "Via: SIP/2.0/UDP 127.0.0.1:9;rport;;,;,,"), "400 Malformed Via"},
		{"LF only", strings.ReplaceAll(msg("OPTIONS"), "\r\n", "\n"), "400 Line not ended by CRLF"},
		{"no empty line", strings.TrimSuffix(msg("OPTIONS"), "\r\n"), "200 OK"},
		{"no line end at all", strings.TrimSuffix(msg("OPTIONS"), "\r\n\r\n"), "400 Header not ended by an empty line"},
		{"a NUL inside To", msg("OPTIONS", "To: <sip:a\x00@b>"), "400 Malformed To"},
		{"an escaped NUL", msg("OPTIONS", "To: \"\\\x00\" <sip:a@b>"), "200 OK"},
		{"a line without a colon", msg("OPTIONS", "+Subject"), "400 Header line without a name"},
		{"a name with a space", msg("OPTIONS", "+My Name: x"), "400 Malformed header name"},
		{"Content-Length too large", msg("OPTIONS", "Content-Length: 7"), "400 Content-Length larger than the datagram"},
		{"more than Content-Length", msg("OPTIONS") + "noise", "200 OK"},
		{"line ends before the message", "\r\n\r\n" + msg("OPTIONS"), "200 OK"},
		{"no Via", msg("OPTIONS", "Via"), ""},
		{"Via unreadable", msg("OPTIONS", "Via: UDP"), ""},
		{"a carriage return inside From", msg("OPTIONS", "From: <sip:a@b>\r;tag=1"), ""},
		{"a response nobody waits for", "SIP/2.0 200 OK\r\n\r\n", ""},
		{"no SIP at all", "hello\r\n\r\n", ""},
		{"keep-alive", "\r\n\r\n", ""},
		{"keep-alive of zeros", "\x00\x00\x00\x00", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := dial(t, s, "udp")
			w.send(tt.msg)
			if tt.status != "" {
				if got := w.receive(); status(got) != tt.status {
					t.Errorf("got %q, want %q", got, tt.status)
				}
			}
			alive(t, w)
		})
	}
}

func TestReasonNamesField(t *testing.T) {
	for f, name := range fieldName {
		if f == lastSingle {
			continue
		}
		if got := fieldOf([]byte(strings.ToUpper(name))); got != f {
			t.Errorf("%s is found as field %d, not %d", name, got, f)
		}
	}
	for f := range lastSingle {
		e := new(envelope)
		line := fmt.Sprintf("%s: 1\r\n", fieldName[f])
		e.scan([]byte("OPTIONS sip:a SIP/2.0\r\n" + line + line + "\r\n"))
		if want := "Repeated " + fieldName[f]; e.fault != want && !strings.HasPrefix(e.fault, "Malformed") {
			t.Errorf("fault %q, want %q", e.fault, want)
		}
	}
}
