package bolt

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"

	"imp/internal/store"
)

const (
	// queueSize is how many writes wait at most; more callers wait to be let
	// into the queue.
	queueSize = 1024
	// batchSize and batchBytes bound what goes into one commit.
	batchSize  = 512
	batchBytes = 8 << 20
	// reapBatch is how many entries expire in one commit.
	reapBatch = 256
	// maxWait is how long the committer sleeps at most while something is to
	// expire: the wall clock may be set meanwhile.
	maxWait = time.Minute
	// retryWait is how long expiry pauses after a commit has failed.
	retryWait = time.Second
	// keepArena is the largest buffer for records that is kept.
	keepArena = 1 << 20
)

// work is one write that a caller wants.
type work struct {
	key    string
	value  []byte
	want   store.Rev
	ttl    time.Duration
	remove bool
}

// The states of a request.
const (
	waiting uint32 = iota
	taken          // by the committer: it will answer
	withdrawn
)

// request is work in the queue and its answer.
type request struct {
	work
	state atomic.Uint32
	rev   store.Rev
	err   error
	done  chan struct{} // holds one token when rev and err are there
}

// submit has the committer do w and returns the answer.
func (s *Store) submit(ctx context.Context, w work) (store.Rev, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	select {
	case <-s.stop:
		return 0, store.ErrUnavailable
	default:
	}
	r := s.free.Get().(*request)
	r.work, r.rev, r.err = w, 0, nil
	r.state.Store(waiting)
	select {
	case s.requests <- r:
	case <-ctx.Done():
		return 0, ctx.Err()
	case <-s.stop:
		return 0, store.ErrUnavailable
	}
	select {
	case <-r.done:
	case <-ctx.Done():
		if r.state.CompareAndSwap(waiting, withdrawn) {
			return 0, ctx.Err()
		}
		select {
		case <-r.done:
		default:
			return 0, fmt.Errorf("%w: %w", store.ErrUnknown, ctx.Err())
		}
	case <-s.ended:
		// The request came in behind the committer's back, or was answered.
		select {
		case <-r.done:
		default:
			return 0, store.ErrUnavailable
		}
	}
	rev, err := r.rev, r.err
	r.work = work{}
	s.free.Put(r)
	return rev, err
}

// change is what watchers hear of a key.
type change struct {
	key  string
	kind store.Kind
}

// committer is the one goroutine that writes. It takes all writes that wait
// into one transaction, so that they share the waiting for the disk: those that
// come meanwhile are the next. A lone write waits for nobody.
type committer struct {
	s       *Store
	timer   *time.Timer
	batch   []*request
	changes []change
	arena   []byte // the records of the transaction
	wrote   bool   // the transaction changes something
	due     int64  // when the next entry may expire; 0 when none does
	failed  bool   // the last commit
}

func newCommitter(s *Store) *committer {
	return &committer{s: s, timer: time.NewTimer(0)}
}

// run serves the queue and expiry until the store closes.
func (c *committer) run() {
	defer close(c.s.ended)
	defer c.timer.Stop()
	for {
		select {
		case <-c.s.stop:
			c.refuse()
			return
		case r := <-c.s.requests:
			c.collect(r)
		case <-c.timer.C:
		}
		now := time.Now().UnixNano()
		if c.failed && len(c.batch) > 0 {
			// Expiry must not fail with the writes that no room is left for.
			c.commit(nil, now)
		}
		c.commit(c.batch, now)
		clear(c.batch)
		c.batch = c.batch[:0]
		c.schedule(now)
	}
}

// refuse answers the writes that wait when the store closes.
func (c *committer) refuse() {
	for {
		select {
		case r := <-c.s.requests:
			r.err = store.ErrUnavailable
			r.done <- struct{}{}
		default:
			return
		}
	}
}

// collect takes r and what else waits into the batch.
func (c *committer) collect(r *request) {
	for size := 0; ; {
		if r.state.CompareAndSwap(waiting, taken) {
			c.batch = append(c.batch, r)
			size += len(r.value)
		}
		if len(c.batch) == batchSize || size >= batchBytes {
			return
		}
		select {
		case r = <-c.s.requests:
		default:
			return
		}
	}
}

// schedule sets the timer to the next expiry.
func (c *committer) schedule(now int64) {
	wait := time.Duration(max(c.due-now, 0))
	switch {
	case c.failed:
		wait = retryWait
	case c.due == 0:
		c.timer.Stop()
		return
	}
	c.timer.Reset(min(wait, maxWait))
}

// commit does the work of batch, together with what has expired, tells the
// watchers and answers. When a batch fails its halves are tried, so that a
// write that there is no room for fails alone.
func (c *committer) commit(batch []*request, now int64) {
	err := c.write(batch, now)
	c.failed = err != nil
	if err != nil && len(batch) > 1 && !c.s.broken && !errors.Is(err, store.ErrUnknown) {
		c.commit(batch[:len(batch)/2], now)
		c.commit(batch[len(batch)/2:], now)
		return
	}
	if err == nil || errors.Is(err, store.ErrUnknown) {
		c.s.publish(c.changes)
	}
	for _, r := range batch {
		if err != nil {
			r.rev, r.err = 0, err
		}
		r.done <- struct{}{}
	}
}

// errNothing makes a transaction that changes nothing end without a commit.
var errNothing = errors.New("nothing to write")

