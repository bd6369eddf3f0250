package grammar

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"imp/internal/xml/tree"
)

// vectors is the folder of examples and schemas of the RFCs.
const vectors = "../../../../shared/vectors"

func needVectors(t testing.TB) {
	if _, err := os.Stat(vectors); err != nil {
		t.Skip("no shared vectors at ../shared/vectors")
	}
}

// oracle judges documents with the schemas of the RFCs.
type oracle struct {
	dir, all, imdn string
}

// schemas are the schema files that are loaded together, by namespace.
var schemas = map[string]string{
	spacePIDF: "pidf", spacePIDFDiff: "pidf-diff", spaceDataModel: "data-model", spaceRPID: "rpid", spaceTimed: "timed-status",
	spaceCIPID: "cipid", spaceCaps: "prescaps", spaceLists: "resource-lists", spaceCommonPolicy: "common-policy",
	"urn:ietf:params:xml:ns:copycontrol": "copycontrol", "urn:ietf:params:xml:ns:rls-services": "rls-services",
	"urn:ietf:params:xml:ns:pres-rules": "pres-rules", "urn:ietf:params:xml:ns:watcherinfo": "watcherinfo",
	"urn:ietf:params:xml:ns:rlmi": "rlmi", "urn:ietf:params:xml:ns:xcap-diff": "xcap-diff",
	"urn:ietf:params:xml:ns:xcap-error": "xcap-error", "urn:ietf:params:xml:ns:xcap-caps": "xcap-caps",
	"urn:ietf:params:xml:ns:simple-filter": "simple-filter", "urn:ietf:params:xml:ns:conference-info": "conference-info",
	"urn:ietf:params:xml:ns:im-iscomposing": "im-iscomposing", "urn:ietf:params:xml:ns:patch-ops-error": "patch-ops-error",
	"urn:ietf:rfc:7351": "xml-patch", xmlSpace: "xml",
}

// repair is a change of a schema where it is meant to differ from ours.
type repair struct{ file, old, new, reason string }

var repairs = []repair{
	{"pidf.xsd", `value="0(.[0-9]{0,3})?"`, `value="0(\.[0-9]{0,3})?"`, "the dot of a priority is a dot, not any character (RFC 3863, section 4.1.5)"},
	{"pidf.xsd", `value="1(.0{0,3})?"`, `value="1(\.0{0,3})?"`, "the same"},
	{"prescaps.xsd", `<xs:element name="higherhan" type="tns:higherthantype"
    minOccurs="0" maxOccurs="unbounded"/>`, `<xs:choice minOccurs="0" maxOccurs="unbounded"><xs:element name="higherhan" type="tns:higherthantype"/>
    <xs:element name="higherthan" type="tns:higherthantype"/></xs:choice>`, "higherthan is what the text of RFC 5196 says; the misprint is taken too"},
	{"rpid.xsd", `<xs:element name="meal"`, `<xs:element name="lunch" type="empty"/><xs:element name="meal"`, "lunch is in section 3.2 of RFC 4480, its schema forgets it"},
	{"imdn.rng", `</attribute>
                <ref name="any"/>`, `</attribute>
                <text/><ref name="any"/>`, "extension elements hold text, as the comment in the schema of RFC 5438 has it"},
}

