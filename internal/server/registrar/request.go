package registrar

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"imp/internal/sip/header"
	"imp/internal/sip/proxy"
	"imp/internal/sip/stack"
)

// request is a REGISTER as far as it has been read.
type request struct {
	aor      string
	domain   string
	callID   string
	cseq     uint32
	contacts []contact
	all      bool // Contact: *
	path     []string
	agent    string
	received string // transport:host:port that it came from
	flow     *stack.Flow
	direct   bool // nobody is between the client and this server
	nat      bool // the client does not know the address it is seen at
	outbound bool // is in Supported
	gruu     bool // is in Supported
	granted  bool // an outbound registration is made (RFC 5626 section 6)
	queried  bool // there is no Contact
}

// contact is one value of Contact.
type contact struct {
	uri      string
	parsed   header.URI
	params   string
	q        int
	instance string
	regID    int
	life     time.Duration
}

// Bounds of what one REGISTER may make this server keep, in bytes.
const (
	maxContactSize = 1024
	maxPathSize    = 2048
	maxTextSize    = 256
)

func refuse(status int, reason string, fields ...stack.Field) *stack.Response {
	return &stack.Response{Status: status, Reason: reason, Fields: fields}
}

// read judges a REGISTER up to its contacts (RFC 3261 section 10.3 steps 1 to 5).
func (r *Registrar) read(m *stack.Request) (*request, *stack.Response) {
	from, refusal := r.identify(m)
	if refusal != nil {
		return nil, refusal
	}
	to, err := single(m, "To")
	if err != nil {
		return nil, refuse(400, "Malformed To")
	}
	if to.Scheme != "sip" && to.Scheme != "sips" {
		return nil, refuse(400, "To Is No SIP URI")
	}
	aor, domain, ok := r.address(to)
	if !ok {
		return nil, refuse(404, "")
	}
	if aor != from {
		return nil, refuse(403, "Not Your Address Of Record")
	}
	target, err := header.ParseURI(m.Recipient.String())
	if err != nil || target.Scheme != "sip" && target.Scheme != "sips" {
		return nil, refuse(400, "Malformed Request-URI")
	}
	if host := strings.ToLower(target.Host); host != domain && (r.named(host) || !r.own(target)) || !r.exists(to, domain) {
		return nil, refuse(404, "")
	}
	q := &request{aor: aor, domain: domain, flow: m.Flow, cseq: m.CSeq().SeqNo, callID: m.CallID().Value()}
	q.received = fmt.Sprintf("%s:%s", m.Flow.Transport(), m.Flow.Remote())
	q.path = header.List(m.Request, "Path")
	q.readHops(m)
	for _, tag := range header.List(m.Request, "Supported") {
		q.outbound = q.outbound || strings.EqualFold(tag, "outbound")
		q.gruu = q.gruu || strings.EqualFold(tag, "gruu")
	}
	for _, tag := range header.List(m.Request, "Require") {
		q.outbound = q.outbound || strings.EqualFold(tag, "outbound")
		q.gruu = q.gruu || strings.EqualFold(tag, "gruu")
	}
	if v, ok, err := header.Single(m.Request, "User-Agent"); ok && err == nil {
		q.agent = clip(v)
	}
	if len(strings.Join(q.path, "")) > maxPathSize || len(q.callID) > maxTextSize {
		return nil, refuse(400, "Path Or Call-ID Too Long")
	}
	return q, r.readContacts(m, q)
}

func clip(s string) string { return strings.Clone(s[:min(len(s), maxTextSize)]) }

func single(m *stack.Request, name string) (header.URI, error) {
	v, _, err := header.Single(m.Request, name)
	if err != nil {
		return header.URI{}, err
	}
	a, err := header.ParseAddress(v)
	if err != nil {
		return header.URI{}, err
	}
	return header.ParseURI(a.URI)
}

// identify gives the address of record of who sent a request.
func (r *Registrar) identify(m *stack.Request) (string, *stack.Response) {
	if r.cfg.Guard != nil {
		return r.cfg.Guard.Identify(m)
	}
	u, err := single(m, "From")
	if err != nil {
		return "", refuse(400, "Malformed From")
	}
	aor, _ := r.AOR(u)
	return aor, nil
}

