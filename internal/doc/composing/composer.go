package composing

import "time"

// The times of a composer (RFC 3994 section 3.2).
const (
	DefaultIdleAfter = 15 * time.Second
	MinRefresh       = 60 * time.Second
)

// Settings are those of a composer. The zero value sends no refreshes.
type Settings struct {
	Refresh     time.Duration // between status messages while active, raised to MinRefresh; 0 is none (RFC 3994 section 3.2)
	IdleAfter   time.Duration // without input; default DefaultIdleAfter
	ContentType string        // told to the receiver
}

// Composer is the state of the side that composes, towards one receiver (RFC 3994 section 3.2). Its methods return the status message to send now, nil for none.
// It is for one goroutine, whose clock must not go back.
//
// RFC 3994 limits the rate to one status message per refresh interval, and has changes of state told nevertheless. Here it is a refresh that keeps the interval;
// a change waits until an idle time-out has passed since the status message before, and is not told if it has been undone until then. Content that is
// sent ends the wait: a receiver has gone to idle with it.
type Composer struct {
	set     Settings
	active  bool      // since the first input, until content or time-out
	told    bool      // whether the receiver believes that the composer is active
	input   time.Time // the last one
	status  time.Time // of the last status message; zero: none since content
	stopped bool
}

// NewComposer returns a composer in the idle state.
func NewComposer(set Settings) *Composer {
	if set.IdleAfter <= 0 {
		set.IdleAfter = DefaultIdleAfter
	}
	if set.Refresh > 0 {
		set.Refresh = max(set.Refresh, MinRefresh)
	}
	return &Composer{set: set}
}

// Input says that the user has composed something.
func (c *Composer) Input(now time.Time) *Document {
	c.active, c.input = true, now
	return c.Tick(now)
}

// Sent says that content was sent: the state is idle, which the content tells by itself.
func (c *Composer) Sent(time.Time) { c.active, c.told, c.status = false, false, time.Time{} }

// Stop says that the receiver does not want status messages: it has answered 415 (RFC 3994 section 4). There are no more.
func (c *Composer) Stop() { c.stopped = true }

// Active reports whether the user composes.
func (c *Composer) Active() bool { return c.active }

// Tick does what is due: it is to be called at the time that Next tells.
func (c *Composer) Tick(now time.Time) *Document {
	if c.active && !now.Before(c.input.Add(c.set.IdleAfter)) {
		c.active = false
	}
	if at, due := c.due(); c.stopped || !due || now.Before(at) {
		return nil
	}
	c.told, c.status = c.active, now
	d := &Document{State: Idle, ContentType: c.set.ContentType, LastActive: c.input}
	if c.active {
		*d = Document{State: Active, ContentType: c.set.ContentType, Refresh: c.set.Refresh}
	}
	return d
}

// due is when a status message is to be sent, if the state stays as it is.
func (c *Composer) due() (at time.Time, ok bool) {
	switch {
	case c.active != c.told && c.status.IsZero():
		return c.status, true
	case c.active != c.told:
		return c.status.Add(c.set.IdleAfter), true
	case c.active && c.set.Refresh > 0:
		return c.status.Add(c.set.Refresh), true
	}
	return at, false
}

// Next is when Tick has something to do, zero when only input can change anything.
func (c *Composer) Next() time.Time {
	if c.stopped {
		return time.Time{}
	}
	at, due := c.due()
	if idle := c.input.Add(c.set.IdleAfter); c.active && (!due || idle.Before(at)) {
		return idle
	}
	return at
}
