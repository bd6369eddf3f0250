package xcapwatch_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"imp/internal/agent/xcapwatch"
	"imp/internal/doc/xcapdiff"
	"imp/internal/xml/patch"
	"imp/internal/xml/tree"
)

const at = "resource-lists/users/sip:alice@example.com/index"

// text is version n of a document.
func text(n int) string {
	return fmt.Sprintf("<resource-lists xmlns=\"urn:ietf:params:xml:ns:resource-lists\">\n  <list name=\"n%d\"/>\n</resource-lists>", n)
}

func tag(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprint("e", n)
}

// step is a change from one version to another, 0 for none; how is "patch" to include operations, or "retag".
func step(t *testing.T, path string, from, to int, how string) xcapdiff.Change {
	t.Helper()
	c := xcapdiff.Change{Sel: path, PreviousETag: tag(from), NewETag: tag(to), BodyNotChanged: how == "retag"}
	if how == "patch" {
		a, _ := tree.Parse([]byte(text(from)), tree.Options{})
		b, _ := tree.Parse([]byte(text(to)), tree.Options{})
		var err error
		if c.Edits, err = patch.Diff(a, b); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

func diff(changes ...xcapdiff.Change) []byte {
	d := xcapdiff.Document{Root: "http://xcap.example.com/", Changes: changes}
	return d.Bytes()
}

// server has a version of each document, and counts what is fetched.
type server struct {
	version map[string]int
	fetched []string
	failing error
}

func (s *server) Fetch(_ context.Context, path, etag string) (string, []byte, error) {
	s.fetched = append(s.fetched, path+" "+etag)
	n, ok := s.version[path]
	switch {
	case s.failing != nil:
		return "", nil, s.failing
	case !ok:
		return "", nil, xcapwatch.ErrGone
	case tag(n) == etag:
		return "", nil, xcapwatch.ErrNotModified
	}
	return tag(n), []byte(text(n)), nil
}

// rig is a subscriber's copies with a server.
type rig struct {
	*xcapwatch.Copies
	t *testing.T
	s *server
}

func newRig(t *testing.T) *rig {
	s := &server{version: map[string]int{}}
	return &rig{xcapwatch.New(xcapwatch.Config{Fetch: s}), t, s}
}

// take gives the copies a notification and says what was learned.
func (r *rig) take(changes ...xcapdiff.Change) string {
	r.t.Helper()
	events, err := r.Take(r.t.Context(), diff(changes...))
	if err != nil {
		r.t.Fatal(err)
	}
	return show(events)
}

func show(events []xcapwatch.Event) string {
	var list []string
	for _, e := range events {
		list = append(list, fmt.Sprintf("%s %s>%s", e.Action, e.Previous, e.ETag))
	}
	return strings.Join(list, ", ")
}

// has fails unless the copy is a version.
func (r *rig) has(path string, n int, synced bool) {
	r.t.Helper()
	doc, etag := r.Document(path)
	if etag != tag(n) || n > 0 && string(doc) != text(n) || r.Synced() != synced {
		r.t.Fatalf("has %q, synced %v, want %q, %v:\n%s", etag, r.Synced(), tag(n), synced, doc)
	}
}

func TestCopies(t *testing.T) {
	t.Run("XDE-009 what the first notification names is fetched, but not what is at hand", func(t *testing.T) {
		r := newRig(t)
		r.s.version[at], r.s.version["a/global/x"] = 1, 2
		r.Keep(at, "e1", []byte(text(1)))
		if got := r.take(step(t, at, 0, 1, ""), step(t, "a/global/x", 0, 2, "")); got != "exist >e2" || len(r.s.fetched) != 1 {
			t.Errorf("%s, fetched %q", got, r.s.fetched)
		}
		r.has(at, 1, true)
		r.has("a/global/x", 2, true)
	})
	t.Run("XDE-010 changes are passed over until that which leads from what was fetched", func(t *testing.T) {
		r := newRig(t)
		r.s.version[at] = 4 // two changes on
		r.take(step(t, at, 0, 2, ""))
		r.has(at, 4, false)
		if got := r.take(step(t, at, 2, 3, "patch"), step(t, at, 3, 4, "patch"), step(t, at, 4, 5, "patch"), step(t, at, 5, 6, "patch")); got != "patch e4>e5, patch e5>e6" {
			t.Errorf("%s", got)
		}
		r.has(at, 6, true)
		if len(r.s.fetched) != 1 {
			t.Errorf("fetched %q", r.s.fetched)
		}
	})
	t.Run("XDE-010 what was passed over stays so while the copy is ahead", func(t *testing.T) {
		r := newRig(t)
		r.s.version[at] = 4
		r.take(step(t, at, 0, 2, ""))
		if got := r.take(step(t, at, 2, 3, "patch")); got != "" {
			t.Errorf("%s", got)
		}
		r.has(at, 4, false)
		r.take(step(t, at, 3, 4, "patch"))
		r.has(at, 4, true)
	})
	t.Run("XDE-011 where no change leads on, the document is fetched again", func(t *testing.T) {
		r := newRig(t)
		r.s.version[at] = 3
		r.take(step(t, at, 0, 2, ""))
		r.s.version[at] = 5
		if got := r.take(step(t, at, 2, 5, "patch")); got != "fetch e3>e5" { // aggregated beyond what was fetched
			t.Errorf("%s", got)
		}
		r.has(at, 5, true)
		r.s.version[at] = 9
		if got := r.take(step(t, at, 8, 9, "patch")); got != "fetch e5>e9" { // something was lost
			t.Errorf("%s", got)
		}
		r.has(at, 9, true)
	})
	t.Run("XDE-012 a patch that fails is told, and the document fetched", func(t *testing.T) {
		r := newRig(t)
		r.s.version[at] = 1
		r.take(step(t, at, 0, 1, ""))
		r.s.version[at] = 2
		bad := strings.Replace(string(diff(step(t, at, 1, 2, "patch"))), `sel="*/`, `sel="*/nothing/`, 1)
		events, err := r.Take(t.Context(), []byte(bad))
		if !errors.Is(err, xcapwatch.ErrPatch) || show(events) != "fetch e1>e2" {
			t.Errorf("%v, %s", err, show(events))
		}
		r.has(at, 2, true)
	})
	t.Run("XDE-013 after an unconditional refresh only what is told again counts", func(t *testing.T) {
		r := newRig(t)
		r.s.version[at], r.s.version["a/global/x"], r.s.version["a/global/y"] = 1, 2, 3
		r.take(step(t, at, 0, 1, ""), step(t, "a/global/x", 0, 2, ""), step(t, "a/global/y", 0, 3, ""))
		r.s.fetched = nil
		delete(r.s.version, "a/global/x")
		if got := r.take(step(t, "a/global/z", 0, 4, "")); strings.Contains(got, "remove") {
			t.Errorf("a change that is no full state: %s", got)
		}
		r.Stale()
		if got := r.take(step(t, at, 0, 1, "")); got != "remove e2>" {
			t.Errorf("%s", got)
		}
		if want := []string{"a/global/z ", "a/global/x e2", "a/global/y e3"}; strings.Join(r.s.fetched, ",") != strings.Join(want, ",") {
			t.Errorf("fetched %q", r.s.fetched)
		}
	})
	t.Run("XDE-014 what is not known is ignored", func(t *testing.T) {
		r := newRig(t)
		r.s.version[at] = 1
		body := strings.Replace(string(diff(step(t, at, 0, 1, ""))), "</p:xcap-diff>", `<x:y xmlns:x="urn:x"><p:document sel="a/global/b" new-etag="q"/></x:y></p:xcap-diff>`, 1)
		body = strings.Replace(body, ` sel=`, ` x:a="b" xmlns:x="urn:x" later="1" sel=`, 1)
		events, err := r.Take(t.Context(), []byte(body))
		if err != nil || show(events) != "exist >e1" {
			t.Errorf("%v, %s", err, show(events))
		}
	})
	t.Run("XDE-015 references may take the place of patches at any time", func(t *testing.T) {
		r := newRig(t)
		r.s.version[at] = 1
		r.take(step(t, at, 0, 1, ""))
		r.take(step(t, at, 1, 2, "patch"))
		r.s.version[at] = 4
		if got := r.take(step(t, at, 2, 4, "")); got != "fetch e2>e4" {
			t.Errorf("%s", got)
		}
		if got := r.take(step(t, at, 4, 5, "patch"), step(t, at, 5, 6, "retag")); got != "patch e4>e5, retag e5>e6" {
			t.Errorf("%s", got)
		}
		if doc, etag := r.Document(at); etag != "e6" || string(doc) != text(5) {
			t.Errorf("%s %s", etag, doc)
		}
		if got := r.take(step(t, at, 6, 0, "")); got != "remove e6>" {
			t.Errorf("%s", got)
		}
		r.has(at, 0, true)
	})
	t.Run("a document that came back is not removed by the news that it had gone", func(t *testing.T) {
		r := newRig(t)
		r.s.version[at] = 3
		r.take(step(t, at, 0, 1, ""))
		if got := r.take(step(t, at, 1, 0, "")); got != "" {
			t.Errorf("%s", got)
		}
		r.has(at, 3, false)
		r.take(step(t, at, 0, 3, ""))
		r.has(at, 3, true)
	})
	t.Run("what could not be fetched is fetched later", func(t *testing.T) {
		r := newRig(t)
		r.s.version[at], r.s.failing = 1, errors.New("no")
		_, err := r.Take(t.Context(), diff(step(t, at, 0, 1, "")))
		if fetching := (*xcapwatch.FetchError)(nil); !errors.As(err, &fetching) || fetching.Path != at {
			t.Fatal(err)
		}
		r.s.failing = nil
		if events, err := r.Retry(t.Context()); err != nil || show(events) != "exist >e1" {
			t.Errorf("%v, %s", err, show(events))
		}
		if events, err := r.Retry(t.Context()); err != nil || len(events) > 0 {
			t.Errorf("%v, %s", err, show(events))
		}
	})
	t.Run("elements and attributes", func(t *testing.T) {
		r := newRig(t)
		d := xcapdiff.Document{Root: "http://a/", Elements: []xcapdiff.Node{{Sel: "b/global/c/~~/d", Content: []byte("<d/>")}}, Attributes: []xcapdiff.Node{{Sel: "b/global/c/~~/d/@e", Missing: true}}}
		events, err := r.Take(t.Context(), d.Bytes())
		if err != nil || len(events) != 2 || events[0].Kind != xcapwatch.Element || string(events[0].Node.Content) != "<d/>" || events[0].Action != xcapdiff.Exist ||
			events[1].Kind != xcapwatch.Attribute || events[1].Action != xcapdiff.Remove {
			t.Errorf("%v %+v", err, events)
		}
	})
	t.Run("without bodies entity-tags alone are kept", func(t *testing.T) {
		c := xcapwatch.New(xcapwatch.Config{MaxDocuments: 2})
		for _, s := range []struct {
			change xcapdiff.Change
			want   string
		}{{step(t, at, 0, 1, ""), "exist >e1"}, {step(t, at, 0, 1, ""), ""}, {step(t, at, 1, 2, "patch"), "patch e1>e2"}, {step(t, at, 2, 0, ""), "remove e2>"}} {
			events, err := c.Take(t.Context(), diff(s.change))
			if err != nil || show(events) != s.want {
				t.Errorf("%v, %s, want %s", err, show(events), s.want)
			}
		}
		c.Take(t.Context(), diff(step(t, at, 0, 1, ""), step(t, "a/global/x", 0, 1, "")))
		c.Stale()
		if events, _ := c.Take(t.Context(), diff(step(t, at, 0, 1, ""))); show(events) != "remove e1>" {
			t.Errorf("%s", show(events))
		}
		if _, err := c.Take(t.Context(), diff(step(t, "a/global/y", 0, 1, ""), step(t, "a/global/z", 0, 1, ""))); err == nil {
			t.Error("more documents than are kept")
		}
	})
	t.Run("what is no diff is an error", func(t *testing.T) {
		if _, err := newRig(t).Take(t.Context(), []byte("<a/>")); err == nil {
			t.Error("taken")
		}
	})
}
