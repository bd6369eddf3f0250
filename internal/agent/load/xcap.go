package load

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"imp/internal/auth/digest"
	"imp/internal/xcap/uri"
)

// XCAPKind is a kind of request to an XCAP server (RFC 4825).
type XCAPKind int

// The kinds of requests.
const (
	GetDocument XCAPKind = iota
	GetUnchanged
	GetElement
	PutDocument
	PutElement
	xcapKinds
)

// XCAPKindNames are the names of the kinds, by kind.
var XCAPKindNames = [xcapKinds]string{"get", "not-modified", "get-element", "put", "put-element"}

// XCAPConfig says what load is put on an XCAP server: requests for lists in the home of one user, a list to each connection.
type XCAPConfig struct {
	Root        uri.Root // absolute
	XUI         string
	Name        string         // of the lists, with a number behind it; "": imp-bench
	Mix         [xcapKinds]int // how many of each kind come in a round
	Connections int
	Entries     int           // of a list
	Rate        float64       // requests a second over all; 0: each as soon as there is an answer to the one before on its connection
	Duration    time.Duration // of the measurement
	Warmup      time.Duration // the same load before, not measured
	Count       int           // requests measured at most; 0: as many as Duration has room for
	Timeout     time.Duration // for an answer
	TLS         *tls.Config   // for https
	Digest      *digest.Client
	Tell        func(phase string) // told what begins; nil: nobody
}

// Phases that Tell is told when the measurement begins and when it is over; it goes on when Tell returns.
const (
	XCAPMeasuring = "measuring"
	XCAPLeaving   = "removing the lists"
)

// XCAPReport is what was measured. The time of a request counts from when its turn came, also where no connection was free then.
type XCAPReport struct {
	Took  time.Duration
	Kinds [xcapKinds]XCAPOutcome
	CPU   time.Duration // of this process, user and system
	Left  int           // lists that could not be removed
}

// XCAPOutcome is what became of the requests of a kind.
type XCAPOutcome struct {
	Response Latency        // of those that succeeded
	Failed   map[string]int // by status, or: network
}

// xcapRun is one run.
type xcapRun struct {
	cfg         XCAPConfig
	target      target
	rounds      []XCAPKind // the kinds in the order they come in
	connections []*xcapConn

	turns   atomic.Int64
	success [xcapKinds]histogram
	mu      sync.Mutex
	failed  [xcapKinds]map[string]int
}

// RunXCAP puts load on a server. The lists are made before and removed afterwards, also after an error. A *SetupError tells that a
// list could not be made; its Err may be a *StatusError or one of the network. The report is there with a nil error, and when ctx
// ended the measurement.
func RunXCAP(ctx context.Context, cfg XCAPConfig) (*XCAPReport, error) {
	r := &xcapRun{cfg: cfg}
	var err error
	if r.target, err = newTarget(&r.cfg); err != nil {
		return nil, err
	}
	if r.rounds = mixed(cfg.Mix); len(r.rounds) == 0 {
		return nil, errors.New("the mix has no requests")
	}
	r.reset()
	report := &XCAPReport{}
	defer func() { report.Left = r.leave(ctx) }()
	r.tell(fmt.Sprintf("putting %d lists of %d entries", cfg.Connections, cfg.Entries))
	if err := r.begin(ctx); err != nil {
		return report, err
	}
	if cfg.Warmup > 0 {
		r.tell("warming up")
		r.drive(ctx, cfg.Warmup, 0)
	}
	r.reset()
	r.tell(XCAPMeasuring)
	cpu, began := processCPU(), time.Now()
	r.drive(ctx, cfg.Duration, cfg.Count)
	report.Took, report.CPU = time.Since(began), processCPU()-cpu
	r.tell(XCAPLeaving)
	for k := range report.Kinds {
		report.Kinds[k] = XCAPOutcome{r.success[k].latency(), maps.Clone(r.failed[k])}
	}
	return report, ctx.Err()
}

func (r *xcapRun) tell(phase string) {
	if r.cfg.Tell != nil {
		r.cfg.Tell(phase)
	}
}

// mixed spreads the kinds over a round, so that those of one kind do not come in a row.
func mixed(mix [xcapKinds]int) (list []XCAPKind) {
	all := 0
	for _, n := range mix {
		all += n
	}
	var due [xcapKinds]int
	for range all {
		best := 0
		for k, n := range mix {
			if due[k] += n; due[k] > due[best] {
				best = k
			}
		}
		due[best] -= all
		list = append(list, XCAPKind(best))
	}
	return list
}

