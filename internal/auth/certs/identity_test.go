package certs

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"net"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"
)

var start = time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)

// certificate signs a template with an authority.
func certificate(t testing.TB, a *Authority, change func(*x509.Certificate)) *x509.Certificate {
	t.Helper()
	template := &x509.Certificate{}
	change(template)
	cert, _, err := a.sign(template, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func authority(t testing.TB) *Authority {
	t.Helper()
	a, err := NewAuthority("test", time.Now(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func uris(list ...string) (out []*url.URL) {
	for _, s := range list {
		u, err := url.Parse(s)
		if err != nil {
			panic(err)
		}
		out = append(out, u)
	}
	return out
}

func TestSIPDomains(t *testing.T) {
	a := authority(t)
	for name, c := range map[string]struct {
		uris, dns []string
		cn        string
		ips       []net.IP
		want      []string
	}{
		"a sip URI before DNS names":      {uris: []string{"sip:example.com"}, dns: []string{"host.example.net"}, want: []string{"example.com"}},
		"several, any case of the scheme": {uris: []string{"SIP:example.com", "sip:example.org:5061;transport=tls"}, want: []string{"example.com", "example.org"}},
		"a user is no domain":             {uris: []string{"sip:alice@example.com"}, dns: []string{"example.net"}, want: []string{"example.net"}},
		"sips and others do not count":    {uris: []string{"sips:example.com", "https://example.com/", "im:example.com"}, dns: []string{"example.net"}, want: []string{"example.net"}},
		"DNS names":                       {dns: []string{"a.example", "b.example"}, cn: "c.example", want: []string{"a.example", "b.example"}},
		"common name alone":               {cn: "c.example", want: []string{"c.example"}},
		"a common name that is no domain": {cn: "Example Ltd"},
		"an address hides the CN":         {ips: []net.IP{{192, 0, 2, 1}}, cn: "c.example"},
		"IPv6 reference":                  {uris: []string{"sip:[2001:db8::1]:5061"}, want: []string{"[2001:db8::1]"}},
	} {
		cert := certificate(t, a, func(x *x509.Certificate) {
			x.URIs, x.DNSNames, x.IPAddresses, x.Subject = uris(c.uris...), c.dns, c.ips, pkix.Name{CommonName: c.cn}
		})
		if got := SIPDomains(cert); len(got)+len(c.want) > 0 && !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestMatchSIPDomain(t *testing.T) {
	a := authority(t)
	for _, c := range []struct {
		dns, domain string
		want        bool
	}{
		{"example.com", "example.com", true}, {"Example.COM", "eXample.com", true}, {"example.com", "example.com.", true},
		{"example.com", "foo.example.com", false}, {"foo.example.com", "example.com", false},
		{"*.example.com", "foo.example.com", false}, {"*.example.com", "*.example.com", true},
		{"xn--bcher-kva.example", "bücher.example", true}, {"example.com", "", false}, {"example.com", "ample.com", false},
	} {
		for _, form := range []string{"uri", "dns"} {
			if strings.Contains(c.dns, "*") && form == "uri" {
				continue
			}
			cert := certificate(t, a, func(x *x509.Certificate) {
				if form == "dns" {
					x.DNSNames = []string{c.dns}
				} else {
					x.URIs = uris("sip:" + c.dns)
				}
			})
			if got := MatchSIPDomain(cert, c.domain); got != c.want {
				t.Errorf("%s %s for %q: %v", form, c.dns, c.domain, got)
			}
		}
	}
}

func TestVerify(t *testing.T) {
	a, other := authority(t), authority(t)
	good := certificate(t, a, func(x *x509.Certificate) {
		x.URIs, x.IPAddresses = uris("sip:example.com"), []net.IP{{127, 0, 0, 1}, net.IPv6loopback}
	})
	usage := func(known []x509.ExtKeyUsage, oids ...asn1.ObjectIdentifier) *x509.Certificate {
		return certificate(t, a, func(x *x509.Certificate) {
			x.DNSNames, x.ExtKeyUsage, x.UnknownExtKeyUsage = []string{"example.com"}, known, oids
		})
	}
	for name, c := range map[string]struct {
		chain []*x509.Certificate
		roots *x509.CertPool
		peer  string
		want  string
	}{
		"domain":            {[]*x509.Certificate{good}, a.Pool(), "example.com", ""},
		"address":           {[]*x509.Certificate{good}, a.Pool(), "127.0.0.1", ""},
		"IPv6":              {[]*x509.Certificate{good}, a.Pool(), "[::1]", ""},
		"mapped address":    {[]*x509.Certificate{good}, a.Pool(), "::ffff:127.0.0.1", ""},
		"other address":     {[]*x509.Certificate{good}, a.Pool(), "127.0.0.2", `for ["example.com"] and not for "127.0.0.2"`},
		"chain alone":       {[]*x509.Certificate{good}, a.Pool(), "", ""},
		"other domain":      {[]*x509.Certificate{good}, a.Pool(), "example.org", `for ["example.com"] and not for "example.org"`},
		"other authority":   {[]*x509.Certificate{good}, other.Pool(), "example.com", "unknown authority"},
		"none":              {nil, a.Pool(), "example.com", "the peer has none"},
		"SIP usage":         {[]*x509.Certificate{usage(nil, oidSIPDomain)}, a.Pool(), "example.com", ""},
		"client usage":      {[]*x509.Certificate{usage([]x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth})}, a.Pool(), "example.com", ""},
		"code signing only": {[]*x509.Certificate{usage([]x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning})}, a.Pool(), "example.com", "extended key usage"},
		"unknown usage":     {[]*x509.Certificate{usage(nil, asn1.ObjectIdentifier{1, 2, 3})}, a.Pool(), "example.com", "extended key usage"},
	} {
		err := Verify(c.chain, c.roots, c.peer)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func FuzzMatchSIPDomain(f *testing.F) {
	a := authority(f)
	cert := certificate(f, a, func(x *x509.Certificate) { x.URIs = uris("sip:example.com") })
	f.Add("example.com")
	f.Add("bücher.example.")
	f.Fuzz(func(t *testing.T, domain string) {
		if MatchSIPDomain(cert, domain) && canonical(domain) != "example.com" {
			t.Errorf("%q matches", domain)
		}
	})
}
