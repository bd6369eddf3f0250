package resolve

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// SystemConfig holds what a System is given from outside. The zero value works.
type SystemConfig struct {
	ResolvConf string        // file that names the servers; "" = /etc/resolv.conf
	Hosts      string        // file of names with addresses; "" = /etc/hosts
	Servers    []string      // host:port, instead of those of ResolvConf
	Timeout    time.Duration // for one question to one server; 0 = 2 s
	CacheSize  int           // answers kept; 0 = 1024, less than 0 = none
}

// System asks the name servers of this machine: over UDP with EDNS, over TCP what does not fit. Names are never
// completed from a search list. It is safe for concurrent use.
type System struct {
	cfg SystemConfig

	mu    sync.Mutex
	cache map[question]cached
	open  map[question]*flight
	hosts map[string][]netip.Addr // of the hosts file
	until time.Time               // for which they hold
}

type question struct {
	name   string
	rrtype uint16
}

// flight is a question that is being asked, for all who want to know.
type flight struct {
	done    chan struct{}
	records []dns.RR
	err     error
}

type cached struct {
	records []dns.RR
	until   time.Time
}

const (
	ednsSize    = 1232 // no fragments on usual paths
	tries       = 2    // of each server
	maxFlight   = 15 * time.Second
	maxTTL      = time.Hour
	negativeTTL = 10 * time.Second // of answers without records
	maxHosts    = 1 << 20          // bytes read of a hosts file
	hostsTime   = 5 * time.Second  // between two looks into it
)

// NewSystem returns a System; files are read when they are needed.
func NewSystem(cfg SystemConfig) *System {
	cfg.ResolvConf = cmp.Or(cfg.ResolvConf, "/etc/resolv.conf")
	cfg.Hosts = cmp.Or(cfg.Hosts, "/etc/hosts")
	cfg.Timeout = cmp.Or(cfg.Timeout, 2*time.Second)
	cfg.CacheSize = cmp.Or(cfg.CacheSize, 1024)
	return &System{cfg: cfg, cache: make(map[question]cached), open: make(map[question]*flight)}
}

