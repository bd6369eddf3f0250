package conference

import (
	"strings"
	"time"

	"imp/internal/xml/tree"
)

func readDescription(n tree.Node) *Description {
	d := &Description{Display: text(n, "display-text"), Subject: text(n, "subject"), FreeText: text(n, "free-text"),
		Keywords: strings.Fields(text(n, "keywords")), URIs: entries(child(n, "conf-uris")), ServiceURIs: entries(child(n, "service-uris")),
		MaximumUsers: number(n, "maximum-user-count")}
	for e := range own(child(n, "available-media")) {
		d.Media = append(d.Media, medium(e))
	}
	return d
}

func entries(n tree.Node) (all []Entry) {
	for e := range own(n) {
		all = append(all, Entry{text(e, "uri"), text(e, "display-text"), text(e, "purpose")})
	}
	return all
}

func medium(n tree.Node) Medium {
	m := Medium{ID: attr(n, "id"), Label: attr(n, "label"), Display: text(n, "display-text"), Type: text(n, "type"), Source: text(n, "src-id"), Status: text(n, "status")}
	if m.Label == "" {
		m.Label = text(n, "label")
	}
	return m
}

func readUser(n tree.Node) User {
	u := User{Entity: attr(n, "entity"), State: stateOf(n), Display: text(n, "display-text"), AORs: entries(child(n, "associated-aors")),
		Languages: strings.Fields(text(n, "languages")), Focus: text(n, "cascaded-focus")}
	for e := range own(child(n, "roles")) {
		u.Roles = append(u.Roles, strings.TrimSpace(e.Text()))
	}
	for e := range own(n) {
		if e.Local() == "endpoint" {
			u.Endpoints = append(u.Endpoints, readEndpoint(e))
		}
	}
	return u
}

func readEndpoint(n tree.Node) Endpoint {
	e := Endpoint{Entity: attr(n, "entity"), State: stateOf(n), Display: text(n, "display-text"), Referred: execution(child(n, "referred")),
		Status: text(n, "status"), Joining: text(n, "joining-method"), JoiningInfo: execution(child(n, "joining-info")),
		Disconnection: text(n, "disconnection-method"), LeavingInfo: execution(child(n, "disconnection-info"))}
	for c := range own(n) {
		if c.Local() == "media" {
			e.Media = append(e.Media, medium(c))
		}
	}
	if sip := child(child(n, "call-info"), "sip"); sip.Valid() {
		e.Call = &Identifier{text(sip, "display-text"), text(sip, "call-id"), text(sip, "from-tag"), text(sip, "to-tag")}
	}
	return e
}

// execution reads a time without a zone as UTC, which section 5.3.1 demands.
func execution(n tree.Node) *Execution {
	if !n.Valid() {
		return nil
	}
	e := &Execution{Reason: text(n, "reason"), By: text(n, "by")}
	when := text(n, "when")
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999"} {
		if t, err := time.Parse(layout, when); err == nil {
			e.When = t.UTC()
			break
		}
	}
	return e
}
