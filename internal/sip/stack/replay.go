package stack

import (
	"encoding/binary"
	"hash/maphash"
	"sync"
	"time"
)

// key identifies a server transaction, or what a merged request has in common with the first. It is a keyed hash of
// 128 bits, so nobody can make two requests share one.
type key [2]uint64

func (k key) put(b []byte) {
	binary.BigEndian.PutUint64(b, k[0])
	binary.BigEndian.PutUint64(b[8:], k[1])
}

// keyer makes keys.
type keyer struct{ seeds [2]maphash.Seed }

func newKeyer() keyer { return keyer{[2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}} }

func (y keyer) sum(parts ...[]byte) (k key) {
	for i, seed := range y.seeds {
		var h maphash.Hash
		h.SetSeed(seed)
		for _, p := range parts {
			h.Write(p)
			h.WriteByte(0)
		}
		k[i] = h.Sum64()
	}
	return k
}

var cookie = "z9hg4bk"

// transaction is the key of RFC 3261 17.2.3: branch, sent-by and method. A branch without the magic cookie, or with
// nothing behind it, is not unique; there the fields that RFC 2543 matched by are added.
func (y keyer) transaction(e *envelope, method []byte) key {
	var port [2]byte
	binary.BigEndian.PutUint16(port[:], e.top.port)
	b := e.top.branch
	if len(b) > len(cookie) && equalFold(b[:len(cookie)], cookie) {
		return y.sum(b, e.top.host, port[:], method)
	}
	var seq [4]byte
	binary.BigEndian.PutUint32(seq[:], e.cseqNumber)
	return y.sum(b, e.top.host, port[:], method, e.callID, e.from, seq[:], e.uri)
}

// merged is the key of RFC 3261 8.2.2.2. All of From is taken, not its tag alone: clients with poor random numbers
// share Call-ID and tag, and must not be refused for each other.
func (y keyer) merged(e *envelope) key {
	var seq [4]byte
	binary.BigEndian.PutUint32(seq[:], e.cseqNumber)
	return y.sum(e.callID, e.from, seq[:], e.method)
}

// replay remembers final answers to requests that came over UDP, and which requests are being or have been handled,
// for 64*T1 (timer J) at least and twice that at most. It keeps two generations, and forgets the older one when the
// time or the memory for the younger is used up.
type replay struct {
	period time.Duration
	limit  int // bytes of one generation

	mu    sync.Mutex
	cur   generation
	old   generation
	timer *time.Timer // runs while there is something to forget
	ended bool
}

type generation struct {
	answers map[key]place
	merged  map[key]key
	chunks  [][]byte
	bytes   int
}

// place is where an answer lies; a length of 0 means that the request is still being handled.
type place struct{ chunk, off, statusLen, tagLen, len uint32 }

const (
	chunkSize = 64 << 10
	entrySize = 64 // of a map entry, about
)

func newReplay(period time.Duration, limit int) *replay {
	return &replay{period: period, limit: limit / 2}
}

// sighting is what replay knows about a request.
type sighting int

const (
	unknown  sighting = iota
	pending           // being handled
	answered          // the answer is there
	merged            // another branch of a request that was handled
)

// meet looks a request up and, when it is new, remembers that it is being handled. Only requests over UDP are looked
// for among the answers; only those without a To tag can be merged. The answer is appended to buf.
func (r *replay) meet(k, m key, datagram, initial bool, buf []byte) (sighting, []byte, rendered) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if datagram {
		if g, p, ok := r.find(k); ok {
			if p.len == 0 {
				return pending, buf, rendered{}
			}
			buf = append(buf, g.chunks[p.chunk][p.off:p.off+p.len]...)
			return answered, buf, rendered{
				status: buf[:p.statusLen], tag: buf[p.statusLen : p.statusLen+p.tagLen],
				tail: buf[p.statusLen+p.tagLen:],
			}
		}
	}
	if initial {
		if first, ok := r.first(m); ok && first != k {
			return merged, buf, rendered{}
		}
	}
	r.room(2 * entrySize)
	if datagram {
		r.cur.answers[k] = place{}
		r.cur.bytes += entrySize
	}
	if initial {
		r.cur.merged[m] = k
		r.cur.bytes += entrySize
	}
	return unknown, buf, rendered{}
}

func (r *replay) find(k key) (*generation, place, bool) {
	if p, ok := r.cur.answers[k]; ok {
		return &r.cur, p, true
	}
	p, ok := r.old.answers[k]
	return &r.old, p, ok
}

func (r *replay) first(m key) (key, bool) {
	if k, ok := r.cur.merged[m]; ok {
		return k, true
	}
	k, ok := r.old.merged[m]
	return k, ok
}

// hold remembers a request over a stream while its answer is awaited, for CANCEL; release forgets it.
func (r *replay) hold(k key) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.room(entrySize)
	r.cur.answers[k] = place{}
	r.cur.bytes += entrySize
}

func (r *replay) release(k key) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.drop(k)
}

// known tells whether the transaction is remembered, for CANCEL.
func (r *replay) known(k key) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, _, ok := r.find(k)
	return ok
}

// keep stores the final answer to a request that came over UDP.
func (r *replay) keep(k key, a rendered) {
	n := len(a.status) + len(a.tag) + len(a.tail)
	r.mu.Lock()
	defer r.mu.Unlock()
	if n > r.limit {
		r.drop(k)
		return
	}
	r.room(n + entrySize)
	last := len(r.cur.chunks) - 1
	if last < 0 || len(r.cur.chunks[last])+n > cap(r.cur.chunks[last]) {
		r.cur.chunks = append(r.cur.chunks, make([]byte, 0, max(n, min(chunkSize, r.limit))))
		last++
	}
	c := r.cur.chunks[last]
	p := place{uint32(last), uint32(len(c)), uint32(len(a.status)), uint32(len(a.tag)), uint32(n)}
	c = append(append(append(c, a.status...), a.tag...), a.tail...)
	r.cur.chunks[last] = c
	r.cur.answers[k] = p
	r.cur.bytes += n
}

// forget ends a request without keeping its answer: the same request may come again, with the same branch and
// credentials, and is then a new one.
func (r *replay) forget(k, m key) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.drop(k)
	for _, g := range [...]*generation{&r.cur, &r.old} {
		if g.merged[m] == k {
			delete(g.merged, m)
		}
	}
}

func (r *replay) drop(k key) {
	delete(r.cur.answers, k)
	delete(r.old.answers, k)
}

// room makes sure that there is a current generation with room for n more bytes, and that it ends.
func (r *replay) room(n int) {
	if r.cur.bytes > 0 && r.cur.bytes+n > r.limit {
		r.rotate()
		if r.timer != nil {
			r.timer.Reset(r.period)
		}
	}
	if r.cur.answers == nil {
		r.cur = generation{answers: make(map[key]place), merged: make(map[key]key)}
	}
	if r.timer == nil && !r.ended {
		r.timer = time.AfterFunc(r.period, r.tick)
	}
}

func (r *replay) rotate() {
	r.old, r.cur = r.cur, generation{answers: make(map[key]place), merged: make(map[key]key)}
}

func (r *replay) tick() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cur.bytes == 0 {
		r.old, r.cur, r.timer = generation{}, generation{}, nil
		return
	}
	r.rotate()
	if !r.ended {
		r.timer.Reset(r.period)
	}
}

func (r *replay) size() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.cur.bytes + r.old.bytes
}

// close stops the clock.
func (r *replay) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended = true
	if r.timer != nil {
		r.timer.Stop()
	}
	r.cur, r.old = generation{}, generation{}
}
