package resolve

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// expect compares what a zone leads to. A want that begins with "!" is a part of the error.
func expect(t *testing.T, cfg Config, uri string, want ...string) {
	t.Helper()
	got := targets(t, cfg, uri)
	if len(want) == 1 && strings.HasPrefix(want[0], "!") && strings.HasPrefix(got[0], "! ") && strings.Contains(got[0], want[0][2:]) {
		return
	}
	if !slices.Equal(got, want) {
		t.Errorf("%s leads to\n  %s\nwant\n  %s", uri, strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

const threeNAPTR = `
@ NAPTR 50  50 "s" "SIPS+D2T" "" _sips._tcp
@ NAPTR 90  50 "s" "SIP+D2T"  "" _sip._tcp
@ NAPTR 100 50 "S" "sip+d2u"  "" _sip._udp.example.net.
_sips._tcp SRV 0 0 5061 a
_sip._tcp  SRV 0 0 5060 a
_sip._udp.example.net. SRV 0 0 5070 b
a A 192.0.2.1
b A 192.0.2.2
@ A 192.0.2.80
`

func TestSIP(t *testing.T) {
	udp, plainOnly := []string{"udp"}, []string{"udp", "tcp"}
	for _, tt := range []struct {
		name, zone, uri string
		transports      []string
		want            []string
	}{
		{"NAM-017 maddr is the target, the host is what TLS proves", "other A 192.0.2.9", "sip:bob@Example.COM;maddr=other.example.com;transport=TLS", nil,
			[]string{"tls 192.0.2.9:5061 example.com"}},
		{"NAM-017 numeric maddr", "@ A 192.0.2.80", "sip:bob@example.com:5080;maddr=192.0.2.7", nil, []string{" 192.0.2.7:5080 example.com"}},
		{"NAM-018 the transport of the URI", threeNAPTR, "sip:example.com;transport=tcp", nil, []string{"tcp 192.0.2.1:5060 example.com"}},
		{"NAM-018 with a numeric host", "", "sip:bob@192.0.2.1;transport=tcp", nil, []string{"tcp 192.0.2.1:5060 192.0.2.1"}},
		{"NAM-018 not available here", "", "sip:bob@192.0.2.1;transport=tcp", udp, []string{"! transport tcp is not available"}},
		{"NAM-018 unknown", "", "sip:bob@192.0.2.1;transport=sctp", nil, []string{`! transport "sctp" is not supported`}},
		{"NAM-019 numeric host", "", "sip:a@192.0.2.1", nil, []string{" 192.0.2.1:5060 192.0.2.1"}},
		{"NAM-019 numeric host and no TCP here", "", "sip:a@192.0.2.1", udp, []string{"udp 192.0.2.1:5060 192.0.2.1"}},
		{"NAM-019 numeric host, sips", "", "sips:a@192.0.2.1", nil, []string{"tls 192.0.2.1:5061 192.0.2.1"}},
		{"NAM-019 port", "h A 192.0.2.1", "sip:a@h.example.com:5070", nil, []string{" 192.0.2.1:5070 h.example.com"}},
		{"NAM-019 port, sips", "h A 192.0.2.1", "sips:a@h.example.com:5070", nil, []string{"tls 192.0.2.1:5070 h.example.com"}},
		{"NAM-020 the best record", threeNAPTR, "sip:bob@example.com", nil, []string{"tls 192.0.2.1:5061 example.com"}},
		{"NAM-020 of those supported", threeNAPTR, "sip:bob@example.com", plainOnly, []string{"tcp 192.0.2.1:5060 example.com"}},
		{"NAM-020 UDP in another domain", threeNAPTR, "sip:bob@example.com", udp, []string{"udp 192.0.2.2:5070 example.com"}},
		{"NAM-020 sips discards the others", `
			@ NAPTR 10 50 "s" "SIP+D2T"  "" _sip._tcp
			@ NAPTR 50 50 "s" "SIPS+D2T" "" _sips._tcp
			_sips._tcp SRV 0 0 5061 a
			_sip._tcp  SRV 0 0 5060 a
			a A 192.0.2.1`, "sips:bob@example.com", nil, []string{"tls 192.0.2.1:5061 example.com"}},
		{"NAM-020 sips without TLS here", threeNAPTR, "sips:bob@example.com", plainOnly, []string{"! no transport for sips"}},
		{"NAM-020 preference within an order, and no other order", `
			@ NAPTR 10 20 "s" "SIP+D2U" "" _sip._udp
			@ NAPTR 10 10 "s" "SIP+D2T" "" _sip._tcp
			@ NAPTR 20 10 "s" "SIPS+D2T" "" _sips._tcp
			_sips._tcp SRV 0 0 5061 a
			_sip._tcp  SRV 0 0 5060 a
			_sip._udp  SRV 0 0 5060 a
			a A 192.0.2.1`, "sip:bob@example.com", nil, []string{"tcp 192.0.2.1:5060 example.com", " 192.0.2.1:5060 example.com"}},
		{"NAM-020 records of other kinds", `
			@ NAPTR 10 10 "u" "SIP+D2U" "!^.*$!sip:a@b!" .
			@ NAPTR 10 10 "s" "SIP+D2S" "" _sip._sctp
			@ NAPTR 10 10 "s" "E2U+sip" "" _sip._udp
			_sip._tcp SRV 0 0 5060 a
			a A 192.0.2.1`, "sip:bob@example.com", nil, []string{"tcp 192.0.2.1:5060 example.com"}},
		{"NAM-020 NAPTR without the SRV it names", `
			@ NAPTR 10 10 "s" "SIP+D2T" "" _sip._tcp
			@ A 192.0.2.1`, "sip:bob@example.com", nil, []string{"tcp 192.0.2.1:5060 example.com"}},
		{"NAM-021 SRV for each transport", `
			_sips._tcp SRV 0 0 5061 a
			_sip._tcp  SRV 0 0 5060 a
			_sip._udp  SRV 0 0 5060 b
			@ A 192.0.2.80
			a A 192.0.2.1
			b A 192.0.2.2`, "sip:bob@example.com", []string{"tcp", "udp"}, []string{"tcp 192.0.2.1:5060 example.com", " 192.0.2.2:5060 example.com"}},
		{"NAM-021 sips", `
			_sips._tcp SRV 0 0 5071 a
			_sip._tcp  SRV 0 0 5060 a
			a A 192.0.2.1`, "sips:bob@example.com", nil, []string{"tls 192.0.2.1:5071 example.com"}},
		{"NAM-021 SRV, and never the domain's own address", `
			_sip._udp SRV 0 0 5060 gone
			@ A 192.0.2.80`, "sip:bob@example.com", nil, []string{"! no host that serves"}},
		{"NAM-021 SRV that says no", `
			_sip._udp SRV 0 0 0 .
			@ A 192.0.2.80`, "sip:bob@example.com", nil, []string{"! not offered"}},
		{"NAM-022 addresses only", "@ A 192.0.2.80\n@ AAAA 2001:db8::80", "sip:bob@example.com", nil,
			[]string{" [2001:db8::80]:5060 example.com", " 192.0.2.80:5060 example.com"}},
		{"NAM-022 addresses only, sips", "@ A 192.0.2.80", "sips:bob@example.com", nil, []string{"tls 192.0.2.80:5061 example.com"}},
		{"NAM-022 nothing", "other A 192.0.2.80", "sip:bob@example.com", nil, []string{"! example.com has no address"}},
		{"NAM-023 port 5060 means no SRV", "_sip._udp SRV 0 0 5070 trap\n_sip._tcp SRV 0 0 5070 trap\ntrap A 192.0.2.9\n@ A 192.0.2.80",
			"sip:example.com:5060", nil, []string{" 192.0.2.80:5060 example.com"}},
		{"NAM-024 SRV of the transport", threeNAPTR + "_sip._udp SRV 0 0 5090 b", "sip:example.com;transport=udp", nil, []string{"udp 192.0.2.2:5090 example.com"}},
		{"NAM-024 then addresses", "@ A 192.0.2.80", "sip:example.com;transport=tcp", nil, []string{"tcp 192.0.2.80:5060 example.com"}},
		{"NAM-024 sips with tcp", "_sips._tcp SRV 0 0 5071 a\n_sip._tcp SRV 0 0 5060 trap\na A 192.0.2.1", "sips:example.com;transport=tcp", nil,
			[]string{"tls 192.0.2.1:5071 example.com"}},
		{"sips never goes over UDP", "", "sips:192.0.2.1;transport=udp", nil, []string{"! cannot go over UDP"}},
		{"MSG-041 transport ws stands for both", "", "sips:192.0.2.1:8443;transport=ws", nil, []string{"wss 192.0.2.1:8443 192.0.2.1"}},
		{"MSG-044 ws has port 80", "", "sip:192.0.2.1;transport=ws", nil, []string{"ws 192.0.2.1:80 192.0.2.1"}},
		{"MSG-044 wss has port 443", "@ A 192.0.2.80", "sips:example.com;transport=ws", nil, []string{"wss 192.0.2.80:443 example.com"}},
		{"MSG-044 SIP+D2W", "@ NAPTR 10 10 \"s\" \"SIP+D2W\" \"\" _sip._ws\n_sip._ws SRV 0 0 8080 a\na A 192.0.2.1", "sip:example.com", nil,
			[]string{"ws 192.0.2.1:8080 example.com"}},
		{"MSG-044 SIPS+D2W", "@ NAPTR 10 10 \"s\" \"SIPS+D2W\" \"\" _sips._ws\n_sips._ws SRV 0 0 8443 a\na A 192.0.2.1", "sip:example.com", nil,
			[]string{"wss 192.0.2.1:8443 example.com"}},
		{"MSG-049 sips takes no plain WebSocket", "@ NAPTR 10 10 \"s\" \"SIP+D2W\" \"\" _sip._ws\n_sip._ws SRV 0 0 8080 a\na A 192.0.2.1\n@ A 192.0.2.80",
			"sips:example.com", nil, []string{"tls 192.0.2.80:5061 example.com"}},
		{"domains in any case and script", "xn--bcher-kva A 192.0.2.1", "sip:Bob@BÜCHER.example.com:5060", nil, []string{" 192.0.2.1:5060 xn--bcher-kva.example.com"}},
		{"final dot", "@ A 192.0.2.80", "sip:bob@example.com.", nil, []string{" 192.0.2.80:5060 example.com"}},
		{"user with what separates elsewhere", "", "sip:a;b@c:p@192.0.2.1;lr?x=y", nil, []string{" 192.0.2.1:5060 192.0.2.1"}},
		{"IPv6", "", "sip:bob@[2001:DB8::1]", nil, []string{" [2001:db8::1]:5060 2001:db8::1"}},
		{"alias", "www CNAME h\nh A 192.0.2.1", "sip:www.example.com:5060", nil, []string{" 192.0.2.1:5060 www.example.com"}},
		{"aliases in a ring", "a CNAME b\nb CNAME a", "sip:a.example.com:5060", nil, []string{"! "}},
		{"other scheme", "", "tel:+123", nil, []string{`! no way is known`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			expect(t, Config{DNS: zoneOf(t, tt.zone), Transports: tt.transports}, tt.uri, tt.want...)
		})
	}
}

func TestAbstract(t *testing.T) {
	const zone = `
		_pres._sip SRV 0 0 5060 p
		_im._sip   SRV 0 0 5080 i
		p A 192.0.2.1
		i A 192.0.2.2
		@ A 192.0.2.80`
	for _, tt := range []struct {
		name, zone, uri string
		want            []string
	}{
		{"NAM-004 presence", zone, "pres:bob@example.com", []string{" 192.0.2.1:5060 example.com"}},
		{"PRS-005 the server for a pres URI", zone, "PRES:bob@EXAMPLE.com", []string{" 192.0.2.1:5060 example.com"}},
		{"NAM-004 messages", zone, "im:bob@example.com", []string{" 192.0.2.2:5080 example.com"}},
		{"NAM-001 mailbox with escapes and header fields", zone, "pres:fred%2Ba@example.com?subject=a%40b", []string{" 192.0.2.1:5060 example.com"}},
		{"NAM-002 one service without the other", "_im._sip SRV 0 0 5080 i\ni A 192.0.2.2", "pres:bob@example.com", []string{"! example.com has no address"}},
		{"NAM-005 alias in the place of SRV", "_pres._sip CNAME _pres._sip.example.net.\n_pres._sip.example.net. SRV 0 0 5070 p\np A 192.0.2.1",
			"pres:bob@example.com", []string{" 192.0.2.1:5070 example.com"}},
		{"NAM-005 alias to another domain", "_pres._sip CNAME example.net.\n_pres._sip.example.net. SRV 0 0 5070 p\np A 192.0.2.1\n@ A 192.0.2.80",
			"pres:bob@example.com", []string{" 192.0.2.1:5070 example.com"}},
		{"NAM-005 alias of the domain", "sub CNAME example.net.\n_pres._sip.example.net. SRV 0 0 5070 p\np A 192.0.2.1\nexample.net. A 192.0.2.80",
			"pres:bob@sub.example.com", []string{" 192.0.2.1:5070 sub.example.com"}},
		{"NAM-005 aliases in a ring", "_pres._sip.a CNAME b\n_pres._sip.b CNAME a", "pres:bob@a.example.com", []string{"! aliases"}},
		{"NAM-006 SRV, and never the domain's own address", "_pres._sip SRV 0 0 5060 gone\n@ A 192.0.2.80", "pres:bob@example.com", []string{"! no host that serves"}},
		{"NAM-007 address only", "@ A 192.0.2.80", "im:bob@example.com", []string{" 192.0.2.80:5060 example.com"}},
		{"NAM-008 all by priority", "_im._sip SRV 20 0 5060 b\n_im._sip SRV 10 0 5060 a\na A 192.0.2.1\nb A 192.0.2.2", "im:bob@example.com",
			[]string{" 192.0.2.1:5060 example.com", " 192.0.2.2:5060 example.com"}},
		{"a SIP domain that says nothing of presence", threeNAPTR, "pres:bob@example.com", []string{"tls 192.0.2.1:5061 example.com"}},
		{"numeric host", "", "pres:bob@192.0.2.1", []string{" 192.0.2.1:5060 192.0.2.1"}},
	} {
		t.Run(tt.name, func(t *testing.T) { expect(t, Config{DNS: zoneOf(t, tt.zone)}, tt.uri, tt.want...) })
	}
	t.Run("NAM-003 names are not completed", func(t *testing.T) {
		z := zoneOf(t, "_pres._sip.host SRV 0 0 5060 p\np A 192.0.2.1")
		expect(t, Config{DNS: z}, "pres:bob@host", "! host has no address")
		for _, q := range z.questions() {
			if strings.Contains(q, "example") {
				t.Errorf("asked %q", q)
			}
		}
	})
	t.Run("NAM-004 no other protocol is asked for", func(t *testing.T) {
		z := zoneOf(t, zone)
		expect(t, Config{DNS: z}, "pres:bob@example.com", " 192.0.2.1:5060 example.com")
		if got, want := z.questions(), []string{"A p.example.com", "AAAA p.example.com", "SRV _pres._sip.example.com"}; !slices.Equal(got, want) {
			t.Errorf("asked %q, want %q", got, want)
		}
	})
}

func TestSIPURI(t *testing.T) {
	for _, tt := range []struct{ name, zone, uri, want string }{
		{"NAM-010 by SRV", "_im._sip SRV 0 0 5060 simple\nsimple A 192.0.2.1", "im:Fred%2Ba@example.com?subject=x", "sip:Fred%2Ba@simple.example.com"},
		{"NAM-010 with a port", "_im._sip SRV 0 0 5070 simple", "im:fred@example.com", "sip:fred@simple.example.com:5070"},
		{"NAM-010 the first of several", "_im._sip SRV 9 0 5060 b\n_im._sip SRV 0 0 5060 a", "im:fred@example.com", "sip:fred@a.example.com"},
		{"NAM-010 by address", "@ A 192.0.2.1", "im:fred@Example.com", "sip:fred@example.com"},
		{"NAM-010 nothing there", "_pres._sip SRV 0 0 5060 a", "im:fred@example.com", "! neither service nor address"},
		{"NAM-010 by route", "", "im:fred@routed.example", "sip:fred@routed.example"},
		{"IPv6", "", "im:fred@[2001:db8::1]", "sip:fred@[2001:db8::1]"},
		{"a SIP URI stays", "", "sips:Fred@Example.com;user=phone", "sips:Fred@Example.com;user=phone"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := New(Config{DNS: zoneOf(t, tt.zone), Rand: first, Routes: []Route{{"routed.example", "tcp", "192.0.2.1:5060"}}})
			got, err := r.SIPURI(context.Background(), tt.uri)
			if strings.HasPrefix(tt.want, "!") {
				if err == nil || !strings.Contains(err.Error(), tt.want[2:]) || !errors.Is(err, ErrNotFound) {
					t.Errorf("got %q, %v", got, err)
				}
			} else if err != nil || got != tt.want {
				t.Errorf("got %q, %v; want %q", got, err, tt.want)
			}
		})
	}
}

func TestFailingDNS(t *testing.T) {
	for _, tt := range []struct {
		name   string
		rrtype uint16
		want   string
	}{
		{"NAPTR is not needed", dns.TypeNAPTR, "tcp 192.0.2.1:5060 example.com"},
		{"SRV is: who knows what it would have said", dns.TypeSRV, "! asking DNS for SRV"},
		{"addresses of one family are enough", dns.TypeAAAA, "tcp 192.0.2.1:5060 example.com"},
		{"no addresses", dns.TypeA, "! asking DNS for A"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			z := zoneOf(t, "_sip._tcp SRV 0 0 5060 a\na A 192.0.2.1\n@ A 192.0.2.80")
			z.fail = map[uint16]error{tt.rrtype: errRefused}
			if tt.rrtype == dns.TypeA {
				z.records = z.records[:1]
			}
			expect(t, Config{DNS: z}, "sip:example.com", tt.want)
		})
	}
	t.Run("when nobody answers the first question is the last", func(t *testing.T) {
		z := sampleZone(t)
		z.fail = map[uint16]error{dns.TypeNAPTR: errors.New("silent")}
		expect(t, Config{DNS: z}, "sip:example.com", "! silent")
		if q := z.questions(); len(q) != 1 {
			t.Errorf("asked %v", q)
		}
	})
	t.Run("the end of the context", func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if _, err := New(Config{DNS: sampleZone(t)}).Targets(ctx, "sip:example.com"); !errors.Is(err, context.Canceled) {
			t.Errorf("a cancelled lookup ended with %v", err)
		}
	})
}

