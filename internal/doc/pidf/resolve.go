package pidf

import (
	"time"

	"imp/internal/xml/tree"
)

// resolve decides between occurrences of one person, device or service (RFC 4479 section 3.5).
func (c *composer) resolve(policy Policy) {
	if len(c.docs) == 0 {
		return
	}
	for i := range c.parts {
		c.parts[i].when = c.age(&c.parts[i])
	}
	if !policy.AllPersons {
		c.resolvePersons()
	}
	c.resolveBy(deviceComponent, func(n tree.Node) string { return trim(n.Element(DataModelSpace, "deviceID").Text()) })
	if policy.OnePerService {
		c.resolveBy(tupleComponent, func(n tree.Node) string { return trim(n.Element(Space, "contact").Text()) })
	}
}

// age is the time that a component tells as its own, which may not be after its publication: clocks of publishers are not to be trusted that far.
func (c *composer) age(p *piece) time.Time {
	published := c.docs[p.doc].input.Published
	told := readTime(p.node.Element(p.node.Space(), "timestamp").Text())
	if told.IsZero() || !published.IsZero() && told.After(published) {
		return published
	}
	return told
}

// resolvePersons keeps the persons of the input that has the newest one, as far as any says something.
func (c *composer) resolvePersons() {
	best := -1
	saying := false
	for i := range c.parts {
		p := &c.parts[i]
		if p.kind != personComponent {
			continue
		}
		says := saysAnything(p.node)
		if best < 0 || says && !saying || says == saying && !p.when.Before(c.parts[best].when) {
			best, saying = i, says
		}
	}
	for i := range c.parts {
		if p := &c.parts[i]; p.kind == personComponent && p.doc != c.parts[best].doc {
			p.gone = true
		}
	}
}

// saysAnything reports whether a person holds more than a timestamp and RPID elements without content, which some clients publish always.
func saysAnything(person tree.Node) bool {
	for n := person.FirstChild(); n.Valid(); n = n.NextSibling() {
		switch {
		case n.Kind() != tree.Element, n.Local() == "timestamp" && n.Space() != RPIDSpace:
		case n.Space() != RPIDSpace && n.Local() != "note":
			return true
		case trim(n.Text()) != "":
			return true
		default:
			for c := n.FirstChild(); c.Valid(); c = c.NextSibling() {
				if c.Kind() == tree.Element && c.Local() != "note" {
					return true
				}
			}
		}
	}
	return false
}

// resolveBy keeps of the components with the same key the newest. Components without key are kept.
func (c *composer) resolveBy(kind component, keyOf func(tree.Node) string) {
	var newest map[string]int
	for i := range c.parts {
		p := &c.parts[i]
		if p.kind != kind {
			continue
		}
		key := keyOf(p.node)
		if key == "" {
			continue
		}
		if newest == nil {
			newest = make(map[string]int)
		}
		other, found := newest[key]
		switch {
		case !found || !p.when.Before(c.parts[other].when):
			newest[key] = i
			if found {
				c.parts[other].gone = true
			}
		default:
			p.gone = true
		}
	}
}
