package cli

import (
	"errors"
	"testing"

	"imp/internal/cli/kit"
	"imp/internal/doc/xcaperror"
	"imp/internal/xcap/resource"
	"imp/internal/xcap/uri"
	appusage "imp/internal/xcap/usage"
	xmltree "imp/internal/xml/tree"
)

// FuzzXCAPTarget checks that what is read of a target is a URI that means the same when it is read again.
func FuzzXCAPTarget(f *testing.F) {
	for _, seed := range []string{
		"resource-lists", `resource-lists/a b//resource-lists/list[@name="a/b"]`, "pres-rules//cr:ruleset", "xcap-caps",
		"resource-lists/users/sip:a@b/index", "resource-lists/global/x/y/~~/a/b", "a/~~/b", "http://h/r/a/users/b/c?x", "a//*[1]/namespace::*", "//", "a//b//c", "http://h/users/a/",
	} {
		f.Add(seed)
	}
	s, _, _ := kit.Recorded("", "")
	x := &xcapFlags{kit: kit.New(s)}
	acct := &kit.Account{AOR: "sip:alice@example.com", Domain: "example.com", XCAPRoot: "https://xcap.example.com/root"}
	f.Fuzz(func(t *testing.T, target string) {
		root, u, err := x.locate(acct, target)
		if err != nil {
			if told := (*kit.Error)(nil); !errors.As(err, &told) || told.Exit != kit.ExitUsage {
				t.Fatalf("%q: %v is no usage error", target, err)
			}
			return
		}
		again, err := root.Parse(root.Join(u))
		if err != nil || again.String() != u.String() {
			t.Fatalf("%q is %s, which is read as %v, %v", target, root.Join(u), again, err)
		}
	})
}

// FuzzXCAPElement checks that no element is refused here that a server takes.
func FuzzXCAPElement(f *testing.F) {
	for _, seed := range []string{
		`<entry uri="x"/>`, `<r:entry uri='x' x:y="1"><x:e/>&amp;<![CDATA[a:b]]></r:entry>`, `<entry uri="x"/><a/>`, `<entry
x:a="" uri="&#120;"><!-- p:q --><?a b:c?></entry>`, "<entry", "x", `<entry xmlns="urn:a" uri="x"/>`, ` <entry uri="x"> 12:30 http://x ×:a </entry> `,
	} {
		f.Add(seed)
	}
	u, err := uri.New("resource-lists", "sip:a@b", "index", `resource-lists/list/entry[@uri="x"]`, nil)
	if err != nil {
		f.Fatal(err)
	}
	known, _ := appusage.For(u.AUID)
	target := &xcapTarget{xcapSession: &xcapSession{acct: &kit.Account{}}, uri: u, usage: known}
	sel, err := target.selector()
	if err != nil {
		f.Fatal(err)
	}
	const around = `<r:resource-lists xmlns:r="urn:ietf:params:xml:ns:resource-lists" xmlns="urn:ietf:params:xml:ns:resource-lists" xmlns:x="urn:x"><list/></r:resource-lists>`
	f.Fuzz(func(t *testing.T, body string) {
		doc, err := xmltree.Parse([]byte(around), xmltree.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := resource.Put(doc, sel, []byte(body), nil); err != nil {
			return
		}
		_, _, err = target.body([]byte(body), "")
		if report := (*xcaperror.Report)(nil); errors.As(err, &report) {
			t.Fatalf("%q: %v, but it fits", body, err)
		}
	})
}
