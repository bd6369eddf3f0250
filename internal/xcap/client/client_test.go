package client

import (
	"bufio"
	"context"
	"crypto/md5"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"imp/internal/auth/digest"
	"imp/internal/doc/xcaperror"
	"imp/internal/xcap/uri"
)

// user is the one user of a server, alice with the password secret.
type user struct{}

func (user) HA1(algorithm, realm, name string) (string, bool) {
	text := []byte(name + ":" + realm + ":secret")
	if algorithm == "MD5" {
		sum := md5.Sum(text)
		return hex.EncodeToString(sum[:]), name == "alice"
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]), name == "alice"
}

func (user) NameOf(string, string, string) (string, bool) { return "", false }

// guarded lets only those in who authenticate, and counts requests.
func guarded(t *testing.T, next http.HandlerFunc, algorithms ...digest.Algorithm) (http.HandlerFunc, *atomic.Int32) {
	t.Helper()
	v, err := digest.NewVerifier(digest.Config{Realm: "example.com", Users: user{}, Algorithms: algorithms})
	if err != nil {
		t.Fatal(err)
	}
	count := new(atomic.Int32)
	return func(w http.ResponseWriter, r *http.Request) {
		count.Add(1)
		body, _ := io.ReadAll(r.Body)
		_, err := v.Verify(r.Header.Values("Authorization"), r.Method, r.RequestURI, body)
		var refused *digest.Refusal
		if errors.As(err, &refused) {
			for _, c := range v.Challenge(refused.Verdict.Stale()) {
				w.Header().Add("WWW-Authenticate", c)
			}
			w.WriteHeader(401)
			return
		}
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		next(w, r)
	}, count
}

func alice(password string) *digest.Client {
	return digest.NewClient(digest.ClientConfig{Credentials: func(string) (string, string, error) { return "alice", password, nil }})
}

func start(t *testing.T, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

func open(t *testing.T, base string, cfg Config) *Client {
	t.Helper()
	root, err := uri.ParseRoot(base + "/xcap-root")
	if err != nil {
		t.Fatal(err)
	}
	cfg.Root = root
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func doc(t *testing.T, node string) *uri.URI {
	t.Helper()
	u, err := uri.New("resource-lists", "sip:alice@example.com", "index", node, nil)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

const empty = `<resource-lists xmlns="urn:ietf:params:xml:ns:resource-lists"/>`

func TestDigest(t *testing.T) {
	hello := func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, empty) }
	t.Run("XCAP-029 a challenge over https is answered, by SHA-256 and by MD5, and its nonce is used again", func(t *testing.T) {
		for _, algorithms := range [][]digest.Algorithm{{digest.SHA256, digest.MD5}, {digest.SHA256}, {digest.MD5}} {
			h, count := guarded(t, hello, algorithms...)
			s := httptest.NewTLSServer(h)
			pool := x509.NewCertPool()
			pool.AddCert(s.Certificate())
			c := open(t, s.URL, Config{TLS: &tls.Config{RootCAs: pool}, Digest: alice("secret")})
			for range 3 {
				if a, err := c.Get(context.Background(), doc(t, ""), Condition{}); err != nil || string(a.Body) != empty {
					t.Fatal(a, err)
				}
			}
			if got := count.Load(); got != 4 {
				t.Errorf("%v: %d requests, want 4: one is challenged", algorithms, got)
			}
			s.Close()
		}
	})
	t.Run("a certificate of an unknown authority is refused", func(t *testing.T) {
		s := httptest.NewTLSServer(http.HandlerFunc(hello))
		defer s.Close()
		s.Config.ErrorLog = nil
		var unknown x509.UnknownAuthorityError
		if _, err := open(t, s.URL, Config{}).Get(context.Background(), doc(t, ""), Condition{}); !errors.As(err, &unknown) {
			t.Error(err)
		}
	})
	t.Run("XCAP-100 a wrong password is tried once", func(t *testing.T) {
		h, count := guarded(t, hello)
		_, err := open(t, start(t, h).URL, Config{Digest: alice("wrong")}).Get(context.Background(), doc(t, ""), Condition{})
		if !errors.Is(err, digest.ErrRejected) || Status(err) != 401 || count.Load() != 2 {
			t.Error(err, count.Load())
		}
	})
	t.Run("the target of a node is signed as it is sent", func(t *testing.T) {
		h, _ := guarded(t, func(w http.ResponseWriter, r *http.Request) {
			if want := "/xcap-root/resource-lists/users/sip:alice@example.com/index/~~/resource-lists/list%5B@name=%22a%2Fb%22%5D"; r.RequestURI != want {
				t.Errorf("target %s, want %s", r.RequestURI, want)
			}
		})
		c := open(t, start(t, h).URL, Config{Digest: alice("secret")})
		if _, err := c.Get(context.Background(), doc(t, `resource-lists/list[@name="a/b"]`), Condition{}); err != nil {
			t.Error(err)
		}
	})
}

// seen is what a server saw of a request.
type seen struct {
	method, target string
	header         http.Header
	body           string
}

// watching answers with a status and tells what it saw.
func watching(t *testing.T, answer func(w http.ResponseWriter, r *http.Request)) (*httptest.Server, func() []seen) {
	var mu sync.Mutex
	var all []seen
	s := start(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		all = append(all, seen{r.Method, r.RequestURI, r.Header, string(body)})
		mu.Unlock()
		answer(w, r)
	})
	return s, func() []seen {
		mu.Lock()
		defer mu.Unlock()
		return all
	}
}

