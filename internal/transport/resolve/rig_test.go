package resolve

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/miekg/dns"
)

// zone is a DNS that answers from records, and notes what it was asked.
type zone struct {
	mu      sync.Mutex
	records []dns.RR
	fail    map[uint16]error // by type
	asked   []string
}

// zoneOf reads records in the form of zone files; names without a final dot belong to example.com.
func zoneOf(t testing.TB, text string) *zone {
	t.Helper()
	z := new(zone)
	text = "$TTL 60\n" + strings.ReplaceAll(text, "\n\t\t\t", "\n") // without the indent of tables
	text = strings.ReplaceAll(text, "\n\t\t", "\n")
	p := dns.NewZoneParser(strings.NewReader(text), "example.com.", "")
	for rr, ok := p.Next(); ok; rr, ok = p.Next() {
		z.records = append(z.records, rr)
	}
	if err := p.Err(); err != nil {
		t.Fatal(err)
	}
	return z
}

func sampleZone(t testing.TB) *zone {
	text, err := os.ReadFile("testdata/example.com.zone")
	if err != nil {
		t.Fatal(err)
	}
	return zoneOf(t, string(text))
}

func (z *zone) Lookup(ctx context.Context, name string, rrtype uint16) ([]dns.RR, error) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.asked = append(z.asked, dns.TypeToString[rrtype]+" "+name)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return z.answer(name, rrtype), z.fail[rrtype]
}

// answer follows aliases within the zone, as servers do.
func (z *zone) answer(name string, rrtype uint16) (found []dns.RR) {
	for range 10 {
		var alias *dns.CNAME
		for _, rr := range z.records {
			if plain(rr.Header().Name) != plain(name) {
				continue
			}
			if rr.Header().Rrtype == rrtype {
				found = append(found, rr)
			}
			if c, ok := rr.(*dns.CNAME); ok && rrtype != dns.TypeCNAME {
				alias = c
			}
		}
		if alias == nil {
			break
		}
		found, name = append(found, alias), alias.Target
	}
	return found
}

// questions takes away what was asked, sorted, since much is asked at one time.
func (z *zone) questions() []string {
	z.mu.Lock()
	defer z.mu.Unlock()
	q := z.asked
	z.asked = nil
	slices.Sort(q)
	return q
}

// ServeDNS makes the zone a name server, which cuts off what is too long for UDP.
func (z *zone) ServeDNS(w dns.ResponseWriter, q *dns.Msg) {
	m := new(dns.Msg)
	m.SetReply(q)
	name := plain(q.Question[0].Name)
	z.mu.Lock()
	network := w.LocalAddr().Network()
	z.asked = append(z.asked, network+" "+dns.TypeToString[q.Question[0].Qtype]+" "+name)
	m.Answer = z.answer(name, q.Question[0].Qtype)
	if z.fail[q.Question[0].Qtype] != nil {
		m.Rcode = dns.RcodeServerFailure
	}
	z.mu.Unlock()
	size := dns.MinMsgSize
	if opt := q.IsEdns0(); opt != nil {
		size = int(opt.UDPSize())
		m.SetEdns0(ednsSize, false)
	}
	if network == "udp" {
		m.Truncate(size)
	}
	_ = w.WriteMsg(m)
}

// server runs the zone as a name server on loopback, over UDP and TCP.
func (z *zone) server(t testing.TB) (addr string) {
	t.Helper()
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr = pc.LocalAddr().String()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Skip("the port of UDP is taken for TCP")
	}
	for _, s := range []*dns.Server{{PacketConn: pc, Handler: z}, {Listener: l, Handler: z}} {
		started := make(chan struct{})
		s.NotifyStartedFunc = func() { close(started) }
		go func() { _ = s.ActivateAndServe() }()
		<-started
		t.Cleanup(func() { _ = s.Shutdown() })
	}
	return addr
}

var errRefused = fmt.Errorf("%w: REFUSED", ErrAnswer)

// first is a randomness that always picks the first.
func first(int) int { return 0 }

func everywhere(netip.Addr) bool { return true }

// targets locates a URI with a resolver that has all transports, as "transport addr domain" or "! error".
func targets(t testing.TB, cfg Config, uri string) []string {
	t.Helper()
	if cfg.Rand == nil {
		cfg.Rand = first
	}
	if cfg.Reachable == nil {
		cfg.Reachable = everywhere
	}
	found, err := New(cfg).Targets(context.Background(), uri)
	if err != nil {
		if len(found) > 0 {
			t.Errorf("%s: targets beside the error %v", uri, err)
		}
		return []string{"! " + err.Error()}
	}
	var list []string
	for _, f := range found {
		list = append(list, f.Transport+" "+f.Addr+" "+f.Domain)
	}
	return list
}
