package stack

import (
	"errors"
	"io"
	"os"
	"sync"
	"syscall"
	"time"
)

// intake takes messages out of what a connection brings. held is how many bytes it has kept of an incomplete one, and
// within tells whether there is one.
type intake interface {
	take([]byte) (used int, err error)
	held() int
	within() bool
}

func (c *conn) intake() intake {
	if c.kind.framed {
		return newFrames(c)
	}
	return &framer{c: c}
}

// reader reads a connection. It has a buffer only while there is something in it: most connections are idle most of
// the time.
type reader struct {
	c     *conn
	in    intake
	raw   syscall.RawConn // nil = what the connection brings has to be read into something
	first [64]byte        // for that
	buf   *[]byte         // nil = nothing is waiting for more
	since time.Time       // when the first byte of an incomplete message came
	kept  int64           // counted in Stack.partial
}

var readBuffers = sync.Pool{New: func() any { b := make([]byte, 0, smallBuffer); return &b }}

// read handles message after message until the connection ends.
func (c *conn) read() error {
	r := reader{c: c, in: c.intake(), raw: rawConn(c.nc)}
	defer r.drop()
	for {
		_ = c.nc.SetReadDeadline(r.deadline(time.Now()))
		n, err := r.fill()
		if n > 0 {
			if err := r.take(); err != nil {
				return err
			}
		}
		if err != nil {
			if err = c.readError(err, r.partial()); err != nil {
				if errors.Is(err, io.EOF) {
					c.drain(err) // the peer has said all, and may still listen
				}
				return err
			}
		}
	}
}

// partial tells whether there is a message that is not complete.
func (r *reader) partial() bool { return r.buf != nil || r.in.within() }

func (r *reader) deadline(now time.Time) time.Time {
	if !r.partial() {
		r.since = time.Time{}
		return now.Add(r.c.s.cfg.IdleTimeout)
	}
	if r.since.IsZero() {
		r.since = now
	}
	return r.since.Add(r.c.s.cfg.MessageTimeout)
}

// fill waits for more and reads it.
func (r *reader) fill() (n int, err error) {
	switch {
	case r.buf != nil:
		b := *r.buf
		n, err = r.c.nc.Read(b[len(b):cap(b)])
		*r.buf = b[:len(b)+n]
	case r.raw != nil:
		r.buf, err = readReady(r.raw)
		if r.buf != nil {
			n = len(*r.buf)
		}
	default:
		n, err = r.c.nc.Read(r.first[:])
		if n > 0 {
			r.buf = readBuffers.Get().(*[]byte)
			*r.buf = append(*r.buf, r.first[:n]...)
		}
	}
	return n, err
}

// take hands on what is complete, and sees to it that there is room for more.
func (r *reader) take() error {
	b := *r.buf
	used, err := r.in.take(b)
	if err != nil {
		r.c.finish()
		return err
	}
	if used > 0 {
		if !r.in.within() {
			r.since = time.Time{}
		}
		b = append(b[:0], b[used:]...)
		*r.buf = b
	}
	switch {
	case len(b) == 0:
		r.release()
	case len(b) == cap(b):
		r.resize(2 * cap(b))
	case cap(b) > 4*smallBuffer && len(b) < smallBuffer:
		r.resize(smallBuffer) // a large message had made it grow
	}
	if r.count() > maxPartial && r.kept > 0 {
		return errRoom
	}
	return nil
}

func (r *reader) resize(size int) {
	b := append(make([]byte, 0, size), *r.buf...)
	r.release()
	r.buf = &b
}

func (r *reader) release() {
	if cap(*r.buf) == smallBuffer {
		*r.buf = (*r.buf)[:0]
		readBuffers.Put(r.buf)
	}
	r.buf = nil
}

// count brings Stack.partial up to date: by how much the buffers exceed small ones, of which each connection may have
// one.
func (r *reader) count() int64 {
	now := int64(r.in.held())
	if r.buf != nil {
		now += int64(cap(*r.buf) - smallBuffer)
	}
	more := now - r.kept
	r.kept = now
	return r.c.s.partial.Add(more)
}

func (r *reader) drop() {
	if r.buf != nil {
		r.release()
	}
	r.c.s.partial.Add(-r.kept)
}

// readError decides whether the connection ends.
func (c *conn) readError(err error, partial bool) error {
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		return err
	}
	if partial {
		return errSlow
	}
	if time.Since(time.Unix(0, c.lastOut.Load())) < c.s.cfg.IdleTimeout {
		return nil
	}
	return errIdle
}