func TestRequests(t *testing.T) {
	t.Run("XCAP-103 bodies have their types", func(t *testing.T) {
		s, got := watching(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(201) })
		c := open(t, s.URL, Config{Product: "imp/test"})
		for node, want := range map[string]string{
			"":                            "application/resource-lists+xml",
			"resource-lists/list":         "application/xcap-el+xml",
			`resource-lists/list/@name`:   "application/xcap-att+xml",
			`resource-lists/*[@name="@"]`: "application/xcap-el+xml",
		} {
			a, err := c.Put(context.Background(), doc(t, node), "application/resource-lists+xml", []byte("x"), Condition{Match: "1"})
			if err != nil || !a.Created() {
				t.Fatal(err)
			}
			last := got()[len(got())-1]
			if last.header.Get("Content-Type") != want || last.header.Get("If-Match") != `"1"` || last.header.Get("User-Agent") != "imp/test" || last.header.Get("Accept-Encoding") != "identity" || last.body != "x" {
				t.Errorf("%s: %v", node, last)
			}
		}
	})
	t.Run("XCAP-035 bindings are neither put nor deleted", func(t *testing.T) {
		s, got := watching(t, func(http.ResponseWriter, *http.Request) {})
		c := open(t, s.URL, Config{})
		_, err := c.Put(context.Background(), doc(t, "resource-lists/namespace::*"), "", []byte("x"), Condition{})
		_, err2 := c.Delete(context.Background(), doc(t, "resource-lists/namespace::*"), Condition{})
		if !errors.Is(err, ErrBindings) || !errors.Is(err2, ErrBindings) || len(got()) != 0 {
			t.Error(err, err2, got())
		}
		if _, err := c.Get(context.Background(), doc(t, "resource-lists/namespace::*"), Condition{}); err != nil {
			t.Error(err)
		}
	})
	t.Run("conditions and tags", func(t *testing.T) {
		s, got := watching(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("ETag", `W/"weak"`)
			if r.Header.Get("If-None-Match") != "" {
				w.Header().Set("ETag", `"1"`)
				w.WriteHeader(304)
			}
		})
		c := open(t, s.URL, Config{})
		a, err := c.Get(context.Background(), doc(t, ""), Condition{NoneMatch: "1"})
		if err != nil || !a.NotModified() || a.ETag != "1" || got()[0].header.Get("If-None-Match") != `"1"` {
			t.Error(a, err)
		}
		if a, err = c.Delete(context.Background(), doc(t, ""), Condition{Match: "*"}); err != nil || a.ETag != "" || a.Weak != `W/"weak"` {
			t.Error(a, err)
		}
		if got()[1].header.Get("If-Match") != "*" {
			t.Error(got()[1])
		}
		if _, err := c.Get(context.Background(), doc(t, ""), Condition{Match: "a\r\nX: y"}); err == nil || len(got()) != 2 {
			t.Error("a tag that breaks the header was sent")
		}
	})
	t.Run("what can be repeated is sent again when the server closes the connection meanwhile", func(t *testing.T) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		var puts atomic.Int32
		go closing(l, &puts)
		c := open(t, "http://"+l.Addr().String(), Config{})
		for range 2 {
			if _, err := c.Get(context.Background(), doc(t, ""), Condition{}); err != nil {
				t.Fatal(err)
			}
			if _, err := c.Put(context.Background(), doc(t, ""), "a/b", []byte("x"), Condition{}); err != nil {
				t.Fatal(err)
			}
		}
		if puts.Load() != 2 {
			t.Errorf("%d answered", puts.Load())
		}
	})
	t.Run("an answer is bounded", func(t *testing.T) {
		s := start(t, func(w http.ResponseWriter, _ *http.Request) { w.Write(make([]byte, 101)) })
		if _, err := open(t, s.URL, Config{MaxBody: 100}).Get(context.Background(), doc(t, ""), Condition{}); !errors.Is(err, ErrTooLarge) {
			t.Error(err)
		}
	})
	t.Run("time is bounded", func(t *testing.T) {
		s := start(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		if _, err := open(t, s.URL, Config{Timeout: 1}).Get(context.Background(), doc(t, ""), Condition{}); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
	})
}

