package grammar

import (
	"strings"
	"testing"
)

// rules are the names of the rules that lints found broken.
func rules(t *testing.T, doc string) string {
	t.Helper()
	var list []string
	for _, p := range problems(t, doc, true) {
		_, rest, _ := strings.Cut(p, " ")
		rule, _, _ := strings.Cut(rest, ":")
		list = append(list, rule)
	}
	return strings.Join(list, " ")
}

func TestNotificationLints(t *testing.T) {
	watchers := func(head, content string) string {
		return `<watcherinfo xmlns="` + spaceWatchers + `" ` + head + `><watcher-list resource="sip:a@b" package="presence">` + content + `</watcher-list></watcherinfo>`
	}
	watcher := func(id string) string {
		return `<watcher id="` + id + `" status="active" event="subscribe">sip:c@b</watcher>`
	}
	list := func(head, content string) string {
		return `<list xmlns="` + spaceRLMI + `" uri="sip:f@b" ` + head + `>` + content + `</list>`
	}
	const full, partial = `version="0" fullState="true"`, `version="1" fullState="false"`
	instance := func(attributes string) string {
		return list(partial, `<resource uri="sip:c@b"><instance id="1" `+attributes+`/></resource>`)
	}
	for _, c := range []struct{ name, doc, want string }{
		{"watchers that are right", watchers(`version="0" state="full"`, watcher("w1")+watcher("W.1-!%*_+`'~")), ""},
		{"WIN-036 ids of watchers differ", watchers(`version="1" state="partial"`, watcher("a")+`</watcher-list><watcher-list resource="sip:a@b" package="dialog">`+watcher("a")), LintWatcher},
		{"WIN-036 an id is a token", watchers(`version="1" state="full"`, watcher("a b")), LintToken},
		{"WIN-036 an id is not empty", watchers(`version="1" state="full"`, watcher("")), LintToken},
		{"the first document is full", watchers(`version="0" state="partial"`, ""), LintFirst},
		{"a list that is right", list(full, `<resource uri="sip:c@b"><instance id="1" state="active" cid="a@b"/><instance id="2" state="terminated" reason="x"/></resource><resource uri="sip:d@b"/>`), ""},
		{"RLS-039 the first list is full", list(`version="0" fullState="0"`, ""), LintFirst},
		{"a later list is partial", list(partial, ""), ""},
		{"RLS-007 resources differ", list(full, `<resource uri="sip:c@b"/><resource uri="sip:c@b"/>`), LintResource},
		{"RLS-042 ids of instances differ", list(full, `<resource uri="sip:c@b"><instance id="1" state="pending"/><instance id="1" state="pending"/></resource>`), LintInstanceID},
		{"RLS-042 an active one has its state", instance(`state="active"`), LintNoCID},
		{"RLS-042 a terminated one has a reason", instance(`state="terminated"`), LintReason},
		{"RLS-006 a cid has no angle brackets", instance(`state="active" cid="&lt;a@b>"`), LintCID},
		{"RLS-006 a cid of a list is no URI", list(full+` cid="CID:a@b"`, ""), LintCID},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := rules(t, c.doc); got != c.want {
				t.Errorf("got %q, want %q\n%s", got, c.want, c.doc)
			}
		})
	}
}

func TestContactLint(t *testing.T) {
	for contact, want := range map[string]string{
		"sip:watcher@example.com":       LintContact,
		"SIPS:watcher@EXAMPLE.com:5061": LintContact,
		"sip:a@example.com;x=y":         "",
		"sip:a@192.0.2.1:5060":          "",
		"sip:b@192.0.2.1":               "",
		"sip:%61@example.com":           "",
		"sip:tgruu.x@example.com;gr":    "",
		"sip:x@example.com;gr=urn:y":    "",
		"tel:+1":                        "",
		"sip:example.com":               "",
		"im:b@example.com":              "",
		"":                              "",
	} {
		t.Run("a contact of somebody else "+contact, func(t *testing.T) {
			doc := presence(`<tuple id="t"><status><basic>open</basic></status><contact>` + contact + `</contact></tuple>`)
			if got := rules(t, doc); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}
