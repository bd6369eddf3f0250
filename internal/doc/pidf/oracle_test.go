package pidf

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const vectors = "../../../../shared/vectors"

// campaign is how many documents a test makes: ten times as many in long runs.
func campaign(n int) int {
	if os.Getenv("IMP_LONG") == "1" {
		return 10 * n
	}
	return n
}

// needVectors skips a test without the documents of the RFCs.
func needVectors(t *testing.T) {
	t.Helper()
	if _, err := os.Stat(vectors); err != nil {
		t.Skip("no shared vectors at ../shared/vectors")
	}
}

// example is an entry of the index of the examples that the RFCs print.
type example struct {
	File, Kind, Schema string
	Valid, Elided      bool
	Source             []byte `json:"-"`
}

func examples(t *testing.T, kind string) (list []example) {
	t.Helper()
	needVectors(t)
	index, err := os.ReadFile(filepath.Join(vectors, "examples", "index.json"))
	if err != nil {
		t.Fatal(err)
	}
	var all []example
	if err := json.Unmarshal(index, &all); err != nil {
		t.Fatal(err)
	}
	for _, e := range all {
		if e.Kind != kind {
			continue
		}
		if e.Source, err = os.ReadFile(filepath.Join(vectors, "examples", e.File)); err != nil {
			t.Fatal(err)
		}
		list = append(list, e)
	}
	if len(list) == 0 {
		t.Fatalf("no example of kind %s", kind)
	}
	return list
}

// schemas copies the schemas and repairs the two slips that the texts of their RFCs contradict: higherhan, and display-name without xml:lang.
func schemas(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	files, err := filepath.Glob(filepath.Join(vectors, "schemas", "*.xsd"))
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
	return dir
}

// oracle asks xmllint about documents, all at once, and returns what it says against each; "" is valid.
func oracle(t *testing.T, docs [][]byte) []string {
	t.Helper()
	needVectors(t)
	xmllint, err := exec.LookPath("xmllint")
	if err != nil {
		t.Skip("no xmllint to check against")
	}
	dir := t.TempDir()
	args := []string{"--noout", "--nonet", "--schema", filepath.Join(schemas(t), "bundle-pidf.xsd")}
	names := make([]string, len(docs))
	for i, doc := range docs {
		names[i] = filepath.Join(dir, fmt.Sprintf("%06d.xml", i))
		if err := os.WriteFile(names[i], doc, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	verdicts := make([]string, len(docs))
	for first := 0; first < len(docs); first += 1000 {
		last := min(first+1000, len(docs))
		out, _ := exec.Command(xmllint, append(args, names[first:last]...)...).CombinedOutput()
		lines := strings.Split(string(out), "\n")
		told := 0
		for _, line := range lines {
			if strings.HasSuffix(line, " validates") {
				told++
			}
			for i := first; i < last && strings.HasPrefix(line, dir); i++ {
				if strings.HasPrefix(line, names[i]) && !strings.HasSuffix(line, " validates") {
					if strings.HasSuffix(line, " fails to validate") {
						told++
					}
					verdicts[i] += strings.TrimPrefix(line, dir) + "\n"
				}
			}
		}
		if told != last-first {
			t.Fatalf("xmllint judged %d of %d documents: %.2000s", told, last-first, out)
		}
	}
	return verdicts
}

// mustBeValid fails for each document that the schemas or Check refuse.
func mustBeValid(t *testing.T, docs ...[]byte) {
	t.Helper()
	for _, doc := range docs {
		if err := Check(doc); err != nil {
			t.Errorf("Check: %v\n%s", err, doc)
		}
	}
	for i, verdict := range oracle(t, docs) {
		if verdict != "" {
			t.Errorf("xmllint: %s%s", verdict, docs[i])
		}
	}
}