// readHops finds out who is between the client and this server.
func (q *request) readHops(m *stack.Request) {
	vias := header.List(m.Request, "Via")
	q.direct = len(vias) == 1
	if !q.direct {
		return
	}
	if via, err := header.ParseVia(vias[0]); err == nil {
		source := m.Flow.Remote().Addr().WithZone("").String()
		q.nat = !strings.EqualFold(strings.Trim(via.Host, "[]"), source)
	}
}

// readContacts judges Contact (RFC 3261 section 10.3 steps 6 and 7, RFC 5626 section 6, RFC 5627 section 5.1).
func (r *Registrar) readContacts(m *stack.Request, q *request) *stack.Response {
	expires, given := int64(r.cfg.Expires/time.Second), false
	if v, ok, _ := header.Single(m.Request, "Expires"); ok {
		expires, given = seconds(v), true
	}
	list := header.List(m.Request, "Contact")
	if len(list) == 0 {
		q.queried = true
		return nil
	}
	addresses, star, err := header.ParseContacts(list)
	switch {
	case err != nil:
		return refuse(400, "Malformed Contact")
	case star:
		if !given || expires != 0 {
			return refuse(400, "Contact * Without Expires 0")
		}
		q.all = true
		return nil
	}
	if len(addresses) > 2*r.cfg.MaxContacts { // as many may go as come
		return refuse(403, "Too Many Contacts")
	}
	for _, a := range addresses {
		c, refusal := r.readContact(a, expires)
		if refusal != nil {
			return refusal
		}
		if refusal := r.checkContact(q, c); refusal != nil {
			return refusal
		}
		q.contacts = append(q.contacts, c)
	}
	if refusal := q.checkSIPS(m); refusal != nil {
		return refusal
	}
	return q.decideOutbound()
}

// checkSIPS takes a sips contact only where all that leads to it is secure too (RFC 5630 section 5.2).
func (q *request) checkSIPS(m *stack.Request) *stack.Response {
	if !slices.ContainsFunc(q.contacts, func(c contact) bool { return c.parsed.Scheme == "sips" && c.life > 0 }) {
		return nil
	}
	secure := strings.EqualFold(m.Recipient.Scheme, "sips")
	for _, v := range q.path {
		a, err := header.ParseAddress(v)
		secure = secure && err == nil && strings.HasPrefix(strings.ToLower(a.URI), "sips:")
	}
	if !secure {
		return refuse(400, "A SIPS Contact Needs SIPS URIs")
	}
	return nil
}

// seconds reads a time; malformed ones count as one hour (RFC 3261 section 20.10).
func seconds(v string) int64 {
	n, err := header.ParseExpires(v)
	if err != nil {
		return 3600
	}
	return int64(n)
}

func (r *Registrar) readContact(a header.Address, expires int64) (c contact, refusal *stack.Response) {
	u, err := header.ParseURI(a.URI)
	if err != nil {
		return c, refuse(400, "Malformed Contact")
	}
	if len(a.URI)+len(a.Params.String()) > maxContactSize {
		return c, refuse(400, "Contact Too Long")
	}
	c = contact{uri: strings.Clone(a.URI), parsed: u, q: 1000}
	if v, ok := a.Params.Get("expires"); ok {
		expires = seconds(v)
	}
	if c.life, refusal = r.granted(expires); refusal != nil {
		return c, refusal
	}
	if v, ok := a.Params.Get("q"); ok {
		if c.q, ok = parseQ(v); !ok {
			return c, refuse(400, "Malformed q")
		}
	}
	if v, ok := a.Params.Get("+sip.instance"); ok {
		c.instance = instanceID(v)
	}
	if v, ok := a.Params.Get("reg-id"); ok {
		n, err := strconv.ParseUint(v, 10, 31)
		if err != nil || n == 0 {
			return c, refuse(400, "Malformed reg-id")
		}
		c.regID = int(n)
	}
	params := a.Params
	for _, set := range [...]string{"expires", "q", "+sip.instance", "reg-id", "pub-gruu", "temp-gruu"} {
		params = params.Del(set)
	}
	c.params = strings.Clone(params.String())
	return c, nil
}

