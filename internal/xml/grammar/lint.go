package grammar

import (
	"strings"

	"imp/internal/xml/tree"
)

// Names of rules that warn.
const (
	LintZone         = "timestamp-zone"     // RFC 3339 wants a time zone; RFC 3863, section 4.1.7
	LintURI          = "uri-form"           // characters that no URI has, as of a name-addr
	LintScheme       = "uri-scheme"         // a URI that has to be absolute
	LintEntity       = "entity-missing"     // an entity that is empty
	LintUnknown      = "unknown-element"    // an element that its namespace does not have
	LintNamespace    = "namespace-uri"      // RFC 3863, section 4.2.2
	LintStatus       = "status-empty"       // RFC 3863, section 4.1.3
	LintBasic        = "basic-missing"      // watchers that know nothing else show nothing
	LintPlace        = "wrong-place"        // RFC 4480, section 3.1; RFC 4481, section 3; RFC 5196, section 3.2
	LintRepeated     = "repeated"           // RFC 4480, section 3.1; RFC 4482, section 3
	LintRange        = "time-range"         // an end before its start
	LintClassContact = "service-contact"    // RFC 4480, section 3.10
	LintMediaType    = "media-type"         // RFC 5196, section 3.2.9
	LintEntry        = "duplicate-entry"    // RFC 4826, section 3.4.5
	LintList         = "duplicate-list"     // the same
	LintService      = "duplicate-uri"      // RFC 4826, section 4.4.5
	LintReference    = "reference-form"     // RFC 4826, section 3.2: relative or absolute
	LintFilter       = "duplicate-filter"   // RFC 4661, section 3.4
	LintTarget       = "filter-target"      // RFC 4661, section 3.4: uri and domain
	LintSchema       = "not-in-schema"      // RFC 4480, section 3.2 has what its schema has not
	LintTime         = "time-form"          // a time in an element that the schema has as text
	LintKey          = "duplicate-key"      // RFC 4575, section 4.5
	LintState        = "state-mismatch"     // RFC 4575, section 4.4
	LintIncomplete   = "incomplete-full"    // RFC 4575, section 5.2
	LintSource       = "not-rtp"            // RFC 4575, section 5.8.3
	LintContact      = "contact-user"       // a watcher's URI where that of the presentity is wanted
	LintFirst        = "partial-first"      // RFC 3858, section 3; RFC 4662, section 5.2
	LintWatcher      = "duplicate-watcher"  // RFC 3858, section 3
	LintToken        = "token-form"         // the same
	LintResource     = "duplicate-resource" // RFC 4662, section 5.3
	LintInstanceID   = "duplicate-instance" // RFC 4662, section 5.5
	LintNoCID        = "cid-missing"        // the same
	LintCID          = "cid-form"           // the same
	LintReason       = "reason-missing"     // the same
)

// lints are the checks of elements by name. They look at the tree alone, which may be invalid.
var lints = map[expanded]func(*checker, tree.Node){
	{spacePIDF, "presence"}:      entity,
	{spacePIDFDiff, "pidf-full"}: entity,
	{spacePIDFDiff, "pidf-diff"}: entity,
	{spacePIDF, "tuple"}:         lintTuple,
	{spacePIDF, "status"}:        lintStatus,
	{spacePIDF, "contact"}:       lintContact,
	{spaceDataModel, "person"}:   lintPerson,
	{spaceDataModel, "device"}:   lintPerson,
}

// lintElement warns of what is wrong with n itself.
func (c *checker) lintElement(n tree.Node) {
	for d := range n.Decls() {
		if uri := d.URI(); uri != "" {
			if _, absolute := cutScheme(uri); !absolute || strings.Contains(uri, "#") {
				at, _ := d.Range()
				c.report(at, LintNamespace, "namespace "+quote(uri)+" is no absolute URI without a fragment")
			}
		}
	}
	if lint := lints[expanded{n.Space(), n.Local()}]; lint != nil {
		lint(c, n)
	}
}

// lintOpen warns of an element, let in by an extension point, that its namespace does not have.
func (c *checker) lintOpen(n tree.Node, by *element) {
	space, local := n.Space(), n.Local()
	s := c.known(space)
	if by.class.except == nil {
		return // content of a patch, for example, is parts
	}
	if s == nil || space == xmlSpace || s.root(space, local) != nil {
		return
	}
	for _, e := range s.elements {
		if e.is(space, local) {
			c.at(n, LintUnknown, "found "+c.name(n)+" outside of what it is a part of, it is not understood here")
			return
		}
	}
	c.at(n, LintUnknown, "found "+c.name(n)+", namespace "+space+" has no such element, it is not understood")
}

// lintValue warns of a value that is valid and yet no good.
func (c *checker) lintValue(at int, n tree.Node, a tree.Attr, value string, s *simple) {
	if s.base == nil || !s.accepts(value) {
		return
	}
	value = collapse(value)
	switch s.base.name {
	case "dateTime":
		if _, zone, _ := zoneOf(value); zone == "" {
			c.report(at, LintZone, c.nameOf(n, a)+" is "+quote(value)+", which does not say its time zone, write Z or an offset behind it")
		}
	case "anyURI":
		if i := strings.IndexAny(value, " <>\"{}|\\^`"); i >= 0 {
			c.report(at, LintURI, c.nameOf(n, a)+" is "+quote(value)+", and no URI has "+quote(value[i:i+1]))
		}
	}
}

// wantAbsolute warns of a URI that is a bare name.
func (c *checker) wantAbsolute(n tree.Node, a tree.Attr, value string) {
	value = collapse(value)
	if _, ok := cutScheme(value); ok || value == "" || strings.ContainsAny(value, "<>\" /") {
		return // those of the first kind are told of elsewhere, and a path may be relative to something
	}
	at, _ := n.Range()
	if a.Valid() {
		at, _ = a.Range()
	}
	c.report(at, LintScheme, c.nameOf(n, a)+" is "+quote(value)+", which has no scheme such as sip:")
}

// attributeAbsolute is a lint about an attribute that is an absolute URI.
func attributeAbsolute(local string) func(*checker, tree.Node) {
	return func(c *checker, n tree.Node) {
		if a := n.Attribute("", local); a.Valid() {
			c.wantAbsolute(n, a, a.Value())
		}
	}
}

// entity is a lint about the URI of who a document is about.
func entity(c *checker, n tree.Node) {
	a := n.Attribute("", "entity")
	if a.Valid() && collapse(a.Value()) == "" {
		at, _ := a.Range()
		c.report(at, LintEntity, c.nameOf(n, a)+" is empty, expected the URI that the document is about")
		return
	}
	if a.Valid() {
		c.wantAbsolute(n, a, a.Value())
	}
}
