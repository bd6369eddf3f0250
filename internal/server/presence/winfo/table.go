package winfo

import (
	"container/list"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"time"

	"imp/internal/doc/winfo"
	"imp/internal/sip/event"
)

// table is what is known of the watchers of a resource. While somebody looks it
// has all of them, else only those without an answer.
type table struct {
	resource string
	rows     map[string]*row // by the notifier's name of the subscription
	asking   int             // rows pending or waiting
	views    int             // who look
	last     uint64          // changes of subscriptions up to this one are in rows
	mark     event.Mark      // of the last change of rows
	gone     []*row          // terminated while somebody looked, the oldest first
	horizon  event.Mark      // of the last one that was dropped from gone
}

// row is one subscription, of which the state machine is RFC 3857 section 4.7.1.
type row struct {
	table   *table
	tag     string
	id      string // in documents, "" until one has it
	watcher string
	name    string
	status  winfo.Status
	cause   winfo.Event
	since   time.Time
	expires time.Time // of the subscription
	waited  bool      // there is no subscription any more, or was none when it ended
	born    event.Mark
	changed event.Mark

	asked   time.Time // when it began to wait for an answer
	element *list.Element
}

// maxGone bounds the terminated rows that a table keeps for who has not been
// told of them. Beyond it they are told all there is.
const maxGone = 1000

// table gives the table of a resource; p.mu is held, as in all of this file.
func (p *Package) table(resource string) *table {
	t := p.tables[resource]
	if t == nil {
		t = &table{resource: resource, rows: map[string]*row{}, mark: p.next()}
		p.tables[resource] = t
		p.dirty[t] = true
	}
	return t
}

// next gives a mark that was never given before.
func (p *Package) next() event.Mark {
	p.mark++
	return p.mark
}

// unload forgets what is only for those who look.
func (p *Package) unload(t *table) {
	for tag, r := range t.rows {
		if r.status == winfo.Active {
			delete(t.rows, tag)
		}
	}
	t.gone, t.horizon = nil, t.mark
	p.dirty[t] = true
}

// load takes the subscriptions there are into a table that somebody looks at.
// With lost, the changes that led to them are not going to be told: a pending
// subscription that is not there ran out, as far as anybody can know.
func (p *Package) load(t *table, lost bool) {
	infos, last := p.notifier.Subscriptions(p.cfg.Parent, t.resource)
	t.last = last
	live := make(map[string]bool, len(infos))
	for _, info := range infos {
		live[info.ID] = true
		if t.views > 0 || info.State == event.Pending {
			p.set(t, info)
		}
	}
	if !lost {
		return // what is not there ends with its own change
	}
	for tag, r := range t.rows {
		switch {
		case live[tag] || r.status == winfo.Waiting:
		case r.status == winfo.Pending:
			p.wait(r)
		default:
			p.end(r, winfo.Timeout)
		}
	}
}

// set makes or changes the row of a subscription.
func (p *Package) set(t *table, info event.Info) {
	r := t.rows[info.ID]
	status, cause := winfo.Active, winfo.Subscribe
	switch {
	case info.State == event.Pending:
		status = winfo.Pending
	case info.Approved:
		cause = winfo.Approved
	}
	if r == nil {
		r = &row{table: t, tag: info.ID, watcher: info.Watcher, name: info.Name, since: info.Since, born: p.next()}
		t.rows[info.ID] = r
	} else if r.status == status && r.cause == cause {
		return
	}
	r.expires, r.status, r.cause = info.Expires, status, cause
	p.touch(r)
	if status == winfo.Pending {
		p.ask(r, time.Now())
		return
	}
	p.answer(r)
	if t.views == 0 {
		delete(t.rows, r.tag)
	}
}

// wait turns a row into one that waits: the subscription is over, and there was
// no answer.
func (p *Package) wait(r *row) {
	r.status, r.cause, r.waited = winfo.Waiting, winfo.Timeout, true
	p.touch(r)
	p.ask(r, time.Now())
	p.keep.put(r)
}

// end takes a row out of its table.
func (p *Package) end(r *row, cause winfo.Event) {
	t := r.table
	if r.waited {
		p.keep.remove(r)
	}
	r.status, r.cause = winfo.Terminated, cause
	p.touch(r)
	p.answer(r)
	delete(t.rows, r.tag)
	if t.views == 0 {
		return
	}
	if t.gone = append(t.gone, r); len(t.gone) > maxGone {
		t.horizon = t.gone[maxGone/2].changed
		t.gone = slices.Clone(t.gone[maxGone/2+1:])
	}
}

// touch marks a row as changed.
func (p *Package) touch(r *row) {
	r.changed = p.next()
	r.table.mark = r.changed
	p.dirty[r.table] = true
}

// settle ends the rows of a watcher that wait.
func (p *Package) settle(t *table, watcher string, cause winfo.Event) {
	if t.asking == 0 {
		return
	}
	for _, r := range slices.Clone(p.by[watcher]) {
		if r.table == t && r.status == winfo.Waiting {
			p.end(r, cause)
		}
	}
}

// idOf names a subscription in documents: the same as long as it lasts, and
// nothing that helps to act in its dialog.
func (p *Package) idOf(r *row) string {
	if r.id == "" {
		mac := hmac.New(sha256.New, p.key[:])
		mac.Write([]byte(r.tag))
		r.id = hex.EncodeToString(mac.Sum(nil)[:10])
	}
	return r.id
}
