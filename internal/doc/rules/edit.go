package rules

import (
	"errors"
	"slices"
	"strings"

	"imp/internal/xml/lexical"
	"imp/internal/xml/tree"
)

// Own is what the ids of the rules begin with that imp keeps. A user is named in one of them at most.
const Own = "imp-"

// ErrOther tells that a rule that was named grants something else.
var ErrOther = errors.New("the rule of this name grants something else, at other times, or to anybody")

// Grant is a rule as it is wanted.
type Grant struct {
	ID   string      // of the rule; without it one of imp's own
	Who  []Identity  // nil is everybody, those who are not authenticated too
	When []Condition // sphere and validity
	Permissions
}

// Edit is a change of one rule of a document.
type Edit struct {
	ID  string // as the attribute has it
	XML []byte // the rule as it has to be, nil when it has to go
}

// User is the identity of one user, by the canonical form of the URI.
func User(uri string) Identity { return Identity{One: lexical.FixURI(canonical(uri))} }

// Users is the identity of the users of a domain, of all that are authenticated when it is "". Names in ASCII are written in small letters (RFC 4745
// section 7.1.3).
func Users(domain string) Identity { return Identity{Many: true, Domain: strings.ToLower(domain)} }

// Key tells identities apart; it does not tell exceptions.
func (id *Identity) Key() string {
	if id.Many {
		return "@" + ascii(id.Domain)
	}
	return canonical(id.One)
}

// Anybody reports whether a rule has no condition on the identity, which makes it one for those too who are not authenticated.
func (r *Rule) Anybody() bool {
	return !slices.ContainsFunc(r.Conditions, func(c Condition) bool { return len(c.Identity) > 0 })
}

// Concerns reports whether the conditions on the identity can be true for somebody who is meant by one of the identities, or without any for those who are
// not authenticated. The other conditions do not count.
func (r *Rule) Concerns(who []Identity) bool {
	for _, c := range r.Conditions {
		if len(c.Identity) > 0 && !slices.ContainsFunc(c.Identity, func(id Identity) bool {
			return slices.ContainsFunc(who, id.includes)
		}) {
			return false
		}
	}
	return true
}

// includes reports whether an identity stands for all whom another stands for, as far as the other has no exceptions.
func (id Identity) includes(other Identity) bool {
	if id.Key() == other.Key() {
		return len(id.Unknown) == 0 && (id.One != "" || id.Many)
	}
	m := newMatcher(Request{Identities: []string{other.One}})
	if other.Many {
		if other.Domain == "" {
			return false
		}
		m = newMatcher(Request{Identities: []string{"sip:*@" + ascii(other.Domain)}})
	}
	return m.identity(id)
}

// Beyond reports whether a rule grants what the grant does not, or at times at which the grant does not.
func (g *Grant) Beyond(r *Rule) bool {
	both := Union(&g.Permissions, &r.Permissions)
	if !both.Equal(&g.Permissions) {
		return true
	}
	none := Permissions{}
	return len(g.When) > 0 && !sameTimes(g.When, r.Conditions) && !none.Equal(&r.Permissions)
}

// sameTimes compares the conditions that are none on the identity.
func sameTimes(a, b []Condition) bool { return slices.Equal(times(a), times(b)) }

// times writes the conditions that are none on the identity in a form that can be compared.
func times(conditions []Condition) []string {
	var all []string
	for i := range conditions {
		c := &conditions[i]
		switch {
		case len(c.Identity) > 0:
		case c.Sphere != "":
			words := strings.Fields(strings.ToLower(c.Sphere))
			slices.Sort(words)
			all = append(all, "sphere "+strings.Join(words, " "))
		default:
			all = append(all, c.String())
		}
	}
	slices.Sort(all)
	return all
}

// is reports whether a rule is the one that a grant wants, whoever is in it.
func (g *Grant) is(r *Rule) bool {
	identities := 0
	for _, c := range r.Conditions {
		if len(c.Identity) > 0 {
			identities++
		}
	}
	want := min(len(g.Who), 1)
	plain := g.ID != "" || len(r.Actions)+len(r.Transformations) == 0
	return identities == want && plain && sameTimes(g.When, r.Conditions) && g.Permissions.Equal(&r.Permissions)
}

