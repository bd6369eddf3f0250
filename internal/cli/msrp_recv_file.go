package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"imp/internal/agent/call"
	"imp/internal/cli/kit"
	"imp/internal/doc/sdp"
	msrpfile "imp/internal/msrp/file"
	"imp/internal/msrp/session"
	"imp/internal/msrp/wire"
	"imp/internal/sip/header"
)

// fileEvent is a file that came.
type fileEvent struct {
	kit.Head
	From     string `json:"from" doc:"the URI of the sender, as he says; that of his MSRP session without an account"`
	Outcome  string `json:"outcome" doc:"received: it is complete and as it was announced; partial: the part that was announced is there; failed"`
	Reason   string `json:"reason,omitempty" doc:"why it failed"`
	Name     string `json:"name" doc:"the name that the sender gives it"`
	Path     string `json:"path,omitempty" doc:"where it is"`
	Size     int64  `json:"size" doc:"octets that are here"`
	BodyType string `json:"body_type,omitempty" doc:"its media type, as the sender says"`
	SHA1     string `json:"sha1,omitempty" doc:"its hash in hexadecimal"`
	SHA256   string `json:"sha256,omitempty" doc:"its hash in hexadecimal"`

	wall time.Time
	err  error // why it failed
}

// Text implements kit.Texter.
func (e *fileEvent) Text(w io.Writer, s *kit.Style) error {
	what := kit.CleanLine(e.Path)
	if what == "" {
		what = kit.CleanLine(e.Name)
	}
	tail := s.Dim(fmt.Sprintf("(%d bytes)", e.Size))
	switch e.Outcome {
	case "failed":
		tail = s.Bad("failed: " + kit.CleanLine(e.Reason))
	case "partial":
		tail = s.Busy(fmt.Sprintf("(a part, %d bytes)", e.Size))
	}
	_, err := fmt.Fprintf(w, "%s %s  %s %s\n", s.Dim(s.Time(e.wall, e.wall)), s.Name(kit.CleanLine(e.From)), what, tail)
	return err
}

// Fact implements kit.Facts.
func (e *fileEvent) Fact(key string) []string {
	values := map[string]string{"from": e.From, "body_type": e.BodyType, "name": e.Name, "path": e.Path, "size": strconv.FormatInt(e.Size, 10),
		"outcome": e.Outcome}
	if v := values[key]; v != "" {
		return []string{v}
	}
	return nil
}

// XML implements kit.Facts.
func (e *fileEvent) XML() []byte { return nil }

// refusalText is what a peer is told of a file that is not taken: nothing about this machine.
func refusalText(err error) string {
	for _, known := range []error{msrpfile.ErrTooLarge, msrpfile.ErrMissing, msrpfile.ErrBusy, msrpfile.ErrShort, msrpfile.ErrLong, msrpfile.ErrHash, errFull} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	return "it cannot be written"
}

// giveUp tells the sender that a message is not taken after all: by the answer to what is still to come of it, or by a
// report when all of it has been acknowledged.
func giveUp(m *session.Incoming, why string) {
	if m.Refuse(wire.StopSending); m.Complete() {
		_ = m.Report(wire.StopSending, why)
	}
}

// transfers are the files of one call that were agreed on and have not begun, by their transfer-ids.
type transfers[F any] struct {
	mu sync.Mutex
	of map[string]F
}

func (t *transfers[F]) put(id string, f F) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.of == nil {
		t.of = map[string]F{}
	}
	t.of[id] = f
}

// take takes a file out; the zero F is none.
func (t *transfers[F]) take(id string) F {
	t.mu.Lock()
	defer t.mu.Unlock()
	f := t.of[id]
	delete(t.of, id)
	return f
}

// abandon ends those that no session came for.
func (t *transfers[F]) abandon(end func(F)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for id, f := range t.of {
		end(f)
		delete(t.of, id)
	}
}

func abort(sink *msrpfile.Sink) { _ = sink.Abort(true) }

func closeSource(source *msrpfile.Source) { _ = source.Close() }

// sink begins a file.
func (o *msrpRecvOptions) sink(f *sdp.File) (*msrpfile.Sink, error) {
	if o.kit.Output == kit.OutputRaw {
		return msrpfile.Through(printer{o.kit}, f, int64(o.maxSize))
	}
	if o.written.Load()+max(f.Size, 0) > int64(o.maxTotal) {
		return nil, errFull
	}
	return msrpfile.Create(msrpfile.SinkConfig{Dir: o.dir, Force: o.force, MaxSize: int64(o.maxSize)}, f)
}

// errFull refuses files beyond --max-total.
var errFull = errors.New("no more files are taken")

// counted is a file whose octets count.
type counted struct {
	*msrpfile.Sink
	of *msrpRecvOptions
}

func (c counted) Write(b []byte) (int, error) {
	if c.of.kit.Output != kit.OutputRaw && c.of.written.Add(int64(len(b))) > int64(c.of.maxTotal) {
		return 0, errFull
	}
	return c.Sink.Write(b)
}

