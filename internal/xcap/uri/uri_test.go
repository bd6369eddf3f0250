package uri

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"imp/internal/xml/tree"
)

func mustRoot(t testing.TB, s string) Root {
	t.Helper()
	r, err := ParseRoot(s)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

const home = "resource-lists/users/sip:joe@example.com/index"

// reasonOf returns why a URI is refused, also by its selector; 0 when it is not.
func reasonOf(t testing.TB, s string) (Reason, Piece) {
	t.Helper()
	u, err := Parse(s)
	if err == nil {
		_, err = u.Selector("urn:default")
	}
	if err == nil {
		return 0, ""
	}
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("%q: %T", s, err)
	}
	return e.Reason, e.Piece
}

func refuses(t *testing.T, reason Reason, piece Piece, list ...string) {
	t.Helper()
	for _, s := range list {
		if r, p := reasonOf(t, s); r != reason || p != piece {
			t.Errorf("%q: got %q of %q, want %q of %q", s, r, p, reason, piece)
		}
	}
}

func TestParts(t *testing.T) {
	t.Run("XCAP-001 a node URI is root, document selector, separator, node selector and query", func(t *testing.T) {
		root := mustRoot(t, "http://xcap.example.com/root")
		in := "http://xcap.example.com/root/pres-rules/users/sip:joe@example.com/index/~~/cr:ruleset/cr:rule%5B@id=%22a%22%5D/@id?xmlns(cr=urn:ietf:params:xml:ns:common-policy)"
		u, err := root.Parse(in)
		want := &URI{"pres-rules", false, "sip:joe@example.com", []string{"index"}, []string{"cr:ruleset", `cr:rule[@id="a"]`, "@id"},
			[]Binding{{"cr", "urn:ietf:params:xml:ns:common-policy"}}}
		if err != nil || !reflect.DeepEqual(u, want) {
			t.Fatalf("got %+v, %v", u, err)
		}
		if got := root.Join(u); got != in {
			t.Errorf("got  %s\nwant %s", got, in)
		}
		made, err := New("pres-rules", "sip:joe@example.com", "index", `cr:ruleset/cr:rule[@id="a"]/@id`, want.Bindings)
		if err != nil || !reflect.DeepEqual(made, want) {
			t.Errorf("got %+v, %v", made, err)
		}
	})
	t.Run("XCAP-002 a root has no query and is no resource", func(t *testing.T) {
		for _, s := range []string{"http://a/b?c", "/b?", "ftp://a/b", "b", "http:///b", "http://a/../b", "http://a/~~/b", "http://u@a/", "/a#b", "/%zz"} {
			if _, err := ParseRoot(s); err == nil {
				t.Errorf("%q is a root", s)
			}
		}
		for _, s := range []string{"/root", "/root/", "http://h/root", "/root?x"} {
			_, err := mustRoot(t, "/root").Parse(s)
			if e := (*Error)(nil); !errors.As(err, &e) || e.Reason != NoResource || e.Reason.Status() != 404 {
				t.Errorf("%q: %v", s, err)
			}
		}
	})
	t.Run("XCAP-005 the AUID is followed by users or global", func(t *testing.T) {
		refuses(t, NoResource, Tree, "resource-lists/foo/x/index", "resource-lists/Users/x/index", "resource-lists", "resource-lists/")
		u, err := Parse("xcap-caps/global/index")
		if err != nil || !u.Global || u.XUI != "" || u.Document[0] != "index" {
			t.Errorf("got %+v, %v", u, err)
		}
	})
	t.Run("XCAP-006 below users stands the XUI", func(t *testing.T) {
		refuses(t, NoResource, XUI, "resource-lists/users", "resource-lists/users//index", "resource-lists/users/../index")
		refuses(t, NoResource, Document, "resource-lists/users/joe", "resource-lists/users/joe/", "resource-lists/global", "resource-lists/users/joe/~~/a", "a/users/b/d/%2e%2e", "a/users/b/%00")
	})
	t.Run("XCAP-007 what a segment cannot have is encoded in the XUI", func(t *testing.T) {
		u, err := New("resource-lists", "sip:a/b?c@example.com", "index", "", nil)
		if err != nil || u.String() != "resource-lists/users/sip:a%2Fb%3Fc@example.com/index" {
			t.Fatalf("got %v, %v", u, err)
		}
		back, err := Parse(u.String())
		if err != nil || back.XUI != "sip:a/b?c@example.com" {
			t.Errorf("got %+v, %v", back, err)
		}
	})
	t.Run("XCAP-010 the first ~~ separates, in whatever form", func(t *testing.T) {
		for _, s := range []string{"~~", "%7E%7E", "%7e~", "~%7e"} {
			u, err := Parse(home + "/" + s + "/a/~~")
			if err != nil || !reflect.DeepEqual(u.Steps, []string{"a", "~~"}) || !reflect.DeepEqual(u.Document, []string{"index"}) {
				t.Errorf("%s: %+v, %v", s, u, err)
			}
		}
		refuses(t, Extension, Node, home+"/~~/a/~~")
		if _, err := New("a", "b", "~~", "", nil); err == nil {
			t.Error("a document is named ~~")
		}
	})
	t.Run("XCAP-013 an AUID is a token, a vendor's has a host name before it", func(t *testing.T) {
		for s, want := range map[string]bool{"com.example.foo": true, "pres-rules": true, "org.openmobilealliance.pres-rules": true,
			".foo": false, "foo.": false, "": false, "a..b": false, "a b": false, "co_m.foo": false} {
			if ValidAUID(s) != want {
				t.Errorf("%q: %v", s, !want)
			}
		}
		refuses(t, NoResource, AUID, ".foo/users/a/b", "/users/a/b", "")
	})
}

