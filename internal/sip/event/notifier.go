package event

import (
	"context"
	"encoding/hex"
	"hash/maphash"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/emiago/sipgo/sip"

	"imp/internal/sip/header"
	"imp/internal/sip/stack"
)

// Wire is what the notifier needs of a SIP stack: non-INVITE client
// transactions. done is called once, with a final response or an error.
type Wire interface {
	Send(o *stack.Outgoing, done func(*sip.Response, error))
}

// NotifierConfig holds what a notifier is told. Wire, Resources and Contact
// are needed.
type NotifierConfig struct {
	Wire      Wire
	Resources Resources
	// Contact gives the URI under which the peer of r reaches this notifier
	// for the user part user; it becomes the local target of the dialog.
	Contact func(r *stack.Request, user string) string
	// Identify gives the canonical identity of the watcher, or the response
	// that refuses him, before anything else about a request is judged. nil
	// takes the From URI.
	Identify func(r *stack.Request) (watcher string, refusal *stack.Response)
	// Lists serves lists of resources; nil: there are none.
	Lists Lists
	Log   *slog.Logger // nil discards
	// MinInterval, when not nil, replaces the MinInterval of every package.
	MinInterval *time.Duration
	// MaxSubscriptions bounds all subscriptions, MaxPerResource those of one
	// resource; beyond them SUBSCRIBE is answered 503. 0: 1,000,000 and 100,000.
	MaxSubscriptions, MaxPerResource int
	// Senders is the number of NOTIFYs rendered at a time. 0: 4.
	Senders int
	// MaxUnanswered bounds the NOTIFYs under way; further ones wait. It should
	// be below what the wire takes. 0: 50,000.
	MaxUnanswered int
}

// Notifier serves SUBSCRIBE for a set of packages and sends their NOTIFYs
// (RFC 6665 section 4.2).
//
// Subscriptions of one resource live in one shard, under its lock; nothing is
// rendered, closed or sent with it held, so views and packages may call the
// notifier from anywhere. A subscription that has something to tell stands once
// in the ready queue; a sender takes it, renders the state as it is at that
// moment and starts one transaction. Further changes wait for its end, so they
// coalesce and a dialog has one NOTIFY in flight at most.
type Notifier struct {
	cfg      NotifierConfig
	packages map[string]*served
	lists    map[string]*served // for lists of resources, by the same names
	names    []string           // in the order given, for Allow-Events
	shards   [shardCount]shard
	seed     maphash.Seed
	base     time.Time // that instants count from
	ready    readyQueue
	live     atomic.Int64
	draining atomic.Bool
	idle     chan struct{} // told when live falls to zero
	news     lifecycleQueue
	stop     chan struct{}
	stopOnce sync.Once
	workers  sync.WaitGroup
}

const shardCount = 64

// NewNotifier makes a notifier for the packages and starts its senders.
func NewNotifier(cfg NotifierConfig, packages ...Package) *Notifier {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.MaxSubscriptions == 0 {
		cfg.MaxSubscriptions = 1_000_000
	}
	if cfg.MaxPerResource == 0 {
		cfg.MaxPerResource = 100_000
	}
	if cfg.Senders == 0 {
		cfg.Senders = 4
	}
	if cfg.MaxUnanswered == 0 {
		cfg.MaxUnanswered = 50_000
	}
	if cfg.Identify == nil {
		cfg.Identify = fromIdentity
	}
	n := &Notifier{cfg: cfg, packages: map[string]*served{}, seed: maphash.MakeSeed(), base: time.Now(),
		idle: make(chan struct{}, 1), stop: make(chan struct{})}
	n.ready.init(cfg.MaxUnanswered)
	for _, p := range packages {
		n.packages[p.Name()] = &served{Package: p, name: p.Name(), interval: n.interval(p)}
		n.names = append(n.names, p.Name())
	}
	for i := range n.shards {
		n.shards[i].init(n, i)
	}
	n.useLists(packages)
	for range cfg.Senders {
		n.workers.Go(n.send)
	}
	n.workers.Go(func() { n.news.deliver(n.stop) })
	return n
}

// fromIdentity is the watcher as From claims it, for servers without
// authentication.
func fromIdentity(r *stack.Request) (string, *stack.Response) {
	v, _, err := header.Single(r.Request, "From")
	if err != nil {
		return "", stack.Answer(sip.StatusBadRequest)
	}
	a, err := header.ParseAddress(v)
	if err != nil {
		return "", stack.Answer(sip.StatusBadRequest)
	}
	u, err := header.ParseURI(a.URI)
	if err != nil {
		return "", stack.Answer(sip.StatusBadRequest)
	}
	return u.AOR(), nil
}

// Packages are the names for Allow-Events, in the order given.
func (n *Notifier) Packages() []string { return n.names }

