package usage

import (
	"testing"

	"imp/internal/xcap/uri"
	"imp/internal/xml/tree"
)

func TestTemplates(t *testing.T) {
	for _, u := range All() {
		d := &uri.URI{AUID: u.AUID, XUI: "sip:a&b@example.com", Document: []string{"index"}}
		body := u.Template(d)
		if u.Place(d) != Stored {
			if body != nil {
				t.Errorf("%s: a template for what nobody writes", u.AUID)
			}
			continue
		}
		doc, report, err := Parse(body, tree.Limits{})
		if report != nil || err != nil {
			t.Errorf("%s: %v %v\n%s", u.AUID, report, err, body)
			continue
		}
		if report := u.Check(doc, Context{URI: d}); report != nil {
			t.Errorf("%s: %v\n%s", u.AUID, report, body)
		}
	}
}
