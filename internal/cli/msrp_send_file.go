package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"github.com/schollz/progressbar/v3"

	"imp/internal/agent/call"
	"imp/internal/cli/kit"
	"imp/internal/doc/sdp"
	msrpfile "imp/internal/msrp/file"
	"imp/internal/msrp/session"
	"imp/internal/msrp/wire"
)

// progressEvent tells how far a file is.
type progressEvent struct {
	kit.Head
	To   string `json:"to" doc:"the URI written to, or the MSRP path"`
	Name string `json:"name" doc:"of the file"`
	Sent int64  `json:"sent" doc:"bytes that have been written, with those of earlier attempts"`
	Size int64  `json:"size" doc:"bytes of all, -1 when that is not known"`
}

// open makes a FILE ready to be sent.
func (o *msrpSendOptions) open(name string) (s *msrpfile.Source, err error) {
	if name == "-" {
		in, _, err := o.kit.OpenInput("-")
		if err != nil {
			return nil, err
		}
		if o.stream {
			s = msrpfile.Stream(in, o.name)
		} else if s, err = msrpfile.Spool(in, o.name); err != nil {
			return nil, kit.Fail(kit.ExitUsage, "reading stdin", err, "is there room for it in the directory for temporary files? --stream needs none")
		}
	} else if s, err = msrpfile.Open(o.kit.Path(name)); err != nil {
		return nil, kit.Fail(kit.ExitUsage, "reading "+name, plainError(err), fileHint(o.kit.Path(name)))
	}
	if o.name != "" {
		s.Name = o.name
	}
	if o.kind != "" {
		s.Type = o.kind
	}
	return s, nil
}

// fileHint says what can be done with what cannot be sent as a file.
func fileHint(name string) string {
	switch info, err := os.Stat(name); {
	case err == nil && info.IsDir():
		return "a directory goes as an archive: tar c DIR | imp msrp-send TARGET --name DIR.tar -"
	case os.IsNotExist(err):
		return "a FILE is the name of one; a message comes from stdin: echo hello | imp msrp-send TARGET"
	}
	return "give a plain file that can be read, or - for stdin"
}

// plainError is the cause of an error of the file system, without the path that is told already.
func plainError(err error) error {
	for inner := err; inner != nil; inner = errors.Unwrap(inner) {
		err = inner
	}
	return err
}

// smaller takes less of what was sent before for granted, when the receiver has not got as much: a step back, and then
// the whole file.
func (o *msrpSendOptions) smaller(err error, errs []error, parts []*sdp.Range) (some bool) {
	for i, p := range parts {
		refused := i < len(errs) && errs[i] != nil || errs == nil && err != nil
		if p == nil || !refused {
			continue
		}
		some = true
		if p.Start > stepBack+1 && p.Start == o.saved(o.sources[i])+1 {
			parts[i] = &sdp.Range{Start: p.Start - stepBack}
		} else {
			parts[i] = nil
			o.kit.Note("the receiver cannot go on with %s: all of it is sent", o.sources[i].Name)
		}
	}
	return some
}

// stepBack is more than what may be on its way when a transfer is cut off.
const stepBack = 16 << 20

// sendFiles sends each file in its session.
func (o *msrpSendOptions) sendFiles(ctx context.Context, n *call.Connection, errs []error, parts []*sdp.Range) error {
	results := make([]error, len(o.sources))
	legs := n.Legs()
	done := make(chan int)
	for i, s := range o.sources {
		go func() {
			defer func() { done <- i }()
			if errs[i] != nil {
				results[i] = o.failed("sending "+s.Name+" to "+o.to, errs[i], s)
				return
			}
			defer legs[i].Finish()
			stop := context.AfterFunc(ctx, legs[i].Close)
			defer stop()
			results[i] = o.sendFile(legs[i].Context(), legs[i].Send, legs[i].Remote, s, parts[i])
		}()
	}
	for range o.sources {
		<-done
	}
	if err := kit.Interrupted(ctx); err != nil {
		return err
	}
	return o.lastOf(results)
}

