package usage

import (
	"imp/internal/xcap/uri"
	"imp/internal/xml/lexical"
)

// Template returns a document to begin with for a user who has none: the smallest that is of use, and valid where a part of it says to
// whom it belongs. It is nil where there is none.
func (u *Usage) Template(d *uri.URI) []byte {
	switch {
	case u.place(d) != Stored:
		return nil
	case u.MediaType == "application/pidf+xml":
		dst := append([]byte(declaration), "<presence"...)
		dst = lexical.AppendAttribute(dst, "xmlns", spacePIDF)
		dst = lexical.AppendAttribute(dst, "entity", d.XUI)
		return append(dst, ">\n  <tuple id=\"standing\"><status><basic>closed</basic></status></tuple>\n</presence>\n"...)
	}
	text, ok := templates[u.AUID]
	if !ok {
		return nil
	}
	return []byte(declaration + text)
}

// rules let one user see everything; what they are for is to be said by whoever edits them.
const rules = `<cr:ruleset xmlns="` + spaceRules + `" xmlns:cr="` + spaceCP + `">
  <cr:rule id="friends">
    <cr:conditions><cr:identity><cr:one id="sip:friend@example.com"/></cr:identity></cr:conditions>
    <cr:actions><sub-handling>allow</sub-handling></cr:actions>
    <cr:transformations><provide-services><all-services/></provide-services><provide-persons><all-persons/></provide-persons></cr:transformations>
  </cr:rule>
</cr:ruleset>
`

var templates = map[string]string{
	"resource-lists": `<resource-lists xmlns="` + spaceLists + `">
  <list name="friends">
    <entry uri="sip:friend@example.com"><display-name>A Friend</display-name></entry>
  </list>
</resource-lists>
`,
	"rls-services": `<rls-services xmlns="` + spaceRLS + `" xmlns:rl="` + spaceLists + `">
  <service uri="sip:my-friends@example.com">
    <list><rl:entry uri="sip:friend@example.com"/></list>
    <packages><package>presence</package></packages>
  </service>
</rls-services>
`,
	"pres-rules":                        rules,
	"org.openmobilealliance.pres-rules": rules,
	"org.openmobilealliance.pres-content": `<content xmlns="` + spaceIcon + `">
  <mime-type>image/png</mime-type>
  <encoding>base64</encoding>
  <data></data>
</content>
`,
}
