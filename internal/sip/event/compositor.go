package event

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"

	"imp/internal/sip/header"
	"imp/internal/sip/stack"
	"imp/internal/store"
)

// CompositorConfig holds what a compositor is told. Store and Resources are
// needed.
type CompositorConfig struct {
	Store     store.KV
	Resources Resources
	// Identify gives the canonical identity of the publisher, or the response
	// that refuses him, before anything else about a request is judged (RFC
	// 3903 section 6). nil takes the From URI.
	Identify func(r *stack.Request) (publisher string, refusal *stack.Response)
	// Authorize tells whether a publisher may publish for a resource; who may
	// not is answered 403. nil lets everybody.
	Authorize func(publisher, resource string) bool
	// Watched tells whether state of a resource is held in memory, so that what
	// is written must have come there before it is answered. nil: always.
	Watched func(event, resource string) bool
	// AllowEvents is what a 489 lists (RFC 3903 table 2); nil lists the
	// compositor's own packages.
	AllowEvents []string
	// Agent names this server in Warning; "" is "imp".
	Agent string
	Log   *slog.Logger // nil discards
	// MaxPublications bounds the live publications of one resource and event;
	// beyond it PUBLISH is answered 503. 0: 100.
	MaxPublications int
	// MaxBytes bounds the bodies of these publications together, at which it
	// may be exceeded by as much again: what is composed of them must fit a
	// message that watchers take. A body that is larger by itself is answered
	// 413, one that is too much with the others 503. 0: 384 KiB.
	MaxBytes int
}

// Compositor is the event state compositor of RFC 3903. Each publication is
// one key of the store, and one compare-and-swap decides each request, so any
// number of compositors may share a store. What packages learn of state, own
// writes included, they learn from the store's watch, in Run.
type Compositor struct {
	cfg      CompositorConfig
	packages map[string]Publishable
	allow    stack.Field // Allow-Events
	echo     echo
	sinks    map[string]func(Change)
}

// NewCompositor makes a compositor for the packages.
func NewCompositor(cfg CompositorConfig, packages ...Publishable) *Compositor {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Agent == "" {
		cfg.Agent = "imp"
	}
	if cfg.MaxPublications == 0 {
		cfg.MaxPublications = 100
	}
	if cfg.MaxBytes == 0 {
		cfg.MaxBytes = 384 << 10
	}
	if cfg.Identify == nil {
		cfg.Identify = fromIdentity
	}
	c := &Compositor{cfg: cfg, packages: map[string]Publishable{}, sinks: map[string]func(Change){}}
	var names []string
	for _, p := range packages {
		c.packages[p.Name()] = p
		names = append(names, p.Name())
	}
	if cfg.AllowEvents != nil {
		names = cfg.AllowEvents
	}
	c.allow = stack.Field{Name: "Allow-Events", Value: strings.Join(names, ", ")}
	return c
}

// publish is one PUBLISH as far as it has been read.
type publish struct {
	resource string
	pkg      Publishable
	tag      string      // of SIP-If-Match, "" without
	entry    store.Entry // what the tag named when the request was read
	duration time.Duration
	doc      *Doc // nil without body
}

// Publish answers PUBLISH; it is the handler for that method. The steps are
// those of RFC 3903 section 6, in its order.
func (c *Compositor) Publish(ctx context.Context, r *stack.Request) *stack.Response {
	p, refusal := c.read(ctx, r)
	if refusal != nil {
		return refusal
	}
	if p.tag == "" {
		return c.initial(ctx, p)
	}
	return c.change(ctx, p)
}

