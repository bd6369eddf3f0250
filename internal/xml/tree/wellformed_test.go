package tree

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// dump writes what a tree says about its document, one line a node: kind, expanded names, values, declarations.
func dump(t *Tree) string {
	var b strings.Builder
	for n := t.Document(); n.Valid(); n = n.following(t.Document()) {
		switch n.Kind() {
		case Element:
			fmt.Fprintf(&b, "<{%s}%s", n.Space(), n.Local())
			for d := range n.Decls() {
				fmt.Fprintf(&b, " %s=%q", d.Prefix(), d.URI())
			}
			for a := range n.Attrs() {
				fmt.Fprintf(&b, " {%s}%s=%q", a.Space(), a.Local(), a.Value())
			}
			fmt.Fprintf(&b, "> in <%s>\n", n.Parent().Name())
		case Text:
			fmt.Fprintf(&b, "%q blank:%v in <%s>\n", n.Text(), n.Blank(), n.Parent().Name())
		case Comment:
			fmt.Fprintf(&b, "!%q\n", n.Text())
		case PI:
			fmt.Fprintf(&b, "?%s %q\n", n.Target(), n.Text())
		}
	}
	return b.String()
}

var wellFormed = []struct{ name, src, want string }{
	{"smallest", "<a/>", "<{}a> in <>\n"},
	{"around the root", "\uFEFF<?xml version=\"1.0\"?>\r\n<!--c-->\n<?p d?><a></a> \n<!--e--><?q?>\n", "!\"c\"\n?p \"d\"\n<{}a> in <>\n!\"e\"\n?q \"\"\n"},
	{"XML declaration", "<?xml\tversion = '1.0'\nencoding\n=\n\"utf-8\" standalone='no' ?><a/>", "<{}a> in <>\n"},
	{"later version", "<?xml version='1.1'?><a/>", "<{}a> in <>\n"},
	{"US-ASCII", "<?xml version='1.0' encoding='us-ascii'?><a>&#228;</a>", "<{}a> in <>\n\"ä\" blank:false in <a>\n"},
	{"PI that looks like an XML declaration", "<?xml-p version?><a><?xmlp?></a>", "?xml-p \"version\"\n<{}a> in <>\n?xmlp \"\"\n"},
	{"PI content", "<?p \t a?b? > ?>\n<a><?p ??></a>", "?p \"a?b? > \"\n<{}a> in <>\n?p \"?\"\n"},
	{"comment content", "<!----><!---a - b--><a><!-- <b>&c;]]> --></a>", "!\"\"\n!\"-a - b\"\n<{}a> in <>\n!\" <b>&c;]]> \"\n"},
	{"line ends", "<a b='1\r\n2\r3\n4'>\r\nx\r\ry\n<!--\r\n-\r--><?p \r?></a>", "<{}a {}b=\"1 2 3 4\"> in <>\n\"\\nx\\n\\ny\\n\" blank:false in <a>\n!\"\\n-\\n\"\n?p \"\"\n"},
	{"line ends beside what is no reference", "<!--\r&amp;<--><?p &amp;\r<?><a/>", "!\"\\n&amp;<\"\n?p \"&amp;\\n<\"\n<{}a> in <>\n"},
	{"lone CR in a value", "<a b='1\r2'/>", "<{}a {}b=\"1 2\"> in <>\n"},
	{"CR by reference", "<a b='1&#13;&#xA;2'>&#xD;\n</a>", "<{}a {}b=\"1\\r\\n2\"> in <>\n\"\\r\\n\" blank:true in <a>\n"},
	{"CDATA", "<a>x<![CDATA[<&\r\n]]]]><![CDATA[>]]>y</a>", "<{}a> in <>\n\"x<&\\n]]>y\" blank:false in <a>\n"},
	{"CDATA of white space", "<a><![CDATA[\n]]> </a>", "<{}a> in <>\n\"\\n \" blank:true in <a>\n"},
	{"CDATA first", "<a><![CDATA[x]]> </a>", "<{}a> in <>\n\"x \" blank:false in <a>\n"},
	{"empty CDATA is no text", "<a><![CDATA[]]><b/><![CDATA[]]><![CDATA[]]></a>", "<{}a> in <>\n<{}b> in <a>\n"},
	{"empty CDATA in text", "<a> <![CDATA[]]></a>", "<{}a> in <>\n\" \" blank:true in <a>\n"},
	{"references", "<a b='&lt;&gt;&amp;&quot;&apos;&#x20AC;\"'>&#32;&#x9;</a>", "<{}a {}b=\"<>&\\\"'€\\\"\"> in <>\n\" \\t\" blank:true in <a>\n"},
	{"reference to a no-break space is not blank", "<a>&#160;</a>", "<{}a> in <>\n\"\\u00a0\" blank:false in <a>\n"},
	{"leading zeros", "<a>&#000000000000000000000065;&#x0000000000000042;</a>", "<{}a> in <>\n\"AB\" blank:false in <a>\n"},
	{"references are not read twice", "<a>&amp;lt;&#38;amp;</a>", "<{}a> in <>\n\"&lt;&amp;\" blank:false in <a>\n"},
	{"text is not markup", "<a b=\"'>'\" c='\"'>\"'>]]=]>/</a>", "<{}a {}b=\"'>'\" {}c=\"\\\"\"> in <>\n\"\\\"'>]]=]>/\" blank:false in <a>\n"},
	{"white space in tags", "<a\n\tb\r=\n'1'\t><c /></a\n>", "<{}a {}b=\"1\"> in <>\n<{}c> in <a>\n"},
	{"white space in values", "<a b='\t1\n \r\n2 '/>", "<{}a {}b=\" 1   2 \"> in <>\n"},
	{"names", "<_a.-1:é·̀‿x xmlns:_a.-1='u'><\U00010000\uFFFD/></_a.-1:é·̀‿x>", "<{u}é·̀‿x _a.-1=\"u\"> in <>\n<{}\U00010000\uFFFD> in <_a.-1:é·̀‿x>\n"},
	{"fifth edition name", "<\u0132\u0bd0/>", "<{}\u0132\u0bd0> in <>\n"},
	{"characters", "<a>\u0085\u2028\uD7FF\uE000\uFDD0\uFFFD\U0001FFFE\x7f</a>", "<{}a> in <>\n\"\\u0085\\u2028\\ud7ff\\ue000\\ufdd0\uFFFD\\U0001fffe\\x7f\" blank:false in <a>\n"},

	{"default namespace", "<a xmlns='u' b=''><c xmlns=''><d xmlns='v'/><e/></c><f/></a>",
		"<{u}a =\"u\" {}b=\"\"> in <>\n<{}c =\"\"> in <a>\n<{v}d =\"v\"> in <c>\n<{}e> in <c>\n<{u}f> in <a>\n"},
	{"prefix bound anew", "<p:a xmlns:p='u'><p:b xmlns:p='v'><p:c p:d=''/></p:b><p:e/></p:a>",
		"<{u}a p=\"u\"> in <>\n<{v}b p=\"v\"> in <p:a>\n<{v}c {v}d=\"\"> in <p:b>\n<{u}e> in <p:a>\n"},
	{"declared behind its use", "<p:a p:b='' xmlns:p='u'/>", "<{u}a p=\"u\" {u}b=\"\"> in <>\n"},
	{"same local name", "<a xmlns='u' xmlns:p='u' b='1' p:b='2'/>", "<{u}a =\"u\" p=\"u\" {}b=\"1\" {u}b=\"2\"> in <>\n"},
	{"prefix xml", "<xml:a xml:lang='en'><b xmlns:xml='http://www.w3.org/XML/1998/namespace'/></xml:a>",
		"<{" + XMLSpace + "}a {" + XMLSpace + "}lang=\"en\"> in <>\n<{}b xml=\"" + XMLSpace + "\"> in <xml:a>\n"},
	{"namespace name is normalised", "<a xmlns='u&amp;&#118;\n'/>", "<{u&v }a =\"u&v \"> in <>\n"},
	{"attributes that are no declarations", "<a xmlnsp='1' xml='2'/>", "<{}a {}xmlnsp=\"1\" {}xml=\"2\"> in <>\n"},
}

