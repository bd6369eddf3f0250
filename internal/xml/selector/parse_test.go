package selector

import (
	"errors"
	"strings"
	"testing"
)

var prefixes = Prefixes{"": "urn:d", "p": "urn:p"}

func TestParsePatch(t *testing.T) {
	accepted := []string{
		"a", "/a", "*", "p:a", "a/b/c", "*/*[3]/*[2]", "a[1]", "a[0]", "a[007]", "a[99999999999999999999]",
		"a[@k='v']", `a[@k="v"]`, "a[@p:k='v']", "a[@k='']", "a[b='v']", "a[p:b='v']", `a[.="v"]`,
		"a[@k='v'][2]", "a[2][@k='v']", "a[.='v'][@k='w'][b='x'][1]", `a[@k='say "so"']`, `a[@k="it's"]`,
		"a[@k='x/y]z']", "a[.='line\nbreak']",
		"a/@k", "@k", "a/@p:k", "a/@xml:lang", "a/namespace::p", "a/namespace::unknown",
		"text()", "a/text()", "a/text()[2]", "comment()[1]", "a/comment()", "processing-instruction()",
		"a/processing-instruction('t')", `a/processing-instruction("t")[2]`, "a/processing-instruction()[1]",
		"id('x')", `id("x")`, "/id('x')", "id('x')/a", "id('x')/a[1]/@k", "id('x')/text()",
		"text", "comment[1]/id/b", "namespace/processing-instruction", "div/mod/and/or", "a-b.c/d_1", "été/名", "p:été[@ñ='v']", "a·b", "\u00c0\u00d6\u00d8\u2c00\U000effff",
	}
	refused := []string{
		"", "/", "//a", "a//b", "a/", "//", "a/..", "..", ".", "./a", "a/.", " a", "a ", "a/ b", "a [1]", "a[ 1 ]",
		"a[last()]", "a[position()=1]", "a[1 or 2]", "a[@k]", "a[b]", "a[@k='v' and @l='w']", "a[not(@k)]", "a[@k!='v']",
		"a[@k=v]", "a[@k='v\"]", "a[@k='it's']", "a[1", "a[]", "a]", "a[1]]", "a[-1]", "a[+1]", "a[1.0]", "a[text()='v']",
		"a|b", "a or b", "count(a)", "namespace-uri()", "a[local-name()='b']", "a[namespace-uri()='urn:d']",
		"child::a", "descendant::a", "self::node()", "attribute::k", "ancestor-or-self::*", "a/node()", "node()", "following-sibling::a",
		"@*", "a/@p:*", "p:*", "*:a", "a:b:c", ":a", "p:", "1a", "-a", "$v", "a/@k/b", "a/@k[1]", "a/text()/b", "comment()/a",
		"a/namespace::*", "namespace::", "namespace::p:q", "namespace::p[1]", "namespace::p/a",
		"text()[@k='v']", "text()[.='v']", "text()[1][1]", "text( )", "text('x')", "comment('x')",
		"processing-instruction(t)", "processing-instruction('t\")", "processing-instruction('')", "processing-instruction('a b')",
		"id()", "id(x)", "id('')", "id('a b')", "a/id('x')", "id('x')[1]", "id('x')a", "id('x')id('y')",
		"a\u00d7", "\u00b7a", "a\u037e", "\U000f0000", "\u0300a",
		"a)", "a b", "a\x00", "a\xff", "a='v'", "'a'", "a[@k=\"v\"", "a[.='v'",
	}
	t.Run("XPATCH-016 the grammar is that of the schema", func(t *testing.T) {
		for _, sel := range accepted {
			s, err := ParsePatch(sel, prefixes)
			if err != nil {
				t.Errorf("%s: %v", sel, err)
			} else if s.String() != sel {
				t.Errorf("%s: became %s", sel, s)
			}
		}
	})
	t.Run("XPATCH-019 anything else of XPath is refused", func(t *testing.T) {
		for _, sel := range refused {
			s, err := ParsePatch(sel, prefixes)
			var syntax *SyntaxError
			if err == nil {
				t.Errorf("%s: accepted as %v", sel, s.Steps())
			} else if !errors.As(err, &syntax) || syntax.Offset > len(sel) || errors.Is(err, ErrPrefix) && sel != "a:b:c" {
				t.Errorf("%s: %v", sel, err)
			}
		}
	})
	t.Run("XPATCH-017 an add sees that the selector is an attribute or a declaration", func(t *testing.T) {
		for sel, want := range map[string]Kind{
			"a": Element, "id('x')": Element, "a/text()": Text, "comment()": Comment, "a/processing-instruction()": PI,
			"a/@k": Attribute, "a/namespace::p": Namespace,
		} {
			s, err := ParsePatch(sel, prefixes)
			if err != nil || s.Kind() != want {
				t.Errorf("%s: %v, want %v (%v)", sel, s.Kind(), want, err)
			}
		}
	})
	t.Run("XPATCH-028 a prefix has to be declared", func(t *testing.T) {
		for _, sel := range []string{"q:a", "a/q:b", "a/@q:k", "a[@q:k='v']", "a[q:b='v']", "xmlns:a", "a/@xmlns:p"} {
			if _, err := ParsePatch(sel, prefixes); !errors.Is(err, ErrPrefix) {
				t.Errorf("%s: %v, want ErrPrefix", sel, err)
			}
		}
		if _, err := ParsePatch("a/namespace::q", prefixes); err != nil {
			t.Errorf("the prefix behind namespace:: is one of the target: %v", err)
		}
	})
}

