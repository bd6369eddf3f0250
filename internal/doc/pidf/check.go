package pidf

import (
	"slices"
	"sync"

	"imp/internal/xml/lexical"
	"imp/internal/xml/tree"
)

// Accept reports why a server must refuse a document that is published, nil when it need not: it has to be well-formed in UTF-8 without document
// type declaration, with the root presence of PIDF and its entity; every tuple, person and device needs an id that is an NCName and theirs alone
// (RFC 3863 section 4.1.2, RFC 4479 section 3.5), and timed-status belongs into tuples (RFC 4481 section 3). Everything else is put right when
// documents are composed. More than 100 elements nested or namespaces declared at one place, and more than 64 attributes on an element, are refused too.
// The error is an *Error.
func Accept(src []byte) error { return judge(src, limits, accept) }

// AcceptFull is Accept for a document that begins with the pidf-full of RFC 5262 section 3.1 in place of presence, as in partial publication. Compose
// and Read take both.
func AcceptFull(src []byte) error {
	return judge(src, limits, func(t *tree.Tree) *Error {
		if root := t.Root(); !isFull(root) {
			return lexical.ErrorAt(t, lexical.StartOf(root), "the root is {"+root.Space()+"}"+root.Local()+", not the pidf-full of "+diffSpace)
		}
		return acceptContent(t)
	})
}

// Check reports in addition what the schemas of RFC 3863, 4479, 4480, 4481, 4482 and 5196 refuse, in the known elements inside of unknown ones too,
// elements of RPID and CIPID that stand more than once in a component, and namespace names that are no absolute URI. It takes the lunch and the
// higherthan that the schemas misprint, and xml:lang on display-name. The error is an *Error.
func Check(src []byte) error {
	return judge(src, wide, func(t *tree.Tree) *Error {
		if err := accept(t); err != nil {
			return err
		}
		return check(t)
	})
}

func judge(src []byte, within tree.Options, verdict func(*tree.Tree) *Error) error {
	t := trees.Get().(*tree.Tree)
	defer putTree(t)
	if err := t.Parse(src, within); err != nil {
		return err
	}
	if err := verdict(t); err != nil {
		return err
	}
	return nil
}

// accept is Accept for a parsed document.
func accept(t *tree.Tree) *Error {
	if root := t.Root(); !isPresence(root) {
		return lexical.ErrorAt(t, lexical.StartOf(root), "the root is {"+root.Space()+"}"+root.Local()+", not the presence of "+Space)
	}
	return acceptContent(t)
}

func acceptContent(t *tree.Tree) *Error {
	root := t.Root()
	if entity, _ := root.Attr("", "entity"); trim(entity) == "" {
		return lexical.ErrorAt(t, lexical.StartOf(root), root.Local()+" without entity")
	}
	ids := idSets.Get().(*idSet)
	defer idSets.Put(ids)
	ids.reset()
	for n := root.FirstChild(); n.Valid(); n = n.NextSibling() {
		if isTimed(n) {
			return lexical.ErrorAt(t, lexical.StartOf(n), "timed-status outside of a tuple")
		}
		if kindOf(n) == notComponent {
			continue
		}
		id := n.Attribute("", "id")
		if !id.Valid() {
			return lexical.ErrorAt(t, lexical.StartOf(n), n.Local()+" without id")
		}
		if err := ids.claim(t, id); err != nil {
			return err
		}
		if bad := misplaced(n); bad.Valid() {
			return lexical.ErrorAt(t, lexical.StartOf(bad), "timed-status in "+bad.Parent().Local()+": it belongs into tuple")
		}
	}
	return nil
}

func isTimed(n tree.Node) bool { return n.Is(TimedSpace, "timed-status") }

// misplaced returns a timed-status of the component that stands where RFC 4481 section 3 forbids it.
func misplaced(component tree.Node) tree.Node {
	tuple := component.Is(Space, "tuple")
	for c := component.FirstChild(); c.Valid(); c = c.NextSibling() {
		if isTimed(c) && !tuple {
			return c
		}
		if isTimed(c) || c.Is(Space, "status") {
			if bad := c.Element(TimedSpace, "timed-status"); bad.Valid() {
				return bad
			}
		}
	}
	return tree.Node{}
}

// component tells the parts of the data model apart (RFC 4479 section 5).
type component uint8

const (
	notComponent component = iota
	tupleComponent
	personComponent
	deviceComponent
)

func kindOf(n tree.Node) component {
	switch n.Local() {
	case "tuple":
		if n.Space() == Space {
			return tupleComponent
		}
	case "person":
		if n.Space() == DataModelSpace {
			return personComponent
		}
	case "device":
		if n.Space() == DataModelSpace {
			return deviceComponent
		}
	}
	return notComponent
}

func (c component) model() *model {
	return [...]*model{tupleComponent: tupleModel, personComponent: personModel, deviceComponent: deviceModel}[c]
}

// idSet is a set of ids: the first few in a list, the others in a map.
type idSet struct {
	few  []string
	many map[string]bool
}

var idSets = sync.Pool{New: func() any { return new(idSet) }}

func (s *idSet) reset() {
	clear(s.few)
	s.few = s.few[:0]
	if len(s.many) > maxKept/64 {
		s.many = nil
	}
	clear(s.many)
}

const fewIDs = 16

// add puts an id into the set and reports whether it was not there.
func (s *idSet) add(id string) bool {
	if s.has(id) {
		return false
	}
	if len(s.few) < fewIDs {
		s.few = append(s.few, id)
		return true
	}
	if s.many == nil {
		s.many = make(map[string]bool)
	}
	s.many[id] = true
	return true
}

func (s *idSet) has(id string) bool { return slices.Contains(s.few, id) || s.many[id] }

// claim refuses an id that is no NCName or is taken already.
func (s *idSet) claim(t *tree.Tree, a tree.Attr) *Error {
	start, _ := a.Range()
	id := trim(a.Value())
	if !isNCName(id) {
		return lexical.ErrorAt(t, start, "id "+quote(id)+" is no NCName: it begins with a letter or _ and goes on with letters, digits, '.', '-' and _")
	}
	if !s.add(id) {
		return lexical.ErrorAt(t, start, "id "+quote(id)+" stands twice")
	}
	return nil
}
