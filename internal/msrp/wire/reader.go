package wire

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
)

const dashes = "-------"

// Limits bound what a Reader takes. Zero fields stand for the defaults.
type Limits struct {
	StartLine int // bytes of a start line with its end; default 1024
	Head      int // bytes of a head, start line included; default 16384
	Fields    int // header fields of a head; default 64
	Buffer    int // bytes read at once; default 65536, and more than Head
}

// Reader reads frames from a stream. It reads no byte twice, keeps no body, and holds back at most 43 bytes of one:
// those that may be the start of the end-line.
//
// An error of the underlying reader is returned once what came before it has been given out. Calls after it try again,
// so that deadlines can be used to be woken.
type Reader struct {
	r      io.Reader
	limits Limits
	buf    []byte // buf[pos:end] is not given out yet
	pos    int
	end    int
	fault  error // of the underlying reader, not told yet
	broken error // no frame can be found any more
	small  int   // reads in a row that left most of a big buffer empty

	// Of the frame that is read:
	state state
	scan  int    // buf[pos:scan] of a head has no line end
	lines []int  // ends of the head's lines, from pos
	mark  []byte // CRLF, the end-line without its flag
	head  Head
	block []byte // the head's bytes
	seen  []byte // paths that were checked last
	seen2 []byte
}

type state byte

const (
	between state = iota // before a start line
	inHead
	inBody
)

// NewReader makes a Reader of the frames in r.
func NewReader(r io.Reader, limits Limits) *Reader {
	def := func(n *int, value int) {
		if *n <= 0 {
			*n = value
		}
	}
	def(&limits.StartLine, 1024)
	def(&limits.Head, 16384)
	def(&limits.Fields, 64)
	def(&limits.Buffer, 65536)
	limits.Buffer = max(limits.Buffer, limits.Head+2048)
	return &Reader{r: r, limits: limits}
}

// Buffered is how many bytes have been read and not given out: while it is not 0, the next call may need no more.
func (r *Reader) Buffered() int { return r.end - r.pos }

// Idle reports whether the Reader is between two frames and has read nothing of the next one.
func (r *Reader) Idle() bool { return r.state == between && r.pos == r.end }

// Release frees what is not needed at the moment, for a connection that is quiet. The Head that Next gave last is gone,
// unless its body has not ended.
func (r *Reader) Release() {
	if r.pos == r.end {
		r.buf, r.pos, r.end, r.scan = nil, 0, 0, 0
	}
	if r.Idle() {
		r.block, r.lines, r.mark, r.seen, r.seen2, r.head = nil, nil, nil, nil, nil, Head{}
	}
}

