package cli

import (
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"imp/internal/server/xcap"
	"imp/internal/store/memory"
)

// documents is a server that believes everybody, behind what a test puts in front of it.
func documents(t *testing.T, front func(next http.Handler) http.HandlerFunc) string {
	t.Helper()
	store := memory.New()
	t.Cleanup(func() { store.Close() })
	s, err := xcap.New(xcap.Config{Store: store, Domains: []string{"example.com"}})
	if err != nil {
		t.Fatal(err)
	}
	up := make(chan struct{})
	go s.Run(t.Context(), func() { close(up) })
	<-up
	var h http.Handler = s
	if front != nil {
		h = front(s)
	}
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server.URL + "/xcap-root"
}

// asAlice runs a command against a root.
func asAlice(t *testing.T, root string, args ...string) (status int, out, errs string) {
	t.Helper()
	return typed(t, append(args, "--xcap-root", root, "--from", "sip:alice@example.com")...)
}

// file writes a file for a command.
func file(t *testing.T, content string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "file.xml")
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

const (
	twoLists = `<resource-lists xmlns="urn:ietf:params:xml:ns:resource-lists"><list name="a"/><list name="b"/></resource-lists>`
	dropB    = `<p:patch xmlns:p="urn:ietf:rfc:7351" xmlns="urn:ietf:params:xml:ns:resource-lists"><p:remove sel="resource-lists/list[@name='b']"/></p:patch>`
	dropBOf  = `<xcap-diff xmlns="urn:ietf:params:xml:ns:xcap-diff" xmlns:r="urn:ietf:params:xml:ns:resource-lists" xcap-root="http://x.example/"><document sel="%s" previous-etag="1" new-etag="2"><remove sel="r:resource-lists/r:list[@name='b']"/></document></xcap-diff>`
)

func TestXCAPPatchWithoutPATCH(t *testing.T) {
	for _, refusal := range []int{405, 501, 415} {
		t.Run(fmt.Sprint("the server answers ", refusal), func(t *testing.T) {
			var races atomic.Int32
			var root string
			root = documents(t, func(next http.Handler) http.HandlerFunc {
				return func(w http.ResponseWriter, r *http.Request) {
					if r.Method == "PATCH" {
						w.WriteHeader(refusal)
						return
					}
					next.ServeHTTP(w, r)
					// While the first patch is applied, somebody else inserts an element.
					if r.Method == "GET" && races.Add(1) == 1 {
						if status, _, errs := asAlice(t, root, "list", "add", "a", "bob"); status != 0 {
							t.Error(errs)
						}
					}
				}
			})
			if status, _, errs := asAlice(t, root, "xcap", "put", "resource-lists", file(t, twoLists)); status != 0 {
				t.Fatal(errs)
			}
			if status, _, errs := asAlice(t, root, "xcap", "patch", "resource-lists", file(t, dropB)); status != 0 {
				t.Fatal(errs)
			}
			status, out, _ := asAlice(t, root, "xcap", "get", "resource-lists")
			if want := `<resource-lists xmlns="urn:ietf:params:xml:ns:resource-lists"><list name="a"><entry uri="sip:bob@example.com"/></list></resource-lists>`; status != 0 || out != want {
				t.Errorf("%s", out)
			}
			if status, _, errs := asAlice(t, root, "xcap", "patch", "resource-lists", file(t, dropB)); status != 3 || !strings.Contains(errs, "unlocated-node") {
				t.Error(status, errs)
			}
		})
	}
	t.Run("an XCAP diff is applied here", func(t *testing.T) {
		root := documents(t, nil)
		asAlice(t, root, "xcap", "put", "resource-lists", file(t, twoLists))
		other := file(t, fmt.Sprintf(dropBOf, "resource-lists/users/sip:bob@example.com/index"))
		if status, _, errs := asAlice(t, root, "xcap", "patch", "resource-lists", other); status != 1 || !strings.Contains(errs, "no changes of this document") {
			t.Error(status, errs)
		}
		mine := file(t, fmt.Sprintf(dropBOf, "resource-lists/users/sip:alice@example.com/index"))
		if status, _, errs := asAlice(t, root, "xcap", "patch", "resource-lists", mine); status != 0 {
			t.Error(status, errs)
		}
		if _, out, _ := asAlice(t, root, "xcap", "get", "resource-lists"); strings.Contains(out, `"b"`) {
			t.Error(out)
		}
	})
}