// read judges all that can be judged without changing anything.
func (c *Compositor) read(ctx context.Context, r *stack.Request) (*publish, *stack.Response) {
	p, refusal := c.readTarget(r)
	if refusal != nil {
		return nil, refusal
	}
	var err error
	if p.tag, err = readIfMatch(r); err != nil {
		return nil, badRequest(err)
	}
	if p.tag != "" {
		if p.entry, err = c.current(ctx, p); err != nil {
			return nil, c.failed(err)
		}
	}
	asked, given, err := readExpires(r)
	if err != nil {
		return nil, badRequest(err)
	}
	if p.duration, refusal = lifetime(p.pkg.Defaults(), asked, given); refusal != nil {
		return nil, refusal
	}
	refusal = c.readBody(r, p)
	return p, refusal
}

// readTarget judges who publishes what for whom.
func (c *Compositor) readTarget(r *stack.Request) (*publish, *stack.Response) {
	publisher, refusal := c.cfg.Identify(r)
	if refusal != nil {
		return nil, refusal
	}
	uri, err := header.ParseURI(r.URI())
	if err != nil {
		return nil, badRequest(err)
	}
	resource, ok := c.cfg.Resources.Resource(uri)
	if !ok {
		return nil, stack.Answer(sip.StatusNotFound)
	}
	ev, refusal := readEvent(r, c.allow)
	if refusal != nil {
		return nil, refusal
	}
	pkg := c.packages[ev.Package]
	if pkg == nil {
		return nil, badEvent(c.allow)
	}
	if c.cfg.Authorize != nil && !c.cfg.Authorize(publisher, resource) {
		return nil, stack.Answer(sip.StatusForbidden)
	}
	return &publish{resource: resource, pkg: pkg}, nil
}

// readIfMatch gives the tag of SIP-If-Match, "" without one.
func readIfMatch(r *stack.Request) (string, error) {
	v, ok, err := header.Single(r.Request, "SIP-If-Match")
	if err != nil || !ok {
		return "", err
	}
	return header.ParseETag(v)
}

// lifetime applies the package's limits to a publication. Unlike SUBSCRIBE
// there is no hour above which 423 is forbidden (RFC 3903 section 6 step 4).
func lifetime(d Defaults, asked time.Duration, given bool) (time.Duration, *stack.Response) {
	least, most, usual := limits(d)
	if !given {
		return min(usual, most), nil
	}
	if asked > 0 && asked < least {
		return 0, stack.Answer(sip.StatusIntervalToBrief,
			stack.Field{Name: "Min-Expires", Value: strconv.FormatInt(seconds(least), 10)})
	}
	return min(asked, most), nil
}

// readBody judges the body: it must be there for an initial publication, of a
// known type, and acceptable to the package.
func (c *Compositor) readBody(r *stack.Request, p *publish) *stack.Response {
	b := body(r)
	if b == nil {
		if p.tag == "" {
			return &stack.Response{Status: sip.StatusBadRequest, Reason: "Body Or SIP-If-Match Needed"}
		}
		return nil
	}
	doc, err := p.pkg.Check(contentType(r), b)
	if err != nil {
		return c.unacceptable(err)
	}
	if p.tag == "" && doc.Change != nil {
		return &stack.Response{Status: sip.StatusBadRequest, Reason: "Invalid Partial Publication"}
	}
	p.doc = &doc
	return nil
}

// unacceptable turns an error of a package about a document into its response.
func (c *Compositor) unacceptable(err error) *stack.Response {
	var unsupported *UnsupportedType
	var refusal *Refusal
	switch {
	case errors.As(err, &unsupported):
		return stack.Answer(sip.StatusUnsupportedMediaType, stack.Field{Name: "Accept", Value: strings.Join(unsupported.Accept, ", ")})
	case errors.As(err, &refusal):
		return refusal.response()
	}
	return stack.Answer(sip.StatusBadRequest, warning(c.cfg.Agent, err.Error()))
}

