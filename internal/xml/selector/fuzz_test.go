package selector

import (
	"strings"
	"testing"

	"imp/internal/xml/tree"
)

func FuzzParse(f *testing.F) {
	for _, sel := range []string{
		"a/p:b[@k='v'][2]/@p:k", "*/*[3]/text()[1]", "id('x')/a", "a/namespace::p", "processing-instruction('t')[2]", "/a[.=\"v\"][b='w']", "a[2][@k=\"x&amp;y\"]/namespace::*", "été[1",
	} {
		f.Add(sel)
	}
	f.Fuzz(func(t *testing.T, sel string) {
		for _, compile := range []func(string, Namespaces) (*Selector, error){ParsePatch, ParseXCAP} {
			s, err := compile(sel, prefixes)
			if err != nil {
				if s != nil || err.Error() == "" {
					t.Fatalf("%q: %v with %v", sel, s, err)
				}
				continue
			}
			var steps []string
			for _, step := range s.Steps() {
				steps = append(steps, step.String())
				tail := ""
				for _, p := range step.Predicates {
					tail += p.String()
				}
				if !strings.HasSuffix(step.String(), tail) {
					t.Fatalf("%q: step %s has predicates %s", sel, step, tail)
				}
			}
			if joined := strings.Join(steps, "/"); joined != strings.TrimPrefix(sel, "/") || s.String() != sel {
				t.Fatalf("%q: steps are %q", sel, joined)
			}
			if p := s.Parent(); p != nil {
				if again, err := compile(p.String(), prefixes); err != nil || len(again.Steps()) != len(steps)-1 {
					t.Fatalf("%q: parent %q: %v", sel, p, err)
				}
			}
		}
	})
}

func FuzzSelect(f *testing.F) {
	f.Add("a/b[@k='1'][2]", "<a><b k='1'/><b k='1'/>t</a>")
	f.Add("id('i')/text()[2]", "<a xml:id='i'>x<?p?>y<![CDATA[z]]></a>")
	f.Add("*/p:b[p:c='1'][.='12']/@p:k", "<a xmlns='urn:d'><b xmlns='urn:p' xmlns:q='urn:p' q:k='v'><c>1</c>2</b></a>")
	f.Add("a/namespace::p", "<a xmlns='urn:d' xmlns:p='u'/>")
	f.Add("comment()[1]", "<!--c--><a/><!--d-->")
	var d tree.Tree
	f.Fuzz(func(t *testing.T, sel, doc string) {
		if d.Parse([]byte(doc), tree.Options{}) != nil {
			return
		}
		for _, compile := range []func(string, Namespaces) (*Selector, error){ParsePatch, ParseXCAP} {
			if s, err := compile(sel, prefixes); err == nil {
				if err := agree(s, &d); err != nil {
					t.Fatalf("%q in %q: %v", sel, doc, err)
				}
			}
		}
	})
}
