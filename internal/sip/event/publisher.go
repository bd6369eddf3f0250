package event

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"imp/internal/sip/header"
	"imp/internal/sip/stack"
	"imp/internal/sip/uac"
)

// PublisherConfig holds what a publisher is told. Wire, Resource, From and
// Event are needed.
type PublisherConfig struct {
	Wire     Wire
	Resource string         // URI of the presentity: Request-URI and To
	From     header.Address // URI and display name of the publishing user; its parameters are not used
	Event    header.Event
	Expires  time.Duration // to ask for; 0 leaves it to the compositor
	Fields   []stack.Field // of every PUBLISH
	Route    Route
	Tag      string        // entity-tag of an earlier publication, to be gone on with; "" begins a new one
	T1       time.Duration // as that of the stack; 0: 500 ms
	// Authenticate answers challenges; nil takes them as refusals.
	Authenticate Authenticator
	// Turns is shared by the publishers of one user agent, so that two of them
	// for one Request-URI wait for each other. nil: this publisher is alone.
	Turns *Turns
}

// Operation is what a PUBLISH does (RFC 3903 section 4.1).
type Operation string

// The operations.
const (
	OpInitial Operation = "initial"
	OpRefresh Operation = "refresh"
	OpModify  Operation = "modify"
	OpRemove  Operation = "remove"
)

// Published is the success of a PUBLISH.
type Published struct {
	Operation Operation // the one that succeeded, which is OpInitial after a 412 to another
	Tag       string    // entity-tag by now; "" after OpRemove
	Expires   time.Duration
}

// Publisher keeps one publication: the event publication agent of RFC 3903
// for one chain of entity-tags. Its methods are safe for concurrent use and
// wait for each other; what they return early for ctx goes on to its end
// behind the scenes, because no other PUBLISH may be sent before that.
type Publisher struct {
	cfg         PublisherConfig
	fields      []byte // rendered, of every PUBLISH
	turn        *turn
	transaction time.Duration

	// Guarded by turn.
	chain *uac.Chain
	asked time.Duration

	mu        sync.Mutex
	tag       string
	doc       Doc       // as accepted last; its Body is nil when that is not known
	refreshAt time.Time // zero: never
	changed   chan struct{}
}

// NewPublisher makes a publisher; nothing is sent yet. The error is that of a
// config that makes no well-formed PUBLISH.
func NewPublisher(cfg PublisherConfig) (*Publisher, error) {
	chain, err := uac.NewChain(uac.ChainConfig{Method: "PUBLISH", URI: cfg.Resource, From: cfg.From, Route: cfg.Route})
	if err != nil {
		return nil, err
	}
	fields, err := renderEvent(cfg.Event)
	if err != nil {
		return nil, err
	}
	more, err := uac.RenderFields(cfg.Fields)
	if err != nil {
		return nil, err
	}
	if cfg.Tag != "" {
		if cfg.Tag, err = header.ParseETag(cfg.Tag); err != nil {
			return nil, err
		}
	}
	p := &Publisher{cfg: cfg, fields: append(fields, more...), chain: chain, asked: cfg.Expires, tag: cfg.Tag,
		transaction: uac.TransactionTime(cfg.T1), changed: make(chan struct{}, 1)}
	if cfg.Tag != "" {
		p.refreshAt = time.Now() // how long it still lasts is not known
	}
	switch {
	case cfg.Expires == 0:
		p.asked = noExpires
	case cfg.Expires < time.Second:
		return nil, fmt.Errorf("duration %v: one second is the least", cfg.Expires)
	}
	turns := cfg.Turns
	if turns == nil {
		turns = &Turns{}
	}
	p.turn = turns.of(cfg.Resource)
	return p, nil
}

// Tag is the entity-tag by now, "" when nothing is published.
func (p *Publisher) Tag() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.tag
}

// ErrNotPublished is returned by Refresh when there is neither an entity-tag
// nor a document to publish anew.
var ErrNotPublished = errors.New("nothing is published")

// ErrNoETag is wrapped by the error for a 2xx without a legible SIP-ETag. The
// publication may exist, but cannot be refreshed, modified or removed.
var ErrNoETag = errors.New("the answer has no SIP-ETag")

// RetryLaterError says that no PUBLISH is sent before Until, because of the
// Retry-After in a 503 (RFC 3903 section 9). It unwraps to that response.
type RetryLaterError struct {
	Until    time.Time
	Response *ResponseError
}