// initial makes a new publication.
func (c *Compositor) initial(ctx context.Context, p *publish) *stack.Response {
	pub := Publication{ID: newPublicationID(), writeID: newWriteID(), Type: p.doc.Type, Body: p.doc.Body, Published: time.Now()}
	if p.duration == 0 {
		return published(&pub, 0)
	}
	if refusal := c.room(ctx, p, p.doc); refusal != nil {
		return refusal
	}
	key := publicationKey(p.resource, p.pkg.Name(), pub.ID)
	if err := c.write(ctx, p, key, &pub, 0, p.duration); err != nil {
		return c.failed(err)
	}
	return published(&pub, p.duration)
}

// room refuses a document that is too much for its resource. One that replaces
// a larger one never is, nor one within its share.
func (c *Compositor) room(ctx context.Context, p *publish, doc *Doc) *stack.Response {
	size := len(doc.Body)
	if size > c.cfg.MaxBytes {
		return stack.Answer(sip.StatusRequestEntityTooLarge)
	}
	if p.tag != "" && (size <= c.cfg.MaxBytes/c.cfg.MaxPublications || size <= len(p.entry.Value)) {
		return nil
	}
	count := 0
	for e, err := range c.cfg.Store.Scan(ctx, store.Key("pub", p.resource, p.pkg.Name())) {
		if err != nil {
			return c.failed(err)
		}
		if p.tag != "" && e.Key == p.entry.Key {
			continue
		}
		count++
		size += len(e.Value)
	}
	if count >= c.cfg.MaxPublications || size > c.cfg.MaxBytes {
		return stack.Answer(sip.StatusServiceUnavailable, stack.Field{Name: "Retry-After", Value: "60"})
	}
	return nil
}

// current is the entry of the publication that p's tag names, errStale when
// the tag is not its current one or its form is not one that can be read: the
// publisher then publishes anew.
func (c *Compositor) current(ctx context.Context, p *publish) (store.Entry, error) {
	id := splitTag(p.tag)
	if id == "" {
		return store.Entry{}, errStale
	}
	e, err := c.cfg.Store.Get(ctx, publicationKey(p.resource, p.pkg.Name(), id))
	if errors.Is(err, store.ErrNotFound) {
		return store.Entry{}, errStale
	}
	if err != nil {
		return store.Entry{}, err
	}
	if pub, err := decodePublication(id, e); err != nil || pub.Tag() != p.tag {
		return store.Entry{}, errStale
	}
	return e, nil
}

var errStale = errors.New("no publication has this entity-tag")

// maxTries bounds the retries after a spurious conflict of the store.
const maxTries = 5

// change refreshes, modifies or removes the publication that the tag names.
func (c *Compositor) change(ctx context.Context, p *publish) *stack.Response {
	e, err := p.entry, error(nil)
	for range maxTries {
		var pub Publication
		if pub, err = decodePublication(splitTag(p.tag), e); err != nil {
			break
		}
		pub.seq++
		pub.writeID = newWriteID()
		if p.duration == 0 {
			err = c.remove(ctx, p, e)
		} else {
			if refusal := c.modify(ctx, p, &pub); refusal != nil {
				return refusal
			}
			err = c.write(ctx, p, e.Key, &pub, e.Rev, p.duration)
		}
		if err == nil {
			return published(&pub, p.duration)
		}
		if !errors.Is(err, store.ErrConflict) {
			break
		}
		// Perhaps only another write was under way: the tag decides.
		if e, err = c.current(ctx, p); err != nil {
			break
		}
		err = store.ErrConflict
	}
	return c.failed(err)
}

// modify gives a publication its new state, if p has one.
func (c *Compositor) modify(ctx context.Context, p *publish, pub *Publication) *stack.Response {
	if p.doc == nil {
		return nil
	}
	doc := *p.doc
	if doc.Change != nil {
		var err error
		if doc, err = doc.Change(Doc{Type: pub.Type, Body: pub.Body}); err != nil {
			return c.unacceptable(err)
		}
	}
	pub.Type, pub.Body, pub.Published = doc.Type, doc.Body, time.Now()
	return c.room(ctx, p, &doc)
}