// Next reads the head of the next frame; what is left of the body of the last one is passed over. The error is
// *Malformed when only the frame of the Head given with it is unusable. After another error that does not come from the
// underlying reader there is nothing more to be read; what the Head holds then is the transaction ID alone, or nothing.
func (r *Reader) Next() (*Head, error) {
	for r.state == inBody {
		if _, _, err := r.Body(); err != nil {
			return nil, err
		}
	}
	if r.broken != nil {
		return &r.head, r.broken
	}
	for {
		ok, err := r.findHead()
		if err != nil {
			r.broken = err
			return &r.head, err
		}
		if ok {
			return r.takeHead()
		}
		if err := r.fill(); err != nil {
			if err == io.EOF && r.pos < r.end {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
	}
}

// findHead looks for the lines of a head in what has come since the last look. The last line is the empty one before a
// body, or the end-line.
func (r *Reader) findHead() (bool, error) {
	if r.state == between {
		for r.end-r.pos >= 2 && r.buf[r.pos] == '\r' && r.buf[r.pos+1] == '\n' {
			r.pos += 2 // some peers keep connections alive by it
		}
		if r.pos == r.end || r.end-r.pos == 1 && r.buf[r.pos] == '\r' {
			return false, nil
		}
		r.state, r.scan, r.lines, r.head = inHead, r.pos, r.lines[:0], Head{Fields: r.head.Fields[:0]}
	}
	for {
		begin := r.pos
		if n := len(r.lines); n > 0 {
			begin += r.lines[n-1]
		}
		i := bytes.IndexByte(r.buf[r.scan:r.end], '\n')
		if i < 0 {
			r.scan = r.end
			return false, r.checkSize(begin, r.end)
		}
		next := r.scan + i + 1
		r.scan = next
		if err := r.checkSize(begin, next); err != nil {
			return false, err
		}
		if next-begin < 2 || r.buf[next-2] != '\r' {
			return false, errors.New("a line of a head does not end in CRLF")
		}
		r.lines = append(r.lines, next-r.pos)
		line := r.buf[begin : next-2]
		if len(r.lines) == 1 {
			if err := r.start(line); err != nil {
				return false, err
			}
			continue
		}
		if len(line) == 0 || r.isEndLine(line) {
			return true, nil
		}
		if len(r.lines) > r.limits.Fields+1 {
			return false, fmt.Errorf("a head has more than %d header fields", r.limits.Fields)
		}
	}
}

func (r *Reader) checkSize(begin, end int) error {
	switch {
	case len(r.lines) == 0 && end-begin > r.limits.StartLine:
		return fmt.Errorf("start line of more than %d bytes", r.limits.StartLine)
	case len(r.lines) == 0 && r.buf[r.pos] != 'M':
		return errStart // garbage need not have a line end
	case end-r.pos > r.limits.Head:
		return fmt.Errorf("head of more than %d bytes", r.limits.Head)
	}
	return nil
}

// start judges the start line, so that nothing else is waited for after a bad one.
func (r *Reader) start(line []byte) error {
	r.mark = r.mark[:0]
	if err := r.head.parseStart(line); err != nil {
		r.head.Method, r.head.Code, r.head.Comment = "", 0, nil
		r.head.ID = bytes.Clone(r.head.ID)
		return err
	}
	r.mark = append(append(append(r.mark, "\r\n"...), dashes...), r.head.ID...)
	return nil
}

func (r *Reader) isEndLine(line []byte) bool {
	n := len(r.mark) - 2
	return len(line) == n+1 && isFlag(line[n]) && string(line[:n]) == string(r.mark[2:])
}

func isFlag(c byte) bool { return c == byte(Last) || c == byte(More) || c == byte(Abort) }

// takeHead parses the head whose lines were found. It moves behind it, but for the line end before a body, which may
// be that of the end-line.
func (r *Reader) takeHead() (*Head, error) {
	n := len(r.lines)
	r.block = append(r.block[:0], r.buf[r.pos:r.pos+r.lines[n-1]]...)
	h := &r.head
	h.parseStart(r.block[:r.lines[0]-2])
	if h.Body = r.lines[n-1]-r.lines[n-2] == 2; h.Body {
		r.state, r.pos = inBody, r.scan-2
	} else {
		r.state, r.pos = between, r.scan
		h.End = Flag(r.block[r.lines[n-1]-3])
	}
	var bad error
	for i := 1; i < n-1; i++ {
		f, err := splitField(r.block[r.lines[i-1] : r.lines[i]-2])
		if err != nil {
			bad = err
			continue
		}
		h.Fields = append(h.Fields, f)
	}
	err := h.parseFields()
	if err == nil {
		err = r.checkPaths()
	}
	if bad == nil && err == nil {
		return h, nil
	}
	return h, &Malformed{cmp.Or(bad, err)}
}

// checkPaths checks paths, which are mostly the same as in the frame before.
func (r *Reader) checkPaths() error {
	for i, path := range [2][]byte{r.head.To, r.head.From} {
		seen := &r.seen
		if i == 1 {
			seen = &r.seen2
		}
		if bytes.Equal(path, *seen) {
			continue
		}
		if _, err := ParsePath(string(path)); err != nil {
			return err
		}
		*seen = append((*seen)[:0], path...)
	}
	return nil
}

// Body gives the next piece of the body of the frame that Next gave, as soon as it is there; the piece is valid until
// the next call. The flag is 0 until the frame ends, with the last piece, which may be empty. After it, and in a frame
// without a body, the error is io.EOF; io.ErrUnexpectedEOF tells that the stream ended before the frame.
func (r *Reader) Body() (piece []byte, end Flag, err error) {
	if r.state != inBody {
		return nil, 0, io.EOF
	}
	for {
		whole, hold := scanBody(r.buf[r.pos:r.end], r.mark)
		skip := r.skip()
		switch {
		case whole >= 0:
			piece = r.buf[r.pos+min(skip, whole) : r.pos+whole]
			r.pos += whole + len(r.mark) + 3
			r.state, r.lines = between, r.lines[:0]
			return piece, Flag(r.buf[r.pos-3]), nil
		case hold > skip:
			piece = r.buf[r.pos+skip : r.pos+hold]
			r.pos += hold
			r.lines = r.lines[:0]
			return piece, 0, nil
		}
		if err := r.fill(); err != nil {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return nil, 0, err
		}
	}
}

// skip is 2 while the line end before the body is still in front of it. The lines of the head are kept until then.
func (r *Reader) skip() int {
	if len(r.lines) > 0 {
		return 2
	}
	return 0
}

// scanBody looks for mark, a flag and CRLF in b. Whole is where they begin, -1 if they are not there; then hold is how
// much of b cannot be the beginning of them.
func scanBody(b, mark []byte) (whole, hold int) {
	at := 0
	for {
		i := bytes.Index(b[at:], mark)
		if i < 0 {
			break
		}
		at += i
		rest := b[at+len(mark):]
		if len(rest) >= 3 {
			if isFlag(rest[0]) && rest[1] == '\r' && rest[2] == '\n' {
				return at, 0
			}
			at += len(mark)
			continue
		}
		if len(rest) == 0 || isFlag(rest[0]) && (len(rest) == 1 || rest[1] == '\r') {
			return -1, at
		}
		at += len(mark)
	}
	for i := max(at, len(b)-len(mark)+1); i < len(b); i++ {
		if b[i] == '\r' && bytes.HasPrefix(mark, b[i:]) {
			return -1, i
		}
	}
	return -1, len(b)
}

// smallBuffer is what a quiet connection reads into.
const smallBuffer = 512

// fill reads once. A buffer that gets full grows, one that stays nearly empty shrinks.
func (r *Reader) fill() error {
	if err := r.fault; err != nil {
		r.fault = nil
		return err
	}
	r.room()
	for range 100 {
		n, err := r.r.Read(r.buf[r.end:])
		r.end += n
		if n > 0 {
			r.fault = err
			return nil
		}
		if err != nil {
			return err
		}
	}
	return io.ErrNoProgress
}

// room makes room in the buffer.
func (r *Reader) room() {
	held := r.end - r.pos
	size := len(r.buf)
	switch {
	case size == 0:
		size = smallBuffer
	case r.end == size && size < r.limits.Buffer:
		size = min(size*4, r.limits.Buffer)
		r.small = 0
	case r.end < size/8 && size > smallBuffer && held < smallBuffer/2:
		if r.small++; r.small >= 16 {
			size, r.small = smallBuffer, 0
		}
	default:
		r.small = 0
	}
	if size == len(r.buf) && (r.pos == 0 || held > 0 && r.end < size-size/4) {
		if r.end < size {
			return
		}
	}
	to := r.buf
	if size != len(r.buf) {
		to = make([]byte, size)
	}
	copy(to, r.buf[r.pos:r.end])
	r.buf, r.scan, r.pos, r.end = to, max(r.scan-r.pos, 0), 0, held
}
