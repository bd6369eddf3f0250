package lists

import (
	"encoding/json"
	"strconv"

	"imp/internal/xml/lexical"
	"imp/internal/xml/tree"
)

const declaration = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"

// Bytes writes the document. It is valid whatever the fields hold, as long as attributes and elements of other namespaces are as they were read: URIs are
// escaped where they have to be, characters that XML cannot hold become U+FFFD, and language tags and roles that are none are left out.
func (d *Document) Bytes() []byte {
	w := writer{buf: []byte(declaration + "<resource-lists xmlns=\"" + Space + "\"")}
	for i := range d.Lists {
		w.copyControl = w.copyControl || usesCopyControl(&d.Lists[i])
	}
	w.root()
	for i := range d.Lists {
		w.list(&d.Lists[i], "")
	}
	return append(w.buf, "</resource-lists>\n"...)
}

// Bytes writes the document, see Document.Bytes. A service without a list gets an empty one.
func (d *Services) Bytes() []byte {
	w := writer{buf: []byte(declaration + "<rls-services xmlns=\"" + ServicesSpace + "\" xmlns:rl=\"" + Space + "\""), prefix: "rl:"}
	for i := range d.Services {
		w.copyControl = w.copyControl || d.Services[i].List != nil && usesCopyControl(d.Services[i].List)
	}
	w.root()
	for i := range d.Services {
		w.service(&d.Services[i])
	}
	return append(w.buf, "</rls-services>\n"...)
}

func usesCopyControl(l *List) bool {
	return !l.Walk(func(it *Item) bool { return it.Copy == "" && !it.Anonymize && it.Count == nil })
}

// writer writes lists; prefix is that of the namespace of RFC 4826 section 3.
type writer struct {
	buf         []byte
	prefix      string
	depth       int
	copyControl bool
}

func (w *writer) root() {
	if w.copyControl {
		w.buf = append(w.buf, " xmlns:cp=\""+CopyControlSpace+"\""...)
	}
	w.buf = append(w.buf, ">\n"...)
	w.depth = 1
}

func (w *writer) indent() {
	for range w.depth {
		w.buf = append(w.buf, "  "...)
	}
}

// open begins a start tag.
func (w *writer) open(prefix, name string) {
	w.indent()
	w.buf = append(append(append(w.buf, '<'), prefix...), name...)
}

func (w *writer) close(prefix, name string) {
	w.depth--
	w.indent()
	w.buf = append(append(append(append(w.buf, "</"...), prefix...), name...), ">\n"...)
}

func (w *writer) service(s *Service) {
	w.open("", "service")
	w.buf = lexical.AppendAttribute(w.buf, "uri", lexical.FixURI(s.URI))
	w.attrs(s.Attrs)
	w.buf = append(w.buf, ">\n"...)
	w.depth++
	switch {
	case s.List != nil:
		w.list(s.List, "")
	case s.ResourceList != "":
		w.text("", "resource-list", lexical.FixURI(s.ResourceList))
	default:
		w.list(&List{}, "")
	}
	if s.Packages != nil {
		w.open("", "packages")
		w.buf = append(w.buf, ">\n"...)
		w.depth++
		for _, p := range s.Packages {
			w.text("", "package", p)
		}
		w.close("", "packages")
	}
	w.extensions(s.Extensions)
	w.close("", "service")
}

func (w *writer) text(prefix, name, s string) {
	w.open(prefix, name)
	w.buf = tree.AppendText(append(w.buf, '>'), lexical.Legal(s))
	w.buf = append(append(append(append(w.buf, "</"...), prefix...), name...), ">\n"...)
}

// list writes a list; prefix is that of its own element, which in a service is of another namespace than what is in it.
func (w *writer) list(l *List, prefix string) {
	w.open(prefix, "list")
	if l.Name != "" {
		w.buf = lexical.AppendAttribute(w.buf, "name", l.Name)
	}
	w.attrs(l.Attrs)
	w.buf = append(w.buf, ">\n"...)
	w.depth++
	w.display(l.Display)
	for i := range l.Items {
		w.item(&l.Items[i])
	}
	w.extensions(l.Extensions)
	w.close(prefix, "list")
}

func (w *writer) item(it *Item) {
	if it.Kind == Nested {
		l := it.List
		if l == nil {
			l = &List{}
		}
		w.list(l, w.prefix)
		return
	}
	name := it.Kind.String()
	kind := min(it.Kind, External)
	w.open(w.prefix, name)
	w.buf = lexical.AppendAttribute(w.buf, uriNames[kind], lexical.FixURI(it.URI))
	if kind == Entry {
		w.control(it)
	}
	w.attrs(it.Attrs)
	if it.Display == nil && len(it.Extensions) == 0 {
		w.buf = append(w.buf, "/>\n"...)
		return
	}
	w.buf = append(w.buf, ">\n"...)
	w.depth++
	w.display(it.Display)
	w.extensions(it.Extensions)
	w.close(w.prefix, name)
}

// control writes the attributes of RFC 5364.
func (w *writer) control(it *Item) {
	if it.Copy == To || it.Copy == CC || it.Copy == BCC {
		w.buf = lexical.AppendAttribute(w.buf, "cp:copyControl", string(it.Copy))
	}
	if it.Anonymize {
		w.buf = append(w.buf, ` cp:anonymize="true"`...)
	}
	if it.Count != nil {
		w.buf = append(strconv.AppendUint(append(w.buf, ` cp:count="`...), *it.Count, 10), '"')
	}
}

func (w *writer) display(n *Name) {
	if n == nil {
		return
	}
	w.open(w.prefix, "display-name")
	if lexical.IsLanguage(n.Lang) {
		w.buf = lexical.AppendAttribute(w.buf, "xml:lang", n.Lang)
	}
	w.buf = tree.AppendText(append(w.buf, '>'), lexical.Legal(n.Text))
	w.buf = append(w.buf, "</"+w.prefix+"display-name>\n"...)
}

// attrs writes attributes of other namespaces, each with a prefix of its own.
func (w *writer) attrs(list []Attr) {
	for i, a := range list {
		if a.Space == tree.XMLSpace {
			w.buf = lexical.AppendAttribute(w.buf, "xml:"+a.Local, a.Value)
			continue
		}
		prefix := "ns" + strconv.Itoa(i+1)
		w.buf = lexical.AppendAttribute(w.buf, "xmlns:"+prefix, a.Space)
		w.buf = lexical.AppendAttribute(w.buf, prefix+":"+a.Local, a.Value)
	}
}

func (w *writer) extensions(list []Raw) {
	for _, r := range list {
		w.indent()
		w.buf = append(append(w.buf, r.XML...), '\n')
	}
}

// MarshalJSON writes lists as an array even when there are none.
func (d *Document) MarshalJSON() ([]byte, error) {
	type plain Document
	view := plain(*d)
	if view.Lists == nil {
		view.Lists = []List{}
	}
	return json.Marshal(view)
}

// MarshalJSON writes services as an array even when there are none.
func (d *Services) MarshalJSON() ([]byte, error) {
	type plain Services
	view := plain(*d)
	if view.Services == nil {
		view.Services = []Service{}
	}
	return json.Marshal(view)
}