func TestParseXCAP(t *testing.T) {
	t.Run("XCAP-014 steps are names, positions and attribute tests", func(t *testing.T) {
		for _, sel := range []string{
			"a", "p:a", "*", "a/b", "a[2]", "*[2]", `a[@k="v"]`, `a[@k='v']`, `*[3][@k="v"]`, `a[@p:k="v/w"]/b`, "a/@k", "a/@p:k",
			"a/namespace::*", "text/@id", "été/名", `a[@k="x&amp;y"]`, `a[@k="[1]"]`,
		} {
			if s, err := ParseXCAP(sel, prefixes); err != nil {
				t.Errorf("%s: %v", sel, err)
			} else if s.String() != sel {
				t.Errorf("%s: became %s", sel, s)
			}
		}
	})
	t.Run("XCAP-015 one position and then one attribute test", func(t *testing.T) {
		for _, sel := range []string{
			`a[@x="1"][2]`, `a[@x="1"][@y="2"]`, "a[1][2]", `a[1][@x="1"][2]`, `a[b="v"]`, `a[.="v"]`, `a[1][b="v"]`, `a[1][.="v"]`, "a[@x]", "a[@x=1]", "a[last()]",
		} {
			if _, err := ParseXCAP(sel, prefixes); !errors.Is(err, ErrExtension) {
				t.Errorf("%s: %v, want ErrExtension", sel, err)
			}
		}
	})
	t.Run("XCAP-016 other text is an unknown extension", func(t *testing.T) {
		for _, sel := range []string{
			"foo/bar()", "text()", "a/text()", "comment()", "id('x')", "id(x)", "namespace::p", "a/namespace::p", "..", ".", "a/ b", "a b", "@k/a", "namespace::*/a",
			"@*", "p:*", "child::a", "*[1", "a]", "-a", "a[@k='v", "a/@k[1]", "namespace::*[1]",
		} {
			if _, err := ParseXCAP(sel, prefixes); !errors.Is(err, ErrExtension) {
				t.Errorf("%s: %v, want ErrExtension", sel, err)
			}
		}
		for _, sel := range []string{"", "/a", "a/", "a//b"} {
			if _, err := ParseXCAP(sel, prefixes); err == nil || errors.Is(err, ErrExtension) {
				t.Errorf("%s: %v, want an error for the empty step", sel, err)
			}
		}
	})
	t.Run("XCAP-026 a prefix without binding is told apart", func(t *testing.T) {
		for _, sel := range []string{"q:foo", "a/@q:k", `a[@q:k="v"]`} {
			if _, err := ParseXCAP(sel, prefixes); !errors.Is(err, ErrPrefix) || errors.Is(err, ErrExtension) {
				t.Errorf("%s: %v, want ErrPrefix", sel, err)
			}
		}
	})
	t.Run("values are AttValues, in which a lone & stands for itself", func(t *testing.T) {
		for written, want := range map[string]string{
			"x&amp;y": "x&y", "&lt;&gt;&quot;&apos;": `<>"'`, "&#65;&#x42;": "AB", "x&y": "x&y", "x&y=1;z": "x&y=1;z", "&": "&",
			"&#0;": "&#0;", "&#xD800;": "&#xD800;", "&amp;amp;": "&amp;", "&#x110000;": "&#x110000;", "&#-1;": "&#-1;", "&#;": "&#;", "&amp": "&amp",
		} {
			s, err := ParseXCAP("a[@k='"+written+"']", prefixes)
			if err != nil {
				t.Fatal(err)
			}
			if got := s.Steps()[0].Predicates[0].Value; got != want {
				t.Errorf("%s: value %s, want %s", written, got, want)
			}
		}
	})
}

