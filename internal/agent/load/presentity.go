package load

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/emiago/sipgo/sip"

	"imp/internal/sip/dialog"
	"imp/internal/sip/event"
	"imp/internal/sip/header"
	"imp/internal/sip/stack"
)

// presentity is one that is published for. It belongs to whoever took it from
// the idle ones until its PUBLISH is answered: there is one at a time (RFC 3903
// section 4).
type presentity struct {
	g     *generator
	uri   string
	out   stack.Outgoing
	head  []byte // what all requests share, up to fixed, and the rest of the last one
	fixed int
	body  []byte
	mark  int // where number and time stand in body
	seq   uint32
	tag   string        // entity-tag, "" without a publication
	sent  time.Duration // when the last PUBLISH was
	as    uint64        // the number that it publishes
	lasts bool          // or takes the publication back
	back  func(error)   // told when it is answered
	done  func(*sip.Response, error)

	busy   atomic.Bool   // a PUBLISH is without an answer
	number atomic.Uint64 // of the last document that was accepted
	count  atomic.Uint64 // how many of those are measured

	hearing sync.Mutex
	heard   uint64 // number of the document that watchers hear of at present
	by      int    // how many have
}

func (p *presentity) init(g *generator, i int, uri string) {
	p.g, p.uri, p.done = g, uri, p.answered
	p.head = fmt.Appendf(nil, "Max-Forwards: 70\r\nFrom: <%s>;tag=p%d%s\r\nTo: <%s>\r\nCall-ID: p%d.%s\r\nEvent: presence\r\n",
		g.cfg.From, i, g.id, uri, i, g.id)
	p.fixed = len(p.head)
	p.body, p.mark = document(uri, g.id, g.cfg.BodySize)
	p.out = stack.Outgoing{Method: "PUBLISH", URI: uri, Target: g.hop(uri)}
}

// hop is where requests for uri go first.
func (g *generator) hop(uri string) stack.Target {
	if g.cfg.Hop.Addr != "" {
		return g.cfg.Hop
	}
	to := dialog.Hop(uri)
	if g.cfg.Hop.Transport != "" {
		to.Transport = g.cfg.Hop.Transport
	}
	return to
}

// accepted is the number of the last document that the server has accepted,
// counted how many of those accepted are measured.
func (p *presentity) accepted() uint64 { return p.number.Load() }
func (p *presentity) counted() uint64  { return p.count.Load() }

// hears counts a watcher who hears of a document d after it was sent.
func (p *presentity) hears(number uint64, d time.Duration) {
	p.hearing.Lock()
	defer p.hearing.Unlock()
	if number < p.heard {
		return
	}
	if number > p.heard {
		p.heard, p.by = number, 0
	}
	if p.by++; p.by == p.g.cfg.Watchers {
		p.g.complete.add(d)
	}
}

// begin makes the publication.
func (p *presentity) begin(done func(error)) {
	p.publish(p.g.cfg.Expires, func(err error) {
		if err != nil {
			err = &SetupError{Doing: "publishing for " + p.uri, Err: err}
		}
		done(err)
	})
}

// kind is what a PUBLISH of the load does.
type kind uint8

const (
	modify kind = iota
	refresh
	renew
)

// change sends the next PUBLISH for the load, two to renew, and gives the
// presentity back when it is answered. Without a publication it makes one.
func (p *presentity) change(what kind) {
	switch {
	case what == refresh && p.tag != "":
		p.send(p.g.cfg.Expires, false, p.changed)
	case what == renew && p.tag != "":
		p.publish(0, func(err error) {
			if err != nil {
				p.changed(err)
				return
			}
			p.change(modify)
		})
	default:
		p.publish(p.g.cfg.Expires, p.changed)
	}
}

// changed ends a PUBLISH of the load. One that failed rests, as long as a 503
// asks for (RFC 3903 section 9).
func (p *presentity) changed(err error) {
	if err == nil {
		p.g.giveBack(p)
		return
	}
	if p.g.measured(p.sent) {
		p.g.fail(failure(err))
	}
	pause := rest
	var refused *event.ResponseError
	if errors.As(err, &refused) {
		if asked, ok := refused.RetryAfter(); ok {
			pause = max(pause, asked)
		}
	}
	time.AfterFunc(pause, func() { p.g.idle <- p })
	<-p.g.slots
}