// granted is how long a binding lives that asks for so many seconds.
func (r *Registrar) granted(asked int64) (time.Duration, *stack.Response) {
	d := time.Duration(asked) * time.Second
	if d > 0 && d < time.Hour && d < r.cfg.MinExpires {
		least := strconv.FormatInt(int64((r.cfg.MinExpires+time.Second-1)/time.Second), 10)
		return 0, refuse(423, "", stack.Field{Name: "Min-Expires", Value: least})
	}
	return min(d, r.cfg.MaxExpires), nil
}

// parseQ reads a qvalue as thousandths.
func parseQ(s string) (int, bool) {
	whole, fraction, _ := strings.Cut(s, ".")
	if whole != "0" && whole != "1" || len(fraction) > 3 {
		return 0, false
	}
	n, err := strconv.ParseUint(whole+(fraction + "000")[:3], 10, 16)
	return int(n), err == nil && n <= 1000
}

// instanceID takes an instance ID out of its angle brackets. UUIDs compare without case (RFC 4122 section 3).
func instanceID(v string) string {
	v = strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(v), "<"), ">")
	if len(v) > 9 && strings.EqualFold(v[:9], "urn:uuid:") {
		v = strings.ToLower(v)
	}
	return strings.Clone(v)
}

// checkContact refuses contacts that lead back here, and those that nothing can be sent to (RFC 5627 section 5.1).
func (r *Registrar) checkContact(q *request, c contact) *stack.Response {
	if c.parsed.Scheme != "sip" && c.parsed.Scheme != "sips" {
		return refuse(403, "Contact Is No SIP URI")
	}
	if _, _, ok := r.gruus.open(c.parsed); ok {
		return refuse(403, "Contact Is A GRUU")
	}
	if aor, ok := r.AOR(c.parsed); ok && aor == q.aor && (c.parsed.Port == 0 || r.own(c.parsed)) {
		return refuse(403, "Contact Is The Address Of Record")
	}
	if r.named(strings.ToLower(c.parsed.Host)) && c.parsed.Port == 0 || r.own(c.parsed) {
		return refuse(403, "Contact Is Of This Server")
	}
	return nil
}

// decideOutbound applies the rules of RFC 5626 section 6.
func (q *request) decideOutbound() *stack.Response {
	numbered, lasting := false, 0
	for i := range q.contacts {
		c := &q.contacts[i]
		if c.instance == "" {
			c.regID = 0
		}
		numbered = numbered || c.regID > 0 && c.life > 0
		if c.life > 0 {
			lasting++
		}
	}
	if numbered && lasting > 1 {
		return refuse(400, "More Than One Contact With A reg-id")
	}
	any := slices.ContainsFunc(q.contacts, func(c contact) bool { return c.regID > 0 })
	if !any {
		return nil
	}
	switch {
	case !q.direct && !q.edge():
		if q.outbound {
			return refuse(439, "")
		}
	case q.direct && !q.flow.Stream():
		// Nothing tells when such a flow has ended.
	default:
		q.granted = q.outbound && numbered
		return nil
	}
	for i := range q.contacts {
		q.contacts[i].regID = 0
	}
	return nil
}

// edge tells whether the first hop of a REGISTER keeps the flow: no other proxy may set ob.
func (q *request) edge() bool {
	for _, v := range q.path {
		if a, err := header.ParseAddress(v); err == nil {
			if u, err := header.ParseURI(a.URI); err == nil && u.Params.Has("ob") {
				return true
			}
		}
	}
	return false
}

// binding makes the binding of a contact.
func (r *Registrar) binding(q *request, c contact) *binding {
	b := &binding{URI: c.uri, Params: c.params, Q: c.q, Instance: c.instance, RegID: c.regID, CallID: q.callID, CSeq: q.cseq,
		Path: q.path, Agent: q.agent, ID: stack.NewTag(), Received: q.received}
	if q.direct {
		browser := q.flow.Transport() == "ws" || q.flow.Transport() == "wss"
		b.Flow = r.stack.FlowID(q.flow)
		b.Bound = c.regID > 0 || browser || proxy.IsInvalid(c.parsed.Host)
		b.Prefer = b.Bound || q.nat || q.flow.Stream()
	}
	r.until(b, c.life)
	return b
}
