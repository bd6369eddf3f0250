package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"imp/internal/cli/kit"
	"imp/internal/xcap/uri"
	appusage "imp/internal/xcap/usage"
	"imp/internal/xml/selector"
)

// xcapTarget is what a command works on.
type xcapTarget struct {
	*xcapSession
	uri   *uri.URI
	usage *appusage.Usage // nil when it is not known
	text  string          // as it was given
}

// document is the URI of the document that the target is, or is in.
func (t *xcapTarget) document() *uri.URI {
	d := *t.uri
	d.Steps, d.Bindings = nil, nil
	return &d
}

// namespace is the default document namespace.
func (t *xcapTarget) namespace() string {
	if t.usage == nil {
		return ""
	}
	return t.usage.Namespace
}

// selector compiles the node selector; nil for a document.
func (t *xcapTarget) selector() (*selector.Selector, error) {
	sel, err := t.uri.Selector(t.namespace())
	if err != nil {
		return nil, kit.Fail(kit.ExitUsage, "reading "+kit.CleanLine(t.text), err, "imp xcap url explains it")
	}
	return sel, nil
}

// open reads a target and opens its server.
func (x *xcapFlags) openTarget(ctx context.Context, arg string) (*xcapTarget, error) {
	acct, err := x.kit.Account()
	if err != nil {
		return nil, err
	}
	root, u, err := x.locate(acct, arg)
	if err != nil {
		return nil, err
	}
	s, err := x.open(ctx, acct, root)
	if err != nil {
		return nil, err
	}
	t := &xcapTarget{xcapSession: s, uri: u, text: arg}
	t.usage, _ = appusage.For(u.AUID)
	_, err = t.selector()
	return t, err
}

// locate reads a target: a URL, AUID/users/XUI/DOCUMENT, AUID/global/DOCUMENT or the short form.
func (x *xcapFlags) locate(acct *kit.Account, arg string) (uri.Root, *uri.URI, error) {
	doing := "reading " + kit.CleanLine(arg)
	if isURL(arg) {
		if x.xui != "" || x.global {
			return uri.Root{}, nil, kit.Fail(kit.ExitUsage, doing, "a URL says itself whose document it is", "leave --xui and --global out")
		}
		return x.locateURL(acct, arg)
	}
	root, err := rootOf(x.kit, acct)
	if err != nil {
		return root, nil, err
	}
	document, node, _ := strings.Cut(arg, "//")
	if strings.HasSuffix(arg, "//") {
		return root, nil, kit.Fail(kit.ExitUsage, doing, "no node selector follows //", `write it like 'resource-lists//resource-lists/list[@name="friends"]'`)
	}
	if node == "" && strings.HasSuffix(document, "/") {
		return root, nil, kit.Fail(kit.ExitUsage, doing, "it ends with a slash, as a collection of documents does", "name one document, such as "+kit.CleanLine(strings.TrimRight(document, "/"))+"; imp xcap watch and mirror take collections")
	}
	auid, path, _ := strings.Cut(document, "/")
	var u *uri.URI
	switch {
	case strings.HasPrefix(path, "users/"), strings.HasPrefix(path, "global/"):
		u, err = x.locatePath(document, node)
	case node == "" && strings.Contains(document, "/~~/"):
		u, err = x.locateSeparated(acct, auid, path)
	default:
		u, err = x.locateShort(acct, auid, path, node)
	}
	if own := (*kit.Error)(nil); err != nil && !errors.As(err, &own) {
		err = kit.Fail(kit.ExitUsage, doing, err, "a target is a URL or AUID[/DOCUMENT][//NODE]; see imp xcap")
	}
	return root, u, err
}

func isURL(s string) bool {
	return strings.HasPrefix(s, "http://") || strings.HasPrefix(s, "https://")
}

// locateURL reads a URL.
func (x *xcapFlags) locateURL(acct *kit.Account, arg string) (uri.Root, *uri.URI, error) {
	root, err := x.rootOfURL(acct, arg)
	if err != nil {
		return root, nil, err
	}
	u, err := root.Parse(arg)
	if err != nil {
		return root, nil, kit.Fail(kit.ExitUsage, "reading "+kit.CleanLine(arg), err, "imp xcap url explains it piece by piece")
	}
	u, err = x.bound(u)
	return root, u, err
}

// rootOfURL returns the root of a URL: that of the account when it is below that, else what stands before the AUID.
func (x *xcapFlags) rootOfURL(acct *kit.Account, arg string) (uri.Root, error) {
	if acct.XCAPRoot != "" {
		if root, err := checkedRoot(x.kit, acct.XCAPRoot); err == nil {
			if _, err := root.Parse(arg); err == nil {
				return root, nil
			}
		}
	}
	path, _, _ := strings.Cut(arg, "?")
	at := -1
	for _, tree := range []string{"/users/", "/global/"} {
		if i := strings.Index(path, tree); i > 0 && (at < 0 || i < at) {
			at = i
		}
	}
	if at < 0 {
		return uri.Root{}, kit.Fail(kit.ExitUsage, "reading "+kit.CleanLine(arg), "it has neither /users/ nor /global/", "write it like https://xcap.example.com/AUID/users/sip:alice@example.com/index")
	}
	return checkedRoot(x.kit, path[:strings.LastIndexByte(path[:at], '/')])
}

