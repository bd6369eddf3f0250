package rules

import (
	"imp/internal/xml/lexical"
	"imp/internal/xml/tree"
)

// Splice makes the change in a document, as a server does that is asked for this one rule.
func (e *Edit) Splice(src []byte) ([]byte, error) {
	t, err := tree.Parse(src, limits)
	if err != nil {
		return nil, err
	}
	for n := range t.Root().Elements() {
		if id, _ := n.Attr("", "id"); id != e.ID {
			continue
		}
		if e.XML == nil {
			err = remove(n)
		} else {
			err = n.Replace(string(e.XML))
		}
		return t.Bytes(), err
	}
	if last := t.Root().LastChild(); !last.Blank() {
		err = t.Root().Append(string(e.XML))
	} else {
		err = last.InsertBefore("\n  " + string(e.XML))
	}
	return t.Bytes(), err
}

// insert puts an element behind the last of a parent, on a line of its own where that one has it.
func insert(parent tree.Node, xml string) error {
	last := tree.Node{}
	for n := range parent.Elements() {
		last = n
	}
	if !last.Valid() {
		return parent.Append(xml)
	}
	if before := last.PrevSibling(); before.Blank() {
		xml = string(before.Bytes()) + xml
	}
	return last.InsertAfter(xml)
}

// remove takes an element out with the white space before it.
func remove(n tree.Node) error {
	if before := n.PrevSibling(); before.Blank() {
		if err := before.Remove(); err != nil {
			return err
		}
	}
	return n.Remove()
}

func prefix(n tree.Node) string {
	if n.Prefix() == "" {
		return ""
	}
	return n.Prefix() + ":"
}

// xml writes an identity that has nothing unknown.
func (id *Identity) xml(prefix string) string {
	if !id.Many {
		return string(lexical.AppendAttribute([]byte("<"+prefix+"one"), "id", lexical.FixURI(id.One))) + "/>"
	}
	b := []byte("<" + prefix + "many")
	if id.Domain != "" {
		b = lexical.AppendAttribute(b, "domain", id.Domain)
	}
	if len(id.Except) == 0 {
		return string(b) + "/>"
	}
	s := string(b) + ">"
	for _, e := range id.Except {
		s += e.xml(prefix)
	}
	return s + "</" + prefix + "many>"
}

func (e Except) xml(prefix string) string {
	b := []byte("<" + prefix + "except")
	if e.ID != "" {
		b = lexical.AppendAttribute(b, "id", lexical.FixURI(e.ID))
	}
	if e.Domain != "" {
		b = lexical.AppendAttribute(b, "domain", e.Domain)
	}
	return string(b) + "/>"
}
