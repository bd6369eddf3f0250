package rls

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"imp/internal/doc/rlmi"
	"imp/internal/sip/event"
	"imp/internal/sip/header"
	"imp/internal/sip/stack"
)

// foreigners are the subscriptions to members of other domains (RFC 4662 section
// 7.1.2): made as the server itself, each for one list of one watcher. They do
// not say that lists are understood, so that a list whose member is a list
// elsewhere goes no further: none leads back here (section 7.4).
type foreigners struct {
	cfg        *Config
	host       func(transport, peer string) string // for Contact
	subscriber *event.Subscriber
	running    sync.WaitGroup
	ctx        context.Context
	cancel     context.CancelFunc

	mu    sync.Mutex
	count int
	by    map[string]int // the same by watcher
}

func newForeigners(cfg *Config) *foreigners {
	fs := &foreigners{cfg: cfg, by: map[string]int{}}
	fs.ctx, fs.cancel = context.WithCancel(context.Background())
	return fs
}

// mount lets NOTIFYs in.
func (fs *foreigners) mount(s *stack.Stack) {
	if fs.cfg.Identity == "" || fs.cfg.MaxForeign < 0 {
		return
	}
	fs.use(s, s.ContactHost)
	s.Handle("NOTIFY", fs.subscriber.Notify)
}

func (fs *foreigners) use(w event.Wire, host func(transport, peer string) string) {
	fs.host = host
	fs.subscriber = event.NewSubscriber(event.SubscriberConfig{Wire: w, Log: fs.cfg.Log})
}

// budget is how many members of other domains the list may still have.
func (v *view) budget() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	n := max(v.s.cfg.MaxForeign/10, 1)
	for _, m := range v.members {
		if m.foreign != nil {
			n--
		}
	}
	return n
}

// enter counts one more of a watcher; false when there are too many. One watcher
// has a quarter of them at most, so that none takes those of the others.
func (fs *foreigners) enter(watcher string) bool {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if fs.subscriber == nil || fs.ctx.Err() != nil || fs.count >= fs.cfg.MaxForeign || fs.by[watcher] >= max(fs.cfg.MaxForeign/4, 1) {
		return false
	}
	fs.count++
	fs.by[watcher]++
	fs.running.Add(1)
	return true
}

func (fs *foreigners) leave(watcher string) {
	fs.mu.Lock()
	fs.count--
	if fs.by[watcher]--; fs.by[watcher] == 0 {
		delete(fs.by, watcher)
	}
	fs.mu.Unlock()
	fs.running.Done()
}

// end ends all and lets no more begin.
func (fs *foreigners) end() {
	fs.mu.Lock()
	fs.cancel()
	fs.mu.Unlock()
	fs.running.Wait()
}

// foreign is the subscription to a member of another domain.
type foreign struct {
	ctx    context.Context
	cancel context.CancelFunc
}

func (f *foreign) close()     { f.cancel() }
func (f *foreign) over() bool { return f.ctx.Err() != nil }

// leaving is how long the end of a subscription may take.
const leaving = 5 * time.Second

// startForeign watches a member by SIP.
func (m *member) startForeign(budget *int) {
	fs := m.v.s.others
	if *budget--; *budget < 0 || m.v.fetch || !fs.enter(m.v.watcher) {
		if !m.v.fetch { // a fetch tells what is known, and nothing is
			m.v.set(m, state{known: true, is: rlmi.Terminated, reason: "giveup"})
		}
		return
	}
	ctx, cancel := context.WithCancel(fs.ctx)
	f := &foreign{ctx, cancel}
	if !m.take(nil, f, nil) {
		cancel()
		fs.leave(m.v.watcher)
		return
	}
	go func() {
		defer fs.leave(m.v.watcher)
		defer cancel()
		fs.watch(ctx, m)
	}()
}

// watch subscribes and tells what comes, until the member leaves the list or
// the subscription has ended for good.
func (fs *foreigners) watch(ctx context.Context, m *member) {
	options := event.SubscribeOptions{Target: m.uri, From: header.Address{URI: fs.cfg.Identity}, Event: header.Event{Package: m.v.pkg},
		Contact: fs.contact, Resubscribe: true}
	if m.v.accept != nil {
		options.Accept = []string{m.v.accept.String()}
	}
	s, err := fs.subscriber.Subscribe(ctx, options)
	if err != nil {
		if ctx.Err() == nil {
			m.heard(failed(err))
		}
		return
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), leaving)
		defer cancel()
		s.Close(ctx)
	}()
	for {
		e, err := s.Next(ctx)
		if errors.Is(err, io.EOF) || err != nil {
			return
		}
		switch e.Kind {
		case event.OnNotify:
			m.notified(e.Notification)
		case event.OnResubscribe:
			m.heard(stateOf(event.Terminated, orProbation(e.Reason), "", nil))
		case event.OnEnd:
			if e.Err != nil {
				m.heard(failed(e.Err))
			} else {
				m.heard(stateOf(event.Terminated, e.Reason, "", nil))
			}
		}
	}
}

func orProbation(reason string) string {
	if reason == "" {
		return "probation"
	}
	return reason
}

// failed is the state of a member who could not be subscribed to.
func failed(err error) state {
	var refusal *event.ResponseError
	if errors.As(err, &refusal) {
		return refused(refusal.Status)
	}
	return refused(0)
}

// contact is where NOTIFYs come to.
func (fs *foreigners) contact(to stack.Target) string {
	transport := to.Transport
	if to.Flow != nil {
		transport = to.Flow.Transport()
	}
	if transport == "" {
		transport = "udp"
	}
	uri := "sip:rls@" + fs.host(transport, to.Addr)
	if transport != "udp" {
		uri += ";transport=" + stack.URITransport(transport)
	}
	return uri + ";gr"
}

// notified takes over a NOTIFY about a member.
func (m *member) notified(n *event.Notification) {
	is := event.Pending
	switch n.State.State {
	case "active":
		is = event.Active
	case "terminated":
		is = event.Terminated
	}
	s := stateOf(is, n.State.Reason, n.ContentType, n.Body)
	if !s.known {
		return // the state is what it was
	}
	m.heard(s)
}

func (m *member) heard(s state) {
	if m.v.set(m, s) {
		m.v.s.notifier.Touch(m.v.id)
	}
}
