package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"imp/internal/agent/pager"
	"imp/internal/cli/kit"
	"imp/internal/doc/cpim"
	"imp/internal/doc/imdn"
	"imp/internal/sip/header"
	"imp/internal/sip/uac"
	"imp/internal/sip/useragent"
)

// plainFor is how long a peer that does not take message/cpim is not asked for
// receipts again.
const plainFor = 7 * 24 * time.Hour

// receiptEvent is what a recipient tells of a message.
type receiptEvent struct {
	kit.Head
	To        string      `json:"to" doc:"the URI written to"`
	MessageID string      `json:"message_id" doc:"that of the message, as sent tells it"`
	Kind      imdn.Kind   `json:"kind" doc:"delivery, processing or display"`
	Status    imdn.Status `json:"status" doc:"delivered, failed, displayed, forbidden, error, processed or stored; displayed does not say that somebody has read it"`
	From      string      `json:"from" doc:"the URI of who tells it, as he says"`
	Recipient string      `json:"recipient,omitempty" doc:"who the message was for in the end, when told"`
}

// Text implements kit.Texter.
func (e receiptEvent) Text(w io.Writer, s *kit.Style) error {
	status := s.Good(string(e.Status))
	if e.Status != imdn.Delivered && e.Status != imdn.Displayed {
		status = s.Busy(string(e.Kind) + " " + string(e.Status))
	}
	_, err := fmt.Fprintf(w, "%s  %s\n", s.Name(kit.CleanLine(e.To)), status)
	return err
}

// savedPlain is what is kept of a peer that takes no message/cpim.
type savedPlain struct {
	Since time.Time `json:"since"`
}

// receipts asks for disposition notifications of the messages of a command, and
// prints those that come (RFC 5438 section 7.1). nil asks for none.
type receipts struct {
	kit    *kit.Kit
	self   header.Address
	ask    []string    // by the names of cpim
	kinds  []imdn.Kind // what is waited for
	await  pager.Awaited
	coming *pager.Receiver

	mu      sync.Mutex
	asked   map[string]*asked // by Message-ID
	plainly map[string]bool   // URIs that get plain text
	errs    []error
}

// asked is a message whose sender waits to hear of it.
type asked struct {
	to   string
	sent chan struct{} // closed when what became of the sending is printed
}

// newReceipts makes what --receipt asks for, nil for none.
func newReceipts(k *kit.Kit, wanted string) (*receipts, error) {
	r := &receipts{kit: k, asked: make(map[string]*asked), plainly: make(map[string]bool)}
	if wanted == "" || wanted == "none" {
		return nil, nil
	}
	if wanted != "display" {
		r.ask, r.kinds = append(r.ask, cpim.PositiveDelivery), append(r.kinds, imdn.Delivery)
	}
	r.ask = append(r.ask, cpim.NegativeDelivery)
	if wanted != "delivery" {
		r.ask, r.kinds = append(r.ask, cpim.Display), append(r.kinds, imdn.Display)
	}
	var err error
	r.coming, err = pager.NewReceiver(pager.ReceiverConfig{Types: []string{cpim.MediaType, imdn.MediaType}, Admit: r.ours, Now: k.Now})
	return r, err
}

// ours tells whether a message notifies of one of ours; others are for other
// devices of the account.
func (r *receipts) ours(m *pager.Message) bool {
	return slices.ContainsFunc(m.Content().Notifications, func(d *imdn.Document) bool { return r.await.Knows(d.MessageID) })
}

// withReceipts sends while the account is registered, so that receipts find
// their way, and waits for them.
func (o *messageOptions) withReceipts(ctx context.Context, acct *kit.Account, send func(context.Context, *pager.Sender) error) error {
	r := o.receipts
	ua, err := startUser(ctx, o.kit, acct, func(ua *useragent.UserAgent) { ua.Stack.Handle("MESSAGE", r.coming.Handle) })
	if err != nil {
		return err
	}
	defer ua.Close()
	r.self = ua.AOR
	limit, cancel := ctx, func() {}
	if !o.lines { // each has its own time
		limit, cancel = limited(ctx, o.kit)
	}
	defer cancel()
	err = whileRegistered(ctx, ctx, o.kit, &registrationFlags{}, ua, func(lost <-chan error) error {
		waiting, stop := context.WithCancelCause(limit)
		printed := make(chan struct{})
		go func() {
			defer close(printed)
			if err := r.print(waiting); err != nil {
				stop(err)
			}
		}()
		errs := []error{send(limit, newSender(ua, acct))}
		errs = append(errs, r.wait(ctx, waiting, lost)...)
		stop(nil)
		<-printed
		return oneOf(o.kit, append(r.errs, errs...))
	})
	if errors.Is(err, errEnded) {
		return kit.Interrupted(ctx)
	}
	return err
}

// oneOf is the last of the errors; the others are told.
func oneOf(k *kit.Kit, errs []error) (last error) {
	for _, err := range errs {
		if err == nil {
			continue
		}
		if last != nil {
			k.Warn("%v", last)
		}
		last = err
	}
	return last
}

