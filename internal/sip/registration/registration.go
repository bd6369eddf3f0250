// Package registration implements the client side of registration: RFC 3261
// section 10.2, with the flows of RFC 5626 section 4 and the GRUUs of RFC 5627
// section 4.
package registration

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"sync"
	"time"

	"imp/internal/sip/header"
	"imp/internal/sip/stack"
	"imp/internal/sip/uac"
)

// Flow is the way that a registration went, over which requests for the user
// come back. *stack.Flow is one.
type Flow interface {
	// Ping asks the other side for a sign of life.
	Ping(ctx context.Context) (mapped netip.AddrPort, err error)
	// KeepAlive pings at random intervals, at least as often as every, 0 standing
	// for what is usual, until ctx is done or the flow has failed.
	KeepAlive(ctx context.Context, every time.Duration) error
	// Done is closed when the flow is.
	Done() <-chan struct{}
}

// Connector finds the flow to a hop, which when zero is located for a URI, and
// gives the target that leads over it.
type Connector func(ctx context.Context, uri string, hop stack.Target) (stack.Target, Flow, error)

// Over is the Connector of a stack.
func Over(s *stack.Stack) Connector {
	return func(ctx context.Context, uri string, hop stack.Target) (stack.Target, Flow, error) {
		f, err := s.Connect(ctx, uri, hop)
		if err != nil {
			return stack.Target{}, nil, err
		}
		return stack.Target{Flow: f, Transport: f.Transport(), Addr: f.Remote().String(), Domain: hop.Domain}, f, nil
	}
}

// Config holds what a registration is told. Wire, Connect and AOR are needed,
// and Contact or Foreign.
type Config struct {
	Wire    uac.Wire
	Connect Connector
	AOR     header.Address // the address of record: To and From
	// Registrar is the Request-URI; "" is the domain of the address of record.
	Registrar string
	// Proxies are the outbound proxies, over each of which there is a flow (RFC
	// 5626 section 4.2.1); none: one flow to where the Request-URI leads. One
	// without a transport is reached over TCP, or else UDP.
	Proxies []stack.Target
	// Contact gives the URI under which the peer at to reaches this user agent.
	Contact func(to stack.Target) string
	// Instance is the URN of this user agent instance, which must stay the same
	// over restarts (RFC 5626 section 4.1); "" registers neither flows nor GRUUs.
	Instance string
	// NoOutbound registers without flows, for bindings that are to outlive the
	// connection.
	NoOutbound bool
	// Foreign is registered in place of a Contact of our own: neither instance
	// nor flow goes with it (RFC 5626 section 4.2.3).
	Foreign string
	Params  header.Params // further ones of Contact, such as q
	Expires time.Duration // to ask for; 0 leaves it to the registrar
	T1      time.Duration // as that of the stack; 0: 500 ms
	// Authenticate answers challenges; nil takes them as refusals.
	Authenticate uac.Authenticator
	// Wall is the wall clock, by which Run knows that the machine has slept; nil:
	// the system's.
	Wall func() time.Time
	// Random gives numbers from 0 up to 1, for the waits of section 4.5 of RFC
	// 5626; nil: those of math/rand.
	Random func() float64
}

// Registration keeps the bindings of one user agent instance to one address of
// record. Its methods are safe for concurrent use.
type Registration struct {
	cfg   Config
	uri   string // Request-URI
	flows []*flow

	mu sync.Mutex // of the state of all flows
}

// New makes a registration; nothing is sent yet. The error is that of a config
// that makes no well-formed REGISTER, or one that no registrar may take.
func New(cfg Config) (*Registration, error) {
	aor, err := header.ParseURI(cfg.AOR.URI)
	if err != nil {
		return nil, fmt.Errorf("address of record %q: %w", cfg.AOR.URI, err)
	}
	r := &Registration{cfg: cfg, uri: cfg.Registrar}
	if r.uri == "" {
		r.uri = header.URI{Scheme: aor.Scheme, Host: aor.Host, Port: aor.Port}.String()
	}
	if cfg.Foreign != "" {
		if err := registrable(cfg.Foreign, aor); err != nil {
			return nil, err
		}
	}
	if strings.ContainsAny(cfg.Instance, "<>\"\\\r\n") {
		return nil, fmt.Errorf("instance %q: it is no URN", cfg.Instance)
	}
	if r.cfg.Random == nil {
		r.cfg.Random = rand.Float64
	}
	hops := cfg.Proxies
	if len(hops) == 0 {
		hops = []stack.Target{{}}
	}
	for i, hop := range hops {
		f := &flow{r: r, id: i + 1, hop: hop, asked: cfg.Expires, turn: make(chan struct{}, 1), wake: make(chan struct{}, 1)}
		f.chain, err = uac.NewChain(uac.ChainConfig{Method: "REGISTER", URI: r.uri, To: cfg.AOR.URI, From: cfg.AOR})
		if err != nil {
			return nil, err
		}
		r.flows = append(r.flows, f)
	}
	return r, nil
}

