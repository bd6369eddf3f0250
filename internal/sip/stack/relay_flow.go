package stack

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"net/netip"
	"strings"
	"sync"
)

// flowTable finds connections by number, as far as somebody has asked for theirs.
type flowTable struct {
	mu    sync.Mutex
	last  uint64
	ids   map[*conn]uint64
	conns map[uint64]*conn
	ended func(*Flow)
}

// OnFlowEnd sets who is told that a connection has ended for which FlowID was asked. fn must not block. To be called
// before Listen.
func (s *Stack) OnFlowEnd(fn func(*Flow)) { s.relay.flows.ended = fn }

func (t *flowTable) gone(c *conn) {
	t.mu.Lock()
	id, known := t.ids[c]
	delete(t.ids, c)
	delete(t.conns, id)
	t.mu.Unlock()
	if known && t.ended != nil {
		t.ended(&c.Flow)
	}
}

func (t *flowTable) id(c *conn) uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	if id, ok := t.ids[c]; ok {
		return id
	}
	for t.last == 0 { // names are not to be taken for those that an earlier process gave
		var b [8]byte
		_, _ = rand.Read(b[:])
		t.last = binary.BigEndian.Uint64(b[:])
	}
	t.last++
	if c.dead.Load() {
		return t.last // names nothing any more
	}
	if t.ids == nil {
		t.ids, t.conns = make(map[*conn]uint64), make(map[uint64]*conn)
	}
	t.ids[c], t.conns[t.last] = t.last, c
	return t.last
}

// FlowID names a flow within this process; it is no secret, and no two flows ever share one.
func (s *Stack) FlowID(f *Flow) []byte {
	if f.conn != nil {
		return binary.BigEndian.AppendUint64([]byte{'s'}, s.relay.flows.id(f.conn))
	}
	b := []byte{'u'}
	for _, a := range [...]netip.AddrPort{f.local, f.remote} {
		a16 := a.Addr().WithZone("").As16()
		b = binary.BigEndian.AppendUint16(append(b, a16[:]...), a.Port())
	}
	return b
}

// FlowOf finds a flow by its name, nil when it has ended.
func (s *Stack) FlowOf(id []byte) *Flow {
	switch {
	case len(id) == 9 && id[0] == 's':
		t := &s.relay.flows
		t.mu.Lock()
		c := t.conns[binary.BigEndian.Uint64(id[1:])]
		t.mu.Unlock()
		if c != nil && !c.dead.Load() {
			return &c.Flow
		}
	case len(id) == 37 && id[0] == 'u':
		local, remote := addrPort16(id[1:19]), addrPort16(id[19:])
		for _, b := range *s.bindings.Load() {
			if b.socket != nil && b.socket.local == local && !b.socket.closed.Load() {
				return &Flow{kind: b.socket.kind, local: local, remote: remote, socket: b.socket}
			}
		}
	}
	return nil
}

func addrPort16(b []byte) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom16([16]byte(b[:16])).Unmap(), binary.BigEndian.Uint16(b[16:]))
}

// Same tells whether two flows are one.
func (f *Flow) Same(o *Flow) bool {
	if f == nil || o == nil || f.conn != nil || o.conn != nil {
		return f != nil && o != nil && f.conn == o.conn
	}
	return f.socket == o.socket && f.remote == o.remote
}

// passed marks the branches of requests passed on without a transaction.
const passed = magic + "p"

const passMAC = 10 // bytes

// passBranch is the branch of a request that is passed on without a transaction: where answers go, and the transaction
// that it belongs to. CANCEL has that of its INVITE.
func (s *Stack) passBranch(in *incoming) string {
	method := in.e.method
	if m := string(method); m == "CANCEL" || m == "ACK" {
		method = []byte("INVITE")
	}
	payload := s.FlowID(in.flow)
	var k [16]byte
	s.keys.transaction(in.e, method).put(k[:])
	payload = append(payload, k[:8]...)
	sealed := append(s.passSum(payload), payload...)
	return passed + base64.RawURLEncoding.EncodeToString(sealed)
}

func (s *Stack) passSum(payload []byte) []byte {
	mac := hmac.New(sha256.New, s.secret[:])
	mac.Write([]byte("pass"))
	mac.Write(payload)
	return mac.Sum(nil)[:passMAC]
}

// passedFrom reads a branch that passBranch made: the flow that the request came over, nil when it has ended.
func (s *Stack) passedFrom(text []byte) (f *Flow, ours bool) {
	text, ok := bytes.CutPrefix(text, []byte(passed))
	if !ok || s.relay.proxy == nil {
		return nil, false
	}
	if dot := bytes.IndexByte(text, '.'); dot >= 0 {
		text = text[:dot]
	}
	b, err := base64.RawURLEncoding.AppendDecode(nil, text)
	if err != nil || len(b) < passMAC+8 || !hmac.Equal(b[:passMAC], s.passSum(b[passMAC:])) {
		return nil, false
	}
	return s.FlowOf(b[passMAC : len(b)-8]), true
}

// Own tells whether host and port, 0 for the default of the transport, are an address of this stack itself: one that it
// listens at, or that it advertises.
func (s *Stack) Own(host string, port int, transport string) bool {
	k, err := s.kindOf(transport)
	if err != nil {
		return false
	}
	if port == 0 {
		port = int(k.port)
	}
	host = strings.Trim(host, "[]")
	if s.cfg.Advertise != "" {
		name, own, err := splitHostPort(s.cfg.Advertise, 0)
		if err == nil && strings.EqualFold(name, host) {
			return own == 0 && s.listensAt(uint16(port)) || int(own) == port
		}
	}
	a, err := netip.ParseAddr(host)
	if err != nil {
		if !strings.EqualFold(host, "localhost") {
			return false
		}
		a = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	a = a.Unmap()
	for _, b := range *s.bindings.Load() {
		if int(b.local.Port()) == port && (b.local.Addr() == a || b.local.Addr().IsUnspecified() && s.interfaceTowards(a) == a) {
			return true
		}
	}
	return false
}

func (s *Stack) listensAt(port uint16) bool {
	for _, b := range *s.bindings.Load() {
		if b.local.Port() == port {
			return true
		}
	}
	return false
}

// HostPort is the host:port under which the peer of a flow reaches this stack.
func (s *Stack) HostPort(f *Flow) string { return string(s.appendSentBy(nil, f)) }
