package cpim

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// Bytes writes the message as RFC 3862 has it: each prefix is declared before its first use, there is one space behind each name, and an empty line on
// both sides of the header of the content. Control characters in values are escaped, those of MIME become spaces. What has no valid name is left out;
// Check tells before.
func (m *Message) Bytes() []byte {
	w := writer{spaces: map[string]string{}}
	for i := range m.Header {
		w.field(&m.Header[i])
	}
	w.buf = append(w.buf, "\r\n"...)
	for _, f := range m.Content.Header {
		if isMIMEName(f.Name) {
			w.buf = append(w.buf, f.Name+": "+strings.Trim(oneLine(f.Value), " ")+"\r\n"...)
		}
	}
	w.buf = append(w.buf, "\r\n"...)
	return append(w.buf, m.Content.Body...)
}

// oneLine makes control characters spaces.
func oneLine(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7F {
			return ' '
		}
		return r
	}, s)
}

// writer gathers the lines of a header.
type writer struct {
	buf    []byte
	spaces map[string]string // by prefix
	next   int               // number of the next prefix that is made
}

func (w *writer) field(f *Field) {
	if !isName(f.Local) || f.Name == core("NS") {
		return
	}
	value := strings.Trim(escape(f.Value, false, false), " ")
	if len(f.names) > 0 {
		words := make([]string, len(f.names))
		for i, n := range f.names {
			words[i] = n.Local
			if n.Space != "" {
				words[i] = w.name(n, f.Prefix)
			}
		}
		value = strings.Join(words, ",")
	}
	name := w.name(f.Name, f.Prefix)
	if name == "" {
		return
	}
	w.buf = append(w.buf, name+":"...)
	for _, p := range f.Params {
		if isName(p.Name) {
			w.buf = append(w.buf, ";"+p.Name+"="+paramValue(p.Value)...)
		}
	}
	w.buf = append(w.buf, " "+value+"\r\n"...)
}

func paramValue(s string) string {
	if isToken(s) {
		return s
	}
	return `"` + escape(s, true, true) + `"`
}

// name is how a name is written, "" when it cannot be. It declares a prefix if none is bound to the namespace.
func (w *writer) name(n Name, wish string) string {
	switch {
	case n.Space == Space, n.Space == "" && wish == "":
		return n.Local
	case n.Space == "":
		// The prefix was not declared where it was used; it still means nothing if nobody has bound it since.
		if _, bound := w.spaces[wish]; bound || !isName(wish) {
			return ""
		}
		return wish + "." + n.Local
	case !isSpace(n.Space):
		return ""
	}
	prefix := w.prefix(n.Space, wish)
	return prefix + "." + n.Local
}

func (w *writer) prefix(space, wish string) string {
	if w.spaces[wish] == space {
		return wish
	}
	for prefix, bound := range w.spaces {
		if bound == space {
			return prefix
		}
	}
	if wish == "" && space == IMDNSpace {
		wish = "imdn"
	}
	for w.spaces[wish] != "" || !isName(wish) {
		w.next++
		wish = "ns" + strconv.Itoa(w.next)
	}
	w.spaces[wish] = space
	w.buf = append(w.buf, "NS: "+wish+" <"+space+">\r\n"...)
	return wish
}

// Check reports what keeps the message from being sent: a sender and a recipient are wanted (RFC 4975 section 13), the content needs its type (RFC 3862
// section 2.4), the fields that have one value stand once, addresses are absolute URIs, languages and Message-IDs are tokens, and who requests a
// notification tells Message-ID and DateTime (RFC 5438 section 7.1.1). The error is an *Error whose line is that of the field where it was read, else 1.
func (m *Message) Check() error {
	seen := map[Name]int{}
	languages := []string{}
	for i := range m.Header {
		f := &m.Header[i]
		seen[f.Name]++
		why := f.wrong()
		switch {
		case why != "":
		case seen[f.Name] > 1 && single[f.Name]:
			why = "stands more than once"
		case f.Name == core("Subject") && slices.Contains(languages, f.Lang()):
			why = "stands more than once in one language"
		case f.Name == core("Subject"):
			languages = append(languages, f.Lang())
		}
		if why != "" {
			return &Error{Line: max(f.line, 1), Col: 1, Msg: f.Local + ": " + why}
		}
	}
	why := ""
	switch {
	case seen[core("From")] == 0:
		why = "no From"
	case seen[core("To")] == 0:
		why = "no To"
	case !strings.Contains(m.Content.Type(), "/"):
		why = "the content has no Content-Type"
	case len(m.Requests()) > 0 && (m.MessageID() == "" || m.DateTime().IsZero()):
		why = "a disposition notification is requested, for which Message-ID and DateTime are wanted"
	}
	if why != "" {
		return &Error{Line: 1, Col: 1, Msg: why}
	}
	return nil
}

// single are the header fields that a message has once.
var single = map[Name]bool{
	core("From"): true, core("DateTime"): true, core("Require"): true, messageID: true, disposition: true, originalTo: true,
}

// wrong tells what is not right in a field by itself, "" for nothing.
func (f *Field) wrong() string {
	if !isName(f.Local) {
		return "no name of a header field"
	}
	if f.Space != "" && !isSpace(f.Space) {
		return strconv.Quote(shorten(f.Space)) + " names no namespace"
	}
	if escape(f.Value, false, false) != f.Value {
		return "the value has control characters, which have to be escaped"
	}
	for _, p := range f.Params {
		if !isName(p.Name) || p.Name == "lang" && !isToken(p.Value) {
			return "the parameter " + strconv.Quote(shorten(p.Name)) + " is not right"
		}
	}
	switch f.Name {
	case core("From"), core("To"), core("cc"), originalTo, recordRoute, route:
		_, why := parseAddress(f.Value)
		return why
	case core("DateTime"):
		if _, ok := parseTime(f.Value); !ok {
			return "not in the form of RFC 3339, such as 2026-11-22T10:20:30Z"
		}
	case messageID:
		if !isToken(f.Value) {
			return strconv.Quote(shorten(f.Value)) + " is no token"
		}
	}
	return ""
}

// FromField makes the header field of the sender.
func FromField(a Address) Field { return Field{Name: core("From"), Value: a.String()} }

// ToField makes the header field of a recipient.
func ToField(a Address) Field { return Field{Name: core("To"), Value: a.String()} }

// CCField makes the header field of the recipient of a copy.
func CCField(a Address) Field { return Field{Name: core("cc"), Value: a.String()} }

// DateTimeField makes the header field of the time of sending, in the zone that t is in, by the second.
func DateTimeField(t time.Time) Field {
	return Field{Name: core("DateTime"), Value: t.Format(time.RFC3339)}
}

// SubjectField makes the header field of a topic.
func SubjectField(s Subject) Field {
	f := Field{Name: core("Subject"), Value: Escape(s.Text)}
	if s.Lang != "" {
		f.Params = []Param{{"lang", s.Lang}}
	}
	return f
}

// RequireField makes the header field of what has to be understood.
func RequireField(names ...Name) Field { return Field{Name: core("Require"), names: names} }

// TextField makes a header field of any namespace, its text escaped. The prefix is a wish.
func TextField(name Name, prefix, text string) Field {
	return Field{Name: name, Prefix: prefix, Value: Escape(text)}
}