func TestDecoding(t *testing.T) {
	doc, _ := tree.Parse([]byte(`<À xmlns="urn:default"><entry uri="sip:a/b"/><entry uri="x y"/></À>`), tree.Options{})
	t.Run("XCAP-011 the path is split before it is decoded", func(t *testing.T) {
		u, err := Parse(home + "/~~/%C3%80/entry%5b@uri=%22sip:a%2Fb%22%5d")
		if err != nil {
			t.Fatal(err)
		}
		sel, err := u.Selector("urn:default")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := sel.Locate(doc); err != nil {
			t.Error(err)
		}
		// A slash on the wrong side, also where the number of steps is right again.
		refuses(t, Extension, Node, home+"/~~/a%2Fb", home+`/~~/a%2Fb[@x="p/q"]`, home+"/~~/a[@uri=%22sip:a/b%22]")
	})
	t.Run("XCAP-012 octets are encoded as UTF-8 and read in both cases", func(t *testing.T) {
		for _, s := range []string{"%C3%80", "%c3%80", "À"} {
			if u, err := Parse(home + "/~~/" + s); err != nil || u.Steps[0] != "À" {
				t.Errorf("%s: %+v, %v", s, u, err)
			}
		}
		u, err := New("resource-lists", "sip:joe@example.com", "index", `À/entry[@uri="x y"]`, nil)
		if err != nil || u.String() != home+"/~~/%C3%80/entry%5B@uri=%22x%20y%22%5D" {
			t.Errorf("got %v, %v", u, err)
		}
		refuses(t, Malformed, Node, home+"/~~/%C3", home+"/~~/a%", home+"/~~/a%4", home+"/~~/%zz")
		refuses(t, Malformed, Document, "a/users/b/%ff", "a/users/b/%")
		refuses(t, Malformed, Whole, home+"/~~/a b", home+"#a", home+"\n")
	})
	t.Run("limits", func(t *testing.T) {
		refuses(t, TooLong, Whole, strings.Repeat("a", MaxLength+1))
		refuses(t, NoResource, Document, "a/global"+strings.Repeat("/a", 100))
		if got := TooLong.Status(); got != 414 {
			t.Error(got)
		}
	})
}

func TestSelectors(t *testing.T) {
	t.Run("XCAP-014 steps, and an attribute or the bindings at the end", func(t *testing.T) {
		for _, s := range []string{"a", "*", "a[1]", "a%5B@b=%22c%22%5D", "a[2][@b='c']", "a/@b", "a/namespace::*", "*[3]/b"} {
			if r, _ := reasonOf(t, home+"/~~/"+s); r != 0 {
				t.Errorf("%s: %s", s, r)
			}
		}
	})
	t.Run("XCAP-015 another order is an extension", func(t *testing.T) {
		refuses(t, Extension, Node, home+"/~~/a[@x=%221%22][2]", home+"/~~/a[@x=%221%22][@y=%222%22]", home+"/~~/@a/b")
	})
	t.Run("XCAP-016 unknown extension selectors are no resource", func(t *testing.T) {
		refuses(t, Extension, Node, home+"/~~/foo/bar()", home+"/~~/id(%22a%22)")
		if Extension.Status() != 404 {
			t.Error("status")
		}
	})
	t.Run("an empty step is malformed", func(t *testing.T) {
		refuses(t, Malformed, Node, home+"/~~", home+"/~~/", home+"/~~/a/", home+"/~~//a")
	})
	t.Run("XCAP-026 a prefix without binding is a bad request", func(t *testing.T) {
		refuses(t, Unbound, Node, home+"/~~/q:foo", home+"/~~/a/@q:b", home+"/~~/q:foo?xmlns(p=urn:x)", home+"/~~/q:foo?xmlns(q=)")
		if Unbound.Status() != 400 {
			t.Error("status")
		}
		if _, err := New("a", "b", "c", "q:foo", nil); err == nil {
			t.Error("made")
		}
	})
}

