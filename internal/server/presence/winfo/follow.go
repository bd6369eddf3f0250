package winfo

import (
	"time"

	"imp/internal/doc/winfo"
	"imp/internal/sip/event"
)

// observe takes over a change of a subscription.
func (p *Package) observe(l event.Lifecycle) {
	if l.Cause == event.Lost {
		p.recover()
		return
	}
	if l.Package != p.cfg.Parent {
		return
	}
	p.mu.Lock()
	p.apply(l)
	p.unlock()
}

// apply runs the state machine.
func (p *Package) apply(l event.Lifecycle) {
	ran := l.State == event.Terminated && l.Was == event.Pending && l.Cause == "timeout"
	t := p.tables[l.Resource]
	if t == nil {
		if l.State != event.Pending && !ran {
			return // nobody looks, and nobody has to
		}
		t = p.table(l.Resource)
	}
	// Who asks again, or is let in, does not wait any more for the answer to
	// what he asked before.
	switch {
	case l.State == event.Pending:
		p.settle(t, l.Watcher, winfo.Giveup)
	case l.State == event.Active:
		p.settle(t, l.Watcher, winfo.Approved)
	}
	r := t.rows[l.ID]
	switch {
	case l.Fetch && !ran: // of what does not last only that it was asked for in vain is told
	case ran:
		if r == nil {
			r = &row{table: t, tag: l.ID, watcher: l.Watcher, name: l.Name, since: l.Since, born: p.next()}
			t.rows[l.ID] = r
		}
		p.wait(r)
	case l.State == event.Terminated:
		if r != nil {
			p.end(r, causeOf(l.Cause))
		}
	case l.Number > t.last && (t.views > 0 || r != nil || l.State == event.Pending):
		p.set(t, l.Info)
	}
}

// recover finds out what there is after changes were lost.
func (p *Package) recover() {
	asked := map[string]bool{}
	p.notifier.Each(func(i event.Info) bool {
		if i.Package == p.cfg.Parent && i.State == event.Pending {
			asked[i.Resource] = true
		}
		return true
	})
	p.mu.Lock()
	for resource := range asked {
		p.table(resource)
	}
	for _, t := range p.tables {
		p.load(t, true)
	}
	p.unlock()
}

// ask puts a row at the end of those without an answer. Who is beyond a limit is
// given up.
func (p *Package) ask(r *row, at time.Time) {
	p.answer(r)
	r.asked, r.element = at, p.asking.PushBack(r)
	r.table.asking++
	p.by[r.watcher] = append(p.by[r.watcher], r)
	if own := p.by[r.watcher]; len(own) > p.cfg.Limits.PerWatcher {
		p.giveUp(own[0])
	}
	if r.table.asking > p.cfg.Limits.PerResource {
		p.giveUp(oldest(r.table))
	}
	if p.asking.Len() > p.cfg.Limits.Total {
		p.giveUp(p.asking.Front().Value.(*row))
	}
}

// answer takes a row out of those without an answer.
func (p *Package) answer(r *row) {
	if r.element == nil {
		return
	}
	p.asking.Remove(r.element)
	r.element = nil
	r.table.asking--
	own := p.by[r.watcher]
	for i := range own {
		if own[i] == r {
			own = append(own[:i:i], own[i+1:]...)
			break
		}
	}
	if p.by[r.watcher] = own; len(own) == 0 {
		delete(p.by, r.watcher)
	}
}

// oldest is the row of a table that has waited longest for an answer.
func oldest(t *table) (first *row) {
	for _, r := range t.rows {
		if r.element != nil && (first == nil || r.asked.Before(first.asked)) {
			first = r
		}
	}
	return first
}

// later is what a watcher is told who was given up: he need not hurry.
const later = time.Hour

// giveUp ends the wait of a row. That of a subscription ends with it, which is
// told as its change.
func (p *Package) giveUp(r *row) {
	p.answer(r)
	if r.status == winfo.Waiting {
		p.end(r, winfo.Giveup)
		return
	}
	p.notifier.Decide(r.tag, event.Decision{State: event.Terminated, Reason: "giveup", RetryAfter: later})
}

// arm sets the timer for who has waited longest.
func (p *Package) arm() {
	front := p.asking.Front()
	if front == nil || p.closed {
		return
	}
	due := front.Value.(*row).asked.Add(p.cfg.Limits.Wait)
	if due.Equal(p.due) {
		return
	}
	p.due = due
	if p.timer == nil {
		p.timer = time.AfterFunc(time.Until(due), p.tick)
	} else {
		p.timer.Reset(time.Until(due))
	}
}

// tick gives up all who have waited too long.
func (p *Package) tick() {
	p.mu.Lock()
	defer p.unlock()
	p.due = time.Time{}
	for now := time.Now(); p.asking.Len() > 0; {
		r := p.asking.Front().Value.(*row)
		if now.Before(r.asked.Add(p.cfg.Limits.Wait)) {
			return
		}
		p.giveUp(r)
	}
}
