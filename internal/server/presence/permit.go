package presence

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"sync"

	"imp/internal/doc/lists"
	"imp/internal/doc/pidf"
	"imp/internal/doc/rules"
	"imp/internal/xml/lexical"
	"imp/internal/xml/tree"
)

// Permit gives what permissions let a watcher see of a presence document (RFC
// 5025 section 3.3): the tuples, persons and devices that are granted, in these
// what is always shown and what is granted by name, and no other element. What
// stays, stays as it is written; of a valid document the rest is valid. Whether
// there is a subscription at all is not its matter. The error is that of a
// document which is no presence document.
func Permit(doc []byte, p *rules.Permissions) ([]byte, error) { return permit(doc, p, nil) }

// permitTrees keeps parsed documents for the next ones.
var permitTrees = sync.Pool{New: func() any { return new(tree.Tree) }}

// permitLimits hold whatever is composed of accepted documents.
var permitLimits = tree.Options{Limits: tree.Limits{Depth: 250, Declarations: 250, Attributes: 200}}

// permit is Permit for a composed document: endings are what the composition
// has put behind ids that were taken (pidf.Input.Suffix), so that rules go on to
// name them as they were published.
func permit(doc []byte, p *rules.Permissions, endings []string) ([]byte, error) {
	t := permitTrees.Get().(*tree.Tree)
	defer permitTrees.Put(t)
	if err := t.Parse(doc, permitLimits); err != nil {
		return nil, fmt.Errorf("applying permissions: %w", err)
	}
	if err := lexical.WantRoot(t, pidf.Space, "presence"); err != nil {
		return nil, fmt.Errorf("applying permissions: %w", err)
	}
	s := shears{doc: doc, p: p, endings: endings}
	s.document(t)
	return s.rest(t.Root()), nil
}

// shears cut out what is not granted.
type shears struct {
	doc     []byte
	p       *rules.Permissions
	endings []string
	cuts    [][2]int // ranges of doc, in order

	// What p lists, to be looked up as often as a document has elements.
	services, devices map[string]bool // by their equivalent form
	unknown           map[rules.Attribute]bool
}

func (s *shears) cut(start, end int) { s.cuts = append(s.cuts, [2]int{start, end}) }

func (s *shears) document(t *tree.Tree) {
	for n := range t.Document().Children() {
		if n.Kind() == tree.Element {
			s.presence(n)
		} else {
			s.text(n)
		}
	}
}

// presence cuts in the root: what is neither a component nor a note goes (AUT-061).
func (s *shears) presence(root tree.Node) {
	s.attributes(root, "entity")
	noted := s.notes(root)
	for n := range root.Children() {
		switch {
		case n.Kind() != tree.Element:
			s.text(n)
		case n.Is(pidf.Space, "note") && noted, s.grants(n):
			if !n.Is(pidf.Space, "note") {
				s.component(n)
			}
		default:
			s.cut(n.Range())
		}
	}
}

// notes tells whether the notes of the presentity are shown. They are those of
// every person without own ones (RFC 4479 section 3.2), so one has to be granted.
func (s *shears) notes(root tree.Node) bool {
	if !s.p.AllAttributes && !s.p.Provide.Has(rules.Note) || s.p.Persons == nil {
		return false
	}
	if s.p.Persons.All {
		return true
	}
	for n := range root.Elements() {
		if n.Is(pidf.DataModelSpace, "person") && s.grants(n) && !n.Element(pidf.DataModelSpace, "note").Valid() {
			return true
		}
	}
	return false
}

// grants tells whether a child of the root is a component that is shown (RFC
// 5025 section 3.3.1).
func (s *shears) grants(n tree.Node) bool {
	switch {
	case n.Is(pidf.Space, "tuple"):
		return s.selects(s.p.Services, n) || s.selectsService(s.p.Services, n)
	case n.Is(pidf.DataModelSpace, "person"):
		return s.selects(s.p.Persons, n)
	case n.Is(pidf.DataModelSpace, "device"):
		return s.selects(s.p.Devices, n) || s.selectsDevice(s.p.Devices, n)
	}
	return false
}

// selects looks at what all components have.
func (s *shears) selects(of *rules.Selection, n tree.Node) bool {
	if of == nil {
		return false
	}
	if of.All {
		return true
	}
	if class := n.Element(pidf.RPIDSpace, "class"); class.Valid() && slices.Contains(of.Classes, strings.Join(strings.Fields(class.Text()), " ")) {
		return true
	}
	if len(of.OccurrenceIDs) == 0 {
		return false
	}
	id, _ := n.Attr("", "id")
	id = lexical.Trim(id)
	if slices.Contains(of.OccurrenceIDs, id) {
		return true
	}
	for _, ending := range s.endings {
		if published, ok := strings.CutSuffix(id, ending); ok && slices.Contains(of.OccurrenceIDs, published) {
			return true
		}
	}
	return false
}

