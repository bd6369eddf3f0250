package call

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"

	"imp/internal/doc/sdp"
	"imp/internal/msrp/file"
	"imp/internal/sip/uac"
)

// Line is what is offered in one m-line.
type Line struct {
	File      *sdp.File // nil: a session for messages
	Direction sdp.Direction
	TLS       bool
}

// Connection is a call with its MSRP sessions, one for each m-line (RFC 4975 section 8, RFC 5547 section 8).
type Connection struct {
	Call *Call

	e      *Endpoint
	decide Decide
	begin  func(*Leg)

	mu     sync.Mutex
	legs   []*Leg // nil for a line that was refused
	ledger file.Ledger
}

// Decide tells whether a line is accepted, and what our line says of its file, nil when it has none. A refusal is an
// error; the status of a *Refusal is that of the call when no line is accepted, else 488.
type Decide func(offer *sdp.Media) (*sdp.File, error)

// Refusal is a Decide's error with a status.
type Refusal struct {
	Status int
	Why    string
}

func (r *Refusal) Error() string { return r.Why }

// Legs are the sessions by m-line, nil for one that is not there.
func (n *Connection) Legs() []*Leg {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]*Leg(nil), n.legs...)
}

// Connect calls with one session for each line. errs tells for each why it was refused. When all were, the call has
// ended and err is the first of errs; another err is that of Invite.
func (a *Agent) Connect(ctx context.Context, e *Endpoint, out Outgoing, lines []Line) (n *Connection, errs []error, err error) {
	n = &Connection{e: e}
	out.Offer = &sdp.Description{ID: rand.Uint64() >> 1, Version: 1}
	for _, l := range lines {
		leg, err := e.Offer(ctx, l.TLS)
		if err != nil {
			n.close()
			return nil, nil, err
		}
		leg.Line.File, leg.Line.Direction = l.File, l.Direction
		if l.File != nil {
			n.ledger.Judge(l.File)
		}
		n.legs = append(n.legs, leg)
		out.Offer.Media = append(out.Offer.Media, leg.Line)
		out.Offer.Host = leg.Line.Host
	}
	if n.Call, err = a.Invite(ctx, out); err != nil {
		n.close()
		return nil, nil, err
	}
	n.watch()
	errs = n.conclude(ctx, n.Call.Remote())
	for i, err := range errs {
		if errors.Is(err, ErrAgain) {
			n.legs[i].Plain()
		}
	}
	if again(errs) {
		if errs, err = n.offerAgain(ctx, errs); err != nil {
			return nil, nil, err
		}
	}
	for _, err := range errs {
		if err == nil {
			return n, errs, nil
		}
	}
	_ = n.Call.Bye(ctx)
	return nil, errs, errs[0]
}

func again(errs []error) bool {
	for _, err := range errs {
		if errors.Is(err, ErrAgain) {
			return true
		}
	}
	return false
}

