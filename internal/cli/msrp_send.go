package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"imp/internal/agent/call"
	"imp/internal/cli/kit"
	"imp/internal/doc/sdp"
	msrpfile "imp/internal/msrp/file"
	"imp/internal/msrp/session"
	"imp/internal/msrp/wire"
	"imp/internal/sip/uac"
	"imp/internal/sip/useragent"
)

type msrpSendOptions struct {
	kit     *kit.Kit
	cmd     *cobra.Command
	path    string
	name    string
	stream  bool
	kind    string
	resume  bool
	chunk   int
	success bool
	failure string
	relay   string
	tls     bool

	to      string
	from    string
	sources []*msrpfile.Source
	relayed bool // through relays of our own
}

func newMSRPSend(k *kit.Kit) *cobra.Command {
	o := &msrpSendOptions{kit: k}
	cmd := &cobra.Command{
		Use:   "msrp-send [flags] TARGET [FILE…]",
		Short: "Send messages and files over MSRP",
		Long: `Invite TARGET to a session and send each FILE, or each line of stdin as a message
where there is no FILE. What became of each is printed: "delivered" when the other
end has acknowledged every byte; "accepted" when its relay has, and --success-report
was not given. With a relay of your own success reports are always asked for, unless
--success-report=false says otherwise.

FILE - is stdin: it is copied to a temporary file first, so that its size and
hash can be told, unless --stream is given; --name is what the receiver calls it.
Each file has a session of its own, announced with name, size, type and hash, and
the receiver checks the hash. All are offered in one call, and each may be refused.

--resume goes on with a file of which a part was sent before, if the receiver
still has that; else it sends the whole file. --chunk is for receivers that take
no large chunks; others get few large ones, which give way to other messages.

--path sends without SIP to an MSRP path, such as imp msrp-recv --listen prints.
Then there is no TARGET, and all files go into one session.

--tls makes the session go over TLS. Certificates are checked with the
fingerprints in the invitation, or by name with a relay or --path.`,
		Example: `  $ echo 'lunch at noon?' | imp msrp-send bob
  sip:bob@lab.test  delivered  (14 bytes)

  $ imp msrp-send bob notes.txt
  sip:bob@lab.test  notes.txt  delivered  (5 bytes)

  $ tar c inbox | imp msrp-send bob --name inbox.tar - -o json
  {"event":"progress",…
  …
  {"event":"transfer",…`,
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), args) },
	}
	o.cmd = cmd
	fs := cmd.Flags()
	fs.StringVar(&o.path, "path", "", "send to this MSRP path, `URI…`, without SIP")
	fs.StringVar(&o.name, "name", "", "what the receiver calls the FILE, a `NAME`")
	fs.BoolVar(&o.stream, "stream", false, "do not wait for the end of stdin; neither size nor hash is told")
	fs.StringVar(&o.kind, "type", "", "the media `TYPE`; without it text/plain for lines, and what the name says for files")
	fs.BoolVar(&o.resume, "resume", false, "go on where an earlier attempt was cut off")
	fs.IntVar(&o.chunk, "chunk", 0, "send chunks of `BYTES`; without it few large ones")
	fs.BoolVar(&o.success, "success-report", false, "wait for reports that all has arrived at the other end")
	fs.Var(kit.Choice(&o.failure, "yes", "partial", "no"), "failure-report", "what is to be told of failures")
	fs.StringVar(&o.relay, "relay", "", "the same as --msrp-relay `URI`")
	fs.BoolVar(&o.tls, "tls", false, "offer a session over TLS")
	k.AccountFlags(cmd, "msrp-relay")
	k.Emits(cmd, "transfer", "it is known what became of a message or a file", transferEvent{})
	k.Emits(cmd, "progress", "a part of a file has been sent", progressEvent{})
	return cmd
}

