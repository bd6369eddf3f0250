package rules

import (
	"cmp"
	"encoding/binary"
	"slices"
	"strings"
	"time"

	"imp/internal/xml/lexical"
)

// Request is what the conditions are held against.
type Request struct {
	// Identities are the URIs that the watcher was authenticated as; none: not authenticated. A match of any counts, for exceptions too.
	Identities []string
	Sphere     string // of the presentity, "" when it is undefined (RFC 5025 section 3.1.2)
	Now        time.Time
}

// Verdict tells of one rule whether it applies.
type Verdict struct {
	Rule    string `json:"rule" doc:"id of the rule"`
	Applies bool   `json:"applies" doc:"all conditions are true"`
	Why     string `json:"why" doc:"the condition that is not true"`
}

// Evaluate combines the permissions of all rules that apply (RFC 4745 section 10): booleans by OR, numbers by maximum, sets by union. Without any the
// permissions are zero, which is to block.
func Evaluate(sets []*Ruleset, req Request) Permissions {
	var p Permissions
	m := newMatcher(req)
	for _, set := range sets {
		for i := range set.Rules {
			if m.rule(&set.Rules[i]) == "" {
				p.Merge(&set.Rules[i].Permissions)
			}
		}
	}
	p.normalize()
	return p
}

// normalize orders the sets, so that equal permissions are written alike.
func (p *Permissions) normalize() {
	slices.SortFunc(p.UnknownAttributes, func(a, b Attribute) int {
		return cmp.Or(strings.Compare(a.NS, b.NS), strings.Compare(a.Name, b.Name))
	})
	p.UnknownAttributes = slices.Compact(p.UnknownAttributes)
	for _, s := range []*Selection{p.Services, p.Persons, p.Devices} {
		if s == nil {
			continue
		}
		for _, list := range []*[]string{&s.Classes, &s.OccurrenceIDs, &s.DeviceIDs, &s.URIs, &s.Schemes} {
			slices.Sort(*list)
			*list = slices.Compact(*list)
		}
	}
}

// Key names what the permissions of Evaluate show of a document: equal keys show
// the same. It is no text for people.
func (p *Permissions) Key() string {
	b := []byte{byte(p.UserInput), byte(p.Provide), byte(p.Provide >> 8), 0}
	if p.AllAttributes {
		b = []byte{0, 0, 0, 1}
	}
	for _, s := range []*Selection{p.Services, p.Persons, p.Devices} {
		b = s.appendKey(b)
	}
	if !p.AllAttributes {
		for _, a := range p.UnknownAttributes {
			b = appendKey(appendKey(b, a.NS), a.Name)
		}
	}
	return string(b)
}

func (s *Selection) appendKey(b []byte) []byte {
	switch {
	case s == nil:
		return append(b, 0)
	case s.All:
		return append(b, 1)
	}
	b = append(b, 2)
	for _, list := range [][]string{s.Classes, s.OccurrenceIDs, s.DeviceIDs, s.URIs, s.Schemes} {
		b = binary.AppendUvarint(b, uint64(len(list)))
		for _, v := range list {
			b = appendKey(b, v)
		}
	}
	return b
}

