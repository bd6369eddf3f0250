package relay

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"imp/internal/auth/digest"
	"imp/internal/auth/users"
	"imp/internal/msrp/wire"
)

// running starts a relay that listens for TCP on this machine.
func running(t *testing.T, cfg Config) *Relay {
	t.Helper()
	if cfg.Host == "" {
		cfg.Host = "localhost"
	}
	r, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	serve(t, r, "tcp", nil)
	return r
}

func serve(t *testing.T, r *Relay, transport string, config *tls.Config) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.listen(l, transport)
	go r.Serve(l, Transport{transport, config})
}

func (r *Relay) at(transport string) string {
	return fmt.Sprintf("127.0.0.1:%d", r.ports[transport].port)
}

// peer is a client of a test, or somebody else who speaks MSRP.
type peer struct {
	t    *testing.T
	nc   net.Conn
	rd   *wire.Reader
	uri  string
	n    int
	path string // granted

	patience time.Duration // 0: 10 seconds
}

func peerOver(t *testing.T, nc net.Conn, name string) *peer {
	t.Cleanup(func() { nc.Close() })
	return &peer{t: t, nc: nc, rd: wire.NewReader(nc, wire.Limits{}), uri: "msrp://" + name + ".invalid:9/" + name + ";tcp"}
}

func dial(t *testing.T, addr, name string) *peer {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return peerOver(t, nc, name)
}

// got is a frame that a peer has read.
type got struct {
	id, method, to, from, body string
	code                       int
	end                        wire.Flag
	fields                     map[string]string
}

func (p *peer) write(s string) {
	p.t.Helper()
	if _, err := p.nc.Write([]byte(s)); err != nil {
		p.t.Fatal(err)
	}
}

// request sends a request; fields are lines without their ends, body is sent when it is not "-".
func (p *peer) request(method, to, from, body string, fields ...string) (id string) {
	p.t.Helper()
	p.n++
	id = fmt.Sprintf("%s%05d", "tid", p.n)
	p.write(requestText(id, method, to, from, body, "$", fields...))
	return id
}

func requestText(id, method, to, from, body, flag string, fields ...string) string {
	s := "MSRP " + id + " " + method + "\r\nTo-Path: " + to + "\r\nFrom-Path: " + from + "\r\n"
	for _, f := range fields {
		s += f + "\r\n"
	}
	if body != "-" {
		s += "Content-Type: text/plain\r\n\r\n" + body + "\r\n"
	}
	return s + "-------" + id + flag + "\r\n"
}

func (p *peer) next() got {
	p.t.Helper()
	g, err := p.read()
	if err != nil {
		p.t.Fatal("reading a frame: ", err)
	}
	return g
}

func (p *peer) read() (got, error) {
	p.nc.SetReadDeadline(time.Now().Add(cmp.Or(p.patience, 10*time.Second)))
	h, err := p.rd.Next()
	if err != nil {
		return got{}, err
	}
	g := got{id: string(h.ID), method: h.Method, to: string(h.To), from: string(h.From), code: h.Code, end: h.End, fields: map[string]string{}}
	for _, f := range h.Fields {
		name := strings.ToLower(string(f.Name))
		if old, ok := g.fields[name]; ok {
			g.fields[name] = old + "\n" + string(f.Value)
		} else {
			g.fields[name] = string(f.Value)
		}
	}
	for h.Body && g.end == 0 {
		piece, end, err := p.rd.Body()
		if err != nil {
			return g, err
		}
		g.body, g.end = g.body+string(piece), end
	}
	return g, nil
}

// quiet checks that nothing comes, by a request that is answered behind what might come.
func (p *peer) quiet(why string) {
	p.t.Helper()
	p.nc.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if h, err := p.rd.Next(); !errors.Is(err, os.ErrDeadlineExceeded) {
		p.t.Errorf("%s: came %+v, %v", why, h, err)
	}
}