// transferEvent is what became of a message or a file.
type transferEvent struct {
	kit.Head
	To        string `json:"to" doc:"the URI written to, or the MSRP path"`
	Outcome   string `json:"outcome" doc:"delivered: every byte was acknowledged by the other end; accepted: by a relay, which will try to deliver it; sent: it is gone and nothing more was asked for; failed"`
	Name      string `json:"name,omitempty" doc:"of the file; absent for a message"`
	Size      int64  `json:"size" doc:"bytes that were sent"`
	MessageID string `json:"message_id,omitempty" doc:"its Message-ID"`
	Status    int    `json:"status" doc:"the status of the MSRP response, or of the SIP response that refused the call; 0 when no answer came"`
	Reason    string `json:"reason,omitempty" doc:"why it failed"`
	From      int64  `json:"from_octet,omitempty" doc:"the first octet that was sent of a file that goes on"`
	SHA1      string `json:"sha1,omitempty" doc:"the hash of the whole file in hexadecimal"`
}

// Text implements kit.Texter; what failed is told on stderr.
func (e transferEvent) Text(w io.Writer, s *kit.Style) error {
	if e.Outcome == "failed" {
		return nil
	}
	name := ""
	if e.Name != "" {
		name = kit.CleanLine(e.Name) + "  "
	}
	outcome := s.Good(e.Outcome)
	if e.Outcome != "delivered" {
		outcome = s.Busy(e.Outcome)
	}
	_, err := fmt.Fprintf(w, "%s  %s%s  %s\n", s.Name(kit.CleanLine(e.To)), name, outcome, s.Dim(fmt.Sprintf("(%d bytes)", e.Size)))
	return err
}

// progressEvent tells how far a file is.
type progressEvent struct {
	kit.Head
	To   string `json:"to" doc:"the URI written to, or the MSRP path"`
	Name string `json:"name" doc:"of the file"`
	Sent int64  `json:"sent" doc:"bytes that have been written"`
	Size int64  `json:"size" doc:"bytes of all, -1 when that is not known"`
}

func (o *msrpSendOptions) run(ctx context.Context, args []string) error {
	if err := o.check(args); err != nil {
		return err
	}
	acct, err := o.kit.Account()
	if err != nil {
		return err
	}
	if o.relay != "" {
		acct.MSRPRelay = o.relay
	}
	files := args
	if o.path == "" {
		files = args[1:]
		if o.to, err = acct.Target(args[0]); err != nil {
			return err
		}
	} else {
		o.to = o.path
	}
	defer func() {
		for _, s := range o.sources {
			_ = s.Close()
		}
	}()
	for _, name := range files {
		s, err := o.open(name)
		if err != nil {
			return err
		}
		o.sources = append(o.sources, s)
	}
	node, fingerprint, err := msrpNode(o.kit, acct)
	if err != nil {
		return err
	}
	defer node.Close()
	if o.path != "" {
		o.from = acct.AOR
		return o.bare(ctx, node)
	}
	return o.call(ctx, acct, node, fingerprint)
}

func (o *msrpSendOptions) check(args []string) error {
	files := len(args)
	if o.path == "" {
		if files == 0 {
			return usage("a TARGET is missing", "try: echo hello | imp msrp-send bob")
		}
		files--
	}
	stdin := 0
	for _, a := range args[len(args)-files:] {
		if a == "-" {
			stdin++
		}
	}
	switch {
	case o.chunk < 0:
		return usage("--chunk is negative", "give a number of bytes, or leave it out")
	case o.stream && stdin == 0:
		return usage("--stream is for stdin", "give - in place of a FILE")
	case stdin > 1:
		return usage("stdin can be sent once only", "give - once")
	case o.name != "" && files != 1:
		return usage("--name is for one FILE", "leave it out, or send one FILE at a time")
	case stdin > 0 && o.name == "":
		return usage("what comes from stdin has no name", "give it one with --name")
	case o.resume && (o.path != "" || files == 0 || o.stream):
		return usage("--resume is for files that are announced by SIP", "give TARGET and FILE, without --stream")
	}
	if o.kind != "" {
		if t, _, err := mime.ParseMediaType(o.kind); err != nil || !strings.Contains(t, "/") {
			return usage(fmt.Sprintf("--type: %q is no media type", o.kind), "write it like text/plain or image/png")
		}
	}
	return nil
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
		return nil, kit.Fail(kit.ExitUsage, "reading "+name, plainError(err), "give a plain file that can be read, or - for stdin")
	}
	if o.name != "" {
		s.Name = o.name
	}
	if o.kind != "" {
		s.Type = o.kind
	}
	return s, nil
}

