package winfo

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
func (d *Document) Bytes() []byte { return d.Append(nil) }

// Append appends what Bytes returns.
func (d *Document) Append(dst []byte) []byte {
	return d.body(strconv.AppendUint(append(dst, opening...), uint64(d.Version), 10))
}

// Unnumbered writes the document without its version, and returns the offset at which the digits of that belong: one text then serves subscriptions
// whose versions differ.
func (d *Document) Unnumbered() (doc []byte, at int) { return d.body([]byte(opening)), len(opening) }

// opening is what stands before the version.
const opening = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<watcherinfo xmlns=\"" + Space + "\" version=\""

// body appends what stands behind the version.
func (d *Document) body(dst []byte) []byte {
	if d.Full {
		dst = append(dst, "\" state=\"full\">\n"...)
	} else {
		dst = append(dst, "\" state=\"partial\">\n"...)
	}
	for i := range d.Lists {
		l := &d.Lists[i]
		dst = lexical.AppendAttribute(append(dst, "  <watcher-list"...), "resource", lexical.FixURI(l.Resource))
		dst = append(lexical.AppendAttribute(dst, "package", l.Package), ">\n"...)
		for j := range l.Watchers {
			dst = l.Watchers[j].append(dst)
		}
		dst = append(dst, "  </watcher-list>\n"...)
	}
	return append(dst, "</watcherinfo>\n"...)
}

func (w *Watcher) append(dst []byte) []byte {
	dst = lexical.AppendAttribute(append(dst, "    <watcher"...), "id", w.ID)
	dst = lexical.AppendAttribute(dst, "status", w.Status.String())
	dst = lexical.AppendAttribute(dst, "event", w.Event.String())
	if w.DisplayName != "" {
		dst = lexical.AppendAttribute(dst, "display-name", w.DisplayName)
	}
	dst = appendSeconds(dst, "expiration", w.Expires)
	dst = appendSeconds(dst, "duration-subscribed", w.Subscribed)
	if lexical.IsLanguage(w.Lang) {
		dst = lexical.AppendAttribute(dst, "xml:lang", w.Lang)
	}
	dst = tree.AppendText(append(dst, '>'), lexical.FixURI(w.URI))
	return append(dst, "</watcher>\n"...)
}

func appendSeconds(dst []byte, name string, n *uint64) []byte {
	if n == nil {
		return dst
	}
	dst = append(append(append(dst, ' '), name...), `="`...)
	return append(strconv.AppendUint(dst, *n, 10), '"')
}

// MarshalJSON writes lists and watchers as arrays even when there are none.
func (d *Document) MarshalJSON() ([]byte, error) {
	type plain Document
	view := plain(*d)
	view.Lists = make([]List, len(d.Lists))
	for i, l := range d.Lists {
		if l.Watchers == nil {
			l.Watchers = []Watcher{}
		}
		view.Lists[i] = l
	}
	return json.Marshal(view)
}

// WriteText shows the document to a person: a line for each list and one for each of its watchers. No control character of the document comes
// through. The error is that of w.
func (d *Document) WriteText(w io.Writer) error {
	var b strings.Builder
	state := "changes"
	if d.Full {
		state = "all watchers"
	}
	b.WriteString("version " + strconv.FormatUint(uint64(d.Version), 10) + "  " + state + "\n")
	for _, l := range d.Lists {
		b.WriteString(lexical.Visible(l.Resource) + "  " + lexical.Visible(l.Package) + "\n")
		if len(l.Watchers) == 0 {
			b.WriteString("  no watchers\n")
		}
		for i := range l.Watchers {
			l.Watchers[i].text(&b)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (w *Watcher) text(b *strings.Builder) {
	b.WriteString("  " + w.Status.String() + "  " + lexical.Visible(w.URI))
	if w.DisplayName != "" {
		b.WriteString("  \"" + lexical.Visible(w.DisplayName) + "\"")
	}
	b.WriteString("  " + w.Event.String())
	if w.Expires != nil {
		b.WriteString("  expires in " + strconv.FormatUint(*w.Expires, 10) + " s")
	}
	if w.Subscribed != nil {
		b.WriteString("  subscribed for " + strconv.FormatUint(*w.Subscribed, 10) + " s")
	}
	b.WriteString("  id " + lexical.Visible(w.ID) + "\n")
}
