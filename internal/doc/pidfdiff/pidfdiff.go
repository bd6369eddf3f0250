// Package pidfdiff implements partial presence documents (RFC 5262): reading, building, applying and showing the full and the
// partial ones, and the rules by which a receiver counts their versions (RFC 5263 section 4.5). It knows nothing of SIP.
package pidfdiff

import (
	"errors"
	"fmt"
	"strconv"

	"imp/internal/xml/grammar"
	"imp/internal/xml/lexical"
	"imp/internal/xml/patch"
	"imp/internal/xml/tree"
)

// MediaType is the type of the documents (RFC 5262 section 5.2).
const MediaType = patch.TypePIDFDiff

// Space is the namespace of the documents (RFC 5262 section 5.1).
const Space = patch.SpacePIDFDiff

const spacePIDF = "urn:ietf:params:xml:ns:pidf"

// Error tells where a document was refused and why. What is wrong with the operations of a pidf-diff is a *patch.Error
// instead.
type Error = tree.Error

// options bound what a document may ask of the reader.
var options = tree.Options{Limits: tree.Limits{Size: 4 << 20, Depth: 200, Declarations: 200, Attributes: 128}}

// Document is a document of the type: a full state or the changes that lead to one.
type Document struct {
	Full   bool   // pidf-full, else pidf-diff
	Entity string // URI of the presentity; a pidf-diff may leave it out
	// Version numbers the states (RFC 5262 section 3.1), if HasVersion.
	Version    uint32
	HasVersion bool

	src   []byte
	patch patch.Document
}

// Parse reads a document. It refuses what is not well-formed, another root than pidf-full and pidf-diff, a full state without
// entity, a version beyond 32 bits and operations that no document could make right. What the schemas refuse beyond that
// Check tells. The error is an *Error or a *patch.Error. Src must not change as long as the Document is used.
func Parse(src []byte) (*Document, error) {
	t, err := tree.Parse(src, options)
	if err != nil {
		return nil, err
	}
	root := t.Root()
	d := &Document{Full: root.Is(Space, "pidf-full"), src: src}
	if !d.Full && !root.Is(Space, "pidf-diff") {
		return nil, lexical.ErrorAt(t, lexical.StartOf(root), "the root is {"+lexical.Clip(root.Space())+"}"+lexical.Clip(root.Local())+", not pidf-full or pidf-diff of "+Space)
	}
	var has bool
	d.Entity, has = root.Attr("", "entity")
	d.Entity = lexical.Trim(d.Entity)
	if d.Full && !has {
		return nil, lexical.ErrorAt(t, lexical.StartOf(root), "<"+lexical.Clip(root.Name())+"> has no entity")
	}
	if a := root.Attribute("", "version"); a.Valid() {
		if d.Version, err = parseVersion(a.Value()); err != nil {
			start, _ := a.Range()
			return nil, lexical.ErrorAt(t, start, err.Error())
		}
		d.HasVersion = true
	}
	if !d.Full {
		if err := d.patch.ParseTree(t); err != nil {
			return nil, err
		}
	}
	return d, nil
}

func parseVersion(s string) (uint32, error) {
	v, err := strconv.ParseUint(lexical.Trim(s), 10, 32)
	if err != nil {
		return 0, errors.New("version is " + strconv.Quote(lexical.Clip(s)) + ", expected a number of 32 bits")
	}
	return uint32(v), nil
}

// Check reports what the schemas refuse (RFC 5262 section 7, and those of the extensions that are known) and ids that stand
// twice, as all its errors.
func (d *Document) Check() []grammar.Problem {
	t, err := tree.Parse(d.src, options)
	if err != nil {
		return nil // as Parse has taken it
	}
	g, _ := grammar.For(Space, t.Root().Local())
	return g.Check(t)
}

// Operations returns the operations of a pidf-diff, none for a pidf-full.
func (d *Document) Operations() []patch.Operation {
	if d.Full {
		return nil
	}
	return d.patch.Changes[0].Operations
}

// Bytes returns the document as it was read.
func (d *Document) Bytes() []byte { return d.src }

// ErrEntity is the reason why a pidf-diff is not applied to the document of another presentity (RFC 5262 section 3.2).
var ErrEntity = errors.New("entity is another one")

// Apply applies the changes of a pidf-diff to a full state, which is a pidf-full or a presence document, and returns the new
// one, a pidf-full with the version of the changes if both have one. Applied to a full state a pidf-full is the new state. The error
// is ErrEntity, a *patch.Error, or for the state an *Error. Versions are not compared, see Copy. Explain, when it is not nil,
// is told of every operation what it did.
func (d *Document) Apply(state []byte, explain func(patch.Applied)) ([]byte, error) {
	t, err := parseState(state)
	if err != nil {
		return nil, err
	}
	entity, _ := t.Root().Attr("", "entity")
	if d.Entity != "" && d.Entity != lexical.Trim(entity) {
		return nil, fmt.Errorf("changes of %s for a document of %s: %w", lexical.Clip(d.Entity), lexical.Clip(entity), ErrEntity)
	}
	if d.Full {
		return d.src, nil
	}
	if err := d.patch.Changes[0].Apply(t, explain); err != nil {
		return nil, err
	}
	return t.Bytes(), nil
}

// parseState reads a full state.
func parseState(state []byte) (*tree.Tree, error) {
	t, err := tree.Parse(state, options)
	if err != nil {
		return nil, err
	}
	if root := t.Root(); !root.Is(spacePIDF, "presence") && !root.Is(Space, "pidf-full") {
		return nil, lexical.ErrorAt(t, lexical.StartOf(root), "the root is {"+lexical.Clip(root.Space())+"}"+lexical.Clip(root.Local())+", not presence or pidf-full")
	}
	return t, nil
}