// sender sends a message over a session.
type sender func(context.Context, session.Message) (*session.Sent, error)

// sendFile sends a file, or a part of one. remote is the line of the peer, nil without SIP.
func (o *msrpSendOptions) sendFile(ctx context.Context, send sender, remote *sdp.Media, src *msrpfile.Source, part *sdp.Range) error {
	doing := "sending " + src.Name + " to " + o.to
	body, size, err := src.Part(part)
	if err != nil {
		return kit.Fail(kit.ExitUsage, doing, err, "")
	}
	described := src.Offer(nil)
	m := session.Message{Type: src.Type, Disposition: msrpfile.Disposition(described), Body: body, Size: size, Chunk: int(o.chunk), SuccessReport: o.success,
		FailureReport: o.failureReport()}
	asked := o.success
	if m.FailureReport == wire.FailureYes && !o.cmd.Flags().Changed("success-report") {
		m.SuccessReport = true // that all was acknowledged does not tell that it could be written
	}
	if remote != nil && !remote.Accepts(m.Type) && remote.Accepts(msrpfile.CPIM) {
		m.Wrapped = []string{m.Type}
		m.Body, m.Size = msrpfile.Wrap(o.from, o.to, m.Type, m.Disposition, body, size)
		m.Type, m.Disposition = msrpfile.CPIM, ""
	}
	first := int64(1)
	if part != nil {
		first = part.Start
	}
	show := o.progress(src, first-1, size)
	var sent atomic.Int64
	m.Progress = func(n int64) { sent.Store(n); show.at(n) }
	kept := o.keep(src, first-1, &sent)
	out, err := send(ctx, m)
	reported := m.SuccessReport
	if err == nil && (asked || !reported) {
		err = out.Wait(ctx)
	} else if err == nil {
		reported, err = awaitReport(ctx, out)
	}
	show.end()
	kept()
	e := transferEvent{Head: o.kit.Head("transfer"), To: o.to, Outcome: o.outcome(remote, reported), Name: src.Name, Size: sent.Load()}
	if first > 1 {
		e.From = first
	}
	if len(src.Hashes) > 0 {
		e.SHA1 = fmt.Sprintf("%x", src.Hashes[0].Sum)
	}
	if err != nil {
		if o.path == "" {
			o.remember(src, first-1+sent.Load())
		}
		return o.failedAs(e, doing, inside(err, &m))
	}
	e.MessageID, e.Status = out.ID, wire.OK
	if o.path == "" {
		o.forget(src)
	}
	return o.kit.Emit(e)
}

// awaitReport waits for what becomes of a file. Of a receiver that acknowledges every byte and makes no report nothing
// more is wanted.
func awaitReport(ctx context.Context, out *session.Sent) (reported bool, err error) {
	late := time.NewTimer(reportTime)
	defer late.Stop()
	select {
	case <-out.Done():
	case <-late.C:
		if out.Acknowledged() {
			return false, nil
		}
		err = out.Wait(ctx)
		return err == nil, err
	case <-ctx.Done():
		return false, context.Cause(ctx)
	}
	if err = out.Err(); err != nil && out.Acknowledged() {
		return false, nil // the receiver has ended the session
	}
	return err == nil, err
}

// reportTime is how long a report may take that was not asked for expressly.
const reportTime = 30 * time.Second

// partSent is what is kept of a transfer that was cut off.
type partSent struct {
	Sent int64 `json:"sent"` // octets of the file
}

func (o *msrpSendOptions) stateKey(s *msrpfile.Source) string {
	return fmt.Sprintf("msrp/%s/%x", o.to, s.Hashes[0].Sum)
}