func appendKey(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// Explain returns the verdict on each rule, in the order of the documents.
func Explain(sets []*Ruleset, req Request) []Verdict {
	var list []Verdict
	m := newMatcher(req)
	for _, set := range sets {
		for i := range set.Rules {
			why := m.rule(&set.Rules[i])
			list = append(list, Verdict{set.Rules[i].ID, why == "", why})
		}
	}
	return list
}

// NextBound returns the first time after now at which a validity begins or ends, zero when there is none: until then time alone changes no result
// (RFC 4745 section 7.4).
func (d *Ruleset) NextBound(now time.Time) time.Time {
	var next time.Time
	for i := range d.Rules {
		for j := range d.Rules[i].Conditions {
			for _, p := range d.Rules[i].Conditions[j].Validity {
				span, _ := p.times()
				for _, t := range span {
					if t.After(now) && (next.IsZero() || t.Before(next)) {
						next = t
					}
				}
			}
		}
	}
	return next
}

// Spheres reports whether a rule asks for the sphere of the presentity.
func (d *Ruleset) Spheres() bool {
	for i := range d.Rules {
		for j := range d.Rules[i].Conditions {
			if c := &d.Rules[i].Conditions[j]; len(c.Identity) == 0 && c.Sphere != "" {
				return true
			}
		}
	}
	return false
}

// times returns begin and end. A time without a zone is taken as UTC. Forms of xs:dateTime that RFC 3339 does not have are not understood.
func (p Period) times() (span [2]time.Time, ok bool) {
	for i, s := range []string{p.From, p.Until} {
		t, err := time.Parse(time.RFC3339Nano, s)
		if err != nil {
			if t, err = time.Parse("2006-01-02T15:04:05.999999999", s); err != nil {
				return [2]time.Time{}, false
			}
		}
		span[i] = t
	}
	return span, !strings.Contains(p.From+p.Until, ",")
}

// Merge adds what others grant. The permissions that it starts from have to be zero, or what Merge made of them, as their slices grow.
func (p *Permissions) Merge(q *Permissions) {
	p.Handling = max(p.Handling, q.Handling)
	p.UserInput = max(p.UserInput, q.UserInput)
	p.Provide |= q.Provide
	p.AllAttributes = p.AllAttributes || q.AllAttributes
	p.Services, p.Persons, p.Devices = p.Services.add(q.Services), p.Persons.add(q.Persons), p.Devices.add(q.Devices)
	p.UnknownAttributes = append(p.UnknownAttributes, q.UnknownAttributes...)
}

// add selects also what another selection does, which stays as it is.
func (s *Selection) add(o *Selection) *Selection {
	if o == nil {
		return s
	}
	if s == nil {
		s = &Selection{}
	}
	s.All = s.All || o.All
	s.Classes = append(s.Classes, o.Classes...)
	s.OccurrenceIDs = append(s.OccurrenceIDs, o.OccurrenceIDs...)
	s.DeviceIDs = append(s.DeviceIDs, o.DeviceIDs...)
	s.URIs = append(s.URIs, o.URIs...)
	s.Schemes = append(s.Schemes, o.Schemes...)
	s.Unknown = append(s.Unknown, o.Unknown...)
	return s
}

// matcher holds a request in the forms that are compared.
type matcher struct {
	req     Request
	ids     []string
	domains []string
}

func newMatcher(req Request) *matcher {
	m := &matcher{req: req}
	for _, id := range req.Identities {
		m.ids = append(m.ids, canonical(id))
		m.domains = append(m.domains, domainOf(id))
	}
	return m
}

// rule returns the condition that is not true, "" when the rule applies.
func (m *matcher) rule(r *Rule) string {
	for i := range r.Conditions {
		c := &r.Conditions[i]
		switch {
		case len(c.Identity) > 0:
			if !slices.ContainsFunc(c.Identity, m.identity) {
				return "identity: the watcher is none of those"
			}
		case c.Sphere != "":
			if m.req.Sphere == "" || !slices.ContainsFunc(strings.Fields(c.Sphere), func(s string) bool { return strings.EqualFold(s, m.req.Sphere) }) {
				return "sphere: it is not " + lexical.Clip(c.Sphere)
			}
		case c.Unknown != nil:
			return "condition {" + lexical.Clip(c.Unknown.Space) + "}" + lexical.Clip(c.Unknown.Local) + ": it is not known"
		case !slices.ContainsFunc(c.Validity, m.within):
			return "validity: it is at another time"
		}
	}
	return ""
}

func (m *matcher) within(p Period) bool {
	span, ok := p.times()
	return ok && !m.req.Now.Before(span[0]) && m.req.Now.Before(span[1])
}

// identity reports whether the watcher is meant. Exceptions hold for any of its identities.
func (m *matcher) identity(id Identity) bool {
	switch {
	case len(id.Unknown) > 0 || len(m.ids) == 0:
		return false
	case !id.Many:
		one := canonical(id.One)
		return one != "" && slices.Contains(m.ids, one)
	case slices.ContainsFunc(id.Except, m.excepted):
		return false
	}
	return id.Domain == "" || m.in(id.Domain)
}

func (m *matcher) excepted(e Except) bool {
	return e.ID != "" && slices.Contains(m.ids, canonical(e.ID)) || e.Domain != "" && m.in(e.Domain)
}

func (m *matcher) in(domain string) bool {
	d := ascii(domain)
	return d != "" && slices.Contains(m.domains, d)
}

// canonical brings a URI into the form in which URIs are compared: scheme and host in small letters, escapes of unreserved characters undone, no
// parameters and headers. The user stays as it is.
func canonical(uri string) string {
	if isCanonical(uri) {
		return uri
	}
	scheme, rest, ok := strings.Cut(lexical.Trim(uri), ":")
	if !ok {
		return ""
	}
	scheme = strings.ToLower(scheme)
	if scheme != "sip" && scheme != "sips" && scheme != "pres" && scheme != "im" {
		rest, _, _ = strings.Cut(rest, ";")
		return scheme + ":" + unescape(rest)
	}
	user, host := "", rest
	if at := strings.LastIndexByte(rest, '@'); at >= 0 {
		user, host = unescape(rest[:at])+"@", rest[at+1:]
	}
	if end := strings.IndexAny(host, ";?"); end >= 0 {
		host = host[:end]
	}
	return scheme + ":" + user + strings.ToLower(unescape(host))
}

// isCanonical finds most of the URIs that are in the form already.
func isCanonical(uri string) bool {
	for i := range len(uri) {
		switch c := uri[i]; {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '.', c == '@', c == ':' && i > 0, c == '-', c == '+', c == '_':
		default:
			return false
		}
	}
	return strings.IndexByte(uri, ':') > 0
}

// domainOf returns the domain of a URI with a user and host, "" when it has none.
func domainOf(uri string) string {
	_, host, ok := strings.Cut(canonical(uri), "@")
	if !ok {
		return ""
	}
	if !strings.HasPrefix(host, "[") {
		host, _, _ = strings.Cut(host, ":")
	}
	return ascii(host)
}

// unescape undoes escapes of unreserved characters (RFC 3986 section 2.3).
func unescape(s string) string { return lexical.Unescape(s, "-._~") }
