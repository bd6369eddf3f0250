package grammar

import (
	"strings"

	"imp/internal/xml/tree"
)

const (
	spaceWatchers = "urn:ietf:params:xml:ns:watcherinfo"
	spaceRLMI     = "urn:ietf:params:xml:ns:rlmi"
)

// lintFirst warns of a first document that is not the full state (RFC 3858, section 3; RFC 4662, section 5.2).
func lintFirst(c *checker, n tree.Node, full bool) {
	if version, _ := n.Attr("", "version"); collapse(version) == "0" && !full {
		c.at(n, LintFirst, c.name(n)+" has version 0 and is not the full state, which nobody can build on")
	}
}

// lintWatchers warns of watchers that cannot be told apart (RFC 3858, section 3).
func lintWatchers(c *checker, n tree.Node) {
	state, _ := n.Attr("", "state")
	lintFirst(c, n, collapse(state) != "partial")
	seen := map[string]bool{}
	for l := range n.Elements() {
		if !l.Is(spaceWatchers, "watcher-list") {
			continue
		}
		for w := range l.Elements() {
			a := w.Attribute("", "id")
			if !w.Is(spaceWatchers, "watcher") || !a.Valid() {
				continue
			}
			at, _ := a.Range()
			if id := a.Value(); seen[id] {
				c.report(at, LintWatcher, "found another "+c.name(w)+" with id "+quote(id)+", expected each once in the document")
			} else if seen[id] = true; !isToken(id) {
				c.report(at, LintToken, c.nameOf(w, a)+" is "+quote(id)+", expected a token: letters, digits and - . ! % * _ + ` ' ~")
			}
		}
	}
}

// isToken reports whether s is a token of RFC 3261, section 25.1.
func isToken(s string) bool {
	return s != "" && strings.IndexFunc(s, func(r rune) bool {
		return !('a' <= r|0x20 && r|0x20 <= 'z' || '0' <= r && r <= '9' || strings.ContainsRune("-.!%*_+`'~", r))
	}) < 0
}

// lintResources warns of what a subscriber to a list stumbles over (RFC 4662, section 5).
func lintResources(c *checker, n tree.Node) {
	full, _ := n.Attr("", "fullState")
	full = collapse(full)
	lintFirst(c, n, full == "true" || full == "1")
	c.unique(n, "resource", "uri", LintResource)
	lintCID(c, n)
}

// lintInstance warns of an instance without what its state calls for (RFC 4662, section 5.5).
func lintInstance(c *checker, n tree.Node) {
	state, _ := n.Attr("", "state")
	switch collapse(state) {
	case "active":
		if !n.Attribute("", "cid").Valid() {
			c.at(n, LintNoCID, c.name(n)+" is active and has no attribute cid, which names the part with its state")
		}
	case "terminated":
		if !n.Attribute("", "reason").Valid() {
			c.at(n, LintReason, c.name(n)+" is terminated and has no attribute reason")
		}
	}
	lintCID(c, n)
}

// lintCID warns of a name that is no Content-ID without its angle brackets (RFC 4662, section 5.5).
func lintCID(c *checker, n tree.Node) {
	a := n.Attribute("", "cid")
	if value := a.Value(); a.Valid() && (strings.ContainsAny(value, "<>") || strings.HasPrefix(strings.ToLower(value), "cid:")) {
		at, _ := a.Range()
		c.report(at, LintCID, c.nameOf(n, a)+" is "+quote(value)+", expected the Content-ID alone, without angle brackets and scheme")
	}
}

func init() {
	lints[expanded{spaceWatchers, "watcherinfo"}] = lintWatchers
	lints[expanded{spaceRLMI, "list"}] = lintResources
	lints[expanded{spaceRLMI, "resource"}] = func(c *checker, n tree.Node) { c.unique(n, "instance", "id", LintInstanceID) }
	lints[expanded{spaceRLMI, "instance"}] = lintInstance
}
