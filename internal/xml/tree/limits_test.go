package tree

import (
	"fmt"
	"strings"
	"testing"
)

func TestLimits(t *testing.T) {
	nested := func(n int) string { return strings.Repeat("<a>", n) + strings.Repeat("</a>", n) }
	numbered := func(n int, format string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, format, i)
		}
		return b.String()
	}
	for _, test := range []struct {
		name, good, bad, want string
		limits                Limits
	}{
		{"default depth", nested(4096), nested(4097), "1:12289: element <a> is nested deeper than the limit of 4096", Limits{}},
		{"depth", "<a><b/><b></b></a>", "<a><b><c/></b></a>", "1:7: element <c> is nested deeper than the limit of 2", Limits{Depth: 2}},
		{"size", "<a></a>", "<a> </a>", "1:1: document of 8 bytes, the limit is 7", Limits{Size: 7}},
		{"default attributes", "<a" + numbered(4096, " b%d=''") + "/>", "<a" + numbered(4097, " b%d=''") + "/>", "1:35758: more than 4096 attributes", Limits{}},
		{"attributes", "<a b='' c='' xmlns='' xmlns:d='e'/>", "<a>\n<a b='' c='' d=''/></a>", "2:14: more than 2 attributes", Limits{Attributes: 2}},
		{"declarations on one element", "<a xmlns:b='u' xmlns:c='u'/>", "<a xmlns:b='u' xmlns:c='u' xmlns='u'/>", "1:28: more than 2 namespace", Limits{Declarations: 2}},
		{"declarations in scope", "<a xmlns='u'><b xmlns='v'/><b xmlns='v'></b><b xmlns='w'/></a>", "<a xmlns='u'><a xmlns='u'><a xmlns='u'/></a></a>", "1:30: more than 2", Limits{Declarations: 2}},
	} {
		t.Run(test.name, func(t *testing.T) {
			mustParse(t, []byte(test.good), Options{Limits: test.limits})
			refused(t, test.bad, Options{Limits: test.limits}, test.want, ErrLimit)
		})
	}
}

// TestHostile parses documents that are large in one way each, with limits that let them pass. Anything quadratic in them
// would run into the time limit of the test run.
func TestHostile(t *testing.T) {
	const n = 300_000
	var attributes, prefixes, spaces, redeclared strings.Builder
	for i := range n {
		fmt.Fprintf(&attributes, " a%d=''", i)
		fmt.Fprintf(&prefixes, " xmlns:p%d='u'", i)
		fmt.Fprintf(&spaces, "<a xmlns='u%d'/>", i)
		fmt.Fprintf(&redeclared, "<p%d:a xmlns:p%d='u'/>", i, i)
	}
	in := func(s string) string { return "<r>" + s + "</r>" }
	wide := strings.Repeat("<a b='' c='' d='' e='' f='' g='' h='' i='' j='' k='' l='' m='' n='' o='' p='' q='' r=''/>", n/100)
	for name, src := range map[string]string{
		"nesting":            strings.Repeat("<a>", n) + strings.Repeat("</a>", n),
		"attributes":         "<a" + attributes.String() + "/>",
		"attributes, often":  "<a" + attributes.String() + ">" + wide + "</a>",
		"prefixes":           "<a" + prefixes.String() + ">" + strings.Repeat("<p0:b p7:c=''/>", n/10) + "</a>",
		"namespace names":    in(spaces.String()),
		"redeclared":         in(redeclared.String()),
		"long name":          in("<" + strings.Repeat("ä", n) + "/><" + strings.Repeat("b", n) + "/>"),
		"long names":         strings.Repeat("<"+strings.Repeat("b", 1000)+">", n/100) + strings.Repeat("</"+strings.Repeat("b", 1000)+">", n/100),
		"empty sections":     in(strings.Repeat("<![CDATA[]]>", n)),
		"sections":           in(strings.Repeat("<![CDATA[ ]]> ", n)),
		"references":         in(strings.Repeat("&amp;&#x20;", n)),
		"long reference":     in("&#" + strings.Repeat("0", n) + "65;"),
		"brackets":           in(strings.Repeat("]", n)),
		"hyphens":            in("<!--" + strings.Repeat(" -", n) + " -->"),
		"question marks":     in("<?p " + strings.Repeat("?", n) + "?>"),
		"comments and texts": in(strings.Repeat("<!-- -->x", n)),
		"parameter entities": "<!DOCTYPE r [" + strings.Repeat("%p; <!E '>'>", n) + "]><r/>",
		"unknown entities":   "<!DOCTYPE r><r b='" + strings.Repeat("&e;", n) + "'>" + strings.Repeat("&e;", n) + "</r>",
	} {
		t.Run(name, func(t *testing.T) {
			all := Limits{Depth: n, Attributes: n, Declarations: n}
			root := mustParse(t, []byte(src), Options{Limits: all, AllowDTD: true}).Root()
			_ = root.Text()
			_, _ = root.Unresolved()
			for range root.FirstChild().InScope() {
			}
		})
	}
}

func TestManyAttributesMustDiffer(t *testing.T) {
	var b strings.Builder
	b.WriteString("<a xmlns:p='u' xmlns:q='u'")
	for i := range 2 * few {
		fmt.Fprintf(&b, " p:b%d='' b%d=''", i, i)
	}
	mustParse(t, []byte(b.String()+"/>"), Options{})
	refused(t, b.String()+" b3=''/>", Options{}, "1:", nil)
	refused(t, b.String()+" q:b3=''/>", Options{}, "1:", nil)
}