func (s *shears) selectsService(of *rules.Selection, n tree.Node) bool {
	if of == nil || len(of.URIs) == 0 && len(of.Schemes) == 0 {
		return false
	}
	contact := lexical.Trim(n.Element(pidf.Space, "contact").Text())
	scheme, _, ok := strings.Cut(contact, ":")
	return ok && (slices.Contains(of.Schemes, scheme) || containsURI(&s.services, of.URIs, contact))
}

func (s *shears) selectsDevice(of *rules.Selection, n tree.Node) bool {
	return of != nil && containsURI(&s.devices, of.DeviceIDs, lexical.Trim(n.Element(pidf.DataModelSpace, "deviceID").Text()))
}

// containsURI looks for an equivalent URI; forms has those of the list, once they
// were needed.
func containsURI(forms *map[string]bool, list []string, uri string) bool {
	if len(list) == 0 || uri == "" {
		return false
	}
	if *forms == nil {
		*forms = make(map[string]bool, len(list))
		for _, other := range list {
			(*forms)[equivalent(other)] = true
		}
	}
	return (*forms)[equivalent(uri)]
}

// equivalent is one form for all URIs that are equivalent: SIP URIs as RFC 3261
// section 19.1.4 says, UUIDs and the names of URN namespaces in small letters
// (RFC 8141 section 3.1), of others scheme and host. Where it cannot know, it
// takes two for different, which shows less.
func equivalent(uri string) string {
	uri = lexical.Trim(uri)
	scheme, rest, ok := strings.Cut(uri, ":")
	if !ok {
		return uri
	}
	scheme = strings.ToLower(scheme)
	switch scheme {
	case "sip", "sips":
		return lists.Canonical(uri)
	case "urn":
		space, name, _ := strings.Cut(rest, ":")
		if space = strings.ToLower(space); space == "uuid" {
			name = strings.ToLower(name)
		}
		return "urn:" + space + ":" + name
	}
	rest = lexical.Unescape(rest, "-._~")
	end := len(rest)
	start := strings.LastIndexByte(rest, '@') + 1
	if after, ok := strings.CutPrefix(rest, "//"); ok {
		start = len(rest) - len(after)
		if stop := strings.IndexAny(after, "/?#"); stop >= 0 {
			end = start + stop
		}
		start += strings.LastIndexByte(rest[start:end], '@') + 1
	} else if start == 0 {
		return scheme + ":" + rest
	}
	return scheme + ":" + rest[:start] + strings.ToLower(rest[start:end]) + rest[end:]
}

// component cuts in a tuple, person or device that is shown.
func (s *shears) component(n tree.Node) {
	s.attributes(n, "id")
	for c := range n.Children() {
		switch {
		case c.Kind() != tree.Element:
			s.text(c)
		case c.Is(pidf.Space, "status") && n.Local() == "tuple":
			s.status(c)
		case c.Is(pidf.RPIDSpace, "user-input"):
			s.input(c)
		case !s.shows(n, c):
			s.cut(c.Range())
		}
	}
}

// status keeps the basic status (RFC 5025 section 3.3.2).
func (s *shears) status(n tree.Node) {
	s.attributes(n, "")
	for c := range n.Children() {
		switch {
		case c.Kind() != tree.Element:
			s.text(c)
		case !c.Is(pidf.Space, "basic") && !s.p.AllAttributes && !s.named(c):
			s.cut(c.Range())
		}
	}
}

// input shows of user-input what is granted (RFC 5025 section 3.3.2.12).
func (s *shears) input(n tree.Node) {
	switch {
	case s.p.AllAttributes || s.p.UserInput >= rules.Full:
	case s.p.UserInput == rules.Thresholds:
		s.attributes(n, "idle-threshold")
	case s.p.UserInput == rules.Bare:
		s.attributes(n, "id")
	default:
		s.cut(n.Range())
	}
}