// conclude starts the sessions that an answer accepts.
func (n *Connection) conclude(ctx context.Context, answer *sdp.Description) []error {
	errs := make([]error, len(n.legs))
	for i, leg := range n.legs {
		errs[i] = leg.Conclude(ctx, answer.Media[i])
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for i, err := range errs {
		if err != nil && !errors.Is(err, ErrAgain) {
			n.legs[i] = nil
		}
	}
	return errs
}

// offerAgain makes the second offer of RFC 6714 section 4.2.
func (n *Connection) offerAgain(ctx context.Context, errs []error) ([]error, error) {
	d := n.description()
	answer, err := n.Call.Offer(ctx, d)
	if err != nil {
		_ = n.Call.Bye(ctx)
		return nil, err
	}
	for i, before := range errs {
		if !errors.Is(before, ErrAgain) {
			continue
		}
		if errs[i] = n.legs[i].Conclude(ctx, answer.Media[i]); errs[i] != nil {
			n.legs[i].Close()
			n.mu.Lock()
			n.legs[i] = nil
			n.mu.Unlock()
		}
	}
	return errs, nil
}

// description is ours as it is now: lines without a session have port 0.
func (n *Connection) description() *sdp.Description {
	last := n.Call.Local()
	d := &sdp.Description{Host: last.Host}
	n.mu.Lock()
	defer n.mu.Unlock()
	for i, m := range last.Media {
		if i < len(n.legs) && n.legs[i] != nil && !n.legs[i].finished() {
			d.Media = append(d.Media, n.legs[i].Line)
		} else {
			d.Media = append(d.Media, m.Refusal(last.Host))
		}
	}
	return d
}

// watch ends the sessions with the call, and answers what the peer offers.
func (n *Connection) watch() {
	n.Call.OnReoffer(n.reoffer)
	go func() {
		<-n.Call.Done()
		n.settle()
		n.close()
	}()
}

// settle gives what is on its way a moment to arrive: BYE is often faster than the last acknowledgement.
func (n *Connection) settle() {
	over := time.NewTimer(settleTime)
	defer over.Stop()
	for _, leg := range n.Legs() {
		if leg == nil {
			continue
		}
		select {
		case <-leg.idle:
		case <-leg.Session.Done():
		case <-over.C:
			return
		}
	}
}

// settleTime bounds that.
const settleTime = 500 * time.Millisecond

func (n *Connection) close() {
	for _, leg := range n.Legs() {
		if leg != nil {
			leg.Close()
		}
	}
}

// Take answers an INVITE: each line that decide accepts gets a session, with which begin is called on a goroutine of its
// own as soon as it is started. When none is accepted the call is refused, and the error is why.
func (e *Endpoint) Take(ctx context.Context, in *Incoming, decide Decide, begin func(*Connection, *Leg)) (*Connection, error) {
	n := &Connection{e: e, decide: decide}
	n.begin = func(l *Leg) { begin(n, l) }
	answer := in.Offer.Answer(rand.Uint64()>>1, e.host())
	refused := error(&Refusal{sip.StatusNotAcceptableHere, "there is no line for MSRP"})
	taken := false
	n.legs = make([]*Leg, len(in.Offer.Media))
	for i, m := range in.Offer.Media {
		line, err := n.take(ctx, i, m)
		switch {
		case err == nil:
			answer.Media[i], taken = line, true
		case m.Port != 0 && m.Kind == "message":
			refused = err
		}
	}
	if !taken {
		status := sip.StatusNotAcceptableHere
		var r *Refusal
		if errors.As(refused, &r) {
			status = r.Status
		}
		in.Refuse(status, refused.Error())
		return nil, refused
	}
	c, err := in.Accept(answer)
	if err != nil {
		n.close()
		return nil, err
	}
	n.Call = c
	n.watch()
	for _, leg := range n.Legs() {
		if leg != nil {
			n.run(leg)
		}
	}
	return n, nil
}

// host is where this endpoint is.
func (e *Endpoint) host() string {
	for _, addr := range []string{e.Plain, e.TLS} {
		if host, _, err := net.SplitHostPort(addr); err == nil {
			return host
		}
	}
	return "127.0.0.1"
}

// take makes the session of an offered line and our line.
func (n *Connection) take(ctx context.Context, i int, m *sdp.Media) (*sdp.Media, error) {
	if m.Port == 0 || !m.IsMSRP() {
		return nil, sdp.ErrRefused
	}
	if err := m.Check(); err != nil {
		return nil, err
	}
	if m.File != nil {
		v, of := n.ledger.Judge(m.File)
		switch v {
		case file.Conflict:
			n.abandon(of)
			return nil, errors.New("the id of the file transfer is that of another file")
		case file.Again:
			n.abandon(of)
		case file.Known:
			return nil, sdp.ErrRefused // it is over
		}
	}
	f, err := n.decide(m)
	if err != nil {
		return nil, err
	}
	leg, err := n.e.Answer(ctx, m)
	if err != nil {
		return nil, err
	}
	leg.Line.File = f
	n.mu.Lock()
	n.legs[i] = leg
	n.mu.Unlock()
	return leg.Line, nil
}

// abandon ends the session of a file transfer.
func (n *Connection) abandon(id string) {
	for _, leg := range n.Legs() {
		if leg != nil && leg.Line.File != nil && leg.Line.File.ID == id {
			n.drop(leg)
		}
	}
}

// run starts a session that was answered.
func (n *Connection) run(leg *Leg) {
	go func() {
		if leg.Start(leg.ctx) == nil {
			n.begin(leg)
		}
		leg.Finish()
	}()
}

// drop ends a session, after what it was sending has been ended (RFC 5547 section 8.4).
func (n *Connection) drop(leg *Leg) {
	leg.cancel()
	select {
	case <-leg.idle:
	case <-time.After(dropTime):
	}
	leg.Close()
}

// dropTime bounds how long the answer to an offer waits for a transfer to end.
const dropTime = 2 * time.Second

// reoffer answers an offer of the peer (RFC 3264 section 8, RFC 4975 section 8.4, RFC 5547 sections 8.1 and 8.4).
func (n *Connection) reoffer(offer *sdp.Description) (*sdp.Description, error) {
	if len(offer.Media) < len(n.Legs()) {
		return nil, errors.New("m-lines are missing")
	}
	answer := offer.Answer(0, n.e.host())
	var begun []*Leg
	for i, m := range offer.Media {
		n.mu.Lock()
		for len(n.legs) <= i {
			n.legs = append(n.legs, nil)
		}
		leg := n.legs[i]
		n.mu.Unlock()
		if leg != nil && leg.same(m) {
			if !leg.finished() {
				answer.Media[i] = leg.Line
			}
			continue
		}
		if leg != nil {
			n.drop(leg)
		}
		if n.decide == nil {
			continue
		}
		if line, err := n.take(leg.context(), i, m); err == nil {
			answer.Media[i] = line
			begun = append(begun, n.Legs()[i])
		}
	}
	for _, leg := range begun {
		n.run(leg)
	}
	return answer, nil
}

func (l *Leg) context() context.Context {
	if l == nil {
		return context.Background()
	}
	return context.WithoutCancel(l.ctx)
}

// same tells whether a line of the peer is the one that the session was made with. A file is told by its id.
func (l *Leg) same(m *sdp.Media) bool {
	switch {
	case m.Port == 0 || l.Remote == nil:
		return false
	case l.Line.File != nil && m.File != nil:
		return l.Line.File.ID == m.File.ID && sameSelectors(l.Remote.File, m.File)
	}
	return l.Remote.Path == m.Path && (m.File == nil) == (l.Line.File == nil)
}

// sameSelectors compares the parts of a selector that both tell.
func sameSelectors(a, b *sdp.File) bool {
	return a == nil || (a.Name == "" || b.Name == "" || a.Name == b.Name) && (a.Size < 0 || b.Size < 0 || a.Size == b.Size)
}

// Add offers one more session within the call, in an m-line of its own; the others stay as they are (RFC 5547 section
// 8.6). The error is that of Offer, of Conclude, or a refusal.
func (n *Connection) Add(ctx context.Context, l Line) (*Leg, error) {
	leg, err := n.e.Offer(ctx, l.TLS)
	if err != nil {
		return nil, err
	}
	leg.Line.File, leg.Line.Direction = l.File, l.Direction
	if l.File != nil {
		n.ledger.Judge(l.File)
	}
	d := n.description()
	d.Media = append(d.Media, leg.Line)
	n.mu.Lock()
	for len(n.legs) < len(d.Media)-1 {
		n.legs = append(n.legs, nil)
	}
	n.legs = append(n.legs, leg)
	n.mu.Unlock()
	answer, err := n.Call.Offer(ctx, d)
	if err == nil {
		err = leg.Conclude(ctx, answer.Media[len(d.Media)-1])
	}
	if err != nil {
		leg.Finish()
		return nil, err
	}
	return leg, nil
}

// Drop ends one session with an offer of port 0, which keeps the id of its file (RFC 5547 section 8.4). It is for who
// gives up a transfer and keeps the call; the session must not be used any more.
func (n *Connection) Drop(ctx context.Context, leg *Leg) error {
	leg.Finish()
	_, err := n.Call.Offer(ctx, n.description())
	var refused *uac.ResponseError
	if errors.As(err, &refused) && refused.Status == 481 {
		return nil
	}
	return err
}
