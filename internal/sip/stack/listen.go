package stack

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"syscall"
	"time"
)

// ErrInUse is wrapped by Listen when an address is already in use.
var ErrInUse = errors.New("address already in use")

// binding is an endpoint that is listened at.
type binding struct {
	Endpoint
	kind     *kind
	local    netip.AddrPort
	socket   *socket      // of UDP
	listener net.Listener // of streams
}

func (b *binding) close() {
	if b.socket != nil {
		b.socket.close()
	} else {
		_ = b.listener.Close()
	}
}

// Listen binds all endpoints, or none, and starts to serve them. Endpoints with equal host and port 0 get one common
// port number where one is UDP and the other a stream. An address in use gives an error that wraps ErrInUse. ctx
// bounds the binding only; Close ends the listeners.
func (s *Stack) Listen(ctx context.Context, eps ...Endpoint) error {
	bound, err := s.bindAll(ctx, eps)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		for _, b := range bound {
			b.close()
		}
		return ErrClosed
	}
	for _, b := range bound {
		if b.socket != nil {
			b.socket.start()
		} else {
			s.goes.Go(func() { s.accept(b) })
		}
	}
	all := append(append([]*binding(nil), *s.bindings.Load()...), bound...)
	s.bindings.Store(&all)
	return nil
}

// bindAll binds the endpoints in groups that share a port number.
func (s *Stack) bindAll(ctx context.Context, eps []Endpoint) ([]*binding, error) {
	bound := make([]*binding, len(eps))
	for i := range eps {
		if bound[i] != nil {
			continue
		}
		group := []int{i}
		if j := s.partner(eps, i); j > 0 && bound[j] == nil {
			group = append(group, j)
		}
		if err := s.bindGroup(ctx, eps, group, bound); err != nil {
			closeAll(bound)
			return nil, err
		}
	}
	return bound, nil
}

func closeAll(bound []*binding) {
	for _, b := range bound {
		if b != nil {
			b.close()
		}
	}
}

// partner is the next endpoint that shares the number of port 0 with endpoint i, 0 = none.
func (s *Stack) partner(eps []Endpoint, i int) int {
	if _, port, err := splitHostPort(eps[i].Addr, 1); err != nil || port != 0 {
		return 0
	}
	for j := i + 1; j < len(eps); j++ {
		a, b := s.kinds[eps[i].Transport], s.kinds[eps[j].Transport]
		if eps[j].Addr == eps[i].Addr && a != nil && b != nil && a.stream != b.stream {
			return j
		}
	}
	return 0
}

// bindGroup binds endpoints that share a port. The first gets whatever is free; when that is taken for the second,
// another is tried.
func (s *Stack) bindGroup(ctx context.Context, eps []Endpoint, group []int, bound []*binding) error {
	for try := 1; ; try++ {
		first, err := s.bind(ctx, eps[group[0]], 0)
		if err != nil {
			return err
		}
		bound[group[0]] = first
		if len(group) == 1 {
			return nil
		}
		second, err := s.bind(ctx, eps[group[1]], first.local.Port())
		if err == nil {
			bound[group[1]] = second
			return nil
		}
		if !errors.Is(err, ErrInUse) || try == 50 {
			return err
		}
		first.close()
	}
}

// bind binds one endpoint, at the given port instead of its own unless that is 0.
func (s *Stack) bind(ctx context.Context, ep Endpoint, port uint16) (*binding, error) {
	k := s.kinds[ep.Transport]
	if k == nil {
		return nil, fmt.Errorf("listen %s: transport %q is not supported", ep, ep.Transport)
	}
	if k.secure && s.serverTLS() == nil {
		return nil, fmt.Errorf("listen %s: %w", ep, errNoTLS)
	}
	host, own, err := splitHostPort(ep.Addr, k.port)
	if err != nil {
		return nil, fmt.Errorf("listen %s: %w", ep, err)
	}
	if port == 0 {
		port = own
	}
	addr := net.JoinHostPort(host, strconv.Itoa(int(port)))
	// A wildcard of one family must not take the other too, unless no family was said.
	family := ""
	if a, err := netip.ParseAddr(host); err == nil {
		family = "4"
		if a.Is6() {
			family = "6"
		}
	}
	b := &binding{Endpoint: ep, kind: k}
	if k.stream {
		b.listener, err = k.listen(ctx, "tcp"+family, addr)
	} else {
		b.socket, err = s.bindUDP(ctx, "udp"+family, addr)
	}
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("listen %s:%s: %w; end what is using it or choose another port", ep.Transport, addr, ErrInUse)
	}
	if err != nil {
		return nil, fmt.Errorf("listen %s:%s: %w", ep.Transport, addr, err)
	}
	if k.stream {
		b.local = addrPort(b.listener.Addr())
	} else {
		b.local = b.socket.local
	}
	b.Addr = net.JoinHostPort(host, strconv.Itoa(int(b.local.Port())))
	return b, nil
}

func (s *Stack) bindUDP(ctx context.Context, network, addr string) (*socket, error) {
	var lc net.ListenConfig
	pc, err := lc.ListenPacket(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	return s.newSocket(pc.(*net.UDPConn)), nil
}

// accept takes connections until the listener is closed.
func (s *Stack) accept(b *binding) {
	for {
		nc, err := b.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			// Too many open files, or a peer that has gone again.
			select {
			case <-time.After(50 * time.Millisecond):
			case <-s.ctx.Done():
			}
			continue
		}
		c := s.newConn(b.kind)
		c.remote = addrPort(nc.RemoteAddr())
		connect := func() (net.Conn, error) { return nc, nil }
		if b.kind.named() {
			connect = func() (net.Conn, error) { return c.greet(nc) }
		}
		if !s.addAccepted(c, c.remote.Addr(), connect) {
			_ = nc.Close()
		}
	}
}

// Addrs are the endpoints listened at, in the order given, with their real ports.
func (s *Stack) Addrs() []Endpoint {
	var eps []Endpoint
	for _, b := range *s.bindings.Load() {
		eps = append(eps, b.Endpoint)
	}
	return eps
}
