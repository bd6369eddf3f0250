package stack

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
)

func TestGuard(t *testing.T) {
	var handled atomic.Int64
	s := serve(t, Config{Product: "imp/test"}, func(s *Stack) {
		s.Handle("PUBLISH", counting(&handled))
		s.Handle("SUBSCRIBE", func(context.Context, *Request) *Response { return nil })
		s.Handle("MESSAGE", func(context.Context, *Request) *Response { panic("a handler's mistake") })
		s.Extensions("eventlist")
		s.Options(func() []Field { return []Field{{"Allow-Events", "presence"}} })
	})
	allow := "PUBLISH, SUBSCRIBE, MESSAGE, OPTIONS, CANCEL"
	for _, tt := range []struct {
		name   string
		msg    string
		status string
		field  string
		value  string
	}{
		{"PUB-027 Require not understood", msg("PUBLISH", "Require: foo, eventlist", "+Require: bar"),
			"420 Bad Extension", "Unsupported", "foo, bar"},
		{"RLS-062 a list in a SUBSCRIBE", msg("SUBSCRIBE", "Require: recipient-list-subscribe, eventlist"), "420 Bad Extension", "Unsupported", "recipient-list-subscribe"},
		{"Require understood", msg("PUBLISH", "Require: EventList"), "200 OK", "", ""},
		{"PUB-027 scheme", msg("PUBLISH", "URI: soap.beep://192.0.2.103:3002"), "416 Unsupported URI Scheme", "", ""},
		{"PUB-027 method not handled", msg("REGISTER"), "405 Method Not Allowed", "Allow", allow},
		{"unknown method", msg("FROB"), "501 Not Implemented", "Allow", allow},
		{"EVT-007 methods are case-sensitive", msg("Subscribe"), "501 Not Implemented", "Allow", allow},
		{"EVT-001 Event twice", msg("SUBSCRIBE", "Event: presence", "+o: presence"), "400 Repeated Event", "", ""},
		{"version", msg("PUBLISH", "Version: SIP/7.0"), "505 Version Not Supported", "", ""},
		{"version in any case", msg("PUBLISH", "Version: sip/2.0"), "200 OK", "", ""},
		{"no From", msg("PUBLISH", "From"), "400 Missing From", "", ""},
		{"no To", msg("PUBLISH", "To"), "400 Missing To", "", ""},
		{"no Call-ID", msg("PUBLISH", "Call-ID"), "400 Missing Call-ID", "", ""},
		{"no CSeq", msg("PUBLISH", "CSeq"), "400 Missing CSeq", "", ""},
		{"two From", msg("PUBLISH", "+f: <sip:eve@example.com>;tag=2"), "400 Repeated From", "", ""},
		{"two Max-Forwards", msg("PUBLISH", "+Max-Forwards: 1"), "400 Repeated Max-Forwards", "", ""},
		{"Max-Forwards no number", msg("PUBLISH", "Max-Forwards: seventy"), "400 Malformed Max-Forwards", "", ""},
		{"no Max-Forwards", msg("PUBLISH", "Max-Forwards"), "200 OK", "", ""},
		{"Max-Forwards 0 is for proxies", msg("PUBLISH", "Max-Forwards: 0"), "200 OK", "", ""},
		{"CSeq of another method", msg("PUBLISH", "CSeq: 1 NOTIFY"), "400 CSeq method differs from the request's", "", ""},
		{"CSeq too large", msg("PUBLISH", "CSeq: 2147483648 PUBLISH"), "400 Malformed CSeq", "", ""},
		{"open quote", msg("PUBLISH", `To: "Mr. J. User <sip:j@example.com>`), "400 Malformed To", "", ""},
		{"space in the address", msg("PUBLISH", `To: < sip:j@example.com >`), "400 Malformed To", "", ""},
		{"second Via value missing", msg("PUBLISH", "+Via: SIP/2.0/UDP a;branch=1,"), "400 Malformed Via", "", ""},
		{"second Via value broken", msg("PUBLISH", "+Via: SIP/2.0/UDP a;branch=1, b"), "400 Malformed Via", "", ""},
		{"two tags", msg("PUBLISH", "From: <sip:a@b>;tag=1;tag=2"), "400 Malformed From", "", ""},
		{"Contact the parser rejects", msg("SUBSCRIBE", "m: \"Joe\" <sip:joe@example.com"), "400 Malformed Contact", "", ""},
		{"PUB-046 Contact of PUBLISH, whatever it is", msg("PUBLISH", "m: \"Joe\" <sip:joe@example.com", "+Contact: sip: x, <"), "200 OK", "", ""},
		{"URI in angle brackets", msg("PUBLISH", "URI: <sip:bob@example.com>"), "400 Malformed request line", "", ""},
		{"space in the URI", msg("PUBLISH", "URI: sip:bob@example.com; lr"), "400 Malformed request line", "", ""},
		{"header fields in the URI", msg("PUBLISH", "URI: sip:bob@example.com?Route=%3Csip:a%3E"), "400 Header fields in Request-URI", "", ""},
		{"IPv6 without brackets", msg("PUBLISH", "URI: sip:2001:db8::10"), "400 Malformed Request-URI: host or port", "", ""},
		{"pres URI", msg("PUBLISH", "URI: pres:bob@example.com"), "200 OK", "", ""},
		{"coding not understood", msgBody("PUBLISH", "x", "e: br"), "415 Unsupported Media Type", "Accept-Encoding", "deflate, gzip, identity"},
		{"Content-Length negative", msg("PUBLISH", "Content-Length: -1"), "400 Malformed Content-Length", "", ""},
		{"nil from the handler", msg("SUBSCRIBE"), "500 Server Internal Error", "", ""},
		{"panic in the handler", msg("MESSAGE"), "500 Server Internal Error", "Server", "imp/test"},
		{"EVT-103 OPTIONS", msg("OPTIONS"), "200 OK", "Allow-Events", "presence"},
		{"EVT-106 Allow in OPTIONS", msg("OPTIONS"), "200 OK", "Allow", allow},
		{"Supported in OPTIONS", msg("OPTIONS"), "200 OK", "Supported", "eventlist"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, transport := range []string{"udp", "tcp"} {
				w := dial(t, s, transport)
				answer := w.ask(tt.msg)
				if status(answer) != tt.status {
					t.Fatalf("%s: want %q, got %q", transport, tt.status, answer)
				}
				if tt.field != "" && field(answer, tt.field) != tt.value {
					t.Errorf("%s: want %s: %s, got %q", transport, tt.field, tt.value, answer)
				}
				// The same request over another transport is the same one merged; a new one is made by its ids.
				tt.msg = renew(tt.msg)
			}
		})
	}
}

// renew gives a request another Call-ID and branch.
func renew(m string) string {
	n := fmt.Sprint(serial.Add(1))
	m = strings.Replace(m, "Call-ID: c", "Call-ID: r"+n, 1)
	return strings.Replace(m, "branch=z9hG4bK-", "branch=z9hG4bK-r"+n, 1)
}