// plainError is the cause of an error of the file system, without the path that is told already.
func plainError(err error) error {
	for inner := err; inner != nil; inner = errors.Unwrap(inner) {
		err = inner
	}
	return err
}

// call sends in a call.
func (o *msrpSendOptions) call(ctx context.Context, acct *kit.Account, node *session.Node, fingerprint string) error {
	var agent *call.Agent
	ua, err := startUser(ctx, o.kit, acct, func(ua *useragent.UserAgent) { agent = call.New(call.Config{User: ua}) })
	if err != nil {
		return err
	}
	defer ua.Close()
	o.from = ua.AOR.URI
	e, err := msrpEndpoint(ctx, o.kit, acct, node, fingerprint)
	if err != nil {
		return err
	}
	e.Types = msrpTypes
	o.relayed = e.Relays != nil
	if o.relayed && !o.cmd.Flags().Changed("success-report") {
		o.success = true // a relay acknowledges what it has, and not what has arrived
	}
	parts := make([]*sdp.Range, len(o.sources))
	if o.resume {
		for i, s := range o.sources {
			parts[i] = o.rest(s)
		}
	}
	for {
		again, err := o.attempt(ctx, agent, e, parts)
		if !again {
			return err
		}
	}
}

// attempt calls once. again is true when the parts of files that the peer does not take are to be offered as wholes.
func (o *msrpSendOptions) attempt(ctx context.Context, agent *call.Agent, e *call.Endpoint, parts []*sdp.Range) (again bool, err error) {
	doing := "calling " + o.to
	useTLS := o.tls || e.Relays != nil
	lines := []call.Line{{TLS: useTLS}}
	if len(o.sources) > 0 {
		lines = lines[:0]
		for i, s := range o.sources {
			lines = append(lines, call.Line{File: s.Offer(parts[i]), Direction: sdp.SendOnly, TLS: useTLS})
		}
	}
	within, cancel := context.WithTimeout(ctx, o.kit.Timeout.Std())
	defer cancel()
	n, errs, err := agent.Connect(within, e, call.Outgoing{To: o.to, Ringing: func(status int, reason string) { o.kit.Debug("%d %s", status, reason) }}, lines)
	if o.smaller(err, errs, parts) {
		if n != nil {
			_ = n.Call.Bye(within)
		}
		return true, nil
	}
	if err != nil {
		if interrupted := kit.Interrupted(ctx); interrupted != nil {
			return false, interrupted
		}
		return false, o.failed(doing, err, nil)
	}
	defer func() {
		within, cancel := kit.Cleanup(ctx)
		defer cancel()
		if err := n.Call.Bye(within); err != nil {
			o.kit.Debug("ending the call: %v", err)
		}
	}()
	if len(o.sources) == 0 {
		return false, o.sendLines(ctx, n.Legs()[0].Session, n.Legs()[0].Remote)
	}
	return false, o.sendFiles(ctx, n, errs, parts)
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

// lastOf tells all errors but one, which it gives.
func (o *msrpSendOptions) lastOf(errs []error) (last error) {
	for _, err := range errs {
		if err != nil && last != nil {
			o.kit.Warn("%v", last)
		}
		if err != nil {
			last = err
		}
	}
	return last
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
	m := session.Message{Type: src.Type, Disposition: msrpfile.Disposition(described), Body: body, Size: size, Chunk: o.chunk, SuccessReport: o.success,
		FailureReport: o.failureReport()}
	if remote != nil && !remote.Accepts(m.Type) && remote.Accepts(msrpfile.CPIM) {
		m.Wrapped = []string{m.Type}
		m.Body, m.Size = msrpfile.Wrap(o.from, o.to, m.Type, m.Disposition, body, size)
		m.Type, m.Disposition = msrpfile.CPIM, ""
	}
	first := int64(1)
	if part != nil {
		first = part.Start
	}
	show := o.progress(src, size)
	var sent atomic.Int64
	m.Progress = func(n int64) { sent.Store(n); show.at(n) }
	out, err := send(ctx, m)
	if err == nil {
		err = out.Wait(ctx)
	}
	show.end()
	e := transferEvent{Head: o.kit.Head("transfer"), To: o.to, Outcome: o.outcome(remote), Name: src.Name, Size: sent.Load()}
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
		return o.failedAs(e, doing, err)
	}
	e.MessageID, e.Status = out.ID, wire.OK
	if o.path == "" {
		o.forget(src)
	}
	return o.kit.Emit(e)
}

