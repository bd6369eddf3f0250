package certs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"time"
)

// Authority is a throw-away certification authority. Its key exists in memory
// only.
type Authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	ends time.Time
}

// clockSkew is how far back validity begins.
const clockSkew = time.Hour

// NewAuthority makes an authority that is valid from now for a time, and so are
// the certificates that it issues.
func NewAuthority(name string, now time.Time, valid time.Duration) (*Authority, error) {
	a := &Authority{ends: now.Add(valid)}
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	cert, key, err := a.sign(template, now)
	if err != nil {
		return nil, fmt.Errorf("making an authority: %w", err)
	}
	a.cert, a.key = cert, key
	return a, nil
}

// sign makes a key and a certificate for it; without a parent it signs itself.
func (a *Authority) sign(template *x509.Certificate, now time.Time) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	template.NotBefore, template.NotAfter = now.Add(-clockSkew), a.ends
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		return nil, nil, err
	}
	cert, err := x509.ParseCertificate(der)
	return cert, key, err
}

// Names are what a certificate is for.
type Names struct {
	// Domains are SIP domains: each becomes a sip: URI and a DNS name.
	Domains []string
	// Hosts are DNS names only, for HTTP and WebSocket: beside Domains they are
	// no SIP identities (RFC 5922 section 7.1). IPs are addresses.
	Hosts []string
	IPs   []net.IP
}

// Issue makes a certificate for servers and clients and its key, both as PEM.
func (a *Authority) Issue(names Names, now time.Time) (certPEM, keyPEM []byte, err error) {
	if len(names.Domains)+len(names.Hosts)+len(names.IPs) == 0 {
		return nil, nil, errors.New("issuing a certificate: no name given")
	}
	template := &x509.Certificate{
		IPAddresses: names.IPs, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		// Where it is the authority's own name, OpenSSL takes the certificate for one that signed itself.
		Subject: pkix.Name{CommonName: a.cert.Subject.CommonName + " certificate"},
	}
	for _, d := range names.Domains {
		d = canonical(d)
		template.URIs = append(template.URIs, &url.URL{Scheme: "sip", Opaque: d})
		template.DNSNames = append(template.DNSNames, d)
	}
	for _, h := range names.Hosts {
		template.DNSNames = append(template.DNSNames, canonical(h))
	}
	cert, key, err := a.sign(template, now)
	if err != nil {
		return nil, nil, fmt.Errorf("issuing a certificate for %q: %w", names.Domains, err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, fmt.Errorf("issuing a certificate for %q: %w", names.Domains, err)
	}
	return encode("CERTIFICATE", cert.Raw), encode("PRIVATE KEY", der), nil
}

func encode(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

// PEM gives the certificate of the authority.
func (a *Authority) PEM() []byte { return encode("CERTIFICATE", a.cert.Raw) }

// Pool gives the authority as the only one to trust.
func (a *Authority) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

// Write issues a certificate and writes it as NAME.pem and NAME-key.pem into a
// folder, mode 0600, for Load.
func (a *Authority) Write(dir, name string, names Names, now time.Time) (Pair, error) {
	cert, key, err := a.Issue(names, now)
	if err != nil {
		return Pair{}, err
	}
	p := Pair{Cert: filepath.Join(dir, name+".pem"), Key: filepath.Join(dir, name+"-key.pem")}
	if err := replace(p.Key, key); err != nil {
		return Pair{}, err
	}
	return p, replace(p.Cert, cert)
}

// WriteCA writes the certificate of the authority, mode 0600.
func (a *Authority) WriteCA(file string) error { return replace(file, a.PEM()) }

// replace writes a file in one step, so that no mode or content of an older one
// remains.
func replace(file string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(file), ".pem-*")
	if err != nil {
		return fmt.Errorf("writing %s: %w", file, err)
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Chmod(0o600), f.Close()); err == nil {
		err = os.Rename(f.Name(), file)
	}
	if err != nil {
		os.Remove(f.Name())
		return fmt.Errorf("writing %s: %w", file, err)
	}
	return nil
}
