package stack

import (
	"bytes"
	"errors"
	"hash/maphash"
	"net"
	"net/netip"
	"sync/atomic"
	"syscall"
	"time"
)

// maxDatagram is the largest payload of UDP over IPv4.
const maxDatagram = 65507

// socket is a UDP listener. One goroutine reads; requests go to the lane that the Request-URI selects, so that those for
// one resource are handled in order of receipt; responses have a crew of their own, so that a handler may wait for an
// answer that comes in here, and those to one request are in order too.
type socket struct {
	s      *Stack
	kind   *kind
	pc     packetConn
	raw    syscall.RawConn // gives the ICMP errors; nil = there are none
	local  netip.AddrPort
	seed   maphash.Seed
	closed atomic.Bool

	requests  *crew
	responses *crew
	queued    atomic.Int64 // bytes in the queues
	busy      atomic.Bool  // so many datagrams come that the reader pauses
	answers   *answers     // nil: none wait
	sender    *sender      // nil: pc sends
	stun      stunPending
}

// packetConn is what is used of a *net.UDPConn.
type packetConn interface {
	ReadFromUDPAddrPort([]byte) (int, netip.AddrPort, error)
	WriteToUDPAddrPort([]byte, netip.AddrPort) (int, error)
	LocalAddr() net.Addr
	SetReadBuffer(int) error
	Close() error
}

type packet struct {
	data   *[]byte
	remote netip.AddrPort
}

const (
	responseWorkers = 4
	maxQueued       = 32 << 20 // bytes in the queues of one socket
	readBuffer      = 4 << 20  // asked of the kernel, for bursts
)

func (s *Stack) newSocket(pc packetConn) *socket {
	u := &socket{s: s, kind: s.kinds["udp"], pc: pc, local: addrPort(pc.LocalAddr()), seed: maphash.MakeSeed()}
	_ = pc.SetReadBuffer(readBuffer) // as much as the kernel allows
	u.hearErrors()
	u.sender = newSender(pc)
	u.requests = newCrew(s.cfg.Workers, s.cfg.WorkerQueue, u.work)
	u.responses = newCrew(responseWorkers, (s.cfg.WorkerQueue*s.cfg.Workers+responseWorkers-1)/responseWorkers, u.work)
	return u
}

// start runs the reader and the workers; they end when the socket is closed.
func (u *socket) start() {
	for _, c := range []*crew{u.requests, u.responses} {
		for range c.lanes {
			u.s.goes.Go(c.work)
		}
	}
	if u.queueAnswers(); u.answers != nil {
		u.s.goes.Go(u.answers.run)
	}
	u.s.goes.Go(u.read)
}

func (u *socket) read() {
	defer func() {
		u.requests.close()
		u.responses.close()
		u.answers.close()
	}()
	receive := u.receiver()
	for {
		err := receive()
		if err == nil || u.belated(err) {
			continue
		}
		if u.closed.Load() || errors.Is(err, net.ErrClosed) {
			return
		}
		// Such an error belongs to one datagram, or the kernel is short of memory.
		select {
		case <-time.After(10 * time.Millisecond):
		case <-u.s.ctx.Done():
		}
	}
}

// single takes one datagram at a time.
func (u *socket) single() func() error {
	buf := make([]byte, 1<<16)
	return func() error {
		n, remote, err := u.pc.ReadFromUDPAddrPort(buf)
		if err == nil {
			u.accept(buf[:n], netip.AddrPortFrom(remote.Addr().Unmap(), remote.Port()))
		}
		return err
	}
}

// accept queues one datagram, or drops it when there is no room.
func (u *socket) accept(data []byte, remote netip.AddrPort) {
	crew, lane := u.queue(data)
	if crew == nil {
		return
	}
	if u.queued.Load()+int64(len(data)) > maxQueued {
		u.s.count.dropped.Add(1)
		return
	}
	buf := borrow()
	*buf = append((*buf)[:0], data...)
	u.queued.Add(int64(len(data)))
	if !crew.put(packet{buf, remote}, lane) {
		u.queued.Add(-int64(len(data)))
		giveBack(buf)
		u.s.count.dropped.Add(1)
	}
}

