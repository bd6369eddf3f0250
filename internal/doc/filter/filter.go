// Package filter implements RFC 4661, filters for event notification, and what RFC 4660 says they do to a document: which parts of it a watcher gets and
// which changes are worth a notification. It knows nothing of SIP: whose filter applies to which resource is decided where the subscription is.
package filter

import (
	"slices"
	"strings"

	"imp/internal/xml/grammar"
	"imp/internal/xml/lexical"
	"imp/internal/xml/tree"
)

// MediaType is the type of the documents (RFC 4661 section 8.1).
const MediaType = "application/simple-filter+xml"

// Space is the namespace of the documents (RFC 4661 section 8.2).
const Space = "urn:ietf:params:xml:ns:simple-filter"

// MaxItems is how many include, exclude, changed, added and removed elements a document may have (RFC 4660 section 8), and how many filters.
const MaxItems = 40

// Error tells where a document was refused and why.
type Error = tree.Error

var limits = tree.Options{Limits: tree.Limits{Size: 256 << 10, Depth: 32, Declarations: 64, Attributes: 32}}

// Set is a filter-set document (RFC 4661 section 3.2).
type Set struct {
	Package  string    `json:"package,omitempty" doc:"event package"`
	Bindings []Binding `json:"bindings,omitempty" doc:"prefixes of the expressions"`
	Filters  []Filter  `json:"filters" doc:"the filters"`
}

// Binding gives a prefix its meaning in expressions (RFC 4661 section 3.3).
type Binding struct {
	Prefix string `json:"prefix" doc:"prefix"`
	Space  string `json:"namespace" doc:"namespace name"`
}

// Filter is for one resource, for the resources of a domain, or with neither for the resource that is subscribed to (RFC 4661 section 3.4).
type Filter struct {
	ID       string    `json:"id" doc:"unique in the subscription"`
	URI      string    `json:"uri,omitempty" doc:"the resource"`
	Domain   string    `json:"domain,omitempty" doc:"its resources"`
	Remove   bool      `json:"remove,omitempty" doc:"the filter of this id goes"`
	Enabled  bool      `json:"enabled" doc:"false: the filter is kept and does nothing"`
	What     []Pick    `json:"what,omitempty" doc:"content that is delivered; none: all"`
	Triggers []Trigger `json:"triggers,omitempty" doc:"any of them causes a notification; none: every change does"`

	bindings map[string]string
}

// Pick adds to the content or takes from it (RFC 4661 section 3.5).
type Pick struct {
	Exclude   bool   `json:"exclude,omitempty" doc:"takes away"`
	Namespace string `json:"namespace,omitempty" doc:"elements and attributes of this namespace"`
	Path      string `json:"path,omitempty" doc:"expression that selects elements or an attribute"`
	Err       string `json:"error,omitempty" doc:"what is wrong with the expression; it selects nothing"`

	selection *selection
}

// Trigger fires when all that it asks for has happened (RFC 4661 section 3.6).
type Trigger struct {
	Changed []Change    `json:"changed,omitempty" doc:"values that became others"`
	Added   []Reference `json:"added,omitempty" doc:"elements or attributes that appeared"`
	Removed []Reference `json:"removed,omitempty" doc:"elements or attributes that disappeared"`
}

// Reference names elements or attributes by a path without conditions.
type Reference struct {
	Path string `json:"path" doc:"expression"`
	Err  string `json:"error,omitempty" doc:"what is wrong with the expression; the trigger never fires"`

	selection *selection
}

// Change is a change of a value (RFC 4661 section 3.6.1). From, To and By are nil when they are not asked for.
type Change struct {
	Reference
	From *string `json:"from,omitempty" doc:"the value before"`
	To   *string `json:"to,omitempty" doc:"the value after"`
	By   *string `json:"by,omitempty" doc:"least difference of two numbers"`
}

// Parse reads a filter-set. It refuses with an *Error, which a notifier answers with 488, what is not well-formed, what the schema refuses, two filters
// of one id or for one resource, a filter with uri and domain, a new filter that filters nothing, and more than MaxItems items. An expression that
// is wrong does not make the document wrong: its Err tells (RFC 4660 section 5.4).
func Parse(src []byte) (*Set, error) {
	t, err := tree.Parse(src, limits)
	if err != nil {
		return nil, err
	}
	root := t.Root()
	if err := lexical.WantRoot(t, Space, "filter-set"); err != nil {
		return nil, err
	}
	g, _ := grammar.ByName("simple-filter")
	if err := g.Validate(t); err != nil {
		return nil, err
	}
	return read(root)
}

const (
	tooMany        = "more than 40 include, exclude, changed, added and removed elements"
	tooManyFilters = "more than 40 filters"
)

func at(n tree.Node, msg string) *Error { return lexical.ErrorIn(n, msg) }

func read(root tree.Node) (*Set, error) {
	s := &Set{}
	s.Package, _ = root.Attr("", "package")
	bindings := map[string]string{}
	for b := range root.Element(Space, "ns-bindings").Elements() {
		prefix, _ := b.Attr("", "prefix")
		urn, _ := b.Attr("", "urn")
		s.Bindings = append(s.Bindings, Binding{prefix, lexical.Trim(urn)})
		bindings[prefix] = lexical.Trim(urn)
	}
	items := 0
	for n := range root.Elements() {
		if !n.Is(Space, "filter") {
			continue
		}
		f := readFilter(n, bindings)
		if err := s.admits(n, &f); err != nil {
			return nil, err
		}
		if items += f.items(); items > MaxItems {
			return nil, at(n, tooMany)
		}
		if len(s.Filters) == MaxItems {
			return nil, at(n, tooManyFilters)
		}
		s.Filters = append(s.Filters, f)
	}
	return s, nil
}