// wrap asks for the receipts of a message. The id is "" where its recipient is
// known to take none.
func (r *receipts) wrap(m pager.Outgoing) (_ pager.Outgoing, id string, err error) {
	if r == nil {
		return m, "", nil
	}
	if r.takesNone(m.To) {
		r.plain(m.To)
		return m, "", nil
	}
	if id, err = cpim.NewMessageID(nil); err != nil {
		return m, "", err
	}
	if m, err = m.Ask(r.self, id, r.kit.Now(), r.ask...); err != nil {
		return m, "", kit.Fail(kit.ExitUsage, "asking for a receipt", err, "send it without --receipt")
	}
	r.mu.Lock()
	r.asked[id] = &asked{to: m.To, sent: make(chan struct{})}
	r.mu.Unlock()
	r.await.Await(id, r.kinds...)
	return m, id, nil
}

// sent says that what became of the sending of a message is printed: receipts
// may follow. waits tells whether there can be any.
func (r *receipts) sent(id string, waits bool) {
	if id == "" {
		return
	}
	if !waits {
		r.await.Forget(id)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	close(r.asked[id].sent)
	if !waits {
		delete(r.asked, id)
	}
}

// refuses tells whether an error is that of a peer which takes no message/cpim.
func refuses(err error) bool {
	var refused *uac.ResponseError
	return errors.As(err, &refused) && refused.Status == 415 && !slices.Contains(refused.Accept(), cpim.MediaType)
}

func (r *receipts) stateKey(to string) string {
	return "receipts/" + addressOf(r.self.URI) + "/" + addressOf(to)
}

// takesNone tells whether a peer has refused message/cpim lately.
func (r *receipts) takesNone(to string) bool {
	var saved savedPlain
	known, err := r.kit.State().Get(r.stateKey(to), &saved)
	return err == nil && known && r.kit.Now().Sub(saved.Since) < plainFor
}

// refused remembers that a peer takes no message/cpim.
func (r *receipts) refused(to string) {
	if err := r.kit.State().Put(r.stateKey(to), savedPlain{Since: r.kit.Now()}); err != nil {
		r.kit.Warn("%v", err)
	}
	r.plain(to)
}

// plain tells that a message goes without a request, which leaves a wish for
// its display unmet.
func (r *receipts) plain(to string) {
	r.mu.Lock()
	again := r.plainly[to]
	r.plainly[to] = true
	r.mu.Unlock()
	if again {
		return
	}
	r.kit.Note("%s takes no message that asks for receipts, and gets plain text", to)
	if slices.Contains(r.kinds, imdn.Display) {
		r.fail(kit.Fail(kit.ExitNo, "waiting for the receipt of "+to, "its device tells nobody what is displayed", "--receipt none sends without asking"))
	}
}

func (r *receipts) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.errs = append(r.errs, err)
}

// print prints the receipts that come until ctx is done. The error is that of
// printing.
func (r *receipts) print(ctx context.Context) error {
	for {
		m, err := r.coming.Next(ctx)
		if err != nil {
			return nil
		}
		for _, d := range m.Content().Notifications {
			if err := r.told(ctx, m.From.URI, d); err != nil {
				return err
			}
		}
	}
}

// told prints a receipt that is news; what was not delivered is an error.
func (r *receipts) told(ctx context.Context, from string, d *imdn.Document) error {
	r.mu.Lock()
	of := r.asked[d.MessageID]
	r.mu.Unlock()
	if of == nil {
		return nil
	}
	select {
	case <-of.sent:
	case <-ctx.Done():
		return nil
	}
	if !r.await.Told(d) {
		return nil
	}
	doing := "waiting for the receipt of " + of.to
	switch d.Status {
	case imdn.Failed, imdn.Failure:
		r.fail(kit.Fail(kit.ExitRefused, doing, fmt.Sprintf("%s: %s", d.Kind, d.Status), "that is what its server or its device says; try again later"))
	case imdn.Forbidden:
		r.fail(kit.Fail(kit.ExitNo, doing, fmt.Sprintf("%s: forbidden", d.Kind), "it was sent, and its user lets nobody know more"))
	}
	if r.await.Missing(d.MessageID) == nil {
		r.mu.Lock()
		delete(r.asked, d.MessageID)
		r.mu.Unlock()
	}
	return r.kit.Emit(receiptEvent{Head: r.kit.Head("receipt"), To: of.to, MessageID: d.MessageID, Kind: d.Kind, Status: d.Status, From: from, Recipient: d.Recipient})
}

// wait waits until all receipts have come, or for as long as --timeout says.
// ctx is that of the run, waiting what ends with the printing too.
func (r *receipts) wait(ctx, waiting context.Context, lost <-chan error) []error {
	limit, cancel := limited(waiting, r.kit)
	defer cancel()
	select {
	case <-r.await.Done():
		return nil
	case err := <-lost:
		return []error{err}
	case <-limit.Done():
	}
	if err := kit.Interrupted(ctx); err != nil {
		return []error{err}
	}
	if ctx.Err() != nil { // nobody reads
		return nil
	}
	var failed *kit.Error
	if errors.As(context.Cause(waiting), &failed) {
		return []error{failed}
	}
	return r.missing()
}

// missing are the errors of the receipts that did not come.
func (r *receipts) missing() (errs []error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for id, of := range r.asked {
		var words []string
		for _, k := range r.await.Missing(id) {
			words = append(words, string(k))
		}
		if words != nil {
			errs = append(errs, kit.Fail(kit.ExitTimeout, "waiting for the receipt of "+of.to, "no word of its "+strings.Join(words, " and "),
				"the message was sent; --timeout gives it more time, and not every device tells what it displays"))
		}
	}
	return errs
}
