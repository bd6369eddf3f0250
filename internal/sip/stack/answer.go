package stack

import (
	"crypto/sha256"
	"encoding/hex"
	"net/netip"
	"strconv"
	"strings"
)

// Field is one header field, its value rendered.
type Field struct{ Name, Value string }

// Response is a final answer as a handler gives it. The stack adds Via, From, To, Call-ID, CSeq, Server and
// Content-Length.
type Response struct {
	Status      int    // 200 to 699; anything else is sent as 500
	Reason      string // "" = the phrase usual for the status
	Fields      []Field
	Body        []byte
	ContentType string // of Body
	ToTag       string // used when the request's To has none; "" = made by the stack, the same for all answers to one request
	RecordRoute bool   // copy the request's Record-Route fields, as RFC 3261 12.1.1 wants in answers that create a dialog
	Sent        func() // called once, when the answer has been handed to the transport or could not be

	passed []byte // header fields of an answer that a proxy passes on, in place of all above but Status, Reason, Body and ToTag
}

// Answer makes a Response.
func Answer(status int, fields ...Field) *Response {
	return &Response{Status: status, Fields: fields}
}

// rendered is an answer without what it echoes: this is also what is kept for retransmissions, because a
// retransmission brings along what has to be echoed.
type rendered struct {
	status []byte // status line with CRLF
	tag    []byte // To tag, when the request had none
	tail   []byte // header fields behind CSeq, empty line, body
}

// appendStatus writes a status line.
func appendStatus(b []byte, status int, reason string) []byte {
	if reason == "" {
		reason = phrase(status)
	}
	b = append(b, "SIP/2.0 "...)
	b = strconv.AppendInt(b, int64(status), 10)
	b = append(b, ' ')
	b = appendValue(b, reason)
	return append(b, "\r\n"...)
}

// appendValue writes a value that comes from a handler. Line ends in it would begin new header fields.
func appendValue(b []byte, v string) []byte {
	if strings.IndexByte(v, '\n') < 0 && strings.IndexByte(v, '\r') < 0 {
		return append(b, v...)
	}
	for i := 0; i < len(v); i++ {
		if v[i] == '\r' || v[i] == '\n' {
			b = append(b, ' ')
		} else {
			b = append(b, v[i])
		}
	}
	return b
}

func appendField(b []byte, name, value string) []byte {
	b = append(b, name...)
	b = append(b, ": "...)
	b = appendValue(b, value)
	return append(b, "\r\n"...)
}

// appendTail writes what follows CSeq in the answer r to e.
func appendTail(b []byte, e *envelope, r *Response, product string) []byte {
	if r.passed != nil {
		product = ""
		b = append(b, r.passed...)
	}
	if r.RecordRoute {
		for _, v := range e.recordRoutes {
			b = append(b, "Record-Route: "...)
			b = append(b, v...)
			b = append(b, "\r\n"...)
		}
	}
	for _, f := range r.Fields {
		b = appendField(b, f.Name, f.Value)
	}
	if product != "" {
		b = appendField(b, "Server", product)
	}
	if len(r.Body) > 0 && r.ContentType != "" {
		b = appendField(b, "Content-Type", r.ContentType)
	}
	b = append(b, "Content-Length: "...)
	b = strconv.AppendInt(b, int64(len(r.Body)), 10)
	b = append(b, "\r\n\r\n"...)
	return append(b, r.Body...)
}

// appendAnswer writes a whole answer: what is echoed is copied from the request byte for byte, but for the received
// and rport parameters of the top Via and the tag of To (RFC 3261 8.2.6.2). What the request lacked stays out.
func appendAnswer(b []byte, e *envelope, source netip.AddrPort, r rendered) []byte {
	b = append(b, r.status...)
	for i, line := range e.vias {
		b = append(b, "Via: "...)
		if i == 0 && e.top.raw != nil {
			b = appendTopVia(b, &e.top, source)
			line = line[len(e.top.raw):]
		}
		b = append(b, line...)
		b = append(b, "\r\n"...)
	}
	b = appendEcho(b, "From: ", e.from, nil)
	tag := r.tag
	if e.toTag != nil {
		tag = nil
	}
	b = appendEcho(b, "To: ", e.to, tag)
	b = appendEcho(b, "Call-ID: ", e.callID, nil)
	b = appendEcho(b, "CSeq: ", e.cseq, nil)
	return append(b, r.tail...)
}

func appendEcho(b []byte, name string, value, tag []byte) []byte {
	if value == nil {
		return b
	}
	b = append(b, name...)
	b = append(b, value...)
	if len(tag) > 0 {
		b = append(b, ";tag="...)
		b = append(b, tag...)
	}
	return append(b, "\r\n"...)
}

// appendTopVia writes the top Via value with received where sent-by is not the source (RFC 3261 18.2.1) and, when
// rport is there, with both (RFC 3581 4).
func appendTopVia(b []byte, v *via, source netip.AddrPort) []byte {
	address := source.Addr().WithZone("")
	received := v.rport != nil || !sameHost(v.host, address)
	edits := [...]struct {
		part  []byte
		rport bool
	}{{v.rport, true}, {v.received, false}}
	if cap(v.received) > cap(v.rport) { // it stands before rport
		edits[0], edits[1] = edits[1], edits[0]
	}
	raw := v.raw
	for _, e := range edits {
		if e.part == nil || !e.rport && !received {
			continue
		}
		at := cap(raw) - cap(e.part)
		b = append(b, raw[:at]...)
		raw = raw[at+len(e.part):]
		if e.rport {
			b = append(b, ";rport="...)
			b = strconv.AppendUint(b, uint64(source.Port()), 10)
		}
	}
	b = append(b, raw...)
	if received {
		b = append(b, ";received="...)
		b = address.AppendTo(b)
	}
	return b
}

// sameHost compares the host of sent-by with an address.
func sameHost(host []byte, a netip.Addr) bool {
	var text [64]byte
	if t := a.AppendTo(text[:0]); string(t) == string(host) {
		return true
	}
	if a.Is4() {
		return false
	}
	h, err := netip.ParseAddr(string(host))
	return err == nil && h.Unmap() == a
}

// makeTag derives the To tag of a request from its key, so that all answers to it carry the same tag without anything
// being remembered (RFC 3261 8.2.7).
func (s *Stack) makeTag(b []byte, k key) []byte {
	var in [32]byte
	copy(in[:16], s.secret[:])
	k.put(in[16:])
	sum := sha256.Sum256(in[:])
	return hex.AppendEncode(b, sum[:8])
}
