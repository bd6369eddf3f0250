// Package xcapwatch is the subscriber of the event package xcap-diff (RFC 5875): it keeps copies of XCAP documents in step with their
// server, by the patches that notifications carry (RFC 5874) and by fetching what they do not tell. It says what it has learned as
// Events.
package xcapwatch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"imp/internal/doc/xcapdiff"
	"imp/internal/xml/patch"
)

// Fetcher fetches documents over XCAP.
type Fetcher interface {
	// Fetch gets the document at a path below the XCAP root, percent-encoded as notifications have it, unless its entity-tag still
	// is etag; "" always gets it. The error is ErrNotModified when it is, and ErrGone when there is no document, or none that may
	// be read.
	Fetch(ctx context.Context, path, etag string) (newETag string, doc []byte, err error)
}

// The errors of a Fetcher that are answers.
var (
	ErrNotModified = errors.New("the document has the entity-tag that is known")
	ErrGone        = errors.New("there is no such document")
)

// Kind tells Events apart.
type Kind uint8

// What is learned.
const (
	Document  Kind = iota // a document has another version, or is there for the first time; Doc has it where bodies are kept
	Removed               // a document is gone
	Element               // an element is as Node says
	Attribute             // an attribute is as Node says
)

// Event is what is learned of one resource.
type Event struct {
	Kind   Kind
	Path   string // of a document, below the XCAP root; of a node its Sel
	Action xcapdiff.Action
	// ETag and Previous are those of the copy now and before, "" without; where no bodies are kept, as the notifier told them.
	ETag, Previous string
	Doc            []byte                // the document as it is now; nil where bodies are not kept
	Operations     []patch.OperationView // that have led to it, with Action Patch
	Fetched        bool                  // it was fetched
	Node           xcapdiff.Node
}

// ErrPatch says that operations of a notification could not be applied, so that patches are better done without (RFC 5875 section
// 4.8). What they were for has been fetched.
var ErrPatch = errors.New("the operations of a notification could not be applied")

// Config says how copies are kept.
type Config struct {
	// Fetch gets documents; nil keeps no bodies, only what is told of entity-tags.
	Fetch Fetcher
	// MaxDocuments bounds how many documents are kept; 0: 10,000.
	MaxDocuments int
}

// Copies are the documents that a subscriber keeps. They are for one goroutine.
type Copies struct {
	cfg Config
	by  map[string]*copied
	// stale says that what was told before counts only where it is told again (RFC 5875 section 4.8).
	stale bool
}

// copied is the copy of one document.
type copied struct {
	cached xcapdiff.Cached
	told   string // the entity-tag that the notifier told last, "" when the document is gone
	wanted bool   // it is to be fetched
}

// New makes copies of nothing yet.
func New(cfg Config) *Copies {
	if cfg.MaxDocuments == 0 {
		cfg.MaxDocuments = 10_000
	}
	return &Copies{cfg: cfg, by: map[string]*copied{}}
}

// Keep puts a copy that is at hand from earlier.
func (c *Copies) Keep(path, etag string, doc []byte) {
	c.by[path] = &copied{cached: xcapdiff.Cached{ETag: etag, Doc: doc}}
	c.stale = true
}

// Document returns the copy of a document, and its entity-tag; "" when there is none.
func (c *Copies) Document(path string) (doc []byte, etag string) {
	if d := c.by[path]; d != nil {
		return d.cached.Doc, d.cached.ETag
	}
	return nil, ""
}

// Synced reports whether all copies are what the notifier told last.
func (c *Copies) Synced() bool {
	for _, d := range c.by {
		if d.cached.ETag != d.told {
			return false
		}
	}
	return true
}

// Stale notes that all state is to be told anew: a subscription begins, or was refreshed without a condition (RFC 5875 section 4.8).
func (c *Copies) Stale() { c.stale = true }

// Take takes over the body of a notification, fetches what it does not tell, and returns what was learned, in the order of the body
// and what was fetched behind. Of a document there is one event for each change that was applied. The error is that of a body which is
// no XCAP diff document, a *FetchError, or one that is ErrPatch; what was learned comes with it.
func (c *Copies) Take(ctx context.Context, body []byte) ([]Event, error) {
	d, err := xcapdiff.Parse(body)
	if err != nil {
		return nil, err
	}
	var events []Event
	var touched []string
	failed := error(nil)
	for i := range d.Changes {
		ch := &d.Changes[i]
		e, ok, err := c.take(ch)
		if err != nil {
			return events, err
		}
		if ok.broken != nil {
			failed = fmt.Errorf("%s: %w: %w", ch.Sel, ErrPatch, ok.broken)
		}
		if ok.learned {
			events = append(events, e)
		}
		if !slices.Contains(touched, ch.Sel) {
			touched = append(touched, ch.Sel)
		}
	}
	touched = append(touched, c.doubtful(d, touched)...)
	fetched, err := c.fetchAll(ctx, touched)
	events = append(append(events, fetched...), nodes(d)...)
	if failed != nil {
		return events, failed
	}
	return events, err
}

// fetchAll gets those documents that are wanted; the error is that of the last one that failed.
func (c *Copies) fetchAll(ctx context.Context, paths []string) (events []Event, failed error) {
	for _, path := range paths {
		e, learned, err := c.fetch(ctx, path)
		if err != nil {
			failed = err
		}
		if learned {
			events = append(events, e)
		}
	}
	return events, failed
}

