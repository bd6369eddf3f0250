package rules

import (
	"reflect"
	"slices"
	"time"
)

// Union returns what permissions grant together, in a form in which those that grant the same are equal.
func Union(all ...*Permissions) Permissions {
	var p Permissions
	for _, q := range all {
		p.Merge(q)
	}
	p.normalize()
	p.Services, p.Persons, p.Devices = p.Services.plain(), p.Persons.plain(), p.Devices.plain()
	if p.AllAttributes {
		p.Provide, p.UserInput, p.UnknownAttributes = 0, NoInput, nil
	}
	return p
}

// plain leaves out of a selection that is its caller's own what all of them or none do without; what selects nothing is nil.
func (s *Selection) plain() *Selection {
	if s == nil {
		return nil
	}
	if s.All {
		return &Selection{All: true}
	}
	s.Unknown = nil
	if !slices.ContainsFunc(selectors, func(key string) bool { return len(*s.list(key)) > 0 }) {
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