// Count is the number of live subscriptions.
func (n *Notifier) Count() int { return int(n.live.Load()) }

// Changed tells that the state of a resource changed: its subscriptions to
// package pkg are notified, at once or as pacing and running transactions
// allow. Whatever Render reads must have changed before the call, which does
// not wait.
func (n *Notifier) Changed(pkg, name string) {
	sh := n.shard(name)
	sh.lock()
	if r := sh.resources[resourceKey{n.packages[pkg], name}]; r != nil {
		r.generation++
		for _, s := range r.subs {
			s.want |= wantChange
			s.enqueue()
		}
	}
	sh.unlock()
}

// Decide changes the state of a subscription by policy: a pending one becomes
// active, any can be terminated with a reason (RFC 6665 section 4.2.2), which
// is "rejected" when d names none. It reports whether the subscription exists;
// one that Open is just judging does not, and is heard of by Observe when it
// begins.
func (n *Notifier) Decide(id string, d Decision) bool {
	sh := n.shardOfTag(id)
	if sh == nil {
		return false
	}
	sh.lock()
	defer sh.unlock()
	s := sh.subs[id]
	if s == nil || s.state == Terminated {
		return false
	}
	s.decide(d)
	s.enqueue()
	return true
}

// Each calls f for every live subscription until f returns false, with no lock
// held.
func (n *Notifier) Each(f func(Info) bool) {
	for i := range n.shards {
		sh := &n.shards[i]
		sh.lock()
		infos := make([]Info, 0, len(sh.subs))
		for _, s := range sh.subs {
			infos = append(infos, s.info())
		}
		sh.unlock()
		for _, in := range infos {
			if !f(in) {
				return
			}
		}
	}
}

// Drain ends all subscriptions with reason deactivated, so that watchers come
// back elsewhere or later (RFC 6665 section 4.4.2), refuses new ones with 503,
// and returns when the last NOTIFY is answered or ctx is done.
func (n *Notifier) Drain(ctx context.Context) error {
	n.draining.Store(true)
	for i := range n.shards {
		sh := &n.shards[i]
		sh.lock()
		for _, s := range sh.subs {
			if s.state != Terminated {
				s.end("deactivated", 0)
				s.enqueue()
			}
		}
		sh.unlock()
	}
	for n.live.Load() > 0 {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-n.idle:
		}
	}
	n.tellIdle() // another Drain may wait
	return nil
}

// instant is a time as a notifier keeps it: nanoseconds on the monotonic clock
// since a second before it was made, so that no step of the wall clock ends or
// prolongs a subscription. Zero is none.
type instant int64

const never instant = 1<<63 - 1

func (t instant) add(d time.Duration) instant { return t + instant(d) }
func (t instant) sub(u instant) time.Duration { return time.Duration(t - u) }

func (n *Notifier) now() instant { return instant(time.Since(n.base) + time.Second) }

// time is t as others know it.
func (n *Notifier) time(t instant) time.Time { return n.base.Add(time.Duration(t) - time.Second) }

// tellIdle wakes a Drain to look at the count.
func (n *Notifier) tellIdle() {
	select {
	case n.idle <- struct{}{}:
	default:
	}
}

// Close stops the senders and closes all views; subscriptions are forgotten
// without a word. Call Drain before it to tell the watchers.
func (n *Notifier) Close() {
	n.stopOnce.Do(func() {
		close(n.stop)
		n.ready.close()
	})
	n.workers.Wait()
	for i := range n.shards {
		for _, v := range n.shards[i].close() {
			v.Close("")
		}
	}
}

func (n *Notifier) shard(resource string) *shard {
	return &n.shards[maphash.String(n.seed, resource)%shardCount]
}

// newTag makes a local tag that names the shard in its first two digits, so
// that a request within a dialog finds its subscription by tag alone.
func (sh *shard) newTag() string {
	return hex.EncodeToString([]byte{byte(sh.index)}) + stack.NewTag()
}

func (n *Notifier) shardOfTag(tag string) *shard {
	if len(tag) < 3 {
		return nil
	}
	b, err := hex.DecodeString(tag[:2])
	if err != nil || int(b[0]) >= shardCount {
		return nil
	}
	return &n.shards[b[0]]
}

// answerFields are what counts in the answer to a NOTIFY.
var answerFields = []string{"Contact", "Event"}

// send is one sender: it takes ready subscriptions and starts their NOTIFYs.
func (n *Notifier) send() {
	for {
		s := n.ready.take()
		if s == nil {
			return
		}
		o, notice := s.next()
		if notice.local != nil {
			n.ready.done()
			s.deliver(notice)
			continue
		}
		if o == nil {
			n.ready.done()
			continue
		}
		o.Reads = answerFields
		n.cfg.Wire.Send(o, func(res *sip.Response, err error) {
			n.ready.done()
			s.answered(res, err, notice)
		})
	}
}
