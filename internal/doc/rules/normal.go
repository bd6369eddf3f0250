package rules

import (
	"cmp"
	"reflect"
	"slices"
	"strings"
	"time"
)

// Union returns what permissions grant together, in a form in which those that grant the same are equal.
func Union(all ...*Permissions) Permissions {
	var p Permissions
	for _, q := range all {
		p.Merge(q)
	}
	p.Services, p.Persons, p.Devices = p.Services.normal(), p.Persons.normal(), p.Devices.normal()
	if p.AllAttributes {
		p.Provide, p.UserInput, p.UnknownAttributes = 0, NoInput, nil
	}
	slices.SortFunc(p.UnknownAttributes, func(a, b Attribute) int { return cmp.Or(strings.Compare(a.NS, b.NS), strings.Compare(a.Name, b.Name)) })
	p.UnknownAttributes = slices.Compact(p.UnknownAttributes)
	return p
}

// normal sorts a selection that is its caller's own; what selects nothing is nil.
func (s *Selection) normal() *Selection {
	if s == nil || s.All {
		if s != nil {
			return &Selection{All: true}
		}
		return nil
	}
	empty := true
	for _, key := range selectors {
		list := s.list(key)
		slices.Sort(*list)
		*list = slices.Compact(*list)
		empty = empty && len(*list) == 0
	}
	if s.Unknown = nil; empty {
		return nil
	}
	return s
}

// Equal reports whether permissions grant the same.
func (p *Permissions) Equal(q *Permissions) bool {
	a, b := Union(p), Union(q)
	a.Handling, b.Handling = max(a.Handling, Block), max(b.Handling, Block)
	return reflect.DeepEqual(a, b)
}

// Shown returns what of the permissions a watcher notices: transformations count for the allowed, and attributes for components that are shown.
func (p *Permissions) Shown() Permissions {
	u := Union(p)
	u.Handling = max(u.Handling, Block)
	if u.Handling != Allow {
		return Permissions{Handling: u.Handling}
	}
	if u.Services == nil && u.Persons == nil && u.Devices == nil {
		return Permissions{Handling: Allow}
	}
	return u
}

// Over reports whether the times of a rule are over, so that it never applies again.
func (r *Rule) Over(now time.Time) bool {
	for _, c := range r.Conditions {
		if len(c.Identity) > 0 || c.Sphere != "" || c.Unknown != nil {
			continue
		}
		if !slices.ContainsFunc(c.Validity, func(p Period) bool {
			span, ok := p.times()
			return ok && now.Before(span[1])
		}) {
			return true
		}
	}
	return false
}
