// Package patch implements the XML patch operations of RFC 5261 and the documents that carry them: XML patch (RFC 7351),
// partial PIDF (RFC 5262) and the patches in XCAP diffs (RFC 5874). It also makes patches: see Diff.
//
// The errata 3477 and 3478 of RFC 5261 are taken into account: a name without a prefix in a selector is of the default
// namespace of the patch, in no namespace when it has none, and never matches by name alone; a patch of a namespace edits
// its declaration, and every name that depends on that follows.
package patch

import (
	"fmt"
	"slices"
	"strings"

	"imp/internal/xml/selector"
	"imp/internal/xml/tree"
)

// The namespaces of documents that carry patch operations, and of those about errors.
const (
	SpaceXMLPatch = "urn:ietf:rfc:7351"
	SpacePIDFDiff = "urn:ietf:params:xml:ns:pidf-diff"
	SpaceXCAPDiff = "urn:ietf:params:xml:ns:xcap-diff"
	SpaceError    = "urn:ietf:params:xml:ns:patch-ops-error"

	spacePIDF = "urn:ietf:params:xml:ns:pidf"
)

// The media types of patches and of error documents (RFC 7351, section 3; RFC 5262, section 5.2; RFC 5874, section 8.1;
// RFC 5261, section 10.2).
const (
	TypeXMLPatch = "application/xml-patch+xml"
	TypePIDFDiff = "application/pidf-diff+xml"
	TypeXCAPDiff = "application/xcap-diff+xml"
	TypeError    = "application/patch-ops-error+xml"
)

// Vocabulary is the kind of document that operations are written in.
type Vocabulary uint8

// The vocabularies.
const (
	XMLPatch Vocabulary = iota // RFC 7351
	PIDFDiff                   // RFC 5262
	XCAPDiff                   // RFC 5874
)

var roots = [...]struct{ space, local string }{
	XMLPatch: {SpaceXMLPatch, "patch"},
	PIDFDiff: {SpacePIDFDiff, "pidf-diff"},
	XCAPDiff: {SpaceXCAPDiff, "xcap-diff"},
}

func (v Vocabulary) String() string { return [...]string{"xml-patch", "pidf-diff", "xcap-diff"}[v] }

// Document is a document that carries patch operations.
type Document struct {
	Vocabulary Vocabulary
	Entity     string // partial PIDF: the presentity, "" when absent
	Version    string // partial PIDF: number of the state that the patch leads to, "" when absent
	XCAPRoot   string // XCAP diff: root that the selectors of documents start from
	// Changes are what is to be done: one list of operations, in an XCAP diff one for each of its document elements.
	Changes []Changes

	own  tree.Tree
	tree *tree.Tree
}

// Changes is a list of operations for one document.
type Changes struct {
	Operations []Operation
	// Of an XCAP diff (RFC 5874, section 3): the document by its path below the root, its entity-tags before and after, ""
	// when absent, and whether nothing but the entity-tag has changed.
	Document       string
	PreviousETag   string
	NewETag        string
	BodyNotChanged bool

	version string // of a partial PIDF
	pidf    bool
}

// Parse reads a document that carries patch operations; which vocabulary it is the root element tells. The error is an
// *Error, see there. Src must not change as long as the Document is used.
func Parse(src []byte, opt tree.Options) (*Document, error) {
	d := new(Document)
	if err := d.Parse(src, opt); err != nil {
		return nil, err
	}
	return d, nil
}

// Parse does what the function Parse does, using the memory of the document that d held before.
func (d *Document) Parse(src []byte, opt tree.Options) error {
	if err := d.own.Parse(src, opt); err != nil {
		d.Vocabulary, d.Entity, d.Version, d.XCAPRoot, d.Changes = 0, "", "", "", nil
		return fromTree(err)
	}
	return d.ParseTree(&d.own)
}

