package pidfdiff

import (
	"strconv"
	"strings"

	"imp/internal/xml/tree"
)

// Presence returns a full state as a presence document of the type application/pidf+xml: the same bytes with another root,
// which has no version. A presence document is returned as it is.
func Presence(state []byte) ([]byte, error) {
	t, err := parseState(state)
	if err != nil {
		return nil, err
	}
	root := t.Root()
	if root.Space() == spacePIDF {
		return state, nil
	}
	if v := root.Attribute("", "version"); v.Valid() {
		if err := v.Remove(); err != nil {
			return nil, err
		}
		if t, err = tree.Parse(t.Bytes(), options); err != nil {
			return nil, err
		}
	}
	made, err := rename(t, spacePIDF, "pidf", "presence", "")
	if err != nil {
		return nil, err
	}
	return undeclare(made)
}

// undeclare drops the declarations that only the name of the root element has used.
func undeclare(doc []byte) ([]byte, error) {
	t, err := tree.Parse(doc, options)
	if err != nil {
		return nil, err
	}
	var unused []tree.Decl
	for d := range t.Root().Decls() {
		if d.URI() == Space && !d.Used() {
			unused = append(unused, d)
		}
	}
	for _, d := range unused {
		if err := d.Remove(); err != nil {
			return nil, err
		}
	}
	return t.Bytes(), nil
}

// Full returns a full state as a pidf-full with a version.
func Full(state []byte, version uint32) ([]byte, error) {
	t, err := parseState(state)
	if err != nil {
		return nil, err
	}
	number := strconv.FormatUint(uint64(version), 10)
	if t.Root().Space() == Space {
		if err := t.Root().SetAttr("version", number); err != nil {
			return nil, err
		}
		return t.Bytes(), nil
	}
	return rename(t, Space, "p", "pidf-full", ` version="`+number+`"`)
}

// rename writes a document with another name for its root element, whose namespace is declared there if it is not, under a
// prefix that begins with the one given.
func rename(t *tree.Tree, space, prefix, local, attributes string) ([]byte, error) {
	root, src := t.Root(), t.Source()
	name, found := local, false
	taken := map[string]bool{}
	for d := range root.Decls() {
		taken[d.Prefix()] = true
		// An element with the default prefix reads best.
		if d.URI() == space && (!found || d.Prefix() == "") {
			name, found = strings.TrimPrefix(d.Prefix()+":"+local, ":"), true
		}
	}
	if !found {
		own := prefix
		for i := 1; taken[own]; i++ {
			own = prefix + strconv.Itoa(i)
		}
		name = own + ":" + local
		attributes = " xmlns:" + own + `="` + space + `"` + attributes
	}
	start, end := root.Range()
	_, innerEnd := root.Inner()
	nameEnd := start + 1 + len(root.Name())
	dst := append(make([]byte, 0, len(src)+len(attributes)+2*len(name)), src[:start+1]...)
	dst = append(append(dst, name...), attributes...)
	if src[innerEnd] == '/' { // of an empty-element tag
		return append(dst, src[nameEnd:]...), nil
	}
	dst = append(append(dst, src[nameEnd:innerEnd]...), "</"...)
	dst = append(append(dst, name...), '>')
	return append(dst, src[end:]...), nil
}