func TestWellFormed(t *testing.T) {
	var reused Tree
	for _, test := range wellFormed {
		t.Run(test.name, func(t *testing.T) {
			tree := mustParse(t, []byte(test.src), Options{})
			if got := dump(tree); got != test.want {
				t.Errorf("%q is\n%sexpected\n%s", test.src, got, test.want)
			}
			checkRanges(t, tree)
			if err := reused.Parse([]byte(test.src), Options{}); err != nil || dump(&reused) != test.want {
				t.Errorf("reused: %v\n%s", err, dump(&reused))
			}
		})
	}
}

func TestDoctype(t *testing.T) {
	for _, dtd := range []string{
		"<!DOCTYPE a>", "<!DOCTYPE\n p:a\t>", "<!DOCTYPE a SYSTEM 'x>[]'>", "<!DOCTYPE a PUBLIC \"-//x'y//\" '<\"'[]>",
		"<!DOCTYPE a [ ] >",
		"<!DOCTYPE a [<!ENTITY e ']>\"'><!-- ]> ' --><?p ]>\" ?>%pe; <!ATTLIST a b CDATA \">]>'\"> ]>",
	} {
		tree := mustParse(t, []byte("<?xml version='1.0'?><!-- --> "+dtd+" <a>&e;</a>"), Options{AllowDTD: true})
		if string(tree.Doctype()) != dtd {
			t.Errorf("document type declaration is %q, expected %q", tree.Doctype(), dtd)
		}
		checkRanges(t, tree)
	}
	if dtd := mustParse(t, []byte("<a/>"), Options{AllowDTD: true}).Doctype(); dtd != nil {
		t.Errorf("document type declaration %q from nowhere", dtd)
	}
}

