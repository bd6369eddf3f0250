package certs

import (
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// files makes a folder with a certificate for domains.
func files(t *testing.T, a *Authority, dir, name string, domains ...string) Pair {
	t.Helper()
	p, err := a.Write(dir, name, Names{Domains: domains}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// meet makes a TLS connection in memory.
func meet(t *testing.T, server, client *tls.Config) (serverState, clientState tls.ConnectionState, err error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	done := make(chan error, 1)
	go func() {
		conn, err := l.Accept()
		if err != nil {
			done <- err
			return
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(10 * time.Second))
		s := tls.Server(conn, server)
		err = s.Handshake()
		serverState = s.ConnectionState()
		done <- err
	}()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	c := tls.Client(conn, client)
	err = c.Handshake()
	clientState = c.ConnectionState()
	if err != nil {
		conn.Close()
	}
	return serverState, clientState, errors.Join(err, <-done)
}

func TestServerAndClient(t *testing.T) {
	a, dir := authority(t), t.TempDir()
	s, err := Load([]Pair{files(t, a, dir, "one", "one.example"), files(t, a, dir, "two", "two.example")}, "")
	if err != nil {
		t.Fatal(err)
	}
	for _, domain := range []string{"one.example", "two.example"} {
		if _, state, err := meet(t, s.TLS("sip"), Client(domain, a.Pool(), nil)); err != nil || !MatchSIPDomain(state.PeerCertificates[0], domain) {
			t.Errorf("%s: %v", domain, err)
		}
	}
	if _, _, err := meet(t, s.TLS(), Client("three.example", a.Pool(), nil)); err == nil || !strings.Contains(err.Error(), `not for "three.example"`) {
		t.Errorf("a domain that is not served: %v", err)
	}
	if _, _, err := meet(t, s.TLS(), Client("one.example", authority(t).Pool(), nil)); err == nil {
		t.Error("a server of another authority was believed")
	}
	old := Client("one.example", a.Pool(), nil)
	old.MinVersion, old.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
	if _, _, err := meet(t, s.TLS(), old); err == nil {
		t.Error("TLS 1.1 was taken")
	}
	twelve := Client("one.example", a.Pool(), nil)
	twelve.MaxVersion = tls.VersionTLS12
	if _, _, err := meet(t, s.TLS(), twelve); err != nil {
		t.Errorf("TLS 1.2: %v", err)
	}
	if Client("x", nil, nil).MinVersion != tls.VersionTLS12 {
		t.Error("clients take TLS before 1.2")
	}
	next := Client("one.example", a.Pool(), nil)
	next.NextProtos = []string{"h2", "sip"}
	if _, state, err := meet(t, s.TLS("sip"), next); err != nil || state.NegotiatedProtocol != "sip" {
		t.Errorf("ALPN %q: %v", state.NegotiatedProtocol, err)
	}
}

func TestMutualTLS(t *testing.T) {
	a, clients, dir := authority(t), authority(t), t.TempDir()
	ca := filepath.Join(dir, "clients.pem")
	if err := clients.WriteCA(ca); err != nil {
		t.Fatal(err)
	}
	s, err := Load([]Pair{files(t, a, dir, "server", "example.com")}, ca)
	if err != nil {
		t.Fatal(err)
	}
	own := func(by *Authority) *tls.Certificate {
		p := files(t, by, t.TempDir(), "client", "peer.example")
		c, err := tls.LoadX509KeyPair(p.Cert, p.Key)
		if err != nil {
			t.Fatal(err)
		}
		return &c
	}
	state, _, err := meet(t, s.TLS(), Client("example.com", a.Pool(), own(clients)))
	if err != nil || !MatchSIPDomain(state.PeerCertificates[0], "peer.example") {
		t.Errorf("right client: %v", err)
	}
	for name, c := range map[string]*tls.Certificate{"none": nil, "of another authority": own(a)} {
		if _, _, err := meet(t, s.TLS(), Client("example.com", a.Pool(), c)); err == nil {
			t.Errorf("client certificate %s was taken", name)
		}
	}
}

func TestReload(t *testing.T) {
	a, dir := authority(t), t.TempDir()
	pair := files(t, a, dir, "server", "old.example")
	s, err := Load([]Pair{pair}, "")
	if err != nil {
		t.Fatal(err)
	}
	listener := s.TLS()
	files(t, a, dir, "server", "new.example")
	if _, _, err := meet(t, listener, Client("old.example", a.Pool(), nil)); err != nil {
		t.Errorf("before the reload: %v", err)
	}
	if err := s.Reload(); err != nil {
		t.Fatal(err)
	}
	if _, _, err := meet(t, listener, Client("new.example", a.Pool(), nil)); err != nil {
		t.Errorf("after the reload: %v", err)
	}
	if err := os.WriteFile(pair.Key, []byte("broken"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Reload(); err == nil || !strings.Contains(err.Error(), pair.Key) {
		t.Errorf("a broken key: %v", err)
	}
	if _, _, err := meet(t, listener, Client("new.example", a.Pool(), nil)); err != nil {
		t.Errorf("after a reload that failed: %v", err)
	}
}

func TestLoadErrors(t *testing.T) {
	a, dir := authority(t), t.TempDir()
	p := files(t, a, dir, "server", "example.com")
	empty := filepath.Join(dir, "empty.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		pairs []Pair
		ca    string
	}{
		{nil, ""}, {[]Pair{{p.Cert, "/nonexistent"}}, ""}, {[]Pair{{p.Key, p.Cert}}, ""}, {[]Pair{p}, "/nonexistent"}, {[]Pair{p}, empty},
		{[]Pair{{p.Cert, files(t, a, dir, "other", "x.example").Key}}, ""},
	} {
		if _, err := Load(c.pairs, c.ca); err == nil {
			t.Errorf("%v was taken", c)
		}
	}
}

func TestAuthority(t *testing.T) {
	a, err := NewAuthority("lab", start, 48*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, name := range []string{"server.pem", "server-key.pem"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("old"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	names := Names{Domains: []string{"example.com", "bücher.example"}, Hosts: []string{"localhost"}, IPs: []net.IP{{127, 0, 0, 1}}}
	p, err := a.Write(dir, "server", names, start)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{p.Cert, p.Key} {
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", file, info.Mode(), err)
		}
	}
	if list, _ := os.ReadDir(dir); len(list) != 2 {
		t.Errorf("%d files", len(list))
	}
	data, _ := os.ReadFile(p.Cert)
	block, _ := pem.Decode(data)
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(SIPDomains(cert), " "); got != "example.com xn--bcher-kva.example" {
		t.Error(got)
	}
	if got := strings.Join(cert.DNSNames, " "); got != "example.com xn--bcher-kva.example localhost" {
		t.Error(got)
	}
	if err := cert.VerifyHostname("127.0.0.1"); err != nil {
		t.Error(err)
	}
	if cert.Subject.String() == cert.Issuer.String() {
		t.Errorf("%s: other libraries take it for self-signed", cert.Subject)
	}
	if _, ok := cert.PublicKey.(*ecdsa.PublicKey); !ok || cert.IsCA || !cert.NotBefore.Equal(start.Add(-clockSkew)) || !cert.NotAfter.Equal(start.Add(48*time.Hour)) {
		t.Errorf("%T, from %v to %v", cert.PublicKey, cert.NotBefore, cert.NotAfter)
	}
	for when, good := range map[time.Duration]bool{0: true, 47 * time.Hour: true, 49 * time.Hour: false, -2 * time.Hour: false} {
		_, err := cert.Verify(x509.VerifyOptions{Roots: a.Pool(), CurrentTime: start.Add(when)})
		if (err == nil) != good {
			t.Errorf("after %v: %v", when, err)
		}
	}
	if _, _, err := a.Issue(Names{}, start); err == nil {
		t.Error("a certificate for nothing was issued")
	}
	if _, err := a.Write(filepath.Join(dir, "missing"), "x", names, start); err == nil {
		t.Error("a missing folder was taken")
	}
	if !strings.HasPrefix(string(a.PEM()), "-----BEGIN CERTIFICATE") {
		t.Error("no PEM")
	}
}

func TestWeb(t *testing.T) {
	a, dir := authority(t), t.TempDir()
	p, err := a.Write(dir, "web", Names{Domains: []string{"example.com"}, Hosts: []string{"*.example.net"}}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	s, err := Load([]Pair{p}, "")
	if err != nil {
		t.Fatal(err)
	}
	for host, good := range map[string]bool{"sip.example.net": true, "example.com": true, "example.net": false, "a.b.example.net": false} {
		if _, _, err := meet(t, s.TLS(), Web(Client(host, a.Pool(), nil), host)); (err == nil) != good {
			t.Errorf("%s: %v", host, err)
		}
	}
	if _, _, err := meet(t, s.TLS(), Web(Client("example.com", authority(t).Pool(), nil), "example.com")); err == nil {
		t.Error("another authority was believed")
	}
	if _, _, err := meet(t, s.TLS(), Web(&tls.Config{InsecureSkipVerify: true}, "other.example")); err != nil {
		t.Errorf("a config that checks nothing: %v", err)
	}
}
