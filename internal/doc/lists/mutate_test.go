package lists

import (
	"bytes"
	"testing"

	"imp/internal/xml/schematest"
)

// TestMutants: the readers and the schemas agree about spoilt documents.
func TestMutants(t *testing.T) {
	schematest.MustAgree(t, "bundle-lists.xsd", func(doc []byte) (err error) {
		if bytes.Contains(doc, []byte("<rls-services")) {
			_, err = ParseServices(doc)
		} else {
			_, err = Parse(doc)
		}
		return err
	}, schematest.Mutants(3, 400, sample().Bytes(), services().Bytes())...)
}
