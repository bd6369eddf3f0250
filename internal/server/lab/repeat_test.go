package lab_test

import (
	"bytes"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"
)

// datagrams is a UDP peer that sends exact bytes and reads whole messages.
type datagrams struct {
	t *testing.T
	c net.Conn
}

func dialUDP(t *testing.T, server string) datagrams {
	t.Helper()
	c, err := net.Dial("udp", server)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return datagrams{t, c}
}

func (d datagrams) send(message string) {
	d.t.Helper()
	if _, err := d.c.Write([]byte(strings.ReplaceAll(message, "\n", "\r\n"))); err != nil {
		d.t.Fatal(err)
	}
}

func (d datagrams) receive() []byte {
	d.t.Helper()
	d.c.SetReadDeadline(time.Now().Add(patience))
	buf := make([]byte, 65536)
	n, err := d.c.Read(buf)
	if err != nil {
		d.t.Fatalf("reading from the server: %v", err)
	}
	return buf[:n]
}

// field is the value of a header field of a message, "" when it has none.
func field(message []byte, name string) string {
	head, _, _ := strings.Cut(string(message), "\r\n\r\n")
	for _, line := range strings.Split(head, "\r\n")[1:] {
		if n, v, _ := strings.Cut(line, ":"); strings.EqualFold(n, name) {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// request is a request of bob for alice; more holds further fields with their
// line ends, the body behind an empty line.
func (d datagrams) request(method, branch, callID string, seq int, toTag, more string) string {
	fields, body, _ := strings.Cut(more, "\n\n")
	if toTag != "" {
		toTag = ";tag=" + toTag
	}
	return fmt.Sprintf("%s sip:alice@lab.test SIP/2.0\nVia: SIP/2.0/UDP %s;branch=z9hG4bK%s;rport\nMax-Forwards: 70\n"+
		"From: <sip:bob@lab.test>;tag=b\nTo: <sip:alice@lab.test>%s\nCall-ID: %s\nCSeq: %d %s\nEvent: presence\n"+
		"Contact: <sip:bob@%s>\n%s\nContent-Length: %d\n\n%s",
		method, d.c.LocalAddr(), branch, toTag, callID, seq, method, d.c.LocalAddr(), strings.TrimRight(fields, "\n"), len(body), body)
}

// TestRetransmission sends the same datagram twice: the second is answered from
// memory and has no effect.
func TestRetransmission(t *testing.T) {
	t.Run("PUB-045 PUBLISH", func(t *testing.T) {
		d := dialUDP(t, start(t))
		publish := d.request("PUBLISH", "p1", "p", 1, "", "Expires: 100\nContent-Type: application/pidf+xml\n\n"+
			`<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="sip:alice@lab.test"/>`)
		d.send(publish)
		d.send(publish)
		first, second := d.receive(), d.receive()
		if !bytes.HasPrefix(first, []byte("SIP/2.0 200 ")) || !bytes.Equal(first, second) {
			t.Fatalf("two answers to one request:\n%s\n%s", first, second)
		}
		refresh := d.request("PUBLISH", "p2", "p", 2, "", "Expires: 100\nSIP-If-Match: "+field(first, "SIP-ETag"))
		d.send(refresh)
		d.send(refresh)
		first, second = d.receive(), d.receive()
		if !bytes.HasPrefix(first, []byte("SIP/2.0 200 ")) || !bytes.Equal(first, second) {
			t.Errorf("a repeated refresh finds its tag replaced:\n%s\n%s", first, second)
		}
	})
	t.Run("EVT-082 SUBSCRIBE", func(t *testing.T) {
		d := dialUDP(t, start(t))
		subscribe := d.request("SUBSCRIBE", "s1", "s", 1, "", "Expires: 100")
		d.send(subscribe)
		d.send(subscribe)
		tag := d.sameDialog(t, "1 SUBSCRIBE", 2, "1 NOTIFY")
		d.send(d.request("SUBSCRIBE", "s2", "s", 2, tag, "Expires: 0"))
		d.sameDialog(t, "2 SUBSCRIBE", 1, "2 NOTIFY")
	})
}

// sameDialog reads answers to a request and one NOTIFY, which it answers, in
// any order, and gives the tag of the server, which must be the same in all of
// them. NOTIFYs are numbered from 1, so that seq tells how many were sent.
func (d datagrams) sameDialog(t *testing.T, request string, answers int, seq string) (tag string) {
	t.Helper()
	for notified := false; answers > 0 || !notified; {
		m := d.receive()
		end := "To"
		switch {
		case bytes.HasPrefix(m, []byte("SIP/2.0 200 ")) && field(m, "CSeq") == request:
			answers--
		case bytes.HasPrefix(m, []byte("NOTIFY ")) && field(m, "CSeq") == seq:
			end, notified = "From", true
			d.send(fmt.Sprintf("SIP/2.0 200 OK\nVia: %s\nFrom: %s\nTo: %s\nCall-ID: %s\nCSeq: %s\nContent-Length: 0\n\n",
				field(m, "Via"), field(m, "From"), field(m, "To"), field(m, "Call-ID"), field(m, "CSeq")))
		default:
			t.Fatalf("neither 200 to %s nor NOTIFY %s:\n%s", request, seq, m)
		}
		_, got, _ := strings.Cut(field(m, end), ";tag=")
		if got == "" || tag != "" && got != tag {
			t.Fatalf("the tag of the server is %q and %q", tag, got)
		}
		tag = got
	}
	return tag
}
