package filter

import (
	"crypto/sha256"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Update gives the filters of a subscription to resource when a SUBSCRIBE brings more (RFC 4660 section 3.3.3): a filter whose id is known replaces that
// one, or enables or disables it when it says nothing else, or removes it. s may be nil and is left as it is. The error, which a notifier answers with
// 488, is about two filters for one resource or domain, too many of them, or a filter that has to be known and is not. same compares URIs by the rules
// of their scheme; a filter that names neither URI nor domain is for resource.
func (s *Set) Update(change *Set, resource string, same func(a, b string) bool) (*Set, error) {
	next := &Set{Package: change.Package, Bindings: change.Bindings}
	if s != nil {
		next.Filters = slices.Clone(s.Filters)
	}
	for _, f := range change.Filters {
		i := slices.IndexFunc(next.Filters, func(o Filter) bool { return o.ID == f.ID })
		switch {
		case f.Remove && i >= 0:
			next.Filters = slices.Delete(next.Filters, i, i+1)
		case f.Remove: // and gone already
		case i < 0 && !f.filters():
			return nil, errors.New("filter " + f.ID + " is not known and has neither what nor trigger")
		case i < 0:
			next.Filters = append(next.Filters, f)
		case !f.filters():
			next.Filters[i].Enabled = f.Enabled
		default:
			next.Filters[i] = f
		}
	}
	return next, next.fits(resource, same)
}

// fits is the error of filters that cannot be in one subscription.
func (s *Set) fits(resource string, same func(a, b string) bool) error {
	items := 0
	for i := range s.Filters {
		f := &s.Filters[i]
		if items += f.items(); items > MaxItems {
			return errors.New(tooMany)
		}
		for j := range i {
			o := &s.Filters[j]
			if f.Domain == "" && o.Domain == "" && same(f.target(resource), o.target(resource)) || f.Domain != "" && strings.EqualFold(f.Domain, o.Domain) {
				return errors.New("a second filter for the same resource, " + f.ID + " beside " + o.ID)
			}
		}
	}
	if len(s.Filters) > MaxItems {
		return errors.New(tooManyFilters)
	}
	return nil
}

// target is the resource of a filter without a domain.
func (f *Filter) target(resource string) string {
	if f.URI == "" {
		return resource
	}
	return f.URI
}

// filters reports whether there is anything that the filter asks for.
func (f *Filter) filters() bool { return len(f.What)+len(f.Triggers) > 0 }

// Key is the same for filters that do the same to every document, whatever their ids and resources; "" for one that does nothing.
func (f *Filter) Key() string {
	if !f.Enabled || !f.filters() {
		return ""
	}
	var b []byte
	word := func(words ...string) {
		for _, w := range words {
			b = append(strconv.AppendInt(b, int64(len(w)), 10), ':')
			b = append(b, w...)
		}
	}
	for _, prefix := range slices.Sorted(maps.Keys(f.bindings)) {
		word(prefix, f.bindings[prefix])
	}
	for _, p := range f.What {
		word("w", strconv.FormatBool(p.Exclude), p.Namespace, p.Path)
	}
	for _, t := range f.Triggers {
		word("t")
		for _, c := range t.Changed {
			word("c", c.Path)
			for _, v := range []*string{c.From, c.To, c.By} {
				if v == nil {
					word("-")
				} else {
					word("+", *v)
				}
			}
		}
		for _, r := range t.Added {
			word("a", r.Path)
		}
		for _, r := range t.Removed {
			word("r", r.Path)
		}
	}
	sum := sha256.Sum256(b)
	return string(sum[:16])
}
