package stack

import (
	"net"
	"net/netip"
	"strconv"
	"sync"
)

// socketFor is the UDP listener from which an address can be reached; one that is bound to a suitable address is
// better than one bound to all.
func (s *Stack) socketFor(to netip.Addr) *socket {
	b := s.bindingFor(s.kinds["udp"], to)
	if b == nil || b.local.Addr().IsLoopback() && !to.IsLoopback() {
		return nil
	}
	return b.socket
}

// bindingFor is the best listener of a transport towards an address, the first one where that is not known.
func (s *Stack) bindingFor(k *kind, to netip.Addr) (best *binding) {
	score := 0
	for _, b := range *s.bindings.Load() {
		a := b.local.Addr()
		n := 0
		switch {
		case b.kind != k:
		case !to.IsValid():
			n = 1
		case a.IsUnspecified() && (a.Is4() == to.Is4() || b.bothFamilies()):
			n = 2
		case a.Is4() != to.Is4() || a.IsUnspecified():
		case a.IsLoopback() == to.IsLoopback():
			n = 3
		default:
			n = 1
		}
		if n > score {
			best, score = b, n
		}
	}
	return best
}

// bothFamilies tells whether the listener was given no host.
func (b *binding) bothFamilies() bool {
	host, _, _ := net.SplitHostPort(b.Addr)
	return host == ""
}

// ContactHost is the "host:port" to put into a Contact that the peer at to ("host:port" or an address, "" = any) can
// reach over transport: Advertise, or the listener's address, for a wildcard that of the interface towards the peer.
// Without a listener of that transport the port is left out, and for ws and wss the host is a random name in the domain
// invalid (RFC 7118 5.3).
func (s *Stack) ContactHost(transport, to string) string {
	k, err := s.kindOf(transport)
	if err != nil {
		k = s.kinds["udp"]
	}
	var remote netip.Addr
	if host, _, err := splitHostPort(to, k.port); err == nil {
		a, _ := netip.ParseAddr(host)
		remote = a.Unmap()
	}
	f := Flow{kind: k, remote: netip.AddrPortFrom(remote, 0)}
	if b := s.bindingFor(k, remote); b != nil {
		f.local = b.local
	}
	return string(s.appendSentBy(nil, &f))
}

// appendSentBy writes host and port under which this stack can be reached by the peer of a flow. For a connection
// the port is that of a listener of its transport where there is one: that is where the peer can open another.
func (s *Stack) appendSentBy(b []byte, f *Flow) []byte {
	if f.kind.framed && s.bindingFor(f.kind, netip.Addr{}) == nil {
		return append(b, s.invalid...) // nobody can connect to it (RFC 7118 5.3)
	}
	host, port := f.local.Addr(), f.local.Port()
	if f.conn != nil {
		if l := s.bindingFor(f.kind, f.remote.Addr()); l != nil {
			port = l.local.Port()
			if !l.local.Addr().IsUnspecified() {
				host = l.local.Addr()
			}
		}
	}
	if s.cfg.Advertise != "" {
		name, p, err := splitHostPort(s.cfg.Advertise, port)
		if err == nil {
			return appendHostPort(b, name, p)
		}
	}
	if !host.IsValid() || host.IsUnspecified() {
		host = s.interfaceTowards(f.remote.Addr())
	}
	if host.Is6() {
		b = append(b, '[')
		b = host.WithZone("").AppendTo(b)
		b = append(b, ']')
	} else {
		b = host.AppendTo(b)
	}
	if port != 0 {
		b = append(b, ':')
		b = strconv.AppendUint(b, uint64(port), 10)
	}
	return b
}

func appendHostPort(b []byte, host string, port uint16) []byte {
	if a, err := netip.ParseAddr(host); err == nil && a.Is6() {
		b = append(append(append(b, '['), host...), ']')
	} else {
		b = append(b, host...)
	}
	if port != 0 {
		b = append(b, ':')
		b = strconv.AppendUint(b, uint64(port), 10)
	}
	return b
}

// routes remembers from which local address the kernel would send: to find out takes a socket, though nothing is sent.
type routes struct {
	mu    sync.Mutex
	local map[netip.Addr]netip.Addr // by remote address
}

const maxRoutes = 1024

// interfaceTowards is the local address that the kernel would send from.
func (s *Stack) interfaceTowards(remote netip.Addr) netip.Addr {
	if !remote.IsValid() {
		remote = netip.AddrFrom4([4]byte{192, 0, 2, 1}) // any address outside will do
	}
	r := &s.routes
	r.mu.Lock()
	local, ok := r.local[remote]
	r.mu.Unlock()
	if ok {
		return local
	}
	local = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	if remote.Is6() {
		local = netip.IPv6Loopback()
	}
	if c, err := net.Dial("udp", netip.AddrPortFrom(remote, 9).String()); err == nil {
		local = addrPort(c.LocalAddr()).Addr()
		_ = c.Close()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.local == nil || len(r.local) >= maxRoutes {
		r.local = make(map[netip.Addr]netip.Addr)
	}
	r.local[remote] = local
	return local
}
