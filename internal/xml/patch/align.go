package patch

import "slices"

// pair is an entry of one sequence and the one of another that it is matched with.
type pair struct{ a, b int }

// align matches equal entries of two sequences, in order, and appends the pairs. It is linear where entries are told apart
// by their values, and where they are not it gives up matching beyond a bound.
func align(pairs []pair, a, b []uint64) []pair { return alignAt(pairs, a, b, 0, 0) }

func alignAt(pairs []pair, a, b []uint64, offA, offB int) []pair {
	start := 0
	for start < len(a) && start < len(b) && a[start] == b[start] {
		pairs = append(pairs, pair{offA + start, offB + start})
		start++
	}
	endA, endB := len(a), len(b)
	for endA > start && endB > start && a[endA-1] == b[endB-1] {
		endA--
		endB--
	}
	if start < endA && start < endB {
		pairs = alignInner(pairs, a[start:endA], b[start:endB], offA+start, offB+start)
	}
	for i := range len(a) - endA {
		pairs = append(pairs, pair{offA + endA + i, offB + endB + i})
	}
	return pairs
}

// alignInner matches what differs at both ends: by the entries that each sequence has once, and between those anew.
func alignInner(pairs []pair, a, b []uint64, offA, offB int) []pair {
	anchors := increasing(unique(a, b))
	if len(anchors) == 0 {
		return shortest(pairs, a, b, offA, offB)
	}
	from := pair{0, 0}
	for _, p := range append(anchors, pair{len(a), len(b)}) {
		pairs = alignAt(pairs, a[from.a:p.a], b[from.b:p.b], offA+from.a, offB+from.b)
		if p.a < len(a) {
			pairs = append(pairs, pair{offA + p.a, offB + p.b})
		}
		from = pair{p.a + 1, p.b + 1}
	}
	return pairs
}

// unique pairs the values that both sequences have exactly once, in the order of a.
func unique(a, b []uint64) []pair {
	type seen struct{ a, b, countA, countB int }
	table := make(map[uint64]seen, len(a))
	for i, v := range a {
		s := table[v]
		s.a = i
		s.countA++
		table[v] = s
	}
	for i, v := range b {
		if s, ok := table[v]; ok {
			s.b = i
			s.countB++
			table[v] = s
		}
	}
	var pairs []pair
	for i, v := range a {
		if s := table[v]; s.countA == 1 && s.countB == 1 {
			pairs = append(pairs, pair{i, s.b})
		}
	}
	return pairs
}

// increasing returns the longest choice of pairs that is in order in b too; in a it is in order.
func increasing(pairs []pair) []pair {
	var tails []int // of the best choice of each length, its last pair
	before := make([]int, len(pairs))
	for i, p := range pairs {
		at, _ := slices.BinarySearchFunc(tails, p.b, func(t, b int) int { return pairs[t].b - b })
		if before[i] = -1; at > 0 {
			before[i] = tails[at-1]
		}
		if at == len(tails) {
			tails = append(tails, i)
		} else {
			tails[at] = i
		}
	}
	if len(tails) == 0 {
		return nil
	}
	chosen := make([]pair, len(tails), len(tails)+1)
	for i, at := tails[len(tails)-1], len(tails)-1; at >= 0; at-- {
		chosen[at] = pairs[i]
		i = before[i]
	}
	return chosen
}

// shortest matches by a shortest edit script, if that has few edits, after Myers' greedy algorithm.
func shortest(pairs []pair, a, b []uint64, offA, offB int) []pair {
	const most = 400
	var r reaches
	for d := 0; d <= min(most, len(a)+len(b)); d++ {
		r = append(r, make([]int, 2*d+1))
		for k := -d; k <= d; k += 2 {
			x, _ := r.step(d, k)
			for x < len(a) && x-k < len(b) && a[x] == b[x-k] {
				x++
			}
			r[d][k+d] = x
			if x >= len(a) && x-k >= len(b) {
				return r.backtrack(pairs, pair{len(a), len(b)}, offA, offB)
			}
		}
	}
	return pairs
}

// reaches has, for each number of edits d and each diagonal k from -d to d, how far into a they come.
type reaches [][]int

// step returns where the last of d edits leads to on diagonal k, and whether it leaves out an entry of a, else one of b.
func (r reaches) step(d, k int) (x int, ofA bool) {
	switch {
	case d == 0:
		return 0, false
	case k == -d:
		return r[d-1][k+1+d-1], false
	case k == d || r[d-1][k-1+d-1]+1 > r[d-1][k+1+d-1]:
		return r[d-1][k-1+d-1] + 1, true
	}
	return r[d-1][k+1+d-1], false
}

// backtrack walks the edits back from the end and appends what is matched on the way.
func (r reaches) backtrack(pairs []pair, end pair, offA, offB int) []pair {
	first := len(pairs)
	x, y := end.a, end.b
	for d := len(r) - 1; d >= 0; d-- {
		from, ofA := r.step(d, x-y)
		for x > from {
			x--
			y--
			pairs = append(pairs, pair{offA + x, offB + y})
		}
		if ofA {
			x--
		} else {
			y--
		}
	}
	slices.Reverse(pairs[first:])
	return pairs
}
