package bolt

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"time"

	"go.etcd.io/bbolt"

	"imp/internal/store"
)

// The buckets of the file. The sequence of the entries' bucket is the revision
// of the last write, that of the expiry bucket is the number of entries: a leaf
// that has lost its last one would not show it.
var (
	metaBucket    = []byte("imp")
	entriesBucket = []byte("entries") // key → record
	expiryBucket  = []byte("expiry")  // due time, key → nothing
)

// record is one entry as it lies in the file: revision, deadline and slot with
// eight bytes each, a CRC-32C over the key and all but the checksum itself, and
// the value.
type record struct {
	rev      store.Rev
	deadline int64 // nanoseconds of Unix time; 0 when the entry stays
	// slot is the due time under which the entry stands in the expiry index, 0
	// when it does not. It may be earlier than the deadline, never later: a
	// refresh only moves the deadline, and the slot follows when it comes up.
	slot  int64
	value []byte // of the mapped file when decoded: to be copied
}

const (
	headSize = 28
	dueSize  = 8
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func checksum(key, raw []byte) uint32 {
	sum := crc32.Update(0, castagnoli, key)
	sum = crc32.Update(sum, castagnoli, raw[:24])
	return crc32.Update(sum, castagnoli, raw[headSize:])
}

// appendTo appends the record of key to b.
func (r record) appendTo(b, key []byte) []byte {
	start := len(b)
	b = binary.BigEndian.AppendUint64(b, uint64(r.rev))
	b = binary.BigEndian.AppendUint64(b, uint64(r.deadline))
	b = binary.BigEndian.AppendUint64(b, uint64(r.slot))
	b = append(b, 0, 0, 0, 0)
	b = append(b, r.value...)
	raw := b[start:]
	binary.BigEndian.PutUint32(raw[24:], checksum(key, raw))
	return b
}

// decode reads the record of key.
func decode(key, raw []byte) (record, error) {
	if len(raw) < headSize || len(raw) > headSize+maxValue || binary.BigEndian.Uint32(raw[24:]) != checksum(key, raw) {
		return record{}, fmt.Errorf("%w: %w: the record of %.200s", store.ErrUnavailable, ErrDamaged, key)
	}
	return record{
		rev:      store.Rev(binary.BigEndian.Uint64(raw)),
		deadline: int64(binary.BigEndian.Uint64(raw[8:])),
		slot:     int64(binary.BigEndian.Uint64(raw[16:])),
		value:    raw[headSize:],
	}, nil
}

// lookup reads the record of key in the entries' bucket, expired ones too.
func lookup(entries *bbolt.Bucket, key []byte) (r record, found bool, err error) {
	raw := entries.Get(key)
	if raw == nil {
		return r, false, nil
	}
	r, err = decode(key, raw)
	return r, err == nil, err
}

func (r record) expired(now int64) bool { return r.deadline != 0 && r.deadline <= now }

// entry is r as callers see it, with a value of their own.
func (r record) entry(key string) store.Entry {
	e := store.Entry{Key: key, Value: bytes.Clone(r.value), Rev: r.rev}
	if r.deadline != 0 {
		e.Expires = time.Unix(0, r.deadline)
	}
	return e
}

// dueKey is the place of key in the expiry index.
func dueKey(due int64, key []byte) []byte {
	b := make([]byte, 0, dueSize+len(key))
	return append(binary.BigEndian.AppendUint64(b, uint64(due)), key...)
}

// splitDue undoes dueKey.
func splitDue(k []byte) (due int64, key []byte) {
	if len(k) < dueSize {
		return 0, nil
	}
	return int64(binary.BigEndian.Uint64(k)), k[dueSize:]
}

// deadlineAfter is the time ttl after now, 0 for none.
func deadlineAfter(now int64, ttl time.Duration) int64 {
	switch {
	case ttl == 0:
		return 0
	case now > math.MaxInt64-int64(ttl):
		return math.MaxInt64
	}
	return now + int64(ttl)
}
