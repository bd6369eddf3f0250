// Package websocket implements RFC 6455 as far as a sub-protocol of whole messages needs it: the opening handshake of
// both sides, and frames in byte slices, so that reading, writing and their bounds stay with whoever owns the
// connection. There are no extensions.
package websocket

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"unicode/utf8"
)

// Op is the opcode of a frame (RFC 6455 section 5.2).
type Op byte

// The opcodes there are.
const (
	Continuation Op = 0x0
	Text         Op = 0x1
	Binary       Op = 0x2
	Close        Op = 0x8
	Ping         Op = 0x9
	Pong         Op = 0xA
)

// Codes of close frames (RFC 6455 section 7.4.1).
const (
	CloseNormal      = 1000
	CloseGoingAway   = 1001
	CloseProtocol    = 1002
	CloseUnsupported = 1003
	CloseInvalid     = 1007 // text that is not UTF-8
	CloseTooBig      = 1009
)

const (
	final      = 0x80
	masked     = 0x80
	maxControl = 125
	length16   = 126
	length64   = 127
	reserved   = 0x70
	controlBit = 0x8
)

// Error is a breach of the protocol; Code is for the close frame.
type Error struct {
	Code int
	What string
}

func (e *Error) Error() string { return fmt.Sprintf("reading WebSocket: %s (%d)", e.What, e.Code) }

var (
	errReserved   = &Error{CloseProtocol, "reserved bits are set"}
	errOpcode     = &Error{CloseProtocol, "an opcode is unknown"}
	errMask       = &Error{CloseProtocol, "frames of a client are masked and those of a server are not"}
	errControl    = &Error{CloseProtocol, "a control frame is fragmented or longer than 125 bytes"}
	errOrder      = &Error{CloseProtocol, "a fragment belongs to no message, or a message begins inside another"}
	errUTF8       = &Error{CloseInvalid, "a text message is not UTF-8"}
	errTooBig     = &Error{CloseTooBig, "a message is too long"}
	errCloseFrame = &Error{CloseProtocol, "the payload of a close frame is malformed"}
)

// Frame is a control frame, or a whole message with the opcode Text or Binary.
type Frame struct {
	Op      Op
	Payload []byte
}

// CloseCode is the code in a close frame, 1000 where it has none.
func (f Frame) CloseCode() int {
	if len(f.Payload) < 2 {
		return CloseNormal
	}
	return int(binary.BigEndian.Uint16(f.Payload))
}

// Reader finds frames and joins fragments.
type Reader struct {
	Server bool // the peer is a client: its frames are masked
	Max    int  // bytes of one message

	message []byte // fragments so far
	op      Op     // of that message; 0 = there is none
}

// Pending is how many bytes of a fragmented message are held.
func (r *Reader) Pending() int { return len(r.message) }

// Fragmented tells whether a message has begun and not ended.
func (r *Reader) Fragmented() bool { return r.op != Continuation }

// Next takes one frame from the beginning of b, whose payload it unmasks in place. used is its length, 0 when b does
// not hold it completely yet. The frame of a fragment that is not the last is zero. Payloads lie in b, or, when they
// came in fragments, are valid until the next call. An *Error ends the connection.
func (r *Reader) Next(b []byte) (f Frame, used int, err error) {
	if len(b) < 2 {
		return f, 0, nil
	}
	fin, op := b[0]&final != 0, Op(b[0]&0xf)
	if err := r.check(b[0], b[1], fin, op); err != nil {
		return f, 0, err
	}
	head, length, ok := lengthOf(b)
	if !ok {
		return f, 0, nil
	}
	if op&controlBit == 0 && length > uint64(max(0, r.Max-len(r.message))) {
		return f, 0, errTooBig
	}
	var key []byte
	if r.Server {
		head += 4
		if len(b) < head {
			return f, 0, nil
		}
		key = b[head-4 : head]
	}
	if uint64(len(b)-head) < length {
		return f, 0, nil
	}
	used = head + int(length)
	payload := b[head:used]
	if r.Server {
		mask(payload, [4]byte(key))
	}
	f, err = r.join(fin, op, payload)
	return f, used, err
}

