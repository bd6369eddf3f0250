package grammar

import (
	"net/url"
	"slices"
	"strings"

	"imp/internal/xml/tree"
)

func lintTuple(c *checker, n tree.Node) {
	lintComponent(c, n)
	lintServiceClass(c, n)
}

func lintStatus(c *checker, n tree.Node) {
	first := tree.Node{}
	for k := range n.Elements() {
		first = k
		break
	}
	switch {
	case !first.Valid():
		c.at(n, LintStatus, c.name(n)+" is empty, expected a basic status or an extension")
	case !n.Element(spacePIDF, "basic").Valid():
		c.at(n, LintBasic, c.name(n)+" has no basic status, which is all that many watchers show")
	}
}

func lintContact(c *checker, n tree.Node) {
	c.wantAbsolute(n, tree.Attr{}, n.Text())
	entity, _ := n.Parent().Parent().Attr("", "entity")
	user, host, _ := userAtHost(entity)
	who, where, gruu := userAtHost(n.Text())
	if user != "" && who != "" && user != who && host == where && !gruu {
		c.at(n, LintContact, c.name(n)+" is of "+quote(who)+", and the document is about "+quote(user)+" of the same host; watchers would call somebody else")
	}
}

// userAtHost returns the user and the host of a SIP or pres URI, and whether it is a GRUU, whose user may be anything (RFC 5627, section 3.1).
func userAtHost(uri string) (user, host string, gruu bool) {
	scheme, rest, _ := strings.Cut(collapse(uri), ":")
	if scheme = strings.ToLower(scheme); scheme != "sip" && scheme != "sips" && scheme != "pres" {
		return "", "", false
	}
	user, rest, ok := strings.Cut(rest, "@")
	user, err := url.PathUnescape(user)
	if !ok || err != nil {
		return "", "", false
	}
	host, params, _ := strings.Cut(rest, ";")
	if host, _, ok = strings.Cut(host, ":"); ok && strings.HasPrefix(host, "[") {
		return "", "", false
	}
	return user, strings.ToLower(host), strings.HasPrefix(params, "gr") || strings.Contains(params, ";gr")
}

// places are the elements of a PIDF document that extensions describe (RFC 4480, section 3.1; RFC 4481, section 3; RFC
// 4482, section 1; RFC 5196, section 3.2).
var places = map[expanded][]string{}

func init() {
	for space, names := range map[string]map[string]string{
		spaceRPID: {
			"person": "activities mood place-is place-type sphere time-offset", "tuple": "relationship service-class",
			"tuple person": "privacy status-icon",
		},
		spaceTimed: {"tuple": "timed-status"},
		spaceCIPID: {"tuple person": "card display-name homepage icon map sound"},
		spaceCaps:  {"tuple": "servcaps", "device": "devcaps"},
	} {
		for where, list := range names {
			for name := range strings.FieldsSeq(list) {
				places[expanded{space, name}] = strings.Fields(where)
			}
		}
	}
	for name := range places {
		lints[name] = lintPlace
	}
	lints[expanded{spaceTimed, "timed-status"}] = func(c *checker, n tree.Node) {
		lintPlace(c, n)
		lintRange(c, n)
	}
	lints[expanded{spaceRPID, "lunch"}] = func(c *checker, n tree.Node) {
		c.at(n, LintSchema, "found "+c.name(n)+", which the schema of RFC 4480 forgets, so that strict readers refuse it; meal is safe")
	}
	lints[expanded{spaceCaps, "higherhan"}] = func(c *checker, n tree.Node) {
		c.at(n, LintSchema, "found "+c.name(n)+", which is a misprint of higherthan in the schema of RFC 5196")
	}
	lints[expanded{spaceCaps, "type"}] = func(c *checker, n tree.Node) {
		kind, sub, ok := strings.Cut(strings.TrimSpace(n.Text()), "/")
		if !ok || kind == "" || sub == "" {
			c.at(n, LintMediaType, c.name(n)+" is "+quote(n.Text())+", expected type/subtype")
		}
	}
}

// lintPlace warns of an extension that describes something else than what it stands in. Inside of other elements than those
// of presence documents nothing is known.
func lintPlace(c *checker, n tree.Node) {
	where := places[expanded{n.Space(), n.Local()}]
	parent := n.Parent()
	switch parent.Space() {
	case spacePIDF, spaceDataModel, spaceTimed:
	default:
		return
	}
	local := parent.Local()
	known := local == "tuple" && parent.Space() == spacePIDF || (local == "person" || local == "device") && parent.Space() == spaceDataModel
	if !known || !slices.Contains(where, local) {
		c.at(n, LintPlace, "found "+c.name(n)+" in "+c.name(parent)+", it belongs in a "+orList(where))
	}
	if n.Space() == spaceRPID {
		lintRange(c, n)
	}
}

// lintComponent warns of what a tuple, person or device has more than once although it says one thing.
func lintComponent(c *checker, n tree.Node) {
	type said struct{ space, local, language string }
	var seen map[said]bool
	for k := range n.Elements() {
		if !single(k) {
			continue
		}
		lang, _ := k.Attr(xmlSpace, "lang")
		what := said{k.Space(), k.Local(), lang}
		if seen[what] {
			c.at(k, LintRepeated, "found "+c.name(k)+" again in "+c.name(n)+", expected it once")
		}
		if seen == nil {
			seen = map[said]bool{}
		}
		seen[what] = true
	}
}

// single reports whether an element is expected once: those of RPID without from and until, and those of CIPID.
func single(k tree.Node) bool {
	if k.Space() == spaceRPID {
		return !k.Attribute("", "from").Valid() && !k.Attribute("", "until").Valid()
	}
	return k.Space() == spaceCIPID
}

// lintRange warns of an until before its from, when both are of one zone.
func lintRange(c *checker, n tree.Node) {
	from, _ := n.Attr("", "from")
	until, ok := n.Attr("", "until")
	begin, zone, fine := zoneOf(collapse(from))
	end, other, also := zoneOf(collapse(until))
	if ok && fine && also && zone == other && len(begin) >= 19 && len(end) >= 19 && begin[4] == '-' && end[4] == '-' && end < begin {
		c.at(n, LintRange, c.name(n)+" ends "+until+" before it begins "+from)
	}
}

// lintServiceClass warns of services that nobody calls by a URI (RFC 4480, section 3.10).
func lintServiceClass(c *checker, n tree.Node) {
	class := n.Element(spaceRPID, "service-class")
	contact := n.Element(spacePIDF, "contact")
	for k := range class.Elements() {
		switch k.Local() {
		case "courier", "freight", "in-person", "postal":
			if k.Space() == spaceRPID && collapse(contact.Text()) != "" {
				c.at(contact, LintClassContact, "found a contact of service class "+k.Local()+", expected an empty one")
			}
		}
	}
}

// lintPerson warns of what a person or device has that is no attribute of one.
func lintPerson(c *checker, n tree.Node) {
	if status := n.Element(spacePIDF, "status"); status.Valid() {
		c.at(status, LintPlace, "found "+c.name(status)+" in "+c.name(n)+", it belongs in a tuple")
	}
	lintComponent(c, n)
}
