package stack

import (
	"bytes"
	"container/heap"
	"crypto/rand"
	"encoding/hex"
	"net/netip"
	"runtime/debug"
	"sync"
	"time"

	sip "github.com/emiago/sipgo/sip"
)

// branch is the unguessable part of a Via branch.
type branch [16]byte

const magic = "z9hG4bK"

func newBranch() (b branch) {
	_, _ = rand.Read(b[:])
	return b
}

func (b branch) append(dst []byte) []byte { return hex.AppendEncode(append(dst, magic...), b[:]) }

// parseBranch recognises a branch of ours. Behind a dot there may be the mark of a proxy.
func parseBranch(text []byte) (b branch, ok bool) {
	text, ok = bytes.CutPrefix(text, []byte(magic))
	if dot := bytes.IndexByte(text, '.'); dot >= 0 {
		text = text[:dot]
	}
	if !ok || len(text) != hex.EncodedLen(len(b)) {
		return b, false
	}
	_, err := hex.Decode(b[:], text)
	return b, err == nil
}

// clientTx is a non-INVITE client transaction (RFC 3261 17.1.2). The request is not kept rendered: a retransmission
// is rendered again from what the Outgoing holds, most of which transactions share.
type clientTx struct {
	branch branch

	socket   *socket        // for UDP
	to       netip.AddrPort // for UDP
	tcp      netip.AddrPort // tried before UDP
	fallback bool           // UDP when there is no connection
	relayed  bool           // the response is for somebody else
	invite   *Invitation    // of an INVITE
	reads    []string       // of Outgoing
	first    [1]netip.AddrPort

	prev, next *clientTx // of the same connection; guarded by conn.mu

	// guarded by clients.mu
	state txState
	o     *Outgoing // nil when the transaction has ended
	done  func(*sip.Response, error)
	conn  *conn
	due   time.Duration // when a timer fires, as time since clients.start
	end   time.Duration // timer F
	wait  time.Duration // timer E, 0 = not retransmitted
	index int           // in the heap
}

type txState uint8

const (
	trying txState = iota
	proceeding
	completed
	terminated
)

// flow is the way over UDP, for rendering.
func (tx *clientTx) flow() *Flow {
	return &Flow{kind: tx.socket.kind, local: tx.socket.local, remote: tx.to, socket: tx.socket}
}

// clients holds the client transactions. They share one timer, which runs while there are any.
type clients struct {
	s     *Stack
	t1    time.Duration
	start time.Time

	mu     sync.Mutex
	table  map[branch]*clientTx
	timers txHeap
	timer  *time.Timer
	armed  time.Duration // when timer fires, 0 = it does not run
	firing bool
	open   int // without a final response
	ended  bool

	// The Completed state (RFC 3261 17.1.2.2) of requests other than INVITE, in which nothing is left but to know that a
	// response is a repeated one: branches of this period, and of the one before.
	late, later map[branch]struct{}
	turn        time.Duration // when the next period begins; 0 = there are none
}

func newClients(s *Stack) *clients {
	return &clients{s: s, t1: s.cfg.T1, start: time.Now(), table: make(map[branch]*clientTx)}
}

const (
	t2PerT1 = 8  // T2 = 4 s by default
	t4PerT1 = 10 // T4 = 5 s by default
)

// now is never 0.
func (c *clients) now() time.Duration { return time.Since(c.start) + 1 }

// add enters a transaction and starts timer F.
func (c *clients) add(tx *clientTx) error {
	if tx.branch == (branch{}) {
		tx.branch = newBranch()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return ErrClosed
	}
	if c.open >= c.s.cfg.MaxPending {
		return errPending
	}
	c.open++
	tx.end = c.now() + 64*c.t1
	if s := tx.o.silence; s > 0 {
		tx.end = min(tx.end, c.now()+s)
	}
	tx.due = tx.end
	c.table[tx.branch] = tx
	heap.Push(&c.timers, tx)
	c.rearm()
	return nil
}

// arm starts timer E. It returns false when the transaction has ended.
func (c *clients) arm(tx *clientTx) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if tx.state > proceeding {
		return false
	}
	tx.wait = c.t1
	if tx.state == proceeding {
		tx.wait = t2PerT1 * c.t1
	}
	c.schedule(tx, min(tx.end, c.now()+tx.wait))
	return true
}

// attach notes the connection that a request goes over. It returns nil when the transaction has ended.
func (c *clients) attach(tx *clientTx, conn *conn) *Outgoing {
	c.mu.Lock()
	defer c.mu.Unlock()
	if tx.o != nil {
		tx.conn = conn
	}
	return tx.o
}

