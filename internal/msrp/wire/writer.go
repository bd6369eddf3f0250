package wire

import (
	"bytes"
	"io"
	"net"
)

// Guard watches over the body of a frame while it is written in pieces, so that the end-line does not occur in it (RFC
// 4975 section 7.1).
type Guard struct {
	mark []byte // CRLF and the end-line without its flag
	tail []byte // the last bytes of what was written, which the mark may begin in
}

// Begin starts a frame with this transaction ID, in the place before the body.
func (g *Guard) Begin(id []byte) {
	g.mark = append(append(append(g.mark[:0], "\r\n"...), dashes...), id...)
	g.tail = append(g.tail[:0], "\r\n"...) // which is in front of every body
}

// Fit takes the next piece of the body and tells how much of it may be written: less than all of it if the rest must go
// out in another frame, with another transaction ID.
func (g *Guard) Fit(piece []byte) int {
	if len(piece) == 0 {
		return 0 // also in a frame without a body, which Begin is not called for
	}
	fit := len(piece)
	if n := len(g.mark) - 1; len(g.tail) > 0 && len(piece) > 0 {
		var seam [4 * MaxID]byte
		joint := append(append(seam[:0], g.tail...), piece[:min(n, len(piece))]...)
		if bytes.Contains(joint, g.mark) {
			fit = 0
		}
	}
	if fit > 0 {
		if i := bytes.Index(piece, g.mark); i >= 0 {
			fit = i + len(g.mark) - 1
		}
	}
	g.keep(piece[:fit])
	return fit
}

// keep holds the end of what was written.
func (g *Guard) keep(piece []byte) {
	n := len(g.mark) - 1
	if len(piece) >= n {
		g.tail = append(g.tail[:0], piece[len(piece)-n:]...)
		return
	}
	if over := len(g.tail) + len(piece) - n; over > 0 {
		g.tail = g.tail[:copy(g.tail, g.tail[over:])]
	}
	g.tail = append(g.tail, piece...)
}

// inPlace is how long a piece of a body must be for not being copied.
const inPlace = 1024

// Writer writes frames. It gathers them until Flush, so that a frame costs no write of its own. The order of calls is
// Request or Response, Field for each header field, Body for each piece of a body, End.
type Writer struct {
	w     io.Writer
	heads []byte      // what was made here
	start int         // of what is not in parts yet
	parts net.Buffers // in order
	size  int
	id    []byte
	body  bool
	guard Guard
}

// NewWriter makes a Writer to w.
func NewWriter(w io.Writer) *Writer { return &Writer{w: w} }

// Request begins a request.
func (w *Writer) Request(id, method string) {
	w.id, w.body = append(w.id[:0], id...), false
	w.heads = AppendRequest(w.heads, id, method)
}

// Response begins a response.
func (w *Writer) Response(id string, code int, comment string) {
	w.id, w.body = append(w.id[:0], id...), false
	w.heads = AppendResponse(w.heads, id, code, comment)
}

// Field adds a header field: first To-Path and From-Path, and last Content-Type if there is a body.
func (w *Writer) Field(name, value string) { w.heads = AppendField(w.heads, name, value) }

// Range adds Byte-Range.
func (w *Writer) Range(r Range) { w.heads = AppendRange(w.heads, r) }

// Answer adds a whole response to a request, see AppendAnswer.
func (w *Writer) Answer(h *Head, code int, fields ...string) {
	w.heads = AppendAnswer(w.heads, h, code, fields...)
}

// Body adds a piece of the body, maybe an empty one, which may not be changed before Flush. It takes less of it than
// there is when the end-line of this frame would appear in the body; then the frame must be ended, and the rest sent in
// another one, with a transaction ID of its own.
func (w *Writer) Body(piece []byte) int {
	if !w.body {
		w.body = true
		w.heads = append(w.heads, "\r\n"...)
		w.guard.Begin(w.id)
	}
	n := w.guard.Fit(piece)
	if n < inPlace {
		w.heads = append(w.heads, piece[:n]...)
		return n
	}
	w.cut()
	w.parts = append(w.parts, piece[:n])
	w.size += n
	return n
}

// End ends the frame.
func (w *Writer) End(flag Flag) { w.heads = AppendEnd(w.heads, w.id, flag, w.body) }

// Buffered is how many bytes wait for Flush.
func (w *Writer) Buffered() int { return w.size + len(w.heads) - w.start }

// cut puts what was made since the last one behind what is to be written.
func (w *Writer) cut() {
	if len(w.heads) > w.start {
		w.parts = append(w.parts, w.heads[w.start:])
		w.size += len(w.heads) - w.start
		w.start = len(w.heads)
	}
}

// Flush writes all that waits in one go.
func (w *Writer) Flush() error {
	w.cut()
	parts, all := w.parts, w.parts
	var err error
	switch len(parts) {
	case 0:
	case 1:
		_, err = w.w.Write(parts[0])
	default:
		_, err = parts.WriteTo(w.w)
	}
	clear(all)
	w.parts, w.heads, w.start, w.size = all[:0], w.heads[:0], 0, 0
	return err
}
