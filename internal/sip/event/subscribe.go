package event

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"

	"imp/internal/sip/dialog"
	"imp/internal/sip/header"
	"imp/internal/sip/stack"
)

// Subscribe answers SUBSCRIBE; it is the handler for that method.
func (n *Notifier) Subscribe(ctx context.Context, r *stack.Request) *stack.Response {
	if r.ToTag() != "" {
		return n.within(ctx, r)
	}
	return n.create(ctx, r)
}

// badRequest is a 400 whose reason phrase tells what is wrong.
func badRequest(err error) *stack.Response {
	return &stack.Response{Status: sip.StatusBadRequest, Reason: phrase(err.Error())}
}

// phrase makes text fit for a reason phrase: one line, bounded.
func phrase(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
	if len(s) > 120 {
		s = strings.ToValidUTF8(s[:120], "")
	}
	return s
}

func (n *Notifier) allowEvents() stack.Field {
	return stack.Field{Name: "Allow-Events", Value: strings.Join(n.names, ", ")}
}

// badEvent is the answer to a package that is not here (RFC 6665 section 8.3.2).
func badEvent(allow stack.Field) *stack.Response {
	return stack.Answer(489, allow)
}

// readEvent gives the one Event of a request; the response is 400 for a broken
// or repeated one and 489 when there is none.
func readEvent(r *stack.Request, allow stack.Field) (header.Event, *stack.Response) {
	v, ok, err := header.Single(r.Request, "Event")
	if err != nil {
		return header.Event{}, badRequest(err)
	}
	if !ok {
		return header.Event{}, badEvent(allow)
	}
	ev, err := header.ParseEvent(v)
	if err != nil {
		return header.Event{}, badRequest(err)
	}
	return ev, nil
}

// readExpires gives the requested duration; ok is false when there is none.
func readExpires(r *stack.Request) (d time.Duration, ok bool, err error) {
	v, ok, err := header.Single(r.Request, "Expires")
	if err != nil || !ok {
		return 0, false, err
	}
	s, err := header.ParseExpires(v)
	if err != nil {
		return 0, false, err
	}
	return time.Duration(s) * time.Second, true, nil
}

// grant applies the package's limits to the requested duration (RFC 6665
// sections 3.1.1 and 4.2.1.1). The response is a 423.
func grant(d Defaults, asked time.Duration, given bool) (time.Duration, *stack.Response) {
	least, most, usual := limits(d)
	if !given {
		return min(usual, most), nil
	}
	if asked > 0 && asked < least && asked < time.Hour {
		return 0, stack.Answer(sip.StatusIntervalToBrief,
			stack.Field{Name: "Min-Expires", Value: strconv.FormatInt(seconds(least), 10)})
	}
	return min(asked, most), nil
}

func limits(d Defaults) (least, most, usual time.Duration) {
	least, most, usual = d.MinExpires, d.MaxExpires, d.Expires
	if least == 0 {
		least = time.Minute
	}
	if usual == 0 {
		usual = time.Hour
	}
	if most == 0 {
		most = time.Hour
	}
	return least, most, usual
}

// readAccept gives the Accept list; a list that nothing of types fits is 406.
func readAccept(r *stack.Request, types []string) (header.Accept, *stack.Response) {
	if len(header.Values(r.Request, "Accept")) == 0 {
		return nil, nil
	}
	accept, err := header.ParseAccept(header.List(r.Request, "Accept"))
	if err != nil {
		return nil, badRequest(err)
	}
	if _, ok := accept.Choose(types); !ok {
		return nil, stack.Answer(sip.StatusNotAcceptable, stack.Field{Name: "Accept", Value: strings.Join(types, ", ")})
	}
	return accept, nil
}

// unavailable is the answer when no subscription more can be had.
func unavailable() *stack.Response {
	return stack.Answer(sip.StatusServiceUnavailable, stack.Field{Name: "Retry-After", Value: "30"})
}

// create handles a SUBSCRIBE outside a dialog: a new subscription or a fetch.
func (n *Notifier) create(ctx context.Context, r *stack.Request) *stack.Response {
	watcher, refusal := n.cfg.Identify(r)
	if refusal != nil {
		return refusal
	}
	uri, err := header.ParseURI(r.URI())
	if err != nil {
		return badRequest(err)
	}
	name, packages, ok := n.resource(ctx, r, uri)
	if !ok {
		return stack.Answer(sip.StatusNotFound)
	}
	ev, refusal := readEvent(r, n.allowEvents())
	if refusal != nil {
		return refusal
	}
	pkg := packages[ev.Package]
	if pkg == nil {
		return badEvent(n.allowEvents())
	}
	duration, accept, refusal := readTerms(r, pkg)
	if refusal != nil {
		return refusal
	}
	cond, refusal := readCondition(r, ev.ID)
	if refusal != nil {
		return refusal
	}
	if n.draining.Load() || int(n.live.Load()) >= n.cfg.MaxSubscriptions {
		return unavailable()
	}
	sh := n.shard(name)
	d, err := dialog.FromRequest(r, sh.newTag(), 0)
	if err != nil {
		return badRequest(err)
	}
	reviews := sh.reviews.Load()
	view, decision, err := pkg.Open(ctx, Request{Message: r, ID: d.LocalTag(), Resource: name, URI: r.URI(), Watcher: watcher,
		Event: ev, Accept: accept, ContentType: contentType(r), Disposition: disposition(r), Body: body(r), Duration: duration})
	if refusal := refused(n, view, err, decision); refusal != nil {
		if view != nil {
			view.Close("rejected")
		}
		return refusal
	}
	contact := n.cfg.Contact(r, uri.User)
	now := n.now()
	s := &subscription{shard: sh, dialog: d, watcher: d.Kept(watcher), seldom: newSeldom(ev.ID, displayName(r)), view: view,
		fields: notifyFields(pkg, ev.ID, contact), state: decision.State, begun: now, expires: now.add(duration), dueAt: -1}
	s.setCondition(cond)
	res := n.admit(s, pkg, name, contact, ev, duration)
	if s.resource != nil {
		s.reviewSince(reviews)
	}
	return res
}