func TestExternalEntity(t *testing.T) {
	const src = "<!DOCTYPE a [<!ENTITY e SYSTEM 'file:///etc/hostname'>]><a b='&e;'>&e;</a>"
	t.Run("PDF-020 external entities are refused", func(t *testing.T) {
		refused(t, src, Options{}, "1:1: found a document type declaration", ErrDTD)
	})
	t.Run("kept as written where a DTD is allowed", func(t *testing.T) {
		root := mustParse(t, []byte(src), Options{AllowDTD: true}).Root()
		if b, _ := root.Attr("", "b"); b != "&e;" || root.Text() != "&e;" {
			t.Errorf("%q %q", b, root.Text())
		}
	})
}

func TestUnresolved(t *testing.T) {
	const src = "<!DOCTYPE a><a><b c='&lt;&#60;' d='&amp;&e;'/>&amp;<![CDATA[&f;]]>&g;&h; <i/></a>"
	root := mustParse(t, []byte(src), Options{AllowDTD: true}).Root()
	check := func(name string, offset int, ok bool, want string) {
		t.Helper()
		if ok != (want != "") || !strings.HasPrefix(src[offset:], want) {
			t.Errorf("%s: %d %v", name, offset, ok)
		}
	}
	b, text, i := root.FirstChild(), root.FirstChild().NextSibling(), root.LastChild()
	offset, ok := root.Unresolved()
	check("root", offset, ok, "&e;")
	offset, ok = text.Unresolved()
	check("text", offset, ok, "&g;")
	offset, ok = b.Attribute("", "c").Unresolved()
	check("c", offset, ok, "")
	offset, ok = b.Attribute("", "d").Unresolved()
	check("d", offset, ok, "&e;")
	offset, ok = i.Unresolved()
	check("i", offset, ok, "")
	if d, _ := b.Attr("", "d"); d != "&&e;" || text.Text() != "&&f;&g;&h; " || text.Blank() {
		t.Errorf("values %q %q", d, text.Text())
	}
	only := mustParse(t, []byte("<!DOCTYPE a><a>&e;</a>"), Options{AllowDTD: true}).Root()
	if only.FirstChild().Blank() {
		t.Error("a reference to an unknown entity counts as white space")
	}
}

