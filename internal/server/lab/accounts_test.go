package lab

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"imp/internal/auth/certs"
	"imp/internal/server/xcap"
	"imp/internal/sip/stack"
)

func endpoints(list ...string) (all []stack.Endpoint) {
	for _, s := range list {
		transport, addr, _ := strings.Cut(s, ":")
		all = append(all, stack.Endpoint{Transport: transport, Addr: addr})
	}
	return all
}

func TestProxies(t *testing.T) {
	for _, c := range []struct {
		listen []string
		usual  string
		others []string
	}{
		{[]string{"udp:127.0.0.1:1", "tcp:127.0.0.1:1"}, "127.0.0.1:1", nil},
		{[]string{"udp:0.0.0.0:1", "tcp:0.0.0.0:1", "tls:[::]:2"}, "127.0.0.1:1", []string{"tls:[::1]:2"}},
		{[]string{"udp:127.0.0.1:1"}, "udp:127.0.0.1:1", []string{"udp:127.0.0.1:1"}},
		{[]string{"udp:127.0.0.1:1", "tcp:127.0.0.1:2"}, "udp:127.0.0.1:1", []string{"udp:127.0.0.1:1", "tcp:127.0.0.1:2"}},
		{[]string{"wss:127.0.0.1:3", "wss:127.0.0.1:4", "udp:127.0.0.1:1", "tcp:127.0.0.1:1"}, "127.0.0.1:1", []string{"wss:127.0.0.1:3"}},
		{[]string{"tls:192.0.2.1:5061"}, "tls:192.0.2.1:5061", []string{"tls:192.0.2.1:5061"}},
	} {
		usual, others := proxies(endpoints(c.listen...))
		if usual != c.usual || !reflect.DeepEqual(others, endpoints(c.others...)) {
			t.Errorf("%v: %s and %v", c.listen, usual, others)
		}
	}
}

func TestLabIsItsOwnAuthority(t *testing.T) {
	l, err := Start(t.Context(), Config{})
	if err != nil {
		t.Fatal(err)
	}
	dir := l.Dir
	for _, name := range []string{"config.toml", "ca.pem", "server.pem", "server-key.pem"} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
	data, _ := os.ReadFile(l.CAFile)
	block, _ := pem.Decode(data)
	ca, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(ca)
	for _, e := range l.Presence().Addrs() {
		if e.Transport != "tls" && e.Transport != "wss" {
			continue
		}
		for _, name := range []string{Domain, "localhost", "127.0.0.1", "::1"} {
			c, err := tls.Dial("tcp", e.Addr, certs.Client(name, roots, nil))
			if err != nil {
				t.Errorf("%s as %s: %v", e, name, err)
				continue
			}
			c.Close()
		}
		if c, err := tls.Dial("tcp", e.Addr, certs.Client("example.com", roots, nil)); err == nil {
			t.Errorf("%s is taken for example.com", e)
			c.Close()
		}
	}
	config, _ := os.ReadFile(l.ConfigFile)
	for _, want := range []string{"default = \"alice\"", "[accounts.bob]", "[accounts.carol-wss]", "proxy = \"tls:127.0.0.1:", "ca = \"" + l.CAFile + "\""} {
		if !strings.Contains(string(config), want) {
			t.Errorf("no %s in\n%s", want, config)
		}
	}
	if err := l.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("%s is left: %v", dir, err)
	}
}

func TestLabWithoutTLSHasNoAuthority(t *testing.T) {
	l, err := Start(t.Context(), Config{Listen: endpoints("udp:127.0.0.1:0", "tcp:127.0.0.1:0"),
		XCAP: []xcap.Endpoint{{Scheme: "http", Addr: "127.0.0.1:0"}}, Relay: endpoints("tcp:127.0.0.1:0")})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close(t.Context())
	if config, _ := os.ReadFile(l.ConfigFile); l.CAFile != "" || strings.Contains(string(config), "ca =") {
		t.Errorf("%q in\n%s", l.CAFile, config)
	}
}
