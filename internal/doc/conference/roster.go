package conference

import (
	"bytes"
	"strings"

	"imp/internal/xml/lexical"
	"imp/internal/xml/tree"
)

// Outcome tells what became of a document (RFC 4575 section 4.6).
type Outcome uint8

const (
	// Discarded: the document is not newer than the roster; nothing was changed.
	Discarded Outcome = iota
	// Applied: the roster is what the focus has.
	Applied
	// Missed: a document before this partial one is missing, or the first one was partial; nothing was changed. A refresh brings the full state.
	Missed
	// Over: the conference has ended; the subscription is of no more use.
	Over
)

// Roster is what a subscriber knows of a conference (RFC 4575 section 4.6): a document that full and partial ones have been applied to, with all content of
// other namespaces. The zero Roster knows nothing. It must not be used by several goroutines at once.
type Roster struct {
	doc     *tree.Tree
	version uint32
}

// keys are the attributes that tell rows of a table apart, or the element that does (RFC 4575 section 4.5).
var keys = map[string]string{"user": "entity", "endpoint": "entity", "media": "id"}

// Apply takes a document into the roster. The error is that of a document that Parse refuses, or of a roster that would be larger than a document may be;
// nothing is changed then.
func (r *Roster) Apply(src []byte) (Outcome, error) {
	t, err := open(bytes.Clone(src))
	if err != nil {
		return Discarded, err
	}
	root := t.Root()
	switch v, state := version(root), stateOf(root); {
	case r.doc != nil && v <= r.version:
		return Discarded, nil
	case state == Deleted:
		r.doc, r.version = t, v
		return Over, nil
	case state == Full:
		r.doc, r.version = t, v
		return Applied, nil
	case r.doc == nil || v != r.version+1:
		return Missed, nil
	default:
		return r.merge(root, v)
	}
}

// merge applies a partial document to a copy of the roster.
func (r *Roster) merge(update tree.Node, v uint32) (Outcome, error) {
	before := r.doc.Bytes()
	failed := apply(r.doc.Root(), update)
	if failed == nil {
		failed = r.doc.Root().SetAttr("version", attr(update, "version"))
	}
	after := before
	if failed == nil {
		after = r.doc.Bytes()
	}
	doc, err := tree.Parse(after, limits)
	if err != nil && failed == nil { // too large: back to what was
		failed = err
		doc, _ = tree.Parse(before, limits)
	}
	if r.doc = doc; failed != nil {
		return Discarded, failed
	}
	r.version = v
	return Applied, nil
}

// apply brings the rows of a partial element up to date: of each child the state says what becomes of the row with its key.
func apply(local, update tree.Node) error {
	for u := range update.Elements() {
		row := find(local, u)
		state := Full
		if u.Space() == Space {
			state = stateOf(u)
		}
		var err error
		switch {
		case state == Deleted:
			if row.Valid() {
				err = row.Remove()
			}
		case state == Partial && row.Valid():
			err = apply(row, u)
		case row.Valid():
			err = row.Replace(standalone(u))
		case state == Partial:
			if err = insert(local, u, shell(u)); err == nil {
				err = apply(find(local, u), u)
			}
		default:
			err = insert(local, u, standalone(u))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// find gives the row of a table that has the key of u, or the only element of its name.
func find(local, u tree.Node) tree.Node {
	for c := range local.Elements() {
		if c.Space() == u.Space() && c.Local() == u.Local() && key(c) == key(u) {
			return c
		}
	}
	return tree.Node{}
}

// key is compared byte for byte.
func key(n tree.Node) string {
	switch parent := n.Parent().Local(); {
	case n.Space() != Space:
		return ""
	case n.Local() == "entry" && parent == "sidebars-by-val":
		v, _ := n.Attr("", "entity")
		return v
	case n.Local() == "entry":
		return text(n, "uri")
	case n.Local() == "media" && parent != "endpoint":
		return ""
	}
	v, _ := n.Attr("", keys[n.Local()])
	return v
}

// order is that of the children of the root and of a user, where the schema has one.
var order = []string{"conference-description", "host-info", "conference-state", "users", "sidebars-by-ref", "sidebars-by-val",
	"display-text", "associated-aors", "roles", "languages", "cascaded-focus", "endpoint",
	"referred", "status", "joining-method", "joining-info", "disconnection-method", "disconnection-info", "media", "call-info"}

// insert puts a new row where the schema wants it: before the first element that comes later.
func insert(local, u tree.Node, row string) error {
	own := place(u)
	for c := range local.Elements() {
		if place(c) > own {
			return c.InsertBefore(row)
		}
	}
	return local.Append(row)
}

func place(n tree.Node) int {
	if n.Space() == Space {
		for i, name := range order {
			if name == n.Local() {
				return i
			}
		}
	}
	return len(order)
}

// shell is an element without what is in it and without its state.
func shell(n tree.Node) string {
	row := standalone(n)
	t, err := tree.Parse([]byte(row), limits)
	if err != nil {
		return row
	}
	root := t.Root()
	for c := root.FirstChild(); c.Valid(); c = root.FirstChild() {
		c.Remove()
	}
	if a := root.Attribute("", "state"); a.Valid() {
		a.Remove()
	}
	return string(root.Bytes())
}

// standalone is an element with all namespace declarations that are in scope.
func standalone(n tree.Node) string {
	declared := map[string]bool{"xml": true}
	for d := range n.Decls() {
		declared[d.Prefix()] = true
	}
	src := string(n.Bytes())
	head := 1 + len(n.Name())
	b := []byte(src[:head])
	for prefix, uri := range n.InScope() {
		if !declared[prefix] {
			declared[prefix] = true
			b = lexical.AppendAttribute(b, strings.TrimSuffix("xmlns:"+prefix, ":"), uri)
		}
	}
	return string(b) + src[head:]
}

// Bytes is the document as it stands, nil before the first.
func (r *Roster) Bytes() []byte {
	if r.doc == nil {
		return nil
	}
	return r.doc.Bytes()
}

// Document reads the roster.
func (r *Roster) Document() (*Document, error) { return Parse(r.Bytes()) }
