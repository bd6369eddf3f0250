package tree

import "slices"

// journal remembers what edits change, so that they can be taken back.
type journal struct {
	on     bool
	round  int32
	root   int32
	counts [3]int // of nodes, attributes and declarations at the start
	nodes  []change[node]
	attrs  []change[attr]
	decls  []change[decl]
	tags   []change[*tag]
	gaps   []change[string]
}

// change is what was before.
type change[T any] struct {
	i   int32
	was T
}

// Begin starts to remember edits until Commit or Rollback. A Begin within another one is one with it.
func (t *Tree) Begin() {
	if l := &t.edit.log; !l.on && len(t.nodes) > 0 {
		t.begin()
		l.on = true
		l.nodes = slices.Grow(l.nodes, few/2)
		l.round++
		l.root = t.root
		l.counts = [3]int{len(t.nodes), len(t.attrs), len(t.decls)}
	}
}

// Commit keeps the edits since Begin.
func (t *Tree) Commit() {
	t.edit.log.reset()
}

// reset forgets what is remembered. References are dropped, for they would keep other documents alive.
func (l *journal) reset() {
	clear(l.tags)
	clear(l.gaps)
	*l = journal{round: l.round, nodes: l.nodes[:0], attrs: l.attrs[:0], decls: l.decls[:0], tags: l.tags[:0], gaps: l.gaps[:0]}
}

// Rollback takes back all edits since Begin. Nodes, attributes and declarations that they added become invalid.
func (t *Tree) Rollback() {
	l := &t.edit.log
	if !l.on {
		return
	}
	t.root = l.root
	t.nodes, t.attrs, t.decls = t.nodes[:l.counts[0]], t.attrs[:l.counts[1]], t.decls[:l.counts[2]]
	restore(t.nodes, l.nodes)
	restore(t.attrs, l.attrs)
	restore(t.decls, l.decls)
	for i := len(l.tags) - 1; i >= 0; i-- {
		t.edit.tags[l.tags[i].i] = l.tags[i].was
	}
	for i := len(l.gaps) - 1; i >= 0; i-- {
		t.edit.gaps[l.gaps[i].i] = l.gaps[i].was
	}
	t.Commit()
}

func restore[T any](now []T, log []change[T]) {
	for i := len(log) - 1; i >= 0; i-- {
		now[log[i].i] = log[i].was
	}
}

// change returns a node that is going to be changed. The pointer is good until a node is added.
func (t *Tree) change(i int32) *node {
	if l := &t.edit.log; l.on && int(i) < l.counts[0] {
		l.nodes = append(l.nodes, change[node]{i, t.nodes[i]})
	}
	return &t.nodes[i]
}

func (t *Tree) changeAttr(i int32) *attr {
	if l := &t.edit.log; l.on && int(i) < l.counts[1] {
		l.attrs = append(l.attrs, change[attr]{i, t.attrs[i]})
	}
	return &t.attrs[i]
}

func (t *Tree) changeDecl(i int32) *decl {
	if l := &t.edit.log; l.on && int(i) < l.counts[2] {
		l.decls = append(l.decls, change[decl]{i, t.decls[i]})
	}
	return &t.decls[i]
}

func (t *Tree) logGap(key int32) {
	if l := &t.edit.log; l.on {
		l.gaps = append(l.gaps, change[string]{key, t.edit.gaps[key]})
	}
}
