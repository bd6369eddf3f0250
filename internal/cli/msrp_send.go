package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

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
	chunk   kit.Bytes
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
was not given. With a relay of your own, and for files, success reports are always
asked for, unless --success-report=false says otherwise; for that of a file, all of
which was acknowledged, no more than 30 seconds are waited.

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
	fs.Var(&o.chunk, "chunk", "send chunks of `BYTES`, 64k is 65536; without it few large ones")
	fs.BoolVar(&o.success, "success-report", false, "wait for reports that all has arrived at the other end")
	fs.Var(kit.Choice(&o.failure, "yes", "partial", "no"), "failure-report", "what is to be told of failures")
	fs.StringVar(&o.relay, "relay", "", "go through the relay at `URI`, as --msrp-relay; none: without one")
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

func (o *msrpSendOptions) run(ctx context.Context, args []string) error {
	if err := o.check(args); err != nil {
		return err
	}
	acct, err := o.kit.Account()
	if err != nil {
		return err
	}
	chooseRelay(acct, o.relay)
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

// maxChunk bounds --chunk; larger ones are made without it.
const maxChunk = 1 << 30

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
	case o.cmd.Flags().Changed("path") && o.path == "":
		return usage("--path is empty", "is the variable set that it comes from?")
	case slices.Contains(args, ""):
		return usage("a TARGET or FILE is empty", "is the variable set that it comes from?")
	case o.chunk > maxChunk:
		return usage("--chunk is too large", "leave it out for chunks as large as can be")
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
	within, cancel := limited(ctx, o.kit)
	defer cancel()
	n, errs, err := agent.Connect(within, e, call.Outgoing{To: o.to, Ringing: func(status int, reason string) { o.kit.Debug("%d %s", status, reason) }}, lines)
	if within.Err() == nil && o.smaller(err, errs, parts) {
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

func (o *msrpSendOptions) failureReport() wire.Failure {
	switch o.failure {
	case "partial":
		return wire.FailurePartial
	case "no":
		return wire.FailureNo
	}
	return wire.FailureYes
}

// outcome is what can be said of what has not failed, and of which the receiver reports that it has it. remote is the
// line of the peer, nil without SIP.
func (o *msrpSendOptions) outcome(remote *sdp.Media, reported bool) string {
	path := o.path
	if remote != nil {
		path = remote.Path
	}
	switch {
	case reported:
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
		failed = readLinesInto(reading, in, maxLine, lines)
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

// answered is how long the answer to a message is waited for: as long as the session does at least.
func (o *msrpSendOptions) answered(ctx context.Context) (context.Context, context.CancelFunc) {
	if o.kit.Timeout <= 0 {
		return limited(ctx, o.kit)
	}
	return context.WithTimeout(ctx, max(o.kit.Timeout.Std(), 32*time.Second))
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
	m := session.Message{Type: kind, Body: strings.NewReader(string(line)), Size: int64(len(line)), Chunk: int(o.chunk), SuccessReport: o.success,
		FailureReport: o.failureReport()}
	if remote != nil && remote.Accepts(msrpfile.CPIM) && (remote.AcceptTypes[0] == msrpfile.CPIM || !remote.Accepts(kind)) {
		m.Wrapped = []string{kind}
		m.Body, m.Size = msrpfile.Wrap(o.from, o.to, kind, "", m.Body, m.Size)
		m.Type = msrpfile.CPIM
	}
	within, cancel := o.answered(ctx)
	defer cancel()
	out, err := s.Send(within, m)
	if err == nil {
		err = out.Wait(within)
	}
	e := transferEvent{Head: o.kit.Head("transfer"), To: o.to, Outcome: o.outcome(remote, o.success), Size: int64(len(line))}
	if err != nil {
		return o.failedAs(e, "sending to "+o.to, inside(err, &m))
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
	if t := path[0].Transport; t != "tcp" && t != "ws" {
		return kit.Fail(kit.ExitUsage, "reading --path", fmt.Sprintf("%s has the transport %q", path[0], t), "tcp and ws are those of MSRP")
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
	within, cancel := limited(ctx, o.kit)
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