// FetchError tells that a document could not be fetched; it still is wanted.
type FetchError struct {
	Path string
	Err  error
}

// Error returns what was being fetched and why it failed.
func (e *FetchError) Error() string { return "fetching " + e.Path + ": " + e.Err.Error() }

// Unwrap returns Err.
func (e *FetchError) Unwrap() error { return e.Err }

// outcome is what became of a change.
type outcome struct {
	learned bool
	broken  error // the operations could not be applied
}

// take takes over one change. Only what leads from the copy is applied: what was told before the copy was fetched is passed over until
// the copy's own entity-tag comes (RFC 5875 section 4.8).
func (c *Copies) take(ch *xcapdiff.Change) (e Event, o outcome, err error) {
	d := c.by[ch.Sel]
	if d == nil {
		if len(c.by) >= c.cfg.MaxDocuments {
			return e, o, fmt.Errorf("more than %d documents are told of", c.cfg.MaxDocuments)
		}
		d = &copied{}
		c.by[ch.Sel] = d
	}
	action := ch.Action()
	e = Event{Path: ch.Sel, Action: action, ETag: ch.NewETag, Previous: ch.PreviousETag}
	d.told = ch.NewETag
	if c.cfg.Fetch == nil {
		return c.note(d, ch, e)
	}
	e.Previous = d.cached.ETag
	switch {
	case d.cached.ETag == ch.NewETag && ch.NewETag != "": // fetched before it was told
		d.wanted = false
		return e, o, nil
	case action == xcapdiff.Exist, action == xcapdiff.Fetch, d.cached.ETag != ch.PreviousETag:
		d.wanted = true
		return e, o, nil
	}
	if _, err := d.cached.Take(ch); err != nil {
		d.wanted = true
		return e, outcome{broken: err}, nil
	}
	d.wanted = false
	if e.ETag, e.Doc = d.cached.ETag, d.cached.Doc; action == xcapdiff.Remove {
		e.Kind = Removed
		delete(c.by, ch.Sel)
	}
	e.Operations = views(ch)
	return e, outcome{learned: true}, nil
}

// note takes over a change where no bodies are kept.
func (c *Copies) note(d *copied, ch *xcapdiff.Change, e Event) (Event, outcome, error) {
	known := d.cached.ETag == ch.NewETag && ch.NewETag != ""
	if d.cached.ETag = ch.NewETag; ch.NewETag == "" {
		e.Kind = Removed
		delete(c.by, ch.Sel)
	}
	e.Operations = views(ch)
	return e, outcome{learned: !known}, nil
}

func views(ch *xcapdiff.Change) (list []patch.OperationView) {
	for _, op := range ch.Operations() {
		list = append(list, op.View())
	}
	return list
}

// doubtful are the documents that the full state should have told of and has not. As a notification does not say whether it is the full
// state, those are looked up, and not given up.
func (c *Copies) doubtful(d *xcapdiff.Document, told []string) (list []string) {
	full := !slices.ContainsFunc(d.Changes, func(ch xcapdiff.Change) bool { return ch.PreviousETag != "" })
	if !c.stale || !full {
		return nil
	}
	c.stale = false
	for path, copy := range c.by {
		if !slices.Contains(told, path) {
			copy.wanted = true
			list = append(list, path)
		}
	}
	slices.Sort(list)
	return list
}

// fetch gets a document that is wanted. What is fetched may be newer than what was told; the next notifications then tell what it has
// already.
func (c *Copies) fetch(ctx context.Context, path string) (e Event, learned bool, err error) {
	d := c.by[path]
	if d == nil || !d.wanted {
		return e, false, nil
	}
	if c.cfg.Fetch == nil { // nothing can be looked up, and it was not told of again
		delete(c.by, path)
		return Event{Kind: Removed, Action: xcapdiff.Remove, Path: path, Previous: d.cached.ETag}, true, nil
	}
	e = Event{Path: path, Action: xcapdiff.Fetch, Previous: d.cached.ETag, Fetched: true}
	etag, doc, err := c.cfg.Fetch.Fetch(ctx, path, d.cached.ETag)
	switch {
	case errors.Is(err, ErrNotModified):
		d.wanted = false
		return e, false, nil
	case errors.Is(err, ErrGone):
		delete(c.by, path)
		e.Kind, e.Action = Removed, xcapdiff.Remove
		return e, e.Previous != "", nil
	case err != nil:
		return e, false, &FetchError{path, err}
	}
	if d.wanted = false; d.cached.ETag == "" {
		e.Action = xcapdiff.Exist
	}
	changed := d.cached.ETag != etag || !bytes.Equal(d.cached.Doc, doc)
	d.cached.Fetched(etag, doc)
	e.ETag, e.Doc = etag, doc
	return e, changed, nil
}

// nodes are the elements and attributes of a diff.
func nodes(d *xcapdiff.Document) (events []Event) {
	for kind, list := range map[Kind][]xcapdiff.Node{Element: d.Elements, Attribute: d.Attributes} {
		for _, n := range list {
			action := xcapdiff.Exist
			if n.Missing {
				action = xcapdiff.Remove
			}
			events = append(events, Event{Kind: kind, Path: n.Sel, Action: action, Node: n})
		}
	}
	slices.SortStableFunc(events, func(a, b Event) int { return strings.Compare(a.Path, b.Path) })
	return events
}
