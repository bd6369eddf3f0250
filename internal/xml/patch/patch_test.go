package patch

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"imp/internal/xml/canon"
	"imp/internal/xml/tree"
)

func TestErrors(t *testing.T) {
	patch := in("xmlns:q='u:q' xmlns='u:d'", "<p:remove sel='r/q:b'/>\n  <p:add sel='r/c'>\n<q:x>1</q:x></p:add><p:remove sel='r/d'/>")
	_, err := run(t, "<r xmlns='u:d' xmlns:q='u:q'><q:b/><d/></r>", patch)
	var e *Error
	if !errors.As(err, &e) {
		t.Fatal(err)
	}
	t.Run("XPATCH-007 the first failure is told and nothing is applied", func(t *testing.T) {
		if e.Index != 1 || e.Line != 2 || e.Col != 3 || e.Selector != "r/c" || !strings.Contains(e.Error(), "2:3: operation 2: unlocated-node: ") {
			t.Errorf("got %#v, %v", e, e)
		}
	})
	t.Run("XPATCH-060 error holds the operation", func(t *testing.T) {
		doc := parseTree(t, string(e.Append(nil)))
		c := doc.Root().Element(SpaceError, "unlocated-node")
		op := c.Element(SpaceXMLPatch, "add")
		if sel, _ := op.Attr("", "sel"); sel != "r/c" || !op.Element("u:q", "x").Valid() {
			t.Errorf("got %s", doc.Bytes())
		}
		if uri, _ := op.LookupPrefix(""); uri != "u:d" {
			t.Errorf("default namespace of the operation is %q", uri)
		}
		if phrase, _ := c.Attr("", "phrase"); !strings.Contains(phrase, "r/c") {
			t.Errorf("phrase %q", phrase)
		}
	})
}

func TestClip(t *testing.T) {
	for _, test := range [][2]string{
		{"short", "short"}, {strings.Repeat("x", 60), strings.Repeat("x", 60)}, {strings.Repeat("x", 61), strings.Repeat("x", 60) + "..."},
		{strings.Repeat("x", 59) + "é", strings.Repeat("x", 59) + "..."}, {strings.Repeat("\x80", 100), "..."},
	} {
		if got := clip(test[0]); got != test[1] {
			t.Errorf("clip(%q) is %q", test[0], got)
		}
	}
}

