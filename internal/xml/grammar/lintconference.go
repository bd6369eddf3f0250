package grammar

import "imp/internal/xml/tree"

// conferenceTables are the elements of RFC 4575 that may say how complete they are (section 4.4).
var conferenceTables = map[string]bool{"conference-info": true, "users": true, "user": true, "endpoint": true, "sidebars-by-ref": true, "sidebars-by-val": true}

// lintConferenceInfo warns of a full document without what it has to have (RFC 4575, section 5.2).
func lintConferenceInfo(c *checker, n tree.Node) {
	entity(c, n)
	for _, name := range []string{"conference-description", "users"} {
		if conferenceState(n) == "full" && !n.Element(spaceConference, name).Valid() {
			c.at(n, LintIncomplete, c.name(n)+" is full and has no "+name)
		}
	}
	lintConferenceTable(c, n)
}

// lintConferenceTable warns of parts that are not as complete as the whole says (RFC 4575, section 4.4).
func lintConferenceTable(c *checker, n tree.Node) {
	c.unique(n, "user", "entity", LintKey)
	c.unique(n, "endpoint", "entity", LintKey)
	c.unique(n, "media", "id", LintKey)
	own := conferenceState(n)
	for k := range n.Elements() {
		if k.Space() != spaceConference {
			continue
		}
		switch state := conferenceState(k); {
		case own == "deleted":
			c.at(k, LintState, "found "+c.name(k)+" in a "+c.name(n)+" that is deleted")
			return
		case own == "full" && state != "full" && conferenceTables[k.Local()]:
			c.at(k, LintState, c.name(k)+" is "+quote(state)+" in a "+c.name(n)+" that is full")
		}
	}
}

// conferenceState is full where nothing else is told.
func conferenceState(n tree.Node) string {
	if v, ok := n.Attr("", "state"); ok {
		return collapse(v)
	}
	return "full"
}

// lintConferenceURIs warns of a URI that stands twice (RFC 4575, sections 5.3.1 and 5.3.2).
func lintConferenceURIs(c *checker, n tree.Node) {
	seen := map[string]bool{}
	for e := range n.Elements() {
		uri := e.Element(spaceConference, "uri")
		if value := collapse(uri.Text()); uri.Valid() && seen[value] {
			c.at(uri, LintKey, "found another "+c.name(uri)+" "+quote(value)+", expected each once in "+c.name(n))
		} else {
			seen[value] = true
		}
	}
}

// lintConferenceMedium warns of an SSRC of what is no RTP (RFC 4575, section 5.8.3).
func lintConferenceMedium(c *checker, n tree.Node) {
	kind, source := collapse(n.Element(spaceConference, "type").Text()), n.Element(spaceConference, "src-id")
	if source.Valid() && (kind == "message" || kind == "application") {
		c.at(source, LintSource, "found "+c.name(source)+" of a medium "+quote(kind)+", which is not sent in RTP")
	}
}

func init() {
	for name, lint := range map[string]func(*checker, tree.Node){
		"conference-info": lintConferenceInfo,
		"users":           lintConferenceTable,
		"user":            lintConferenceTable,
		"endpoint":        lintConferenceTable,
		"available-media": func(c *checker, n tree.Node) { c.unique(n, "entry", "label", LintKey) },
		"conf-uris":       lintConferenceURIs,
		"service-uris":    lintConferenceURIs,
		"media":           lintConferenceMedium,
	} {
		lints[expanded{spaceConference, name}] = lint
	}
}
