// Package cpim implements the Message/CPIM format (RFC 3862) with the header fields of instant message disposition notification (RFC 5438 section 6):
// reading, checking, building and showing messages. It knows neither SIP nor MSRP.
//
// A message is a list of header fields and a MIME part. Names are told apart by the namespace that they are in, not by the prefix that a message
// happens to bind to it; prefixes are declared where a message is written.
package cpim

import (
	"time"

	"imp/internal/xml/tree"
)

// MediaType is the type of the messages (RFC 3862 section 7.1).
const MediaType = "message/cpim"

// The namespaces of header fields: that of RFC 3862 section 4, which is the default one, and that of RFC 5438 section 6.1.
const (
	Space     = "urn:ietf:params:cpim-headers:"
	IMDNSpace = "urn:ietf:params:imdn"
)

// Bounds on what is read. A body is as long as its message.
const (
	maxHead   = 1 << 18 // bytes of the header fields of a message, or of a part
	maxFields = 1000    // header fields of a message, or of a part
	maxParts  = 1000    // parts of a multipart content
)

// Error tells where a message was refused and why.
type Error = tree.Error

// Message is a message.
type Message struct {
	Header  []Field // without NS, in the order of the message
	Content Content
}

// Name is the name of a header field, or of a feature, in its namespace.
type Name struct{ Space, Local string }

// Field is a header field (RFC 3862 section 3). Value is as it stands in a message, with its escapes; Text is without them.
type Field struct {
	Name
	Prefix string // as it was written; a wish where a message is written
	Params []Param
	Value  string
	names  []Name // of Require
	line   int
}

// Param is a parameter of a header field (RFC 3862 section 3.3), or of a disposition notification request. Its value is without quotes and escapes.
type Param struct{ Name, Value string }

// Text is the value with its escapes resolved.
func (f *Field) Text() string { return Unescape(f.Value) }

// Lang is the language of the value, "" for i-default (RFC 3862 section 3.3).
func (f *Field) Lang() string {
	for _, p := range f.Params {
		if p.Name == "lang" {
			return p.Value
		}
	}
	return ""
}

// Address is a URI with the formal name of its owner (RFC 3862 section 4.1). A Name that is empty is not told.
type Address struct{ Name, URI string }

// Subject is the topic of a message in a language, "" for i-default (RFC 3862 section 4.5).
type Subject struct{ Lang, Text string }

// Get returns the first header field of a name, nil when there is none.
func (m *Message) Get(name Name) *Field {
	for i := range m.Header {
		if m.Header[i].Name == name {
			return &m.Header[i]
		}
	}
	return nil
}

// core is a name of RFC 3862.
func core(local string) Name { return Name{Space, local} }

// From is the sender, the zero Address when it is not told (RFC 3862 section 4.1).
func (m *Message) From() Address { return m.address(core("From")) }

// To are the recipients (RFC 3862 section 4.2).
func (m *Message) To() []Address { return m.addresses(core("To")) }

// CC are the recipients of copies (RFC 3862 section 4.3).
func (m *Message) CC() []Address { return m.addresses(core("cc")) }

// DateTime is when the message was sent, in the zone of its sender (RFC 3862 section 4.4). It is zero when that is not told, or not in the form of
// RFC 3339.
func (m *Message) DateTime() time.Time {
	f := m.Get(core("DateTime"))
	if f == nil {
		return time.Time{}
	}
	t, _ := parseTime(f.Value)
	return t
}

// Subjects are the topics, usually one for each language (RFC 3862 section 4.5).
func (m *Message) Subjects() (list []Subject) {
	for i := range m.Header {
		if f := &m.Header[i]; f.Name == core("Subject") {
			list = append(list, Subject{f.Lang(), f.Text()})
		}
	}
	return list
}

// Required are the header fields and features that have to be understood (RFC 3862 section 4.7). A name whose prefix is not declared is in no namespace.
func (m *Message) Required() (list []Name) {
	for i := range m.Header {
		list = append(list, m.Header[i].names...)
	}
	return list
}

// NotUnderstood are those of Required that neither this package understands nor are among the known ones. With any of them a message must not be
// treated as understood (RFC 3862 section 3.5).
func (m *Message) NotUnderstood(known ...Name) (list []Name) {
required:
	for _, n := range m.Required() {
		if ours[n] {
			continue
		}
		for _, k := range known {
			if n == k {
				continue required
			}
		}
		list = append(list, n)
	}
	return list
}

// ours are the header fields that this package understands.
var ours = map[Name]bool{
	core("From"): true, core("To"): true, core("cc"): true, core("DateTime"): true, core("Subject"): true, core("NS"): true, core("Require"): true,
	messageID: true, disposition: true, originalTo: true, recordRoute: true, route: true,
}

func (m *Message) address(name Name) Address {
	if f := m.Get(name); f != nil {
		a, _ := parseAddress(f.Value)
		return a
	}
	return Address{}
}

func (m *Message) addresses(name Name) (list []Address) {
	for i := range m.Header {
		if m.Header[i].Name == name {
			if a, why := parseAddress(m.Header[i].Value); why == "" {
				list = append(list, a)
			}
		}
	}
	return list
}

func parseTime(s string) (time.Time, bool) {
	t, err := time.Parse(time.RFC3339Nano, s)
	return t, err == nil
}
