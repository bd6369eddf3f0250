package session

import (
	"errors"
	"io"
	"slices"
	"sync"
)

// segment is the most that is allocated at once for what has been received.
const segment = 64 << 10

var segments = sync.Pool{New: func() any { return new([segment]byte) }}

// Bounds of the assemblies of one session beside their bytes.
const (
	maxRuns  = 4096 // pieces with gaps between them; twice as many with a spool
	overhead = 64   // what a piece costs beside its bytes
)

// errReorder is the error of pieces out of order that there is no room for.
var errReorder = errors.New("too much of the message came out of order")

// assembly puts the pieces of a message into their places, in any order; the last one that came counts where they
// overlap, unless it has been read already (RFC 4975 section 7.3.1). Positions count from 0.
type assembly struct {
	pos   int64 // what is before it has been read
	runs  []run // in order, without overlaps, all behind pos
	ahead int   // memory used by runs that were out of order when they came
	room  int   // for them
	more  int   // runs of other assemblies that count with its own
	spool Spool
	make  func() (Spool, error) // nil: none
}

// run is a contiguous part of a message, in memory or in the spool.
type run struct {
	at, end int64
	parts   [][]byte // in memory
	skip    int      // bytes of the first part that have been read
	spooled bool
	ahead   int // what it adds to assembly.ahead
}

// contiguous is the end of what can be read.
func (a *assembly) contiguous() int64 {
	end := a.pos
	for i := range a.runs {
		if a.runs[i].at != end {
			break
		}
		end = a.runs[i].end
	}
	return end
}

// put takes a piece. Spill keeps it out of memory.
func (a *assembly) put(at int64, piece []byte, spill bool) error {
	if at < a.pos {
		piece = piece[min(a.pos-at, int64(len(piece))):]
		at = a.pos
	}
	inOrder := a.contiguous() >= at
	i := 0
	if n := len(a.runs); n > 0 && a.runs[n-1].end < at {
		i = n
	} else {
		i, _ = slices.BinarySearchFunc(a.runs, at, func(r run, at int64) int {
			if r.end < at {
				return -1
			}
			return 1
		})
	}
	for len(piece) > 0 {
		if i < len(a.runs) && a.runs[i].at <= at && at < a.runs[i].end {
			n := int(min(int64(len(piece)), a.runs[i].end-at))
			if err := a.overwrite(&a.runs[i], at, piece[:n]); err != nil {
				return err
			}
			piece, at = piece[n:], at+int64(n)
			continue
		}
		if i < len(a.runs) && a.runs[i].end == at {
			i++ // the gap is behind it
		}
		n := len(piece)
		if i < len(a.runs) {
			n = int(min(int64(n), a.runs[i].at-at))
		}
		if n > 0 {
			var err error
			if i, err = a.fill(i, at, piece[:n], inOrder, spill); err != nil {
				return err
			}
		}
		piece, at = piece[n:], at+int64(n)
	}
	return nil
}

// fill puts a piece into the gap before runs[i], and gives the index of the run that it is in.
func (a *assembly) fill(i int, at int64, piece []byte, inOrder, spill bool) (int, error) {
	cost := 0
	if !inOrder {
		cost = len(piece) + overhead
		spill = spill || a.ahead+cost > a.room || len(a.runs) >= maxRuns
	}
	if spill {
		if err := a.toSpool(at, piece); err != nil {
			return i, err
		}
		cost = 0
	}
	end := at + int64(len(piece))
	if i > 0 && a.runs[i-1].end == at && a.runs[i-1].spooled == spill {
		i--
	} else {
		if len(a.runs)+a.more >= 2*maxRuns {
			return i, errReorder
		}
		a.runs = slices.Insert(a.runs, i, run{at: at, end: at, spooled: spill})
	}
	r := &a.runs[i]
	if !spill {
		r.append(piece)
	}
	r.end, r.ahead = end, r.ahead+cost
	a.ahead += cost
	if next := i + 1; next < len(a.runs) && a.runs[next].at == end && a.runs[next].spooled == spill {
		r.end, r.ahead = a.runs[next].end, r.ahead+a.runs[next].ahead
		r.parts = append(r.parts, a.runs[next].parts...)
		a.runs = slices.Delete(a.runs, next, next+1)
	}
	return i, nil
}