// locatePath reads what stands below the root, percent-encoded, and a node selector that is not.
func (x *xcapFlags) locatePath(path, node string) (*uri.URI, error) {
	u, err := uri.Parse(path)
	if err != nil || node == "" {
		if err == nil {
			u, err = x.bound(u)
		}
		return u, err
	}
	bindings, err := x.bindings(node)
	if err != nil {
		return nil, err
	}
	return uri.New(u.AUID, u.XUI, strings.Join(u.Document, "/"), node, bindings)
}

// locateSeparated reads the short form with a node selector as in a URL, percent-encoded behind the separator.
func (x *xcapFlags) locateSeparated(acct *kit.Account, auid, path string) (*uri.URI, error) {
	document, node, _ := strings.Cut("/"+path, "/~~/")
	u, err := x.locateShort(acct, auid, strings.TrimPrefix(document, "/"), "")
	if err != nil {
		return nil, err
	}
	if u, err = uri.Parse(u.Path() + "/~~/" + node); err != nil {
		return nil, err
	}
	return x.bound(u)
}

// locateShort reads the short form.
func (x *xcapFlags) locateShort(acct *kit.Account, auid, document, node string) (*uri.URI, error) {
	known, _ := appusage.For(auid)
	if known == nil && !uri.ValidAUID(auid) {
		return nil, fmt.Errorf("%q is no application usage", auid)
	}
	xui := ""
	if !x.global && (auid != "xcap-caps" || x.xui != "") {
		var err error
		if xui, err = x.home(acct); err != nil {
			return nil, err
		}
	}
	if document == "" {
		document = "index"
		if auid == "org.openmobilealliance.xcap-directory" {
			document = "directory.xml"
		}
	}
	bindings, err := x.bindings(node)
	if err != nil {
		return nil, err
	}
	return uri.New(auid, xui, document, node, bindings)
}

// bindings returns the bindings of the prefixes that a node selector uses (RFC 4825 section 6.4).
func (x *xcapFlags) bindings(node string) ([]uri.Binding, error) {
	if node == "" {
		return nil, nil
	}
	p, err := x.prefixes()
	if err != nil {
		return nil, err
	}
	if _, err := selector.ParseXCAP(node, p); err != nil {
		return nil, x.unbound("reading "+kit.CleanLine(node), err)
	}
	return p.used, nil
}

func (x *xcapFlags) unbound(doing string, err error) error {
	hint := "a step is NAME, NAME[n], NAME[@ATTRIBUTE=\"value\"] or NAME[n][@ATTRIBUTE=\"value\"], the last may be @ATTRIBUTE or namespace::*"
	if errors.Is(err, selector.ErrPrefix) {
		hint = "known are " + strings.Join(slices.Sorted(maps.Keys(kit.Prefixes)), " ") + ", --ns PREFIX=URI adds"
	}
	return kit.Fail(kit.ExitUsage, doing, err, hint)
}

// bound adds to a URI the bindings of prefixes that its query leaves out.
func (x *xcapFlags) bound(u *uri.URI) (*uri.URI, error) {
	if len(u.Steps) == 0 {
		return u, nil
	}
	p, err := x.prefixes()
	if err != nil {
		return nil, err
	}
	for _, b := range u.Bindings {
		p.known[b.Prefix] = b.URI
	}
	if _, err := selector.ParseXCAP(strings.Join(u.Steps, "/"), p); err != nil {
		return nil, x.unbound("reading "+kit.CleanLine(strings.Join(u.Steps, "/")), err)
	}
	for _, b := range p.used {
		if !slices.ContainsFunc(u.Bindings, func(o uri.Binding) bool { return o.Prefix == b.Prefix }) {
			u.Bindings = append(u.Bindings, b)
		}
	}
	return u, nil
}

// usedPrefixes notes which prefixes are looked up.
type usedPrefixes struct {
	known map[string]string
	used  []uri.Binding
}

func (x *xcapFlags) prefixes() (*usedPrefixes, error) {
	p := &usedPrefixes{known: maps.Clone(kit.Prefixes)}
	for _, b := range x.ns {
		prefix, space, ok := strings.Cut(b, "=")
		if !ok || prefix == "" || space == "" {
			return nil, kit.Fail(kit.ExitUsage, fmt.Sprintf("reading --ns %q", b), "it is not PREFIX=URI", "write it like x=urn:example:x")
		}
		p.known[prefix] = space
	}
	return p, nil
}

// Lookup implements selector.Namespaces.
func (p *usedPrefixes) Lookup(prefix string) (string, bool) {
	space, ok := p.known[prefix]
	if prefix == "" {
		return "", true
	}
	if ok && prefix != "xml" && !slices.ContainsFunc(p.used, func(b uri.Binding) bool { return b.Prefix == prefix }) {
		p.used = append(p.used, uri.Binding{Prefix: prefix, URI: space})
	}
	return space, ok
}

// short is how messages call a target.
func (t *xcapTarget) short() string { return kit.CleanLine(cmp.Or(t.text, t.uri.Path())) }
