package stack

import (
	"net/netip"
	"runtime"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// answers are datagrams of a busy socket on their way to the kernel, which takes several with one call. Each of them
// would wake its receiver.
type answers struct {
	socket *socket
	raw    syscall.RawConn
	six    bool // the socket is of IPv6, for IPv4 too
	wake   chan struct{}

	mu      sync.Mutex
	waiting []packet

	sending sync.Mutex // guards what follows
	headers [batchSize]batched
	parts   [batchSize]unix.Iovec
	names   [batchSize]unix.RawSockaddrInet6
	taken   []packet
	count   int // of headers in use
	sent    int // of these
	err     error
}

// maxAnswers is how many answers wait at most; more are sent at once.
const maxAnswers = 256

// queueAnswers prepares the socket for answers that are sent together, where that is possible.
func (u *socket) queueAnswers() {
	raw, six, ok := kernelSocket(u.pc)
	if !ok {
		return
	}
	a := &answers{socket: u, raw: raw, six: six, wake: make(chan struct{}, 1)}
	for i := range a.headers {
		h := &a.headers[i].header
		h.Iov = &a.parts[i]
		h.SetIovlen(1)
		h.Name = (*byte)(unsafe.Pointer(&a.names[i]))
	}
	u.answers = a
}

// put takes an answer, whose buffer is then its own; it is false for one that is to be sent at once.
func (a *answers) put(buf *[]byte, to netip.AddrPort) bool {
	if a == nil || !a.socket.busy.Load() || !nameable(to, a.six) {
		return false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.socket.closed.Load() || len(a.waiting) == maxAnswers {
		return false
	}
	a.waiting = append(a.waiting, packet{buf, to})
	if len(a.waiting) == 1 {
		select {
		case a.wake <- struct{}{}:
		default:
		}
	}
	return true
}

// run sends what waits, after those who have more to add have had their turn.
func (a *answers) run() {
	for range a.wake {
		runtime.Gosched()
		a.flush()
	}
}

// close ends run; the socket is closed already, so nothing is put any more.
func (a *answers) close() {
	if a == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	close(a.wake)
}

// flush sends all that waits.
func (a *answers) flush() {
	if a == nil {
		return
	}
	a.sending.Lock()
	defer a.sending.Unlock()
	a.mu.Lock()
	a.waiting, a.taken = a.taken[:0], a.waiting
	a.mu.Unlock()
	for rest := a.taken; len(rest) > 0; {
		page := rest[:min(len(rest), batchSize)]
		rest = rest[len(page):]
		for i, p := range page {
			a.socket.record(*p.data, p.remote)
			a.prepare(i, *p.data, p.remote)
		}
		a.count, a.sent, a.err = len(page), 0, nil
		if err := a.raw.Write(a.write); err != nil {
			a.err = err
		}
		// An error may be that of another datagram; whoever sends one alone finds out.
		for _, p := range page[a.sent:] {
			a.socket.answered(a.socket.push(*p.data, p.remote), p.remote)
		}
		for _, p := range page {
			giveBack(p.data)
		}
	}
	clear(a.taken)
}

func (a *answers) prepare(i int, data []byte, to netip.AddrPort) {
	a.parts[i].Base = unsafe.SliceData(data)
	a.parts[i].SetLen(len(data))
	a.headers[i].header.Namelen = setName(&a.names[i], to, a.six)
}

// write is false when the kernel has no room.
func (a *answers) write(fd uintptr) bool {
	for a.sent < a.count {
		n, _, errno := unix.RawSyscall6(unix.SYS_SENDMMSG, fd, uintptr(unsafe.Pointer(&a.headers[a.sent])), uintptr(a.count-a.sent), unix.MSG_DONTWAIT, 0, 0)
		switch errno {
		case 0:
			a.sent += int(n)
		case unix.EINTR:
		case unix.EAGAIN:
			return false
		default:
			a.err = errno
			return true
		}
	}
	return true
}