func TestEntitiesOfTheDocument(t *testing.T) {
	doc, err := tree.Parse([]byte("<!DOCTYPE a [<!ATTLIST a i ID #IMPLIED><!ENTITY e 'x'>]><a i='n'>&e;</a>"), tree.Options{AllowDTD: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, operations string
		want             Condition
	}{
		{"XPATCH-020 attributes of type ID are not known", "<p:remove sel='id(\"n\")'/>", UnsupportedID},
		{"XPATCH-062 entity that only the document declares", "<p:add sel='a'>&e;</p:add>", InvalidEntity},
	} {
		t.Run(test.name, func(t *testing.T) {
			p, err := Parse([]byte(in("", test.operations)), tree.Options{AllowDTD: true})
			if err == nil {
				err = p.Changes[0].Apply(doc, nil)
			}
			var e *Error
			if !errors.As(err, &e) || e.Condition != test.want {
				t.Errorf("got %v", err)
			}
		})
	}
	t.Run("XPATCH-011 document type declaration stays", func(t *testing.T) {
		p, err := Parse([]byte(in("", "<p:add sel='a' pos='before'><!--c--></p:add>")), tree.Options{})
		if err == nil {
			err = p.Changes[0].Apply(doc, nil)
		}
		if got := string(doc.Bytes()); err != nil || got != "<!DOCTYPE a [<!ATTLIST a i ID #IMPLIED><!ENTITY e 'x'>]><!--c--><a i='n'>&e;</a>" {
			t.Errorf("got %s, %v", got, err)
		}
	})
}

func TestExplain(t *testing.T) {
	doc := parseTree(t, "<r>\n<a/><a k='1'/></r>")
	p, err := Parse([]byte(in("", "<p:replace sel='r/a[2]/@k'>2</p:replace><p:add sel='r'><b/></p:add><p:remove sel='r/b'/>")), tree.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var told []Applied
	if err := p.Changes[0].Apply(doc, func(a Applied) { told = append(told, a) }); err != nil {
		t.Fatal(err)
	}
	if len(told) != 3 {
		t.Fatalf("told %v", told)
	}
	if a := told[0]; a.Located != "/r/a[2]/@k" || a.Before != "1" || a.After != "2" || a.Line != 2 || a.Col != 8 {
		t.Errorf("replace: %+v", a)
	}
	if a := told[1]; a.Located != "/r" || a.Before != "" || a.After != "<b/>" || a.Index != 1 {
		t.Errorf("add: %+v", a)
	}
	if a := told[2]; a.Located != "/r/b" || a.Before != "<b/>" || a.After != "" || a.Line != 0 {
		t.Errorf("remove: %+v", a)
	}
}

func TestVocabularies(t *testing.T) {
	for name, src := range map[string]string{
		"xml-patch": in("", "<p:remove sel='a/b'/>"),
		"pidf-diff": "<d:pidf-diff xmlns:d='urn:ietf:params:xml:ns:pidf-diff' entity='pres:x' version='7'><d:remove sel='a/b'/></d:pidf-diff>",
		"xcap-diff": "<xcap-diff xmlns='urn:ietf:params:xml:ns:xcap-diff' xcap-root='http://x/'><document sel='y' previous-etag='1' new-etag='2' o:k='' xmlns:o='u'>" +
			"<o:add sel='a'><x/></o:add><d:remove xmlns='' xmlns:d='urn:ietf:params:xml:ns:xcap-diff' sel='a/b' other=''/></document><element sel='z'/></xcap-diff>",
	} {
		t.Run("XPATCH-001 "+name, func(t *testing.T) {
			if got, err := run(t, "<a><b/></a>", src); err != nil || got != "<a></a>" {
				t.Errorf("got %s, %v", got, err)
			}
		})
	}
	p, err := Parse([]byte("<xcap-diff xmlns='urn:ietf:params:xml:ns:xcap-diff' xcap-root='http://x/'><document sel='y' previous-etag='1' new-etag='2'><body-not-changed/></document><document sel='z' previous-etag='3'/></xcap-diff>"), tree.Options{})
	if err != nil || len(p.Changes) != 2 {
		t.Fatal(p, err)
	}
	t.Run("XPATCH-077 only the entity-tag changed", func(t *testing.T) {
		if c := p.Changes[0]; !c.BodyNotChanged || c.Document != "y" || c.PreviousETag != "1" || c.NewETag != "2" || p.XCAPRoot != "http://x/" {
			t.Errorf("got %+v", c)
		}
	})
	t.Run("XPATCH-079 document removed", func(t *testing.T) {
		if c := p.Changes[1]; c.BodyNotChanged || c.PreviousETag != "3" || c.NewETag != "" || len(c.Operations) != 0 {
			t.Errorf("got %+v", c)
		}
	})
}

func TestXCAPDiff(t *testing.T) {
	const start = "<xcap-diff xmlns='urn:ietf:params:xml:ns:xcap-diff' xmlns:o='u' xcap-root='http://x/'><document sel='u/sip:a@b/i' previous-etag='1' new-etag='2' o:k=''>"
	for name, operations := range map[string]string{
		"XPATCH-073 unknown attributes and elements are ignored": "<o:e/><remove sel='*/*'/><o:e/>",
		"XPATCH-087 foreign attribute of an operation":           "<remove o:k='' k='' sel='*/*'/>",
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := run(t, "<a><b/></a>", start+operations+"</document><o:e/></xcap-diff>"); err != nil || got != "<a></a>" {
				t.Errorf("got %s, %v", got, err)
			}
		})
	}
	e, err := Diff(parseTree(t, "<a/>"), parseTree(t, "<a b=''/>"))
	if err != nil {
		t.Fatal(err)
	}
	frame := Frame{Vocabulary: XCAPDiff, XCAPRoot: "http://x/", Document: "y", NewETag: "2"}
	t.Run("XPATCH-078 no operations without the entity-tag before", func(t *testing.T) {
		p, err := Parse(e.Append(nil, frame), tree.Options{})
		if err != nil || len(p.Changes) != 1 || len(p.Changes[0].Operations) != 0 || p.Changes[0].BodyNotChanged || p.Changes[0].NewETag != "2" {
			t.Errorf("got %+v, %v", p, err)
		}
	})
	t.Run("XPATCH-005 root element", func(t *testing.T) {
		frame.PreviousETag = "1"
		doc := parseTree(t, string(e.Append(nil, frame)))
		if root, _ := doc.Root().Attr("", "xcap-root"); !doc.Root().Is("urn:ietf:params:xml:ns:xcap-diff", "xcap-diff") || root != "http://x/" {
			t.Errorf("got %s", doc.Bytes())
		}
		if op := doc.Root().Element(SpaceXCAPDiff, "document").Element(SpaceXCAPDiff, "add"); !op.Valid() {
			t.Errorf("no operation in %s", doc.Bytes())
		}
	})
}

