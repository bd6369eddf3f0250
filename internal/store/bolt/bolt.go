// Package bolt is the durable back end of the contract in package store: one
// file of go.etcd.io/bbolt, a B+tree that is copied on write, with a committer
// of our own that puts the writes of many callers under one commit.
//
// An acknowledged write is on the disk. Times to live go by the wall clock, so
// that they pass while no process runs. Nothing is kept in memory but what
// waits: reads come from the mapped file, and expiry has an index in it.
package bolt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"runtime/debug"
	"sync"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"imp/internal/store"
)

const (
	// maxValue is the longest value that Put takes, as in memory.
	maxValue = 1 << 20
	// maxKey is the longest key: what bbolt takes, less the time that the
	// expiry index puts before it.
	maxKey = bbolt.MaxKeySize - dueSize
	// pageSize and pageBytes bound what is copied out in one read transaction:
	// a long one keeps old pages from being used again.
	pageSize  = 64
	pageBytes = 1 << 20
)

// limits are what the back end can do.
var limits = store.Limits{MaxValue: maxValue, TTLStep: time.Second, SurvivesKill: true, SurvivesPowerLoss: true}

// Store is a [store.KV] in one file. Make one with [Open] and end it with
// [Store.Close].
type Store struct {
	db       *bbolt.DB
	file     *os.File // of db
	requests chan *request
	free     sync.Pool     // of *request
	stop     chan struct{} // closed by Close
	ended    chan struct{} // closed when the committer has left
	maxSize  int           // of the file while there are puts
	broken   bool          // a write transaction panicked; the committer's, until ended

	mu       sync.Mutex
	closed   bool
	watchers []*watcher
	running  sync.WaitGroup // one per watcher
}

var _ store.KV = (*Store)(nil)

// Close ends all watches, refuses the writes that wait, and returns when no
// goroutine of the store is left and the file is closed. Every later call of
// other methods returns store.ErrUnavailable.
func (s *Store) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	close(s.stop)
	for _, w := range s.watchers {
		w.cancel()
	}
	s.mu.Unlock()
	<-s.ended
	s.running.Wait()
	if s.broken {
		// Its transaction may hold locks that db.Close waits for.
		unlock(s.file)
		return s.file.Close()
	}
	if err := s.db.Close(); err != nil {
		return fmt.Errorf("closing the store %s: %w", s.file.Name(), err)
	}
	return nil
}

// Limits implements [store.KV].
func (s *Store) Limits() store.Limits { return limits }

// view runs read in a read transaction. What a damaged page makes bbolt do, a
// panic or a fault in the mapped file, becomes an error.
func (s *Store) view(read func(tx *bbolt.Tx) error) (err error) {
	select {
	case <-s.stop:
		return store.ErrUnavailable
	default:
	}
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer recovered(&err)
	err = s.db.View(read)
	if errors.Is(err, berrors.ErrDatabaseNotOpen) || errors.Is(err, berrors.ErrInvalidMapping) {
		err = fmt.Errorf("%w: %w", store.ErrUnavailable, err)
	}
	return err
}

// recovered makes a panic the error that says so. It is to be deferred.
func recovered(err *error) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("%w: %w: %v", store.ErrUnavailable, ErrDamaged, r)
	}
}

// Get implements [store.KV].
func (s *Store) Get(ctx context.Context, key string) (e store.Entry, err error) {
	if err := ctx.Err(); err != nil {
		return e, err
	}
	err = s.view(func(tx *bbolt.Tx) error {
		r, found, err := lookup(tx.Bucket(entriesBucket), []byte(key))
		if err == nil && (!found || r.expired(time.Now().UnixNano())) {
			err = store.ErrNotFound
		}
		if err == nil {
			e = r.entry(key)
		}
		return err
	})
	return e, err
}

// Put implements [store.KV]. It returns when the write is on the disk, together
// with those of others. A full disk, or a file of the greatest size, makes it
// store.ErrUnavailable. When ctx ends while the write is on its way to the disk
// the error is store.ErrUnknown and that of ctx.
func (s *Store) Put(ctx context.Context, key string, val []byte, want store.Rev, ttl time.Duration) (store.Rev, error) {
	if err := checkPut(key, val, ttl); err != nil {
		return 0, err
	}
	return s.submit(ctx, work{key: key, value: val, want: want, ttl: limits.Round(ttl)})
}

func checkPut(key string, val []byte, ttl time.Duration) error {
	if err := store.CheckKey(key); err != nil {
		return err
	}
	switch {
	case len(key) > maxKey:
		return fmt.Errorf("%w: put %.200s: a key of %d bytes, at most %d", store.ErrInvalid, key, len(key), maxKey)
	case ttl < 0:
		return fmt.Errorf("%w: put %s: negative time to live %v", store.ErrInvalid, key, ttl)
	case len(val) > maxValue:
		return fmt.Errorf("%w: put %s: %d bytes, at most %d", store.ErrTooLarge, key, len(val), maxValue)
	}
	return nil
}

// Delete implements [store.KV], with the durability and the errors of Put.
func (s *Store) Delete(ctx context.Context, key string, want store.Rev) error {
	_, err := s.submit(ctx, work{key: key, want: want, remove: true})
	return err
}

// Scan implements [store.KV], in the order of the keys.
func (s *Store) Scan(ctx context.Context, prefix string) iter.Seq2[store.Entry, error] {
	return func(yield func(store.Entry, error) bool) {
		if err := checkPrefix(prefix); err != nil {
			yield(store.Entry{}, err)
			return
		}
		var page []store.Entry
		for after, more := "", true; more; {
			err := ctx.Err()
			if err == nil {
				page, more, err = s.page(prefix, after, page[:0])
			}
			if err != nil {
				yield(store.Entry{}, err)
				return
			}
			for _, e := range page {
				if !yield(e, nil) {
					return
				}
				after = e.Key
			}
		}
	}
}

func checkPrefix(prefix string) error {
	if prefix == "" {
		return nil
	}
	return store.CheckKey(prefix)
}

// page appends the next live entries under prefix whose key is greater than
// after ("" begins at the first) and tells whether there may be more.
func (s *Store) page(prefix, after string, page []store.Entry) (_ []store.Entry, more bool, err error) {
	err = s.view(func(tx *bbolt.Tx) error {
		now, size := time.Now().UnixNano(), 0
		c := tx.Bucket(entriesBucket).Cursor()
		k, raw := c.Seek([]byte(max(prefix, after)))
		for k != nil {
			key := string(k)
			switch {
			case !store.Under(key, prefix):
				if key > prefix+"." {
					return nil
				}
				// The prefix itself is no neighbour of what lies under it:
				// other keys may stand between "a" and "a.".
				k, raw = c.Seek([]byte(max(prefix+".", after)))
				if !bytes.HasPrefix(k, []byte(prefix+".")) {
					return nil
				}
				continue
			case len(page) == pageSize || size >= pageBytes:
				more = true
				return nil
			}
			if key > after || after == "" {
				r, err := decode(k, raw)
				if err != nil {
					return err
				}
				if !r.expired(now) {
					page = append(page, r.entry(key))
					size += len(raw)
				}
			}
			k, raw = c.Next()
		}
		return nil
	})
	return page, more, err
}