func newOracle(t testing.TB) *oracle {
	needVectors(t)
	if _, err := exec.LookPath("xmllint"); err != nil {
		t.Skip("no xmllint")
	}
	o := &oracle{dir: t.TempDir()}
	o.copySchemas(t)
	o.imdn = filepath.Join(o.dir, "imdn.rng")
	var b strings.Builder
	b.WriteString(`<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" targetNamespace="urn:all">` + "\n")
	// xmllint finds the types of xml-patch only when no other namespace has included them before.
	spaces := slices.SortedFunc(maps.Keys(schemas), func(a, b string) int { return -strings.Compare(a, b) })
	for _, space := range spaces {
		fmt.Fprintf(&b, `<xs:import namespace="%s" schemaLocation="%s.xsd"/>`+"\n", space, schemas[space])
	}
	b.WriteString("</xs:schema>\n")
	o.all = filepath.Join(o.dir, "all.xsd")
	if err := os.WriteFile(o.all, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return o
}

// copySchemas puts the schemas into the folder of o, with their repairs.
func (o *oracle) copySchemas(t testing.TB) {
	folder := filepath.Join(vectors, "schemas")
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		src, err := os.ReadFile(filepath.Join(folder, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		text := string(src)
		for _, r := range repairs {
			if r.file != e.Name() {
				continue
			}
			if !strings.Contains(text, r.old) {
				t.Fatalf("%s has no %s", r.file, r.old)
			}
			text = strings.ReplaceAll(text, r.old, r.new)
		}
		if err := os.WriteFile(filepath.Join(o.dir, e.Name()), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// verdict is what the oracle says of a document: its complaint, "" when it is valid.
type verdict struct {
	valid bool
	why   string
}

// judge returns the verdicts on documents, imdn documents by the RELAX NG schema.
func (o *oracle) judge(t testing.TB, docs [][]byte) []verdict {
	dir, err := os.MkdirTemp(o.dir, "docs")
	if err != nil {
		t.Fatal(err)
	}
	return o.judgeWith(t, dir, o.all, docs)
}

func (o *oracle) judgeWith(t testing.TB, dir, schema string, docs [][]byte) []verdict {
	verdicts := make([]verdict, len(docs))
	for _, imdn := range []bool{false, true} {
		var names []string
		for i, doc := range docs {
			if bytes.Contains(doc, []byte("ns:imdn")) != imdn {
				continue
			}
			name := filepath.Join(dir, fmt.Sprintf("%06d.xml", i))
			if err := os.WriteFile(name, doc, 0o600); err != nil {
				t.Fatal(err)
			}
			names = append(names, name)
		}
		for batch := range slices.Chunk(names, 2000) {
			o.run(t, dir, schema, imdn, batch, verdicts)
		}
	}
	return verdicts
}

func (o *oracle) run(t testing.TB, dir, schema string, imdn bool, names []string, verdicts []verdict) {
	args := []string{"--noout", "--nonet", "--schema", schema}
	if imdn {
		args = []string{"--noout", "--nonet", "--relaxng", o.imdn}
	}
	out, err := exec.Command("xmllint", append(args, names...)...).CombinedOutput()
	if err != nil {
		if exit, ok := err.(*exec.ExitError); !ok || exit.ExitCode() == 5 {
			t.Fatalf("xmllint: %v\n%.2000s", err, out)
		}
	}
	told := 0
	for line := range strings.Lines(string(out)) {
		name, rest, ok := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), dir+"/"), ".xml")
		var i int
		if _, err := fmt.Sscanf(name, "%d", &i); !ok || err != nil || i >= len(verdicts) {
			continue
		}
		switch rest {
		case " validates":
			verdicts[i].valid = true
			told++
		case " fails to validate":
			told++
		default:
			if verdicts[i].why == "" {
				verdicts[i].why = rest
			}
		}
	}
	if told != len(names) {
		t.Fatalf("xmllint told of %d documents of %d\n%.2000s", told, len(names), out)
	}
}

// check is our verdict: the first problem, "" when there is none.
func check(t testing.TB, doc []byte) string {
	d, err := tree.Parse(doc, tree.Options{AllowDTD: true})
	if err != nil {
		return err.Error()
	}
	root := d.Root()
	g, ok := For(root.Space(), root.Local())
	if !ok {
		return "unknown namespace " + root.Space()
	}
	if g.schema.root(root.Space(), root.Local()) == nil {
		return "no root of a document"
	}
	if found := g.Check(d); len(found) > 0 {
		p := found[0]
		return fmt.Sprintf("%d:%d: %s: %s", p.Line, p.Col, p.Rule, p.Text)
	}
	return ""
}

// example is an entry of the index of examples.
type example struct {
	File   string
	Kind   string
	Schema *string
	Valid  bool
	Issues []string
}

func examples(t testing.TB) []example {
	needVectors(t)
	src, err := os.ReadFile(filepath.Join(vectors, "examples", "index.json"))
	if err != nil {
		t.Fatal(err)
	}
	var all, chosen []example
	if err := json.Unmarshal(src, &all); err != nil {
		t.Fatal(err)
	}
	for _, e := range all {
		if strings.HasSuffix(e.File, ".xml") {
			chosen = append(chosen, e)
		}
	}
	return chosen
}

func readExample(t testing.TB, name string) []byte {
	src, err := os.ReadFile(filepath.Join(vectors, "examples", name))
	if err != nil {
		t.Fatal(err)
	}
	return src
}

// extensions are the examples that their index calls valid by a schema that does not know the extensions in them. The schemas
// of the extensions refuse them, as we do.
var extensions = map[string]string{
	"rfc4480-4-1.xml":       "67:18: unexpected-text: ",   // sphere with text
	"rfc5263-5-3.part1.xml": "17:7: unexpected-element: ", // message behind video
	"rfc5264-6-1.part1.xml": "11:20: unexpected-text: ",   // relationship with text
}

func TestExamplesGetTheVerdictOfTheirIndex(t *testing.T) {
	var docs [][]byte
	for _, e := range examples(t) {
		doc := readExample(t, e.File)
		if e.Schema == nil {
			if _, err := tree.Parse(doc, tree.Options{AllowDTD: true}); (err == nil) != e.Valid {
				t.Errorf("%s: valid is %v, but got %v", e.File, e.Valid, err)
			}
			continue
		}
		problem := check(t, doc)
		if e.Valid && problem != "" && extensions[e.File] != "" {
			if !strings.HasPrefix(problem, extensions[e.File]) {
				t.Errorf("%s: got %s, want %s", e.File, problem, extensions[e.File])
			}
			docs = append(docs, doc)
			continue
		}
		if (problem == "") != e.Valid {
			t.Errorf("%s: valid is %v, but got %q", e.File, e.Valid, problem)
		}
	}
	if len(docs) != len(extensions) {
		t.Errorf("%d examples with invalid extensions, want %d", len(docs), len(extensions))
	}
	for i, v := range newOracle(t).judge(t, docs) {
		if v.valid {
			t.Errorf("the schemas of the extensions accept %s", docs[i])
		}
	}
}

// difference is where this package and the schemas of the RFCs disagree on purpose.
type difference struct {
	name, reason string
	covers       func(doc, ours string, theirs verdict) bool
}

var spacedTime = regexp.MustCompile(`>\s+\d+-\d\d-\d\dT|T\d\d:\d\d:[^<>"]*\s+</`)

var spaced = regexp.MustCompile(`'(\s[^']*|[^']*\s)' is not a valid value of the atomic type`)

var namespacedValue = regexp.MustCompile(`: attribute \w+:\w+ of <`)

var differences = []difference{
	{
		"white space around a value", "white space around a dateTime or a number is no part of it (XML Schema part 2, section 4.3.6); libxml2 2.9 takes it for one",
		func(doc, ours string, theirs verdict) bool {
			return ours == "" && (spaced.MatchString(theirs.why) || spacedTime.MatchString(doc) && strings.Contains(theirs.why, "validity error : Element '"))
		},
	},
	{
		"order of a wildcard", "libxml2 2.9 takes elements of a repeated particle also behind the repeated wildcard that ends the sequence",
		func(_, ours string, theirs verdict) bool {
			return theirs.valid && strings.Contains(ours, ": "+RuleElement+": ") && strings.Contains(ours, ", expected an element of another namespace or the end of <")
		},
	},
	{
		"names with colons", "the patterns of RFC 5261's schema count colons as part of a name and so let namespace::x pass as a step; the selectors that patches can use do not",
		func(_, ours string, theirs verdict) bool {
			return theirs.valid && strings.Contains(ours, "expected a selector of RFC 5261")
		},
	},
	{
		"known names in extensions of imdn", "wildcards of RELAX NG, in which imdn is written, do not look into what they let in; ours do",
		func(doc, ours string, theirs verdict) bool {
			return theirs.valid && strings.Contains(doc, "ns:imdn") && (namespacedValue.MatchString(ours) || inExtension(doc, ours))
		},
	},
	{
		"xml:id", "xmllint tells of a bad xml:id without failing; it has to be an NCName (xml:id, section 4)",
		func(_, ours string, theirs verdict) bool {
			return theirs.valid && strings.Contains(ours, "attribute xml:id of") && strings.Contains(theirs.why, "xml:id")
		},
	},
}

// inExtension reports whether what we refuse stands in an element of another namespace than the root.
func inExtension(doc, ours string) bool {
	var line, col int
	if n, _ := fmt.Sscanf(ours, "%d:%d:", &line, &col); n != 2 {
		return false
	}
	t, err := tree.Parse([]byte(doc), tree.Options{})
	if err != nil {
		return false
	}
	for i := range t.Count() {
		n := t.Node(i)
		if l, c := n.Position(); l != line || c != col || n.Kind() != tree.Element {
			continue
		}
		for p := n.Parent(); p.Valid(); p = p.Parent() {
			if p.Kind() == tree.Element && p.Space() != t.Root().Space() {
				return true
			}
		}
	}
	return false
}

func deliberate(doc []byte, ours string, theirs verdict) string {
	for _, d := range differences {
		if d.covers(string(doc), ours, theirs) {
			return d.name
		}
	}
	return ""
}

func TestGeneratedDocumentsGetTheVerdictOfTheSchemas(t *testing.T) {
	o := newOracle(t)
	count := 400
	if testing.Short() {
		count = 60
	}
	met := map[string]int{}
	for _, typ := range types {
		g := newGenerator(7)
		if typ.Name == "imdn" {
			g.roots = g.roots[:0:0] // RELAX NG does not look into what a wildcard lets in
		}
		root := namespaces[typ.Space].schema().root(typ.Space, typ.Root)
		var docs [][]byte
		for i := range count {
			g.ids, g.limit = 0, 10+i%40
			doc := g.element(root)
			for range i % 3 {
				g.mutate(doc)
			}
			docs = append(docs, doc.write())
		}
		agreed(t, typ.Name, docs, o.judge(t, docs), met)
	}
	for _, d := range differences {
		t.Logf("%d documents: %s: %s", met[d.name], d.name, d.reason)
	}
}

// agreed compares verdicts and reports the first that differ.
func agreed(t *testing.T, name string, docs [][]byte, verdicts []verdict, met map[string]int) {
	valid, bad := 0, 0
	for i, doc := range docs {
		ours := check(t, doc)
		if verdicts[i].valid {
			valid++
		}
		if (ours == "") == verdicts[i].valid {
			continue
		}
		if d := deliberate(doc, ours, verdicts[i]); d != "" {
			met[d]++
			continue
		}
		if bad++; bad <= 3 {
			t.Errorf("%s: %s\n  ours:   %s\n  theirs: %v%s", name, doc, ours, verdicts[i].valid, verdicts[i].why)
		}
	}
	t.Logf("%s: %d documents, %d valid, %d verdicts differ", name, len(docs), valid, bad)
}

func TestValuesGetTheVerdictOfTheSchemas(t *testing.T) {
	o := newOracle(t)
	var b strings.Builder
	b.WriteString(`<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema">`)
	var docs [][]byte
	var want []bool
	values := append(slices.Concat(slices.Collect(maps.Values(samples))...), badValues...)
	values = append(values, moreValues...)
	for _, d := range xsdDatatypes {
		fmt.Fprintf(&b, `<xs:element name="%[1]s"><xs:complexType><xs:attribute name="v" type="xs:%[1]s"/></xs:complexType></xs:element>`, d.name)
		s := &simple{base: d}
		for _, v := range values {
			if d.collapse && v != "" && (v[0] == ' ' || v[len(v)-1] == ' ') {
				continue // see differences
			}
			docs = append(docs, fmt.Appendf(nil, `<%s v="%s"/>`, d.name, tree.AppendValue(nil, v, '"')))
			want = append(want, s.accepts(v))
		}
	}
	b.WriteString("</xs:schema>")
	schema := filepath.Join(o.dir, "values.xsd")
	if err := os.WriteFile(schema, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	for i, v := range o.judgeWith(t, o.dir, schema, docs) {
		if v.valid != want[i] && string(docs[i]) != emptyPort {
			t.Errorf("%s: ours %v, theirs %v%s", docs[i], want[i], v.valid, v.why)
		}
	}
	t.Logf("%d values", len(docs))
}

// emptyPort is a URI (RFC 3986, section 3.2.3) that libxml2 does not take for one.
const emptyPort = `<anyURI v="//h:"/>`

// moreValues are values at the edges of types.
var moreValues = []string{
	"http://", "//", "/", "?", "#", "a:", ":a", "a//b", "//h:1/p", "//u@h", "//u@@h", "//[::1", "//[::1]", "//[::1]x", "//h:", "a?b?c", "a?b#c?d", "a%20b", "a%2", "%",
	"a[b]", "a?[b]", "h+-.1:x", "1:x", "./a:b", "a/b:c", "im:a@b", "sip:[::1]:5060;transport=tcp", "http://h/{x}|\\^`<>", "http://a b/c d", "tel:+1-2", "\u00e4:x", "x@y:z",
	"2024-02-29T00:00:00Z", "2023-02-29T00:00:00Z", "2000-02-29T00:00:00Z", "1900-02-29T00:00:00Z", "2026-04-31T00:00:00Z", "2026-1-01T00:00:00Z", "2026-01-01T00:00:00z",
	"2026-01-01T24:00:00Z", "2026-01-01T25:00:00Z", "2026-01-01T23:60:00Z", "2026-01-01T00:00:00+24:00", "2026-01-01T00:00:00+13:60", "2026-01-01T00:00:00-14:00", "2026-01-01T00:00Z",
	"2026-01-01 00:00:00Z", "26-01-01T00:00:00Z", "2026-01-01T00:00:00+0100", "2026-01-01T00:00:00.123456789Z", "2026-00-01T00:00:00Z", "2026-01-00T00:00:00Z",
	"-0", "+0", "00", "-", "+", ".", "1.", ".1", "-.1", "1e3", "INF", "4294967295", "0004294967295", "-9999999999999999999",
	"a-", "-a", "a.b", ".a", "_", "a\u00b7", "\u00b7a", "a\u00d7", "e\u0301", "de-1996-x", "1996-de", "d-e", "abcdefgh", "abcdefghi", "de_CH", "True", "2",
}