func TestListWriters(t *testing.T) {
	t.Run("XCAP-099 no contact of many writers is lost", func(t *testing.T) {
		root := documents(t, nil)
		var all sync.WaitGroup
		const writers = 16
		for i := range writers {
			all.Go(func() {
				if status, _, errs := asAlice(t, root, "list", "add", "friends", fmt.Sprint("sip:u", i, "@example.com")); status != 0 {
					t.Error(errs)
				}
			})
		}
		all.Wait()
		if _, out, _ := asAlice(t, root, "list", "flatten"); strings.Count(out, "\n") != writers {
			t.Errorf("%s", out)
		}
	})
}

func TestXCAPExportOfOtherUsages(t *testing.T) {
	stored, kind := "<dialogs/>", ""
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		switch {
		case strings.HasSuffix(r.URL.Path, "/directory.xml"):
			io.WriteString(w, `<xcap-directory xmlns="urn:oma:xml:xdm:xcap-directory"><folder auid="org.example.dialogs"><entry uri="org.example.dialogs/users/sip:alice@example.com/index" etag="1"/></folder></xcap-directory>`)
		case r.Method == "PUT":
			stored, kind = string(body), r.Header.Get("Content-Type")
			w.WriteHeader(201)
		case stored == "":
			w.WriteHeader(404)
		default:
			w.Header().Set("Content-Type", "application/dialogs+xml")
			io.WriteString(w, stored)
		}
	}))
	defer s.Close()
	dir := t.TempDir()
	if status, out, errs := asAlice(t, s.URL, "xcap", "export", dir); status != 0 || out != "exported  org.example.dialogs/index\n" {
		t.Fatal(status, out, errs)
	}
	stored = ""
	if status, _, errs := asAlice(t, s.URL, "xcap", "import", dir); status != 0 || stored != "<dialogs/>" || kind != "application/dialogs+xml" {
		t.Error(status, errs, stored, kind)
	}
}

func TestXCAPExportOfOthers(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/directory.xml") {
			io.WriteString(w, `<xcap-directory xmlns="urn:oma:xml:xdm:xcap-directory"><folder auid="resource-lists">`+
				`<entry uri="resource-lists/users/alice@example.com/index"/><entry uri="resource-lists/users/sip:bob@example.com/index"/>`+
				`<entry uri="resource-lists/users/alice@example.com/index"/><entry uri="resource-lists/global/index"/></folder></xcap-directory>`)
			return
		}
		io.WriteString(w, r.URL.Path)
	}))
	defer s.Close()
	dir := t.TempDir()
	status, out, errs := asAlice(t, s.URL, "xcap", "export", dir)
	if status != 0 || out != "exported  resource-lists/index\n" || strings.Count(errs, "passed over") != 2 {
		t.Error(status, out, errs)
	}
	if got, err := os.ReadFile(filepath.Join(dir, "resource-lists", "index")); string(got) != "/resource-lists/users/alice@example.com/index" {
		t.Errorf("%s, %v", got, err)
	}
}

