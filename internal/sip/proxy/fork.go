package proxy

import (
	"bytes"
	"errors"
	"slices"
	"sync"
	"time"

	"imp/internal/sip/stack"
)

// fork is one request on its way to several devices (RFC 3261 section 16.7): the response context.
type fork struct {
	p      *Proxy
	answer func(*stack.Response)
	timer  *time.Timer

	mu      sync.Mutex
	open    int // devices that may still answer
	over    bool
	replies []*stack.Reply
	silent  bool // a device did not answer in time
	gone    bool // the flow to a device had ended
	failed  bool // a device could not be reached
}

// fork sends a request to all devices at once, each with its share of the breadth. A device that is not reached one way is tried the next way it has
// registered (RFC 5626 section 7, RFC 5627 section 6.1).
func (p *Proxy) fork(r *stack.Passing, w *way, devices [][]Contact, breadth int) {
	f := &fork{p: p, answer: r.Defer(), open: len(devices)}
	body := bytes.Clone(r.Body())
	branches := make([][]*stack.Outgoing, len(devices))
	for i, device := range devices {
		share := breadth / (len(devices) - i)
		breadth -= share
		for _, c := range device {
			o := p.outgoing(r, w, c, share)
			o.Body = body
			branches[i] = append(branches[i], o)
		}
	}
	f.timer = time.AfterFunc(p.cfg.Wait, f.late)
	for _, ways := range branches {
		f.send(ways)
	}
}

// send tries one device.
func (f *fork) send(ways []*stack.Outgoing) {
	f.p.branches.Add(1)
	f.p.cfg.Stack.Forward(ways[0], func(res *stack.Reply, err error) {
		lost := err != nil || res.Status == 408 || res.Status == 430
		if lost && len(ways) > 1 && !f.isOver() && !errors.Is(err, stack.ErrClosed) {
			f.send(ways[1:])
			return
		}
		f.done(ways[0], res, err)
	})
}

func (f *fork) isOver() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.over
}

// done takes what became of one device.
func (f *fork) done(o *stack.Outgoing, res *stack.Reply, err error) {
	f.mu.Lock()
	f.open--
	switch {
	case err == nil:
		f.replies = append(f.replies, res)
	case errors.Is(err, stack.ErrTimeout):
		f.silent = true
	case o.Target.Flow != nil && o.Target.Flow.Closed():
		f.gone = true
	default:
		f.failed = true
	}
	now := f.open == 0 || err == nil && res.Status < 300
	first := now && !f.over
	f.over = f.over || now
	f.mu.Unlock()
	if first {
		f.timer.Stop()
		f.answer(f.best())
	}
}

// late answers before the sender gives up, when there is something to say: only one answer is of use to him, and soon
// none (RFC 4320 section 4.2).
func (f *fork) late() {
	f.mu.Lock()
	first := !f.over && len(f.replies) > 0
	f.over = f.over || first
	f.mu.Unlock()
	if first {
		f.answer(f.best())
	}
}

// best makes the answer of the replies (RFC 3261 section 16.7 step 6). Nothing changes them any more: f.over is set.
func (f *fork) best() *stack.Response {
	f.mu.Lock()
	replies, silent, gone, failed := slices.Clone(f.replies), f.silent, f.gone, f.failed
	f.mu.Unlock()
	if len(replies) == 0 {
		switch {
		case silent:
			return stack.Answer(408)
		case gone || !failed:
			return stack.Answer(480)
		}
		return &stack.Response{Status: 500, Reason: "No Contact Can Be Reached"}
	}
	best := slices.MinFunc(replies, func(a, b *stack.Reply) int { return rank(a.Status) - rank(b.Status) })
	switch best.Status {
	case 503: // that is about the device and not about this server
		return &stack.Response{Status: 500, Reason: "Contact Unavailable"}
	case 430: // the flow is between this server and the device
		return stack.Answer(480)
	case 401, 407:
		var others []stack.Field
		for _, r := range replies {
			if r != best && (r.Status == 401 || r.Status == 407) {
				others = append(others, r.Challenges()...)
			}
		}
		return best.Response(others...)
	}
	return best.Response()
}

// rank orders answers: success, then 6xx, which speaks for all devices, then the lowest class; within 4xx those that help to
// send the request again.
func rank(status int) int {
	switch {
	case status < 300:
		return 0
	case status >= 600:
		return 1
	}
	n := status / 100 * 10
	switch status {
	case 401, 407, 415, 420, 484:
	case 408, 430:
		n += 2
	case 503:
		n += 3 // whatever else there is says more
	default:
		n++
	}
	return n
}