// ended checks that the relay has closed the connection.
func (p *peer) ended(why string) {
	p.t.Helper()
	for {
		g, err := p.read()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			p.t.Errorf("%s: the connection is still there", why)
		}
		if err != nil {
			return
		}
		_ = g
	}
}

// auth gets a URI without credentials.
func (p *peer) auth(r *Relay, fields ...string) got {
	p.t.Helper()
	p.request("AUTH", "msrp://"+r.cfg.Host+";tcp", p.uri, "-", fields...)
	g := p.next()
	p.path = g.fields["use-path"]
	return g
}

func (p *peer) ok(g got) {
	p.t.Helper()
	first, _, _ := strings.Cut(g.from, " ")
	own, _, _ := strings.Cut(g.to, " ")
	p.write("MSRP " + g.id + " 200 OK\r\nTo-Path: " + first + "\r\nFrom-Path: " + own + "\r\n-------" + g.id + "$\r\n")
}

// pair gives a client of the relay and a stranger who listens by himself.
func pair(t *testing.T, r *Relay) (client, stranger *peer) {
	t.Helper()
	client = dial(t, r.at("tcp"), "alice")
	if g := client.auth(r); g.code != 200 {
		t.Fatalf("AUTH: %+v", g)
	}
	stranger = dial(t, r.at("tcp"), "bob")
	return client, stranger
}

func TestForward(t *testing.T) {
	r := running(t, Config{})
	alice, bob := pair(t, r)
	id := bob.request("SEND", alice.path+" "+alice.uri, bob.uri, "hello", "Message-ID: 12345", "Byte-Range: 1-5/5", "X-Extension: a: b")
	g := alice.next()
	t.Run("MSRPR-044 the relay's URI moves from To-Path to From-Path", func(t *testing.T) {
		if g.to != alice.uri || g.from != alice.path+" "+bob.uri {
			t.Errorf("To-Path %s, From-Path %s", g.to, g.from)
		}
	})
	t.Run("MSRPR-045 a transaction ID of its own", func(t *testing.T) {
		if g.id == id || len(g.id) < 11 || !wire.IsIdent(g.id) {
			t.Error(g.id)
		}
	})
	t.Run("MSRPR-053 other header fields", func(t *testing.T) {
		if g.fields["x-extension"] != "a: b" || g.fields["message-id"] != "12345" || g.fields["byte-range"] != "1-5/5" || g.body != "hello" || g.end != wire.Last {
			t.Errorf("%+v", g)
		}
	})
	t.Run("MSRPR-046 answered at once", func(t *testing.T) {
		a := bob.next() // although alice has not answered yet
		if a.id != id || a.code != 200 || a.to != bob.uri || a.from != alice.path {
			t.Errorf("%+v", a)
		}
	})
	t.Run("MSRPR-059 the next hop's 200 goes no further", func(t *testing.T) {
		alice.ok(g)
		bob.quiet("after a 200")
	})
	t.Run("replies go over the connection that the stranger came by", func(t *testing.T) {
		alice.request("SEND", alice.path+" "+bob.uri, alice.uri, "hello back", "Message-ID: 54321")
		if g := bob.next(); g.body != "hello back" || g.from != alice.path+" "+alice.uri {
			t.Errorf("%+v", g)
		}
		if a := alice.next(); a.code != 200 {
			t.Errorf("%+v", a)
		}
	})
}

// withUsers adds alice, whose password is secret.
func withUsers(t *testing.T, cfg Config) Config {
	t.Helper()
	source, err := users.New(users.Config{Realms: []string{"example.com"}, Algorithms: []string{"MD5", "SHA-256"}, Entries: []string{"alice:secret", "eve:secret"}})
	if err != nil {
		t.Fatal(err)
	}
	cfg.Auth = &Auth{Realm: "example.com", Users: source, Algorithms: []digest.Algorithm{digest.MD5}}
	return cfg
}
