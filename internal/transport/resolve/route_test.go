package resolve

import (
	"strings"
	"testing"
)

func TestParseRoute(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"example.com=udp:127.0.0.1:5060", "example.com=udp:127.0.0.1:5060"},
		{"Example.COM.=TLS:sip.Example.com", "example.com=tls:sip.example.com:5061"},
		{"bücher.example=tcp:[::1]:5070", "xn--bcher-kva.example=tcp:[::1]:5070"},
		{"b%C3%BCcher.example=ws:192.0.2.1", "xn--bcher-kva.example=ws:192.0.2.1:80"},
		{"a=wss:h", "a=wss:h:443"},
		{"a=127.0.0.1:5062", "a=127.0.0.1:5062"},
		{"a=sip-1.example.com:5062", "a=sip-1.example.com:5062"},
		{"a=2001:db8::1", "a=[2001:db8::1]:5060"},
		{"a=tcp:2001:db8::1", "a=tcp:[2001:db8::1]:5060"},
		{"a=::ffff:192.0.2.1", "a=192.0.2.1:5060"},
		{"a=tcp:5060", "! has no host"},
		{"a=udp", "! has no host"},
		{"a=:5060", "! has no host"},
		{"a", "! write DOMAIN=TRANSPORT:ADDR"},
		{"=udp:127.0.0.1", "! write DOMAIN=TRANSPORT:ADDR"},
		{"a=", "! write DOMAIN=TRANSPORT:ADDR"},
		{"a b=udp:127.0.0.1", "! is no domain name"},
		{"a=sctp:127.0.0.1:5060", `! transport "sctp" is not supported`},
		{"a=udp:127.0.0.1:0", "! is not a number from 1 to 65535"},
		{"a=udp:127.0.0.1:x", "! is not a number from 1 to 65535"},
		{"a=udp:h:1:2", "! not host:port"},
	} {
		r, err := ParseRoute(tt.in)
		if strings.HasPrefix(tt.want, "!") {
			if err == nil || !strings.Contains(err.Error(), tt.want[2:]) {
				t.Errorf("%q gives %q, %v", tt.in, r, err)
			}
			continue
		}
		if err != nil || r.String() != tt.want {
			t.Errorf("%q gives %q, %v; want %q", tt.in, r, err, tt.want)
		}
		if again, err := ParseRoute(r.String()); err != nil || again != r {
			t.Errorf("%q does not read as itself: %q, %v", r, again, err)
		}
	}
}

func TestRoutes(t *testing.T) {
	var routes []Route
	for _, s := range []string{
		"example.com=udp:192.0.2.1:5060", "example.com=tls:192.0.2.2:5061", "any.example=192.0.2.3:5060", "named.example=tcp:gateway.example.com:5070",
	} {
		r, err := ParseRoute(s)
		if err != nil {
			t.Fatal(err)
		}
		routes = append(routes, r)
	}
	for _, tt := range []struct {
		name, uri string
		want      []string
	}{
		{"in the order given", "sip:bob@EXAMPLE.com", []string{"udp 192.0.2.1:5060 example.com", "tls 192.0.2.2:5061 example.com"}},
		{"sips takes those with TLS", "sips:bob@example.com", []string{"tls 192.0.2.2:5061 example.com"}},
		{"the transport of the URI", "sip:bob@example.com;transport=udp", []string{"udp 192.0.2.1:5060 example.com"}},
		{"no such transport", "sip:bob@example.com;transport=tcp", []string{"! no route for example.com"}},
		{"no TLS", "sips:bob@any.example", []string{"! no route for any.example"}},
		{"of either transport", "sip:bob@any.example", []string{" 192.0.2.3:5060 any.example"}},
		{"of either transport, one chosen", "sip:bob@any.example;transport=tcp", []string{"tcp 192.0.2.3:5060 any.example"}},
		{"for pres", "pres:bob@any.example", []string{" 192.0.2.3:5060 any.example"}},
		{"for maddr", "sip:bob@192.0.2.9;maddr=any.example", []string{" 192.0.2.3:5060 192.0.2.9"}},
		{"the port of the route counts", "sip:bob@any.example:5090", []string{" 192.0.2.3:5060 any.example"}},
		{"to a name", "im:bob@named.example", []string{"tcp 192.0.2.4:5070 named.example"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			expect(t, Config{DNS: zoneOf(t, "gateway A 192.0.2.4"), Routes: routes}, tt.uri, tt.want...)
		})
	}
}

func TestDomain(t *testing.T) {
	long := strings.Repeat("a.", 126) + "a"
	for in, want := range map[string]string{
		"Example.COM": "example.com", "example.com.": "example.com", "my_host": "my_host", "BÜCHER.example": "xn--bcher-kva.example",
		"xn--bcher-kva.example": "xn--bcher-kva.example", "例え。テスト": "xn--r8jz45g.xn--zckzah", long: long,
		"": "!", ".": "!", "a..b": "!", "a b": "!", "a%2": "!", "a%zz": "!", "a%00b": "!", "[::1]": "!", "a@b": "!",
		long + ".a": "!", strings.Repeat("a", 64): "!", "ü" + strings.Repeat("a", 64): "!",
	} {
		got, err := Domain(in)
		if want == "!" && err == nil || want != "!" && (err != nil || got != want) {
			t.Errorf("%q gives %q, %v", in, got, err)
		}
	}
}

func FuzzParseRoute(f *testing.F) {
	for _, s := range []string{"example.com=udp:127.0.0.1:5060", "ü=tls:[::1]", "a=b:1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := ParseRoute(s)
		if err != nil {
			return
		}
		if again, err := ParseRoute(r.String()); err != nil || again != r {
			t.Errorf("%q reads as %q, and that as %q, %v", s, r, again, err)
		}
	})
}

func FuzzURI(f *testing.F) {
	for _, s := range []string{
		"sip:bob@example.com:5060;transport=tcp;maddr=[::1]", "pres:a%20b@b%C3%BCcher.example?x=y", "sips:[2001:db8::1];transport=ws",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := parseURI(s)
		if err != nil {
			return
		}
		for _, host := range []string{p.host, p.target} {
			if again, err := hostOf(bracketed(host)); err != nil || again != host {
				t.Errorf("%q: host %q reads as %q, %v", s, host, again, err)
			}
		}
		if p.scheme == "sips" && p.transport != "" && !secure(p.transport) {
			t.Errorf("%q goes over %s", s, p.transport)
		}
	})
}