// Lookup implements DNS. localhost and the names of the hosts file have the addresses told there, and nothing else.
func (y *System) Lookup(ctx context.Context, name string, rrtype uint16) ([]dns.RR, error) {
	name = plain(name)
	if addrs, ok := y.local(name); ok {
		return addressRecords(name, rrtype, addrs), nil
	}
	q := question{name, rrtype}
	records, f := y.begin(ctx, q)
	if f == nil {
		return records, nil
	}
	select {
	case <-f.done:
		return f.records, f.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// begin gives what is known, or the flight that will tell.
func (y *System) begin(ctx context.Context, q question) ([]dns.RR, *flight) {
	y.mu.Lock()
	defer y.mu.Unlock()
	if c, ok := y.cache[q]; ok && time.Now().Before(c.until) {
		return c.records, nil
	}
	f := y.open[q]
	if f == nil {
		f = &flight{done: make(chan struct{})}
		y.open[q] = f
		go y.fly(context.WithoutCancel(ctx), q, f) // others may wait longer than who came first
	}
	return nil, f
}

func (y *System) fly(ctx context.Context, q question, f *flight) {
	ctx, cancel := context.WithTimeout(ctx, maxFlight)
	defer cancel()
	var m *dns.Msg
	if m, f.err = y.ask(ctx, q); f.err == nil {
		f.records = m.Answer
	}
	y.mu.Lock()
	defer y.mu.Unlock()
	if f.err == nil {
		y.keep(q, f.records)
	}
	delete(y.open, q)
	close(f.done)
}

// local finds a name in the hosts file; service labels in front of it do not count.
func (y *System) local(name string) (addrs []netip.Addr, ok bool) {
	for strings.HasPrefix(name, "_") {
		var more bool
		if _, name, more = strings.Cut(name, "."); !more {
			return nil, false
		}
	}
	addrs = y.hostsFile()[name]
	if len(addrs) == 0 && (name == "localhost" || strings.HasSuffix(name, ".localhost")) {
		addrs = []netip.Addr{netip.IPv6Loopback(), netip.AddrFrom4([4]byte{127, 0, 0, 1})} // RFC 6761 6.3
	}
	return addrs, len(addrs) > 0
}

// hostsFile is what the hosts file says.
func (y *System) hostsFile() map[string][]netip.Addr {
	y.mu.Lock()
	defer y.mu.Unlock()
	if now := time.Now(); now.After(y.until) {
		y.hosts, y.until = nil, now.Add(hostsTime)
		if f, err := os.Open(y.cfg.Hosts); err == nil {
			y.hosts = parseHosts(io.LimitReader(f, maxHosts))
			_ = f.Close()
		}
	}
	return y.hosts
}

// parseHosts reads a hosts file: lines of an address and its names.
func parseHosts(r io.Reader) map[string][]netip.Addr {
	hosts := make(map[string][]netip.Addr)
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		line, _, _ := strings.Cut(lines.Text(), "#")
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		a, err := netip.ParseAddr(fields[0])
		if err != nil {
			continue
		}
		for _, name := range fields[1:] {
			if name = plain(name); len(hosts[name]) < maxAddresses {
				hosts[name] = append(hosts[name], a.Unmap())
			}
		}
	}
	return hosts
}

// addressRecords dresses addresses as the records asked for.
func addressRecords(name string, rrtype uint16, addrs []netip.Addr) (records []dns.RR) {
	h := dns.RR_Header{Name: dns.Fqdn(name), Rrtype: rrtype, Class: dns.ClassINET}
	for _, a := range addrs {
		switch {
		case rrtype == dns.TypeA && a.Is4():
			records = append(records, &dns.A{Hdr: h, A: a.AsSlice()})
		case rrtype == dns.TypeAAAA && a.Is6():
			records = append(records, &dns.AAAA{Hdr: h, AAAA: a.AsSlice()})
		}
	}
	return records
}

// ask asks one server after the other, some rounds.
func (y *System) ask(ctx context.Context, q question) (*dns.Msg, error) {
	servers, err := y.servers()
	if err != nil {
		return nil, err
	}
	if _, ok := dns.IsDomainName(q.name); !ok {
		return nil, fmt.Errorf("%q is no domain name", q.name)
	}
	var failed error
	for range tries {
		for _, server := range servers {
			m, err := y.exchange(ctx, server, q)
			if err == nil {
				return m, nil
			}
			if failed = fmt.Errorf("name server %s: %w", server, err); ctx.Err() != nil {
				return nil, failed
			}
		}
	}
	return nil, failed
}

// servers reads resolv.conf each time: networks come and go while a watch runs.
func (y *System) servers() ([]string, error) {
	if y.cfg.Servers != nil {
		return y.cfg.Servers, nil
	}
	conf, err := dns.ClientConfigFromFile(y.cfg.ResolvConf)
	if err != nil {
		return nil, fmt.Errorf("which name servers to ask: %w", err)
	}
	var servers []string
	for _, s := range conf.Servers[:min(len(conf.Servers), 3)] {
		servers = append(servers, net.JoinHostPort(s, conf.Port))
	}
	if servers == nil {
		servers = []string{"127.0.0.1:53"} // resolv.conf(5)
	}
	return servers, nil
}

var errOther = errors.New("answered another question")

// exchange asks one server. A question that it does not understand with EDNS is asked without, an answer that was cut
// off is fetched over TCP.
func (y *System) exchange(ctx context.Context, server string, q question) (*dns.Msg, error) {
	m := new(dns.Msg)
	m.SetQuestion(dns.Fqdn(q.name), q.rrtype)
	m.SetEdns0(ednsSize, false)
	client := dns.Client{Net: "udp", Timeout: y.cfg.Timeout}
	a, _, err := client.ExchangeContext(ctx, m, server)
	if err == nil && (a.Rcode == dns.RcodeFormatError || a.Rcode == dns.RcodeNotImplemented) {
		m.Extra = nil
		a, _, err = client.ExchangeContext(ctx, m, server)
	}
	if err == nil && a.Truncated {
		client.Net = "tcp"
		a, _, err = client.ExchangeContext(ctx, m, server)
	}
	switch {
	case err != nil:
		return nil, err
	case !a.Response || len(a.Question) != 1 || plain(a.Question[0].Name) != q.name || a.Question[0].Qtype != q.rrtype:
		return nil, errOther
	case a.Rcode != dns.RcodeSuccess && a.Rcode != dns.RcodeNameError:
		return nil, fmt.Errorf("%w: %s", ErrAnswer, dns.RcodeToString[a.Rcode])
	}
	return a, nil
}

// keep remembers an answer as long as its records allow; y.mu is held.
func (y *System) keep(q question, records []dns.RR) {
	ttl := maxTTL
	if len(records) == 0 {
		ttl = negativeTTL
	}
	for _, rr := range records {
		ttl = min(ttl, time.Duration(rr.Header().Ttl)*time.Second)
	}
	if ttl <= 0 || y.cfg.CacheSize <= 0 {
		return
	}
	now := time.Now()
	if len(y.cache) >= y.cfg.CacheSize {
		maps.DeleteFunc(y.cache, func(_ question, c cached) bool { return now.After(c.until) })
		if len(y.cache) >= y.cfg.CacheSize {
			clear(y.cache)
		}
	}
	y.cache[q] = cached{records, now.Add(ttl)}
}
