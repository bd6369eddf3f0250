// Package tree reads documents of XML 1.0 (fifth edition) with Namespaces in XML 1.0 (third edition) into a tree that
// knows the byte range of everything in the source.
//
// The parser is strict: what is not namespace-well-formed is refused with a position. The tree follows the data model
// of XPath 1.0, section 5: a text node is a maximal run of characters, references and CDATA sections and is never
// empty, the document node has no text children, the XML declaration is no processing instruction, and namespace
// declarations are no attributes. Nothing is decoded while parsing: values are computed from the source when asked for,
// as substrings of it wherever nothing needs decoding.
//
// A tree can be edited. Edits are splices: what they do not concern is written as it was read, byte for byte.
//
// A tree may be read by several goroutines at once as long as none edits it.
package tree

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// XMLSpace is the namespace that the prefix xml is bound to by definition (Namespaces in XML 1.0, section 3).
const XMLSpace = "http://www.w3.org/XML/1998/namespace"

// Limits bound what a document may ask of the parser. A field that is zero or less takes the default. A document beyond
// a limit is refused with an error that is ErrLimit. Time grows with the size of the source alone, memory too: it is two
// to five times the source for usual documents, and up to sixteen times for one of nothing but tags.
type Limits struct {
	Depth        int // elements open at one place; default 4096
	Size         int // bytes of the source; default 64 MiB, never more than 1 GiB
	Attributes   int // attributes of one element, declarations apart; default 4096
	Declarations int // namespace declarations in scope at one place; default 4096
}

// Options of a parse. The zero value is what a server wants.
type Options struct {
	Limits
	// AllowDTD keeps a document type declaration as opaque bytes where it is refused otherwise (ErrDTD). It is never
	// read: no entity is expanded, no attribute gets a default or a type. References to entities that it may declare
	// stay in the values as they are written, see Node.Unresolved.
	AllowDTD bool
}

const (
	defaultDepth        = 4096
	defaultSize         = 64 << 20
	defaultAttributes   = 4096
	defaultDeclarations = 4096
	maxSize             = 1 << 30 // offsets and links are 32 bits wide
)

func (l Limits) orDefault() Limits {
	pick := func(n, standard int) int {
		if n <= 0 {
			return standard
		}
		return n
	}
	return Limits{
		Depth:        pick(l.Depth, defaultDepth),
		Size:         min(pick(l.Size, defaultSize), maxSize),
		Attributes:   pick(l.Attributes, defaultAttributes),
		Declarations: pick(l.Declarations, defaultDeclarations),
	}
}

// Kind tells the node types of XPath 1.0, section 5, apart. Attributes and namespaces have types of their own.
type Kind uint8

// The kinds of nodes. None is the kind of the zero Node.
const (
	None Kind = iota
	Document
	Element
	Text
	Comment
	PI
)

func (k Kind) String() string {
	return [...]string{"none", "document", "element", "text", "comment", "processing instruction"}[k]
}

type flags uint8

const (
	coded      flags = 1 << iota // the value differs from the bytes of the source
	blank                        // text of white space only
	unresolved                   // refers to an entity that only the DTD can know
	edited                       // is not written as its range says, nor is what it is in
	tagged                       // has its start tag in editing.tags
	gapped                       // has something in editing.gaps before it
	tailed                       // has something in editing.gaps behind its last child
)

// node is one entry of the node array. Links are indexes into that array, 0 is no node. Offsets count bytes of text.
type node struct {
	start, end uint32 // the whole node, tags included
	local      uint32 // element: where the local name starts; start+1 when there is no prefix
	nameEnd    uint32 // element, PI: where the name ends
	inner      uint32 // element: behind the start tag; PI: where its content starts
	parent     int32
	first      int32
	last       int32
	next       int32
	prev       int32
	attr       int32 // first attribute
	decl       int32 // first declaration
	space      int32 // index into spaces
	kind       Kind
	flags      flags
}

