// Package certs implements RFC 5922: certificates of SIP domains, how they are
// matched, loaded, renewed in place, and made for a lab. TLS is 1.2 or later
// everywhere.
package certs

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"golang.org/x/net/idna"
)

var (
	oidAltName = asn1.ObjectIdentifier{2, 5, 29, 17}
	// oidSIPDomain is the extended key usage of RFC 5924.
	oidSIPDomain = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 20}
)

// SIPDomains gives the SIP domain identities of a certificate (RFC 5922 section
// 7.1): the hosts of its sip: URIs without a user part; without any, its DNS
// names; and only when it has no subjectAltName at all, its common name.
func SIPDomains(cert *x509.Certificate) []string {
	var domains []string
	for _, u := range cert.URIs {
		if !strings.EqualFold(u.Scheme, "sip") {
			continue
		}
		// sip:domain is an opaque URI: what follows the colon is not parsed.
		host, _, _ := strings.Cut(u.Opaque, ";")
		if host != "" && !strings.Contains(u.Opaque, "@") && u.User == nil {
			domains = append(domains, hostOf(host))
		}
	}
	switch {
	case len(domains) > 0:
		return domains
	case hasAltName(cert):
		return cert.DNSNames
	case isDomain(cert.Subject.CommonName):
		return []string{cert.Subject.CommonName}
	}
	return nil
}

// hostOf cuts a port off.
func hostOf(s string) string {
	if i := strings.LastIndexByte(s, ':'); i >= 0 && !strings.HasSuffix(s, "]") {
		return s[:i]
	}
	return s
}

func hasAltName(cert *x509.Certificate) bool {
	for _, e := range cert.Extensions {
		if e.Id.Equal(oidAltName) {
			return true
		}
	}
	return false
}

// isDomain reports whether a common name can be a DNS name.
func isDomain(s string) bool {
	return s != "" && strings.Trim(strings.ToLower(s), "abcdefghijklmnopqrstuvwxyz0123456789-.") == ""
}

// MatchSIPDomain reports whether a certificate is one of a SIP domain (RFC 5922
// section 7.2): whole names are compared without regard to case, and no
// wildcard stands for anything. Names in other scripts are compared as A-labels.
func MatchSIPDomain(cert *x509.Certificate, domain string) bool {
	want := canonical(domain)
	if want == "" {
		return false
	}
	for _, have := range SIPDomains(cert) {
		if canonical(have) == want {
			return true
		}
	}
	return false
}

func canonical(domain string) string {
	domain = strings.TrimSuffix(domain, ".")
	if a, err := idna.Lookup.ToASCII(domain); err == nil {
		return a
	}
	return strings.ToLower(domain)
}

// Verify checks the chain of a peer, the leaf first, and that it belongs to a
// SIP domain or, if name is an IP address, to that address. An empty name
// checks the chain alone.
func Verify(chain []*x509.Certificate, roots *x509.CertPool, name string) error {
	if len(chain) == 0 {
		return errors.New("checking a certificate: the peer has none")
	}
	leaf := chain[0]
	opts := x509.VerifyOptions{Roots: roots, Intermediates: x509.NewCertPool(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}
	for _, c := range chain[1:] {
		opts.Intermediates.AddCert(c)
	}
	if _, err := leaf.Verify(opts); err != nil {
		return fmt.Errorf("checking a certificate: %w", err)
	}
	if !usable(leaf) {
		return errors.New("checking a certificate: its extended key usage is neither TLS nor SIP")
	}
	if name == "" {
		return nil
	}
	if ip, err := netip.ParseAddr(strings.Trim(name, "[]")); err == nil {
		for _, have := range leaf.IPAddresses {
			if bytes.Equal(have.To16(), ip.Unmap().AsSlice()) || have.Equal(ip.AsSlice()) {
				return nil
			}
		}
	}
	if MatchSIPDomain(leaf, name) {
		return nil
	}
	return fmt.Errorf("checking a certificate: it is for %q and not for %q", SIPDomains(leaf), name)
}

// usable checks the extended key usage (RFC 5922 section 7.1, RFC 5924).
func usable(cert *x509.Certificate) bool {
	if len(cert.ExtKeyUsage) == 0 && len(cert.UnknownExtKeyUsage) == 0 {
		return true
	}
	for _, u := range cert.ExtKeyUsage {
		switch u {
		case x509.ExtKeyUsageAny, x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth:
			return true
		}
	}
	for _, u := range cert.UnknownExtKeyUsage {
		if u.Equal(oidSIPDomain) {
			return true
		}
	}
	return false
}
