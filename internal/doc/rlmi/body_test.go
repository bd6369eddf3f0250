package rlmi

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
)

// body writes parts, each a header and a content.
func body(parts ...string) []byte {
	return []byte("--b\r\n" + strings.Join(parts, "\r\n--b\r\n") + "\r\n--b--\r\n")
}

const (
	listPart = "Content-ID: <root@x>\r\nContent-Type: application/rlmi+xml;charset=\"UTF-8\"\r\n\r\n" + head +
		`<resource uri="sip:c@b"><instance id="1" state="active" cid="c@x"/></resource></list>`
	statePart = "Content-Type: application/pidf+xml\r\ncontent-id: <c@x>\r\n\r\n<presence/>"
	related   = `multipart/related;boundary=b;type="application/rlmi+xml"`
)

func mustParseBody(t *testing.T, typ string, src []byte) *Body {
	t.Helper()
	b, err := ParseBody(typ, src)
	if err != nil {
		t.Fatalf("%v\n%s", err, src)
	}
	return b
}

func TestParseBody(t *testing.T) {
	t.Run("RLS-005 the root is the part that start names, else the first", func(t *testing.T) {
		for typ, src := range map[string][]byte{
			related: body(listPart, statePart),
			`Multipart/Related; Start="<root@x>"; boundary="b"`: body(statePart, listPart),
			`multipart/related;start="root@x";boundary=b`:       body(statePart, listPart, "\r\nwhatever else"),
		} {
			b := mustParseBody(t, typ, src)
			if p := b.Part("c@x"); b.List.Version != 3 || p == nil || string(p.Content) != "<presence/>" || p.Type != "application/pidf+xml" {
				t.Errorf("%s: %+v", typ, b)
			}
			if b.Part("root@x") != nil || b.Part("") != nil {
				t.Errorf("%s: the document is a part", typ)
			}
			if err := b.Check(); err != nil {
				t.Error(err)
			}
		}
		for _, c := range []struct{ typ, want string }{
			{`multipart/related;boundary=b;start="<none@x>"`, "start names none@x"},
			{`multipart/mixed;boundary=b`, "is no multipart/related"},
			{`multipart/related`, "is no multipart/related with a boundary"},
			{`multipart/related;boundary=other`, "part 1 of the body"},
			{related, `the root part is "application/pidf+xml"`},
		} {
			if _, err := ParseBody(c.typ, body(statePart, listPart)); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: %v", c.typ, err)
			}
		}
	})
	t.Run("a body that is cut off", func(t *testing.T) {
		whole := body(listPart, statePart)
		for _, end := range []int{len(whole) - 9, len(whole) - 30, 20, 0} {
			if b, err := ParseBody(related, whole[:end]); err == nil {
				t.Errorf("%d bytes are %+v", end, b)
			}
		}
	})
	t.Run("parts without number", func(t *testing.T) {
		if _, err := ParseBody(related, body(listPart+strings.Repeat("\r\n--b\r\n\r\nx", maxParts))); err == nil {
			t.Error("all are taken")
		}
	})
}

// nested returns a list in a list, so many times.
func nested(depth int) *Body {
	b := &Body{List: sample(), Parts: []Part{
		{ID: "self@example.com", Type: "text/plain", Content: []byte("the list")},
		{ID: "bob@example.com", Type: "application/pidf+xml", Content: []byte("<presence/>\r\n")},
	}}
	if depth > 0 {
		b.Parts[1] = Part{ID: "bob@example.com", Nested: nested(depth - 1)}
		b.List.FullState, b.List.Version = false, uint32(depth)
	}
	return b
}

