package pidf

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"imp/internal/xml/schematest"
)

// campaign is how many documents a test makes: ten times as many in long runs.
func campaign(n int) int {
	if os.Getenv("IMP_LONG") == "1" {
		return 10 * n
	}
	return n
}

// schemas copies the schemas, returns the one that has them all, and repairs the two slips that the texts of their RFCs contradict: higherhan, and display-name without xml:lang.
func schemas(t *testing.T) string {
	t.Helper()
	schematest.Need(t)
	dir := t.TempDir()
	files, err := filepath.Glob(filepath.Join(schematest.Vectors, "schemas", "*.xsd"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		s := strings.ReplaceAll(string(b), "higherhan", "higherthan")
		s = strings.Replace(s, `<xs:element name="display-name" type="xs:string"/>`, `<xs:element name="display-name"><xs:complexType><xs:simpleContent>
			<xs:extension base="xs:string"><xs:attribute ref="xml:lang"/></xs:extension></xs:simpleContent></xs:complexType></xs:element>`, 1)
		if filepath.Base(f) == "cipid.xsd" {
			s = strings.Replace(s, "<xs:annotation>", `<xs:import namespace="http://www.w3.org/XML/1998/namespace" schemaLocation="xml.xsd"/><xs:annotation>`, 1)
		}
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(f)), []byte(s), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "bundle-pidf.xsd")
}

// mustBeValid fails for each document that the schemas or Check refuse.
func mustBeValid(t *testing.T, docs ...[]byte) {
	t.Helper()
	for _, doc := range docs {
		if err := Check(doc); err != nil {
			t.Errorf("Check: %v\n%s", err, doc)
		}
	}
	schematest.MustBeValid(t, schemas(t), docs...)
}