// printer writes to stdout.
type printer struct{ kit *kit.Kit }

func (p printer) Write(b []byte) (int, error) {
	if err := p.kit.Print(b); err != nil {
		return 0, err
	}
	return len(b), nil
}

// receiveFile receives the one message of a session for a file (RFC 5547 section 8.7). The error is of a session in which none came.
func (o *msrpRecvOptions) receiveFile(ctx context.Context, n *call.Connection, leg *call.Leg, f *sdp.File, from string, sink *msrpfile.Sink) (*fileEvent, error) {
	m, err := leg.Session.Receive(leg.Context())
	if err != nil {
		_ = sink.Abort(true)
		return nil, err
	}
	defer m.Close()
	kind, body := m.Type, io.Reader(m)
	if sameMediaType(kind, msrpfile.CPIM) && !sameMediaType(f.Type, msrpfile.CPIM) {
		var w *msrpfile.Wrapped
		if w, err = msrpfile.Unwrap(m); err == nil {
			kind, body = w.Type, w.Body
		}
	}
	e := o.store(ctx, body, kind, err, f, sink)
	e.From = from
	if e.err != nil {
		giveUp(m, refusalText(e.err))
	}
	if e.err != nil && !m.Complete() && leg.Session.Err() == nil {
		_ = m.Close() // 413, and then port 0 (RFC 5547 section 8.4), unless the sender ends it
		if !lingering(ctx, leg, n, reactTime) {
			within, cancel := kit.Cleanup(ctx)
			defer cancel()
			_ = n.Drop(within, leg)
		}
	}
	if e.err == nil {
		_ = m.Report(wire.OK, "")
	}
	return e, nil
}

// lingering waits until the sender has ended the session, which it should (RFC 5547 section 8.7), but not for ever, and
// not long when enough has come. It reports whether it has.
func lingering(ctx context.Context, leg *call.Leg, n *call.Connection, limit time.Duration) bool {
	over := time.NewTimer(limit)
	defer over.Stop()
	stop := context.AfterFunc(ctx, func() { over.Reset(graceTime) })
	defer stop()
	select {
	case <-leg.Session.Done():
	case <-leg.Context().Done():
	case <-n.Call.Done():
	case <-over.C:
		return false
	}
	return true
}

// How long a session may stay open after its file has come, and after its file was refused.
const (
	lingerTime = 30 * time.Second
	reactTime  = 5 * time.Second
)

// store writes what comes as a file; unread is why it could not even be unwrapped.
func (o *msrpRecvOptions) store(ctx context.Context, body io.Reader, kind string, unread error, f *sdp.File, sink *msrpfile.Sink) *fileEvent {
	e := &fileEvent{Head: o.kit.Head("file"), Outcome: "received", Name: f.Name, BodyType: f.Type, wall: o.kit.Now()}
	if e.BodyType == "" {
		e.BodyType = kind
	}
	err := unread
	if err == nil {
		_, err = io.Copy(counted{sink, o}, body)
	}
	if err != nil {
		_ = sink.Abort(true)
	} else {
		var complete bool
		e.Path, complete, err = sink.Finish()
		if err == nil && !complete {
			e.Outcome = "partial"
		}
	}
	e.Size = sink.Octets()
	if err != nil {
		e.Outcome, e.Reason, e.err = "failed", err.Error(), err
		if ctx.Err() != nil {
			e.Reason = "msrp-recv ended before it had come"
		}
		return e
	}
	e.Path = o.shown(e.Path)
	for _, h := range sink.Hashes() {
		switch h.Algorithm {
		case "sha-1":
			e.SHA1 = fmt.Sprintf("%x", h.Sum)
		case "sha-256":
			e.SHA256 = fmt.Sprintf("%x", h.Sum)
		}
	}
	return e
}

// shown is a path as people know it: from where they are.
func (o *msrpRecvOptions) shown(path string) string {
	if rel, err := filepath.Rel(o.kit.Path("."), path); err == nil && !strings.HasPrefix(rel, "..") {
		return rel
	}
	return path
}

// namesFile tells whether a disposition is that of a file, and its name.
func namesFile(disposition string) (name string, is bool) {
	how, params, _ := mime.ParseMediaType(disposition)
	return params["filename"], how == "attachment" || params["filename"] != ""
}

// unannounced writes a file of which no description came.
func (o *msrpRecvOptions) unannounced(ctx context.Context, m *session.Incoming, body io.Reader, size int64, kind, name string, who header.Address) {
	f := &sdp.File{Name: name, Type: kind, Size: size}
	sink, err := o.sink(f)
	if err != nil {
		giveUp(m, refusalText(err))
		o.kit.Warn("%s from %s is refused: %v", name, who.URI, err)
		return
	}
	e := o.store(ctx, body, kind, nil, f, sink)
	e.From = who.URI
	if e.err != nil {
		giveUp(m, refusalText(e.err))
	} else {
		_ = m.Report(wire.OK, "")
	}
	o.tell(ctx, e, e)
}
