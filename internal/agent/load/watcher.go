package load

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"

	"imp/internal/sip/dialog"
	"imp/internal/sip/header"
	"imp/internal/sip/stack"
)

// watcher is one subscription in a dialog of its own.
type watcher struct {
	mu      sync.Mutex
	seq     uint32         // of the SUBSCRIBE that begins it
	dialog  *dialog.Dialog // from the first NOTIFY on
	state   state
	seen    uint64      // number of the newest document
	waiting int         // what is still to come of the answer and the NOTIFY
	ready   func(error) // told when both have come, or that they will not
}

type state uint8

const (
	idle state = iota
	beginning
	active
	ending
	gone
)

// StateError is a subscription that tells nothing: it is pending until somebody
// allows it, or was terminated at once.
type StateError struct{ State string }

// Error gives the state.
func (e *StateError) Error() string { return "the subscription is " + e.State }

// subscribe begins subscription i; done is called when the answer and the first
// NOTIFY are there.
func (g *generator) subscribe(i int, done func(error)) {
	w, uri := &g.watchers[i], g.watched(i).uri
	w.begin(beginning, func(err error) {
		if err != nil {
			err = &SetupError{Doing: "subscribing to " + uri, Err: err}
		}
		done(err)
	})
	head := fmt.Appendf(nil, "Max-Forwards: 70\r\nFrom: <%s>;tag=%s\r\nTo: <%s>\r\nCall-ID: w%d.%s\r\nCSeq: 1 SUBSCRIBE\r\n",
		g.cfg.From, g.tagOf(i), uri, i, g.id)
	o := &stack.Outgoing{Method: "SUBSCRIBE", URI: uri, Head: append(head, g.terms(i, g.cfg.Expires)...), Target: g.hop(uri)}
	w.first()
	g.send(o, w.first, func(res *sip.Response, err error) {
		if err == nil && !res.IsSuccess() {
			err = refusal(res, nil)
		}
		if err == nil {
			err = g.enough(res)
		}
		w.came(err)
	})
}

// unsubscribe ends subscription i; done is called when the answer and the last
// NOTIFY are there.
func (g *generator) unsubscribe(i int, done func(error)) {
	w := &g.watchers[i]
	w.mu.Lock()
	if w.dialog == nil || w.state == gone {
		w.mu.Unlock()
		done(nil)
		return
	}
	o := w.dialog.Request("SUBSCRIBE", g.terms(i, 0), nil)
	w.mu.Unlock()
	if g.cfg.Hop.Addr != "" && o.Target.Flow == nil {
		o.Target = g.cfg.Hop
	}
	w.begin(ending, done)
	g.send(o, w.next, func(res *sip.Response, err error) {
		if err == nil && !res.IsSuccess() {
			err = refusal(res, nil)
		}
		w.came(err)
	})
}

// first is the CSeq of a SUBSCRIBE that begins the subscription: 1, and more when
// it is sent again with credentials.
func (w *watcher) first() uint32 {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seq++
	return w.seq
}

// next is the CSeq of a SUBSCRIBE in the dialog that is sent again with
// credentials. The dialog counts requests as it renders them.
func (w *watcher) next() uint32 {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.dialog.Request("SUBSCRIBE", nil, nil)
	return w.dialog.LocalSeq()
}

func (g *generator) tagOf(i int) string { return "w" + strconv.Itoa(i) + g.id }

// terms are the header fields of a SUBSCRIBE that say what is wanted. Each
// watcher has a user part of its own, so that NOTIFYs are spread over all who
// handle requests.
func (g *generator) terms(i int, expires time.Duration) []byte {
	return fmt.Appendf(nil, "Event: presence\r\nAccept: application/pidf+xml\r\nContact: <sip:w%d@%s>\r\nExpires: %d\r\n",
		i, g.contact, expires/time.Second)
}

// begin enters a state that ends when the answer and a NOTIFY have come.
func (w *watcher) begin(s state, ready func(error)) {
	w.mu.Lock()
	w.state, w.waiting, w.ready = s, 2, ready
	w.mu.Unlock()
}

// came takes one of the two, or what ends the waiting for them.
func (w *watcher) came(err error) {
	w.mu.Lock()
	ready := w.part(err)
	w.mu.Unlock()
	if ready != nil {
		ready(err)
	}
}

// part counts what came; the function returned is to be called without the
// lock.
func (w *watcher) part(err error) func(error) {
	ready := w.ready
	if ready == nil {
		return nil
	}
	if w.waiting--; w.waiting > 0 && err == nil {
		return nil
	}
	w.ready = nil
	if err == nil && w.state == beginning {
		w.state = active
	}
	return ready
}

// knows tells whether the watcher has heard of a document, or will not hear of
// it because its subscription is over or has not begun.
func (w *watcher) knows(number uint64) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.seen >= number || w.state == gone || w.state == idle
}

// watches tells whether the subscription was begun.
func (w *watcher) watches() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.state != idle
}

// last is the number of the newest document that the watcher has heard of.
func (w *watcher) last() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.seen
}

// notify answers NOTIFY and takes its time.
func (g *generator) notify(_ context.Context, r *stack.Request) *stack.Response {
	now := g.now()
	i := g.watcherOf(r.CallID().Value())
	if i < 0 {
		return stack.Answer(sip.StatusCallTransactionDoesNotExists)
	}
	number, sent, marked := readMark(r.Body(), g.id)
	value, _, _ := header.Single(r.Request, "Subscription-State")
	state, _, _ := strings.Cut(value, ";")
	state = strings.ToLower(strings.TrimSpace(state))

	w := &g.watchers[i]
	w.mu.Lock()
	if w.dialog == nil {
		d, err := dialog.FromRequest(r, g.tagOf(i), w.seq)
		if err != nil {
			w.mu.Unlock()
			return &stack.Response{Status: sip.StatusBadRequest, Reason: err.Error()}
		}
		w.dialog = d
	}
	if marked && number > w.seen {
		w.seen = number
		if g.measured(sent) {
			g.notified.add(now - sent)
			g.watched(i).hears(number, now-sent)
		}
	}
	ready, err := g.hears(w, state)
	w.mu.Unlock()
	if ready != nil {
		ready(err)
	}
	return stack.Answer(sip.StatusOK)
}

// hears takes the state of a subscription. What is returned is to be called
// without the lock, unless it is nil.
func (g *generator) hears(w *watcher, state string) (ready func(error), err error) {
	over := state == "terminated"
	switch w.state {
	case beginning:
		if state != "active" {
			err = &StateError{State: state}
		}
		ready = w.part(err)
	case ending:
		if over {
			ready = w.part(nil)
		}
	case active:
		if over {
			g.ended.Add(1)
		}
	}
	if over {
		w.state = gone
	}
	return ready, err
}

// watcherOf finds the watcher by the Call-ID of its subscription, -1 for none.
func (g *generator) watcherOf(callID string) int {
	number, id, ok := strings.Cut(callID, ".")
	if !ok || id != g.id || !strings.HasPrefix(number, "w") {
		return -1
	}
	i, err := strconv.Atoi(number[1:])
	if err != nil || i < 0 || i >= len(g.watchers) {
		return -1
	}
	return i
}
