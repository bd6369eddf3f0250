package client

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"imp/internal/xcap/uri"
)

// shelf is a server of one document.
type shelf struct {
	mu      sync.Mutex
	body    string
	version int
	puts    int
}

func (s *shelf) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	tag := fmt.Sprintf(`"v%d"`, s.version)
	if r.Method == "GET" {
		if s.version == 0 {
			w.WriteHeader(404)
			return
		}
		w.Header().Set("ETag", tag)
		io.WriteString(w, s.body)
		return
	}
	s.puts++
	if m := r.Header.Get("If-Match"); m != "" && m != tag || r.Header.Get("If-None-Match") == "*" && s.version > 0 {
		w.WriteHeader(412)
		return
	}
	body, _ := io.ReadAll(r.Body)
	s.version++
	s.body = string(body)
	w.Header().Set("ETag", fmt.Sprintf(`"v%d"`, s.version))
}

func TestUpdate(t *testing.T) {
	t.Run("XCAP-099 writers that alternate converge", func(t *testing.T) {
		s := &shelf{}
		c := open(t, start(t, s.ServeHTTP).URL, Config{})
		var all sync.WaitGroup
		for i := range 4 {
			all.Go(func() {
				_, err := c.Update(context.Background(), doc(t, ""), func(now *Answer) (*Change, error) {
					body := ""
					if now != nil {
						body = string(now.Body)
					}
					return &Change{URI: doc(t, ""), Type: "a/b", Body: fmt.Appendf(nil, "%s%d", body, i)}, nil
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		for i := range 4 {
			if strings.Count(s.body, fmt.Sprint(i)) != 1 {
				t.Errorf("%q: the change of %d is lost", s.body, i)
			}
		}
	})
	t.Run("there is an end", func(t *testing.T) {
		s := &shelf{body: "x", version: 1}
		c := open(t, start(t, s.ServeHTTP).URL, Config{Random: func() float64 { return 0 }})
		_, err := c.Update(context.Background(), doc(t, ""), func(*Answer) (*Change, error) {
			s.mu.Lock()
			s.version++
			s.mu.Unlock()
			return &Change{URI: doc(t, ""), Type: "a/b", Body: []byte("y")}, nil
		})
		if Status(err) != 412 || s.puts != maxTries {
			t.Error(err, s.puts)
		}
	})
	t.Run("without a tag nothing is changed", func(t *testing.T) {
		h, got := watching(t, func(http.ResponseWriter, *http.Request) {})
		_, err := open(t, h.URL, Config{}).Update(context.Background(), doc(t, ""), func(*Answer) (*Change, error) {
			return &Change{URI: doc(t, ""), Body: []byte("y")}, nil
		})
		if err != ErrNoETag || len(got()) != 1 {
			t.Error(err)
		}
	})
	t.Run("no change is none", func(t *testing.T) {
		s := &shelf{body: "x", version: 1}
		a, err := open(t, start(t, s.ServeHTTP).URL, Config{}).Update(context.Background(), doc(t, ""), func(*Answer) (*Change, error) { return nil, nil })
		if err != nil || a.ETag != "v1" || s.puts != 0 {
			t.Error(a, err)
		}
	})
}

const capsDocument = `<xcap-caps xmlns="urn:ietf:params:xml:ns:xcap-caps"><auids><auid>xcap-caps</auid><auid> resource-lists </auid>
<auid>org.openmobilealliance.pres-rules</auid></auids><namespaces><namespace>urn:x</namespace></namespaces></xcap-caps>`

func TestCaps(t *testing.T) {
	caps, err := ParseCaps([]byte(capsDocument))
	if err != nil || len(caps.AUIDs) != 3 || caps.AUIDs[1] != "resource-lists" || len(caps.Namespaces) != 1 || caps.Extensions != nil {
		t.Error(caps, err)
	}
	for _, bad := range []string{"", "<a/>", `<auids xmlns="urn:ietf:params:xml:ns:xcap-caps"/>`} {
		if _, err := ParseCaps([]byte(bad)); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

func TestList(t *testing.T) {
	const home = "/users/sip:alice@example.com/"
	t.Run("by the directory", func(t *testing.T) {
		s := start(t, func(w http.ResponseWriter, r *http.Request) {
			if r.RequestURI != "/xcap-root/org.openmobilealliance.xcap-directory"+home+"directory.xml" {
				t.Error(r.RequestURI)
			}
			fmt.Fprintf(w, `<xcap-directory xmlns="urn:oma:xml:xdm:xcap-directory"><folder auid="resource-lists">
<entry uri="http://%s/xcap-root/resource-lists%sindex" etag="&quot;1&quot;" last-modified="2026-01-02T03:04:05Z" size="17"/>
<entry uri="resource-lists%sother" etag="2"/><entry uri="http://other.example/x"/></folder></xcap-directory>`, r.Host, home, home)
		})
		all, err := open(t, s.URL, Config{}).List(context.Background(), "sip:alice@example.com")
		if err != nil || len(all) != 2 || all[0].ETag != "1" || all[0].Size != 17 || all[0].Modified.Year() != 2026 || all[1].Size != -1 || all[1].URI.Document[0] != "other" {
			t.Errorf("%+v %v", all, err)
		}
	})
	t.Run("by looking, where there is none", func(t *testing.T) {
		s := start(t, func(w http.ResponseWriter, r *http.Request) {
			switch path := strings.TrimPrefix(r.RequestURI, "/xcap-root/"); {
			case path == "xcap-caps/global/index":
				io.WriteString(w, capsDocument)
			case r.Method == "HEAD" && strings.HasPrefix(path, "resource-lists"):
				w.WriteHeader(405)
			case path == "resource-lists"+home+"index":
				w.Header().Set("ETag", `"1"`)
				io.WriteString(w, "12345")
			case path == "org.openmobilealliance.pres-rules"+home+"pres-rules":
				w.Header().Set("Content-Length", "7")
			default:
				w.WriteHeader(404)
			}
		})
		all, err := open(t, s.URL, Config{}).List(context.Background(), "sip:alice@example.com")
		if err != nil || len(all) != 2 || all[0].Size != 5 || all[0].ETag != "1" || all[1].Size != 7 || all[1].URI.AUID != "org.openmobilealliance.pres-rules" {
			t.Errorf("%+v %v", all, err)
		}
	})
}

func TestListWithoutCaps(t *testing.T) {
	s := start(t, func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.RequestURI, "/resource-lists/users/sip:alice@example.com/index") {
			w.WriteHeader(501)
		}
	})
	all, err := open(t, s.URL, Config{}).List(context.Background(), "sip:alice@example.com")
	if err != nil || len(all) != 1 || all[0].URI.AUID != "resource-lists" {
		t.Errorf("%+v %v", all, err)
	}
}

func TestTrace(t *testing.T) {
	s := start(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "answer") })
	var all []string
	c := open(t, s.URL, Config{Trace: func(r Record) {
		if r.Time.IsZero() || r.Local == "" || r.Remote != strings.TrimPrefix(s.URL, "http://") || r.Transport != "tcp" {
			t.Errorf("%+v", r)
		}
		all = append(all, fmt.Sprint(r.Out)+" "+string(r.Data))
	}})
	if _, err := c.Put(context.Background(), doc(t, ""), "a/b", []byte("body"), Condition{Match: "t"}); err != nil {
		t.Fatal(err)
	}
	if len(all) != 2 || !strings.HasPrefix(all[0], "true PUT /xcap-root/") || !strings.Contains(all[0], "If-Match: \"t\"\r\n") || !strings.HasSuffix(all[0], "\r\n\r\nbody") ||
		!strings.HasPrefix(all[1], "false HTTP/1.1 200 OK\r\n") || !strings.HasSuffix(all[1], "\r\n\r\nanswer") {
		t.Errorf("%q", all)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(capsDocument)
	f.Add(`<xcap-directory xmlns="urn:oma:xml:xdm:xcap-directory"><folder auid="a"><entry uri="a/users/b/c" etag="x" size="1"/></folder></xcap-directory>`)
	root, err := uri.ParseRoot("http://h/r")
	if err != nil {
		f.Fatal(err)
	}
	c, err := New(Config{Root: root})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, src string) {
		ParseCaps([]byte(src))
		all, _ := c.parseDirectory([]byte(src))
		for _, e := range all {
			if len(e.URI.Steps) > 0 || len(e.URI.Document) == 0 {
				t.Errorf("%+v is no document", e)
			}
		}
		patchCondition([]byte(src))
	})
}
