package patch

import (
	"bytes"
	"errors"
	"fmt"
	"hash/maphash"

	"imp/internal/xml/tree"
)

// MaxConflicts is how many conflicts a merge looks for.
const MaxConflicts = 100

// MergeOptions tell Merge what to do where there is more than one way.
type MergeOptions struct {
	// Union keeps what both sides add at the same place, that of a first, where it is a conflict otherwise.
	Union bool
}

// Conflict is a place where two documents change their base in ways that do not go together.
type Conflict struct {
	Path       string // in the base, see Path
	Reason     string // what the sides do
	Base, A, B Place
}

// Place is where a node stands in a document, from 1; 0, 0 where there is none.
type Place struct{ Line, Col int }

// Merge makes the changes that lead from base to a and those that lead from base to b in one document. What both change in
// the same way is changed once. Everything else that both change, in one text, attribute or declaration or at one place among
// the children of an element, is a conflict, as is a change of what the other side has removed; there is no document then.
// Nodes are matched as Diff does it, so entries of lists are known by their id, uri or name. White space between elements
// goes with the element behind it; where both sides change it that of a is taken.
//
// Bytes are those of the side that has changed something, else those of the base. The trees are as they were read: edits of
// them are not seen.
func Merge(base, a, b *tree.Tree, opt MergeOptions) ([]byte, []Conflict, error) {
	for _, t := range []*tree.Tree{base, a, b} {
		if !t.Root().Valid() {
			return nil, nil, errors.New("merge: document without root element")
		}
		if at, ok := t.Document().Unresolved(); ok {
			line, col := t.Position(at)
			return nil, nil, fmt.Errorf("merge: reference at %d:%d: %w", line, col, ErrEntities)
		}
	}
	m := merger{opt: opt, x: side{t: base}, y: side{t: a}, z: side{t: b}, seed: maphash.MakeSeed()}
	for _, s := range []*side{&m.x, &m.y, &m.z} {
		s.hash, s.src = hashAll(s.t, m.seed), s.t.Source()
	}
	m.document()
	if len(m.conflicts) > 0 {
		return nil, m.conflicts, nil
	}
	// That the result is well-formed follows from what is a conflict; nobody should have to trust in that.
	limits := tree.Limits{Depth: 1 << 30, Size: 1 << 30, Attributes: 1 << 30, Declarations: 1 << 30}
	if _, err := tree.Parse(m.dst, tree.Options{AllowDTD: true, Limits: limits}); err != nil {
		return nil, nil, fmt.Errorf("merge: result: %w", err)
	}
	return m.dst, nil, nil
}

// merger writes the document that the sides a and b of a base make together. In its methods x, y and z are nodes of the
// base, of a and of b, the zero Node where a side has none.
type merger struct {
	opt       MergeOptions
	x, y, z   side
	seed      maphash.Seed
	dst       []byte
	conflicts []Conflict
}

// side is one of the three documents.
type side struct {
	t    *tree.Tree
	hash hashes
	src  []byte
}

func (s *side) raw(n tree.Node) []byte {
	start, end := n.Range()
	return s.src[start:end]
}

func (s *side) of(n tree.Node) uint64 { return s.hash[n.Index()] }

func (m *merger) conflict(path string, x, y, z tree.Node, reason string) {
	if len(m.conflicts) == MaxConflicts {
		return
	}
	c := Conflict{Path: path, Reason: reason}
	c.Base.Line, c.Base.Col = x.Position()
	c.A.Line, c.A.Col = y.Position()
	c.B.Line, c.B.Col = z.Position()
	m.conflicts = append(m.conflicts, c)
}

// done reports whether there is nothing left to find out.
func (m *merger) done() bool { return len(m.conflicts) == MaxConflicts }

// document merges what stands before the root element and behind it as a whole, and the root elements.
func (m *merger) document() {
	x, y, z := m.x.t.Root(), m.y.t.Root(), m.z.t.Root()
	m.beside("before", x, y, z, func(n tree.Node, s *side) []byte { start, _ := n.Range(); return s.src[:start] }, tree.Node.PrevSibling)
	m.node(x, y, z)
	m.beside("behind", x, y, z, func(n tree.Node, s *side) []byte { _, end := n.Range(); return s.src[end:] }, tree.Node.NextSibling)
}

func (m *merger) beside(where string, x, y, z tree.Node, part func(tree.Node, *side) []byte, next func(tree.Node) tree.Node) {
	px, py, pz := part(x, &m.x), part(y, &m.y), part(z, &m.z)
	same := func(n tree.Node, s *side) bool {
		o := next(x)
		for n = next(n); n.Valid() && o.Valid() && s.of(n) == m.x.of(o); n, o = next(n), next(o) {
		}
		return !n.Valid() && !o.Valid() && bytes.Equal(s.t.Doctype(), m.x.t.Doctype())
	}
	switch {
	case bytes.Equal(py, pz), bytes.Equal(pz, px):
		m.dst = append(m.dst, py...)
	case bytes.Equal(py, px), same(y, &m.y):
		m.dst = append(m.dst, pz...)
	case same(z, &m.z):
		m.dst = append(m.dst, py...)
	default:
		m.conflict(Path(x), x, y, z, "both change what stands "+where+" the root element")
	}
}

// node merges nodes that are one in all three documents.
func (m *merger) node(x, y, z tree.Node) {
	hx, hy, hz := m.x.of(x), m.y.of(y), m.z.of(z)
	switch {
	case hx == hy && hx == hz && bytes.Equal(m.x.raw(x), m.y.raw(y)), hx == hy && hx != hz:
		m.dst = append(m.dst, m.z.raw(z)...)
	case hx == hz || hy == hz:
		m.dst = append(m.dst, m.y.raw(y)...)
	case x.Kind() == tree.Element && x.Name() == y.Name() && x.Name() == z.Name():
		m.element(x, y, z)
	case x.Kind() == tree.Element:
		m.conflict(Path(x), x, y, z, "both replace the element")
	default:
		m.conflict(Path(x), x, y, z, fmt.Sprintf("both change the %s", x.Kind()))
	}
}

// element merges elements of one name that all three documents have, each another way.
func (m *merger) element(x, y, z tree.Node) {
	t := tagMerge{merger: m, x: x, y: y, z: z}
	t.declarations()
	t.attributes()
	t.write()
	start := len(m.dst)
	m.children(x, y, z)
	if len(m.dst) == start {
		m.dst = append(m.dst, "/>"...)
		return
	}
	m.dst = append(m.dst, 0)
	copy(m.dst[start+1:], m.dst[start:])
	m.dst[start] = '>'
	m.dst = append(m.dst, "</"...)
	m.dst = append(m.dst, x.Name()...)
	m.dst = append(m.dst, '>')
}