func (o *msrpSendOptions) failureReport() wire.Failure {
	switch o.failure {
	case "partial":
		return wire.FailurePartial
	case "no":
		return wire.FailureNo
	}
	return wire.FailureYes
}

// outcome is what can be said of what has not failed. remote is the line of the peer, nil without SIP.
func (o *msrpSendOptions) outcome(remote *sdp.Media) string {
	path := o.path
	if remote != nil {
		path = remote.Path
	}
	switch {
	case o.success:
		return "delivered"
	case o.failureReport() != wire.FailureYes:
		return "sent"
	case o.relayed || strings.Contains(path, " "):
		return "accepted"
	}
	return "delivered"
}

// failed prints a failure before anything was sent.
func (o *msrpSendOptions) failed(doing string, err error, s *msrpfile.Source) error {
	e := transferEvent{Head: o.kit.Head("transfer"), To: o.to}
	if s != nil {
		e.Name = s.Name
	}
	return o.failedAs(e, doing, err)
}

func (o *msrpSendOptions) failedAs(e transferEvent, doing string, err error) error {
	e.Outcome, e.Reason = "failed", err.Error()
	var status *session.StatusError
	if errors.As(err, &status) {
		e.Status, e.Reason = status.Code, status.Comment
	}
	var refused *uac.ResponseError
	if errors.As(err, &refused) {
		e.Status, e.Reason = refused.Status, answerOf(refused).Reason
	}
	if emitted := o.kit.Emit(e); emitted != nil {
		return emitted
	}
	return msrpFailure(doing, err)
}

// sendLines sends each line of stdin as a message.
func (o *msrpSendOptions) sendLines(ctx context.Context, s *session.Session, remote *sdp.Media) error {
	in, _, err := o.kit.OpenInput("-")
	if err != nil {
		return err
	}
	lines := make(chan []byte)
	reading, cancel := context.WithCancel(ctx)
	defer cancel()
	var failed error
	go func() {
		defer close(lines)
		failed = readLinesInto(reading, in, lines)
	}()
	for {
		select {
		case line, ok := <-lines:
			if !ok {
				return failed
			}
			if len(line) == 0 {
				continue
			}
			if err := o.sendLine(ctx, s, remote, line); err != nil {
				return err
			}
		case <-s.Done():
			return o.failed("sending to "+o.to, s.Err(), nil)
		case <-ctx.Done():
			return kit.Interrupted(ctx)
		}
	}
}