// closing is a server that closes each connection at its second request.
func closing(l net.Listener, puts *atomic.Int32) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		r := bufio.NewReader(c)
		if req, err := http.ReadRequest(r); err == nil {
			io.Copy(io.Discard, req.Body)
			if req.Method == http.MethodPut {
				puts.Add(1)
			}
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
			http.ReadRequest(r)
		}
		c.Close()
	}
}

func TestRedirects(t *testing.T) {
	t.Run("XCAP-100 redirects keep method and body", func(t *testing.T) {
		for _, status := range []int{301, 302, 307, 308} {
			h, count := guarded(t, func(w http.ResponseWriter, r *http.Request) {
				if body, _ := io.ReadAll(r.Body); strings.HasPrefix(r.RequestURI, "/xcap-root/") {
					http.Redirect(w, r, "/moved"+r.RequestURI, status)
				} else if r.Method == "PUT" && string(body) != "x" || r.Method != "PUT" && r.Method != "GET" {
					t.Errorf("%d: %s with %q", status, r.Method, body)
				}
			})
			c := open(t, start(t, h).URL, Config{Digest: alice("secret")})
			if _, err := c.Put(context.Background(), doc(t, ""), "a/b", []byte("x"), Condition{}); err != nil {
				t.Error(status, err)
			}
			if a, err := c.Get(context.Background(), doc(t, ""), Condition{}); err != nil || !strings.Contains(a.URL, "/moved/") || count.Load() != 5 {
				t.Error(status, err, count.Load())
			}
		}
	})
	t.Run("there is an end", func(t *testing.T) {
		s, got := watching(t, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, r.RequestURI, http.StatusTemporaryRedirect)
		})
		if _, err := open(t, s.URL, Config{}).Get(context.Background(), doc(t, ""), Condition{}); err == nil || len(got()) != maxRedirects+1 {
			t.Error(err, len(got()))
		}
	})
	t.Run("another server gets no credentials and no change", func(t *testing.T) {
		other, got := watching(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("WWW-Authenticate", `Digest realm="example.com", nonce="n", qop="auth", algorithm=SHA-256`)
			w.WriteHeader(401)
		})
		h, _ := guarded(t, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, other.URL+"/x", http.StatusTemporaryRedirect)
		})
		c := open(t, start(t, h).URL, Config{Digest: alice("secret")})
		_, err := c.Get(context.Background(), doc(t, ""), Condition{})
		if Status(err) != 401 || !strings.Contains(err.Error(), "another server") || len(got()) != 1 || got()[0].header.Get("Authorization") != "" {
			t.Error(err, got())
		}
		_, err = c.Put(context.Background(), doc(t, ""), "a/b", []byte("x"), Condition{})
		if Status(err) != 307 || !strings.Contains(err.Error(), "another server") || len(got()) != 1 {
			t.Error(err, got())
		}
		if _, err = c.Fetch(context.Background(), other.URL+"/y"); Status(err) != 401 || got()[1].header.Get("Authorization") != "" {
			t.Error(err, got())
		}
	})
	t.Run("TLS is not left", func(t *testing.T) {
		plain, got := watching(t, func(http.ResponseWriter, *http.Request) {})
		s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, plain.URL, http.StatusTemporaryRedirect)
		}))
		defer s.Close()
		c := open(t, s.URL, Config{HTTP: s.Client()})
		if _, err := c.Get(context.Background(), doc(t, ""), Condition{}); Status(err) != 307 || len(got()) != 0 {
			t.Error(err)
		}
	})
}