func (r *Reader) check(first, second byte, fin bool, op Op) error {
	switch {
	case first&reserved != 0:
		return errReserved
	case op > Binary && op < Close || op > Pong:
		return errOpcode
	case (second&masked != 0) != r.Server:
		return errMask
	case op&controlBit != 0:
		if !fin || second&^masked > maxControl {
			return errControl
		}
	case (op == Continuation) != r.Fragmented():
		return errOrder
	}
	return nil
}

// lengthOf reads the length of the payload; head is that of what precedes it, without the mask.
func lengthOf(b []byte) (head int, n uint64, ok bool) {
	switch n = uint64(b[1] &^ masked); {
	case n == length16:
		if len(b) < 4 {
			return 0, 0, false
		}
		return 4, uint64(binary.BigEndian.Uint16(b[2:])), true
	case n == length64:
		if len(b) < 10 {
			return 0, 0, false
		}
		return 10, binary.BigEndian.Uint64(b[2:]), true
	}
	return 2, n, true
}

// sendable tells whether the payload of a close frame begins with a code that
// may be sent (RFC 6455 sections 7.4.1 and 7.4.2).
func sendable(payload []byte) bool {
	if len(payload) == 1 {
		return false
	}
	switch code := binary.BigEndian.Uint16(payload); code {
	case 1004, 1005, 1006, 1015:
		return false
	default:
		return code >= 1000 && code <= 1015 || code >= 3000 && code <= 4999
	}
}

func (r *Reader) join(fin bool, op Op, payload []byte) (Frame, error) {
	switch {
	case op == Close && len(payload) > 0 && !sendable(payload):
		return Frame{}, errCloseFrame
	case op&controlBit != 0:
		return Frame{op, payload}, nil
	case op != Continuation && !fin:
		r.op, r.message = op, append([]byte(nil), payload...)
		return Frame{}, nil
	case op == Continuation:
		r.message = append(r.message, payload...)
		if !fin {
			return Frame{}, nil
		}
		op, payload = r.op, r.message
		r.op, r.message = Continuation, nil
	}
	if op == Text && !utf8.Valid(payload) {
		return Frame{}, errUTF8
	}
	return Frame{op, payload}, nil
}

// AppendMessage writes a message as one frame: as text, or as binary when it is not UTF-8. A client masks.
func AppendMessage(b, payload []byte, client bool) []byte {
	op := Text
	if !utf8.Valid(payload) {
		op = Binary
	}
	return AppendFrame(b, op, payload, client)
}

// AppendFrame writes one frame. A client masks.
func AppendFrame(b []byte, op Op, payload []byte, client bool) []byte {
	var bit byte
	if client {
		bit = masked
	}
	b = append(b, final|byte(op))
	switch n := len(payload); {
	case n < length16:
		b = append(b, bit|byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, bit|length16), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, bit|length64), uint64(n))
	}
	if !client {
		return append(b, payload...)
	}
	var key [4]byte
	_, _ = rand.Read(key[:])
	b = append(b, key[:]...)
	from := len(b)
	b = append(b, payload...)
	mask(b[from:], key)
	return b
}

// AppendClose writes a close frame with a code.
func AppendClose(b []byte, code int, client bool) []byte {
	return AppendFrame(b, Close, binary.BigEndian.AppendUint16(nil, uint16(code)), client)
}

// mask is its own inverse (RFC 6455 section 5.3).
func mask(b []byte, key [4]byte) {
	word := uint64(binary.LittleEndian.Uint32(key[:]))
	word |= word << 32
	for len(b) >= 8 {
		binary.LittleEndian.PutUint64(b, binary.LittleEndian.Uint64(b)^word)
		b = b[8:]
	}
	for i := range b {
		b[i] ^= key[i&3]
	}
}
