package winfo

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"imp/internal/doc/winfo"
	"imp/internal/sip/event"
)

// maxRows bounds the watchers in one document, which has to fit a message.
const maxRows = 4000

// view is what one subscriber sees of a table.
type view struct {
	p     *Package
	table *table
	only  string // the one watcher that he sees, himself; "" all
}

// Key is private: the seconds that documents tell are as of each.
func (v *view) Key() string { return "" }

// Close implements event.View.
func (v *view) Close(string) {
	v.p.mu.Lock()
	defer v.p.unlock()
	if v.table.views--; v.table.views == 0 {
		v.p.unload(v.table)
	}
}

// State implements event.DeltaView. The seconds are no part of it.
func (v *view) State(m event.Mark) string { return fmt.Sprintf("%s %d %s", v.p.nonce, m, v.only) }

// Render gives all watchers, or those that changed since (RFC 3857 section
// 4.7.2). What came and went since is not told.
func (v *view) Render(since event.Mark) (event.Body, event.Mark, error) {
	v.p.mu.Lock()
	mark := v.table.mark
	full := since == 0 || since < v.table.horizon
	var watchers []winfo.Watcher
	if full {
		watchers = v.all()
	} else {
		watchers = v.changed(since)
	}
	v.p.mu.Unlock()
	if !full && len(watchers) == 0 {
		return event.Body{}, since, nil
	}
	d := winfo.Document{Full: full, Lists: []winfo.List{{Resource: v.table.resource, Package: v.p.cfg.Parent, Watchers: watchers}}}
	doc, at := d.Unnumbered()
	return event.Body{Type: winfo.MediaType, Bytes: doc, NumberAt: at}, mark, nil
}

// all gives who asks for an answer and then the others, each from the oldest on.
func (v *view) all() []winfo.Watcher {
	infos, _ := v.p.notifier.Subscriptions(v.p.cfg.Parent, v.table.resource)
	for _, i := range infos { // refreshes are no changes, but prolong
		if r := v.table.rows[i.ID]; r != nil {
			r.expires = i.Expires
		}
	}
	var rows []*row
	for _, r := range v.table.rows {
		if v.only == "" || v.only == r.watcher && r.status != winfo.Waiting {
			rows = append(rows, r)
		}
	}
	slices.SortFunc(rows, func(a, b *row) int {
		if a, b := a.status == winfo.Active, b.status == winfo.Active; a != b {
			if b {
				return -1
			}
			return 1
		}
		return cmp.Or(a.since.Compare(b.since), cmp.Compare(a.born, b.born))
	})
	return v.watchers(rows[:min(len(rows), maxRows)])
}

// changed gives who changed since, in the order of the changes.
func (v *view) changed(since event.Mark) []winfo.Watcher {
	var rows []*row
	for i := len(v.table.gone) - 1; i >= 0 && v.table.gone[i].changed > since; i-- {
		// Neither is told who came since, nor to a watcher what became of his
		// question after his subscription had ended, since nobody tells him that.
		if r := v.table.gone[i]; r.born <= since && (v.only == "" || v.only == r.watcher && !r.waited) {
			rows = append(rows, r)
		}
	}
	for _, r := range v.table.rows {
		if r.changed > since && (v.only == "" || v.only == r.watcher) {
			rows = append(rows, r)
		}
	}
	slices.SortFunc(rows, func(a, b *row) int { return cmp.Compare(a.changed, b.changed) })
	return v.watchers(rows)
}

func (v *view) watchers(rows []*row) []winfo.Watcher {
	now := time.Now()
	list := make([]winfo.Watcher, len(rows))
	for i, r := range rows {
		subscribed := uint64(max(now.Sub(r.since), 0) / time.Second)
		w := winfo.Watcher{ID: v.p.idOf(r), URI: r.watcher, Status: r.status, Event: r.cause, DisplayName: r.name, Subscribed: &subscribed}
		switch {
		case r.status == winfo.Pending || r.status == winfo.Active:
			left := uint64((max(r.expires.Sub(now), 0) + time.Second - 1) / time.Second)
			w.Expires = &left
		case v.only != "" && r.status == winfo.Waiting:
			w.Status = winfo.Terminated // as his own subscription told him
		}
		list[i] = w
	}
	return list
}