// begin connects and puts the lists.
func (r *xcapRun) begin(ctx context.Context) error {
	errs := make([]error, r.cfg.Connections)
	var running sync.WaitGroup
	limit := make(chan struct{}, 16)
	for i := range r.cfg.Connections {
		c := newXCAPConn(&r.cfg, r.target, i)
		r.connections = append(r.connections, c)
		running.Go(func() {
			limit <- struct{}{}
			defer func() { <-limit }()
			if ctx.Err() != nil {
				errs[i] = ctx.Err()
				return
			}
			status, err := c.ask(PutDocument)
			if err == nil && status != 200 && status != 201 {
				err = &StatusError{status}
			}
			if err != nil {
				errs[i] = &SetupError{Doing: "putting " + c.name, Err: err}
				return
			}
			c.made = true
		})
	}
	running.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// StatusError is an answer that refuses.
type StatusError struct{ Status int }

func (e *StatusError) Error() string { return "the answer is " + strconv.Itoa(e.Status) }

// drive makes requests on all connections for a time, or until there were so many.
func (r *xcapRun) drive(ctx context.Context, limit time.Duration, count int) {
	r.turns.Store(0)
	began := time.Now()
	var running sync.WaitGroup
	for _, c := range r.connections {
		running.Go(func() {
			for ctx.Err() == nil {
				turn := r.turns.Add(1) - 1
				if count > 0 && turn >= int64(count) {
					return
				}
				due := time.Now()
				if r.cfg.Rate > 0 {
					due = began.Add(time.Duration(float64(turn) / r.cfg.Rate * float64(time.Second)))
				}
				if due.Sub(began) >= limit || !waitUntil(ctx, due) {
					return
				}
				kind := r.rounds[turn%int64(len(r.rounds))]
				status, err := c.ask(kind)
				r.count(kind, status, err, time.Since(due))
				if err != nil && !waitUntil(ctx, time.Now().Add(rest)) {
					return
				}
			}
		})
	}
	running.Wait()
}

func waitUntil(ctx context.Context, due time.Time) bool {
	wait := time.Until(due)
	if wait <= 0 {
		return true
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// expected tells the statuses that a request of each kind succeeds with.
var expected = [xcapKinds][2]int{{200, 200}, {304, 304}, {200, 200}, {200, 201}, {200, 201}}

func (r *xcapRun) count(kind XCAPKind, status int, err error, took time.Duration) {
	if err == nil && (status == expected[kind][0] || status == expected[kind][1]) {
		r.success[kind].add(took)
		return
	}
	what := strconv.Itoa(status)
	if err != nil {
		what = "network"
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failed[kind][what]++
}

func (r *xcapRun) reset() {
	for k := range r.success {
		r.success[k].reset()
		r.failed[k] = map[string]int{}
	}
}

// leave removes the lists and closes the connections. It returns how many lists are left.
func (r *xcapRun) leave(context.Context) (left int) {
	var running sync.WaitGroup
	var count atomic.Int64
	for _, c := range r.connections {
		running.Go(func() {
			if c.made {
				if status, err := c.remove(min(r.cfg.Timeout, farewell)); err != nil || status != 200 && status != 204 && status != 404 {
					count.Add(1)
				}
			}
			c.close()
		})
	}
	running.Wait()
	return int(count.Load())
}

// target is where requests go.
type target struct {
	addr, host string // host:port to connect to; the Host of requests
	secure     bool
}

func newTarget(cfg *XCAPConfig) (t target, err error) {
	scheme, rest, found := strings.Cut(strings.TrimSuffix(cfg.Root.String(), cfg.Root.Path()), "://")
	if !found {
		return t, errors.New("the XCAP root is only a path")
	}
	t = target{addr: rest, host: rest, secure: scheme == "https"}
	if !strings.Contains(rest[strings.LastIndexByte(rest, ']')+1:], ":") {
		t.addr += map[bool]string{false: ":80", true: ":443"}[t.secure]
	}
	if cfg.Name == "" {
		cfg.Name = "imp-bench"
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = 30 * time.Second
	}
	return t, nil
}