func TestForeignAnswers(t *testing.T) {
	var field, value, body string
	s := start(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/resource-lists+xml")
		w.Header().Set(field, value)
		if r.Method != "HEAD" {
			io.WriteString(w, body)
		}
	})
	c := open(t, s.URL, Config{})
	for _, tt := range []struct {
		name, field, value, body string
		get, put                 bool // taken
	}{
		{"a page is no document and no success", "Content-Type", "text/html; charset=utf-8", "<html></html>", false, false},
		{"a server may label nothing as a page", "Content-Type", "text/html", "", false, true},
		{"a content coding was not asked for", "Content-Encoding", "gzip", "\x1f\x8b", false, true},
		{"identity is no content coding", "Content-Encoding", "Identity", empty, true, true},
		{"another type of XML is taken", "Content-Type", "text/xml", empty, true, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			field, value, body = tt.field, tt.value, tt.body
			_, err := c.Get(context.Background(), doc(t, ""), Condition{})
			if errors.Is(err, ErrContent) == tt.get || tt.get && err != nil {
				t.Errorf("GET: %v", err)
			}
			if _, err = c.Head(context.Background(), doc(t, ""), Condition{}); errors.Is(err, ErrContent) == tt.get {
				t.Errorf("HEAD: %v", err)
			}
			if _, err = c.Put(context.Background(), doc(t, ""), "a/b", []byte("x"), Condition{}); errors.Is(err, ErrContent) == tt.put {
				t.Errorf("PUT: %v", err)
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	answer := func(status int, contentType, body string) error {
		s := start(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", contentType)
			w.WriteHeader(status)
			io.WriteString(w, body)
		})
		_, err := open(t, s.URL, Config{}).Patch(context.Background(), doc(t, ""), []byte("x"), Condition{})
		return err
	}
	t.Run("a report is told", func(t *testing.T) {
		report := xcaperror.New(xcaperror.Uniqueness, "it is there")
		report.Exists = []xcaperror.Exists{{Field: "a/@b", Alternatives: []string{"c"}}}
		err := answer(409, "application/xcap-error+xml", string(report.Bytes()))
		var got *xcaperror.Report
		if !errors.As(err, &got) || got.Exists[0].Alternatives[0] != "c" || Status(err) != 409 {
			t.Error(err)
		}
	})
	t.Run("XCAP-066 an extension is a 409 without more", func(t *testing.T) {
		err := answer(409, "application/xcap-error+xml", `<xcap-error xmlns="urn:ietf:params:xml:ns:xcap-error"><extension><x:new xmlns:x="urn:x"><x:deep/></x:new></extension></xcap-error>`)
		var refused *Error
		if !errors.As(err, &refused) || refused.Report != nil || refused.Error() != "409 Conflict" {
			t.Error(err)
		}
		if err := answer(409, "application/xcap-error+xml", "no xml"); Status(err) != 409 {
			t.Error(err)
		}
	})
	t.Run("why a patch does not apply is told", func(t *testing.T) {
		err := answer(422, "application/patch-ops-error+xml", `<patch-ops-error xmlns="urn:ietf:params:xml:ns:patch-ops-error"><unlocated-node/></patch-ops-error>`)
		if refused := (*Error)(nil); !errors.As(err, &refused) || refused.Patch != "unlocated-node" {
			t.Error(err)
		}
	})
	t.Run("servers without PATCH are known", func(t *testing.T) {
		for status, want := range map[int]bool{405: true, 501: true, 415: true, 409: false, 412: false, 422: false} {
			if got := Unpatchable(answer(status, "", "")); got != want {
				t.Error(status, got)
			}
		}
	})
	t.Run("a patch is for a document", func(t *testing.T) {
		if _, err := open(t, "http://127.0.0.1:1", Config{}).Patch(context.Background(), doc(t, "resource-lists"), nil, Condition{}); !errors.Is(err, ErrNode) {
			t.Error(err)
		}
	})
}