// admits tells what the schema cannot: how filters of one set get along (RFC 4661 section 3.4, RFC 4660 section 3.3.1).
func (s *Set) admits(n tree.Node, f *Filter) error {
	switch {
	case f.URI != "" && f.Domain != "":
		return at(n, "filter "+lexical.Clip(f.ID)+" has a uri and a domain")
	case slices.ContainsFunc(s.Filters, func(o Filter) bool { return o.ID == f.ID }):
		return at(n, "a second filter with the id "+lexical.Clip(f.ID))
	case !f.Remove && slices.ContainsFunc(s.Filters, func(o Filter) bool { return !o.Remove && o.URI == f.URI && o.Domain == f.Domain }):
		return at(n, "a second filter for the same resource, "+lexical.Clip(f.ID))
	}
	_, enabled := n.Attr("", "enabled")
	_, remove := n.Attr("", "remove")
	if !f.filters() && !enabled && !remove {
		return at(n, "filter "+lexical.Clip(f.ID)+" has neither what nor trigger")
	}
	return nil
}

func (f *Filter) items() int {
	count := len(f.What)
	for _, t := range f.Triggers {
		count += len(t.Changed) + len(t.Added) + len(t.Removed)
	}
	return count
}

func readFilter(n tree.Node, bindings map[string]string) Filter {
	f := Filter{bindings: bindings, Enabled: flag(n, "enabled", true), Remove: flag(n, "remove", false)}
	f.ID, _ = n.Attr("", "id")
	uri, _ := n.Attr("", "uri")
	domain, _ := n.Attr("", "domain")
	f.URI, f.Domain = lexical.Trim(uri), lexical.Trim(domain)
	for c := range n.Elements() {
		switch {
		case c.Is(Space, "what"):
			for p := range c.Elements() {
				if p.Space() == Space {
					f.What = append(f.What, readPick(p, bindings))
				}
			}
		case c.Is(Space, "trigger"):
			if t := readTrigger(c, bindings); len(t.Changed)+len(t.Added)+len(t.Removed) > 0 {
				f.Triggers = append(f.Triggers, t)
			}
		}
	}
	return f
}

// flag reads a boolean, which the grammar has found to be one.
func flag(n tree.Node, name string, otherwise bool) bool {
	v, ok := n.Attr("", name)
	if !ok {
		return otherwise
	}
	v = lexical.Trim(v)
	return v == "true" || v == "1"
}

func readPick(n tree.Node, bindings map[string]string) Pick {
	p := Pick{Exclude: n.Local() == "exclude"}
	text := lexical.Trim(n.Text())
	if kind, _ := n.Attr("", "type"); kind == "namespace" {
		p.Namespace = text
		return p
	}
	p.Path = text
	s, err := compile(text, bindings)
	if err != nil {
		p.Err = err.Error()
	}
	p.selection = s
	return p
}

func readTrigger(n tree.Node, bindings map[string]string) (t Trigger) {
	for c := range n.Elements() {
		if c.Space() != Space {
			continue
		}
		r := Reference{Path: lexical.Trim(c.Text())}
		s, err := compile(r.Path, bindings)
		if err == nil && s.conditional() {
			s, err = nil, errCondition
		}
		if r.selection = s; err != nil {
			r.Err = err.Error()
		}
		switch c.Local() {
		case "changed":
			t.Changed = append(t.Changed, Change{r, optional(c, "from"), optional(c, "to"), optional(c, "by")})
		case "added":
			t.Added = append(t.Added, r)
		case "removed":
			t.Removed = append(t.Removed, r)
		}
	}
	return t
}

func optional(n tree.Node, name string) *string {
	v, ok := n.Attr("", name)
	if !ok {
		return nil
	}
	v = lexical.Trim(v)
	return &v
}

// Errors tells the expressions of a filter that are wrong, "" when none is.
func (f *Filter) Errors() (all []string) {
	add := func(path, err string) {
		if err != "" {
			all = append(all, "reading "+lexical.Clip(path)+": "+err)
		}
	}
	for _, p := range f.What {
		add(p.Path, p.Err)
	}
	for _, t := range f.Triggers {
		for _, c := range t.Changed {
			add(c.Path, c.Err)
		}
		for _, r := range slices.Concat(t.Added, t.Removed) {
			add(r.Path, r.Err)
		}
	}
	return all
}

// For gives the filter of a resource: one for its URI before one for its domain before one that names none, nil without any (RFC 4660 section 3.3). same
// compares URIs by the rules of their scheme.
func (s *Set) For(resource string, same func(a, b string) bool) *Filter {
	var ofDomain, ofAll *Filter
	_, host, _ := strings.Cut(resource, "@")
	host, _, _ = strings.Cut(host, ";")
	for i := range s.Filters {
		switch f := &s.Filters[i]; {
		case f.Remove || !f.Enabled:
		case f.URI != "" && same(f.URI, resource):
			return f
		case f.Domain != "" && strings.EqualFold(f.Domain, host):
			ofDomain = f
		case f.URI == "" && f.Domain == "":
			ofAll = f
		}
	}
	if ofDomain != nil {
		return ofDomain
	}
	return ofAll
}