// ParseTree does what Parse does for a document that has been read already. The tree must not be edited as long as the Document
// is used.
func (d *Document) ParseTree(t *tree.Tree) error {
	changes := d.Changes[:0]
	d.Vocabulary, d.Entity, d.Version, d.XCAPRoot, d.Changes, d.tree = 0, "", "", "", nil, t
	root := t.Root()
	vocabulary := slices.IndexFunc(roots[:], func(r struct{ space, local string }) bool { return root.Is(r.space, r.local) })
	if vocabulary < 0 {
		return formatError(root, fmt.Errorf("root element %s of namespace %q is no patch, expected patch of %s, pidf-diff or xcap-diff", root.Name(), root.Space(), SpaceXMLPatch))
	}
	d.Vocabulary = Vocabulary(vocabulary)
	var err error
	if d.Vocabulary == XCAPDiff {
		changes, err = d.readXCAPDiff(root, changes)
	} else {
		changes = slices.Grow(changes, 1)[:1]
		c := &changes[0]
		*c = Changes{Operations: c.Operations[:0], pidf: d.Vocabulary == PIDFDiff}
		d.Entity, _ = root.Attr("", "entity")
		d.Version, _ = root.Attr("", "version")
		c.version = d.Version
		err = c.read(root, d.Vocabulary)
	}
	if err != nil {
		return err
	}
	d.Changes = changes
	return nil
}

// Root returns the root element of the document that was read.
func (d *Document) Root() tree.Node { return d.tree.Root() }

// read reads the operations that are the children of an element.
func (c *Changes) read(parent tree.Node, v Vocabulary) error {
	for n := range parent.Children() {
		switch {
		case n.Kind() == tree.Text && !n.Blank():
			return formatError(n, fmt.Errorf("text %q between operations", clip(n.Text())))
		case n.Kind() != tree.Element, v == XCAPDiff && n.Space() != SpaceXCAPDiff:
			continue
		case v == XCAPDiff && n.Local() == "body-not-changed":
			c.BodyNotChanged = true
			continue
		}
		op, err := readOperation(n, v)
		if err != nil {
			err.Index = len(c.Operations)
			return err
		}
		c.Operations = append(c.Operations, op)
	}
	return nil
}

func (d *Document) readXCAPDiff(root tree.Node, changes []Changes) ([]Changes, error) {
	var ok bool
	if d.XCAPRoot, ok = root.Attr("", "xcap-root"); !ok {
		return nil, formatError(root, fmt.Errorf("xcap-diff without xcap-root"))
	}
	for n := range root.Elements() {
		if !n.Is(SpaceXCAPDiff, "document") {
			continue
		}
		var c Changes
		if c.Document, ok = n.Attr("", "sel"); !ok {
			return nil, formatError(n, fmt.Errorf("document without sel"))
		}
		if !isBelow(c.Document) {
			return nil, formatError(n, fmt.Errorf("sel of a document is %q, expected a path below the XCAP root", clip(c.Document)))
		}
		c.PreviousETag, _ = n.Attr("", "previous-etag")
		c.NewETag, _ = n.Attr("", "new-etag")
		if err := c.read(n, XCAPDiff); err != nil {
			return nil, err
		}
		switch {
		case c.BodyNotChanged && len(c.Operations) > 0:
			return nil, formatError(n, fmt.Errorf("document has both body-not-changed and operations"))
		case len(c.Operations) > 0 && (c.PreviousETag == "" || c.NewETag == ""):
			return nil, formatError(n, fmt.Errorf("document has operations, but not both previous-etag and new-etag"))
		}
		changes = append(changes, c)
	}
	return changes, nil
}

// isBelow reports whether a relative reference is a path that does not lead out of its base.
func isBelow(ref string) bool {
	path, _, _ := strings.Cut(ref, "?")
	segments := strings.Split(strings.NewReplacer("%2e", ".", "%2E", ".").Replace(path), "/")
	return segments[0] != "" && !strings.Contains(segments[0], ":") && !slices.Contains(segments, "..")
}

// Verb tells what an operation does.
type Verb uint8

// The verbs.
const (
	Add Verb = iota
	Replace
	Remove
)

func (v Verb) String() string { return [...]string{"add", "replace", "remove"}[v] }

// Position tells where an add puts its content, or on which sides a remove takes white space along.
type Position uint8

// The positions. None is to append, and to take nothing along.
const (
	None Position = iota
	Before
	After
	Prepend // add only
	Both    // remove only
)

func (p Position) String() string { return [...]string{"", "before", "after", "prepend", "both"}[p] }

// Operation is one patch operation.
type Operation struct {
	Verb     Verb
	Selector *selector.Selector
	Position Position  // pos of an add, ws of a remove
	Element  tree.Node // as it stands in the patch

	// What type of an add names: an attribute or, with kind Namespace, a prefix to declare.
	kind          selector.Kind
	prefix, local string
	space         string
}
