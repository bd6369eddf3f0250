package pager

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"

	"imp/internal/doc/composing"
	"imp/internal/doc/cpim"
	"imp/internal/doc/imdn"
	"imp/internal/sip/header"
	"imp/internal/sip/stack"
)

// Types are the media types that a receiver takes when it is told no others.
var Types = []string{"text/plain", "text/html", cpim.MediaType, imdn.MediaType, composing.MediaType}

// ReceiverConfig holds what a receiver is told. The zero value works.
type ReceiverConfig struct {
	Types []string // of bodies that are taken, media ranges; nil: Types
	// Queue is the number of messages that wait for their reader, 0: 256. One
	// beyond it is answered 503, so that its sender knows it was not taken.
	Queue int
	// Admit tells whether a message is taken; one that is not is answered 480.
	// It is called by one goroutine at a time and must not block. nil: all are.
	Admit func(*Message) bool
	Now   func() time.Time // the wall clock; nil: time.Now
}

// Message is a message that was received.
type Message struct {
	Time         time.Time      // when it came
	From         header.Address // what its sender says of himself
	To           string         // URI of To
	CallID       string
	Subject      string
	InReplyTo    string
	ReplyTo      string
	Priority     string // lower case, "" = normal
	Organization string
	Date         time.Time
	Expired      bool // it was of use only until some time before it came
	// ContentType of Body, without media type when there is no body.
	ContentType header.ContentType
	Disposition string // type in lower case, "" = render
	Body        []byte
}

// Receiver takes messages; Handle is the handler for MESSAGE. Retransmissions
// and merged requests are the stack's.
type Receiver struct {
	cfg    ReceiverConfig
	types  header.Accept
	accept string
	queue  chan *Message

	mu        sync.Mutex
	answering int // messages with a place in queue whose answer is being sent
	closed    bool
}

