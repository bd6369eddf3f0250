package xcapnotify

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"strings"

	"imp/internal/doc/lists"
	"imp/internal/xcap/key"
	"imp/internal/xcap/uri"
	"imp/internal/xcap/usage"
	"imp/internal/xml/lexical"
	"imp/internal/xml/selector"
	"imp/internal/xml/tree"
)

// entry is a URI of a list: of a document, of an element or attribute of one, or of a collection.
type entry struct {
	sel        string // as written, below the root
	uri        *uri.URI
	selector   *selector.Selector // nil: the document
	collection bool
	depth      int // of a collection: how many segments its path has
}

// bodyLimits bound what a list may ask of the reader.
var bodyLimits = tree.Limits{Size: 1 << 20, Depth: 64, Attributes: 64, Declarations: 64}

// readList reads a flat list of URIs (RFC 5875 section 4.4). Elements and attributes that it does not know are ignored. The error is
// a Refusal.
func (p *Package) readList(body []byte) ([]entry, error) {
	t, err := tree.Parse(body, tree.Options{Limits: bodyLimits})
	if err != nil {
		return nil, refuse(400, "The List: %v", err)
	}
	if !t.Root().Is(lists.Space, "resource-lists") {
		return nil, refuse(400, "The Body Is No resource-lists Document")
	}
	entries := []entry{}
	for list := range t.Root().Elements() {
		if !list.Is(lists.Space, "list") {
			continue
		}
		for n := range list.Elements() {
			if n.Space() != lists.Space {
				continue
			}
			switch n.Local() {
			case "list", "entry-ref", "external":
				return nil, refuse(400, "The List Has %s, It Must Be Flat", lexical.Clip(n.Local()))
			case "entry":
				e, err := p.readEntry(n)
				if err != nil {
					return nil, err
				}
				entries = append(entries, e)
			}
			if len(entries) > p.cfg.MaxEntries {
				return nil, refuse(413, "More Than %d URIs", p.cfg.MaxEntries)
			}
		}
	}
	return entries, nil
}

func (p *Package) readEntry(n tree.Node) (entry, error) {
	text, ok := n.Attr("", "uri")
	if !ok {
		return entry{}, refuse(400, "An entry Has No uri")
	}
	e := entry{}
	var err error
	if e.sel, err = p.below(lexical.Trim(text)); err != nil {
		return e, refuse(400, "%v", err)
	}
	e.sel = strings.Clone(e.sel) // text keeps the whole body
	path, _, _ := strings.Cut(e.sel, "?")
	if e.collection = path == "" || strings.HasSuffix(path, "/") && !strings.Contains(path, "/~~/"); e.collection {
		err = e.readCollection(path)
	} else if e.uri, err = uri.Parse(e.sel); err == nil {
		err = e.compile()
	}
	if err != nil {
		return e, refuse(400, "%v", err)
	}
	e.uri = e.uri.Canonical(p.cfg.Naming)
	return e, nil
}

// below takes the root off an absolute URI or path, what remains octet for octet as it was. A relative one is below the root (RFC 5875
// section 4.4).
func (p *Package) below(s string) (string, error) {
	if s == "" {
		return "", errors.New("a URI of the list is empty")
	}
	at := 0
	if scheme := strings.Index(s, "://"); scheme > 0 && !strings.ContainsAny(s[:scheme], "/?@") {
		if at = strings.IndexByte(s[scheme+3:], '/'); at < 0 {
			return "", errors.New("a URI of the list is not below the XCAP root")
		}
		at += scheme + 3
	} else if !strings.HasPrefix(s, "/") {
		return s, nil
	}
	var err error
	for _, root := range p.roots {
		rest := ""
		if rest, err = belowRoot(root, s, at); err == nil {
			return rest, nil
		}
	}
	return "", err
}

// belowRoot takes one root off a URI whose path begins at an index.
func belowRoot(root uri.Root, s string, at int) (string, error) {
	for range strings.Count(root.Path(), "/") {
		next := strings.IndexByte(s[at+1:], '/')
		if next < 0 {
			return "", errors.New("a URI of the list is not below the XCAP root")
		}
		at += 1 + next
	}
	if _, err := root.Parse(s[:at] + "/a/users/b/c"); err != nil {
		return "", err
	}
	return s[at+1:], nil
}

// compile compiles the node selector: of an element or an attribute, never of namespaces (RFC 5875 section 4.1).
func (e *entry) compile() error {
	if len(e.uri.Steps) == 0 {
		return nil
	}
	space := ""
	if u, ok := usage.For(e.uri.AUID); ok {
		space = u.Namespace
	}
	var err error
	if e.selector, err = e.uri.Selector(space); err != nil {
		return err
	}
	if k := e.selector.Kind(); k != selector.Element && k != selector.Attribute {
		return errors.New("namespaces cannot be subscribed to, only elements and attributes")
	}
	return nil
}

// readCollection reads the path of a collection by making it one of a document.
func (e *entry) readCollection(path string) error {
	if path == "" {
		e.uri = &uri.URI{}
		return nil
	}
	e.depth = strings.Count(path, "/")
	filled := path
	switch {
	case e.depth == 1:
		filled += "users/u/d"
	case e.depth == 2 && !strings.HasSuffix(path, "/global/"):
		filled += "u/d"
	default:
		filled += "d"
	}
	u, err := uri.Parse(filled)
	if err != nil {
		return err
	}
	u.Document = u.Document[:len(u.Document)-1]
	e.uri = u
	return nil
}

// prefixes are the prefixes of the keys of what a collection has for somebody: where he cannot read anything, there is none. It
// spares a look at the documents of all users.
func (e *entry) prefixes(root string, who usage.Requester) (list []string) {
	all := usage.All()
	if e.depth == 0 && who.Trusted {
		return []string{key.Root(root)}
	}
	for _, u := range all {
		if e.depth > 0 && u.AUID != e.uri.AUID {
			continue
		}
		everyone := who.Trusted || u.Shared()
		home, global := key.Home(root, u.AUID, who.XUI), key.Global(root, u.AUID)
		switch {
		case e.depth <= 1 && everyone:
			list = append(list, key.Usage(root, u.AUID))
		case e.depth <= 1:
			list = append(list, home, global)
		case e.uri.Global:
			list = append(list, key.Document(root, e.uri))
		case e.depth == 2 && everyone:
			list = append(list, key.Users(root, u.AUID))
		case e.depth == 2:
			list = append(list, home)
		case everyone || e.uri.XUI == who.XUI:
			list = append(list, key.Document(root, e.uri))
		}
	}
	return list
}

// listName names a list of URIs, whatever their order is.
func listName(entries []entry) string {
	sels := make([]string, 0, len(entries))
	for _, e := range entries {
		sels = append(sels, e.sel)
	}
	slices.Sort(sels)
	sum := sha256.Sum256([]byte(strings.Join(slices.Compact(sels), "\n")))
	return hex.EncodeToString(sum[:])
}