func TestParseAgain(t *testing.T) {
	var p Document
	for _, ops := range []string{"<p:remove sel='a/b'/><p:remove sel='a/c'/>", "<p:remove sel='a/d'/>"} {
		if err := p.Parse([]byte(in("", ops)), tree.Options{}); err != nil {
			t.Fatal(err)
		}
	}
	if c := p.Changes[0]; len(c.Operations) != 1 || c.Operations[0].Selector.String() != "a/d" {
		t.Errorf("got %+v", c)
	}
}

const examples = "../../../../shared/vectors/examples"

func example(t *testing.T, name string) []byte {
	t.Helper()
	src, err := os.ReadFile(filepath.Join(examples, name))
	if err != nil {
		t.Fatal(err)
	}
	return src
}

// TestTriples applies the patches among the examples, and those of reports about XCAP documents.
func TestTriples(t *testing.T) {
	index, err := os.ReadFile(filepath.Join(examples, "triples.json"))
	if err != nil {
		t.Skip("no shared vectors at ../shared/vectors")
	}
	var triples []struct{ ID, Op, Before, Patch, After, Report, Compare string }
	if err := json.Unmarshal(index, &triples); err != nil {
		t.Fatal(err)
	}
	applied := 0
	for _, triple := range triples {
		patch := triple.Patch + triple.Report
		if triple.Before == "" || patch == "" {
			continue
		}
		t.Run(triple.ID, func(t *testing.T) {
			p, err := Parse(example(t, patch), tree.Options{})
			if err != nil {
				t.Fatal(err)
			}
			doc := parseTree(t, string(example(t, triple.Before)))
			patched := false
			for i := range p.Changes {
				if len(p.Changes[i].Operations) == 0 {
					continue
				}
				if err := p.Changes[i].Apply(doc, nil); err != nil {
					t.Fatal(err)
				}
				applied++
				patched = true
			}
			if triple.After != "" && patched {
				// The text that the RFC prints in two ways is made one.
				same := strings.NewReplacer("person element", "note element")
				got, want := spaceless(t, same.Replace(string(doc.Bytes()))), spaceless(t, string(example(t, triple.After)))
				if got != want {
					t.Errorf("got\n%s\nexpected\n%s", got, want)
				}
			}
		})
	}
	if applied < 5 {
		t.Errorf("applied %d patches", applied)
	}
}

// spaceless returns the canonical form with runs of white space made one space.
func spaceless(t *testing.T, src string) string {
	form := string(canon.Append(nil, parseTree(t, src).Document(), canon.Options{}))
	form = strings.Join(strings.Fields(form), " ")
	return strings.ReplaceAll(form, "> <", "><")
}