// outgoing is the request of a transaction, nil when that has ended.
func (c *clients) outgoing(tx *clientTx) *Outgoing {
	c.mu.Lock()
	defer c.mu.Unlock()
	return tx.o
}

func (c *clients) schedule(tx *clientTx, due time.Duration) {
	tx.due = due
	heap.Fix(&c.timers, tx.index)
	c.rearm()
}

// rearm makes the timer fire when the first transaction is due.
func (c *clients) rearm() {
	due := c.turn
	if len(c.timers) > 0 && (due == 0 || c.timers[0].due < due) {
		due = c.timers[0].due
	}
	if c.firing || c.ended || due == 0 {
		return
	}
	if c.armed != 0 && c.armed <= due {
		return
	}
	c.armed = due
	wait := due - c.now()
	if c.timer == nil {
		c.timer = time.AfterFunc(wait, c.fire)
	} else {
		c.timer.Reset(wait)
	}
}

// fire handles what is due, a few transactions at a time so that the lock is never held for long.
func (c *clients) fire() {
	c.mu.Lock()
	if c.ended || c.firing {
		c.mu.Unlock()
		return
	}
	c.firing = true
	c.s.goes.Add(1)
	defer c.s.goes.Done()
	var batch [64]expiry
	for {
		due := c.due(batch[:0])
		if len(due) == 0 {
			c.firing, c.armed = false, 0
			c.rearm()
			c.mu.Unlock()
			return
		}
		c.mu.Unlock()
		for _, x := range due {
			if x.over != nil && x.over.heard {
				c.report(x.over, nil, errHeard)
			} else if x.over != nil {
				c.report(x.over, nil, ErrTimeout)
			} else {
				c.retransmit(x.tx, x.o)
			}
		}
		c.mu.Lock()
	}
}

// expiry is a transaction with a timer that has fired: E, or F when over is set.
type expiry struct {
	tx   *clientTx
	o    *Outgoing
	over *outcome
}

// due collects what is due, as far as there is room, and sets the next timers.
func (c *clients) due(list []expiry) []expiry {
	now := c.now()
	if c.turn != 0 && c.turn <= now {
		c.turnOver(now)
	}
	for len(c.timers) > 0 && c.timers[0].due <= now && len(list) < cap(list) {
		tx := c.timers[0]
		switch {
		case tx.state == completed: // timers D and M
			c.remove(tx)
		case now >= tx.end: // timer F
			list = append(list, expiry{over: c.conclude(tx, 0)})
		default: // timer E
			list = append(list, expiry{tx: tx, o: tx.o})
			tx.wait *= 2
			switch {
			case tx.invite != nil: // timer A, which a provisional response ends
			case tx.state == proceeding:
				tx.wait = t2PerT1 * c.t1
			default:
				tx.wait = min(tx.wait, t2PerT1*c.t1)
			}
			tx.due = min(tx.end, now+tx.wait)
			heap.Fix(&c.timers, 0)
		}
	}
	return list
}

func (c *clients) retransmit(tx *clientTx, o *Outgoing) {
	c.s.count.retransmits.Add(1)
	if err := c.s.transmit(tx, o); err != nil {
		c.s.fail(tx, err)
	}
}

// outcome is what is left to do when a transaction has ended.
type outcome struct {
	tx    *clientTx
	conn  *conn
	done  func(*sip.Response, error)
	heard bool // there was a provisional response
}

// conclude leaves the states in which a final response is awaited. For linger the transaction still takes in
// retransmitted responses, 0 = not at all.
func (c *clients) conclude(tx *clientTx, linger time.Duration) *outcome {
	out := &outcome{tx, tx.conn, tx.done, tx.state == proceeding}
	c.open--
	tx.o, tx.done, tx.conn = nil, nil, nil
	if linger > 0 && tx.invite != nil {
		tx.state = completed
		c.schedule(tx, c.now()+linger)
		return out
	}
	c.remove(tx)
	if linger > 0 {
		c.remember(tx.branch)
	}
	return out
}

// remember keeps a branch for timer K at least, and twice that at most: a timer for each would cost more than the rest
// of the transaction.
func (c *clients) remember(b branch) {
	if c.late == nil {
		c.late = make(map[branch]struct{}, len(c.later))
	}
	c.late[b] = struct{}{}
	if c.turn == 0 {
		c.turn = c.now() + t4PerT1*c.t1
		c.rearm()
	}
}

func (c *clients) turnOver(now time.Duration) {
	c.later, c.late, c.turn = c.late, nil, 0
	if c.later != nil {
		c.turn = now + t4PerT1*c.t1
	}
}

// completed tells whether a branch is that of a transaction that has its final response.
func (c *clients) completed(b branch) bool {
	_, late := c.late[b]
	if !late {
		_, late = c.later[b]
	}
	return late
}