func TestQuery(t *testing.T) {
	t.Run("XCAP-024 xmlns parts are decoded, then unescaped", func(t *testing.T) {
		for query, want := range map[string][]Binding{
			"xmlns(a=urn:test:default-namespace)":   {{"a", "urn:test:default-namespace"}},
			"xmlns(a=urn:x)xmlns(b=urn:y)":          {{"a", "urn:x"}, {"b", "urn:y"}},
			"xmlns(a=urn:x)%20xmlns(b=urn:y)":       {{"a", "urn:x"}, {"b", "urn:y"}},
			"xmlns%28a%20=%20urn:%78%29":            {{"a", "urn:x"}},
			"xmlns(a=urn:(x))":                      {{"a", "urn:(x)"}},
			"xmlns(a=urn:%5E(x%5E%5E)":              {{"a", "urn:(x^"}},
			"xmlns(a=urn:x)xmlns(a=urn:y)":          {{"a", "urn:y"}},
			"xmlns(a=http://x/?y)":                  {{"a", "http://x/?y"}},
			"xmlns(xml=urn:x)xmlns(xmlns=urn:x)":    nil,
			"xmlns(a=urn:%C3%80)":                   {{"a", "urn:À"}},
			"":                                      nil,
			"xmlns(d=urn:test:namespace1-uri=more)": {{"d", "urn:test:namespace1-uri=more"}},
		} {
			u, err := Parse(home + "/~~/a?" + query)
			if err != nil || !reflect.DeepEqual(u.Bindings, want) {
				t.Errorf("%s: got %+v, %v", query, u, err)
				continue
			}
			if back, err := Parse(u.String()); err != nil || !reflect.DeepEqual(back, u) {
				t.Errorf("%s: written as %s, read as %+v, %v", query, u, back, err)
			}
		}
		refuses(t, Malformed, Query, home+"/~~/a?x", home+"/~~/a?xmlns(a=b", home+"/~~/a?xmlns(a)", home+"/~~/a?xmlns(1=b)", home+"/~~/a?xmlns(a=b)x", home+"/~~/a?xmlns(a=%5Eb)", home+"/~~/a?%", home+"/~~/a?(b)")
	})
	t.Run("XCAP-025 other schemes are ignored", func(t *testing.T) {
		u, err := Parse(home + "/~~/a:b?foo(bar)p:q(r(s))xmlns(a=urn:x)")
		if err != nil || !reflect.DeepEqual(u.Bindings, []Binding{{"a", "urn:x"}}) {
			t.Errorf("got %+v, %v", u, err)
		}
	})
	t.Run("XCAP-105 what is written has xmlns parts only", func(t *testing.T) {
		u, _ := Parse(home + "/~~/a:b?foo(bar)xmlns(a=urn:(x)")
		if u != nil {
			t.Errorf("read %s", u)
		}
		u, err := Parse(home + "/~~/a:b?foo(bar)xmlns(a=urn:(x))")
		if err != nil || u.String() != home+"/~~/a:b?xmlns(a=urn:%5E(x%5E))" {
			t.Errorf("got %s, %v", u, err)
		}
	})
	t.Run("a document has no query", func(t *testing.T) {
		if u, err := Parse(home + "?%zz"); err != nil || u.String() != home {
			t.Errorf("got %v, %v", u, err)
		}
	})
}

