package pidf

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"imp/internal/xml/schematest"
	"imp/internal/xml/tree"
)

// in puts content into a presence element with the usual declarations.
func in(content string) []byte {
	return []byte(`<?xml version="1.0" encoding="UTF-8"?>
<presence xmlns="urn:ietf:params:xml:ns:pidf" xmlns:dm="urn:ietf:params:xml:ns:pidf:data-model" xmlns:rpid="urn:ietf:params:xml:ns:pidf:rpid"` +
		` xmlns:ts="urn:ietf:params:xml:ns:pidf:timed-status" xmlns:c="urn:ietf:params:xml:ns:pidf:cipid" xmlns:caps="urn:ietf:params:xml:ns:pidf:caps"` +
		` xmlns:lt="urn:ietf:params:xml:ns:location-type" xmlns:x="urn:example:x" entity="sip:alice@example.com">` + content + `</presence>`)
}

const open = `<status><basic>open</basic></status>`

func TestAccept(t *testing.T) {
	for _, c := range []struct{ name, doc, want string }{
		{"PDF-002 presence without entity is refused", `<presence xmlns="urn:ietf:params:xml:ns:pidf"/>`, "1:1: presence without entity"},
		{"PDF-002 blank entity is refused", `<presence xmlns="urn:ietf:params:xml:ns:pidf" entity=" "/>`, "1:1: presence without entity"},
		{"PDF-002 root of no namespace is refused", `<presence entity="sip:a@b"/>`, "1:1: the root is {}presence"},
		{"PDF-002 stray colon of the printed namespace is refused", `<presence xmlns="urn:ietf:params:xml:ns:pidf:" entity="sip:a@b"/>`, "1:1: the root is"},
		{"PDF-004 no tuple at all", string(in("")), ""},
		{"PDF-006 tuple without id is refused", string(in("\n<tuple>" + open + "</tuple>")), "3:1: tuple without id"},
		{"PDF-006 one id in two tuples is refused", string(in(`<tuple id="a">` + open + `</tuple><tuple id="a">` + open + `</tuple>`)), `id "a" stands twice`},
		{"PDF-006 one id in tuple and person is refused", string(in(`<tuple id="a">` + open + `</tuple><dm:person id=" a "/>`)), `id "a" stands twice`},
		{"PDF-023 person without id is refused", string(in(`<dm:person/>`)), "person without id"},
		{"PDF-023 device without id is refused", string(in(`<dm:device><dm:deviceID>urn:x:y</dm:deviceID></dm:device>`)), "device without id"},
		{"PDF-008 id with a leading digit is refused", string(in(`<tuple id="6f0e2d3a-1"/>`)), `id "6f0e2d3a-1" is no NCName`},
		{"PDF-008 id with a colon is refused", string(in(`<tuple id="a:b"/>`)), `id "a:b" is no NCName`},
		{"PDF-008 id with @ is refused", string(in(`<dm:person id="a@b"/>`)), `id "a@b" is no NCName`},
		{"PDF-008 letters beyond ASCII are allowed", string(in(`<tuple id="é.1-_b">` + open + `</tuple>`)), ""},
		{"PDF-020 document type declaration is refused", `<!DOCTYPE presence [<!ENTITY x SYSTEM "file:///etc/passwd">]>` + string(in("&x;")), "1:"},
		{"PDF-033 order and values are left to composition", string(in(`<dm:person id="p"><rpid:activities/></dm:person><note/><tuple id="t"><contact priority="9"/><status><basic>OPEN</basic></status></tuple>`)), ""},
		{"PDF-055 timed-status in status is refused", string(in(`<tuple id="t"><status><basic>open</basic><ts:timed-status from="2026-01-01T00:00:00Z"/></status></tuple>`)), "timed-status in status"},
		{"PDF-055 timed-status in timed-status is refused", string(in(`<tuple id="t">` + open + `<ts:timed-status from="2026-01-01T00:00:00Z"><ts:timed-status from="2026-01-01T00:00:00Z"/></ts:timed-status></tuple>`)), "timed-status in timed-status"},
		{"PDF-055 timed-status in person is refused", string(in(`<dm:person id="p"><ts:timed-status from="2026-01-01T00:00:00Z"/></dm:person>`)), "timed-status in person"},
		{"PDF-055 timed-status beside tuples is refused", string(in(`<ts:timed-status from="2026-01-01T00:00:00Z"/>`)), "timed-status outside of a tuple"},
		{"PDF-001 not well-formed is refused", "<presence", "1:"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := Accept([]byte(c.doc))
			if _, parse := Parse([]byte(c.doc)); (parse == nil) != (err == nil) {
				t.Errorf("Accept says %v, Parse says %v", err, parse)
			}
			switch {
			case c.want == "" && err != nil:
				t.Fatalf("refused: %v", err)
			case c.want == "":
				return
			case err == nil || !strings.Contains(err.Error(), c.want):
				t.Fatalf("got %v, want %q in it", err, c.want)
			}
			var at *Error
			if !errors.As(err, &at) || at.Line < 1 || at.Col < 1 {
				t.Errorf("%#v does not tell line and column", err)
			}
		})
	}
	t.Run("PDF-001 other encodings are refused", func(t *testing.T) {
		latin := append([]byte(`<?xml version="1.0" encoding="ISO-8859-1"?><presence xmlns="`+Space+`" entity="sip:`), 0xE9, '"', '/', '>')
		if err := Accept(latin); !errors.Is(err, tree.ErrEncoding) && !errors.Is(err, tree.ErrUTF8) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("PDF-001 UTF-8 is accepted whatever the letters", func(t *testing.T) {
		if err := Accept(in("<note>žluťoučký 🐎</note>")); err != nil {
			t.Error(err)
		}
	})
}

func TestAcceptLimits(t *testing.T) {
	deep := strings.Repeat("<x:a>", 100) + strings.Repeat("</x:a>", 100)
	var declarations, attributes strings.Builder
	for i := range 100 {
		fmt.Fprintf(&declarations, ` xmlns:x%d="urn:example:x"`, i)
		fmt.Fprintf(&attributes, ` a%d=""`, i)
	}
	for name, content := range map[string]string{
		"nested": deep, "declarations": `<x:a` + declarations.String() + `/>`, "attributes": `<x:a` + attributes.String() + `/>`,
	} {
		if err := Accept(in(content)); !errors.Is(err, tree.ErrLimit) {
			t.Errorf("%s: got %v", name, err)
		}
		if doc, _ := Compose(alice, []Input{{Key: "a", Doc: in(content)}}, noon, Policy{}); Check(doc) != nil {
			t.Errorf("%s: composed all the same it is %v", name, Check(doc))
		}
	}
}

func TestAcceptBig(t *testing.T) {
	var b strings.Builder
	for i := range 5000 {
		fmt.Fprintf(&b, `<tuple id="t%d">%s</tuple>`, i, open)
	}
	if err := Accept(in(b.String())); err != nil {
		t.Errorf("thousands of different ids: %v", err)
	}
	b.WriteString(`<tuple id="t4321"/>`)
	if err := Accept(in(b.String())); err == nil || !strings.Contains(err.Error(), `"t4321" stands twice`) {
		t.Errorf("one of thousands stands twice: %v", err)
	}
}

// What the RFCs print is judged as the index of the examples says.
func TestExamples(t *testing.T) {
	var written [][]byte
	for _, e := range schematest.Examples(t, "pidf") {
		t.Run(e.File, func(t *testing.T) {
			d, err := Parse(e.Source)
			if (err == nil) != e.Valid {
				t.Errorf("Parse: %v, valid is %v", err, e.Valid)
			}
			strict := Check(e.Source)
			if (strict == nil) != (e.Valid && e.Schema == "bundle-pidf.xsd") {
				t.Errorf("Check: %v, valid is %v by %s", strict, e.Valid, e.Schema)
			}
			lenient, err := Read(e.Source)
			if wellFormed := e.File != "rfc4482-4-1.xml"; (err == nil) != wellFormed {
				t.Fatalf("Read: %v", err)
			} else if !wellFormed {
				return
			}
			lenient.Entity = "sip:alice@example.com"
			written = append(written, lenient.Bytes())
			if d != nil && d.Basic() == "" {
				t.Error("no tuple has a status")
			}
		})
	}
	for _, e := range schematest.Examples(t, "pidf-full") {
		t.Run(e.File, func(t *testing.T) {
			d, err := Read(e.Source)
			if err != nil || len(d.Tuples) < 3 {
				t.Fatalf("Read: %v", err)
			}
			if Accept(e.Source) == nil || Check(e.Source) == nil {
				t.Error("pidf-full is taken for presence")
			}
			if err := AcceptFull(e.Source); err != nil {
				t.Errorf("AcceptFull: %v", err)
			}
			written = append(written, d.Bytes())
		})
	}
	mustBeValid(t, written...)
}
