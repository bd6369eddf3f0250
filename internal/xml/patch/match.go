package patch

import (
	"hash/maphash"

	"imp/internal/xml/tree"
)

// matcher finds which nodes of one tree are those of another.
type matcher struct {
	hashA, hashB hashes
	seed         maphash.Seed
}

// couple is a pair of nodes: of equal ones, of edited ones that have the same key if they have one, or else of edited ones
// of the same name.
type couple struct {
	pair
	withKey bool
}

// pairs matches the nodes of two runs of children, in order: the equal ones first, and what is between them by labels, with
// keys first and then without.
func (d *matcher) pairs(as, bs []tree.Node) []couple {
	var found []couple
	between(align(nil, hashesOf(as, d.hashA), hashesOf(bs, d.hashB)), pair{len(as), len(bs)}, func(from, to pair) {
		withKey := align(nil, d.labels(as[from.a:to.a], true), d.labels(bs[from.b:to.b], true))
		between(withKey, pair{to.a - from.a, to.b - from.b}, func(inner, innerTo pair) {
			start := pair{from.a + inner.a, from.b + inner.b}
			for _, p := range align(nil, d.labels(as[start.a:from.a+innerTo.a], false), d.labels(bs[start.b:from.b+innerTo.b], false)) {
				found = append(found, couple{pair{start.a + p.a, start.b + p.b}, false})
			}
		}, func(p pair) { found = append(found, couple{pair{from.a + p.a, from.b + p.b}, true}) })
	}, func(p pair) { found = append(found, couple{p, true}) })
	return found
}

// between calls gap for what is left out between pairs, where both sides have something, and at for each pair, in order.
func between(pairs []pair, end pair, gap func(from, to pair), at func(pair)) {
	from := pair{}
	for _, p := range pairs {
		if from.a < p.a && from.b < p.b {
			gap(from, p)
		}
		at(p)
		from = pair{p.a + 1, p.b + 1}
	}
	if from.a < end.a && from.b < end.b {
		gap(from, end)
	}
}

func (d *matcher) labels(nodes []tree.Node, withKey bool) []uint64 {
	of := make([]uint64, len(nodes))
	for i, n := range nodes {
		of[i] = label(n, d.seed, withKey)
	}
	return of
}

func hashesOf(nodes []tree.Node, h hashes) []uint64 {
	of := make([]uint64, len(nodes))
	for i, n := range nodes {
		of[i] = h[n.Index()]
	}
	return of
}

// similar reports whether x and y, which are of one name, have enough in common to edit one into the other: an attribute, a
// child that is more than white space, or nothing but text. Without a key a child of the same name is enough.
func (d *matcher) similar(x, y tree.Node) bool {
	for a := range x.Attrs() {
		if v, ok := y.Attr(a.Space(), a.Local()); ok && v == a.Value() {
			return true
		}
	}
	cx, cy := x.FirstChild(), y.FirstChild()
	if cx == x.LastChild() && cy == y.LastChild() && cx.Kind() == cy.Kind() && cx.Kind() != tree.Element {
		return true
	}
	keyed := key(x).Valid() || key(y).Valid()
	mark := func(c tree.Node, h hashes) uint64 {
		if !keyed && c.Kind() == tree.Element {
			return label(c, d.seed, false)
		}
		return h[c.Index()]
	}
	has := make(map[uint64]bool)
	for ; cx.Valid(); cx = cx.NextSibling() {
		if !cx.Blank() {
			has[mark(cx, d.hashA)] = true
		}
	}
	for ; cy.Valid(); cy = cy.NextSibling() {
		if has[mark(cy, d.hashB)] {
			return true
		}
	}
	return false
}
