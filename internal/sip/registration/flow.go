package registration

import (
	"cmp"
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/emiago/sipgo/sip"

	"imp/internal/sip/header"
	"imp/internal/sip/stack"
	"imp/internal/sip/uac"
)

// flow is the registration over one outbound proxy.
type flow struct {
	r    *Registration
	id   int           // reg-id
	hop  stack.Target  // as configured
	wake chan struct{} // full when the binding is to be renewed at once
	turn chan struct{} // full while a REGISTER is unanswered (RFC 3261 section 10.2)

	// Guarded by turn.
	chain   *uac.Chain
	asked   time.Duration
	plain   bool // the first hop does not support flows: 439
	to      stack.Target
	contact string // URI registered last, "" when there is none
	mapped  string // Contact as the registrar sees it, "" where that is the same
	stale   string // Contact that the one corrected replaces

	// Guarded by Registration.mu, as is conn for those who do not have the turn.
	conn              Flow
	outbound          bool
	every             time.Duration // Flow-Timer, 0 when it is not told
	at                time.Time     // of the last success
	until, refreshAt  time.Time
	public, temporary string
	failures          int  // in a row
	unproven          bool // the last success still has to show that the flow works
	retryAt           time.Time
}

// inTurn calls do when no other REGISTER of the flow is unanswered. What it
// returns early for ctx goes on to its end behind the scenes.
func (f *flow) inTurn(ctx context.Context, do func(context.Context) (Registered, error)) (Registered, error) {
	type result struct {
		got Registered
		err error
	}
	select {
	case f.turn <- struct{}{}:
	case <-ctx.Done():
		return Registered{}, ctx.Err()
	}
	done := make(chan result, 1)
	go func() {
		got, err := do(ctx)
		<-f.turn
		done <- result{got, err}
	}()
	select {
	case r := <-done:
		return r.got, r.err
	case <-ctx.Done():
		return Registered{}, ctx.Err()
	}
}

// connect finds the flow when there is none that lives.
func (f *flow) connect(ctx context.Context) error {
	if f.conn != nil {
		select {
		case <-f.conn.Done():
			f.drop()
		default:
			return nil
		}
	}
	transports := []string{f.hop.Transport}
	if f.hop.Addr != "" && f.hop.Transport == "" {
		transports = []string{"tcp", "udp"}
	}
	var err error
	for _, t := range transports {
		hop := f.hop
		hop.Transport = t
		var conn Flow
		if f.to, conn, err = f.r.cfg.Connect(ctx, f.r.uri, hop); err == nil {
			f.r.mu.Lock()
			f.conn = conn
			f.r.mu.Unlock()
			f.chain.Hop = f.to
			return nil
		}
		if !errors.Is(err, stack.ErrTransport) {
			break
		}
	}
	return err
}

// drop forgets a flow that has failed.
func (f *flow) drop() {
	f.mapped, f.stale = "", ""
	f.r.mu.Lock()
	defer f.r.mu.Unlock()
	f.conn, f.outbound = nil, false
}

// once sends a REGISTER with fields that concern no flow.
func (f *flow) once(ctx context.Context, fields []byte) (Registered, error) {
	if err := f.connect(ctx); err != nil {
		return Registered{}, err
	}
	res, cause, err := f.send(fields)
	if err != nil {
		return Registered{}, err
	}
	if !res.IsSuccess() {
		return Registered{}, uac.Refusal(res, cause)
	}
	return Registered{Flow: f.id, Bindings: bindingsOf(res)}, nil
}

func (f *flow) send(fields []byte) (res *sip.Response, cause, err error) {
	return f.chain.Exchange(f.r.cfg.Wire, f.r.cfg.Authenticate, f.chain.Request(append(f.supported(), fields...), nil))
}

// supported renders Supported (RFC 5626 section 4.2.1, RFC 5627 section 4.1).
func (f *flow) supported() []byte {
	v := "path"
	if f.regID() > 0 {
		v += ", outbound"
	}
	if f.instance() != "" {
		v += ", gruu"
	}
	return uac.AppendField(nil, "Supported", v)
}

// instance is what goes with the Contact: none with one of somebody else.
func (f *flow) instance() string {
	if f.r.cfg.Foreign != "" {
		return ""
	}
	return f.r.cfg.Instance
}

func (f *flow) regID() int {
	if f.plain || f.r.cfg.NoOutbound || f.instance() == "" {
		return 0
	}
	return f.id
}

// maxRounds bounds the REGISTERs that one registration may take: after a 423,
// after a 439, and with the Contact corrected.
const maxRounds = 4

// register makes or renews the binding.
func (f *flow) register(ctx context.Context) (Registered, error) {
	if err := f.connect(ctx); err != nil {
		return Registered{}, err
	}
	for round := 1; ; round++ {
		f.contact = f.own()
		res, cause, err := f.send(f.fields(f.asked))
		if err != nil {
			f.drop()
			return Registered{}, err
		}
		again := false
		switch raised, ok := uac.Raised(res, f.asked); {
		case ok:
			f.asked, again = raised, true
		case res.StatusCode == firstHopLacksOutbound && f.regID() > 0:
			f.plain, again = true, true
		case !res.IsSuccess():
			return Registered{}, uac.Refusal(res, cause)
		default:
			f.stale = ""
			again = f.correct(res)
		}
		if again && round < maxRounds {
			continue
		}
		if !res.IsSuccess() {
			return Registered{}, uac.Refusal(res, cause)
		}
		return f.accepted(res), nil
	}
}

// firstHopLacksOutbound is the 439 of RFC 5626 section 11.6.
const firstHopLacksOutbound = 439

