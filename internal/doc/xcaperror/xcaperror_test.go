package xcaperror

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

var all = []Condition{NotWellFormed, NotFragment, NoParent, SchemaValidation, NotAttributeText, CannotInsert, CannotDelete, Uniqueness, Constraint, Extension, NotUTF8}

// full returns a report with every field set that the condition has.
func full(c Condition) *Report {
	r := &Report{Condition: c, Phrase: `at 3:4: "a" < b & c` + "\n"}
	switch c {
	case NoParent:
		r.Ancestor = "resource-lists/list%5B@name=%22a&b%22%5D"
	case Uniqueness:
		r.Exists = []Exists{{Field: "rls-services/service/@uri", Alternatives: []string{"sip:a<b@example.com", "sip:c@example.com"}}, {Field: "x"}}
	case Extension:
		r.Phrase = ""
	}
	return r
}

func TestReports(t *testing.T) {
	t.Run("XCAP-065 every error element is written and read again", func(t *testing.T) {
		for _, c := range all {
			want := full(c)
			got, err := Parse(want.Bytes())
			if err != nil {
				t.Fatalf("%s: %v\n%s", c, err, want.Bytes())
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("%s: got %+v, want %+v", c, got, want)
			}
		}
	})
	t.Run("XCAP-064 one error element in xcap-error", func(t *testing.T) {
		for _, doc := range []string{
			`<xcap-error xmlns="` + Space + `"/>`,
			`<xcap-error xmlns="` + Space + `"><cannot-insert/><cannot-delete/></xcap-error>`,
			`<xcap-error><cannot-insert/></xcap-error>`,
			`<cannot-insert xmlns="` + Space + `"/>`,
			`<xcap-error xmlns="` + Space + `"><uniqueness-failure/></xcap-error>`,
			`<xcap-error xmlns="` + Space + `"><cannot-insert>`,
		} {
			if r, err := Parse([]byte(doc)); err == nil {
				t.Errorf("%s was read as %+v", doc, r)
			}
		}
	})
	t.Run("XCAP-066 an extension is a 409 without more", func(t *testing.T) {
		r, err := Parse([]byte(`<xcap-error xmlns="` + Space + `"><extension><q:x xmlns:q="urn:q" phrase="no"><q:exists/></q:x></extension></xcap-error>`))
		if err != nil || !reflect.DeepEqual(r, &Report{Condition: Extension}) {
			t.Errorf("got %+v, %v", r, err)
		}
	})
}

func TestReportsAreValid(t *testing.T) {
	if _, err := exec.LookPath("xmllint"); err != nil {
		t.Skip("no xmllint")
	}
	schema := filepath.Join("..", "..", "..", "..", "shared", "vectors", "schemas", "xcap-error.xsd")
	if _, err := os.Stat(schema); err != nil {
		t.Skip("no shared vectors at ../shared/vectors")
	}
	dir, files := t.TempDir(), []string{"--noout", "--nonet", "--schema", schema}
	for _, r := range append([]*Report{{Condition: Uniqueness, Phrase: "\x00"}, {Condition: NoParent, Ancestor: "a b%"}}, full(NoParent)) {
		files = append(files, write(t, dir, len(files), r))
	}
	for _, c := range all {
		files = append(files, write(t, dir, len(files), full(c)))
	}
	if out, err := exec.Command("xmllint", files...).CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

func write(t *testing.T, dir string, n int, r *Report) string {
	name := filepath.Join(dir, string(rune('a'+n))+".xml")
	if err := os.WriteFile(name, r.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestVector(t *testing.T) {
	src, err := os.ReadFile(filepath.Join("..", "..", "..", "..", "shared", "vectors", "examples", "rfc4825-11.1-1.xml"))
	if err != nil {
		t.Skip("no shared vectors at ../shared/vectors")
	}
	r, err := Parse(src)
	want := &Report{Condition: Uniqueness, Exists: []Exists{{"rls-services/service/@uri", []string{"sip:mybuddies@example.com"}}}}
	if err != nil || !reflect.DeepEqual(r, want) {
		t.Errorf("got %+v, %v", r, err)
	}
}

func TestShown(t *testing.T) {
	r := full(Uniqueness)
	r.Phrase = "taken\x1b[31m"
	var b bytes.Buffer
	if err := r.WriteText(&b); err != nil {
		t.Fatal(err)
	}
	want := "uniqueness-failure: taken\uFFFD[31m\n  not unique: rls-services/service/@uri, free: sip:a<b@example.com, sip:c@example.com\n  not unique: x\n"
	if b.String() != want {
		t.Errorf("got %q", b.String())
	}
	if got := (&Report{Condition: CannotDelete}).Error(); !strings.Contains(got, "select something else") {
		t.Error(got)
	}
	out, _ := json.Marshal(full(NoParent))
	if !strings.Contains(string(out), `"condition":"no-parent"`) || !strings.Contains(string(out), `"ancestor":`) {
		t.Error(string(out))
	}
}

func FuzzParse(f *testing.F) {
	for _, c := range all {
		f.Add(full(c).Bytes())
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		r, err := Parse(src)
		if err != nil {
			return
		}
		again, err := Parse(r.Bytes())
		if err != nil || again.Condition != r.Condition || len(again.Exists) != len(r.Exists) {
			t.Errorf("%q: got %+v, %v, want %+v", src, again, err, r)
		}
	})
}