func (c *clients) remove(tx *clientTx) {
	tx.state = terminated
	delete(c.table, tx.branch)
	heap.Remove(&c.timers, tx.index)
}

// end ends a transaction that has not ended yet.
func (c *clients) end(tx *clientTx, res *sip.Response, err error) {
	c.mu.Lock()
	if tx.state > proceeding {
		c.mu.Unlock()
		return
	}
	var linger time.Duration
	if err == nil && tx.conn == nil {
		linger = t4PerT1 * c.t1
	}
	out := c.conclude(tx, linger)
	c.mu.Unlock()
	c.report(out, res, err)
}

// report tells the user of a transaction how it ended; there is one outcome for each.
func (c *clients) report(out *outcome, res *sip.Response, err error) {
	if out.conn != nil {
		out.conn.unlink(out.tx)
	}
	defer func() {
		if p := recover(); p != nil {
			c.s.cfg.Log.Error("panic while a response was handled", "panic", p, "stack", string(debug.Stack()))
		}
	}()
	out.done(res, err)
}

// find returns the transaction that a response belongs to and notes a provisional one (RFC 3261 17.1.3). known is
// false for a stray response, tx nil when there is nothing to do.
func (c *clients) find(e *envelope) (tx *clientTx, known bool) {
	b, ok := parseBranch(e.top.branch)
	if !ok {
		return nil, false
	}
	if string(e.cseqMethod) == "CANCEL" {
		b = b.ofCancel()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	tx = c.table[b]
	switch {
	case tx == nil && c.completed(b):
		c.s.count.late.Add(1)
		return nil, true
	case tx == nil:
		return nil, false
	case tx.state == completed:
		c.s.count.late.Add(1)
		if e.status < 200 {
			return nil, true
		}
		return tx, true
	case tx.o == nil || string(e.cseqMethod) != tx.o.Method:
		return nil, false
	case e.status < 200 && tx.invite != nil:
		c.rang(tx)
	case e.status < 200:
		if s := tx.o.silence; tx.state == trying && s > 0 && s < 64*c.t1 { // it is not silent
			tx.end += 64*c.t1 - s
		}
		tx.state = proceeding
		return nil, true
	}
	return tx, true
}

// response takes a response; what belongs to no transaction is dropped (RFC 6026). One to a request of ours has our
// Via alone (RFC 3261 8.1.3.3); what else may be odd about its header is for whoever reads that.
func (s *Stack) response(e *envelope, f *Flow) {
	if !e.oneVia() && s.relay.proxy == nil || e.cseqMethod == nil {
		s.malformed("response: "+e.fault, f.kind, f.remote, e.head)
		return
	}
	if s.passBack(e) {
		return
	}
	tx, known := s.client.find(e)
	if !known {
		s.count.stray.Add(1)
	}
	if tx == nil {
		return
	}
	if tx.relayed == e.oneVia() || tx.relayed && e.fault != "" {
		s.malformed("response: "+e.fault, f.kind, f.remote, e.head)
		return
	}
	if tx.relayed {
		s.client.end(tx, carry(e), nil)
		return
	}
	if e.length > len(e.body) || bytes.Count(e.start, []byte(" ")) < 2 {
		s.malformed("response: incomplete", f.kind, f.remote, e.head)
		return
	}
	if tx.invite != nil {
		s.responded(tx, e)
		return
	}
	if tx.reads != nil {
		s.client.end(tx, e.brief(tx.reads), nil)
		return
	}
	s.client.end(tx, e.response(), nil)
}

// close ends all transactions.
func (c *clients) close() {
	c.mu.Lock()
	c.ended = true
	if c.timer != nil {
		c.timer.Stop()
	}
	all := make([]*outcome, 0, c.open)
	for _, tx := range c.table {
		if tx.state <= proceeding {
			all = append(all, c.conclude(tx, 0))
		}
	}
	c.table, c.timers, c.late, c.later = make(map[branch]*clientTx), nil, nil, nil
	c.mu.Unlock()
	if len(all) > 0 {
		c.s.goes.Go(func() {
			for _, out := range all {
				c.report(out, nil, ErrClosed)
			}
		})
	}
}

func (c *clients) pending() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.open
}

// txHeap orders transactions by when they are due.
type txHeap []*clientTx

func (h txHeap) Len() int           { return len(h) }
func (h txHeap) Less(i, j int) bool { return h[i].due < h[j].due }
func (h txHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}
func (h *txHeap) Push(x any) {
	tx := x.(*clientTx)
	tx.index = len(*h)
	*h = append(*h, tx)
}
func (h *txHeap) Pop() any {
	old := *h
	tx := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return tx
}