func TestOrder(t *testing.T) {
	t.Run("NAM-025 priorities in order, weights at random", func(t *testing.T) {
		z := zoneOf(t, `
			_sip._tcp SRV 20 0  5060 last
			_sip._tcp SRV 10 0  5060 zero
			_sip._tcp SRV 10 10 5060 one
			_sip._tcp SRV 10 30 5060 three
			last A 192.0.2.9
			zero A 192.0.2.1
			one A 192.0.2.2
			three A 192.0.2.3`)
		r := New(Config{DNS: z, Reachable: everywhere})
		firsts, seconds := map[string]int{}, map[string]int{}
		const picks = 1000
		for range picks {
			found, err := r.Targets(context.Background(), "sip:example.com;transport=tcp")
			if err != nil || len(found) != 4 || found[3].Addr != "192.0.2.9:5060" {
				t.Fatalf("%v, %v", found, err)
			}
			firsts[found[0].Addr]++
			seconds[found[1].Addr]++
		}
		// 3 in 4 are expected, with a deviation of 14; six of them happen once in 10^9.
		if n := firsts["192.0.2.3:5060"]; n < 650 || n > 820 {
			t.Errorf("weight 30 of 40 came first %d times of %d", n, picks)
		}
		if n := firsts["192.0.2.1:5060"]; n < 3 || n > 70 {
			t.Errorf("weight 0 came first %d times of %d", n, picks)
		}
		if len(seconds) != 3 {
			t.Errorf("second places: %v", seconds)
		}
	})
	t.Run("NAM-025 equal draws give equal orders", func(t *testing.T) {
		for draw, want := range map[int]string{0: "zero", 1: "one", 10: "one", 11: "three", 40: "three"} {
			list := []service{{"one", 1, 0, 10}, {"zero", 1, 0, 0}, {"three", 1, 0, 30}}
			New(Config{Rand: func(n int) int { return min(draw, n-1) }}).weigh(list)
			if list[0].host != want {
				t.Errorf("draw %d gives %v", draw, list)
			}
		}
	})
	t.Run("what cannot be reached comes last", func(t *testing.T) {
		z := zoneOf(t, "@ AAAA 2001:db8::1\n@ A 192.0.2.1")
		four := func(a netip.Addr) bool { return a.Is4() }
		expect(t, Config{DNS: z, Reachable: four}, "sip:example.com:5060", " 192.0.2.1:5060 example.com", " [2001:db8::1]:5060 example.com")
	})
	t.Run("records have a bound", func(t *testing.T) {
		var b strings.Builder
		for i := range 200 {
			fmt.Fprintf(&b, "_sip._tcp SRV %d 0 5060 h%d\nh%d A 192.0.2.%d\n@ NAPTR 1 1 \"s\" \"SIP+D2T\" \"\" _sip._tcp\n", i, i, i, i)
		}
		z := zoneOf(t, b.String())
		if got := targets(t, Config{DNS: z}, "sip:example.com"); len(got) != 16 || got[0] != "tcp 192.0.2.0:5060 example.com" {
			t.Errorf("%d targets, the first is %s", len(got), got[0])
		}
		if q := z.questions(); len(q) > 1+len(naptrTransports)*(1+2*maxServices) {
			t.Errorf("%d questions", len(q))
		}
	})
}

