package cli

import (
	"context"
	"sync"

	"imp/internal/agent/pager"
	"imp/internal/cli/kit"
	"imp/internal/doc/composing"
	"imp/internal/doc/imdn"
)

// maxAnswers bounds the messages whose senders are being told.
const maxAnswers = 64

// answers tells senders of messages what became of those, as far as they ask.
// nil tells nobody anything.
type answers struct {
	kit       *kit.Kit
	sender    *pager.Sender
	display   string // always, never or auto
	recipient pager.Recipient

	slots chan struct{} // of the messages whose senders are being told
	all   sync.WaitGroup
}

func newAnswers(k *kit.Kit, sender *pager.Sender, display string) *answers {
	return &answers{kit: k, sender: sender, display: display, slots: make(chan struct{}, maxAnswers)}
}

// due are the dispositions of a message that is about to be printed, as far as
// its sender wants to know.
func (a *answers) due(m *pager.Message) (all []imdn.Status) {
	if a == nil {
		return nil
	}
	if pager.Wants(m, imdn.Delivered) {
		all = append(all, imdn.Delivered)
	}
	shown := a.display == "always" || a.display == "auto" && a.kit.OutTTY && !m.Content().Binary
	if shown && pager.Wants(m, imdn.Displayed) {
		all = append(all, imdn.Displayed)
	}
	return all
}

// tell sends the dispositions to the sender of a message, one after the other.
// It does not wait: rest does.
func (a *answers) tell(m *pager.Message, dispositions ...imdn.Status) {
	if a == nil {
		return
	}
	var all []pager.Outgoing
	for _, s := range dispositions {
		if out, ok := a.recipient.Notification(m, s); ok {
			all = append(all, out)
		}
	}
	if len(all) == 0 {
		return
	}
	select {
	case a.slots <- struct{}{}:
	default:
		a.kit.Debug("%s is not told what became of its message: too many others are", m.From.URI)
		return
	}
	a.all.Go(func() {
		defer func() { <-a.slots }()
		for _, out := range all {
			ctx, cancel := limited(context.Background(), a.kit)
			_, err := a.sender.Send(ctx, out)
			cancel()
			if err != nil {
				a.kit.Debug("telling %s what became of its message: %v", m.From.URI, err)
				return
			}
		}
	})
}

// rest waits until everybody is told, for as long as a cleanup may take.
func (a *answers) rest(ctx context.Context) {
	if a == nil {
		return
	}
	ctx, cancel := kit.Cleanup(ctx)
	defer cancel()
	told := make(chan struct{})
	go func() {
		a.all.Wait()
		close(told)
	}()
	select {
	case <-told:
	case <-ctx.Done():
	}
}

// composingEvent says that somebody began or ceased to write. People are told
// on stderr, with -v.
type composingEvent struct {
	kit.Head
	From  string `json:"from" doc:"the URI of who writes, as he says"`
	State string `json:"state" doc:"active: he writes; idle: he does not any more, by what he says, by what he sent, or by his silence"`
}

func (o *listenOptions) tellComposing(from, state string) error {
	o.kit.Debug("%s is %s", from, map[bool]string{true: "writing", false: "not writing any more"}[state == composing.Active])
	return o.kit.Emit(composingEvent{Head: o.kit.Head("composing"), From: from, State: state})
}

// silent tells whose time has run out (RFC 3994 section 3.3).
func (o *listenOptions) silent() error {
	for _, who := range o.composers.Expire(o.kit.Now()) {
		if err := o.tellComposing(who, composing.Idle); err != nil {
			return err
		}
	}
	return nil
}
