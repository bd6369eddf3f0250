package load

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"imp/internal/msrp/relayclient"
	"imp/internal/msrp/session"
	msrpwire "imp/internal/msrp/wire"
)

// MSRPConfig says what load is made of MSRP messages (RFC 4975) from a source to a sink, both here, through relays or
// directly.
type MSRPConfig struct {
	Source, Sink *session.Node
	Listener     *session.Listener   // of Sink, when it is reached without a relay
	Peer         session.Fingerprint // of both nodes, over TLS
	SinkRelays   *relayclient.Client // nil: the source connects to Listener
	SourceRelays *relayclient.Client // nil: the source connects to the relay of the sink, or to Listener
	Sessions     int
	Size         int // bytes of a message
	Chunk        int // bytes of a chunk; 0: few large ones
	Failure      msrpwire.Failure
	Success      bool    // ask for success reports
	Rate         float64 // messages a second over all; 0: as fast as they are taken
	Duration     time.Duration
	Warmup       time.Duration
	Count        int           // messages measured at most; 0: as many as Duration has room for
	Settle       time.Duration // how long to wait at most for the last messages
	Tell         func(phase string)
}

// MSRPReport is what was measured.
type MSRPReport struct {
	Took    time.Duration // until the last message was there, or was given up
	Sent    int
	Arrived int
	Bytes   int64
	Failed  map[string]int // by what was said
	Altered int            // of those that arrived, with another content than was sent
	Arrival Latency        // from sending to the last byte at the sink
	CPU     time.Duration  // of this process, user and system: of source and sink
}

// msrpRun is one run.
type msrpRun struct {
	cfg     MSRPConfig
	epoch   time.Time
	content []byte
	source  []*session.Session
	sink    []*session.Session
	grants  []*relayclient.Grant

	sent, arrived, bytes, altered, turns atomic.Int64
	arrival                              histogram
	mu                                   sync.Mutex
	failed                               map[string]int
}

// stamp is what a message begins with: when it was sent.
const stamp = 8

// RunMSRP makes the load and measures it. When ctx ends while it measures, the report tells what was measured until then
// beside the error of ctx. An error before is a *SetupError.
func RunMSRP(ctx context.Context, cfg MSRPConfig) (*MSRPReport, error) {
	r := &msrpRun{cfg: cfg, epoch: time.Now(), failed: map[string]int{}, content: make([]byte, max(cfg.Size, stamp))}
	for i := range r.content {
		r.content[i] = byte('a' + i%26)
	}
	defer r.leave()
	if cfg.Sessions == 1 {
		r.tell("opening a session")
	} else {
		r.tell(fmt.Sprintf("opening %d sessions", cfg.Sessions))
	}
	for i := range cfg.Sessions {
		if err := r.open(ctx); err != nil {
			return nil, &SetupError{Doing: fmt.Sprintf("opening session %d", i+1), Err: err}
		}
	}
	var receiving sync.WaitGroup
	for _, s := range r.sink {
		receiving.Go(func() { r.receive(s) })
	}
	if cfg.Warmup > 0 {
		r.tell("warming up")
		r.drive(ctx, cfg.Warmup, 0)
		r.settle(ctx)
	}
	r.reset()
	r.tell("measuring")
	cpu, began := processCPU(), time.Now()
	r.drive(ctx, cfg.Duration, cfg.Count)
	r.settle(ctx)
	report := &MSRPReport{Took: time.Since(began), CPU: processCPU() - cpu, Sent: int(r.sent.Load()), Arrived: int(r.arrived.Load()),
		Bytes: r.bytes.Load(), Altered: int(r.altered.Load()), Failed: r.failed}
	for _, s := range r.sink {
		s.Close()
	}
	receiving.Wait()
	report.Arrival = r.arrival.latency()
	return report, ctx.Err()
}

func (r *msrpRun) tell(phase string) {
	if r.cfg.Tell != nil {
		r.cfg.Tell(phase)
	}
}

func (r *msrpRun) reset() {
	r.sent.Store(0)
	r.arrived.Store(0)
	r.bytes.Store(0)
	r.altered.Store(0)
	r.arrival.reset()
	r.failed = map[string]int{}
}

func (r *msrpRun) leave() {
	for _, s := range append(r.source, r.sink...) {
		s.Close()
	}
	for _, g := range r.grants {
		g.Release()
	}
}

// end makes one end of a session, behind relays if there are any.
func (r *msrpRun) end(ctx context.Context, n *session.Node, relays *relayclient.Client, addr string) (*session.Session, error) {
	own := session.Own{Stream: 1}
	if relays != nil {
		g, err := relays.Auth(ctx)
		if err != nil {
			return nil, err
		}
		r.grants = append(r.grants, g)
		own.URI, own.UsePath, own.Relay = g.URI, g.UsePath, g.Conn
	} else {
		var err error
		if own.URI, err = n.NewURI(r.transport(), addr); err != nil {
			return nil, err
		}
	}
	return n.Open(own)
}

