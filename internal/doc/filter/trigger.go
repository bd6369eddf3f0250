package filter

import (
	"math"
	"strconv"
	"strings"

	"imp/internal/xml/lexical"
	"imp/internal/xml/tree"
)

// Fires reports whether the change from one document to the next is worth a notification (RFC 4661 section 3.6): the filter has no triggers and the
// documents differ, or any of its triggers fires. Both are documents as they were before any filter. A filter that is not enabled is none.
func (f *Filter) Fires(previous, current []byte) (bool, error) {
	before, err := tree.Parse(previous, limitsOfDocuments)
	if err != nil {
		return false, err
	}
	after, err := tree.Parse(current, limitsOfDocuments)
	if err != nil {
		return false, err
	}
	if !f.Enabled || len(f.Triggers) == 0 {
		return string(previous) != string(current), nil
	}
	for i := range f.Triggers {
		if f.Triggers[i].fires(before, after) {
			return true, nil
		}
	}
	return false, nil
}

func (t *Trigger) fires(before, after *tree.Tree) bool {
	for i := range t.Changed {
		if !t.Changed[i].happened(before, after) {
			return false
		}
	}
	for i := range t.Added {
		if !t.Added[i].appears(before, after) {
			return false
		}
	}
	for i := range t.Removed {
		if !t.Removed[i].appears(after, before) {
			return false
		}
	}
	return true
}

// instances are the values of what a reference finds, by what tells them apart.
func (r *Reference) instances(t *tree.Tree) map[string]string {
	all := map[string]string{}
	if r.selection == nil {
		return all
	}
	keys := &identities{known: map[int]string{}}
	for _, f := range r.selection.evaluate(t) {
		key := keys.of(f.node)
		if f.attr.Valid() {
			key += "/@{" + f.attr.Space() + "}" + f.attr.Local()
		}
		all[key] = f.value()
	}
	return all
}

// appears tells whether an instance is in the second document and was not in the first.
func (r *Reference) appears(first, second *tree.Tree) bool {
	old := r.instances(first)
	for key := range r.instances(second) {
		if _, ok := old[key]; !ok {
			return true
		}
	}
	return false
}

func (c *Change) happened(before, after *tree.Tree) bool {
	old := c.instances(before)
	for key, now := range c.instances(after) {
		if was, ok := old[key]; ok && c.is(lexical.Trim(was), lexical.Trim(now)) {
			return true
		}
	}
	return false
}

// is tells whether a value became another one as it is asked for. With By all values are numbers.
func (c *Change) is(was, now string) bool {
	if c.By == nil {
		return was != now && (c.From == nil || *c.From == was) && (c.To == nil || *c.To == now)
	}
	before, bad1 := decimal(was)
	after, bad2 := decimal(now)
	by, bad3 := decimal(*c.By)
	if bad1 != nil || bad2 != nil || bad3 != nil || before == after || math.Abs(after-before) < math.Abs(by) {
		return false
	}
	return equalNumber(c.From, before) && equalNumber(c.To, after)
}

func equalNumber(asked *string, n float64) bool {
	if asked == nil {
		return true
	}
	v, err := decimal(*asked)
	return err == nil && v == n
}

// identities gives elements a name by which the same one is found in another document: the path to it, where an element that has an id, uri or the like is
// known by that and others by their number among those of their name.
type identities struct{ known map[int]string }

// identifiers are the attributes that tell elements of one name apart.
var identifiers = [...]string{"id", "uri", "entity", "resource", "name"}

func (k *identities) of(n tree.Node) string {
	if n.Kind() == tree.Document || !n.Valid() {
		return ""
	}
	if s, ok := k.known[n.Index()]; ok {
		return s
	}
	parent := k.of(n.Parent())
	numbers := map[string]int{}
	for c := range n.Parent().Elements() {
		own := "{" + c.Space() + "}" + c.Local()
		mark := ""
		for _, id := range identifiers {
			if v, ok := c.Attr("", id); ok {
				mark = "[" + id + "=" + strconv.Quote(v) + "]"
				break
			}
		}
		numbers[own+mark]++
		k.known[c.Index()] = strings.Join([]string{parent, "/", own, mark, "#", strconv.Itoa(numbers[own+mark])}, "")
	}
	return k.known[n.Index()]
}
