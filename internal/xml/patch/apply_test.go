package patch

import (
	"errors"
	"testing"

	"imp/internal/xml/canon"
	"imp/internal/xml/tree"
)

func parseTree(t testing.TB, src string) *tree.Tree {
	t.Helper()
	doc, err := tree.Parse([]byte(src), tree.Options{})
	if err != nil {
		t.Fatalf("%q: %v", src, err)
	}
	return doc
}

// in puts operations into a patch; scope is added to its root element.
func in(scope, operations string) string {
	return "<p:patch xmlns:p='urn:ietf:rfc:7351' " + scope + ">" + operations + "</p:patch>"
}

// run applies a patch to a document and returns what comes of it.
func run(t testing.TB, doc, patch string) (string, error) {
	t.Helper()
	d := parseTree(t, doc)
	p, err := Parse([]byte(patch), tree.Options{})
	if err != nil {
		return doc, err
	}
	for i := range p.Changes {
		if err := p.Changes[i].Apply(d, nil); err != nil {
			if got := string(d.Bytes()); got != doc {
				t.Fatalf("%v\nleft %s\nof %s", err, got, doc)
			}
			return doc, err
		}
	}
	out := string(d.Bytes())
	if again := parseTree(t, out); !canon.Equal(d.Document(), again.Document()) {
		t.Fatalf("%s is another document than its tree", out)
	}
	return out, nil
}