func TestSampleZone(t *testing.T) {
	z := sampleZone(t)
	t.Run("NAM-030 NAPTR for TLS, TCP and UDP, TLS preferred, SRV under the own name", func(t *testing.T) {
		order := map[string]uint16{}
		for _, rr := range z.records {
			if n, ok := rr.(*dns.NAPTR); ok {
				order[n.Service] = n.Order
			}
		}
		for _, s := range []string{"SIPS+D2T", "SIP+D2T", "SIP+D2U"} {
			if order[s] == 0 || s != "SIPS+D2T" && order[s] <= order["SIPS+D2T"] {
				t.Errorf("%s has the order %d", s, order[s])
			}
		}
		if order["SIPS+D2U"] != 0 {
			t.Error("there is no TLS over UDP")
		}
		for _, name := range []string{"_sips._tcp", "_sip._tcp", "_sip._udp"} {
			if len(z.answer(name+".example.com", dns.TypeSRV)) == 0 {
				t.Errorf("no SRV records at %s", name)
			}
		}
	})
	for uri, want := range map[string][]string{
		"sip:bob@example.com":               {"tls [2001:db8::1]:5061 example.com", "tls 192.0.2.1:5061 example.com", "tls 192.0.2.2:5061 example.com"},
		"sip:bob@example.com;transport=udp": {"udp [2001:db8::1]:5060 example.com", "udp 192.0.2.1:5060 example.com", "udp 192.0.2.2:5060 example.com"},
		"sips:bob@example.com;transport=ws": {"wss [2001:db8::1]:443 example.com", "wss 192.0.2.1:443 example.com"},
		"pres:bob@example.com":              {" [2001:db8::1]:5060 example.com", " 192.0.2.1:5060 example.com", " 192.0.2.2:5060 example.com"},
	} {
		expect(t, Config{DNS: z}, uri, want...)
	}
}
