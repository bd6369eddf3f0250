package stack

import (
	"context"
	"testing"

	sip "github.com/emiago/sipgo/sip"

	"imp/internal/sip/header"
)

// scanned is a message as the stack reads it, in memory that is overwritten afterwards.
func scanned(t *testing.T, text string, use func(e *envelope)) {
	t.Helper()
	data := []byte(text)
	end := headEnd(data, 0)
	e := new(envelope)
	if !e.scan(data[:end]) || e.fault != "" {
		t.Fatalf("%q: %s", text, e.fault)
	}
	e.body = data[end:]
	use(e)
	for i := range data {
		data[i] = '#'
	}
}

func TestRequestForHandlers(t *testing.T) {
	var r *Request
	scanned(t, "SUBSCRIBE sip:Bob@Example.com;x=1 SIP/2.0\r\nv:SIP/2.0/UDP a,SIP/2.0/UDP b\r\nFrom: \"A, B\" <sip:a@b>;tag=f\r\nt: <sip:Bob@example.com>;tag=\r\n"+
		" t1 \r\ni: call@id\r\nCSeq: 7\r\n\tSUBSCRIBE\r\nX-Long:  one\r\n  two\r\n\tthree \r\nEmpty:\r\nm: <sip:c@d>;q=0.5, sip:e@f;q=1\r\nl: 4\r\n\r\nbody",
		func(e *envelope) {
			var fault string
			if r, fault = e.request(); fault != "" {
				t.Fatal(fault)
			}
		})
	if r.Method != sip.SUBSCRIBE || r.URI() != "sip:Bob@Example.com;x=1" || r.Recipient.User != "Bob" || r.SipVersion != "SIP/2.0" {
		t.Errorf("%s %s %v %s", r.Method, r.URI(), r.Recipient, r.SipVersion)
	}
	if r.FromTag() != "f" || r.ToTag() != "t1" || r.CallID().Value() != "call@id" || r.CSeq().SeqNo != 7 || r.CSeq().MethodName != sip.SUBSCRIBE {
		t.Errorf("%q %q %v %v", r.FromTag(), r.ToTag(), r.CallID(), r.CSeq())
	}
	if string(r.Body()) != "body" || *r.ContentLength() != 4 {
		t.Errorf("%q %v", r.Body(), r.ContentLength())
	}
	for name, want := range map[string][]string{
		"From": {`"A, B" <sip:a@b>;tag=f`}, "Via": {"SIP/2.0/UDP a", "SIP/2.0/UDP b"}, "Empty": {},
		"Contact": {"<sip:c@d>;q=0.5", "sip:e@f;q=1"}, "X-Long": {"one    two  \tthree"},
	} {
		got := header.List(r.Request, name)
		if len(got) != len(want) {
			t.Errorf("%s is %q", name, got)
			continue
		}
		for i := range want {
			if got[i] != want[i] {
				t.Errorf("%s is %q, not %q", name, got[i], want[i])
			}
		}
	}
	made := &Request{Request: parsedRequest(t, "OPTIONS sip:a@b SIP/2.0\r\nFrom: <sip:a@b>;tag=x\r\nTo: <sip:a@b>\r\nContent-Length: 0\r\n\r\n")}
	if made.URI() != "sip:a@b" || made.FromTag() != "x" || made.ToTag() != "" {
		t.Errorf("one that did not come through the stack: %q %q %q", made.URI(), made.FromTag(), made.ToTag())
	}
}

func parsedRequest(t *testing.T, text string) *sip.Request {
	m, err := sip.ParseMessage([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return m.(*sip.Request)
}

func TestResponseForSenders(t *testing.T) {
	var res *sip.Response
	scanned(t, "SIP/2.0 423 Interval  Too Brief\r\nVia: SIP/2.0/UDP a\r\nFrom: <sip:a@b>;tag=f\r\nTo: <sip:a@b>;tag=t\r\nCall-ID: c\r\nCSeq: 9 SUBSCRIBE\r\n"+
		"Min-Expires: 60\r\nContent-Length: 2\r\n\r\nhi", func(e *envelope) { res = e.response() })
	v, _, _ := header.Single(res, "Min-Expires")
	if res.StatusCode != 423 || res.Reason != "Interval  Too Brief" || v != "60" || res.CSeq().SeqNo != 9 || string(res.Body()) != "hi" {
		t.Errorf("%d %q %q %v %q", res.StatusCode, res.Reason, v, res.CSeq(), res.Body())
	}
}

func TestAddressLists(t *testing.T) {
	for _, tt := range []struct{ field, want string }{
		{"Contact: *", "200 OK"},
		{"Contact: sip:a@b, \"x,y\" <sip:c@d;lr>;expires=1 , c <sip:e>", "200 OK"},
		{"Contact: ", "400 Malformed Contact"},
		{"Contact: sip:a@b?x=y", "400 Malformed Contact"},
		{"Contact: <sip:a@b>,", "400 Malformed Contact"},
		{"Contact: <sip:a@b> c", "400 Malformed Contact"},
		{"Contact: a@b", "400 Malformed Contact"},
		{"Record-Route: <sip:a;lr>, <sip:b", "400 Malformed Record-Route"},
	} {
		s := New(Config{})
		s.Handle("SUBSCRIBE", func(context.Context, *Request) *Response { return Answer(200) })
		f := &fakeUDP{t: t, local: here}
		s.newSocket(f).handle(new(envelope), []byte(msg("SUBSCRIBE", "+"+tt.field)), there)
		if sent := f.sent(); len(sent) != 1 || status(sent[0].data) != tt.want {
			t.Errorf("%s: %v, not %s", tt.field, sent, tt.want)
		}
		_ = s.Close()
	}
}
