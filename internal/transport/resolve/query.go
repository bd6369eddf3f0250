package resolve

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"github.com/miekg/dns"
)

// DNS answers queries. Lookup returns the records of an answer, aliases on the way to them included, and none for a
// name that does not exist or has no records of the type. name is fully qualified, without a final dot. An error says
// that there was no such answer.
type DNS interface {
	Lookup(ctx context.Context, name string, rrtype uint16) ([]dns.RR, error)
}

// Bounds of what is taken from one answer: whoever owns a domain decides what its records are.
const (
	maxAliases   = 8
	maxServices  = 16
	maxAddresses = 16
)

var errAliases = errors.New("too many aliases on the way to the records")

// query asks for the records of one type and follows aliases. canonical is the name that they led to.
func query[T dns.RR](ctx context.Context, r *Resolver, name string, rrtype uint16) (found []T, canonical string, err error) {
	canonical = name
	for range maxAliases {
		records, err := r.cfg.DNS.Lookup(ctx, canonical, rrtype)
		if err != nil {
			return nil, canonical, fmt.Errorf("asking DNS for %s %s: %w", dns.TypeToString[rrtype], canonical, err)
		}
		asked := canonical
		for range maxAliases {
			if found = owned[T](records, canonical); len(found) > 0 {
				return found, canonical, nil
			}
			aliases := owned[*dns.CNAME](records, canonical)
			if len(aliases) == 0 {
				break
			}
			canonical = plain(aliases[0].Target)
		}
		if canonical == asked {
			return nil, canonical, nil
		}
	}
	return nil, canonical, errAliases
}

// owned selects the records of one type that belong to a name.
func owned[T dns.RR](records []dns.RR, name string) (found []T) {
	for _, rr := range records {
		if t, ok := rr.(T); ok && plain(rr.Header().Name) == name {
			found = append(found, t)
		}
	}
	return found
}

// plain is a name as it is compared here.
func plain(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }

// inParallel asks f about each of a list at one time, and gives the answers in the order of the list.
func inParallel[Q, A any](questions []Q, f func(Q) A) []A {
	answers := make([]A, len(questions))
	var all sync.WaitGroup
	for i, q := range questions {
		if i == len(questions)-1 {
			answers[i] = f(q)
			break
		}
		all.Go(func() { answers[i] = f(q) })
	}
	all.Wait()
	return answers
}

// service is an SRV record.
type service struct {
	host             string
	port             uint16
	priority, weight uint16
}

// srv gives the SRV records of a name in the order in which they are to be tried.
func (r *Resolver) srv(ctx context.Context, name string) (list []service, canonical string, err error) {
	records, canonical, err := query[*dns.SRV](ctx, r, name, dns.TypeSRV)
	if err != nil {
		return nil, canonical, err
	}
	for _, rr := range records {
		if host := plain(rr.Target); host != "" && rr.Port != 0 {
			list = append(list, service{host, rr.Port, rr.Priority, rr.Weight})
		}
	}
	if len(records) > 0 && len(list) == 0 {
		return nil, canonical, fmt.Errorf("%s says that the service is not offered there: %w", name, ErrNotFound)
	}
	slices.SortStableFunc(list, func(a, b service) int { return cmp.Compare(a.priority, b.priority) })
	list = list[:min(len(list), maxServices)]
	r.weigh(list)
	return list, canonical, nil
}

// weigh puts records of equal priority into the random order of RFC 2782.
func (r *Resolver) weigh(list []service) {
	for len(list) > 0 {
		n := 1
		for n < len(list) && list[n].priority == list[0].priority {
			n++
		}
		group := list[:n]
		list = list[n:]
		// Those of weight 0 come first, so that they have a small chance.
		slices.SortStableFunc(group, func(a, b service) int { return cmp.Compare(min(a.weight, 1), min(b.weight, 1)) })
		for ; len(group) > 1; group = group[1:] {
			sum := 0
			for _, s := range group {
				sum += int(s.weight)
			}
			pick := r.cfg.Rand(sum + 1)
			for i, s := range group {
				if pick -= int(s.weight); pick <= 0 {
					copy(group[1:i+1], group[:i])
					group[0] = s
					break
				}
			}
		}
	}
}

