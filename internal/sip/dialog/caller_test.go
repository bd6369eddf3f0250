package dialog

import (
	"strings"
	"testing"

	"github.com/emiago/sipgo/sip"

	"imp/internal/sip/stack"
)

func TestFromResponse(t *testing.T) {
	res := sip.NewResponse(200, "OK")
	for _, f := range [][2]string{{"From", "<sip:alice@example.com>;tag=a"}, {"To", `"Bob" <sip:bob@example.com>;tag=b`},
		{"Record-Route", "<sip:p2.example.com;lr>, <sip:p1.example.com:5070;transport=tcp;lr>"}, {"Contact", "<sip:bob@192.0.2.7>"}} {
		res.AppendHeader(sip.NewHeader(f[0], f[1]))
	}
	id := sip.CallIDHeader("x@y")
	res.AppendHeader(&id)
	res.AppendHeader(&sip.CSeqHeader{SeqNo: 7, MethodName: "INVITE"})
	d, err := FromResponse(&stack.Outgoing{}, res)
	if err != nil {
		t.Fatal(err)
	}
	ack := d.Ack(7, []byte("Authorization: x\r\n"), nil)
	for _, want := range []string{"Route: <sip:p1.example.com:5070;transport=tcp;lr>\r\nRoute: <sip:p2.example.com;lr>\r\n", "\r\nCSeq: 7 ACK\r\n",
		"From: <sip:alice@example.com>;tag=a\r\n", "To: <sip:bob@example.com>;tag=b\r\n", "Authorization: x\r\n"} {
		if !strings.Contains(string(ack.Head), want) {
			t.Errorf("no %q in\n%s", want, ack.Head)
		}
	}
	if ack.URI != "sip:bob@192.0.2.7" || ack.Target.Addr != "p1.example.com:5070" || ack.Target.Transport != "tcp" {
		t.Errorf("%s to %+v", ack.URI, ack.Target)
	}
	if bye := d.Request("BYE", nil, nil); !strings.Contains(string(bye.Head), "CSeq: 8 BYE") {
		t.Errorf("%s", bye.Head)
	}
	res.RemoveHeader("Contact")
	if _, err := FromResponse(&stack.Outgoing{}, res); err == nil {
		t.Error("a dialog without a target")
	}
}