func TestApply(t *testing.T) {
	tests := []struct{ name, doc, scope, operations, want string }{
		{"XPATCH-004 nothing to do", "<a/>", "", "", "<a/>"},
		{"XPATCH-006 in order, each on the result of the one before", "<a><b/><c/><d/></a>", "", "<p:remove sel='a/*[1]'/><p:remove sel='a/*[1]'/>", "<a><d/></a>"},
		{"XPATCH-009 content is copied unaltered", "<a/>", "", "<p:add sel='a'>x<![CDATA[<]]>\n <b  c = \"'\" /></p:add>", "<a>x<![CDATA[<]]>\n <b  c = \"'\" /></a>"},
		{"XPATCH-011 comment beside the root element", "<!--c--><a/>", "", "<p:remove sel='comment()[1]'/>", "<a/>"},
		{"XPATCH-011 PI beside the root element", "<?q?><a/>", "", "<p:replace sel='processing-instruction()'><?r?></p:replace>", "<?r?><a/>"},
		{"XPATCH-012 root element replaced", "<a>x</a>", "", "<p:replace sel='a'><b/></p:replace>", "<b/>"},
		{"XPATCH-013 comment beside the root element", "<a/>", "", "<p:add sel='a' pos='before'><!--c--></p:add>", "<!--c--><a/>"},
		{"XPATCH-015 leading slash", "<a><b/></a>", "", "<p:remove sel='/a/b'/>", "<a/>"},
		{"XPATCH-020 id by xml:id", "<a><b xml:id='e1'/></a>", "", "<p:add sel='id(\"e1\")' type='@c'>v</p:add>", "<a><b xml:id='e1' c=\"v\"/></a>"},
		{"XPATCH-023 quotes by reference", "<a><f i='z'/></a>", "", "<p:remove sel='a/f[@i=&quot;z&quot;]'/>", "<a/>"},

		{"XPATCH-024 prefixes of the patch", "<z:a xmlns:z='u:1'><z:b/></z:a>", "xmlns:a='u:1'", "<p:remove sel='a:a/a:b'/>", "<z:a xmlns:z='u:1'/>"},
		{"XPATCH-025 default namespace of the patch", "<z:a xmlns:z='u:1'><z:b/></z:a>", "xmlns='u:1'", "<p:remove sel='a/b'/>", "<z:a xmlns:z='u:1'/>"},

		{"XPATCH-029 prefix of the document", "<b:a xmlns:b='u:1'/>", "xmlns:a='u:1'", "<p:add sel='*'><a:bar k='1' a:k='2'><a:c/>t</a:bar></p:add>", "<b:a xmlns:b='u:1'><b:bar k='1' b:k='2'><b:c/>t</b:bar></b:a>"},
		{"XPATCH-029 default namespace of the document", "<a xmlns='u:1'/>", "xmlns:a='u:1'", "<p:add sel='*'><a:bar></a:bar ></p:add>", "<a xmlns='u:1'><bar></bar ></a>"},
		{"XPATCH-029 default namespace of the patch", "<b:a xmlns:b='u:1'/>", "xmlns='u:1'", "<p:add sel='*'><bar><c></c></bar></p:add>", "<b:a xmlns:b='u:1'><b:bar><b:c></b:c></b:bar></b:a>"},
		{"XPATCH-030 context of before is the parent", "<x:r xmlns:x='u:1' xmlns:y='u:1'><y:e/></x:r>", "xmlns:k='u:1'", "<p:add sel='*/*' pos='before'><k:n/></p:add>", "<x:r xmlns:x='u:1' xmlns:y='u:1'><x:n/><y:e/></x:r>"},
		{"XPATCH-030 context of a child is the element", "<x:r xmlns:x='u:1' xmlns:y='u:1'><y:e></y:e></x:r>", "xmlns:k='u:1'", "<p:add sel='*/*'><k:n/></p:add>", "<x:r xmlns:x='u:1' xmlns:y='u:1'><y:e><y:n/></y:e></x:r>"},
		{"XPATCH-030 context of replace is the parent", "<x:r xmlns:x='u:1' xmlns:y='u:1'><y:e/></x:r>", "xmlns:k='u:1'", "<p:replace sel='*/*'><k:n/></p:replace>", "<x:r xmlns:x='u:1' xmlns:y='u:1'><x:n/></x:r>"},
		{"XPATCH-031 same prefix first", "<x:r xmlns:x='u:1' xmlns:y='u:1'/>", "xmlns:y='u:1'", "<p:add sel='*'><y:n/></p:add>", "<x:r xmlns:x='u:1' xmlns:y='u:1'><y:n/></x:r>"},
		{"XPATCH-031 default namespace is a prefix too", "<x:r xmlns:x='u:1' xmlns='u:1'/>", "xmlns='u:1'", "<p:add sel='*'><n/></p:add>", "<x:r xmlns:x='u:1' xmlns='u:1'><n/></x:r>"},
		{"XPATCH-032 then the prefix of the context", "<z:r xmlns:x='u:1' xmlns:z='u:1'/>", "xmlns:k='u:1'", "<p:add sel='*'><k:n/></p:add>", "<z:r xmlns:x='u:1' xmlns:z='u:1'><z:n/></z:r>"},
		{"XPATCH-033 then the closest before", "<r xmlns:x='u:1' xmlns:y='u:1'/>", "xmlns:xx='u:1'", "<p:add sel='*'><xx:n/></p:add>", "<r xmlns:x='u:1' xmlns:y='u:1'><x:n/></r>"},
		{"XPATCH-033 then the closest before, not the first", "<r xmlns:x='u:1' xmlns:y='u:1' xmlns:z='u:1'/>", "xmlns:yy='u:1'", "<p:add sel='*'><yy:n/></p:add>", "<r xmlns:x='u:1' xmlns:y='u:1' xmlns:z='u:1'><y:n/></r>"},
		{"XPATCH-033 else the first", "<r xmlns:x='u:1' xmlns:y='u:1'/>", "xmlns:a='u:1'", "<p:add sel='*'><a:n/></p:add>", "<r xmlns:x='u:1' xmlns:y='u:1'><x:n/></r>"},
		{"XPATCH-033 default namespace is the first", "<q:r xmlns:q='u:2' xmlns='u:1' xmlns:x='u:1' xmlns:y='u:1'/>", "xmlns:a='u:1'", "<p:add sel='*'><a:n/></p:add>", "<q:r xmlns:q='u:2' xmlns='u:1' xmlns:x='u:1' xmlns:y='u:1'><n/></q:r>"},
		{"XPATCH-034 attributes are of no default namespace", "<r xmlns='u:1'/>", "xmlns:n='u:1'", "<p:add sel='*' type='@n:k'>v</p:add>", "<r xmlns='u:1' xmlns:n=\"u:1\" n:k=\"v\"/>"},
		{"XPATCH-034 nor in content", "<r xmlns='u:1'/>", "xmlns:n='u:1'", "<p:add sel='*'><n:e n:k='v'/></p:add>", "<r xmlns='u:1'><e xmlns:n=\"u:1\" n:k='v'/></r>"},
		{"XPATCH-034 attribute by the closest prefix", "<r xmlns='u:1' xmlns:b='u:1' xmlns:d='u:1'/>", "xmlns:c='u:1'", "<p:add sel='*' type='@c:k'>v</p:add>", "<r xmlns='u:1' xmlns:b='u:1' xmlns:d='u:1' b:k=\"v\"/>"},
		{"XPATCH-035 declarations of content are copied", "<r xmlns:z='u:1'/>", "", "<p:add sel='*'><q:x xmlns:q='u:1'><q:y/></q:x></p:add>", "<r xmlns:z='u:1'><q:x xmlns:q='u:1'><q:y/></q:x></r>"},
		{"XPATCH-036 unknown namespaces are declared", "<r/>", "xmlns:q='u:1' xmlns:s='u:2'", "<p:add sel='r'><q:x s:k='1'><q:y/></q:x></p:add>", "<r><q:x xmlns:q=\"u:1\" xmlns:s=\"u:2\" s:k='1'><q:y/></q:x></r>"},
		{"XPATCH-036 no namespace below a default one", "<r xmlns='u:1'/>", "xmlns:q='u:1'", "<p:add sel='q:r'><x><q:y/><z/></x></p:add>", "<r xmlns='u:1'><x xmlns=\"\"><q:y xmlns:q=\"u:1\"/><z/></x></r>"},
		{"XPATCH-036 prefix means something else", "<q:r xmlns:q='u:2'/>", "xmlns:q='u:1'", "<p:add sel='*'><q:x/></p:add><p:add sel='*' type='@q:k'>v</p:add>", "<q:r xmlns:q='u:2' xmlns:q1=\"u:1\" q1:k=\"v\"><q:x xmlns:q=\"u:1\"/></q:r>"},
		{"XPATCH-036 prefix of the document is taken in content", "<b:r xmlns:b='u:1'/>", "xmlns:a='u:1'", "<p:add sel='*'><c xmlns:b='u:2'><a:x/></c></p:add>", "<b:r xmlns:b='u:1'><c xmlns:b='u:2'><a:x xmlns:a=\"u:1\"/></c></b:r>"},
		{"XPATCH-036 beside the root element", "<b:r xmlns:b='u:1'/>", "xmlns:a='u:1'", "<p:replace sel='*'><a:x/></p:replace>", "<a:x xmlns:a=\"u:1\"/>"},
		{"XPATCH-038 nothing is tidied", "<r xmlns:unused='u:1'><b/></r>", "", "<p:remove sel='r/b'/>", "<r xmlns:unused='u:1'></r>"},

		{"XPATCH-039 last child", "<a>\n <b/></a>", "", "<p:add sel='a'><c/><d/></p:add>", "<a>\n <b/><c/><d/></a>"},
		{"XPATCH-039 first child", "<a>\n <b/></a>", "", "<p:add sel='a' pos='prepend'><c/><d/></p:add>", "<a><c/><d/>\n <b/></a>"},
		{"XPATCH-039 before", "<a>\n <b/></a>", "", "<p:add sel='a/b' pos='before'><c/><d/></p:add>", "<a>\n <c/><d/><b/></a>"},
		{"XPATCH-039 after", "<a>\n <b/></a>", "", "<p:add sel='a/text()' pos='after'><c/><d/></p:add>", "<a>\n <c/><d/><b/></a>"},
		{"XPATCH-040 white space of content", "<a>\n</a>", "", "<p:add sel='a'>  <b/>\n</p:add>", "<a>\n  <b/>\n</a>"},
		{"XPATCH-041 text becomes one", "<a>x<b/>y<c/></a>", "", "<p:add sel='a/text()[2]' pos='after'>new<d/>end</p:add><p:remove sel='a/text()[2]'/><p:replace sel='a/text()[2]'>z</p:replace>", "<a>x<b/><d/>z<c/></a>"},
		{"XPATCH-042 beside a comment", "<a><!--c--></a>", "", "<p:add sel='a/comment()' pos='after'>x</p:add>", "<a><!--c-->x</a>"},
		{"XPATCH-043 attribute", "<a/>", "", "<p:add sel='a' type='@user'>Bob &amp;&#10; \"co\"</p:add>", "<a user=\"Bob &amp;&#10; &quot;co&quot;\"/>"},
		{"XPATCH-043 empty attribute", "<a/>", "", "<p:add sel='a' type='@user'/>", "<a user=\"\"/>"},
		{"XPATCH-043 attribute xml:lang", "<a/>", "", "<p:add sel='a' type='@xml:lang'>en</p:add>", "<a xml:lang=\"en\"/>"},
		{"XPATCH-044 declaration", "<a><b/></a>", "", "<p:add sel='a' type='namespace::pref'>urn:ns:xxx</p:add>", "<a xmlns:pref=\"urn:ns:xxx\"><b/></a>"},

		{"XPATCH-048 element", "<a><b c='1' xmlns:d='u'>x</b></a>", "", "<p:replace sel='a/b'><e f='2'/></p:replace>", "<a><e f='2'/></a>"},
		{"XPATCH-049 attribute", "<a b='1'/>", "", "<p:replace sel='a/@b'>2</p:replace>", "<a b='2'/>"},
		{"XPATCH-049 attribute by nothing", "<a b='1'/>", "", "<p:replace sel='a/@b'/>", "<a b=''/>"},
		{"XPATCH-050 declaration", "<a xmlns:q='u:1'/>", "", "<p:replace sel='a/namespace::q'>u:2</p:replace>", "<a xmlns:q='u:2'/>"},
		{"XPATCH-051 uses follow", "<q:a xmlns:q='u:1'><q:b xmlns:q='u:1'/></q:a>", "xmlns:o='u:1' xmlns:n='u:2'", "<p:replace sel='o:a/namespace::q'>u:2</p:replace><p:remove sel='n:a/o:b'/>", "<q:a xmlns:q='u:2'></q:a>"},
		{"XPATCH-052 text", "<a>x</a>", "", "<p:replace sel='a/text()'>y</p:replace>", "<a>y</a>"},
		{"XPATCH-052 text by nothing", "<a>x</a>", "", "<p:replace sel='a/text()'/>", "<a></a>"},
		{"XPATCH-053 siblings stay", "<a>x<e/>y</a>", "", "<p:replace sel='a/text()[2]'>z</p:replace>", "<a>x<e/>z</a>"},
		{"XPATCH-053 comment", "<a><!--b--></a>", "", "<p:replace sel='a/comment()'><!--c--></p:replace>", "<a><!--c--></a>"},

		{"XPATCH-054 every kind of node", "<a k='1' xmlns:q='u'>t<b><c/></b><!--d--><?e?></a>", "", "<p:remove sel='a/@k'/><p:remove sel='a/namespace::q'/><p:remove sel='a/text()'/><p:remove sel='a/b'/><p:remove sel='a/comment()'/><p:remove sel='a/processing-instruction(\"e\")'/>", "<a></a>"},
		{"XPATCH-055 text becomes one", "<a>a<e/>b</a>", "", "<p:remove sel='a/e'/><p:replace sel='a/text()'>c</p:replace>", "<a>c</a>"},
		{"XPATCH-056 white space before", "<a>\n <e/>x</a>", "", "<p:remove sel='a/e' ws='before'/>", "<a>x</a>"},
		{"XPATCH-056 white space after", "<a>\n <e/>&#32;<f/></a>", "", "<p:remove sel='a/e' ws='after'/>", "<a>\n <f/></a>"},
		{"XPATCH-056 white space on both sides", "<a>\n <e/> </a>", "", "<p:remove sel='a/e' ws='both'/>", "<a></a>"},
		{"XPATCH-058 declaration", "<a xmlns:q='u'><b xmlns:q='u'><q:c/></b></a>", "", "<p:remove sel='a/namespace::q'/>", "<a><b xmlns:q='u'><q:c/></b></a>"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := run(t, test.doc, in(test.scope, test.operations))
			if err != nil || !canon.Equal(parseTree(t, got).Document(), parseTree(t, test.want).Document()) {
				t.Errorf("got %s\n%v\nexpected %s", got, err, test.want)
			}
		})
	}
}

