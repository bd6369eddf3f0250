package relay

import (
	"time"

	"imp/internal/msrp/wire"
)

// pending is a transaction with the next hop that has no answer yet.
type pending struct {
	id     [idLength]byte
	kind   kind
	open   bool
	sent   int64 // nanoseconds; 0 while it waits in the outbox
	source *conn
	flow   *flow
	from   int64 // range of a SEND
	size   int64
	total  int64
	name   [wire.MaxID]byte // Message-ID of a SEND
	named  uint8
	back   string // transaction ID that the source gave to a request other than SEND

	credentials bool // it is an AUTH with them
}

type kind uint8

const (
	sendAcked   kind = iota // Failure-Report: yes
	sendPartial             // Failure-Report: partial
	other                   // forwarded, with an answer that goes all the way back
)

// The ID of a transaction has 13 random characters, 77 bits, and then its number.
const (
	randomLength = 13
	numberLength = 3
	idLength     = randomLength + numberLength
	numbers      = 1 << (6 * numberLength)
	maxPending   = 1 << 14
	maxHeld      = 16 << 20
)

const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-"

var digitValue = func() (t [256]int8) {
	for i := range t {
		t[i] = -1
	}
	for i := range digits {
		t[digits[i]] = int8(i)
	}
	return t
}()

// transactions are those of one connection in the order of their beginning, in a ring that grows.
type transactions struct {
	ring  []pending // a power of two long
	first uint32    // number of the oldest one
	next  uint32    // number of the next one
	sent  uint32    // those before it have been sent
	held  int       // bytes of their paths, which senders may make long; maxHeld bounds them
	bytes int64     // of bodies that have been written to their end and are not answered
}

func (t *transactions) at(n uint32) *pending { return &t.ring[n&uint32(len(t.ring)-1)] }

// full reports whether there is no room for another one. Those that need no answer make room.
func (t *transactions) full() bool {
	t.trim()
	for t.crowded() && t.at(t.first).kind == sendPartial {
		t.end(t.at(t.first))
		t.trim()
	}
	return t.crowded()
}

func (t *transactions) crowded() bool { return t.next-t.first >= maxPending || t.held >= maxHeld }

// add begins a transaction of a flow to this connection. The pointer is valid until the next one.
func (t *transactions) add(f *flow) *pending {
	if n := uint32(len(t.ring)); t.next-t.first == n {
		grown := make([]pending, max(2*n, 8))
		for i := t.first; i != t.next; i++ {
			grown[i&uint32(len(grown)-1)] = *t.at(i)
		}
		t.ring = grown
	}
	p := t.at(t.next)
	t.next++
	*p = pending{open: true, flow: f}
	if f.pending++; f.pending == 1 {
		t.held += f.size()
	}
	return p
}

// find gives the transaction with this ID, nil without one.
func (t *transactions) find(id []byte) *pending {
	if len(id) != idLength || t.first == t.next {
		return nil
	}
	n := uint32(0)
	for _, c := range id[randomLength:] {
		v := digitValue[c]
		if v < 0 {
			return nil
		}
		n = n<<6 | uint32(v)
	}
	at := t.first + (n-t.first)&(numbers-1)
	if at-t.first >= t.next-t.first {
		return nil
	}
	if p := t.at(at); p.open && string(p.id[:]) == string(id) {
		return p
	}
	return nil
}

// trim forgets the oldest ones that have ended.
func (t *transactions) trim() {
	for t.first != t.next && !t.at(t.first).open {
		f := t.at(t.first).flow
		if f.pending--; f.pending == 0 {
			t.held -= f.size()
		}
		*t.at(t.first) = pending{}
		t.first++
	}
	if int32(t.sent-t.first) < 0 {
		t.sent = t.first
	}
}

// stamp notes when those before a number were sent.
func (t *transactions) stamp(before uint32, now time.Time) {
	for ; t.sent != before && t.sent != t.next; t.sent++ {
		t.at(t.sent).sent = now.UnixNano()
	}
}

// expired takes the transactions out that have waited too long since they were sent.
func (t *transactions) expired(now time.Time) (list []pending) {
	limit := now.Add(-transaction).UnixNano()
	for n := t.first; n != t.next && n != t.sent; n++ {
		p := t.at(n)
		if p.sent > limit {
			break
		}
		if p.open {
			list = append(list, *p)
			t.end(p)
		}
	}
	t.trim()
	if t.first == t.next && len(t.ring) > 64 {
		t.ring = nil
	}
	return list
}

// wait notes that the end of a SEND has been put out, whose answer is waited for.
func (t *transactions) wait(p *pending, size int64) {
	if p.size = size; p.kind == sendAcked {
		t.bytes += size
		p.flow.bytes += size
	}
}

// end ends a transaction.
func (t *transactions) end(p *pending) {
	if p.open = false; p.kind == sendAcked {
		t.bytes -= p.size
		p.flow.bytes -= p.size
	}
}

// takeAll takes all out.
func (t *transactions) takeAll() (list []pending) {
	for ; t.first != t.next; t.first++ {
		if p := t.at(t.first); p.open {
			list = append(list, *p)
		}
	}
	*t = transactions{}
	return list
}

// appendNumber adds the end of an ID.
func appendNumber(b []byte, n uint32) []byte {
	for shift := 6 * (numberLength - 1); shift >= 0; shift -= 6 {
		b = append(b, digits[n>>shift&63])
	}
	return b
}
