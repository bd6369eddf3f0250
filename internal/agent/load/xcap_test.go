package load

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"imp/internal/auth/digest"
	"imp/internal/xcap/uri"
)

// lists is a server of documents that counts requests by kind.
type lists struct {
	mu        sync.Mutex
	documents map[string]string
	version   int
	seen      map[string]int // by method and what there is besides
	bodies    map[string]bool
	repeated  int // bodies that were put before
	verifier  *digest.Verifier
	refuse    int // status of all PUTs, 0: they are taken
}

func (l *lists) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.verifier != nil {
		if _, err := l.verifier.Verify(r.Header["Authorization"], r.Method, r.RequestURI, nil); err != nil {
			w.Header()["WWW-Authenticate"] = l.verifier.Challenge(false)
			w.WriteHeader(401)
			return
		}
	}
	path, node, _ := strings.Cut(r.RequestURI, "/~~/")
	kind := r.Method
	if node != "" {
		kind += " node"
	}
	_, found := l.documents[path]
	etag := fmt.Sprintf(`"%s %d"`, path, l.version)
	w.Header().Set("ETag", etag)
	switch {
	case r.Method == "PUT" && l.refuse != 0:
		w.WriteHeader(l.refuse)
		return
	case r.Method == "PUT":
		if l.bodies[string(body)+path] {
			l.repeated++
		}
		l.version++
		w.Header().Set("ETag", fmt.Sprintf(`"%s %d"`, path, l.version))
		l.bodies[string(body)+path] = true
		if node == "" {
			l.documents[path] = string(body)
		}
		if !found {
			w.WriteHeader(201)
		}
	case !found:
		w.WriteHeader(404)
	case r.Method == "DELETE":
		delete(l.documents, path)
	case r.Header.Get("If-None-Match") != "":
		kind += " unchanged"
		w.WriteHeader(304)
	default:
		io.WriteString(w, l.documents[path])
	}
	l.seen[kind]++
}

func newLists(t *testing.T) (*lists, XCAPConfig) {
	t.Helper()
	l := &lists{documents: map[string]string{}, seen: map[string]int{}, bodies: map[string]bool{}}
	s := httptest.NewServer(l)
	t.Cleanup(s.Close)
	root, err := uri.ParseRoot(s.URL + "/root")
	if err != nil {
		t.Fatal(err)
	}
	return l, XCAPConfig{Root: root, XUI: "sip:alice@example.com", Mix: [xcapKinds]int{3, 2, 1, 2, 2}, Connections: 4, Entries: 50,
		Count: 100, Duration: time.Minute, Timeout: 10 * time.Second}
}

type oneUser struct{}

func (oneUser) HA1(algorithm, realm, name string) (string, bool) {
	sum := md5.Sum([]byte(name + ":" + realm + ":secret"))
	return hex.EncodeToString(sum[:]), name == "alice" && algorithm == "MD5"
}

func (oneUser) NameOf(string, string, string) (string, bool) { return "", false }

func TestXCAP(t *testing.T) {
	l, cfg := newLists(t)
	report, err := RunXCAP(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	for k, want := range map[XCAPKind]uint64{GetDocument: 30, GetUnchanged: 20, GetElement: 10, PutDocument: 20, PutElement: 20} {
		if got := report.Kinds[k]; got.Response.Count != want || len(got.Failed) > 0 || got.Response.P50 <= 0 {
			t.Errorf("%s: %+v, want %d", XCAPKindNames[k], got, want)
		}
	}
	for kind, want := range map[string]int{"GET": 30, "GET unchanged": 20, "GET node": 10, "PUT": 20 + cfg.Connections, "PUT node": 20, "DELETE": cfg.Connections} {
		if l.seen[kind] != want {
			t.Errorf("the server saw %d of %s, want %d", l.seen[kind], kind, want)
		}
	}
	if len(l.documents) > 0 || report.Left > 0 || l.repeated > 0 {
		t.Errorf("%d documents are left, report: %d; %d bodies came twice", len(l.documents), report.Left, l.repeated)
	}
	for body := range l.bodies {
		if strings.HasPrefix(body, "<?xml") && (len(body) < 4000 || len(body) > 5000) {
			t.Errorf("a list has %d bytes", len(body))
		}
	}
}

func TestXCAPFails(t *testing.T) {
	t.Run("a server that refuses", func(t *testing.T) {
		l, cfg := newLists(t)
		l.refuse = 507
		report, err := RunXCAP(t.Context(), cfg)
		var setup *SetupError
		var status *StatusError
		if !errors.As(err, &setup) || !errors.As(err, &status) || status.Status != 507 || report.Took != 0 {
			t.Errorf("got %v", err)
		}
	})
	t.Run("requests that fail are told by status", func(t *testing.T) {
		l, cfg := newLists(t)
		cfg.Tell = func(phase string) {
			if l.mu.Lock(); phase == "measuring" {
				l.refuse = 409
			}
			l.mu.Unlock()
		}
		report, err := RunXCAP(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		if k := report.Kinds[PutDocument]; k.Response.Count != 0 || k.Failed["409"] != 20 || report.Kinds[GetDocument].Response.Count != 30 {
			t.Errorf("got %+v", report.Kinds)
		}
	})
	t.Run("nobody there", func(t *testing.T) {
		_, cfg := newLists(t)
		cfg.Root, _ = uri.ParseRoot("http://127.0.0.1:1/root")
		var setup *SetupError
		if _, err := RunXCAP(t.Context(), cfg); !errors.As(err, &setup) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("interrupted, the lists are removed", func(t *testing.T) {
		l, cfg := newLists(t)
		ctx, cancel := context.WithCancel(t.Context())
		cfg.Count, cfg.Rate = 0, 1e-3
		cfg.Tell = func(phase string) {
			if phase == "measuring" {
				cancel()
			}
		}
		if _, err := RunXCAP(ctx, cfg); !errors.Is(err, context.Canceled) || len(l.documents) > 0 {
			t.Errorf("got %v, %d documents are left", err, len(l.documents))
		}
	})
}

func TestXCAPDigest(t *testing.T) {
	l, cfg := newLists(t)
	var err error
	if l.verifier, err = digest.NewVerifier(digest.Config{Realm: "r", Users: oneUser{}, Algorithms: []digest.Algorithm{digest.MD5}}); err != nil {
		t.Fatal(err)
	}
	if _, err := RunXCAP(t.Context(), cfg); err == nil {
		t.Error("it got in without credentials")
	}
	cfg.Digest = digest.NewClient(digest.ClientConfig{Credentials: func(string) (string, string, error) { return "alice", "secret", nil }})
	report, err := RunXCAP(t.Context(), cfg)
	if err != nil || report.Kinds[PutElement].Response.Count != 20 {
		t.Errorf("got %+v, %v", report, err)
	}
}

func TestMixed(t *testing.T) {
	if got, want := mixed([xcapKinds]int{3, 1, 0, 0, 2}), []XCAPKind{0, 4, 0, 1, 4, 0}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
