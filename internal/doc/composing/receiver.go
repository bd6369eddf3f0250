package composing

import (
	"maps"
	"slices"
	"time"
)

// DefaultRefresh is how long a composer counts as active that tells no refresh interval (RFC 3994 section 3.3).
const DefaultRefresh = 120 * time.Second

// maxComposers bounds the composers that a receiver remembers at a time.
const maxComposers = 1000

// Receiver is the state of the side that receives: who composes, each by a name of the caller's, such as a URI (RFC 3994 sections 3.3 and 3.5). It sends nothing.
// The zero value is ready; it is for one goroutine.
type Receiver struct {
	until map[string]time.Time // of the active composers
}

// Status says that a status message came from a composer, and reports whether its state has changed by that. One too many of active composers is not
// remembered.
func (r *Receiver) Status(composer string, d *Document, now time.Time) (changed bool) {
	if d.State != Active {
		return r.Content(composer, now)
	}
	refresh := d.Refresh
	if refresh <= 0 {
		refresh = DefaultRefresh
	}
	was := r.Active(composer, now)
	if _, known := r.until[composer]; !known && len(r.until) >= maxComposers {
		if r.Expire(now); len(r.until) >= maxComposers {
			return false
		}
	}
	if r.until == nil {
		r.until = map[string]time.Time{}
	}
	r.until[composer] = now.Add(refresh)
	return !was
}

// Content says that content came from a composer, who is idle by that, and reports whether its state has changed.
func (r *Receiver) Content(composer string, now time.Time) (changed bool) {
	was := r.Active(composer, now)
	delete(r.until, composer)
	return was
}

// Active reports whether a composer is active.
func (r *Receiver) Active(composer string, now time.Time) bool {
	until, ok := r.until[composer]
	return ok && now.Before(until)
}

// Composing are the active composers, in the order of their names.
func (r *Receiver) Composing(now time.Time) (list []string) {
	for _, c := range slices.Sorted(maps.Keys(r.until)) {
		if r.Active(c, now) {
			list = append(list, c)
		}
	}
	return list
}

// Expire returns the composers whose time has run out, in the order of their names: they are idle now. It is to be called at the time that Next tells.
func (r *Receiver) Expire(now time.Time) (idle []string) {
	for _, c := range slices.Sorted(maps.Keys(r.until)) {
		if !r.Active(c, now) {
			delete(r.until, c)
			idle = append(idle, c)
		}
	}
	return idle
}

// Next is when the time of the next composer runs out, zero when none is active.
func (r *Receiver) Next() (at time.Time) {
	for _, until := range r.until {
		if at.IsZero() || until.Before(at) {
			at = until
		}
	}
	return at
}