func TestRoots(t *testing.T) {
	for _, c := range []struct{ root, target, want string }{
		{"/", "/" + home, home},
		{"/", "http://any:99/" + home, home},
		{"http://XCAP.example.com:80", "http://xcap.example.com/" + home, home},
		{"https://h:443/a/b/", "HTTPS://H/a/%62/" + home, home},
		{"/a", "/a/" + home + "/~~/x?xmlns(p=http://q/)", home + "/~~/x?xmlns(p=http://q/)"},
		{"https://h/a", "http://h/a/" + home, ""},
		{"https://h/a", "https://i/a/" + home, ""},
		{"/a", "/b/" + home, ""},
		{"/a", "/ab/" + home, ""},
		{"/a", home, ""},
	} {
		u, err := mustRoot(t, c.root).Parse(c.target)
		if got := ""; err == nil {
			if got = u.String(); got != c.want {
				t.Errorf("%s below %s: got %s", c.target, c.root, got)
			}
		} else if c.want != "" {
			t.Errorf("%s below %s: %v", c.target, c.root, err)
		}
	}
	if got := mustRoot(t, "HTTP://Xcap.Example.com:80/é/").String(); got != "http://xcap.example.com/%C3%A9" {
		t.Error(got)
	}
	if !mustRoot(t, "/a/").Equal(mustRoot(t, "/%61")) || mustRoot(t, "/a").Equal(mustRoot(t, "/b")) {
		t.Error("Equal")
	}
}

func TestNaming(t *testing.T) {
	for in, want := range map[string]string{
		"sip:joe@example.com": "sip:joe@example.com", "joe@example.com": "sip:joe@example.com", "sip:%6aoe@EXAMPLE.com": "sip:joe@example.com",
		"SIP:joe@example.com": "sip:joe@example.com", "joe": "sip:joe@example.org", "tel:+1": "tel:+1", "sips:joe@example.com": "sips:joe@example.com", "Joe@example.com": "sip:Joe@example.com",
	} {
		if got := (Naming{Domain: "example.org"}).Canonical(in); got != want {
			t.Errorf("%s: got %s, want %s", in, got, want)
		}
	}
	if got := (Naming{Exact: true, Domain: "d"}).Canonical("joe@Example.com"); got != "joe@Example.com" {
		t.Error(got)
	}
	a, _ := Parse("a/users/sip%3Ajoe%40example.com/index")
	b, _ := Parse("a/users/joe@Example.com/index")
	if x, y := a.Canonical(Naming{}), b.Canonical(Naming{}); x.String() != y.String() || b.XUI != "joe@Example.com" {
		t.Errorf("%s and %s", x, y)
	}
}

func TestExplain(t *testing.T) {
	if _, err := mustRoot(t, "/root").Explain("/root/" + home + "/~~/resource-lists/p:*%5B2%5D/@name?xmlns(p=urn:x)"); err == nil {
		t.Error("p:* is a step")
	}
	parts, err := mustRoot(t, "/root").Explain("/root/" + home + "/~~/resource-lists/*%5B2%5D%5B@p:a=%22b%22%5D/@name?xmlns(p=urn:x)")
	var got strings.Builder
	for _, p := range parts {
		got.WriteString(string(p.Piece) + "|" + p.Text + "|" + p.Note + "\n")
	}
	want := `XCAP root|/root|the root of the server
AUID|resource-lists|application usage
tree|users|documents of one user
XUI|sip:joe@example.com|the user whose documents these are
document|index|name of the document, or of a sub-directory when more follows
separator|~~|what follows selects a node of the document
node selector|resource-lists|the child element resource-lists, of which there has to be one only
node selector|*%5B2%5D%5B@p:a=%22b%22%5D|the child element number 2 of any name, if its attribute p:a is "b"
node selector|@name|the attribute name
query|xmlns(p=urn:x)|what the prefix p stands for in the node selector
`
	if err != nil || got.String() != want {
		t.Errorf("%v\n%s", err, got.String())
	}
	if parts, err := (Root{}).Explain("resource-lists/oops/a"); err == nil || len(parts) != 1 || !strings.Contains(err.Error(), `tree "oops"`) {
		t.Errorf("got %v, %v", parts, err)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{home, home + "/~~/a[1][@b=%22c%2F%22]/@d?xmlns(a=b%5E()", "a/global/b/c/%7E~/namespace::*", "a/users/%25/%2e"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		_, _ = Root{}.Explain(s)
		u, err := Parse(s)
		if err != nil {
			if e := (*Error)(nil); !errors.As(err, &e) || e.Reason == 0 {
				t.Errorf("%q: %v", s, err)
			}
			return
		}
		if back, err := Parse(u.String()); len(u.String()) <= MaxLength && (err != nil || !reflect.DeepEqual(back, u)) {
			t.Errorf("%q: %+v written as %q, read as %+v, %v", s, u, u.String(), back, err)
		}
		_, _ = u.Selector("urn:default")
		if c := u.Canonical(Naming{}); c.Canonical(Naming{}).XUI != c.XUI {
			t.Errorf("%q: canonical %q, again %q", u.XUI, c.XUI, c.Canonical(Naming{}).XUI)
		}
	})
}
