package session

import (
	"strconv"
	"time"

	"imp/internal/msrp/wire"
)

// transaction is a request that may be answered.
type transaction struct {
	random   [idLength]byte
	sent     *Sent            // SEND
	reply    chan<- *Response // other methods
	quiet    bool             // Failure-Report: partial, so that silence is no failure
	writing  bool             // its last byte has not been written
	answered bool
	deadline time.Time // zero until its last byte has been written
}

// idLength is the length of what wire.IDs makes.
const idLength = 16

// transactions are those of one connection in the order of sending. The transaction ID has 16 random characters and
// the number of the transaction behind them, so that a response is found by its number.
type transactions struct {
	first   uint64 // number of ring[head]
	ring    []transaction
	head, n int
	stamped uint64 // those before this number have a deadline, but for one that is being written
	timer   *time.Timer
	closed  bool
}

func (t *transactions) at(number uint64) *transaction {
	return &t.ring[(t.head+int(number-t.first))%len(t.ring)]
}

// next adds a transaction whose ID must not be in body, and appends the ID to b.
func (t *transactions) next(b []byte, ids *wire.IDs, body []byte, tr transaction) (id []byte, number uint64) {
	if t.n == len(t.ring) {
		t.grow()
	}
	number = t.first + uint64(t.n)
	id = appendID(b, ids, number, body)
	copy(tr.random[:], id[len(b):])
	t.n++
	*t.at(number) = tr
	return id, number
}

func (t *transactions) grow() {
	ring := make([]transaction, max(8, 2*len(t.ring)))
	for i := range t.n {
		ring[i] = t.ring[(t.head+i)%len(t.ring)]
	}
	t.ring, t.head = ring, 0
}

// find gives the transaction with an ID; nil if there is none.
func (t *transactions) find(id []byte) *transaction {
	if len(id) <= idLength {
		return nil
	}
	number, err := strconv.ParseUint(string(id[idLength:]), 36, 64)
	if err != nil || number < t.first || number >= t.first+uint64(t.n) {
		return nil
	}
	tr := t.at(number)
	if tr.answered || string(tr.random[:]) != string(id[:idLength]) {
		return nil
	}
	return tr
}

// trim forgets answered transactions, and those that are older than limit and need no answer.
func (t *transactions) trim(limit int) {
	for t.n > 0 {
		tr := &t.ring[t.head]
		if !tr.answered && !(tr.quiet && !tr.writing && t.n >= limit) {
			return
		}
		*tr = transaction{}
		t.head = (t.head + 1) % len(t.ring)
		t.first++
		t.n--
	}
}

// stamp gives a deadline to all transactions before a number, whose last byte has just been written.
func (t *transactions) stamp(upTo uint64, deadline time.Time) {
	for number := max(t.stamped, t.first); number < upTo; number++ {
		if tr := t.at(number); !tr.writing {
			tr.deadline = deadline
		}
	}
	t.stamped = max(t.stamped, upTo)
}

// end gives a deadline to one transaction, unless it is forgotten.
func (t *transactions) end(number uint64, deadline time.Time) {
	if number < t.first || number >= t.first+uint64(t.n) {
		return
	}
	tr := t.at(number)
	tr.writing, tr.deadline = false, deadline
}

// late takes the transactions out that are past their deadline; next is when the next one will be, zero for none.
func (t *transactions) late(now time.Time) (late []transaction, next time.Time) {
	for i := range t.n {
		tr := &t.ring[(t.head+i)%len(t.ring)]
		switch {
		case tr.answered || tr.deadline.IsZero():
		case tr.deadline.After(now):
			return late, tr.deadline
		default:
			if !tr.quiet {
				late = append(late, *tr)
			}
			tr.answered = true
		}
	}
	return late, time.Time{}
}

// close forgets all and gives those who wait for a Response.
func (t *transactions) close() (waiting []chan<- *Response) {
	for i := range t.n {
		if tr := &t.ring[(t.head+i)%len(t.ring)]; tr.reply != nil && !tr.answered {
			waiting = append(waiting, tr.reply)
		}
	}
	if t.timer != nil {
		t.timer.Stop()
	}
	t.ring, t.head, t.n, t.closed = nil, 0, 0, true
	return waiting
}

// appendID adds a transaction ID with a number, whose end-line is not in body.
func appendID(b []byte, ids *wire.IDs, number uint64, body []byte) []byte {
	start := len(b)
	for {
		b = strconv.AppendUint(ids.Append(b[:start]), number, 36)
		if !occurs(body, b[start:]) {
			return b
		}
	}
}

// arm sees to it that late transactions are noticed. The lock of the connection is held.
func (c *Conn) arm(at time.Time) {
	if c.trans.closed {
		return
	}
	wait := at.Sub(c.node.cfg.Now())
	if c.trans.timer == nil {
		c.trans.timer = time.AfterFunc(wait, c.expire)
		return
	}
	c.trans.timer.Reset(wait)
}

// expire tells of requests without a response in time (RFC 4975 section 7.1.1). While reading is stalled on our side,
// responses may wait unread, so nothing is late.
func (c *Conn) expire() {
	now := c.node.cfg.Now()
	wait := c.node.cfg.Times.Response
	c.mu.Lock()
	c.trans.timer = nil
	if c.trans.closed {
		c.mu.Unlock()
		return
	}
	if c.stalled || now.Sub(c.resumed) < wait {
		c.arm(now.Add(wait))
		c.mu.Unlock()
		return
	}
	late, next := c.trans.late(now)
	c.trans.trim(c.node.cfg.Limits.Unanswered)
	if !next.IsZero() {
		c.arm(next)
	}
	c.room.Broadcast()
	c.mu.Unlock()
	for _, tr := range late {
		if tr.sent != nil {
			tr.sent.answered(ErrTimeout)
		} else if tr.reply != nil {
			close(tr.reply)
		}
	}
}