// Error names the wait that is left.
func (e *RetryLaterError) Error() string {
	return fmt.Sprintf("%v, to be tried again in %d s", e.Response, seconds(time.Until(e.Until)))
}

// Unwrap gives the 503.
func (e *RetryLaterError) Unwrap() error { return e.Response }

// Publish makes d the published state: it modifies the publication when there
// is an entity-tag, and otherwise, or when that is no longer valid (412),
// makes a new one. Errors are *ResponseError (AllowEvents of a 489 and Accept
// of a 415 say what would do), *RetryLaterError, ErrNoETag, those of the
// stack, and that of ctx.
func (p *Publisher) Publish(ctx context.Context, d Doc) (Published, error) {
	if err := d.fit(); err != nil {
		return Published{}, err
	}
	return p.inTurn(ctx, func() (Published, error) { return p.put(OpModify, d) })
}

// PublishChange is Publish for a state d that change, a document of its own, leads
// to from the one that was published (RFC 5264 section 4.2): change modifies the
// publication there is. Where there is none by now d makes a new one.
func (p *Publisher) PublishChange(ctx context.Context, change, d Doc) (Published, error) {
	if err := errors.Join(change.fit(), d.fit()); err != nil {
		return Published{}, err
	}
	return p.inTurn(ctx, func() (Published, error) {
		if p.Tag() != "" {
			if got, err := p.exchangeOf(OpModify, change, d); !isStale(err) {
				return got, err
			}
		}
		return p.exchange(OpInitial, d)
	})
}

// Modify changes the publication, and makes no new one: when it is gone the
// error is the 412, and ErrNotPublished without an entity-tag. Other errors
// are those of Publish.
func (p *Publisher) Modify(ctx context.Context, d Doc) (Published, error) {
	if err := d.fit(); err != nil {
		return Published{}, err
	}
	return p.inTurn(ctx, func() (Published, error) {
		if p.Tag() == "" {
			return Published{}, ErrNotPublished
		}
		return p.exchange(OpModify, d)
	})
}

// fit is the error of a document that cannot be published.
func (d *Doc) fit() error {
	if len(d.Body) == 0 {
		return errors.New("a publication needs a body")
	}
	_, err := header.ParseContentType(d.Type)
	return err
}

// Refresh prolongs the publication. When it is gone (412), or there never was
// an entity-tag, the document that was accepted last is published anew; the
// 412, or ErrNotPublished, is returned when that is not known. Other errors are
// those of Publish.
func (p *Publisher) Refresh(ctx context.Context) (Published, error) {
	return p.inTurn(ctx, p.refresh)
}

func (p *Publisher) refresh() (Published, error) {
	p.mu.Lock()
	d := p.doc
	p.mu.Unlock()
	return p.put(OpRefresh, d)
}

// put does op with the tag there is, and publishes d anew where that fails.
func (p *Publisher) put(op Operation, d Doc) (Published, error) {
	err := ErrNotPublished
	if p.Tag() != "" {
		var got Published
		if got, err = p.exchange(op, d); !isStale(err) {
			return got, err
		}
	}
	if d.Body == nil {
		return Published{}, err
	}
	return p.exchange(OpInitial, d)
}

// Remove ends the publication. It does nothing when nothing is published, and
// returns a *ResponseError with status 412 when the compositor has no such
// publication any more. Other errors are those of Publish.
func (p *Publisher) Remove(ctx context.Context) error {
	_, err := p.inTurn(ctx, func() (Published, error) {
		if p.Tag() == "" {
			return Published{}, nil
		}
		return p.exchange(OpRemove, Doc{})
	})
	return err
}

// isStale tells whether err is a 412.
func isStale(err error) bool {
	var refused *ResponseError
	return errors.As(err, &refused) && refused.Status == 412
}

// inTurn runs f when no other PUBLISH for the Request-URI is unanswered
// (RFC 3903 section 4).
func (p *Publisher) inTurn(ctx context.Context, f func() (Published, error)) (Published, error) {
	type result struct {
		got Published
		err error
	}
	if err := p.turn.take(ctx); err != nil {
		return Published{}, err
	}
	done := make(chan result, 1)
	go func() {
		got, err := f()
		p.turn.give()
		done <- result{got, err}
	}()
	select {
	case r := <-done:
		return r.got, r.err
	case <-ctx.Done():
		return Published{}, ctx.Err()
	}
}
