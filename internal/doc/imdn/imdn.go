// Package imdn implements the documents of instant message disposition notification (RFC 5438 section 11): reading, checking, writing and showing them.
// The header fields that go with them are those of messages, see package cpim.
package imdn

import (
	"slices"
	"strings"

	"imp/internal/xml/grammar"
	"imp/internal/xml/lexical"
	"imp/internal/xml/tree"
)

// MediaType is the type of the documents (RFC 5438 section 15.2).
const MediaType = "message/imdn+xml"

// Space is the namespace of the elements (RFC 5438 section 15.3).
const Space = "urn:ietf:params:xml:ns:imdn"

// Error tells where a document was refused and why.
type Error = tree.Error

// Kind tells what a notification is about (RFC 5438 section 5). The empty one is a document without notification, which the schema lets be.
type Kind string

// The kinds of notifications.
const (
	Delivery   Kind = "delivery"
	Processing Kind = "processing"
	Display    Kind = "display"
)

// Status is the disposition of a message (RFC 5438 section 11.1.7).
type Status string

// The dispositions: Delivered and Failed are of delivery, Processed and Stored of processing, Displayed is of display, and the others of all three.
const (
	Delivered Status = "delivered"
	Failed    Status = "failed"
	Processed Status = "processed"
	Stored    Status = "stored"
	Displayed Status = "displayed"
	Forbidden Status = "forbidden"
	Failure   Status = "error"
)

// Statuses are the dispositions of a kind, nil for what is no kind.
func Statuses(k Kind) []Status {
	switch k {
	case Delivery:
		return []Status{Delivered, Failed, Forbidden, Failure}
	case Processing:
		return []Status{Processed, Stored, Forbidden, Failure}
	case Display:
		return []Status{Displayed, Forbidden, Failure}
	}
	return nil
}

// KindOf is the kind that a disposition is of, "" for those of all kinds.
func KindOf(s Status) Kind {
	switch s {
	case Delivered, Failed:
		return Delivery
	case Processed, Stored:
		return Processing
	case Displayed:
		return Display
	}
	return ""
}

// Kinds are all kinds.
func Kinds() []Kind { return []Kind{Delivery, Processing, Display} }

// Document tells the disposition of a message.
type Document struct {
	MessageID string // Message-ID of the message that it is about (RFC 5438 section 11.1.1)
	DateTime  string // DateTime of that message, as it was written there (RFC 5438 section 11.1.2)
	// Recipient is who the message was for when the notification was made, and OriginalRecipient who its sender wrote to (RFC 5438 sections 11.1.3 and
	// 11.1.4). An undisclosed one is empty.
	Recipient, OriginalRecipient string
	Subject                      string // of that message (RFC 5438 section 11.1.5)
	Kind                         Kind
	Status                       Status
	Extensions                   []Name // elements of other namespaces, in the document or its status
}

// Name is the name of an element that this package does not know.
type Name struct{ Space, Local string }

// limits bound the work that a document can cause.
var limits = tree.Options{Limits: tree.Limits{Depth: 64, Size: 1 << 18, Attributes: 64, Declarations: 64}}

// maxExtensions is how many elements of other namespaces are told.
const maxExtensions = 100

// Check reports what the schema of RFC 5438 section 11.1.9 refuses. The error is an *Error.
func Check(src []byte) error {
	t, err := tree.Parse(src, limits)
	if err != nil {
		return err
	}
	g, _ := grammar.For(Space, "imdn")
	return g.Validate(t)
}

// Parse reads a document leniently: in any order, with unknown elements. It refuses what is not well-formed, has another root, no message-id, or a status
// that is not of its kind of notification. The error is an *Error.
func Parse(src []byte) (*Document, error) {
	t, err := tree.Parse(src, limits)
	if err != nil {
		return nil, err
	}
	root := t.Root()
	if err := lexical.WantRoot(t, Space, "imdn"); err != nil {
		return nil, err
	}
	d := &Document{}
	for n := range root.Elements() {
		if err := d.read(n); err != nil {
			return nil, err
		}
	}
	if d.MessageID == "" {
		return nil, lexical.ErrorIn(root, "no message-id, so that it is about no message")
	}
	return d, nil
}

func (d *Document) read(n tree.Node) *Error {
	if n.Space() != Space {
		d.extend(n)
		return nil
	}
	switch n.Local() {
	case "message-id":
		d.MessageID = collapse(n.Text())
	case "datetime":
		d.DateTime = collapse(n.Text())
	case "recipient-uri":
		d.Recipient = collapse(n.Text())
	case "original-recipient-uri":
		d.OriginalRecipient = collapse(n.Text())
	case "subject":
		d.Subject = n.Text()
	case "delivery-notification":
		return d.notification(n, Delivery)
	case "processing-notification":
		return d.notification(n, Processing)
	case "display-notification":
		return d.notification(n, Display)
	}
	return nil
}

func (d *Document) notification(n tree.Node, kind Kind) *Error {
	if d.Kind != "" {
		return lexical.ErrorIn(n, "a second notification; a document has one")
	}
	d.Kind = kind
	for s := range n.Element(Space, "status").Elements() {
		switch {
		case s.Space() != Space:
			d.extend(s)
		case !slices.Contains(Statuses(kind), Status(s.Local())):
			return lexical.ErrorIn(s, s.Local()+" is no status of "+string(kind)+", which has "+list(kind))
		case d.Status != "":
			return lexical.ErrorIn(s, "a second status; a notification has one")
		default:
			d.Status = Status(s.Local())
		}
	}
	if d.Status == "" {
		return lexical.ErrorIn(n, "no status in the notification, where one of "+list(kind)+" is wanted")
	}
	return nil
}

func (d *Document) extend(n tree.Node) {
	if len(d.Extensions) < maxExtensions {
		d.Extensions = append(d.Extensions, Name{n.Space(), n.Local()})
	}
}

func list(kind Kind) string {
	words := make([]string, 0, 4)
	for _, s := range Statuses(kind) {
		words = append(words, string(s))
	}
	return strings.Join(words, ", ")
}

// collapse makes white space between words one blank.
func collapse(s string) string { return strings.Join(strings.Fields(s), " ") }

// Bytes writes the document in the order of the schema. Both URIs are there or none (RFC 5438 section 11.1.9): one that is not told is that of the other,
// and the subject is left out without them. A status that is not of the kind leaves the document without notification. Extensions are not written.
func (d *Document) Bytes() []byte {
	b := append(make([]byte, 0, 512), `<?xml version="1.0" encoding="UTF-8"?>`+"\n"+`<imdn xmlns="`+Space+`">`+"\n"...)
	element := func(name, text string) {
		b = append(b, "  <"+name+">"...)
		b = tree.AppendText(b, lexical.Legal(text))
		b = append(b, "</"+name+">\n"...)
	}
	element("message-id", collapse(d.MessageID))
	element("datetime", collapse(d.DateTime))
	recipient, original := d.Recipient, d.OriginalRecipient
	if recipient == "" {
		recipient = original
	}
	if original == "" {
		original = recipient
	}
	if recipient != "" {
		element("recipient-uri", lexical.FixURI(recipient))
		element("original-recipient-uri", lexical.FixURI(original))
		if d.Subject != "" {
			element("subject", d.Subject)
		}
	}
	if slices.Contains(Statuses(d.Kind), d.Status) {
		name := string(d.Kind) + "-notification"
		b = append(b, "  <"+name+">\n    <status>\n      <"+string(d.Status)+"/>\n    </status>\n  </"+name+">\n"...)
	}
	return append(b, "</imdn>\n"...)
}
