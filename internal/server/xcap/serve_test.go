package xcap

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"imp/internal/auth/certs"
	"imp/internal/store/memory"
)

// serve starts a server with listeners.
func serve(t *testing.T, change func(*ServeConfig)) *Listening {
	t.Helper()
	s := memory.New()
	t.Cleanup(func() { s.Close() })
	cfg := ServeConfig{Config: Config{Store: s}, Listen: []Endpoint{{"http", "127.0.0.1:0"}}}
	if change != nil {
		change(&cfg)
	}
	l, err := Serve(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l
}

// talk is a connection that a test writes requests to as they stand.
func talk(t *testing.T, l *Listening) (net.Conn, *bufio.Reader) {
	t.Helper()
	c, err := net.Dial("tcp", l.Addrs()[0].Addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(20 * time.Second))
	return c, bufio.NewReader(c)
}

func status(t *testing.T, r *bufio.Reader, method string) int {
	t.Helper()
	res, err := http.ReadResponse(r, &http.Request{Method: method})
	if err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, res.Body)
	return res.StatusCode
}

func TestConnections(t *testing.T) {
	t.Run("what follows a chunked request, which may have had a length too, is not believed", func(t *testing.T) {
		c, r := talk(t, serve(t, nil))
		fmt.Fprint(c, "PUT /xcap-root/resource-lists/users/joe/index HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/resource-lists+xml\r\n"+
			"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"+
			"DELETE /xcap-root/resource-lists/users/joe/index HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
		if got := status(t, r, "PUT"); got != 409 {
			t.Errorf("got %d", got)
		}
		if rest, err := io.ReadAll(r); len(rest) > 0 {
			t.Errorf("%q, %v", rest, err)
		}
	})
	t.Run("requests are sent without waiting for answers", func(t *testing.T) {
		c, r := talk(t, serve(t, nil))
		put := fmt.Sprintf("PUT %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s", lists, listsType, len(friends), friends)
		io.WriteString(c, strings.Repeat(put, 2)+"GET "+work+" HTTP/1.1\r\nHost: localhost\r\n\r\nHEAD http://localhost"+lists+" HTTP/1.1\r\nHost: localhost\r\n\r\n"+
			"DELETE "+lists+" HTTP/1.1\r\nHost: localhost\r\n\r\nOPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n")
		for _, want := range []struct {
			method string
			status int
		}{{"PUT", 201}, {"PUT", 200}, {"GET", 200}, {"HEAD", 200}, {"DELETE", 200}, {"OPTIONS", 204}} {
			if got := status(t, r, want.method); got != want.status {
				t.Errorf("%s: %d", want.method, got)
			}
		}
	})
	t.Run("a body that would be refused is not waited for", func(t *testing.T) {
		c, r := talk(t, serve(t, nil))
		fmt.Fprintf(c, "PUT %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: %s\r\nIf-Match: \"old\"\r\nExpect: 100-continue\r\nContent-Length: 1000\r\n\r\n", lists, listsType)
		if got := status(t, r, "PUT"); got != 412 {
			t.Error(got)
		}
	})
	t.Run("a body without a length", func(t *testing.T) {
		c, r := talk(t, serve(t, nil))
		fmt.Fprintf(c, "PUT %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: %s\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", lists, listsType, len(friends), friends)
		if got := status(t, r, "PUT"); got != 201 {
			t.Error(got)
		}
	})
	t.Run("raw quotes and brackets, broken escapes", func(t *testing.T) {
		l := serve(t, nil)
		for target, want := range map[string]int{lists + `/~~/resource-lists/list[@name="a"]`: 404, lists + "/%": 400, lists + "/%zz": 400} {
			c, r := talk(t, l)
			io.WriteString(c, "GET "+target+" HTTP/1.1\r\nHost: localhost\r\n\r\n")
			if got := status(t, r, "GET"); got != want {
				t.Errorf("%s: %d", target, got)
			}
		}
	})
	t.Run("headers are bounded", func(t *testing.T) {
		c, r := talk(t, serve(t, nil))
		go io.WriteString(c, "GET "+lists+" HTTP/1.1\r\nHost: localhost\r\nX: "+strings.Repeat("x", 2*maxHeader)+"\r\n\r\n")
		if got := status(t, r, "GET"); got != 431 {
			t.Error(got)
		}
		c, r = talk(t, serve(t, nil))
		go io.WriteString(c, "GET "+lists+"/"+strings.Repeat("x", 33<<10)+" HTTP/1.1\r\nHost: localhost\r\n\r\n")
		if got := status(t, r, "GET"); got != 414 {
			t.Error(got)
		}
	})
	t.Run("connections are bounded", func(t *testing.T) {
		l := serve(t, func(c *ServeConfig) { c.MaxConnections = 2 })
		first, _ := talk(t, l)
		c, r := talk(t, l)
		io.WriteString(c, "GET "+lists+" HTTP/1.1\r\nHost: localhost\r\n\r\n")
		if got := status(t, r, "GET"); got != 404 {
			t.Error(got)
		}
		third, _ := talk(t, l)
		if n, err := third.Read(make([]byte, 1)); err == nil {
			t.Errorf("a third connection got %d bytes", n)
		}
		first.Close()
		for try := 0; ; try++ { // until the server has seen it
			if try == 10000 {
				t.Fatal("a place is not given back")
			}
			c, r := talk(t, l)
			io.WriteString(c, "GET "+lists+" HTTP/1.1\r\nHost: localhost\r\n\r\n")
			if _, err := r.ReadByte(); err == nil {
				break
			}
			c.Close()
		}
	})
	t.Run("one address of another machine has half of them", func(t *testing.T) {
		r := newRoom(4)
		far, near := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("127.0.0.1")
		for i, c := range []struct {
			addr netip.Addr
			in   bool
		}{{far, true}, {far, true}, {far, false}, {near, true}, {near, true}, {near, false}} {
			if r.enter(c.addr) != c.in {
				t.Errorf("%d: %s comes in: %v", i, c.addr, !c.in)
			}
		}
		r.leave(far)
		if !r.enter(far) || len(r.byAddr) != 2 {
			t.Error("a place is not given back")
		}
	})
}

func TestServe(t *testing.T) {
	t.Run("XCAP-028 AUT-070 over TLS", func(t *testing.T) {
		ca, err := certs.NewAuthority("test", time.Now(), time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		pair, err := ca.Write(t.TempDir(), "server", certs.Names{Hosts: []string{"localhost"}}, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		secrets, err := certs.Load([]certs.Pair{pair}, "")
		if err != nil {
			t.Fatal(err)
		}
		l := serve(t, func(c *ServeConfig) {
			withUsers("alice")(&c.Config)
			c.Listen = append(c.Listen, Endpoint{"https", "127.0.0.1:0"})
			c.TLS = func() *tls.Config { return secrets.TLS("http/1.1") }
		})
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: ca.Pool(), ServerName: "localhost"}}}
		defer client.CloseIdleConnections()
		for _, e := range l.Addrs() {
			res, err := client.Get(e.Scheme + "://" + e.Addr + lists)
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			if res.StatusCode != 401 || !strings.HasPrefix(res.Header.Get("WWW-Authenticate"), "Digest ") {
				t.Errorf("%s: %d %v", e, res.StatusCode, res.Header)
			}
		}
	})
	t.Run("an address in use, and one of no scheme", func(t *testing.T) {
		l := serve(t, nil)
		s := memory.New()
		defer s.Close()
		for _, e := range []Endpoint{l.Addrs()[0], {"https", "127.0.0.1:0"}, {"ftp", "127.0.0.1:0"}} {
			if _, err := Serve(t.Context(), ServeConfig{Config: Config{Store: s}, Listen: []Endpoint{{"http", "127.0.0.1:0"}, e}}); err == nil {
				t.Error(e)
			}
		}
	})
	t.Run("draining ends connections that wait", func(t *testing.T) {
		l := serve(t, nil)
		c, r := talk(t, l)
		io.WriteString(c, "GET "+lists+" HTTP/1.1\r\nHost: localhost\r\n\r\n")
		status(t, r, "GET")
		if err := l.Drain(t.Context()); err != nil {
			t.Error(err)
		}
		if _, err := r.ReadByte(); err == nil {
			t.Error("the connection is still there")
		}
	})
}

func TestParseEndpoint(t *testing.T) {
	for s, want := range map[string]string{"127.0.0.1:1": "http:127.0.0.1:1", "http:[::1]:2": "http:[::1]:2", "https:::1": "https:[::1]:443", "https:a.example": "https:a.example:443",
		"a.example": "http:a.example:80", "http::8080": "http::8080"} {
		if e, err := ParseEndpoint(s); err != nil || e.String() != want {
			t.Errorf("%s: %v, %v", s, e, err)
		}
	}
	for _, s := range []string{"", "8080", "udp:127.0.0.1:1", "http://127.0.0.1:1", "a:b", "a:70000"} {
		if e, err := ParseEndpoint(s); err == nil {
			t.Errorf("%s: %v", s, e)
		}
	}
}
