package kit

import (
	"bytes"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/antchfx/xmlquery"
	"github.com/antchfx/xpath"

	exprs "imp/internal/xml/query"
)

// Prefixes are the namespace prefixes that XPath knows without --ns.
var Prefixes = map[string]string{
	"xml":   "http://www.w3.org/XML/1998/namespace",
	"p":     "urn:ietf:params:xml:ns:pidf",
	"pd":    "urn:ietf:params:xml:ns:pidf-diff",
	"dm":    "urn:ietf:params:xml:ns:pidf:data-model",
	"rpid":  "urn:ietf:params:xml:ns:pidf:rpid",
	"c":     "urn:ietf:params:xml:ns:pidf:cipid",
	"ts":    "urn:ietf:params:xml:ns:pidf:timed-status",
	"caps":  "urn:ietf:params:xml:ns:pidf:caps",
	"gp":    "urn:ietf:params:xml:ns:pidf:geopriv10",
	"wi":    "urn:ietf:params:xml:ns:watcherinfo",
	"rl":    "urn:ietf:params:xml:ns:resource-lists",
	"rls":   "urn:ietf:params:xml:ns:rls-services",
	"rlmi":  "urn:ietf:params:xml:ns:rlmi",
	"cr":    "urn:ietf:params:xml:ns:common-policy",
	"pr":    "urn:ietf:params:xml:ns:pres-rules",
	"sf":    "urn:ietf:params:xml:ns:simple-filter",
	"xc":    "urn:ietf:params:xml:ns:xcap-caps",
	"xd":    "urn:ietf:params:xml:ns:xcap-diff",
	"xe":    "urn:ietf:params:xml:ns:xcap-error",
	"ci":    "urn:ietf:params:xml:ns:conference-info",
	"imdn":  "urn:ietf:params:xml:ns:imdn",
	"ic":    "urn:ietf:params:xml:ns:im-iscomposing",
	"reg":   "urn:ietf:params:xml:ns:reginfo",
	"cp":    "urn:ietf:params:xml:ns:copycontrol",
	"patch": "urn:ietf:params:xml:schema:patch-ops",
}

// Matcher is an EXPR of --until. It may be used by one goroutine at a time.
type Matcher interface {
	Match(Facts) bool
	String() string
}

var (
	looksLikeCall = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z_][\w.-]*(:[A-Za-z_][\w.-]*)?\s*\(`) })
	looksLikeTest = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`(?s)^([A-Za-z_][A-Za-z0-9_.-]*?)(!?=)(.*)$`) })
)

// ParseUntil reads an EXPR: XPath when it begins with "/", "(" or a function call, else key=value or key!=value. Each ns is PREFIX=URI and adds to Prefixes. When keys are given, a key
// must be one of them. An error has status 2 and a hint.
func ParseUntil(expr string, ns []string, keys ...string) (Matcher, error) {
	expr = strings.TrimSpace(expr)
	if strings.HasPrefix(expr, "/") || strings.HasPrefix(expr, "(") || looksLikeCall().MatchString(expr) {
		query, err := CompileXPath(expr, ns)
		if err != nil {
			return nil, err
		}
		return &xpathTest{expr, query}, nil
	}
	m := looksLikeTest().FindStringSubmatch(expr)
	if m == nil {
		return nil, Fail(ExitUsage, "reading --until "+fmt.Sprintf("%q", expr), "it is neither key=value, key!=value nor XPath", "XPath begins with /, ( or a function such as count(; write //p:basic, not p:basic")
	}
	if len(keys) > 0 && !slices.Contains(keys, m[1]) {
		hint := "keys are " + or(keys)
		if near := Nearest(m[1], keys); near != "" {
			hint = "did you mean " + near + "? " + hint
		}
		return nil, Fail(ExitUsage, fmt.Sprintf("reading --until %q", expr), "unknown key "+m[1], hint)
	}
	return &factTest{key: m[1], value: m[3], differs: m[2] == "!="}, nil
}

// factTest is key=value or key!=value.
type factTest struct {
	key, value string
	differs    bool
}

// Match holds when any of the key's values is equal; or, with !=, when any differs or there is none.
func (t *factTest) Match(f Facts) bool {
	values := f.Fact(t.key)
	for _, v := range values {
		if (v == t.value) != t.differs {
			return true
		}
	}
	return t.differs && len(values) == 0
}

func (t *factTest) String() string {
	if t.differs {
		return t.key + "!=" + t.value
	}
	return t.key + "=" + t.value
}

// CompileXPath compiles an XPath 1.0 expression with Prefixes and each ns, a PREFIX=URI. An error has status 2 and a hint.
func CompileXPath(expr string, ns []string) (query *xpath.Expr, err error) {
	bound, err := bindings(ns)
	if err != nil {
		return nil, err
	}
	if err := exprs.Check(expr); err != nil {
		return nil, badXPath(expr, err.Error())
	}
	defer func() {
		if r := recover(); r != nil {
			query, err = nil, badXPath(expr, fmt.Sprint(r))
		}
	}()
	query, err = xpath.CompileWithNS(expr, bound)
	if err != nil {
		return nil, badXPath(expr, err.Error())
	}
	// Wrong types of arguments show only when the expression is evaluated.
	truth(query.Evaluate(xmlquery.CreateXPathNavigator(&xmlquery.Node{Type: xmlquery.DocumentNode})))
	return query, nil
}

func bindings(ns []string) (map[string]string, error) {
	if len(ns) == 0 {
		return Prefixes, nil
	}
	bound := maps.Clone(Prefixes)
	for _, b := range ns {
		prefix, uri, ok := strings.Cut(b, "=")
		if !ok || prefix == "" || uri == "" {
			return nil, Fail(ExitUsage, fmt.Sprintf("reading --ns %q", b), "it is not PREFIX=URI", "write it like x=urn:example:x")
		}
		bound[prefix] = uri
	}
	return bound, nil
}

func badXPath(expr, what string) error {
	hint := "it is XPath 1.0, such as //p:basic = 'open'"
	if strings.Contains(what, "prefix") {
		hint = "elements need a prefix: //p:basic; known are " + strings.Join(slices.Sorted(maps.Keys(Prefixes)), " ") + ", --ns PREFIX=URI adds"
	}
	return Fail(ExitUsage, fmt.Sprintf("reading XPath %q", expr), what, hint)
}

type xpathTest struct {
	expr  string
	query *xpath.Expr
}

func (t *xpathTest) String() string { return t.expr }

// Match holds when the expression is true, a node set that is not empty, a string that is not empty, or a number other than 0 and NaN.
func (t *xpathTest) Match(f Facts) (met bool) {
	doc := f.XML()
	if len(doc) == 0 {
		return false
	}
	// Whether the library panics on an expression may depend on the document.
	defer func() {
		if recover() != nil {
			met = false
		}
	}()
	top, err := xmlquery.Parse(bytes.NewReader(doc))
	if err != nil {
		return false
	}
	return truth(t.query.Evaluate(xmlquery.CreateXPathNavigator(top)))
}

func truth(v any) bool {
	switch v := v.(type) {
	case bool:
		return v
	case string:
		return v != ""
	case float64:
		return v != 0 && !math.IsNaN(v)
	case *xpath.NodeIterator:
		return v.MoveNext()
	}
	return false
}