func TestNestedLists(t *testing.T) {
	t.Run("RLS-011 a part that is a list has its own version and state", func(t *testing.T) {
		want := nested(2)
		src, err := want.Append(nil, "b")
		if err != nil {
			t.Fatal(err)
		}
		got := mustParseBody(t, want.ContentType("b"), src)
		for depth := 2; depth > 0; depth-- {
			inner := got.Part("bob@example.com")
			if !reflect.DeepEqual(got.List, want.List) || len(got.Parts) != 2 || inner == nil || inner.Nested == nil {
				t.Fatalf("at depth %d: %+v\n%s", depth, got, src)
			}
			if err := got.Check(); err != nil {
				t.Error(err)
			}
			got, want = inner.Nested, want.Part("bob@example.com").Nested
		}
		if p := got.Part("bob@example.com"); got.List.Version != 7 || !got.List.FullState || string(p.Content) != "<presence/>\r\n" {
			t.Errorf("%+v", got)
		}
	})
	t.Run("RLS-043 a name is that of a part at its own level", func(t *testing.T) {
		b := nested(1)
		inner := b.Parts[1].Nested
		b.Parts[0], inner.Parts = inner.Parts[1], inner.Parts[:1]
		b.Parts[0].ID = "self@example.com"
		if err := b.Check(); err == nil || !strings.Contains(err.Error(), "bob@example.com names no part") {
			t.Error(err)
		}
	})
	t.Run("too deep", func(t *testing.T) {
		b := nested(maxDepth)
		src, err := b.Append(nil, "b")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ParseBody(b.ContentType("b"), src); err == nil || !strings.Contains(err.Error(), "lists in each other") {
			t.Error(err)
		}
	})
}

func TestAppendBody(t *testing.T) {
	t.Run("RLS-035 a document alone is a multipart/related", func(t *testing.T) {
		b := &Body{List: &List{URI: "sip:f@b", FullState: true, Resources: []Resource{{URI: "sip:c@b"}}}}
		src, err := b.Append(nil, "b")
		if err != nil || !bytes.HasPrefix(src, []byte("--b\r\n")) || !bytes.HasSuffix(src, []byte("\r\n--b--\r\n")) {
			t.Fatalf("%v\n%s", err, src)
		}
		if got := mustParseBody(t, b.ContentType("b"), src); !reflect.DeepEqual(got.List, b.List) || len(got.Parts) != 0 {
			t.Errorf("%+v", got)
		}
		if typ := b.ContentType("b"); !strings.HasPrefix(typ, `multipart/related;type="application/rlmi+xml";`) {
			t.Error(typ)
		}
	})
	t.Run("RLS-036 each part has Content-ID and type, XML in UTF-8", func(t *testing.T) {
		src, err := nested(0).Append(nil, "b")
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range []string{
			"Content-Transfer-Encoding: binary\r\nContent-ID: <b@list.invalid>\r\nContent-Type: application/rlmi+xml;charset=\"UTF-8\"\r\n\r\n<?xml",
			"Content-Transfer-Encoding: binary\r\nContent-ID: <bob@example.com>\r\nContent-Type: application/pidf+xml;charset=\"UTF-8\"\r\n\r\n<presence/>\r\n\r\n--b--",
			"Content-ID: <self@example.com>\r\nContent-Type: text/plain\r\n\r\nthe list\r\n--b\r\n",
		} {
			if !bytes.Contains(src, []byte(part)) {
				t.Errorf("%s\nis not in\n%s", part, src)
			}
		}
	})
	t.Run("what would break a header or a boundary", func(t *testing.T) {
		for _, c := range []struct {
			boundary string
			part     Part
		}{
			{"", Part{}}, {"a b", Part{}}, {strings.Repeat("b", 61), Part{}}, {"b", Part{ID: "a\r\nX: y"}}, {"b", Part{ID: "a>"}}, {"b", Part{Type: "a/b\n"}},
			{"b", Part{Type: "a/b", Content: []byte("x\r\n--b\r\n")}},
		} {
			if out, err := (&Body{List: sample(), Parts: []Part{c.part}}).Append(nil, c.boundary); err == nil {
				t.Errorf("%q %+v became\n%s", c.boundary, c.part, out)
			}
		}
	})
}

// FuzzParseBody: whatever is read can be checked, and its document is read again from what is written.
func FuzzParseBody(f *testing.F) {
	f.Add(related, body(listPart, statePart))
	f.Add(`multipart/related;start="<root@x>";boundary=b`, body(statePart, listPart, "Content-Type: multipart/related;boundary=c\r\n\r\n--c\r\n"+listPart+"\r\n--c--"))
	f.Fuzz(func(t *testing.T, typ string, src []byte) {
		b, err := ParseBody(typ, src)
		if err != nil {
			return
		}
		_ = b.Check()
		out, err := b.Append(nil, "fuzz")
		if err != nil {
			return
		}
		back, err := ParseBody(b.ContentType("fuzz"), out)
		if err != nil || len(back.Parts) != len(b.Parts) {
			t.Fatalf("%v\n%s", err, out)
		}
	})
}