func TestStepsAreReadable(t *testing.T) {
	s, err := ParseXCAP(`a/p:b[2][@k="v/w"]/@p:l`, prefixes)
	if err != nil {
		t.Fatal(err)
	}
	steps := s.Steps()
	if len(steps) != 3 || steps[0].Space != "urn:d" || steps[0].Prefix != "" || steps[2].Kind != Attribute || steps[2].Space != "urn:p" {
		t.Errorf("steps %+v", steps)
	}
	b := steps[1]
	if b.String() != `p:b[2][@k="v/w"]` || b.Prefix != "p" || b.Space != "urn:p" || b.Local != "b" || len(b.Predicates) != 2 {
		t.Errorf("second step %+v", b)
	}
	if q := b.Predicates; q[0].Test != Position || q[0].Position != 2 || q[1].Test != AttributeValue || q[1].Space != "" || q[1].Value != "v/w" || q[1].String() != `[@k="v/w"]` {
		t.Errorf("predicates %+v", q)
	}
	var parents []string
	for p := s.Parent(); p != nil; p = p.Parent() {
		parents = append(parents, p.String())
	}
	if got := strings.Join(parents, " "); got != `a/p:b[2][@k="v/w"] a` {
		t.Errorf("parents %s", got)
	}
}

func TestLimits(t *testing.T) {
	for name, sel := range map[string]string{
		"length":     "a[.='" + strings.Repeat("x", MaxLength) + "']",
		"steps":      strings.Repeat("*/", MaxSteps) + "*",
		"predicates": "a" + strings.Repeat("[1]", MaxPredicates+1),
	} {
		if _, err := ParsePatch(sel, nil); !errors.Is(err, ErrLimit) {
			t.Errorf("%s: %v, want ErrLimit", name, err)
		}
	}
	for name, sel := range map[string]string{
		"steps":      strings.Repeat("*/", MaxSteps-1) + "*",
		"predicates": "a" + strings.Repeat("[1]", MaxPredicates),
	} {
		if _, err := ParsePatch(sel, nil); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSyntaxErrors(t *testing.T) {
	for sel, want := range map[string]string{
		"été/q:b":       `selector "été/q:b": character 5: prefix q is not bound to a namespace`,
		"a//b":          `selector "a//b": character 3: found an empty step, only child elements can be selected, one step each`,
		"a/parent::b":   `selector "a/parent::b": character 3: axis parent cannot be used, only children, attributes and declarations can be selected`,
		"a[last()]":     `selector "a[last()]": character 7: found '(', want =`,
		"a/@k/b":        `selector "a/@k/b": character 3: @k selects no elements, it can only be the last step`,
		"a[@k='v":       `selector "a[@k='v": character 6: the quote is not closed`,
		"a/text()[1]x":  `selector "a/text()[1]x": character 12: found 'x' behind the step text()[1], want / or the end`,
		"a/text()[b=1]": `selector "a/text()[b=1]": character 10: found 'b', want a position: a step that selects text nodes takes no other predicate`,
		"a/@k[1]":       `selector "a/@k[1]": character 5: found a predicate too many, this step takes none`,
	} {
		if _, err := ParsePatch(sel, nil); err == nil || err.Error() != want {
			t.Errorf("%s:\n got %v\nwant %s", sel, err, want)
		}
	}
}