// checkRanges makes sure that what a tree says about the source covers it: children lie in their parents one behind the
// other, links agree, and between siblings there is nothing but what the data model has no nodes for.
func checkRanges(t testing.TB, tree *Tree) {
	t.Helper()
	src := string(tree.Source())
	for n := tree.Document(); n.Valid(); n = n.following(tree.Document()) {
		start, end := n.Range()
		if string(n.Bytes()) != src[start:end] || start >= end {
			t.Fatalf("range %d to %d of a %v", start, end, n.Kind())
		}
		at, inner := n.Inner()
		if at < start || inner > end || at > inner {
			t.Fatalf("content %d to %d of %q", at, inner, n.Bytes())
		}
		var previous Node
		for c := range n.Children() {
			from, to := c.Range()
			if from < at || to > inner || c.Parent() != n || c.PrevSibling() != previous || !isGap(n, src[at:from]) {
				t.Fatalf("child %q at %d of %q", c.Bytes(), from, n.Bytes())
			}
			at, previous = to, c
		}
		if n.LastChild() != previous || n.FirstChild().Valid() && !isGap(n, src[at:inner]) {
			t.Fatalf("last child of %q", n.Bytes())
		}
		if n.Kind() == Element {
			checkTag(t, n, src)
		}
	}
}

// isGap reports whether a piece of source between children makes no node.
func isGap(parent Node, s string) bool {
	if parent.Kind() == Element {
		return strings.ReplaceAll(s, "<![CDATA[]]>", "") == ""
	}
	dtd := string(parent.Tree().Doctype())
	s = strings.TrimPrefix(s, "\uFEFF")
	if strings.HasPrefix(s, "<?xml") {
		s = s[strings.Index(s, "?>")+2:]
	}
	return isBlank(strings.Replace(s, dtd, "", 1))
}

// checkTag puts the start tag of an element together from its parts.
func checkTag(t testing.TB, n Node, src string) {
	t.Helper()
	start, end := n.Range()
	parts := map[int]string{start: "<" + n.Name()}
	for a := range n.Attrs() {
		at, to := a.Range()
		from, until := a.ValueRange()
		parts[at] = src[at:to]
		if !strings.HasPrefix(src[at:to], a.Name()) || src[until] != src[from-1] || until+1 != to || a.Owner() != n {
			t.Fatalf("attribute %q", src[at:to])
		}
	}
	for d := range n.Decls() {
		at, to := d.Range()
		from, until := d.ValueRange()
		parts[at] = src[at:to]
		if !strings.HasPrefix(src[at:to], "xmlns") || src[until] != src[from-1] || until+1 != to || d.Owner() != n {
			t.Fatalf("declaration %q", src[at:to])
		}
	}
	close := ">"
	inner, innerEnd := n.Inner()
	if !strings.HasSuffix(src[:inner], ">") {
		close = "/>"
	}
	for at := start; ; {
		part, ok := parts[at]
		delete(parts, at)
		switch {
		case ok:
			at += len(part)
		case isBlank(src[at : at+1]):
			at++
		case strings.HasPrefix(src[at:], close) && len(parts) == 0:
			tail := src[innerEnd:end]
			if close == "/>" && tail != close || close == ">" && !strings.HasPrefix(tail, "</"+n.Name()) {
				t.Fatalf("end of %q is %q", n.Bytes(), tail)
			}
			return
		default:
			t.Fatalf("start tag of %q at %d, left %v", n.Bytes(), at, parts)
		}
	}
}

// TestSharedExamples parses what the specifications print, three documents of which are malformed.
func TestSharedExamples(t *testing.T) {
	dir := filepath.Join("..", "..", "..", "..", "shared", "vectors", "examples")
	names, _ := filepath.Glob(filepath.Join(dir, "*.xml"))
	if len(names) == 0 {
		t.Skip("no shared vectors at ../shared/vectors")
	}
	wrong := map[string]string{
		"rfc4482-4-1.xml":       "16:32: found end tag </c:card>, expected </c:display-name>",
		"rfc4662-6-3.part1.xml": "7:48: found '\"' in tag <resource>",
		"rfc4826-4.4.8-2.xml":   "5:7: prefix of rl:entry is not declared",
	}
	for _, name := range names {
		src := readFile(t, name)
		tree, err := Parse(src, Options{})
		if want := wrong[filepath.Base(name)]; want != "" {
			if err == nil || !strings.HasPrefix(err.Error(), want) {
				t.Errorf("%s: %v, expected %s", name, err, want)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s:%v", name, err)
			continue
		}
		checkRanges(t, tree)
	}
}
