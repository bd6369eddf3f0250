package registrar

import (
	"context"
	"iter"
	"slices"
	"strings"
	"time"
)

// Binding is a live binding as it is listed.
type Binding struct {
	ID        string // orders the bindings
	AOR       string
	Contact   string
	Instance  string
	RegID     int
	Q         float64
	Flow      bool // it lives no longer than the connection it came over
	UserAgent string
	Received  string // transport:host:port that it came from
	Expires   time.Time
}

// Bindings gives all live bindings, in no order. An error ends the sequence.
func (r *Registrar) Bindings(ctx context.Context) iter.Seq2[Binding, error] {
	return func(yield func(Binding, error) bool) {
		for e, err := range r.cfg.Store.Scan(ctx, keyPrefix) {
			if err != nil {
				yield(Binding{}, err)
				return
			}
			rec, err := parseRecord(e.Value)
			if err != nil {
				continue
			}
			for _, b := range rec.Bindings {
				if r.live(b) && !yield(r.listed(rec, b), nil) {
					return
				}
			}
		}
	}
}

func (r *Registrar) listed(rec *record, b *binding) Binding {
	return Binding{ID: key(rec.AOR) + "." + b.ID, AOR: rec.AOR, Contact: b.URI, Instance: b.Instance, RegID: b.RegID,
		Q: float64(b.Q) / 1000, Flow: b.Bound, UserAgent: b.Agent, Received: b.Received, Expires: time.Now().Add(r.left(b))}
}

// Page gives the bindings after an ID in the order of their IDs, at most limit, and whether there are more. aor is the one
// whose bindings are wanted, "" all.
func (r *Registrar) Page(ctx context.Context, aor, after string, limit int) (page []Binding, more bool, err error) {
	byID := func(a, b Binding) int { return strings.Compare(a.ID, b.ID) }
	cut := func() {
		slices.SortFunc(page, byID)
		if len(page) > limit {
			page, more = page[:limit:limit], true
		}
	}
	for b, err := range r.Bindings(ctx) {
		if err != nil {
			return nil, false, err
		}
		if b.ID <= after || aor != "" && b.AOR != aor {
			continue
		}
		if page = append(page, b); len(page) > 2*limit {
			cut()
		}
	}
	cut()
	return page, more, nil
}

// Count is how many bindings there are; those whose flow has just ended may still count.
func (r *Registrar) Count() int {
	r.index.mu.RLock()
	defer r.index.mu.RUnlock()
	return r.index.live
}
