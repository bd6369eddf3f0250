package patch

import (
	"cmp"
	"slices"

	"imp/internal/xml/tree"
)

// items are the children of an element, each with the white space before it.
type items struct {
	lead []tree.Node // before each node, the zero Node where there is none
	node []tree.Node
	tail tree.Node // behind the last one
}

func itemsOf(parent tree.Node) (of items) {
	var blank tree.Node
	for c := parent.FirstChild(); c.Valid(); c = c.NextSibling() {
		if c.Blank() {
			blank = c
			continue
		}
		of.lead, of.node = append(of.lead, blank), append(of.node, c)
		blank = tree.Node{}
	}
	of.tail = blank
	return of
}

// hunk is a change of a list: items from start to end are replaced by others.
type hunk struct {
	start, end int // in the base
	from, to   int // in the side
	b          bool
}

func (h *hunk) inserts() bool { return h.from < h.to }

// meets reports whether two changes, of different sides, are about the same place.
func (h *hunk) meets(o *hunk) bool {
	start, end := max(h.start, o.start), min(h.end, o.end)
	inside := func(h, o *hunk) bool { return h.start == h.end && o.start < h.start && h.start < o.end }
	return start < end || inside(h, o) || inside(o, h) || start == end && h.inserts() && o.inserts()
}

// listMerge merges the children of an element.
type listMerge struct {
	*merger
	parents    [3]tree.Node
	x, y, z    items
	inY, inZ   []int // of each item of the base the item of the side, -1 where it is gone
	duplicates map[int]bool
}

func (m *merger) children(x, y, z tree.Node) {
	l := listMerge{merger: m, parents: [3]tree.Node{x, y, z}, x: itemsOf(x), y: itemsOf(y), z: itemsOf(z)}
	var hunks []hunk
	l.inY, hunks = l.changes(hunks, &l.merger.y, l.y.node, false)
	l.inZ, hunks = l.changes(hunks, &l.merger.z, l.z.node, true)
	slices.SortStableFunc(hunks, func(a, b hunk) int { return cmp.Or(a.start-b.start, a.end-b.end) })
	l.findDuplicates(hunks)
	at := 0
	for len(hunks) > 0 && !m.done() {
		n, end := cluster(hunks)
		for ; at < hunks[0].start; at++ {
			l.item(at)
		}
		l.apply(hunks[:n], end)
		at, hunks = end, hunks[n:]
	}
	for ; at < len(l.x.node) && !m.done(); at++ {
		l.item(at)
	}
	l.space(l.x.tail, l.y.tail, l.z.tail)
}

// changes matches the items of the base with those of a side and appends the changes that are left.
func (l *listMerge) changes(hunks []hunk, s *side, nodes []tree.Node, b bool) ([]int, []hunk) {
	in := make([]int, len(l.x.node))
	for i := range in {
		in[i] = -1
	}
	d := matcher{hashA: l.merger.x.hash, hashB: s.hash, seed: l.seed}
	from := pair{}
	for _, p := range append(d.pairs(l.x.node, nodes), couple{pair: pair{len(in), len(nodes)}}) {
		if from.a < p.a || from.b < p.b {
			hunks = append(hunks, hunk{from.a, p.a, from.b, p.b, b})
		}
		if p.a < len(in) {
			in[p.a] = p.b
		}
		from = pair{p.a + 1, p.b + 1}
	}
	return in, hunks
}

// cluster returns how many of the first changes hang together, and where they end.
func cluster(hunks []hunk) (n, end int) {
	end = hunks[0].end
	for n = 1; n < len(hunks) && meetsAny(&hunks[n], hunks[:n]); n++ {
		end = max(end, hunks[n].end)
	}
	return n, end
}

// meetsAny looks from the end, where in a long chain of changes the one is that is met.
func meetsAny(h *hunk, of []hunk) bool {
	for i := len(of) - 1; i >= 0; i-- {
		if of[i].b != h.b && h.meets(&of[i]) {
			return true
		}
	}
	return false
}

// item writes an item that both sides have.
func (l *listMerge) item(i int) {
	j, k := l.inY[i], l.inZ[i]
	l.space(l.x.lead[i], l.y.lead[j], l.z.lead[k])
	l.node(l.x.node[i], l.y.node[j], l.z.node[k])
}