// shows tells whether an element of a component is shown (RFC 5025 section
// 3.3.2).
func (s *shears) shows(component, n tree.Node) bool {
	if s.p.AllAttributes || always(component, n) {
		return true
	}
	if n.Local() == "note" && n.Space() == component.Space() {
		return s.p.Provide.Has(rules.Note)
	}
	if n.Is(pidf.DataModelSpace, "deviceID") {
		return component.Local() == "tuple" && s.p.Provide.Has(rules.DeviceID)
	}
	if n.Space() == pidf.RPIDSpace {
		if granted, ok := attributesOfRPID[n.Local()]; ok {
			return granted != 0 && s.p.Provide.Has(granted)
		}
	}
	return s.named(n)
}

// always tells what no permission is needed for.
func always(component, n tree.Node) bool {
	switch component.Local() {
	case "tuple":
		return n.Space() == pidf.Space && (n.Local() == "contact" || n.Local() == "timestamp") || n.Is(pidf.RPIDSpace, "service-class")
	case "device":
		return n.Is(pidf.DataModelSpace, "deviceID") || n.Is(pidf.DataModelSpace, "timestamp")
	}
	return n.Is(pidf.DataModelSpace, "timestamp")
}

// attributesOfRPID are the elements that provide-unknown-attribute has no power
// over, with the permission of each; service-class has none.
var attributesOfRPID = map[string]rules.Provide{
	"activities": rules.Activities, "class": rules.Class, "mood": rules.Mood, "place-is": rules.PlaceIs, "place-type": rules.PlaceType,
	"privacy": rules.Privacy, "relationship": rules.Relationship, "sphere": rules.Sphere, "status-icon": rules.StatusIcon,
	"time-offset": rules.TimeOffset, "service-class": 0,
}

// named tells whether an element is one of the unknown ones that are granted.
func (s *shears) named(n tree.Node) bool {
	if len(s.p.UnknownAttributes) == 0 {
		return false
	}
	if s.unknown == nil {
		s.unknown = make(map[rules.Attribute]bool, len(s.p.UnknownAttributes))
		for _, a := range s.p.UnknownAttributes {
			s.unknown[a] = true
		}
	}
	return s.unknown[rules.Attribute{Name: n.Local(), NS: n.Space()}]
}

// attributes cuts the attributes of an element but the one that is named. None
// of those that could be there has a permission of its own.
func (s *shears) attributes(n tree.Node, but string) {
	if s.p.AllAttributes && n.Parent().Kind() == tree.Element {
		return
	}
	for a := range n.Attrs() {
		if a.Space() == "" && a.Local() == but {
			continue
		}
		start, end := a.Range()
		for bytes.IndexByte([]byte(" \t\r\n"), s.doc[start-1]) >= 0 {
			start--
		}
		s.cut(start, end)
	}
}

// text cuts what is neither an element nor white space between two.
func (s *shears) text(n tree.Node) {
	if n.Kind() != tree.Text || !n.Blank() {
		s.cut(n.Range())
	}
}

// rest is what is left. Namespaces that are declared at the root for what has
// been cut would tell of it, so these declarations go too.
func (s *shears) rest(root tree.Node) []byte {
	if len(s.cuts) == 0 {
		return s.doc
	}
	open := len(s.cuts)
	for d := range root.Decls() {
		s.cut(d.Range())
	}
	declared := slices.Clone(s.cuts[open:])
	slices.SortFunc(s.cuts, func(a, b [2]int) int { return a[0] - b[0] })
	var used [][2]int
	for d := range root.Decls() {
		if d.Prefix() == "" || s.uses(d.Prefix()) {
			start, end := d.Range()
			used = append(used, [2]int{start, end})
		}
	}
	out := make([]byte, 0, len(s.doc))
	at := 0
	for _, c := range s.cuts {
		if slices.Contains(used, c) {
			continue
		}
		start := c[0]
		if slices.Contains(declared, c) {
			for bytes.IndexByte([]byte(" \t\r\n"), s.doc[start-1]) >= 0 {
				start--
			}
		}
		out = append(out, s.doc[at:start]...)
		at = c[1]
	}
	return append(out, s.doc[at:]...)
}

// uses tells whether what is left has a name with the prefix, or what may be one:
// values can be names too.
func (s *shears) uses(prefix string) bool {
	name := []byte(prefix + ":")
	at := 0
	for _, c := range append(s.cuts[:len(s.cuts):len(s.cuts)], [2]int{len(s.doc), len(s.doc)}) {
		part := s.doc[at:c[0]]
		for {
			i := bytes.Index(part, name)
			if i < 0 {
				break
			}
			if i == 0 || bytes.IndexByte([]byte(` <>/"'=	(,`+"\r\n"), part[i-1]) >= 0 {
				return true
			}
			part = part[i+len(name):]
		}
		at = c[1]
	}
	return false
}