// Give returns the next change that brings a document nearer to the grant, nil when it is there: first that the rule has everybody whom it is for, then that
// imp's other rules have not. So nobody has less meanwhile than before and after. With users of a domain, those whom imp's rules give less are excepted, and
// exceptions that were made stay. The sets are all documents of the user, for ids that are free.
func (g *Grant) Give(src []byte, sets []*Ruleset) (*Edit, error) {
	d, err := open(src)
	if err != nil {
		return nil, err
	}
	who := d.exceptions(g)
	at := g.find(d.set)
	if at < 0 {
		return d.fresh(g, who, append(sets[:len(sets):len(sets)], d.set)), nil
	}
	if !g.is(&d.set.Rules[at]) {
		return nil, ErrOther
	}
	changed := false
	for i := range who {
		added, err := d.add(at, &who[i])
		if err != nil {
			return nil, err
		}
		changed = changed || added
	}
	if changed {
		return &Edit{d.id(at), d.nodes[at].Bytes()}, nil
	}
	if g.ID != "" {
		return nil, nil
	}
	return d.others(g, at)
}

// Take returns the next change that takes users out of imp's rules, or of the rule with an id: their names, and exceptions of them. Nil is everybody's
// rule. It returns nil when there is none.
func Take(src []byte, who []Identity, id string) (*Edit, error) {
	d, err := open(src)
	if err != nil {
		return nil, err
	}
	for i := range d.set.Rules {
		r := &d.set.Rules[i]
		if id != "" && r.ID != id || id == "" && !strings.HasPrefix(r.ID, Own) {
			continue
		}
		changed, empty, err := d.take(i, who)
		if err != nil {
			return nil, err
		}
		if empty {
			return &Edit{ID: d.id(i)}, nil
		}
		for j := range who {
			lifted, err := d.lift(i, &who[j])
			if err != nil {
				return nil, err
			}
			changed = changed || lifted
		}
		if changed {
			return &Edit{d.id(i), d.nodes[i].Bytes()}, nil
		}
	}
	return nil, nil
}

// Rule returns the rule of a document that is the grant's, nil when there is none.
func (g *Grant) Rule(set *Ruleset) *Rule {
	if at := g.find(set); at >= 0 {
		return &set.Rules[at]
	}
	return nil
}

func (g *Grant) find(set *Ruleset) int {
	return slices.IndexFunc(set.Rules, func(r Rule) bool {
		return g.ID != "" && r.ID == g.ID || g.ID == "" && strings.HasPrefix(r.ID, Own) && g.is(&r)
	})
}

// document is a ruleset with the elements of its rules, in the same order.
type document struct {
	set   *Ruleset
	root  tree.Node
	nodes []tree.Node
	ids   [][]named // of each rule
}

// named is an identity with its element, which is not valid once it is removed.
type named struct {
	*Identity
	node tree.Node
}

func open(src []byte) (*document, error) {
	set, err := Parse(src)
	if err != nil {
		return nil, err
	}
	t, err := tree.Parse(src, limits)
	if err != nil {
		return nil, err
	}
	d := &document{set: set, root: t.Root(), nodes: slices.Collect(t.Root().Elements()), ids: make([][]named, len(set.Rules))}
	for i := range set.Rules {
		conditions := slices.Collect(d.nodes[i].Element(Space, "conditions").Elements())
		for j := range set.Rules[i].Conditions {
			identities := set.Rules[i].Conditions[j].Identity
			if len(identities) == 0 {
				continue
			}
			for k, n := range slices.Collect(conditions[j].Elements()) {
				d.ids[i] = append(d.ids[i], named{&identities[k], n})
			}
		}
	}
	return d, nil
}

// id is the id of a rule as it is written, which is what an XCAP server compares.
func (d *document) id(rule int) string {
	id, _ := d.nodes[rule].Attr("", "id")
	return id
}

// exceptions adds to the identities of a grant that are for many the exceptions that they have in imp's rules, and those whom these rules give less.
func (d *document) exceptions(g *Grant) []Identity {
	who := slices.Clone(g.Who)
	for i := range who {
		id := &who[i]
		if !id.Many {
			continue
		}
		for j := range d.set.Rules {
			r := &d.set.Rules[j]
			if !strings.HasPrefix(r.ID, Own) {
				continue
			}
			less := Grant{When: r.Conditions, Permissions: r.Permissions}
			lower := less.Beyond(&Rule{Conditions: g.When, Permissions: g.Permissions})
			for _, c := range r.Conditions {
				for _, other := range c.Identity {
					switch {
					case other.Key() == id.Key():
						for _, e := range other.Except {
							id.except(e)
						}
					case lower && id.includes(other) && !slices.ContainsFunc(g.Who, func(w Identity) bool { return w.Key() == other.Key() }):
						id.except(Except{ID: other.One, Domain: other.Domain})
					}
				}
			}
		}
	}
	return who
}

// except adds an exception that an identity has not yet.
func (id *Identity) except(e Except) {
	if !slices.ContainsFunc(id.Except, e.same) {
		id.Except = append(id.Except[:len(id.Except):len(id.Except)], e)
	}
}