// end takes the publication back.
func (p *presentity) end(done func(error)) {
	switch {
	case p.busy.Load():
		done(stack.ErrTimeout) // still without an answer, so the tag is not known
	case p.tag == "":
		done(nil)
	default:
		p.publish(0, done)
	}
}

// publish sends one PUBLISH; back is called when it is answered, with nil for a
// 2xx. To last no time is to be removed, without a document.
func (p *presentity) publish(expires time.Duration, back func(error)) {
	p.send(expires, expires > 0, back)
}

func (p *presentity) send(expires time.Duration, document bool, back func(error)) {
	p.lasts = expires > 0
	p.busy.Store(true)
	p.seq++
	p.back = back
	b := p.head[:p.fixed]
	b = append(strconv.AppendUint(append(b, "CSeq: "...), uint64(p.seq), 10), " PUBLISH\r\nExpires: "...)
	b = append(strconv.AppendInt(b, int64(expires/time.Second), 10), "\r\n"...)
	if p.tag != "" {
		b = append(append(append(b, "SIP-If-Match: "...), p.tag...), "\r\n"...)
	}
	p.as, p.sent = p.accepted(), p.g.now()
	if p.out.Body = nil; document {
		b = append(b, "Content-Type: application/pidf+xml\r\n"...)
		p.as++
		writeMark(p.body[p.mark:], p.as, p.sent)
		p.out.Body = p.body
	}
	p.head, p.out.Head = b, b
	p.g.send(&p.out, p.next, p.done)
}

// next is the CSeq of a PUBLISH that is sent again with credentials.
func (p *presentity) next() uint32 {
	p.seq++
	return p.seq
}

// answered takes the end of the transaction.
func (p *presentity) answered(res *sip.Response, err error) {
	now := p.g.now()
	if err == nil {
		err = p.accept(res)
	}
	if err == nil && p.lasts {
		p.number.Store(p.as)
		if p.g.measured(p.sent) {
			if p.out.Body != nil {
				p.count.Add(1)
			}
			p.g.response.add(now - p.sent)
			p.g.lastAccepted.Store(int64(now))
		}
	}
	back := p.back
	p.busy.Store(false)
	back(err)
}

// errNoTag ends a PUBLISH whose 2xx lacks what RFC 3903 section 6 wants.
var errNoTag = errors.New("2xx to PUBLISH without SIP-ETag")

// accept takes the entity-tag of a 2xx; the first must last for the run. After a 412 there is no publication any
// more, so the next PUBLISH begins one (RFC 3903 section 5).
func (p *presentity) accept(res *sip.Response) error {
	if !res.IsSuccess() {
		if res.StatusCode == 412 {
			p.tag = ""
		}
		return refusal(res, nil)
	}
	tag, ok, err := header.Single(res, "SIP-ETag")
	if err != nil || !ok {
		return errNoTag
	}
	if p.tag = strings.Clone(tag); !p.lasts {
		p.tag = ""
		return nil
	}
	if p.accepted() == 0 {
		return p.g.enough(res)
	}
	return nil
}

// TooShortError is a publication or subscription that would end before the run.
type TooShortError struct{ Granted, Needed time.Duration }

// Error gives both durations.
func (e *TooShortError) Error() string {
	return fmt.Sprintf("the server grants %v, and the run takes up to %v", e.Granted, e.Needed)
}

// enough tells whether what a 2xx grants lasts for the run.
func (g *generator) enough(res *sip.Response) error {
	v, ok, err := header.Single(res, "Expires")
	if err != nil || !ok {
		return nil
	}
	s, err := header.ParseExpires(v)
	if granted := time.Duration(s) * time.Second; err == nil && granted < g.lifetime() {
		return &TooShortError{Granted: granted, Needed: g.lifetime()}
	}
	return nil
}

// failure names an error as reports count it.
func failure(err error) string {
	var refused *event.ResponseError
	switch {
	case errors.As(err, &refused):
		return strconv.Itoa(refused.Status)
	case errors.Is(err, stack.ErrTimeout):
		return "no answer"
	case errors.Is(err, stack.ErrTransport):
		return "network"
	}
	return "other"
}