func TestRefused(t *testing.T) {
	tests := []struct {
		name, doc, scope, operations string
		want                         Condition
	}{
		{"XPATCH-001 operation of no namespace", "<a/>", "", "<add sel='a'/>", InvalidDiffFormat},
		{"XPATCH-002 unknown pos", "<a/>", "", "<p:add sel='a' pos='first'/>", InvalidAttributeValue},
		{"XPATCH-002 unknown ws", "<a><b/></a>", "", "<p:remove sel='a/b' ws='none'/>", InvalidAttributeValue},
		{"XPATCH-002 unknown type", "<a/>", "", "<p:add sel='a' type='b'/>", InvalidAttributeValue},
		{"XPATCH-002 type of two steps", "<a/>", "", "<p:add sel='a' type='b/@c'/>", InvalidAttributeValue},
		{"XPATCH-002 no sel", "<a/>", "", "<p:add/>", InvalidAttributeValue},
		{"XPATCH-002 pos of a remove", "<a><b/></a>", "", "<p:remove sel='a/b' pos='before'/>", InvalidDirective},
		{"XPATCH-010 unknown operation", "<a/>", "", "<p:move sel='a'/>", InvalidDiffFormat},
		{"XPATCH-010 text between operations", "<a/>", "", "x", InvalidDiffFormat},
		{"XPATCH-010 unknown attribute", "<a/>", "", "<p:add sel='a' if='b'/>", InvalidDiffFormat},
		{"XPATCH-011 no such comment beside the root element", "<a/>", "", "<p:remove sel='comment()[1]'/>", InvalidProlog},
		{"XPATCH-012 root element removed", "<a/>", "", "<p:remove sel='a'/>", InvalidRootOperation},
		{"XPATCH-012 second root element", "<a/>", "", "<p:add sel='a' pos='after'><x/></p:add>", InvalidRootOperation},
		{"XPATCH-013 text beside the root element", "<a/>", "", "<p:add sel='a' pos='before'>txt</p:add>", InvalidProlog},
		{"XPATCH-014 several nodes", "<a><b/><b/></a>", "", "<p:remove sel='a/b'/>", UnlocatedNode},
		{"XPATCH-014 no node", "<a/>", "", "<p:remove sel='a/b'/>", UnlocatedNode},
		{"XPATCH-017 attribute of an add", "<a b=''/>", "", "<p:add sel='a/@b'>x</p:add>", InvalidAttributeValue},
		{"XPATCH-017 declaration of an add", "<a xmlns:b='u'/>", "", "<p:add sel='a/namespace::b'>x</p:add>", InvalidAttributeValue},
		{"XPATCH-019 the rest of XPath", "<a><b/></a>", "", "<p:remove sel='//b'/>", InvalidAttributeValue},
		{"XPATCH-019 functions", "<a/>", "", "<p:remove sel='*[local-name()=\"a\"]'/>", InvalidAttributeValue},
		{"XPATCH-020 no such id", "<a/>", "", "<p:remove sel='id(\"e1\")'/>", UnlocatedNode},
		{"XPATCH-026 no default namespace in the patch", "<bar xmlns='foo:'/>", "", "<p:add sel='bar' type='@a'>x</p:add>", UnlocatedNode},
		{"XPATCH-028 undeclared prefix", "<a/>", "", "<p:remove sel='q:bar'/>", InvalidPrefix},
		{"XPATCH-028 undeclared prefix in type", "<a/>", "", "<p:add sel='a' type='@q:b'>x</p:add>", InvalidPrefix},
		{"XPATCH-037 default namespace", "<a/>", "", "<p:add sel='a' type='namespace::'>u</p:add>", InvalidAttributeValue},
		{"XPATCH-037 default namespace as attribute", "<a/>", "", "<p:add sel='a' type='@xmlns'>u</p:add>", InvalidAttributeValue},
		{"XPATCH-042 child of a comment", "<a><!--c--></a>", "", "<p:add sel='a/comment()'>x</p:add>", InvalidDirective},
		{"XPATCH-042 first child of text", "<a>t</a>", "", "<p:add sel='a/text()' pos='prepend'>x</p:add>", InvalidDirective},
		{"XPATCH-043 element as value", "<a/>", "", "<p:add sel='a' type='@b'><x/></p:add>", InvalidAttributeValue},
		{"XPATCH-043 comment as value", "<a/>", "", "<p:add sel='a' type='@b'>x<!----></p:add>", InvalidAttributeValue},
		{"XPATCH-043 CDATA as value", "<a/>", "", "<p:add sel='a' type='@b'><![CDATA[x]]></p:add>", InvalidAttributeValue},
		{"XPATCH-043 empty CDATA as value", "<a/>", "", "<p:add sel='a' type='@b'><![CDATA[]]></p:add>", InvalidAttributeValue},
		{"XPATCH-044 no namespace name", "<a/>", "", "<p:add sel='a' type='namespace::b'/>", InvalidURI},
		{"XPATCH-044 white space in a namespace name", "<a/>", "", "<p:add sel='a' type='namespace::b'>u v</p:add>", InvalidURI},
		{"XPATCH-044 prefix xmlns", "<a/>", "", "<p:add sel='a' type='namespace::xmlns'>u</p:add>", InvalidURI},
		{"XPATCH-045 pos with type", "<a/>", "", "<p:add sel='a' type='@b' pos='before'>x</p:add>", InvalidDirective},
		{"XPATCH-046 attribute is there", "<a b='1'/>", "", "<p:add sel='a' type='@b'>x</p:add>", InvalidAttributeValue},
		{"XPATCH-046 prefix is declared", "<a xmlns:b='u:1'/>", "", "<p:add sel='a' type='namespace::b'>u:2</p:add>", InvalidAttributeValue},
		{"XPATCH-047 text for an element", "<a><b/></a>", "", "<p:replace sel='a/b'>x</p:replace>", InvalidNodeTypes},
		{"XPATCH-047 two elements", "<a><b/></a>", "", "<p:replace sel='a/b'><c/><c/></p:replace>", InvalidNodeTypes},
		{"XPATCH-047 element and white space", "<a><b/></a>", "", "<p:replace sel='a/b'> <c/></p:replace>", InvalidNodeTypes},
		{"XPATCH-047 nothing for an element", "<a><b/></a>", "", "<p:replace sel='a/b'/>", InvalidNodeTypes},
		{"XPATCH-047 comment for a PI", "<a><?b?></a>", "", "<p:replace sel='a/processing-instruction()'><!----></p:replace>", InvalidNodeTypes},
		{"XPATCH-049 element for an attribute", "<a b=''/>", "", "<p:replace sel='a/@b'><c/></p:replace>", InvalidNodeTypes},
		{"XPATCH-050 declaration of the parent", "<a xmlns:q='u:1'><b/></a>", "", "<p:replace sel='a/b/namespace::q'>u:2</p:replace>", InvalidURI},
		{"XPATCH-052 comment for text", "<a>x</a>", "", "<p:replace sel='a/text()'><!----></p:replace>", InvalidNodeTypes},
		{"XPATCH-054 content of a remove", "<a><b/></a>", "", "<p:remove sel='a/b'><b/></p:remove>", InvalidDiffFormat},
		{"XPATCH-056 text is not white space", "<a><e/> x</a>", "", "<p:remove sel='a/e' ws='after'/>", InvalidWhitespace},
		{"XPATCH-056 an element is no white space", "<a><f/><e/></a>", "", "<p:remove sel='a/e' ws='before'/>", InvalidWhitespace},
		{"XPATCH-056 one side only", "<a> <e/></a>", "", "<p:remove sel='a/e' ws='both'/>", InvalidWhitespace},
		{"XPATCH-057 ws of an attribute", "<a b=''> </a>", "", "<p:remove sel='a/@b' ws='after'/>", InvalidWhitespace},
		{"XPATCH-057 ws of text", "<a>x</a>", "", "<p:remove sel='a/text()' ws='after'/>", InvalidWhitespace},
		{"XPATCH-058 declaration in use", "<a xmlns:q='u'><b q:c=''/></a>", "", "<p:remove sel='a/namespace::q'/>", InvalidPrefix},
		{"XPATCH-059 invalid-entity-declaration", "<a/>", "", "<p:add sel='a'>&foo;</p:add>", InvalidEntity},
		{"XPATCH-061 invalid-character-set", "<?xml version='1.0' encoding='US-ASCII'?><a/>", "", "<p:add sel='a'>ä</p:add>", InvalidCharacterSet},
		{"XPATCH-062 undefined entity", "<a/>", "", "<p:add sel='a' type='@b'>&foo;</p:add>", InvalidEntity},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := run(t, test.doc, in(test.scope, test.operations))
			var e *Error
			if !errors.As(err, &e) || e.Condition != test.want {
				t.Fatalf("got %s, %v, expected %s", got, err, test.want)
			}
			t.Run("XPATCH-003 error document", func(t *testing.T) {
				doc := parseTree(t, string(e.Append(nil)))
				if !doc.Root().Is(SpaceError, "patch-ops-error") || !doc.Root().Element(SpaceError, string(test.want)).Valid() {
					t.Errorf("got %s", doc.Bytes())
				}
			})
		})
	}
}