// append adds to the parts of a run. Buffers grow with it, so that small pieces with gaps between them stay small.
func (r *run) append(piece []byte) {
	last := len(r.parts) - 1
	if last >= 0 {
		part := r.parts[last]
		n := min(len(piece), cap(part)-len(part))
		r.parts[last], piece = append(part, piece[:n]...), piece[n:]
	}
	for len(piece) > 0 {
		size := len(piece)
		if last >= 0 {
			size = max(size, 2*cap(r.parts[last]))
		}
		var part []byte
		if size >= segment/2 {
			part = segments.Get().(*[segment]byte)[:0]
		} else {
			part = make([]byte, 0, size)
		}
		n := min(len(piece), cap(part))
		r.parts = append(r.parts, append(part, piece[:n]...))
		piece = piece[n:]
		last = len(r.parts) - 1
	}
}

// recycle gives a buffer back.
func recycle(part []byte) {
	if cap(part) == segment {
		segments.Put((*[segment]byte)(part[:segment]))
	}
}

func (a *assembly) overwrite(r *run, at int64, piece []byte) error {
	if r.spooled {
		return a.toSpool(at, piece)
	}
	skip := at - r.at + int64(r.skip)
	for _, part := range r.parts {
		if skip >= int64(len(part)) {
			skip -= int64(len(part))
			continue
		}
		n := copy(part[skip:], piece)
		piece, skip = piece[n:], 0
		if len(piece) == 0 {
			break
		}
	}
	return nil
}

func (a *assembly) toSpool(at int64, piece []byte) error {
	if a.spool == nil {
		if a.make == nil {
			return errReorder
		}
		s, err := a.make()
		if err != nil {
			return err
		}
		a.spool = s
	}
	_, err := a.spool.WriteAt(piece, at)
	return err
}

// read copies what is next in order, 0 when that has not come yet.
func (a *assembly) read(p []byte) (n int, err error) {
	for n < len(p) && len(a.runs) > 0 && a.runs[0].at == a.pos {
		r := &a.runs[0]
		if r.spooled {
			m := int(min(int64(len(p)-n), r.end-r.at))
			if m, err = a.spool.ReadAt(p[n:n+m], r.at); err != nil && err != io.EOF {
				return n, err
			} else if m == 0 {
				return n, io.ErrUnexpectedEOF
			}
			n += m
			a.advance(int64(m))
			continue
		}
		for n < len(p) && len(r.parts) > 0 {
			m := copy(p[n:], r.parts[0][r.skip:])
			n += m
			a.take(r, m)
		}
		if len(r.parts) == 0 {
			a.advance(0)
		}
	}
	return n, nil
}

// take removes m bytes from the first part of the first run.
func (a *assembly) take(r *run, m int) {
	if r.skip += m; r.skip == len(r.parts[0]) {
		recycle(r.parts[0])
		r.parts[0] = nil
		r.parts, r.skip = r.parts[1:], 0
	}
	r.at += int64(m)
	a.pos = r.at
}

// advance moves on in the first run, and removes it when it has been read.
func (a *assembly) advance(m int64) {
	r := &a.runs[0]
	r.at += m
	a.pos = r.at
	if r.at == r.end {
		a.ahead -= r.ahead
		a.runs = slices.Delete(a.runs, 0, 1)
	}
}

// free gives everything back.
func (a *assembly) free() {
	for _, r := range a.runs {
		for _, part := range r.parts {
			recycle(part)
		}
	}
	a.runs, a.ahead = nil, 0
	if a.spool != nil {
		a.spool.Close()
		a.spool, a.make = nil, nil
	}
}

// readable is how many bytes in memory can be read now.
func (a *assembly) readable() (n int) {
	end := a.pos
	for i := range a.runs {
		r := &a.runs[i]
		if r.at != end {
			break
		}
		if !r.spooled {
			n += int(r.end - r.at)
		}
		end = r.end
	}
	return n
}