// displayName is the name in From, bounded, since it is kept; mostly there is
// none.
func displayName(r *stack.Request) string {
	const most = 100
	v, ok, err := header.Single(r.Request, "From")
	if err != nil || !ok || strings.HasPrefix(v, "<") {
		return ""
	}
	a, err := header.ParseAddress(v)
	if err != nil {
		return ""
	}
	if len(a.Display) > most {
		a.Display = strings.ToValidUTF8(a.Display[:most], "")
	}
	return strings.Clone(a.Display)
}

// readTerms gives what a SUBSCRIBE asks of the package: for how long, and which
// body types.
func readTerms(r *stack.Request, pkg Package) (time.Duration, header.Accept, *stack.Response) {
	asked, given, err := readExpires(r)
	if err != nil {
		return 0, nil, badRequest(err)
	}
	duration, refusal := grant(pkg.Defaults(), asked, given)
	if refusal != nil {
		return 0, nil, refusal
	}
	accept, refusal := readAccept(r, pkg.Types())
	return duration, accept, refusal
}

// admit enters a new subscription and answers 200; the NOTIFY follows it.
func (n *Notifier) admit(s *subscription, pkg *served, name, contact string, ev header.Event, duration time.Duration) *stack.Response {
	sh := s.shard
	sh.lock()
	if !sh.add(s, pkg, name) {
		sh.unlock()
		s.view.Close("giveup")
		return unavailable()
	}
	defer sh.unlock()
	s.tell("subscribe", s.state)
	if duration > 0 {
		s.setRates(ReadRates(ev.Params))
		sh.wakeAt(s, s.expires)
	} else {
		s.fetch = s.state == Active // a pending watcher gets no state
		s.end("timeout", 0)
	}
	return n.accepted(s, contact, duration, wantReply)
}

// accepted is the 2xx to a SUBSCRIBE, with the NOTIFY that must follow at once
// (RFC 6665 section 4.2.1.2). Others wait for it too: many watchers know of
// their subscription only from the 200. With nothing to tell for reply it is a
// 204 (RFC 5839 section 6.3). The shard is locked.
func (n *Notifier) accepted(s *subscription, contact string, duration time.Duration, reply uint8) *stack.Response {
	res := stack.Answer(sip.StatusOK,
		stack.Field{Name: "Expires", Value: strconv.FormatInt(seconds(duration), 10)},
		stack.Field{Name: "Contact", Value: "<" + contact + ">"},
		n.allowEvents())
	if pkg := s.resource.key.pkg; pkg.require != "" {
		res.Fields = append(res.Fields, stack.Field{Name: "Require", Value: pkg.require})
	}
	res.ToTag, res.RecordRoute = s.tag(), true
	if reply == 0 {
		res.Status, res.Reason = 204, "No Notification"
	}
	s.answering++
	res.Sent = func() {
		s.shard.lock()
		s.answering--
		s.want |= reply
		s.enqueue()
		s.shard.unlock()
	}
	return res
}

func (n *Notifier) interval(pkg Package) time.Duration {
	if n.cfg.MinInterval != nil {
		return *n.cfg.MinInterval
	}
	return pkg.Defaults().MinInterval
}

// notifyFields renders what every NOTIFY of a subscription repeats: the
// event-type with the id it was asked with (RFC 6665 section 4.2.1.1), and the
// local target.
func notifyFields(pkg *served, id, contact string) string {
	event := header.Event{Package: pkg.name, ID: id, HasID: id != ""}
	fields := "Event: " + event.String() + "\r\nContact: <" + contact + ">\r\n"
	if pkg.require != "" {
		fields += "Require: " + pkg.require + "\r\n"
	}
	return fields
}

// refused turns what Open said into the response that refuses, nil when the
// watcher may have a subscription.
func refused(n *Notifier, view View, err error, d Decision) *stack.Response {
	var refusal *Refusal
	switch {
	case errors.As(err, &refusal):
		return refusal.response()
	case err != nil:
		n.cfg.Log.Error("opening a subscription", "error", err)
		return stack.Answer(sip.StatusInternalServerError)
	case d.State == Terminated:
		return stack.Answer(sip.StatusForbidden)
	case view == nil:
		n.cfg.Log.Error("opening a subscription: the package gave no view")
		return stack.Answer(sip.StatusInternalServerError)
	}
	return nil
}

func contentType(r *stack.Request) string {
	v, _, _ := header.Single(r.Request, "Content-Type")
	return v
}

func disposition(r *stack.Request) string {
	v, _, _ := header.Single(r.Request, "Content-Disposition")
	return v
}

func body(r *stack.Request) []byte {
	if len(r.Body()) == 0 {
		return nil
	}
	return r.Body()
}