// space writes white space that both sides may have changed.
func (l *listMerge) space(x, y, z tree.Node) {
	if y.Text() == x.Text() {
		l.dst = append(l.dst, l.merger.z.raw(z)...)
	} else {
		l.dst = append(l.dst, l.merger.y.raw(y)...)
	}
}

// apply makes changes that hang together, or tells why they do not go together.
func (l *listMerge) apply(hunks []hunk, end int) {
	first := &hunks[0]
	removing := !slices.ContainsFunc(hunks, func(h hunk) bool { return h.inserts() })
	switch {
	case len(hunks) == 1 || removing:
		if l.unedited(first.start, end) {
			l.insert(first)
		}
	case len(hunks) == 2 && l.alike(first, &hunks[1]):
		l.insert(first)
	case l.opt.Union && end == first.start:
		l.insert(first)
		l.insert(&hunks[1])
	case end == first.start:
		l.apart(hunks, "both add here")
	default:
		l.apart(hunks, "both change what stands here")
	}
}

// unedited reports whether nothing that one side removes is edited by the other; otherwise that is a conflict.
func (l *listMerge) unedited(start, end int) bool {
	fine := true
	for i := start; i < end; i++ {
		j, k := l.inY[i], l.inZ[i]
		x := l.x.node[i]
		switch {
		case j < 0 && k >= 0 && l.merger.z.of(l.z.node[k]) != l.merger.x.of(x):
			l.conflict(Path(x), x, tree.Node{}, l.z.node[k], "a removes it, b changes it")
			fine = false
		case k < 0 && j >= 0 && l.merger.y.of(l.y.node[j]) != l.merger.x.of(x):
			l.conflict(Path(x), x, l.y.node[j], tree.Node{}, "a changes it, b removes it")
			fine = false
		}
	}
	return fine
}

// alike reports whether both sides make the same change.
func (l *listMerge) alike(h, o *hunk) bool {
	if h.start != o.start || h.end != o.end || h.b == o.b {
		return false
	}
	if h.b {
		h, o = o, h
	}
	return slices.EqualFunc(l.y.node[h.from:h.to], l.z.node[o.from:o.to], func(y, z tree.Node) bool {
		return l.merger.y.of(y) == l.merger.z.of(z)
	})
}

func (l *listMerge) insert(h *hunk) {
	of, s := &l.y, &l.merger.y
	if h.b {
		of, s = &l.z, &l.merger.z
	}
	for i := h.from; i < h.to; i++ {
		if !h.b || !l.duplicates[i] {
			l.dst = append(l.dst, s.raw(of.lead[i])...)
			l.dst = append(l.dst, s.raw(of.node[i])...)
		}
	}
}

// apart tells of changes that do not go together.
func (l *listMerge) apart(hunks []hunk, reason string) {
	x, y, z := l.parents[0], l.parents[1], l.parents[2]
	path := Path(x)
	for i := len(hunks) - 1; i >= 0; i-- {
		h := &hunks[i]
		if h.start < h.end {
			x = l.x.node[h.start]
			path = Path(x)
		}
		switch {
		case h.b && h.inserts():
			z = l.z.node[h.from]
		case !h.b && h.inserts():
			y = l.y.node[h.from]
		}
	}
	l.conflict(path, x, y, z, reason)
}

// findDuplicates finds entries that both sides add at different places. The same entry is added once, where a has it; others
// of one key are a conflict.
func (l *listMerge) findDuplicates(hunks []hunk) {
	added := map[uint64]int{}
	each := func(b bool, of *items, do func(i int, label uint64)) {
		for _, h := range hunks {
			for i := h.from; i < h.to && h.b == b; i++ {
				if n := of.node[i]; key(n).Valid() {
					do(i, label(n, l.seed, true))
				}
			}
		}
	}
	each(false, &l.y, func(i int, label uint64) { added[label] = i })
	each(true, &l.z, func(i int, label uint64) {
		j, both := added[label]
		if !both {
			return
		}
		if l.merger.y.of(l.y.node[j]) != l.merger.z.of(l.z.node[i]) {
			a := key(l.y.node[j])
			l.conflict(Path(l.parents[0]), l.parents[0], l.y.node[j], l.z.node[i], "both add an element with "+a.Name()+" "+clip(a.Value())+", and they differ")
		}
		if l.duplicates == nil {
			l.duplicates = make(map[int]bool)
		}
		l.duplicates[i] = true
	})
}
