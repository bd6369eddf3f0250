package xcap

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"imp/internal/store/bolt"
	"imp/internal/store/memory"
)

// fifty is a list of 50 entries, about 4.6 kB.
func fifty() string {
	var b strings.Builder
	b.WriteString(`<?xml version="1.0" encoding="UTF-8"?>` + "\n" + `<resource-lists xmlns="urn:ietf:params:xml:ns:resource-lists"><list name="friends">`)
	for i := range 50 {
		fmt.Fprintf(&b, "\n  <entry uri=\"sip:user%02d@example.com\"><display-name>User %02d</display-name></entry>", i, i)
	}
	return b.String() + "\n</list></resource-lists>\n"
}

// void takes an answer.
type void struct {
	head   http.Header
	status int
}

func (v *void) Header() http.Header         { return v.head }
func (v *void) WriteHeader(status int)      { v.status = status }
func (v *void) Write(b []byte) (int, error) { return len(b), nil }

const entry = lists + "/~~/resource-lists/list%5B@name=%22friends%22%5D/entry%5B@uri=%22sip:user25@example.com%22%5D"

type benchCase struct {
	name, method, target string
	body                 func(i int) string
	fields               []string
	status               int
}

// benchCases are the requests that there are figures for. Those that change something differ from one to the next.
func benchCases(etag string) []benchCase {
	doc := fifty()
	return []benchCase{
		{"GET", "GET", lists, nil, nil, 200},
		{"GET-304", "GET", lists, nil, []string{"If-None-Match: " + etag}, 304},
		{"GET-element", "GET", entry, nil, nil, 200},
		{"PUT", "PUT", lists, func(i int) string { return strings.Replace(doc, "User 07", fmt.Sprintf("User %02d", i%90), 1) }, []string{ctype(listsType)}, 200},
		{"PUT-element", "PUT", entry, func(i int) string {
			return fmt.Sprintf(`<entry uri="sip:user25@example.com"><display-name>User %02d</display-name></entry>`, i%90)
		}, []string{ctype(elType)}, 200},
	}
}

// BenchmarkServe is what a request costs without a connection.
func BenchmarkServe(b *testing.B) {
	s := memory.New()
	defer s.Close()
	x, err := New(Config{Store: s, Domains: []string{"example.com"}})
	if err != nil {
		b.Fatal(err)
	}
	r := &rig{nil, x}
	etag := benchPut(r)
	for _, c := range benchCases(etag) {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			w := &void{head: http.Header{}}
			req := httptest.NewRequest(c.method, "http://localhost/", nil)
			req.RequestURI = c.target
			for _, f := range c.fields {
				name, value, _ := strings.Cut(f, ": ")
				req.Header.Set(name, value)
			}
			for i := 0; b.Loop(); i++ {
				if c.body != nil {
					body := c.body(i)
					req.ContentLength, req.Body = int64(len(body)), io.NopCloser(strings.NewReader(body))
				}
				clear(w.head)
				x.ServeHTTP(w, req)
				if w.status != c.status {
					b.Fatal(w.status)
				}
			}
		})
	}
}

func benchPut(r *rig) string {
	req := httptest.NewRequest("PUT", "http://localhost/", strings.NewReader(fifty()))
	req.RequestURI = lists
	req.Header.Set("Content-Type", listsType)
	w := httptest.NewRecorder()
	r.ServeHTTP(w, req)
	return w.Header().Get("ETag")
}

// BenchmarkConnection is what a request costs over a connection on the loopback, with a store in a file, the client included. cpu-us/op
// is the time of processors in microseconds.
func BenchmarkConnection(b *testing.B) {
	s, err := bolt.Open(filepath.Join(b.TempDir(), "xcap.db"), bolt.Config{})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	cfg := Config{Store: s, Domains: []string{"example.com"}}
	l, err := Serve(b.Context(), ServeConfig{Config: cfg, Listen: []Endpoint{{"http", "127.0.0.1:0"}}})
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	etag := benchPut(&rig{nil, l.Server})
	addr := l.Addrs()[0].Addr
	for _, c := range benchCases(etag) {
		b.Run(c.name, func(b *testing.B) {
			before := processors()
			k := newBenchClient(b, addr, c, c.target)
			for i := 0; b.Loop(); i++ {
				k.do(i)
			}
			b.ReportMetric(float64((processors()-before).Microseconds())/float64(b.N), "cpu-us/op")
		})
		b.Run(c.name+"/64-connections", func(b *testing.B) {
			var mu sync.Mutex
			var took []time.Duration
			var users atomic.Int64
			before := processors()
			b.SetParallelism(64 / runtime.GOMAXPROCS(0))
			b.RunParallel(func(pb *testing.PB) {
				user := strings.Replace(c.target, "alice", fmt.Sprintf("user%d", users.Add(1)), 1)
				if c.name != "PUT" { // there is one document only
					user = c.target
				}
				k := newBenchClient(b, addr, c, user)
				var mine []time.Duration
				for i := 0; pb.Next(); i++ {
					start := time.Now()
					k.do(i)
					mine = append(mine, time.Since(start))
				}
				mu.Lock()
				took = append(took, mine...)
				mu.Unlock()
			})
			slices.Sort(took)
			b.ReportMetric(float64((processors()-before).Microseconds())/float64(b.N), "cpu-us/op")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
		})
	}
}

// benchClient is a connection that sends one kind of request.
type benchClient struct {
	b    *testing.B
	c    benchCase
	conn net.Conn
	in   *bufio.Reader
	head string
	out  bytes.Buffer
}

func newBenchClient(b *testing.B, addr string, c benchCase, target string) *benchClient {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { conn.Close() })
	k := &benchClient{b: b, c: c, conn: conn, in: bufio.NewReader(conn), head: c.method + " " + target + " HTTP/1.1\r\nHost: localhost\r\n"}
	for _, f := range c.fields {
		k.head += f + "\r\n"
	}
	return k
}

func (k *benchClient) do(i int) {
	body := ""
	if k.c.body != nil {
		body = k.c.body(i)
	}
	k.out.Reset()
	fmt.Fprintf(&k.out, "%sContent-Length: %d\r\n\r\n%s", k.head, len(body), body)
	k.conn.Write(k.out.Bytes())
	k.exchange()
}

// exchange reads an answer as cheaply as can be.
func (k *benchClient) exchange() {
	size := 0
	for first := true; ; first = false {
		line, err := k.in.ReadSlice('\n')
		if err != nil {
			k.b.Error(err)
			return
		}
		switch {
		case first && !bytes.HasPrefix(line[9:], fmt.Appendf(nil, "%d", k.c.status)) && !bytes.HasPrefix(line[9:], []byte("201")):
			k.b.Errorf("%s", line)
		case bytes.HasPrefix(line, []byte("Content-Length: ")):
			fmt.Sscan(string(line[16:]), &size)
		case len(line) == 2:
			k.in.Discard(size)
			return
		}
	}
}

// processors is the time of processors that this process has taken.
func processors() time.Duration {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