func (e Except) same(o Except) bool { return e.key() == o.key() }

func (e Except) key() string {
	id := Identity{One: e.ID, Many: e.Domain != "", Domain: e.Domain}
	return id.Key()
}

// fresh makes the rule of a grant.
func (d *document) fresh(g *Grant, who []Identity, sets []*Ruleset) *Edit {
	id := g.ID
	if id == "" {
		wish := Own + g.Handling.String()
		if len(who) == 0 {
			wish += "-anybody"
		}
		id = FreeID(sets, wish)
	}
	r := Rule{ID: id, Permissions: g.Permissions}
	if len(who) > 0 {
		r.Conditions = append(r.Conditions, Condition{Identity: who})
	}
	r.Conditions = append(r.Conditions, g.When...)
	w := writer{ids: map[string]int{}}
	w.rule(&r)
	text := strings.TrimSpace(string(w.buf))
	space, _ := d.root.LookupPrefix("")
	if pr, _ := d.root.LookupPrefix("pr"); space != Space || pr != PresenceSpace {
		text = `<rule xmlns="` + Space + `" xmlns:pr="` + PresenceSpace + `"` + strings.TrimPrefix(text, "<rule")
	}
	return &Edit{id, []byte(text)}
}

// others takes the users of a grant out of imp's rules but one; where they are among many, they are excepted if more is granted there.
func (d *document) others(g *Grant, at int) (*Edit, error) {
	for i := range d.set.Rules {
		r := &d.set.Rules[i]
		if i == at || !strings.HasPrefix(r.ID, Own) {
			continue
		}
		changed, empty, err := d.take(i, g.Who)
		if err != nil {
			return nil, err
		}
		if empty {
			return &Edit{ID: d.id(i)}, nil
		}
		if g.Beyond(r) {
			barred, err := d.bar(i, g.Who)
			if err != nil {
				return nil, err
			}
			changed = changed || barred
		}
		if changed {
			return &Edit{d.id(i), d.nodes[i].Bytes()}, nil
		}
	}
	return nil, nil
}

// add names an identity in a rule with the exceptions that it has.
func (d *document) add(rule int, id *Identity) (changed bool, err error) {
	for _, there := range d.ids[rule] {
		if there.Key() != id.Key() || len(there.Unknown) > 0 {
			continue
		}
		for _, e := range id.Except {
			if slices.ContainsFunc(there.Except, e.same) {
				continue
			}
			changed = true
			if err := insert(there.node, e.xml(prefix(there.node))); err != nil {
				return false, err
			}
		}
		return changed, nil
	}
	for c := range d.nodes[rule].Element(Space, "conditions").Elements() {
		if c.Is(Space, "identity") {
			return true, insert(c, id.xml(prefix(c)))
		}
	}
	return false, nil
}

// take removes identities from a rule; empty means that nobody would be left in it.
func (d *document) take(rule int, who []Identity) (changed, empty bool, err error) {
	if d.set.Rules[rule].Anybody() {
		return false, len(who) == 0, nil
	}
	left := 0
	for i := range d.ids[rule] {
		there := &d.ids[rule][i]
		if !slices.ContainsFunc(who, func(id Identity) bool { return id.Key() == there.Key() && (there.One != "" || there.Many) }) {
			left++
			continue
		}
		if err := remove(there.node); err != nil {
			return false, false, err
		}
		there.node, changed = tree.Node{}, true
	}
	return changed, left == 0, nil
}

// bar excepts users from the many of a rule among whom they are.
func (d *document) bar(rule int, who []Identity) (changed bool, err error) {
	for _, there := range d.ids[rule] {
		for i := range who {
			if !there.node.Valid() || !there.Many || there.Key() == who[i].Key() || !there.includes(who[i]) {
				continue
			}
			changed = true
			if err := insert(there.node, Except{ID: who[i].One, Domain: who[i].Domain}.xml(prefix(there.node))); err != nil {
				return false, err
			}
		}
	}
	return changed, nil
}

// lift removes the exceptions of somebody from a rule.
func (d *document) lift(rule int, id *Identity) (changed bool, err error) {
	for _, there := range d.ids[rule] {
		if !there.node.Valid() {
			continue
		}
		for _, e := range slices.Collect(there.node.Elements()) {
			if !e.Is(Space, "except") || (Except{attr(e, "id"), attr(e, "domain")}).key() != id.Key() {
				continue
			}
			changed = true
			if err := remove(e); err != nil {
				return false, err
			}
		}
	}
	return changed, nil
}