// registrable refuses Contacts that lead back to the address of record (RFC
// 5627 section 4.1).
func registrable(contact string, aor header.URI) error {
	u, err := header.ParseURI(contact)
	if err != nil {
		return fmt.Errorf("contact %q: %w", contact, err)
	}
	if (u.Scheme == "sip" || u.Scheme == "sips") && u.AOR() == aor.AOR() {
		return fmt.Errorf("contact %q: it is the address of record itself", contact)
	}
	return nil
}

// Registered is what a registrar answered over one flow.
type Registered struct {
	Flow     int           // counts the outbound proxies from 1: the reg-id
	Contact  string        // URI that is registered; "" after a query or removal
	Expires  time.Duration // until it ends unless it is renewed
	Outbound bool          // requests come back over the flow (RFC 5626)
	Bindings []Binding     // all of the address of record
}

// ErrNotRegistered is returned by Remove when there is nothing to remove.
var ErrNotRegistered = errors.New("nothing is registered")

// Register registers over every flow and waits for the answers; one success is
// enough. Errors are *uac.ResponseError, those of the stack, and that of ctx.
func (r *Registration) Register(ctx context.Context) ([]Registered, error) {
	return r.over(r.flows, func(f *flow) (Registered, error) {
		got, err := f.inTurn(ctx, f.register)
		if err != nil {
			f.failed(err)
		}
		return got, err
	})
}

// over does something over several flows at once. It fails when no flow
// succeeds.
func (r *Registration) over(flows []*flow, do func(*flow) (Registered, error)) ([]Registered, error) {
	got, errs := make([]Registered, len(flows)), make([]error, len(flows))
	var all sync.WaitGroup
	for i, f := range flows {
		all.Go(func() { got[i], errs[i] = do(f) })
	}
	all.Wait()
	var well []Registered
	for i := range flows {
		if errs[i] == nil {
			well = append(well, got[i])
		}
	}
	if len(well) == 0 {
		return nil, errs[0]
	}
	return well, nil
}

// Query asks for the bindings of the address of record and changes nothing.
// Errors are those of Register.
func (r *Registration) Query(ctx context.Context) ([]Binding, error) {
	f := r.flows[0]
	got, err := f.inTurn(ctx, func(ctx context.Context) (Registered, error) { return f.once(ctx, nil) })
	return got.Bindings, err
}

// RemoveAll removes the bindings of all user agents of the address of record
// (RFC 3261 section 10.2.2). Errors are those of Register.
func (r *Registration) RemoveAll(ctx context.Context) error {
	f := r.flows[0]
	_, err := f.inTurn(ctx, func(ctx context.Context) (Registered, error) {
		return f.once(ctx, []byte("Contact: *\r\nExpires: 0\r\n"))
	})
	if err == nil {
		for _, f := range r.flows {
			f.ended()
		}
	}
	return err
}

// Remove removes what Register registered. Without that it removes the Foreign
// contact, or else what the registrar has from this instance, maybe of a
// process before this one. It returns ErrNotRegistered when that is nothing;
// other errors are those of Register.
func (r *Registration) Remove(ctx context.Context) error {
	var own []*flow
	for _, f := range r.flows {
		if f.registered() || r.cfg.Foreign != "" {
			own = append(own, f)
		}
	}
	if len(own) == 0 {
		return r.removeInstance(ctx)
	}
	_, err := r.over(own, func(f *flow) (Registered, error) { return f.inTurn(ctx, f.remove) })
	return err
}

// removeInstance removes every binding of the instance.
func (r *Registration) removeInstance(ctx context.Context) error {
	all, err := r.Query(ctx)
	if err != nil {
		return err
	}
	var fields []byte
	for _, b := range all {
		if r.cfg.Instance != "" && strings.EqualFold(b.Instance, r.cfg.Instance) {
			fields = uac.AppendField(fields, "Contact", "<"+b.URI+">;expires=0")
		}
	}
	if fields == nil {
		return ErrNotRegistered
	}
	f := r.flows[0]
	_, err = f.inTurn(ctx, func(ctx context.Context) (Registered, error) { return f.once(ctx, fields) })
	return err
}

// GRUU gives the globally routable URIs that the registrar made for this
// instance, "" for one that it made none of (RFC 5627 section 4.2). They are
// told as long as the registration lives only, and unchanged.
func (r *Registration) GRUU() (public, temporary string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var latest time.Time
	for _, f := range r.flows {
		if f.until.After(time.Now()) && f.at.After(latest) && f.public+f.temporary != "" {
			public, temporary, latest = f.public, f.temporary, f.at
		}
	}
	return public, temporary
}