// keep writes down every now and then how much of a file was sent, for a command that is killed.
func (o *msrpSendOptions) keep(s *msrpfile.Source, before int64, sent *atomic.Int64) (stop func()) {
	if o.path != "" || len(s.Hashes) == 0 {
		return func() {}
	}
	ending, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(keepEvery)
		defer tick.Stop()
		for last := int64(0); ; {
			select {
			case <-tick.C:
			case <-ending:
				return
			}
			n := sent.Load()
			if n == last {
				continue
			}
			if last = n; o.kit.State().Put(o.stateKey(s), partSent{before + n}) != nil {
				return // remember tells that, when it matters
			}
		}
	}()
	return func() { close(ending); <-ended }
}

func (o *msrpSendOptions) remember(s *msrpfile.Source, n int64) {
	if len(s.Hashes) == 0 || n == 0 {
		return
	}
	if err := o.kit.State().Put(o.stateKey(s), partSent{n}); err != nil {
		o.kit.Warn("--resume will not know how much was sent: %v", err)
		return
	}
	o.kit.Note("%d of %d bytes of %s were sent; --resume goes on there", n, s.Size, s.Name)
}

func (o *msrpSendOptions) forget(s *msrpfile.Source) {
	if len(s.Hashes) > 0 {
		_ = o.kit.State().Delete(o.stateKey(s))
	}
}

// saved is how many octets of a file were sent before.
func (o *msrpSendOptions) saved(s *msrpfile.Source) int64 {
	var p partSent
	if ok, err := o.kit.State().Get(o.stateKey(s), &p); err != nil || !ok || p.Sent < 0 || p.Sent > s.Size {
		return 0
	}
	return p.Sent
}

// rest is what is left to be sent of a file, nil for all of it.
func (o *msrpSendOptions) rest(s *msrpfile.Source) *sdp.Range {
	if n := o.saved(s); n > 0 {
		return &sdp.Range{Start: n + 1}
	}
	o.kit.Note("nothing of %s was sent before", s.Name)
	return nil
}

// shown is the progress of one file: a bar for people at a terminal, events for programs.
type shown struct {
	o    *msrpSendOptions
	src  *msrpfile.Source
	past int64 // what earlier attempts have sent
	size int64 // with that, -1 when it is not known
	bar  *progressbar.ProgressBar
	from time.Time // of the first byte
	last time.Time
}

// progress shows how a part of a file of some size is sent, behind what was sent of it before.
func (o *msrpSendOptions) progress(src *msrpfile.Source, past, size int64) *shown {
	if size >= 0 {
		size += past
	}
	p := &shown{o: o, src: src, past: past, size: size}
	if o.kit.Output == kit.OutputText && o.kit.ErrTTY && !o.kit.Quiet {
		p.bar = progressbar.NewOptions64(size, progressbar.OptionSetWriter(o.kit.Err), progressbar.OptionShowBytes(true),
			progressbar.OptionSetDescription(kit.CleanLine(src.Name)), progressbar.OptionThrottle(barEvery), progressbar.OptionClearOnFinish())
		if past > 0 {
			_ = p.bar.Set64(past) // so that it is no part of the rate
		}
	}
	return p
}

const (
	barEvery   = 100 * time.Millisecond
	eventEvery = time.Second
	keepEvery  = time.Second
)

// at tells how much was written of the part.
func (p *shown) at(n int64) {
	n += p.past
	now := p.o.kit.Now()
	if p.bar != nil {
		p.draw(now, n)
	}
	if !p.o.kit.JSON() || p.o.kit.Quiet || n != p.size && now.Sub(p.last) < eventEvery {
		return
	}
	p.last = now
	_ = p.o.kit.Emit(progressEvent{p.o.kit.Head("progress"), p.o.to, p.src.Name, n, p.size})
}

// draw shows the bar, which has a rate only a while after the first byte.
func (p *shown) draw(now time.Time, n int64) {
	if p.from.IsZero() {
		p.from = now
		p.bar.StartWithoutRender()
	}
	if now.Sub(p.from) >= barEvery {
		_ = p.bar.Set64(n)
	}
}

// end takes the bar away.
func (p *shown) end() {
	if p.bar != nil {
		_ = p.bar.Clear()
	}
}
