package grammar

import (
	"slices"
	"testing"

	"imp/internal/xml/tree"
)

func TestConferenceLints(t *testing.T) {
	const description = `<conference-description><subject>s</subject></conference-description>`
	users := func(content string) string { return description + `<users>` + content + `</users>` }
	for _, c := range []struct{ name, state, content, rule string }{
		{"CNF-023 a full document has users", "full", description, LintIncomplete},
		{"CNF-023 a full document has a description", "", `<users/>`, LintIncomplete},
		{"a partial document need not", "partial", "", ""},
		{"CNF-025 partial in full", "full", description + `<users state="partial"/>`, LintState},
		{"CNF-025 a user that is gone in full users", "full", users(`<user entity="sip:a@lab.test" state="deleted"/>`), LintState},
		{"CNF-025 children of what is deleted", "partial", `<users state="partial"><user entity="sip:a@lab.test" state="deleted"><endpoint entity="sip:b"/></user></users>`, LintState},
		{"CNF-029 a user once", "full", users(`<user entity="sip:a@lab.test"/><user entity="sip:a@lab.test"/>`), LintKey},
		{"CNF-031 an endpoint once", "full", users(`<user entity="sip:a@lab.test"><endpoint entity="sip:b"/><endpoint entity="sip:b"/></user>`), LintKey},
		{"CNF-035 a medium once", "full", users(`<user entity="sip:a@lab.test"><endpoint entity="sip:b"><media id="1"/><media id="1"/></endpoint></user>`), LintKey},
		{"CNF-045 a label once", "full", `<conference-description><available-media><entry label="1"><type>message</type></entry><entry label="1"><type>audio</type></entry></available-media></conference-description><users/>`, LintKey},
		{"CNF-046 a URI once", "full", `<conference-description><conf-uris><entry><uri>tel:+1</uri></entry><entry><uri> tel:+1 </uri></entry></conf-uris></conference-description><users/>`, LintKey},
		{"CNF-048 no SSRC of messages", "full", users(`<user entity="sip:a@lab.test"><endpoint entity="sip:b"><media id="1"><type>message</type><src-id>7</src-id></media></endpoint></user>`), LintSource},
		{"an SSRC of audio", "full", users(`<user entity="sip:a@lab.test"><endpoint entity="sip:b"><media id="1"><type>audio</type><src-id>7</src-id></media></endpoint></user>`), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			state := ""
			if c.state != "" {
				state = ` state="` + c.state + `"`
			}
			d, err := tree.Parse([]byte(`<conference-info xmlns="urn:ietf:params:xml:ns:conference-info" entity="sip:room@lab.test"`+state+`>`+c.content+`</conference-info>`), tree.Options{})
			if err != nil {
				t.Fatal(err)
			}
			g, _ := ByName("conference-info")
			if problems := g.Check(d); len(problems) > 0 {
				t.Fatal(problems)
			}
			found := g.Lint(d)
			if c.rule == "" && len(found) > 0 || c.rule != "" && !slices.ContainsFunc(found, func(p Problem) bool { return p.Rule == c.rule }) {
				t.Errorf("got %v, want %q", found, c.rule)
			}
		})
	}
}