type attr struct {
	start, end uint32 // from the name to the closing quote
	local      uint32 // where the local name starts; start when there is no prefix
	nameEnd    uint32
	value      uint32 // behind the opening quote
	owner      int32
	next       int32
	space      int32
	flags      flags
}

type decl struct {
	start, end uint32
	nameEnd    uint32
	value      uint32
	owner      int32
	next       int32
	space      int32
}

// Tree is a parsed document. The zero Tree is empty and ready for Parse.
type Tree struct {
	src []byte
	// text is a copy of the source and one NUL behind it, which stops every scanning loop, and behind that what edits
	// add. Strings that the tree hands out are parts of it, so they outlive the source and the next Parse.
	text   string
	buffer strings.Builder // holds text
	nodes  []node          // 0: none, 1: the document
	attrs  []attr          // 0: none
	decls  []decl          // 0: none
	spaces []string
	root   int32
	dtd    [2]uint32 // range of the document type declaration
	names  scope
	limits Limits
	ascii  bool // the document declares to be US-ASCII
	empty  []emptySection
	edit   editing
}

// Parse reads a document into a new tree. The tree keeps src, which must not change as long as Source and Node.Bytes
// are used; strings from the tree are not touched by a later change. The error is an *Error; ErrEncoding, ErrUTF8,
// ErrDTD, ErrEntity, ErrPrefix and ErrLimit tell what callers may want to answer differently.
func Parse(src []byte, opt Options) (*Tree, error) {
	t := new(Tree)
	if err := t.Parse(src, opt); err != nil {
		return nil, err
	}
	return t, nil
}

// Parse does what the function Parse does, using the memory of the document that t held before. Nodes, attributes and
// declarations of that document become invalid; strings and bytes taken from it stay good. After an error t is empty.
// The memory that t keeps is what its largest document so far needed.
func (t *Tree) Parse(src []byte, opt Options) error {
	err := t.parse(src, opt)
	if err != nil {
		t.reset()
		return err
	}
	return nil
}

func (t *Tree) reset() {
	clear(t.spaces)
	*t = Tree{
		nodes: t.nodes[:0], attrs: t.attrs[:0], decls: t.decls[:0], spaces: t.spaces[:0], names: t.names.reset(), empty: t.empty[:0],
		edit: t.edit.reset(),
	}
}

// Document returns the document node, which is the parent of the root element and of comments and processing
// instructions beside it. It is the zero Node when the tree is empty.
func (t *Tree) Document() Node { return t.node(min(1, int32(len(t.nodes)))) }

// Root returns the root element.
func (t *Tree) Root() Node { return t.node(t.root) }

// Count returns a number that is above the Index of every node.
func (t *Tree) Count() int { return len(t.nodes) }

// Node returns the node with this Index.
func (t *Tree) Node(index int) Node { return t.node(int32(index)) }

// Source returns the bytes that were parsed, whatever was edited since.
func (t *Tree) Source() []byte { return t.src }

// Doctype returns the document type declaration as it is written, nil when there is none.
func (t *Tree) Doctype() []byte {
	if t.dtd[1] == 0 {
		return nil
	}
	return slices.Clip(t.src[t.dtd[0]:t.dtd[1]])
}

// Position returns the line and the column of a byte offset of the source, both from 1, the column in characters. CR LF
// and a lone CR end a line as LF does (XML 1.0, section 2.11), and a byte order mark takes no column. The time it takes
// grows with the offset.
func (t *Tree) Position(offset int) (line, col int) {
	return position(t.text[:len(t.src)], offset)
}

func position(s string, offset int) (line, col int) {
	rest := s[max(0, min(offset, len(s))):]
	s = strings.TrimPrefix(s[:len(s)-len(rest)], byteOrderMark)
	if strings.HasPrefix(rest, "\n") {
		s = strings.TrimSuffix(s, "\r")
	}
	line = 1
	for {
		i := strings.IndexAny(s, "\r\n")
		if i < 0 {
			return line, utf8.RuneCountInString(s) + 1
		}
		line++
		if strings.HasPrefix(s[i:], "\r\n") {
			i++
		}
		s = s[i+1:]
	}
}
