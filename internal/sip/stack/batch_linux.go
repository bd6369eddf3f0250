package stack

import (
	"encoding/binary"
	"net"
	"net/netip"
	"strconv"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// batch takes several datagrams from the kernel with one call.
type batch struct {
	socket  *socket
	raw     syscall.RawConn
	headers [batchSize]batched
	parts   [batchSize]unix.Iovec
	names   [batchSize]unix.RawSockaddrInet6 // the longer one
	data    []byte
	count   int
	err     error
}

// batched is struct mmsghdr of Linux.
type batched struct {
	header unix.Msghdr
	length uint32
}

const (
	batchSize = 32
	several   = 4 // datagrams at once; their answers can go at once too
)

// receiver gives the function that waits for datagrams and queues them.
func (u *socket) receiver() func() error {
	c, ok := u.pc.(*net.UDPConn)
	if !ok {
		return u.single()
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return u.single()
	}
	b := &batch{socket: u, raw: raw, data: make([]byte, batchSize<<16)} // most of it is never touched, so never there
	for i := range b.headers {
		b.parts[i].Base = &b.data[i<<16]
		b.parts[i].SetLen(1 << 16)
		h := &b.headers[i].header
		h.Iov = &b.parts[i]
		h.SetIovlen(1)
		h.Name = (*byte)(unsafe.Pointer(&b.names[i]))
	}
	var pace pacer
	return func() error {
		if b.count < batchSize { // else there is more
			pace.wait()
		}
		if err := b.receive(); err != nil {
			return err
		}
		pace.count(b.count)
		u.busy.Store(pace.busy || b.count >= several)
		return nil
	}
}

// receive waits until there are datagrams, and queues all there are, up to batchSize.
func (b *batch) receive() error {
	b.count, b.err = 0, nil
	if err := b.raw.Read(b.read); err != nil {
		return err
	}
	for i := range b.count {
		b.socket.accept(b.data[i<<16:i<<16+int(b.headers[i].length)], source(&b.names[i]))
	}
	return b.err
}

// read is false when there is nothing. As with sender, the runtime is not told of the system call.
func (b *batch) read(fd uintptr) bool {
	for i := range b.headers {
		b.headers[i].header.Namelen = unix.SizeofSockaddrInet6
	}
	for {
		n, _, errno := unix.RawSyscall6(unix.SYS_RECVMMSG, fd, uintptr(unsafe.Pointer(&b.headers[0])), batchSize, unix.MSG_DONTWAIT, 0, 0)
		switch errno {
		case 0:
			b.count = int(n)
			return true
		case unix.EINTR:
		case unix.EAGAIN:
			return false
		default:
			b.err = errno
			return true
		}
	}
}

// source is the address that a datagram came from.
func source(name *unix.RawSockaddrInet6) netip.AddrPort {
	port := func(p *uint16) uint16 { return binary.BigEndian.Uint16((*[2]byte)(unsafe.Pointer(p))[:]) }
	if name.Family == unix.AF_INET {
		four := (*unix.RawSockaddrInet4)(unsafe.Pointer(name))
		return netip.AddrPortFrom(netip.AddrFrom4(four.Addr), port(&four.Port))
	}
	a := netip.AddrFrom16(name.Addr).Unmap()
	if name.Scope_id != 0 && a.Is6() {
		a = a.WithZone(zone(int(name.Scope_id)))
	}
	return netip.AddrPortFrom(a, port(&name.Port))
}

// zone is the name of an interface, as package net has it.
func zone(index int) string {
	if i, err := net.InterfaceByIndex(index); err == nil {
		return i.Name
	}
	return strconv.Itoa(index)
}
