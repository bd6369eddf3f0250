package stack

import (
	"bytes"
	"strings"

	sip "github.com/emiago/sipgo/sip"

	"imp/internal/sip/header"
)

// What handlers get is made from what the scanner has found. Header fields are text, but for those that have no more
// structure than a number: whoever needs one reads it with package header, and most are read by nobody. All values are
// parts of one string.

// fieldText is one header field as it was received.
type fieldText struct {
	number      int
	name, value []byte
}

// request makes the request for handlers. fault is what is wrong with it beyond what the scanner looks for, as a
// reason phrase.
func (e *envelope) request() (r *Request, fault string) {
	text := string(e.head)
	m := sip.NewRequest(sip.RequestMethod(e.part(text, e.method)), sip.Uri{}) // with room for fields
	r = &Request{Request: m, uri: e.part(text, e.uri), ends: &ends{from: e.part(text, e.fromTag), to: e.part(text, e.toTag)}}
	if sip.ParseUri(r.uri, &m.Recipient) != nil {
		return nil, "Malformed Request-URI"
	}
	if fault := e.checkRoutes(); fault != "" {
		return nil, fault
	}
	m.SipVersion = e.part(text, e.version)
	e.fill(&m.MessageData, text)
	return r, ""
}

// response makes the response for whoever sent the request.
func (e *envelope) response() *sip.Response {
	text := string(e.head)
	_, reason, _ := strings.Cut(e.part(text, e.start), " ")
	_, reason, _ = strings.Cut(reason, " ")
	res := sip.NewResponse(e.status, reason)
	e.fill(&res.MessageData, text)
	return res
}

// brief makes a response that has only the header fields of the given names.
func (e *envelope) brief(names []string) *sip.Response {
	res := &sip.Response{StatusCode: e.status}
	for _, name := range names {
		number := fieldOf([]byte(name))
		for _, f := range e.texts {
			if f.number == number && (number != fieldOther || strings.EqualFold(name, string(f.name))) {
				res.AppendHeader(sip.NewHeader(name, string(unfold(f.value))))
			}
		}
	}
	return res
}

// fill enters header fields and body, for which there is new memory.
func (e *envelope) fill(m *sip.MessageData, text string) {
	for _, f := range e.texts {
		value := e.part(text, f.value)
		if strings.IndexByte(value, '\n') >= 0 {
			value = string(unfold(f.value))
		}
		switch f.number {
		case fieldCSeq:
			m.AppendHeader(&sip.CSeqHeader{SeqNo: e.cseqNumber, MethodName: sip.RequestMethod(e.part(text, e.cseqMethod))})
		case fieldCallID:
			id := sip.CallIDHeader(value)
			m.AppendHeader(&id)
		case fieldContentLength:
			n := sip.ContentLengthHeader(len(e.body))
			m.AppendHeader(&n)
		default:
			m.AppendHeader(sip.NewHeader(e.part(text, f.name), value))
		}
	}
	if len(e.body) > 0 {
		m.SetBody(bytes.Clone(e.body))
	}
}

// part is the part of text, the head as a string, that corresponds to b.
func (e *envelope) part(text string, b []byte) string {
	if len(b) == 0 {
		return ""
	}
	at := cap(e.head) - cap(b)
	return text[at : at+len(b)]
}

// checkRoutes looks at what decides where further requests go, as is done for Contact.
func (e *envelope) checkRoutes() (fault string) {
	for _, f := range e.texts {
		if route := f.number == fieldRoute || f.number == fieldRecordRoute; route && (string(f.value) == "*" || !contactList(f.value)) {
			return "Malformed " + fieldName[f.number]
		}
	}
	return ""
}

// ends are the tags of a request.
type ends struct{ from, to string }

// URI is the Request-URI as it was received.
func (r *Request) URI() string {
	if r.uri == "" {
		r.uri = r.Recipient.String()
	}
	return r.uri
}

// FromTag is the tag of From, "" without one.
func (r *Request) FromTag() string { return r.tags().from }

// ToTag is the tag of To, "" without one.
func (r *Request) ToTag() string { return r.tags().to }

// tags reads them where the request did not come through the stack.
func (r *Request) tags() *ends {
	if r.ends == nil {
		r.ends = &ends{from: tagOf(r, "From"), to: tagOf(r, "To")}
	}
	return r.ends
}

func tagOf(r *Request, name string) string {
	v, _, err := header.Single(r.Request, name)
	if err != nil {
		return ""
	}
	a, err := header.ParseAddress(v)
	if err != nil {
		return ""
	}
	return a.Tag()
}
