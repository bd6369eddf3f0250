package relay

import "time"

// What a next hop has received and not read yet is in front of all that is sent to it, and nobody but its own kernel
// knows how much that is: its answers tell. So, while several flows go to a next hop, one with much that is not answered
// waits for answers, for a moment; what is small does not wait behind megabytes then.
const (
	paceWindow = 256 << 10             // bytes to a next hop that are not answered, of all flows
	paceShare  = 16 << 10              // bytes of a flow that may be there beside
	pacePiece  = 64 << 10              // a chunk is interrupted after so many bytes, to be answered
	paceTime   = 10 * time.Millisecond // that a piece waits at most: a next hop far away still gets some megabytes a second
	mixedTime  = 2 * time.Second       // since flows were mixed last
)

// mix notes which flow puts something in. The lock is held.
func (c *conn) mix(f *flow) {
	if c.recent != f {
		if c.recent != nil {
			c.mixed = time.Now()
		}
		c.recent = f
	}
}

// pace waits for answers to what a flow has sent, and reports whether the flow shares the next hop with others. A
// source that has several flows does not wait, as one of them would wait for the other. The lock is held.
func (c *conn) pace(source *conn, f *flow) (shared bool, err error) {
	c.mix(f)
	if c.mixed.IsZero() || len(source.flows) > 1 {
		return false, nil
	}
	if time.Since(c.mixed) > mixedTime {
		c.mixed = time.Time{}
		return false, nil
	}
	if !c.ahead(f) {
		return true, nil
	}
	c.mu.Unlock()
	source.flush()
	c.mu.Lock()
	c.wake()
	late := false
	timer := time.AfterFunc(paceTime, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		late = true
		c.space.Broadcast()
	})
	defer timer.Stop()
	c.pacing++
	for !c.closed && !late && c.ahead(f) {
		c.space.Wait()
	}
	c.pacing--
	if c.closed {
		return false, errGone
	}
	return true, nil
}

// ahead reports whether a flow has much at the next hop that is not answered. The lock is held.
func (c *conn) ahead(f *flow) bool { return c.trans.bytes >= paceWindow && f.bytes >= paceShare }
