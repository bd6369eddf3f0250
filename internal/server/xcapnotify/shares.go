package xcapnotify

import (
	"errors"

	"github.com/emiago/sipgo/sip"

	"imp/internal/sip/event"
	"imp/internal/sip/stack"
)

// share is what somebody takes: subscriptions, and what they select. Both cost memory for as long as a subscription lasts.
type share struct{ subscriptions, selected int }

// shares are what all subscribers take, which is bounded, and for each of them to a quarter of that.
type shares struct {
	most, all share
	each      map[string]share // by XUI
}

func newShares(subscriptions, selected int) shares {
	return shares{most: share{subscriptions, selected}, each: map[string]share{}}
}

// take adds to what somebody has. It is false, and nothing is added, where that would be too much.
func (s *shares) take(xui string, more share) bool {
	own := s.each[xui].plus(more)
	if all := s.all.plus(more); all.within(s.most) && own.within(share{max(s.most.subscriptions/4, 1), max(s.most.selected/4, 1)}) {
		s.all, s.each[xui] = all, own
		return true
	}
	return false
}

func (s *shares) giveBack(xui string, what share) {
	less := share{-what.subscriptions, -what.selected}
	s.all = s.all.plus(less)
	if s.each[xui] = s.each[xui].plus(less); s.each[xui] == (share{}) {
		delete(s.each, xui)
	}
}

func (a share) plus(b share) share {
	return share{a.subscriptions + b.subscriptions, a.selected + b.selected}
}

func (a share) within(most share) bool {
	return a.subscriptions <= most.subscriptions && a.selected <= most.selected
}

// wordy is how many bytes of a URI count as another one.
const wordy = 512

// weigh is what the entries of a list count for.
func weigh(entries []entry) (n int) {
	for _, e := range entries {
		n += 1 + len(e.sel)/wordy
	}
	return n
}

// errFull refuses a subscription for which there is no memory.
var errFull error = &event.Refusal{Status: sip.StatusServiceUnavailable, Fields: []stack.Field{{Name: "Retry-After", Value: "30"}}}

// grow adds to what a view takes. The package is locked.
func (v *view) grow(more share) bool {
	if !v.p.shares.take(v.who.XUI, more) {
		return false
	}
	v.share = v.share.plus(more)
	return true
}

// shrink takes from what a view takes. The package is locked.
func (v *view) shrink(less share) {
	v.p.shares.giveBack(v.who.XUI, less)
	v.share = v.share.plus(share{-less.subscriptions, -less.selected})
}

// wire counts what is under way.
type wire struct {
	event.Wire
	p *Package
}

// Wire is w with what is sent over it counted, for a notifier that serves the package alone: subscribers who do not
// answer have NOTIFYs kept to be sent again.
func (p *Package) Wire(w event.Wire) event.Wire { return wire{w, p} }

// Send implements event.Wire.
func (w wire) Send(o *stack.Outgoing, done func(*sip.Response, error)) {
	size := int64(len(o.Head) + len(o.Body))
	w.p.underWay.Add(size)
	w.Wire.Send(o, func(res *sip.Response, err error) {
		w.p.underWay.Add(-size)
		done(res, err)
	})
}

// room is how many bytes of contents and patches a NOTIFY may have now.
func (p *Package) room() int {
	if p.underWay.Load() > p.cfg.MaxUnderWay {
		return 0
	}
	return p.cfg.MaxBody
}

// crowd is why a view has less than it selects; nil when it has all.
func (v *view) crowd() error {
	v.p.mu.Lock()
	defer v.p.mu.Unlock()
	switch {
	case !v.overfull:
		return nil
	case len(v.documents) < v.p.cfg.MaxDocuments:
		return errFull
	}
	return refuse(sip.StatusForbidden, "More Than %d Documents", v.p.cfg.MaxDocuments)
}

// errCrowded ends a subscription to collections that have grown beyond what one may have.
var errCrowded = errors.New("the collections of a subscription have more documents than it may have")
