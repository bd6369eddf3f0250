package xcap

import (
	"net"
	"net/netip"
	"sync"
)

// room bounds connections: all together, and those of one address of another machine to half of that.
type room struct {
	most int

	mu     sync.Mutex
	all    int
	byAddr map[netip.Addr]int
}

func newRoom(most int) *room {
	if most <= 0 {
		most = DefaultMaxConnections
	}
	return &room{most: most, byAddr: map[netip.Addr]int{}}
}

func (r *room) enter(addr netip.Addr) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.all >= r.most || !addr.IsLoopback() && r.byAddr[addr] >= (r.most+1)/2 {
		return false
	}
	r.all++
	r.byAddr[addr]++
	return true
}

func (r *room) leave(addr netip.Addr) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all--
	if r.byAddr[addr]--; r.byAddr[addr] == 0 {
		delete(r.byAddr, addr)
	}
}

// limited is a listener that closes connections for which there is no room.
type limited struct {
	net.Listener
	room *room
}

func (l *limited) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		ap, _ := netip.ParseAddrPort(c.RemoteAddr().String())
		addr := ap.Addr().Unmap()
		if l.room.enter(addr) {
			return &counted{Conn: c, leave: sync.OnceFunc(func() { l.room.leave(addr) })}, nil
		}
		c.Close()
	}
}

// counted is a connection that gives its place back when it is closed.
type counted struct {
	net.Conn
	leave func()
}

func (c *counted) Close() error {
	c.leave()
	return c.Conn.Close()
}
