package stack

import "time"

// pacer has a busy reader wait a moment, so that it is woken once for several datagrams: with one at a time, waking and
// falling asleep cost more than the work. As network cards do, it begins only above a rate; a datagram that comes alone
// is taken at once.
type pacer struct {
	since time.Time // when the counting of this window began
	seen  int       // datagrams since then
	busy  bool      // the last window was above the rate
	waits bool      // and not far above
}

const (
	paceWindow = 50 * time.Millisecond
	paceFrom   = 1200 // datagrams a second
	paceTo     = 4000
	pause      = time.Millisecond
)

// count takes note of datagrams.
func (p *pacer) count(n int) {
	p.seen += n
	now := time.Now()
	if passed := now.Sub(p.since); passed >= paceWindow {
		seen, seconds := float64(p.seen), passed.Seconds()
		p.busy = passed < 2*paceWindow && seen >= paceFrom*seconds
		p.waits = p.busy && seen < paceTo*seconds
		p.since, p.seen = now, 0
	}
}

// wait pauses while there is much to read.
func (p *pacer) wait() {
	if p.waits {
		time.Sleep(pause)
	}
}