// transport is that of the URIs of ends without a relay.
func (r *msrpRun) transport() string {
	if r.cfg.Listener == nil {
		return "tcp"
	}
	return r.cfg.Listener.Transport()
}

func (r *msrpRun) open(ctx context.Context) error {
	addr := "127.0.0.1:9"
	if r.cfg.Listener != nil {
		addr = r.cfg.Listener.Addr()
	}
	sink, err := r.end(ctx, r.cfg.Sink, r.cfg.SinkRelays, addr)
	if err != nil {
		return err
	}
	r.sink = append(r.sink, sink)
	source, err := r.end(ctx, r.cfg.Source, r.cfg.SourceRelays, "127.0.0.1:9")
	if err != nil {
		return err
	}
	r.source = append(r.source, source)
	forSink := session.Peer{Path: source.Path(), Decision: session.Decision{Model: "RFC 4975", Why: "the source connects"}}
	forSource := session.Peer{Path: sink.Path(), Decision: session.Decision{Active: true, Model: "RFC 4975", Why: "the source connects"}}
	if r.cfg.SinkRelays == nil && r.cfg.SourceRelays == nil && (r.transport() == "tls" || r.transport() == "wss") {
		forSink.Fingerprints, forSource.Fingerprints = []session.Fingerprint{r.cfg.Peer}, []session.Fingerprint{r.cfg.Peer}
	}
	if err := sink.Start(ctx, forSink); err != nil {
		return err
	}
	if err := source.Start(ctx, forSource); err != nil {
		return err
	}
	return sink.Bound(ctx)
}

// drive sends on all sessions for a time, or until there were so many messages.
func (r *msrpRun) drive(ctx context.Context, limit time.Duration, count int) {
	r.turns.Store(0)
	began := time.Now()
	var running sync.WaitGroup
	for _, s := range r.source {
		running.Go(func() {
			for ctx.Err() == nil && s.Err() == nil {
				turn := r.turns.Add(1) - 1
				if count > 0 && turn >= int64(count) || time.Since(began) >= limit {
					return
				}
				if r.cfg.Rate > 0 {
					if !wait(ctx, time.Until(began.Add(time.Duration(float64(turn)*float64(time.Second)/r.cfg.Rate)))) {
						return
					}
				}
				r.send(ctx, s)
			}
		})
	}
	running.Wait()
}

// wait waits, and is false when ctx ends before.
func wait(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// stamped is the content of a message, that begins with when it was sent.
type stamped struct {
	head [stamp]byte
	rest []byte
	at   int
}

func (c *stamped) Read(p []byte) (n int, err error) {
	if c.at < stamp {
		n = copy(p, c.head[c.at:])
	}
	n += copy(p[n:], c.rest[min(max(c.at+n-stamp, 0), len(c.rest)):])
	if n == 0 {
		return 0, io.EOF
	}
	c.at += n
	return n, nil
}

func (r *msrpRun) send(ctx context.Context, s *session.Session) {
	c := &stamped{rest: r.content[stamp:]}
	binary.BigEndian.PutUint64(c.head[:], uint64(time.Since(r.epoch)))
	_, err := s.Send(ctx, session.Message{Type: "application/octet-stream", Body: c, Size: int64(len(r.content)), Chunk: r.cfg.Chunk,
		FailureReport: r.cfg.Failure, SuccessReport: r.cfg.Success})
	if err == nil {
		r.sent.Add(1)
		return
	}
	if ctx.Err() == nil {
		what := err.Error()
		if status := (*session.StatusError)(nil); errors.As(err, &status) {
			what = fmt.Sprint(status.Code)
		}
		r.mu.Lock()
		r.failed[what]++
		r.mu.Unlock()
	}
}

// receive takes the messages of one session and checks them.
func (r *msrpRun) receive(s *session.Session) {
	buf := make([]byte, 64<<10)
	for {
		in, err := s.Receive(context.Background())
		if err != nil {
			return
		}
		r.take(in, buf)
		in.Close()
	}
}

func (r *msrpRun) take(in *session.Incoming, buf []byte) {
	var at int
	var when uint64
	good := true
	for {
		n, err := in.Read(buf)
		piece := buf[:n]
		if at == 0 && n >= stamp {
			when = binary.BigEndian.Uint64(piece)
			piece, at = piece[stamp:], stamp
		}
		if end := at + len(piece); end > len(r.content) || string(piece) != string(r.content[at:end]) {
			good = false
		}
		at += len(piece)
		if err == io.EOF {
			break
		}
		if err != nil {
			return
		}
	}
	if !good || at != len(r.content) {
		r.altered.Add(1)
	}
	r.arrival.add(time.Since(r.epoch) - time.Duration(when))
	r.bytes.Add(int64(at))
	r.arrived.Add(1)
}

// settle waits until all that was sent is there.
func (r *msrpRun) settle(ctx context.Context) {
	end := time.Now().Add(r.cfg.Settle)
	for r.arrived.Load() < r.sent.Load() && time.Now().Before(end) && wait(ctx, time.Millisecond) {
		if r.source[0].Err() != nil {
			return
		}
	}
}