// NewReceiver makes a receiver. The error is that of types that are none.
func NewReceiver(cfg ReceiverConfig) (*Receiver, error) {
	if cfg.Types == nil {
		cfg.Types = Types
	}
	if cfg.Queue == 0 {
		cfg.Queue = 256
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	types, err := header.ParseAccept(cfg.Types)
	if err != nil {
		return nil, err
	}
	return &Receiver{cfg: cfg, types: types, accept: strings.Join(cfg.Types, ", "), queue: make(chan *Message, cfg.Queue)}, nil
}

// Accept is what a receiver takes, for OPTIONS.
func (r *Receiver) Accept() string { return r.accept }

// Next waits for a message. The error is io.EOF after Close, when none is left,
// or that of ctx.
func (r *Receiver) Next(ctx context.Context) (*Message, error) {
	select {
	case m, ok := <-r.queue:
		if !ok {
			return nil, io.EOF
		}
		return m, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Close has further messages answered 480. Those taken before are still given
// by Next.
func (r *Receiver) Close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.closed {
		r.closed = true
		r.end()
	}
}

// end closes the queue when nothing more can come; r.mu is held.
func (r *Receiver) end() {
	if r.closed && r.answering == 0 {
		close(r.queue)
	}
}

// Handle answers MESSAGE, at once and whatever becomes of it (RFC 3428 section
// 7). A 200 has neither body nor Contact. Next gives a message when its answer is
// on its way: a program that ends with the message it waited for has answered it.
func (r *Receiver) Handle(_ context.Context, req *stack.Request) *stack.Response {
	to, err := address(req, "To")
	if err != nil {
		return badRequest(err)
	}
	if to.Tag() != "" {
		return stack.Answer(sip.StatusCallTransactionDoesNotExists) // there are no dialogs
	}
	m, refusal := r.read(req, to)
	if refusal != nil {
		return refusal
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return stack.Answer(sip.StatusTemporarilyUnavailable)
	}
	if len(r.queue)+r.answering >= cap(r.queue) {
		return stack.Answer(sip.StatusServiceUnavailable, stack.Field{Name: "Retry-After", Value: "5"})
	}
	if r.cfg.Admit != nil && !r.cfg.Admit(m) {
		return stack.Answer(sip.StatusTemporarilyUnavailable)
	}
	r.answering++
	res := stack.Answer(sip.StatusOK)
	res.Sent = func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.answering--
		r.queue <- m
		r.end()
	}
	return res
}

func badRequest(err error) *stack.Response {
	return &stack.Response{Status: sip.StatusBadRequest, Reason: strings.TrimSpace("Bad " + err.Error())}
}

func address(req *stack.Request, name string) (header.Address, error) {
	v, _, err := header.Single(req.Request, name)
	if err != nil {
		return header.Address{}, err
	}
	return header.ParseAddress(v)
}

// text is the value of a field that may be there once; what is wrong with it
// does not matter to a message.
func text(req *stack.Request, name string) string {
	v, _, err := header.Single(req.Request, name)
	if err != nil {
		return ""
	}
	return v
}

// read makes the message, or the answer that refuses it.
func (r *Receiver) read(req *stack.Request, to header.Address) (*Message, *stack.Response) {
	from, err := address(req, "From")
	if err != nil {
		return nil, badRequest(err)
	}
	// The stack uses its buffers again: all that is kept is copied.
	m := &Message{Time: r.cfg.Now(), From: header.Address{Display: strings.Clone(from.Display), URI: strings.Clone(from.URI)},
		To: strings.Clone(to.URI), CallID: strings.Clone(text(req, "Call-ID")), Subject: strings.Clone(text(req, "Subject")),
		InReplyTo: strings.Clone(text(req, "In-Reply-To")), ReplyTo: strings.Clone(text(req, "Reply-To")),
		Priority: strings.ToLower(strings.Clone(text(req, "Priority"))), Organization: strings.Clone(text(req, "Organization"))}
	if m.Priority == "normal" {
		m.Priority = ""
	}
	m.Date, _ = http.ParseTime(text(req, "Date"))
	m.Expired = expired(req, m)
	if body := req.Body(); len(body) > 0 {
		m.Body = append([]byte(nil), body...)
	}
	if refusal := r.content(req, m); refusal != nil {
		return nil, refusal
	}
	return m, nil
}

// expired tells whether the time is over for which a message is of use: Expires
// counts from Date, or else from now (RFC 3428 section 7).
func expired(req *stack.Request, m *Message) bool {
	v, ok, err := header.Single(req.Request, "Expires")
	if err != nil || !ok || m.Date.IsZero() {
		return false
	}
	s, err := header.ParseExpires(v)
	return err == nil && m.Time.After(m.Date.Add(time.Duration(s)*time.Second))
}

// content judges type and disposition of the body.
func (r *Receiver) content(req *stack.Request, m *Message) *stack.Response {
	v, ok, err := header.Single(req.Request, "Content-Type")
	switch {
	case err != nil:
		return badRequest(err)
	case !ok && len(m.Body) == 0:
		return nil
	case !ok:
		v = "text/plain"
	}
	if m.ContentType, err = header.ParseContentType(strings.Clone(v)); err != nil {
		return badRequest(err)
	}
	if r.types.Quality(m.ContentType.MediaType) == 0 {
		return r.unsupported()
	}
	if in := m.Content().CPIM; in != nil {
		if missing := in.NotUnderstood(); len(missing) > 0 {
			return badRequest(fmt.Errorf("message/cpim: it requires %s", strconv.Quote(missing[0].Local)))
		}
	}
	disposition, params, _ := strings.Cut(text(req, "Content-Disposition"), ";")
	m.Disposition = strings.ToLower(strings.TrimSpace(strings.Clone(disposition)))
	switch m.Disposition {
	case "render":
		m.Disposition = ""
	case "", "notification", "inline", "attachment", "session", "icon", "alert":
	default:
		if !strings.Contains(strings.ToLower(strings.ReplaceAll(params, " ", "")), "handling=optional") {
			return r.unsupported()
		}
	}
	return nil
}

// unsupported is the 415 of RFC 3261 section 21.4.13.
func (r *Receiver) unsupported() *stack.Response {
	return stack.Answer(sip.StatusUnsupportedMediaType, stack.Field{Name: "Accept", Value: r.accept})
}
