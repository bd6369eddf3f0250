package grammar

import (
	"strings"

	"imp/internal/xml/tree"
)

const (
	spaceServices   = "urn:ietf:params:xml:ns:rls-services"
	spaceFilter     = "urn:ietf:params:xml:ns:simple-filter"
	spaceIMDN       = "urn:ietf:params:xml:ns:imdn"
	spaceConference = "urn:ietf:params:xml:ns:conference-info"
)

// unique warns of children of one name with the same value of an attribute.
func (c *checker) unique(n tree.Node, child, attr, rule string) {
	var seen map[string]bool
	for k := range n.Elements() {
		if !k.Is(n.Space(), child) && !k.Is(spaceLists, child) {
			continue
		}
		value, ok := k.Attr("", attr)
		if !ok || strings.HasSuffix(value, ".invalid") {
			continue // RFC 5364 has as many of these as there are anonymous recipients
		}
		if seen[value] {
			at, _ := k.Attribute("", attr).Range()
			c.report(at, rule, "found another "+c.name(k)+" with "+attr+" "+quote(value)+", expected each once in "+c.name(n))
		}
		if seen == nil {
			seen = map[string]bool{}
		}
		seen[value] = true
	}
}

func lintResourceList(c *checker, n tree.Node) {
	c.unique(n, "list", "name", LintList)
	c.unique(n, "entry", "uri", LintEntry)
	c.unique(n, "entry-ref", "ref", LintEntry)
	c.unique(n, "external", "anchor", LintEntry)
}

// lintEntryRef warns of a reference that is no relative path (RFC 4826, section 3.2).
func lintEntryRef(c *checker, n tree.Node) {
	a := n.Attribute("", "ref")
	value := collapse(a.Value())
	if _, absolute := cutScheme(value); a.Valid() && (absolute || strings.HasPrefix(value, "/")) {
		at, _ := a.Range()
		c.report(at, LintReference, c.nameOf(n, a)+" is "+quote(value)+", expected a path from the XCAP root, without a slash before it")
	}
}

// lintExternal warns of an anchor that is no HTTP URI (RFC 4826, section 3.2).
func lintExternal(c *checker, n tree.Node) {
	a := n.Attribute("", "anchor")
	low := strings.ToLower(collapse(a.Value()))
	if a.Valid() && !strings.HasPrefix(low, "http://") && !strings.HasPrefix(low, "https://") {
		at, _ := a.Range()
		c.report(at, LintReference, c.nameOf(n, a)+" is "+quote(a.Value())+", expected an absolute HTTP URI")
	}
}

func lintFilter(c *checker, n tree.Node) {
	if n.Attribute("", "uri").Valid() && n.Attribute("", "domain").Valid() {
		c.at(n, LintTarget, c.name(n)+" has uri and domain, expected one of them at most")
	}
}

func lintIMDN(c *checker, n tree.Node) {
	at := n.Element(spaceIMDN, "datetime")
	value := collapse(at.Text())
	if _, zone, ok := zoneOf(value); at.Valid() && (!ok || zone == "" || !validTime(value)) {
		c.at(at, LintTime, c.name(at)+" is "+quote(value)+", expected a date and time of RFC 3339, such as 2026-01-31T12:00:00Z")
	}
}

func init() {
	for name, lint := range map[expanded]func(*checker, tree.Node){
		{spaceLists, "resource-lists"}:  lintResourceList,
		{spaceLists, "list"}:            lintResourceList,
		{spaceServices, "list"}:         lintResourceList,
		{spaceLists, "entry"}:           attributeAbsolute("uri"),
		{spaceLists, "entry-ref"}:       lintEntryRef,
		{spaceLists, "external"}:        lintExternal,
		{spaceServices, "service"}:      attributeAbsolute("uri"),
		{spaceFilter, "filter"}:         lintFilter,
		{spaceIMDN, "imdn"}:             lintIMDN,
		{spaceServices, "rls-services"}: func(c *checker, n tree.Node) { c.unique(n, "service", "uri", LintService) },
		{spaceFilter, "filter-set"}:     func(c *checker, n tree.Node) { c.unique(n, "filter", "id", LintFilter) },
	} {
		lints[name] = lint
	}
}
