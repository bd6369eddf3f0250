package patch

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"imp/internal/xml/tree"
)

// tagMerge merges the start tags of an element.
type tagMerge struct {
	*merger
	x, y, z tree.Node
	cuts    []cut
	added   []byte
}

// cut is a part of the source of the base and what stands there instead.
type cut struct {
	start, end int
	text       string
}

// write writes the start tag of the base with the changes, without its end.
func (t *tagMerge) write() {
	from, _ := t.x.Range()
	end, _ := t.x.Inner()
	if t.merger.x.src[end-1] == '>' {
		end--
	}
	slices.SortFunc(t.cuts, func(a, b cut) int { return cmp.Compare(a.start, b.start) })
	for _, c := range t.cuts {
		t.dst = append(append(t.dst, t.merger.x.src[from:c.start]...), c.text...)
		from = c.end
	}
	t.dst = append(t.dst, t.merger.x.src[from:end]...)
	t.dst = append(t.dst, t.added...)
}

// drop cuts out what stands in a range, with the white space before it.
func (t *tagMerge) drop(start, end int) {
	for strings.IndexByte(" \t\r\n", t.merger.x.src[start-1]) >= 0 {
		start--
	}
	t.cuts = append(t.cuts, cut{start, end, ""})
}

func (t *tagMerge) revalue(start, end int, value string) {
	t.cuts = append(t.cuts, cut{start, end, string(tree.AppendValue(nil, value, t.merger.x.src[end]))})
}

func (t *tagMerge) add(name, value string) {
	t.added = append(append(append(t.added, ' '), name...), `="`...)
	t.added = append(tree.AppendValue(t.added, value, '"'), '"')
}

// attributes merges the attributes, each by itself.
func (t *tagMerge) attributes() {
	seen := map[[2]string]bool{}
	for _, n := range []tree.Node{t.x, t.y, t.z} {
		for a := range n.Attrs() {
			if id := [2]string{a.Space(), a.Local()}; !seen[id] {
				seen[id] = true
				t.attribute(a)
			}
		}
	}
}

func (t *tagMerge) attribute(any tree.Attr) {
	x, y, z := t.x.Attribute(any.Space(), any.Local()), t.y.Attribute(any.Space(), any.Local()), t.z.Attribute(any.Space(), any.Local())
	equal := func(a, b tree.Attr) bool {
		return a.Valid() == b.Valid() && a.Name() == b.Name() && a.Value() == b.Value()
	}
	want := y
	switch {
	case equal(y, x):
		want = z
	case !equal(y, z) && !equal(z, x):
		t.conflict(Path(t.x)+"/@"+any.Name(), t.x, t.y, t.z, "attribute "+clip(any.Name())+": a "+did(x.Valid(), y.Valid(), y.Value())+", b "+did(x.Valid(), z.Valid(), z.Value()))
		return
	}
	start, end := x.Range()
	switch {
	case equal(want, x):
	case !want.Valid():
		t.drop(start, end)
	case x.Name() == want.Name():
		start, end = x.ValueRange()
		t.revalue(start, end, want.Value())
	default:
		if x.Valid() {
			t.drop(start, end)
		}
		t.add(want.Name(), want.Value())
	}
}

// did tells what a side does with a value.
func did(was, is bool, value string) string {
	switch {
	case !is:
		return "removes it"
	case was:
		return fmt.Sprintf("changes it to %q", clip(value))
	}
	return fmt.Sprintf("adds it as %q", clip(value))
}

// declarations merges the namespace declarations. What the sides write below is copied as it is written, so a prefix must
// not come to another meaning by what the other side does: declarations may be added where the prefix means nothing, and
// removed where nothing uses them; everything else goes together with the same change alone.
func (t *tagMerge) declarations() {
	if sameDecls(t.y, t.z) {
		t.declare(t.y)
		return
	}
	for _, s := range [][2]tree.Node{{t.y, t.z}, {t.z, t.y}} {
		if prefix, ok := grows(t.x, s[0], s[1]); !ok {
			path, prefixed := Path(t.x)+"/namespace::"+prefix, "prefix "+prefix
			if prefix == "" {
				prefixed = "the default namespace"
			}
			t.conflict(path, t.x, t.y, t.z, "one changes the declaration of "+clip(prefixed)+", the other what is in the element")
			return
		}
	}
	t.declare(t.y)
	t.declare(t.z)
}

// declare makes the changes of declarations that one side has. Removed ones are cut out once.
func (t *tagMerge) declare(y tree.Node) {
	for d := range t.x.Decls() {
		start, end := d.Range()
		uri, ok := declared(y, d.Prefix())
		switch {
		case ok && uri == d.URI():
		case ok:
			start, end = d.ValueRange()
			t.revalue(start, end, uri)
		case !slices.ContainsFunc(t.cuts, func(c cut) bool { return c.end == end }):
			t.drop(start, end)
		}
	}
	for d := range y.Decls() {
		name := strings.TrimSuffix("xmlns:"+d.Prefix(), ":")
		if _, ok := declared(t.x, d.Prefix()); !ok && !strings.Contains(string(t.added), " "+name+`="`) {
			t.add(name, d.URI())
		}
	}
}

func sameDecls(y, z tree.Node) bool {
	count := 0
	for d := range y.Decls() {
		if uri, ok := declared(z, d.Prefix()); !ok || uri != d.URI() {
			return false
		}
		count++
	}
	for range z.Decls() {
		count--
	}
	return count == 0
}

// grows reports whether the declarations of y are those of x with ones that mean nothing yet, neither in x nor in z, and
// without ones that z does not use; else it returns the prefix of which that is not so.
func grows(x, y, z tree.Node) (prefix string, ok bool) {
	for d := range x.Decls() {
		uri, kept := declared(y, d.Prefix())
		if kept && uri == d.URI() {
			continue
		}
		if kept {
			return d.Prefix(), false
		}
		for e := range z.Decls() {
			if e.Prefix() == d.Prefix() && (e.Used() || e.URI() != d.URI()) {
				return d.Prefix(), false
			}
		}
	}
	for d := range y.Decls() {
		if _, was := declared(x, d.Prefix()); was {
			continue
		}
		_, bound := x.LookupPrefix(d.Prefix())
		uri, taken := z.LookupPrefix(d.Prefix())
		if bound || d.Prefix() == "" || taken && uri != d.URI() {
			return d.Prefix(), false
		}
	}
	return "", true
}