// write does the work of batch in one transaction. An error is for all of it:
// store.ErrUnavailable when nothing was written, store.ErrUnknown when it was
// but may not stay.
func (c *committer) write(batch []*request, now int64) error {
	if c.s.broken {
		return fmt.Errorf("%w: %w, writing has ended", store.ErrUnavailable, ErrDamaged)
	}
	c.changes, c.wrote = c.changes[:0], false
	if c.arena = c.arena[:0]; cap(c.arena) > keepArena {
		c.arena = nil
	}
	c.s.db.MaxSize = c.s.maxSize + reserve
	if slices.ContainsFunc(batch, func(r *request) bool { return !r.remove }) {
		c.s.db.MaxSize = c.s.maxSize
	}
	id := 0
	err := c.update(func(tx *bbolt.Tx) error {
		id = tx.ID()
		t := table{tx.Bucket(entriesBucket), tx.Bucket(expiryBucket)}
		for _, r := range batch {
			if err := c.apply(t, r, now); err != nil {
				return err
			}
		}
		if err := c.reap(t, now); err != nil {
			return err
		}
		c.due = t.firstDue()
		if !c.wrote {
			return errNothing
		}
		return nil
	})
	switch {
	case err == nil, errors.Is(err, errNothing):
		return nil
	case c.s.broken:
		return err
	}
	why := store.ErrUnavailable
	c.s.db.View(func(tx *bbolt.Tx) error {
		if tx.ID() >= id {
			why = store.ErrUnknown // only the last waiting for the disk failed
		}
		return nil
	})
	return fmt.Errorf("%w: writing %s: %w", why, c.s.file.Name(), err)
}

// update runs write in a write transaction. When a damaged page makes it panic
// no later one is begun: the locks may be held for ever.
func (c *committer) update(write func(tx *bbolt.Tx) error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() { c.s.broken = c.s.broken || errors.Is(err, ErrDamaged) }()
	defer recovered(&err)
	return c.s.db.Update(write)
}

// table is the file in a write transaction.
type table struct{ entries, expiry *bbolt.Bucket }

// firstDue is the first due time of the expiry index, 0 when it is empty.
func (t table) firstDue() int64 {
	k, _ := t.expiry.Cursor().First()
	due, _ := splitDue(k)
	return due
}

// apply judges and does one write. The answer is in r; an error is for the
// whole transaction.
func (c *committer) apply(t table, r *request, now int64) error {
	key := []byte(r.key)
	old, found, err := lookup(t.entries, key)
	if err != nil {
		r.rev, r.err = 0, err
		return nil
	}
	live := found && !old.expired(now)
	r.rev, r.err = 0, judge(r, old.rev, live)
	if r.err != nil {
		return nil
	}
	c.wrote = true
	if r.remove {
		c.changes = append(c.changes, change{r.key, store.Delete})
		return t.drop(key, old.slot)
	}
	rev, err := t.entries.NextSequence()
	if err != nil {
		return err
	}
	next := record{rev: store.Rev(rev), deadline: deadlineAfter(now, r.ttl), slot: old.slot, value: r.value}
	if next.deadline == 0 || next.slot == 0 || next.deadline < next.slot {
		if err := t.move(key, old.slot, next.deadline); err != nil {
			return err
		}
		next.slot = next.deadline
	}
	if !found {
		if err := t.count(1); err != nil {
			return err
		}
	}
	r.rev = next.rev
	c.changes = append(c.changes, change{r.key, store.Put})
	return c.put(t, key, next)
}

// judge tells why r cannot be done on a key at revision rev.
func judge(r *request, rev store.Rev, live bool) error {
	switch {
	case !live && r.remove:
		return store.ErrNotFound
	case r.want == store.AnyRev, live && r.want == rev, !live && r.want == 0:
		return nil
	}
	return store.ErrConflict
}

// put writes the record of key. It lies in the arena until the commit.
func (c *committer) put(t table, key []byte, r record) error {
	start := len(c.arena)
	c.arena = r.appendTo(c.arena, key)
	return t.entries.Put(key, c.arena[start:])
}

// move changes the place of key in the expiry index, 0 being none.
func (t table) move(key []byte, from, to int64) error {
	if from != 0 && from != to {
		if err := t.expiry.Delete(dueKey(from, key)); err != nil {
			return err
		}
	}
	if to == 0 || from == to {
		return nil
	}
	return t.expiry.Put(dueKey(to, key), nil)
}

// drop removes key and its place in the expiry index.
func (t table) drop(key []byte, slot int64) error {
	if err := t.move(key, slot, 0); err != nil {
		return err
	}
	if err := t.count(^uint64(0)); err != nil {
		return err
	}
	return t.entries.Delete(key)
}

// count adds n to the number of entries.
func (t table) count(n uint64) error { return t.expiry.SetSequence(t.expiry.Sequence() + n) }

// reap removes what has expired, a bounded number at a time, and moves the
// slots that came up before the deadline.
func (c *committer) reap(t table, now int64) error {
	limit := reapBatch
	if c.failed {
		limit = 1 // which may fit where many do not
	}
	var came [][]byte
	cursor := t.expiry.Cursor()
	for k, _ := cursor.First(); k != nil && len(came) < limit; k, _ = cursor.Next() {
		due, key := splitDue(k)
		if due > now {
			break
		}
		came = append(came, dueKey(due, key))
	}
	for _, k := range came {
		due, key := splitDue(k)
		c.wrote = true
		r, found, err := lookup(t.entries, key)
		if err != nil || !found || r.slot != due {
			// What does not fit must not come up for ever.
			if err := t.expiry.Delete(k); err != nil {
				return err
			}
			continue
		}
		if r.expired(now) {
			c.changes = append(c.changes, change{string(key), store.Expire})
			err = t.drop(key, r.slot)
		} else {
			err = t.move(key, r.slot, r.deadline)
			r.slot = r.deadline
			if err == nil {
				err = c.put(t, key, r)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}
