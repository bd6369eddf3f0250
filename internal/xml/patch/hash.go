package patch

import (
	"hash/maphash"
	"math/bits"

	"imp/internal/xml/tree"
)

// hashes has for every node of a tree a hash of all that is written of it, names with their prefixes. Nodes of the same
// hash below elements with the same bindings are equal.
type hashes []uint64

func mix(h, v uint64) uint64 {
	return bits.RotateLeft64(h^v*0x9E3779B97F4A7C15, 29) * 0xBF58476D1CE4E5B9
}

// hashAll hashes the nodes of a tree from the leaves on.
func hashAll(t *tree.Tree, seed maphash.Seed) hashes {
	all := make(hashes, t.Count())
	top := t.Document()
	for n := top; n.Valid(); {
		all[n.Index()] = hashNode(n, seed)
		if first := n.FirstChild(); first.Valid() {
			n = first
			continue
		}
		for n != top && !n.NextSibling().Valid() {
			p := n.Parent()
			all.fold(p)
			n = p
		}
		if n == top {
			break
		}
		n = n.NextSibling()
	}
	return all
}

// fold puts the hashes of its children into the hash of a node.
func (all hashes) fold(n tree.Node) {
	h := all[n.Index()]
	for c := n.FirstChild(); c.Valid(); c = c.NextSibling() {
		h = mix(h, all[c.Index()])
	}
	all[n.Index()] = h
}

func hashNode(n tree.Node, seed maphash.Seed) uint64 {
	h := uint64(n.Kind())
	switch n.Kind() {
	case tree.Element:
		h = mix(h, maphash.String(seed, n.Name()))
		for a := range n.Attrs() {
			h += mix(maphash.String(seed, a.Name()), maphash.String(seed, a.Value()))
		}
		for d := range n.Decls() {
			h += mix(mix(1, maphash.String(seed, d.Prefix())), maphash.String(seed, d.URI()))
		}
	case tree.PI:
		h = mix(mix(h, maphash.String(seed, n.Target())), maphash.String(seed, n.Text()))
	case tree.Text, tree.Comment:
		h = mix(h, maphash.String(seed, n.Text()))
	}
	return mix(h, 3)
}

// keys are the names of attributes by which entries of lists are known.
var keys = [...]string{"id", "uri", "name"}

// key returns the attribute by which an element is known among its siblings.
func key(n tree.Node) tree.Attr {
	for _, name := range keys {
		if a := n.Attribute("", name); a.Valid() {
			return a
		}
	}
	return tree.Attr{}
}

// label hashes what nodes have to have in common to be taken for one that has been edited.
func label(n tree.Node, seed maphash.Seed, withKey bool) uint64 {
	h := uint64(n.Kind())
	switch n.Kind() {
	case tree.Element:
		h = mix(h, maphash.String(seed, n.Name()))
		if a := key(n); withKey && a.Valid() {
			h = mix(mix(h, maphash.String(seed, a.Name())), maphash.String(seed, a.Value()))
		}
	case tree.PI:
		h = mix(h, maphash.String(seed, n.Target()))
	}
	return mix(h, 5)
}