// own is the URI to register.
func (f *flow) own() string {
	switch {
	case f.r.cfg.Foreign != "":
		return f.r.cfg.Foreign
	case f.mapped != "":
		return f.mapped
	}
	return f.r.cfg.Contact(f.to)
}

// fields renders Contact and Expires; asked 0 leaves the time to the registrar.
func (f *flow) fields(asked time.Duration) []byte {
	b := uac.AppendField(nil, "Contact", f.contactField())
	if f.stale != "" {
		b = uac.AppendField(b, "Contact", "<"+f.stale+">;expires=0")
	}
	if asked > 0 {
		b = uac.AppendField(b, "Expires", strconv.FormatInt(int64((asked+time.Second-1)/time.Second), 10))
	}
	return b
}

func (f *flow) contactField() string {
	c := header.Address{URI: f.contact}
	if urn := f.instance(); urn != "" {
		c.Params = append(c.Params, header.Param{Name: "+sip.instance", Value: "<" + urn + ">", Quoted: true})
	}
	if id := f.regID(); id > 0 {
		c.Params = append(c.Params, header.Param{Name: "reg-id", Value: strconv.Itoa(id)})
	}
	c.Params = append(c.Params, f.r.cfg.Params...)
	return c.String()
}

// correct compares what was registered with where the REGISTER came from as the
// other side saw it (RFC 3581), and tells whether the Contact has to change.
// Over streams the way back is the connection.
func (f *flow) correct(res *sip.Response) bool {
	vias := header.List(res, "Via")
	if len(vias) == 0 || f.r.cfg.Foreign != "" {
		return false
	}
	via, err := header.ParseVia(vias[0])
	if err != nil || via.Transport != "UDP" {
		return false
	}
	u, err := header.ParseURI(f.contact)
	if err != nil {
		return false
	}
	host, port := u.Host, cmp.Or(u.Port, 5060)
	if a, ok := via.Received(); ok {
		if host = a.String(); a.Is6() {
			host = "[" + host + "]"
		}
	}
	if p, ok := via.RPort(); ok {
		port = p
	}
	if host == u.Host && port == cmp.Or(u.Port, 5060) {
		return false
	}
	u.Host, u.Port = host, port
	f.mapped = u.String()
	if !requires(res, "outbound") { // else the new one replaces it by its reg-id
		f.stale = f.contact
	}
	return true
}

// requires tells whether an option tag is in Require.
func requires(res *sip.Response, tag string) bool {
	for _, v := range header.List(res, "Require") {
		if v == tag {
			return true
		}
	}
	return false
}

// natRefresh is how often a registration is renewed whose UDP datagrams pass
// an address translator, when there are no keep-alives to hold that open.
const natRefresh = 25 * time.Second

// usualExpires is the duration when neither side tells one.
const usualExpires = time.Hour

// accepted takes over a 2xx.
func (f *flow) accepted(res *sip.Response) Registered {
	got := Registered{Flow: f.id, Contact: f.contact, Bindings: bindingsOf(res), Outbound: f.regID() > 0 && requires(res, "outbound")}
	got.Expires = granted(res, f.asked)
	own := find(got.Bindings, f.contact, f.instance(), f.regID())
	if own != nil && own.Expires >= 0 {
		got.Expires = own.Expires
	}
	now := time.Now()
	f.r.mu.Lock()
	defer f.r.mu.Unlock()
	f.at, f.until, f.outbound = now, now.Add(got.Expires), got.Outbound
	wait := got.Expires - uac.RefreshLead(got.Expires, uac.TransactionTime(f.r.cfg.T1))
	if f.mapped != "" && !got.Outbound {
		wait = min(wait, natRefresh)
	}
	f.refreshAt = now.Add(max(wait, time.Second/2))
	f.every = flowTimer(res)
	f.public, f.temporary = "", ""
	if own != nil {
		f.public, f.temporary = own.Public, own.Temporary
	}
	f.retryAt = time.Time{}
	if got.Expires <= 0 { // to ask again at once would only get the same
		f.retryAt = now.Add(baseAllFailed)
	}
	if f.unproven = got.Outbound; !f.unproven {
		f.failures = 0
	}
	return got
}

// granted is the Expires of a 2xx, for when the Contact does not tell.
func granted(res *sip.Response, asked time.Duration) time.Duration {
	if v, ok, err := header.Single(res, "Expires"); ok && err == nil {
		if s, err := header.ParseExpires(v); err == nil {
			return time.Duration(s) * time.Second
		}
	}
	if asked > 0 {
		return asked
	}
	return usualExpires
}

// flowTimer is the Flow-Timer of RFC 5626 section 10, 0 without.
func flowTimer(res *sip.Response) time.Duration {
	v, _, err := header.Single(res, "Flow-Timer")
	if err != nil {
		return 0
	}
	n, err := strconv.ParseUint(v, 10, 24)
	if err != nil {
		return 0
	}
	return time.Duration(n) * time.Second
}

// registered tells whether the flow holds a binding as far as is known.
func (f *flow) registered() bool {
	f.r.mu.Lock()
	defer f.r.mu.Unlock()
	return f.until.After(time.Now())
}

// remove ends the binding.
func (f *flow) remove(ctx context.Context) (Registered, error) {
	if f.contact == "" {
		f.contact = f.r.cfg.Foreign
	}
	got, err := f.once(ctx, append(uac.AppendField(nil, "Contact", f.contactField()), "Expires: 0\r\n"...))
	if err == nil {
		f.ended()
	}
	return got, err
}

// ended forgets a binding that is gone, and its GRUUs.
func (f *flow) ended() {
	f.r.mu.Lock()
	defer f.r.mu.Unlock()
	f.until, f.refreshAt, f.outbound = time.Time{}, time.Time{}, false
	f.public, f.temporary = "", ""
}
