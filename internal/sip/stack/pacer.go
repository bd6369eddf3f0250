package stack

import "time"

// pacer has a busy reader wait a moment, so that it is woken once for several datagrams: with one at a time, waking and
// falling asleep cost more than the work. As network cards do, it begins only above a rate; a datagram that comes alone
// is taken at once. Where senders wait for answers before they send on, it would only hold them up: then fewer come
// while it waits than when it does not, so both are tried now and then.
type pacer struct {
	since  time.Time // when the counting of this window began
	seen   int       // datagrams since then
	busy   bool      // the last window was above the rate
	waits  bool      // in this window
	free   float64   // datagrams a second in the last window without waiting
	slow   int       // windows with far fewer, one after the other
	spared int       // windows until waiting is tried again
	left   int       // windows until not waiting is tried again
}

const (
	paceWindow = 50 * time.Millisecond
	paceFrom   = 1200   // datagrams a second
	paceTo     = 10_000 // where many come together anyway
	pause      = 2 * time.Millisecond

	trialWait = 20 // windows
	trialFree = 40
	keptRate  = 0.7 // of the rate without waiting, or senders are held up
	slowSpell = 3   // windows below it, or it was a stall of whoever
)

// count takes note of datagrams.
func (p *pacer) count(n int) {
	p.seen += n
	now := time.Now()
	passed := now.Sub(p.since)
	if passed < paceWindow {
		return
	}
	rate := float64(p.seen) / passed.Seconds()
	p.since, p.seen = now, 0
	p.busy = passed < 2*paceWindow && rate >= paceFrom
	if !p.waits {
		p.free = rate
		p.spared = max(p.spared-1, 0)
		p.left = trialWait
		p.waits = p.busy && rate < paceTo && p.spared == 0
		return
	}
	if rate >= keptRate*p.free || passed >= 2*paceWindow {
		p.slow = 0
	} else if p.slow++; p.slow == slowSpell {
		p.slow, p.spared = 0, trialFree
	}
	p.left--
	p.waits = p.busy && rate < paceTo && p.spared == 0 && p.left > 0
}

// wait pauses while there is much to read.
func (p *pacer) wait() {
	if p.waits {
		time.Sleep(pause)
	}
}
