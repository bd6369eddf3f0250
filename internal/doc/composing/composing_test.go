package composing

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"imp/internal/xml/schematest"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func document(content string) string {
	return `<isComposing xmlns="` + Space + `">` + content + `</isComposing>`
}

// mustBeValid fails for each document that the schema or Check refuses.
func mustBeValid(t *testing.T, docs ...[]byte) {
	t.Helper()
	for _, doc := range docs {
		if err := Check(doc); err != nil {
			t.Errorf("Check: %v\n%s", err, doc)
		}
	}
	schematest.MustBeValid(t, "im-iscomposing.xsd", docs...)
}

func TestBytes(t *testing.T) {
	full := Document{State: Active, LastActive: noon, ContentType: "text/html & <\x00>", Refresh: 90*time.Second + time.Millisecond}
	t.Run("COMP-006 the namespace is the one", func(t *testing.T) {
		if b := full.Bytes(); !bytes.Contains(b, []byte(`xmlns="urn:ietf:params:xml:ns:im-iscomposing"`)) || bytes.Contains(b, []byte("im-composing")) {
			t.Errorf("%s", b)
		}
	})
	t.Run("COMP-002 elements are in the order of the schema", func(t *testing.T) {
		at := -1
		for _, name := range []string{"<state>active<", "<lastactive>2026-11-22T12:00:00Z<", "<contenttype>text/html &amp; &lt;", "<refresh>90<"} {
			i := strings.Index(string(full.Bytes()), name)
			if i <= at {
				t.Errorf("%s:\n%s", name, full.Bytes())
			}
			at = i
		}
	})
	t.Run("COMP-001 documents are valid", func(t *testing.T) {
		var docs [][]byte
		for _, d := range []Document{full, {}, {State: Idle, LastActive: noon.In(time.FixedZone("", 3600))}, {State: "x", Refresh: time.Millisecond}, {State: Active, Refresh: -5}} {
			docs = append(docs, d.Bytes())
		}
		mustBeValid(t, docs...)
	})
}

func TestParse(t *testing.T) {
	t.Run("COMP-003 any other state is idle", func(t *testing.T) {
		for state, want := range map[string]string{"active": Active, " active ": Active, "idle": Idle, "thinking": Idle, "Active": Idle, "": Idle} {
			if d, err := Parse([]byte(document("<state>" + state + "</state>"))); err != nil || d.State != want {
				t.Errorf("%q: %v %+v", state, err, d)
			}
		}
	})
	t.Run("COMP-004 extensions are ignored", func(t *testing.T) {
		src := document(`<x:state xmlns:x="urn:x">idle</x:state><refresh>90</refresh><contenttype>text/html</contenttype><state>active</state><new/>`)
		if d, err := Parse([]byte(src)); err != nil || *d != (Document{State: Active, Refresh: 90 * time.Second, ContentType: "text/html"}) {
			t.Errorf("%v %+v", err, d)
		}
	})
	t.Run("COMP-005 a refresh that is no positive number is none", func(t *testing.T) {
		for refresh, want := range map[string]time.Duration{
			"0": 0, "-5": 0, "x": 0, "": 0, "1.5": 0, "+7": 7 * time.Second, " 90 ": 90 * time.Second, "007": 7 * time.Second,
			"99999999999999999999999": maxRefresh, "86401": maxRefresh, "00": 0, "+-1": 0,
		} {
			d, err := Parse([]byte(document("<state>active</state><refresh>" + refresh + "</refresh>")))
			if err != nil || d.Refresh != want {
				t.Errorf("%q: %v %v", refresh, err, d.Refresh)
			}
		}
		var r Receiver
		r.Status("a", &Document{State: Active}, noon)
		if !r.Next().Equal(noon.Add(120 * time.Second)) {
			t.Error(r.Next())
		}
	})
	for src, want := range map[string]string{
		"<isComposing/>": "1:1: the root is", document(""): "1:1: no state", document("<state>"): "1:",
		"\n<isComposing xmlns='urn:ietf:params:xml:ns:im-composing'/>": "2:1: the root is",
	} {
		if _, err := Parse([]byte(src)); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v", src, err)
		}
	}
}

// TestExamples reads what RFC 3994 prints.
func TestExamples(t *testing.T) {
	for name, want := range map[string]Document{
		"rfc3994-5-1.xml": {State: Active, ContentType: "text/plain", Refresh: 90 * time.Second},
		"rfc3994-5-2.xml": {State: Idle, ContentType: "audio", LastActive: time.Date(2003, 1, 27, 10, 43, 0, 0, time.UTC)},
	} {
		src, err := os.ReadFile(filepath.Join(schematest.Vectors, "examples", name))
		if err != nil {
			t.Skip("no shared vectors at ../shared/vectors")
		}
		d, err := Parse(src)
		if err != nil || *d != want {
			t.Errorf("%s: %v %+v", name, err, d)
		}
		if back, err := Parse(d.Bytes()); err != nil || *back != want {
			t.Errorf("%s: %v %+v", name, err, back)
		}
		mustBeValid(t, src)
	}
}

func TestView(t *testing.T) {
	d := Document{State: Idle, LastActive: noon, ContentType: "a\x1b", Refresh: time.Minute}
	b, err := json.Marshal(d)
	if want := `{"state":"idle","last_active":"2026-11-22T12:00:00.000Z","content_type":"a\u001b","refresh":60}`; err != nil || string(b) != want {
		t.Errorf("%v %s", err, b)
	}
	var out strings.Builder
	if err := d.WriteText(&out, noon, nil); err != nil || out.String() != "idle  a\uFFFD  last active 12:00:00  refreshed in 1m0s\n" {
		t.Errorf("%v %q", err, out.String())
	}
}

// FuzzParse: whatever is read can be shown, and is written validly and the same each time.
func FuzzParse(f *testing.F) {
	f.Add([]byte(document("<state>active</state><lastactive>2026-11-22T12:00:00.5+01:00</lastactive><contenttype>text/html</contenttype><refresh>90</refresh>")))
	f.Add([]byte(document(`<state/><x xmlns="urn:x"/>`)))
	f.Fuzz(func(t *testing.T, src []byte) {
		d, err := Parse(src)
		if err != nil {
			return
		}
		if err := d.WriteText(io.Discard, noon, nil); err != nil {
			t.Fatal(err)
		}
		if _, err := json.Marshal(d); err != nil {
			t.Fatal(err)
		}
		doc := d.Bytes()
		if err := Check(doc); err != nil {
			t.Fatalf("%v\n%s", err, doc)
		}
		if back, err := Parse(doc); err != nil || !bytes.Equal(back.Bytes(), doc) || back.State != d.State || back.Refresh != d.Refresh {
			t.Fatalf("%v\n%s", err, doc)
		}
	})
}
