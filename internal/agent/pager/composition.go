package pager

import (
	"context"
	"errors"
	"sync"
	"time"

	"imp/internal/doc/composing"
	"imp/internal/sip/stack"
	"imp/internal/sip/uac"
)

// Composition tells a peer that messages to him are being composed (RFC 3994,
// page mode). One status message at most is unanswered, one at most waits for
// that; content goes before the one that waits (RFC 3994 section 4). Its methods
// are safe for concurrent use.
type Composition struct {
	sender *Sender
	to     string
	failed func(error)
	now    func() time.Time

	mu       sync.Mutex
	composer *composing.Composer
	timer    *time.Timer
	waits    *composing.Document // for what is under way
	under    chan struct{}       // closed when what is under way is answered, status or content; nil: nothing is
	contents int                 // that are under way or wait
	closed   bool
	ctx      context.Context
	cancel   context.CancelFunc
}

// NewComposition tells a peer by his URI, through a sender. What fails is told
// to failed, which may be nil; a peer that answers 415 is left alone for good.
func NewComposition(sender *Sender, to string, set composing.Settings, failed func(error)) *Composition {
	c := &Composition{sender: sender, to: to, failed: failed, now: sender.cfg.Now, composer: composing.NewComposer(set)}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.timer = time.AfterFunc(time.Hour, c.tick)
	c.timer.Stop()
	return c
}

// Input says that the user has composed something.
func (c *Composition) Input() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.tell(c.composer.Input(c.now()))
	}
}

func (c *Composition) tick() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.tell(c.composer.Tick(c.now()))
	}
}

// tell sends a status message, nil for none, and sets the timer; c.mu is held.
func (c *Composition) tell(d *composing.Document) {
	switch at := c.composer.Next(); {
	case at.IsZero():
		c.timer.Stop()
	default:
		c.timer.Reset(max(at.Sub(c.now()), 0))
	}
	switch {
	case d == nil:
	case c.under != nil:
		c.waits = d
	default:
		c.under = make(chan struct{})
		go c.send(d)
	}
}

// send sends status messages until none waits.
func (c *Composition) send(d *composing.Document) {
	for d != nil {
		_, err := c.sender.Send(c.ctx, Outgoing{To: c.to, Type: composing.MediaType, Body: d.Bytes(),
			Fields: []stack.Field{{Name: "Priority", Value: "non-urgent"}, {Name: "Expires", Value: "0"}}})
		d = c.answered(err)
	}
}

// answered says what became of a status message, and gives the next one.
func (c *Composition) answered(err error) (next *composing.Document) {
	if err != nil && c.failed != nil {
		c.failed(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	var refused *uac.ResponseError
	if errors.As(err, &refused) && refused.Status == 415 {
		c.composer.Stop()
		c.waits = nil
		c.timer.Stop()
	}
	return c.next()
}

// next ends what is under way, and gives the status message to be sent now, nil
// for none; c.mu is held.
func (c *Composition) next() (d *composing.Document) {
	if c.contents == 0 && !c.closed {
		d, c.waits = c.waits, nil
	}
	if d == nil {
		close(c.under)
		c.under = nil
	}
	return d
}

// Content says that content is to be sent, by which the user is idle, and waits
// until it can be: the status message that is under way goes first, others wait
// until sent is called. The error is that of ctx.
func (c *Composition) Content(ctx context.Context) (sent func(), err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.composer.Sent(c.now())
	c.waits = nil
	c.timer.Stop()
	c.contents++
	for c.under != nil {
		under := c.under
		c.mu.Unlock()
		select {
		case <-under:
		case <-ctx.Done():
			err = ctx.Err()
		}
		if c.mu.Lock(); err != nil {
			c.contents--
			return func() {}, err
		}
	}
	c.under = make(chan struct{})
	return c.sent, nil
}

func (c *Composition) sent() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.contents--
	if d := c.next(); d != nil {
		go c.send(d)
	}
}

// Close ends it. It tells the peer nothing more, and waits for what is under way
// to be given up.
func (c *Composition) Close() {
	c.mu.Lock()
	c.closed, c.waits = true, nil
	c.timer.Stop()
	under := c.under
	c.mu.Unlock()
	c.cancel()
	if under != nil {
		<-under
	}
}
