package rlmi

import (
	"encoding/json"
	"io"
	"strconv"
	"strings"

	"imp/internal/xml/lexical"
	"imp/internal/xml/tree"
)

// Bytes writes the document. It is valid whatever the fields hold: URIs are escaped where they have to be, characters that XML cannot hold become
// U+FFFD, and a language tag that is none is left out.
func (l *List) Bytes() []byte { return l.Append(nil) }

// Append appends what Bytes returns.
func (l *List) Append(dst []byte) []byte {
	dst = append(dst, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<list xmlns=\""+Space+"\""...)
	dst = lexical.AppendAttribute(dst, "uri", lexical.FixURI(l.URI))
	dst = append(strconv.AppendUint(append(dst, ` version="`...), uint64(l.Version), 10), '"')
	dst = append(strconv.AppendBool(append(dst, ` fullState="`...), l.FullState), '"')
	dst = append(appendOptional(dst, "cid", l.CID), ">\n"...)
	dst = appendNames(dst, "  <name", l.Names)
	for i := range l.Resources {
		dst = l.Resources[i].append(dst)
	}
	return append(dst, "</list>\n"...)
}

func (r *Resource) append(dst []byte) []byte {
	dst = lexical.AppendAttribute(append(dst, "  <resource"...), "uri", lexical.FixURI(r.URI))
	if len(r.Names)+len(r.Instances) == 0 {
		return append(dst, "/>\n"...)
	}
	dst = appendNames(append(dst, ">\n"...), "    <name", r.Names)
	for _, in := range r.Instances {
		dst = lexical.AppendAttribute(append(dst, "    <instance"...), "id", in.ID)
		dst = lexical.AppendAttribute(dst, "state", in.State.String())
		dst = appendOptional(dst, "reason", in.Reason)
		dst = append(appendOptional(dst, "cid", in.CID), "/>\n"...)
	}
	return append(dst, "  </resource>\n"...)
}

func appendOptional(dst []byte, name, value string) []byte {
	if value == "" {
		return dst
	}
	return lexical.AppendAttribute(dst, name, value)
}

func appendNames(dst []byte, start string, names []Name) []byte {
	for _, n := range names {
		dst = append(dst, start...)
		if lexical.IsLanguage(n.Lang) {
			dst = lexical.AppendAttribute(dst, "xml:lang", n.Lang)
		}
		dst = append(tree.AppendText(append(dst, '>'), lexical.Legal(n.Text)), "</name>\n"...)
	}
	return dst
}

// MarshalJSON writes resources as an array even when there are none.
func (l *List) MarshalJSON() ([]byte, error) {
	type plain List
	view := plain(*l)
	if view.Resources == nil {
		view.Resources = []Resource{}
	}
	return json.Marshal(view)
}

// WriteText shows the document to a person: the list, a line for each of its resources and one for each instance. No control character of the document
// comes through. The error is that of w.
func (l *List) WriteText(w io.Writer) error {
	var b strings.Builder
	state := "changes"
	if l.FullState {
		state = "all resources"
	}
	b.WriteString(lexical.Visible(l.URI))
	writeNames(&b, l.Names)
	b.WriteString("  version " + strconv.FormatUint(uint64(l.Version), 10) + "  " + state + "\n")
	for i := range l.Resources {
		r := &l.Resources[i]
		b.WriteString("  " + lexical.Visible(r.URI))
		writeNames(&b, r.Names)
		if len(r.Instances) == 0 {
			b.WriteString("  no state")
		}
		b.WriteByte('\n')
		for _, in := range r.Instances {
			b.WriteString("    " + lexical.Visible(in.ID) + "  " + in.State.String())
			if in.Reason != "" {
				b.WriteString("  " + lexical.Visible(in.Reason))
			}
			if in.CID != "" {
				b.WriteString("  cid " + lexical.Visible(in.CID))
			}
			b.WriteByte('\n')
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func writeNames(b *strings.Builder, names []Name) {
	for _, n := range names {
		b.WriteString("  \"" + lexical.Visible(n.Text) + "\"")
		if n.Lang != "" {
			b.WriteString(" [" + lexical.Visible(n.Lang) + "]")
		}
	}
}