// offer is a transport of a domain and where its SRV records are.
type offer struct{ transport, name string }

// naptrTransports are the services of RFC 3263 4.1 and RFC 7118 10.2.
var naptrTransports = map[string]string{
	"SIPS+D2T": "tls", "SIP+D2T": "tcp", "SIP+D2U": "udp", "SIP+D2W": "ws", "SIPS+D2W": "wss",
}

// naptr gives what the NAPTR records of a domain offer that can be used: only those of the lowest order among them
// (RFC 3403 4.1), best first.
func (r *Resolver) naptr(ctx context.Context, p place) (offers []offer, err error) {
	records, _, err := query[*dns.NAPTR](ctx, r, p.target, dns.TypeNAPTR)
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(records, func(a, b *dns.NAPTR) int {
		return cmp.Or(cmp.Compare(a.Order, b.Order), cmp.Compare(a.Preference, b.Preference))
	})
	order := -1
	for _, rr := range records {
		transport := naptrTransports[strings.ToUpper(rr.Service)]
		name := plain(rr.Replacement)
		switch {
		case !strings.EqualFold(rr.Flags, "s"), rr.Regexp != "", name == "":
		case transport == "", !r.supports(transport), p.scheme == "sips" && !secure(transport):
		case order >= 0 && int(rr.Order) != order:
		case len(offers) < len(naptrTransports):
			order = int(rr.Order)
			offers = append(offers, offer{transport, name})
		}
	}
	return offers, nil
}

// addresses gives the addresses of a host: those of IPv6 first, and last those that cannot be reached from here
// (RFC 6724 rule 1).
func (r *Resolver) addresses(ctx context.Context, host string) (list []netip.Addr, canonical string, err error) {
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{a.Unmap()}, host, nil
	}
	type answer struct {
		list      []netip.Addr
		canonical string
		err       error
	}
	answers := inParallel([]uint16{dns.TypeAAAA, dns.TypeA}, func(rrtype uint16) (a answer) {
		a.list, a.canonical, a.err = r.addressesOf(ctx, host, rrtype)
		return a
	})
	six, four := answers[0], answers[1]
	list = append(six.list, four.list...)
	if len(list) == 0 {
		return nil, four.canonical, cmp.Or(four.err, six.err)
	}
	slices.SortStableFunc(list, func(a, b netip.Addr) int {
		return cmp.Compare(r.distance(a), r.distance(b))
	})
	if six.canonical != host {
		four.canonical = six.canonical
	}
	return list, four.canonical, nil
}

func (r *Resolver) distance(a netip.Addr) int {
	if r.cfg.Reachable(a) {
		return 0
	}
	return 1
}

func (r *Resolver) addressesOf(ctx context.Context, host string, rrtype uint16) (list []netip.Addr, canonical string, err error) {
	var raw []net.IP
	if rrtype == dns.TypeAAAA {
		var records []*dns.AAAA
		records, canonical, err = query[*dns.AAAA](ctx, r, host, rrtype)
		for _, rr := range records {
			raw = append(raw, rr.AAAA)
		}
	} else {
		var records []*dns.A
		records, canonical, err = query[*dns.A](ctx, r, host, rrtype)
		for _, rr := range records {
			raw = append(raw, rr.A)
		}
	}
	for _, ip := range raw[:min(len(raw), maxAddresses)] {
		if a, ok := netip.AddrFromSlice(ip); ok {
			list = append(list, a.Unmap())
		}
	}
	return list, canonical, err
}

// routed tells whether the kernel has a way to an address; nothing is sent.
func routed(a netip.Addr) bool {
	c, err := net.Dial("udp", netip.AddrPortFrom(a, 9).String())
	if err != nil {
		return false
	}
	_ = c.Close()
	return true
}