func TestXCAPFailures(t *testing.T) {
	answer := func(change func(w http.ResponseWriter, r *http.Request)) string {
		s := httptest.NewServer(http.HandlerFunc(change))
		t.Cleanup(s.Close)
		return s.URL
	}
	for _, c := range []struct {
		name   string
		status int
		text   string
		serve  func(w http.ResponseWriter, r *http.Request)
	}{
		{"missing", 1, "404 Not Found", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404) }},
		{"gone", 1, "410 Gone", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(410) }},
		{"forbidden", 3, "403 Forbidden", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(403) }},
		{"a fault of the server", 3, "500 Internal Server Error", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }},
		{"busy", 3, "hint: try again in 7 seconds", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Retry-After", "7"); w.WriteHeader(503) }},
		{"not allowed", 3, "hint: there the server has only: PUT", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Allow", "PUT"); w.WriteHeader(405) }},
		{"no credentials taken", 3, "no digest challenge that can be answered", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
			w.WriteHeader(401)
		}},
		{"no password", 2, "the server asks for one and there is none", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("WWW-Authenticate", `Digest realm="x", nonce="n", qop="auth"`)
			w.WriteHeader(401)
		}},
		{"another server", 3, "401 Unauthorized (this is another server", func(w http.ResponseWriter, r *http.Request) {
			if strings.HasPrefix(r.Host, "127.") {
				http.Redirect(w, r, strings.Replace("http://"+r.Host+"/elsewhere", "127.0.0.1", "localhost", 1), http.StatusTemporaryRedirect)
				return
			}
			w.WriteHeader(401)
		}},
		{"no HTTP", 5, "hint: is the server running", func(w http.ResponseWriter, _ *http.Request) {
			c, _, err := w.(http.Hijacker).Hijack()
			if err == nil {
				io.WriteString(c, "SIP/2.0 400 Bad Request\r\n\r\n")
				c.Close()
			}
		}},
		{"silence", 4, "no answer", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }},
	} {
		t.Run(c.name, func(t *testing.T) {
			status, out, errs := asAlice(t, answer(c.serve), "xcap", "get", "resource-lists", "--timeout", "1")
			if status != c.status || out != "" || !strings.Contains(errs, c.text) || !strings.HasPrefix(errs, "imp: getting resource-lists: ") {
				t.Errorf("status %d, %q, %s", status, out, errs)
			}
		})
	}
	t.Run("a server that passes over conditions is told of", func(t *testing.T) {
		root := answer(func(http.ResponseWriter, *http.Request) {})
		if status, _, errs := asAlice(t, root, "xcap", "put", "resource-lists", file(t, twoLists)); status != 0 || !strings.Contains(errs, "warning: the server answers 200 where 201 is due") {
			t.Error(status, errs)
		}
	})
	t.Run("capabilities that are none", func(t *testing.T) {
		root := answer(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "<html/>") })
		if status, _, errs := asAlice(t, root, "xcap", "caps"); status != 6 || !strings.Contains(errs, "is no xcap-caps document") {
			t.Error(status, errs)
		}
	})
	t.Run("a document without entity-tag is not changed behind its back", func(t *testing.T) {
		root := answer(func(w http.ResponseWriter, r *http.Request) {
			if r.Method != "GET" {
				t.Errorf("%s was sent", r.Method)
			}
			io.WriteString(w, twoLists)
		})
		if status, _, errs := asAlice(t, root, "list", "add", "a", "bob"); status != 3 || !strings.Contains(errs, "the server gives no entity-tag") {
			t.Error(status, errs)
		}
	})
}

func TestXCAPOverTLS(t *testing.T) {
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, twoLists) }))
	defer s.Close()
	s.Config.ErrorLog = nil
	ca := file(t, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})))
	if status, out, errs := asAlice(t, s.URL, "xcap", "get", "resource-lists", "--ca", ca); status != 0 || out != twoLists || strings.Contains(errs, "warning") {
		t.Error(status, out, errs)
	}
	if status, _, errs := asAlice(t, s.URL, "xcap", "get", "resource-lists"); status != 5 || !strings.Contains(errs, "hint: trust the server's authority with --ca FILE") {
		t.Error(status, errs)
	}
	if status, out, errs := asAlice(t, s.URL, "xcap", "get", "resource-lists", "--insecure"); status != 0 || out != twoLists || !strings.Contains(errs, "warning: --insecure") {
		t.Error(status, errs)
	}
	plain := strings.Replace(documents(t, nil), "http:", "https:", 1)
	if status, _, errs := asAlice(t, plain, "xcap", "get", "resource-lists"); status != 5 || !strings.Contains(errs, "hint: the server is without TLS there") {
		t.Error(status, errs)
	}
}