// queue selects by the Request-URI as it stands in the start line; nil for a keep-alive.
func (u *socket) queue(data []byte) (c *crew, lane int) {
	line := data
	for i, c := range data {
		if c == '\r' || c == '\n' {
			if i == 0 {
				data, line = trimSpace(data), nil
				if len(data) > 0 {
					return u.queue(data)
				}
				return nil, 0
			}
			line = data[:i]
			break
		}
	}
	if len(line) >= 4 && (equalFold(line[:4], "sip/") || line[0] < ' ') {
		return u.responses, u.lane(u.responses, secondLine(data[len(line):])) // STUN too
	}
	first, last := 0, len(line)
	for first < last && line[first] != ' ' {
		first++
	}
	for last > first+1 && line[last-1] != ' ' {
		last--
	}
	return u.requests, u.lane(u.requests, line[first:last])
}

// lane is the number of the lane for what has a part of a message in common.
func (u *socket) lane(c *crew, part []byte) int {
	return int(maphash.Bytes(u.seed, part) % uint64(len(c.lanes)))
}

// secondLine is the first field of a header that begins with a line end. In a response that is the Via which the
// responses to one request share.
func secondLine(b []byte) []byte {
	b = skipSpace(b)
	if end := bytes.IndexByte(b, '\r'); end >= 0 {
		return b[:end]
	}
	return b
}

func (u *socket) work(e *envelope, p packet) {
	u.queued.Add(-int64(len(*p.data)))
	if !u.closed.Load() {
		u.handle(e, *p.data, p.remote)
	}
	giveBack(p.data)
}

// handle takes one datagram, which is one message (RFC 3261 18.3).
func (u *socket) handle(e *envelope, data []byte, remote netip.AddrPort) {
	if compressed(data) || u.takeSTUN(data, remote) {
		return
	}
	u.s.trace(false, u.kind, u.local, remote, data)
	for len(data) > 0 && (data[0] == '\r' || data[0] == '\n') {
		data = data[1:]
	}
	end := headEnd(data, 0)
	if end == 0 {
		if bytes.HasSuffix(data, lineEnd) {
			data = append(data, lineEnd...) // liberal: the end of the datagram ends the header too
		}
		end = len(data)
	}
	if !e.scan(data[:end]) {
		if !keepAlive(data) {
			u.s.malformed("not a SIP message", u.kind, remote, data)
		}
		return
	}
	u.s.count.in(u.kind)
	switch body := data[end:]; {
	case e.length < 0:
		e.body = body
	case e.length <= len(body):
		e.body = body[:e.length] // what follows is padding (RFC 3261 18.3)
	default:
		e.blame("Content-Length larger than the datagram")
	}
	u.s.dispatch(e, &Flow{kind: u.kind, local: u.local, remote: remote, socket: u})
}

// keepAlive recognises what clients send to keep a NAT binding open: zero bytes, a letter pair, white space.
func keepAlive(data []byte) bool {
	if len(data) > 4 {
		return false
	}
	for _, c := range data {
		if c > ' ' && (c|0x20 < 'a' || c|0x20 > 'z') {
			return false
		}
	}
	return true
}

// write sends one datagram.
func (u *socket) write(b []byte, to netip.AddrPort) error {
	u.record(b, to)
	return u.push(b, to)
}

// record counts and traces what is sent, before it is, so that no answer to it can appear earlier in the trace.
func (u *socket) record(b []byte, to netip.AddrPort) {
	u.s.count.out(u.kind)
	u.s.trace(true, u.kind, u.local, to, b)
}

func (u *socket) push(b []byte, to netip.AddrPort) error {
	err := u.hand(b, to)
	for tries := 0; u.belated(err); tries++ {
		if tries == maxBelated {
			return u.own(err)
		}
		err = u.hand(b, to) // the error was of another datagram, and this one has not been sent
	}
	return err
}

// hand gives a datagram to the kernel.
func (u *socket) hand(b []byte, to netip.AddrPort) error {
	if u.sender.takes(to) {
		return u.sender.send(b, to)
	}
	_, err := u.pc.WriteToUDPAddrPort(b, to)
	return err
}

// maxBelated is how often a datagram is tried again while others are refused.
const maxBelated = 8

// answer sends an answer, together with others when there are many; buf is not the caller's any more.
func (u *socket) answer(buf *[]byte, to netip.AddrPort, together bool) {
	if !together || !u.answers.put(buf, to) {
		u.answered(u.write(*buf, to), to)
		giveBack(buf)
	}
}

// answered takes note of an answer that could not be sent.
func (u *socket) answered(err error, to netip.AddrPort) {
	if err != nil {
		u.s.count.unanswered.Add(1)
		u.s.cfg.Log.Debug("answer not sent", "remote", to, "error", err)
	}
}

func (u *socket) close() {
	u.closed.Store(true)
	u.answers.flush()
	_ = u.pc.Close()
}