func TestRefusedDocuments(t *testing.T) {
	tests := []struct {
		name, src string
		want      Condition
	}{
		{"XPATCH-010 not well-formed", "<p:patch xmlns:p='urn:ietf:rfc:7351'>", InvalidDiffFormat},
		{"XPATCH-010 other root element", "<patch/>", InvalidDiffFormat},
		{"XPATCH-004 root element of no namespace", "<patch><add sel='a'/></patch>", InvalidDiffFormat},
		{"XPATCH-061 UTF-16", "\xff\xfe<\x00a\x00", InvalidCharacterSet},
		{"XPATCH-071 declared encoding", "<?xml version='1.0' encoding='ISO-8859-1'?><a/>", InvalidCharacterSet},
		{"XPATCH-063 document type declaration", "<!DOCTYPE p [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><p>&x;</p>", InvalidDiffFormat},
		{"XPATCH-072 no xcap-root", "<xcap-diff xmlns='urn:ietf:params:xml:ns:xcap-diff'/>", InvalidDiffFormat},
		{"XPATCH-074 document outside of the root", "<xcap-diff xmlns='urn:ietf:params:xml:ns:xcap-diff' xcap-root='x'><document sel='a/%2e./../b' new-etag='z'/></xcap-diff>", InvalidDiffFormat},
		{"XPATCH-074 document by an absolute URI", "<xcap-diff xmlns='urn:ietf:params:xml:ns:xcap-diff' xcap-root='x'><document sel='http://a/b' new-etag='z'/></xcap-diff>", InvalidDiffFormat},
		{"XPATCH-074 document by an absolute path", "<xcap-diff xmlns='urn:ietf:params:xml:ns:xcap-diff' xcap-root='x'><document sel='/b' new-etag='z'/></xcap-diff>", InvalidDiffFormat},
		{"XPATCH-079 operations without entity-tags", "<xcap-diff xmlns='urn:ietf:params:xml:ns:xcap-diff' xcap-root='x'><document sel='y' new-etag='z'><add sel='a'/></document></xcap-diff>", InvalidDiffFormat},
		{"XPATCH-090 both", "<xcap-diff xmlns='urn:ietf:params:xml:ns:xcap-diff' xcap-root='x'><document sel='y' new-etag='z' previous-etag='a'><body-not-changed/><add sel='a'/></document></xcap-diff>", InvalidDiffFormat},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := Parse([]byte(test.src), tree.Options{})
			var e *Error
			if !errors.As(err, &e) || e.Condition != test.want || e.Index != -1 {
				t.Fatalf("got %v, expected %s", err, test.want)
			}
			t.Run("XPATCH-060 holds no operation", func(t *testing.T) {
				doc := parseTree(t, string(e.Append(nil)))
				if c := doc.Root().Element(SpaceError, string(test.want)); !c.Valid() || c.FirstChild().Valid() {
					t.Errorf("got %s", doc.Bytes())
				}
			})
		})
	}
}