// sendLine sends one message; a peer that lists message/cpim first gets it in one (RFC 4975 section 13).
func (o *msrpSendOptions) sendLine(ctx context.Context, s *session.Session, remote *sdp.Media, line []byte) error {
	kind := o.kind
	switch {
	case kind != "":
	case utf8.Valid(line):
		kind = "text/plain; charset=utf-8"
	default:
		return usage("a line is not UTF-8", `tell what it is, as in --type "text/plain; charset=iso-8859-1"`)
	}
	m := session.Message{Type: kind, Body: strings.NewReader(string(line)), Size: int64(len(line)), Chunk: o.chunk, SuccessReport: o.success,
		FailureReport: o.failureReport()}
	if remote != nil && remote.Accepts(msrpfile.CPIM) && (remote.AcceptTypes[0] == msrpfile.CPIM || !remote.Accepts(kind)) {
		m.Wrapped = []string{kind}
		m.Body, m.Size = msrpfile.Wrap(o.from, o.to, kind, "", m.Body, m.Size)
		m.Type = msrpfile.CPIM
	}
	within, cancel := context.WithTimeout(ctx, max(o.kit.Timeout.Std(), 32*time.Second))
	defer cancel()
	out, err := s.Send(within, m)
	if err == nil {
		err = out.Wait(within)
	}
	e := transferEvent{Head: o.kit.Head("transfer"), To: o.to, Outcome: o.outcome(remote), Size: int64(len(line))}
	if err != nil {
		return o.failedAs(e, "sending to "+o.to, err)
	}
	e.MessageID, e.Status = out.ID, wire.OK
	return o.kit.Emit(e)
}

// bare sends to a path without SIP, in one session.
func (o *msrpSendOptions) bare(ctx context.Context, node *session.Node) error {
	doing := "connecting to " + o.path
	path, err := wire.ParsePath(o.path)
	if err != nil {
		return kit.Fail(kit.ExitUsage, "reading --path", err, "a path is msrp://HOST:PORT/SESSION;tcp, or several of these with spaces between")
	}
	transport := "tcp"
	if path[0].Secure {
		transport = "tls"
	}
	own, err := node.NewURI(transport, net.JoinHostPort(localHost(ctx, path[0].Address()), "9"))
	if err != nil {
		return kit.Fail(kit.ExitUsage, "reading --path", err, "")
	}
	s, err := node.Open(session.Own{URI: own, Types: msrpTypes})
	if err != nil {
		return kit.Fail(kit.ExitBug, doing, err, "")
	}
	defer s.Close()
	within, cancel := context.WithTimeout(ctx, o.kit.Timeout.Std())
	err = s.Start(within, session.Peer{Path: path, Decision: session.Decision{Active: true, Model: "RFC 4975", Why: "--path names the peer"}})
	cancel()
	if err != nil {
		return o.failed(doing, err, nil)
	}
	if len(o.sources) == 0 {
		return o.sendLines(ctx, s, nil)
	}
	results := make([]error, len(o.sources))
	for i, src := range o.sources {
		results[i] = o.sendFile(ctx, s.Send, nil, src, nil)
	}
	return o.lastOf(results)
}

// partSent is what is kept of a transfer that was cut off.
type partSent struct {
	Sent int64 `json:"sent"` // octets of the file
}

func (o *msrpSendOptions) stateKey(s *msrpfile.Source) string {
	return fmt.Sprintf("msrp/%s/%x", o.to, s.Hashes[0].Sum)
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
	size int64
	bar  *progressbar.ProgressBar
	last time.Time
}

func (o *msrpSendOptions) progress(src *msrpfile.Source, size int64) *shown {
	p := &shown{o: o, src: src, size: size}
	if o.kit.Output == kit.OutputText && o.kit.ErrTTY && !o.kit.Quiet {
		p.bar = progressbar.NewOptions64(size, progressbar.OptionSetWriter(o.kit.Err), progressbar.OptionShowBytes(true),
			progressbar.OptionSetDescription(kit.CleanLine(src.Name)), progressbar.OptionThrottle(barEvery), progressbar.OptionClearOnFinish())
	}
	return p
}

const (
	barEvery   = 100 * time.Millisecond
	eventEvery = time.Second
)

// at tells how much was written.
func (p *shown) at(n int64) {
	if p.bar != nil {
		_ = p.bar.Set64(n)
	}
	now := p.o.kit.Now()
	if !p.o.kit.JSON() || p.o.kit.Quiet || n != p.size && now.Sub(p.last) < eventEvery {
		return
	}
	p.last = now
	_ = p.o.kit.Emit(progressEvent{p.o.kit.Head("progress"), p.o.to, p.src.Name, n, p.size})
}

// end takes the bar away.
func (p *shown) end() {
	if p.bar != nil {
		_ = p.bar.Clear()
	}
}
