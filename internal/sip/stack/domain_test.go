package stack

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/miekg/dns"

	"imp/internal/transport/resolve"
)

// domain is the DNS of example.com and of those who serve it.
type domain map[string][]dns.RR

func (d domain) Lookup(_ context.Context, name string, rrtype uint16) (found []dns.RR, _ error) {
	for _, rr := range d[name] {
		if rr.Header().Rrtype == rrtype {
			found = append(found, rr)
		}
	}
	return found, nil
}

func (d domain) add(t *testing.T, record string) {
	t.Helper()
	rr, err := dns.NewRR(record)
	if err != nil {
		t.Fatal(err)
	}
	name := strings.TrimSuffix(rr.Header().Name, ".")
	d[name] = append(d[name], rr)
}

// serves makes a server one of the domain's, after those before it.
func (d domain) serves(t *testing.T, service string, s *Stack) {
	t.Helper()
	_, port, _ := net.SplitHostPort(s.Addrs()[0].Addr)
	host := fmt.Sprintf("sip%d.example.net.", len(d))
	d.add(t, fmt.Sprintf("%s.example.com. SRV %d 0 %s %s", service, len(d), port, host))
	d.add(t, host+" A 127.0.0.1")
}

// locate is what a program gives to Config.Locate.
func (d domain) locate(ctx context.Context, uri string) ([]Target, error) {
	found, err := resolve.New(resolve.Config{DNS: d}).Targets(ctx, uri)
	var targets []Target
	for _, t := range found {
		targets = append(targets, Target{Transport: t.Transport, Addr: t.Addr, Domain: t.Domain})
	}
	return targets, err
}

// TestDomain sends to a domain, over everything there is between its name and its servers.
func TestDomain(t *testing.T) {
	answering := func(n *atomic.Int64, status int) func(*Stack) {
		return func(s *Stack) {
			s.Handle("SUBSCRIBE", func(_ context.Context, r *Request) *Response {
				n.Add(1)
				return Answer(status, Field{"X-URI", r.URI()})
			})
		}
	}
	a := newAuthority(t)
	t.Run("NAM-028 a server must prove the domain, not its own name; the next one does", func(t *testing.T) {
		var wrong, right atomic.Int64
		d := domain{}
		d.serves(t, "_sips._tcp", serveAt(t, Config{ServerTLS: server(a.domains("sip0.example.net"))}, answering(&wrong, 200), "tls:127.0.0.1:0"))
		d.serves(t, "_sips._tcp", serveAt(t, Config{ServerTLS: server(a.domains("example.com"))}, answering(&right, 200), "tls:127.0.0.1:0"))
		c := client(t, Config{ClientTLS: a.trusting(nil), Locate: d.locate})
		for _, uri := range []string{"sips:bob@Example.com", "sip:bob@example.com"} {
			o := outgoing("SUBSCRIBE", Target{})
			o.URI = uri
			if res, err := ask(t, c, o); err != nil || res.StatusCode != 200 || res.GetHeader("X-URI").Value() != uri {
				t.Errorf("%s: %v, %v", uri, res, err)
			}
		}
		if wrong.Load() != 0 || right.Load() != 2 {
			t.Errorf("%d requests for the wrong server, %d for the right one", wrong.Load(), right.Load())
		}
	})
	t.Run("PRS-005 NAM-009 a pres URI leads to the presence service, and stays", func(t *testing.T) {
		var dead, other, n atomic.Int64
		d := domain{}
		d.serves(t, "_pres._sip", serve(t, Config{}, answering(&dead, 503)))
		d.serves(t, "_pres._sip", serve(t, Config{}, answering(&n, 200)))
		d.serves(t, "_sip._udp", serve(t, Config{}, answering(&other, 200)))
		c := serve(t, Config{Locate: d.locate}, nil)
		o := outgoing("SUBSCRIBE", Target{})
		o.URI = "pres:bob@example.com"
		if res, err := ask(t, c, o); err != nil || res.StatusCode != 200 || res.GetHeader("X-URI").Value() != o.URI {
			t.Errorf("%v, %v", res, err)
		}
		if dead.Load() != 1 || n.Load() != 1 || other.Load() != 0 {
			t.Errorf("requests: %d for the first, %d for the second server, %d for SIP in general", dead.Load(), n.Load(), other.Load())
		}
	})
	t.Run("MSG-034 a sips URI goes nowhere without TLS", func(t *testing.T) {
		var n atomic.Int64
		d := domain{}
		d.serves(t, "_sip._tcp", serveAt(t, Config{}, answering(&n, 200), "tcp:127.0.0.1:0"))
		d.add(t, "example.com. A 127.0.0.1")
		c := client(t, Config{ClientTLS: a.trusting(nil), Locate: d.locate})
		o := outgoing("SUBSCRIBE", Target{})
		o.URI = "sips:bob@example.com"
		if _, err := ask(t, c, o); err == nil || n.Load() != 0 {
			t.Errorf("ended with %v, %d requests arrived", err, n.Load())
		}
	})
}