// expect has the watch looked out for what is to be written, where that matters.
func (c *Compositor) expect(p *publish, key string) *echoWait {
	if c.cfg.Watched != nil && !c.cfg.Watched(p.pkg.Name(), p.resource) {
		return nil // whoever comes now reads the store
	}
	return c.echo.expect(key)
}

// write puts a publication and waits until the watch has told of it, so that
// whoever gets the answer finds the state.
func (c *Compositor) write(ctx context.Context, p *publish, key string, pub *Publication, want store.Rev, ttl time.Duration) error {
	w := c.expect(p, key)
	defer c.echo.forget(w)
	rev, err := c.cfg.Store.Put(ctx, key, pub.encode(), want, ttl)
	if errors.Is(err, store.ErrUnknown) || errors.Is(err, store.ErrConflict) {
		// What is there tells by its write id whether it is this very write.
		e, gerr := c.cfg.Store.Get(ctx, key)
		if gerr != nil {
			return err
		}
		got, derr := decodePublication(pub.ID, e)
		if derr != nil || got.writeID != pub.writeID {
			return err
		}
		rev, err = e.Rev, nil
	}
	if err != nil {
		return err
	}
	c.echo.wait(ctx, w, rev)
	return nil
}

func (c *Compositor) remove(ctx context.Context, p *publish, e store.Entry) error {
	w := c.expect(p, e.Key)
	defer c.echo.forget(w)
	err := c.cfg.Store.Delete(ctx, e.Key, e.Rev)
	if errors.Is(err, store.ErrUnknown) {
		if _, gerr := c.cfg.Store.Get(ctx, e.Key); errors.Is(gerr, store.ErrNotFound) {
			err = nil // gone, as was wanted
		}
	}
	if errors.Is(err, store.ErrNotFound) {
		return errStale // it expired or went meanwhile
	}
	if err != nil {
		return err
	}
	c.echo.wait(ctx, w, e.Rev+1)
	return nil
}

// published is the 200 of RFC 3903 section 6 step 6.
func published(p *Publication, d time.Duration) *stack.Response {
	return stack.Answer(sip.StatusOK,
		stack.Field{Name: "SIP-ETag", Value: p.Tag()},
		stack.Field{Name: "Expires", Value: strconv.FormatInt(seconds(d), 10)})
}

// failed turns an error of a change into its response.
func (c *Compositor) failed(err error) *stack.Response {
	switch {
	case errors.Is(err, errStale):
		return &stack.Response{Status: 412, Reason: "Conditional Request Failed"}
	case errors.Is(err, store.ErrTooLarge):
		return stack.Answer(sip.StatusRequestEntityTooLarge)
	case errors.Is(err, store.ErrUnavailable), errors.Is(err, store.ErrConflict),
		errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return stack.Answer(sip.StatusServiceUnavailable, stack.Field{Name: "Retry-After", Value: "10"})
	}
	c.cfg.Log.Error("storing a publication", "error", err)
	if errors.Is(err, store.ErrUnknown) {
		return stack.Answer(sip.StatusGatewayTimeout)
	}
	return stack.Answer(sip.StatusInternalServerError)
}

// Publications are the live publications of a resource, in no certain order.
// One that this version cannot read is left out.
func (c *Compositor) Publications(ctx context.Context, event, resource string) ([]Publication, error) {
	var pubs []Publication
	for e, err := range c.cfg.Store.Scan(ctx, store.Key("pub", resource, event)) {
		if err != nil {
			return nil, fmt.Errorf("reading the publications of %s: %w", resource, err)
		}
		id := e.Key[strings.LastIndexByte(e.Key, '.')+1:]
		pub, err := decodePublication(id, e)
		if err != nil {
			c.cfg.Log.Error("reading a publication", "key", e.Key, "error", err)
			continue
		}
		pubs = append(pubs, pub)
	}
	return pubs, nil
}
