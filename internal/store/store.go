// Package store is the key-value contract under the soft state of RFC 3903
// publications and RFC 6665 subscriptions, and under RFC 4825 documents.
//
// One small interface, [KV], serves one process and many nodes: put and delete
// guarded by a revision, expiry, scan, and a prefix watch that tells of gaps.
// There are no transactions over several keys, no history and no counters;
// whatever needs one decision lives under one key. A decision is made by the
// revision guard of a write, never by a read alone.
//
// Entity-tags and ETags that clients see are part of the value. A revision
// only guards a write and never leaves the process.
package store

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"strings"
	"time"
)

// Rev is the revision of one key: opaque, 0 when the key is absent, and grown
// by every write of that key, also across deletion and expiry. Revisions of
// two keys, or of two back ends, are not comparable.
type Rev uint64

// AnyRev as the wanted revision of a write stands for "whatever is there now,
// nothing included".
const AnyRev Rev = math.MaxUint64

// Entry is one key with its value.
type Entry struct {
	Key   string
	Value []byte // shared with the store and everybody else: read-only
	Rev   Rev
	// Expires is when the entry vanishes by itself; zero when it does not.
	Expires time.Time
}

// Kind says what an [Event] tells of.
type Kind uint8

// The kinds of events that a watch delivers.
const (
	// Put: the entry is there with this value, be it new, changed or refreshed.
	Put Kind = iota + 1
	// Delete: the key was deleted by a call of [KV.Delete].
	Delete
	// Expire: the key's time ran out.
	Expire
	// Synced: all entries that existed when the watch (or the snapshot after
	// a Reset) began were delivered; changes follow.
	Synced
	// Reset: events were lost. What the watcher knows is void; the current
	// entries and another Synced follow, and a key that is not among them is
	// gone.
	Reset
)

// String names the kind in lower case, as in traces.
func (k Kind) String() string {
	switch k {
	case Put:
		return "put"
	case Delete:
		return "delete"
	case Expire:
		return "expire"
	case Synced:
		return "synced"
	case Reset:
		return "reset"
	}
	return fmt.Sprintf("kind(%d)", uint8(k))
}

// Event is one message of a watch. Delete and Expire carry only the key of the
// entry; Synced and Reset carry nothing.
type Event struct {
	Kind  Kind
	Entry Entry
}

// The errors of a store, to be compared with [errors.Is]. An error of the
// context that was passed in is returned as it is.
var (
	// ErrConflict: the key is not at the wanted revision. It may be spurious
	// (another write to the key was under way): read again before telling
	// anybody that the value changed.
	ErrConflict = errors.New("store: the key is at another revision")
	// ErrNotFound: there is no such key, or it has expired.
	ErrNotFound = errors.New("store: no such key")
	// ErrUnknown: the write may or may not have happened. Read again and look
	// for the write id that the value carried.
	ErrUnknown = errors.New("store: the outcome of the write is unknown")
	// ErrUnavailable: the store cannot serve now: closed, or without a
	// majority. Nothing was written.
	ErrUnavailable = errors.New("store: unavailable")
	// ErrTooLarge: the value is longer than [Limits.MaxValue]. Nothing was
	// written.
	ErrTooLarge = errors.New("store: the value is too large")
	// ErrInvalid: the key or prefix is not one that [Key] makes, or the time
	// to live is negative. Nothing was written.
	ErrInvalid = errors.New("store: invalid argument")
)

// Limits tells what a back end can do beyond the contract of [KV].
type Limits struct {
	// MaxValue is the longest value that Put takes, in bytes.
	MaxValue int
	// TTLStep is the unit that times to live are rounded up to.
	TTLStep time.Duration
	// SurvivesKill: an acknowledged write outlives the process.
	SurvivesKill bool
	// SurvivesPowerLoss: an acknowledged write outlives the machine's power.
	SurvivesPowerLoss bool
}

// Round returns ttl as a store with these limits keeps it: rounded up to a
// multiple of TTLStep, so that nothing vanishes before its time.
func (l Limits) Round(ttl time.Duration) time.Duration {
	if ttl <= 0 || l.TTLStep <= 0 {
		return ttl
	}
	if over := ttl % l.TTLStep; over != 0 {
		if ttl > math.MaxInt64-l.TTLStep {
			return ttl
		}
		return ttl + l.TTLStep - over
	}
	return ttl
}

// KV is a store of small values under keys made by [Key].
//
// Values are immutable once put: the store keeps the very slice it was given
// and hands the same slice to every reader and watcher. Neither the caller of
// Put nor a reader may write to it afterwards.
//
// All methods may be called from any number of goroutines.
type KV interface {
	// Get returns the entry of key, or ErrNotFound. It observes every write
	// acknowledged before the call, except during the failover of a
	// replicated back end: decide by the guard of a write, not by a read.
	Get(ctx context.Context, key string) (Entry, error)

	// Put stores val under key if the key's revision equals want: 0 means
	// that the key must not exist, AnyRev always stores. It returns the new
	// revision, once the durability that Limits promises is reached.
	//
	// The entry vanishes after ttl, which is rounded up to Limits().TTLStep
	// (one second in every back end); 0 means that it stays. A put replaces
	// the time to live of the one before, also by none.
	//
	// Errors: ErrConflict, ErrUnknown, ErrUnavailable, ErrTooLarge,
	// ErrInvalid.
	Put(ctx context.Context, key string, val []byte, want Rev, ttl time.Duration) (Rev, error)

	// Delete removes key if its revision equals want, AnyRev always. It
	// returns ErrNotFound when there is no such key and ErrConflict when the
	// key is at another revision; where a back end cannot tell the two apart
	// it says ErrConflict, so either means that nothing was removed.
	// ErrUnknown and ErrUnavailable as in Put.
	Delete(ctx context.Context, key string, want Rev) error

	// Scan yields the live entries under prefix (see [Under]; "" is all of
	// them), in no promised order. It is no snapshot: an entry written or
	// removed meanwhile may or may not appear, and none appears twice. The
	// loop may call the store. An error ends the sequence and comes with a
	// zero entry.
	Scan(ctx context.Context, prefix string) iter.Seq2[Entry, error]

	// Watch delivers the entries under prefix (see [Under]) as Put events,
	// then Synced, then changes until ctx ends or the store closes; then the
	// channel is closed. Whoever finds it closed while ctx lives should open
	// a new watch.
	//
	// Events of one key come in the order of its writes; between keys there
	// is no order. Every write acknowledged before the call is covered by
	// the entries before Synced. Events may come more than once and may
	// coalesce: a watcher that falls behind gets only the newest state of a
	// key, and nothing at all of a key that came and went meanwhile. So
	// nobody may wait for the event of one certain write; wait for a
	// revision of that key at or above it, and let the wait end.
	//
	// A slow watcher never holds up a writer. Events lost beyond repair are
	// told by Reset.
	Watch(ctx context.Context, prefix string) (<-chan Event, error)

	// Limits returns what this back end can do. The result never changes.
	Limits() Limits
}

// Under reports whether key is prefix itself or lies under it, in whole parts:
// "pub.a" covers "pub.a" and "pub.a.presence" but not "pub.ab". The empty
// prefix covers every key.
func Under(key, prefix string) bool {
	if !strings.HasPrefix(key, prefix) {
		return false
	}
	return prefix == "" || len(key) == len(prefix) || key[len(prefix)] == '.'
}
