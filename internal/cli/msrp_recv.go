package cli

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"imp/internal/agent/call"
	"imp/internal/agent/pager"
	"imp/internal/cli/kit"
	"imp/internal/doc/sdp"
	msrpfile "imp/internal/msrp/file"
	"imp/internal/msrp/session"
	"imp/internal/msrp/wire"
	"imp/internal/sip/header"
	"imp/internal/sip/registration"
	"imp/internal/sip/stack"
	"imp/internal/sip/useragent"
)

type msrpRecvOptions struct {
	kit        *kit.Kit
	flags      registrationFlags
	wait       kit.Wait
	noRegister bool
	listen     []string
	senders    []string
	accept     []string
	maxSize    kit.Bytes
	dir        string
	force      bool
	maxTotal   kit.Bytes
	share      string // directory, "": none
	relay      string

	senderSet map[string]bool
	things    chan thing
	accepted  atomic.Int64  // files
	written   atomic.Int64  // bytes of files
	over      chan struct{} // closed when nothing is printed any more
	mute      bool          // nobody reads stdout; of the printing goroutine
}

func newMSRPRecv(k *kit.Kit) *cobra.Command {
	o := &msrpRecvOptions{kit: k}
	cmd := &cobra.Command{
		Use:   "msrp-recv [flags]",
		Short: "Receive messages and files over MSRP",
		Long: `Register for your account, accept the sessions that others invite you to, print
the messages that come, and write files to the directory of --dir, until Ctrl-C,
--count, --until, --for or --timeout end it. Messages and files count alike.

A file gets the name that its sender gives it, without directories and without
what a system could misunderstand. What is there already is not replaced, the
new file gets a number, unless --force is given. While it comes its name ends in
.part; it gets its own when it is complete and its hash is right. What was cut
off stays, and imp msrp-send --resume goes on with it. Others cannot read it.
Files of more than --max-total together are refused; --max-size bounds each.

A message that comes twice, because its sender heard nothing of the first one, is
printed once. When it ends while a file comes, an event tells that it failed.

--share gives the files of a directory to who asks for them by name or size, as imp
msrp-fetch does: plain files in DIR itself, not those in directories below it, and
none that are hidden or end in .part. With --sender only to those. What was given is told, and does not count.

With -o raw the bodies of messages and files go to stdout, byte for byte and as
they come, and nothing is written to --dir.

--listen without an account waits for one peer after another at ADDR, prints the
path to give to imp msrp-send --path, and takes whatever comes: there is no SIP,
and nobody proves who he is. With an account --listen is where SIP listens.

Sessions go over TLS when the caller wants that; certificates are checked with
the fingerprints in the invitation. With msrp_relay in the account, or
--msrp-relay, peers come through that relay.`,
		Example: `  $ imp msrp-recv --count 1 --dir inbox
  imp: listening as sip:alice@lab.test
  … sip:bob@lab.test  inbox/notes.txt (5 bytes)

  $ imp msrp-recv --count 1 -q -o raw
  hello

  $ imp msrp-recv --listen tcp:127.0.0.1:0
  msrp-recv ready at tcp:127.0.0.1:…, path msrp://127.0.0.1:…
  …
  ^C`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context()) },
	}
	o.flags.add(cmd)
	fs := cmd.Flags()
	fs.StringVar(&o.dir, "dir", ".", "write files to `DIR`, which is made where it is missing")
	fs.BoolVar(&o.force, "force", false, "replace files that are there")
	fs.StringArrayVar(&o.listen, "listen", nil, "listen at `TRANSPORT:ADDR`; tcp and tls without an account, repeatable")
	fs.BoolVar(&o.noRegister, "no-register", false, "only listen")
	fs.StringArrayVar(&o.senders, "sender", nil, "take sessions from `TARGET` only, repeatable")
	fs.StringSliceVar(&o.accept, "accept-types", nil, "take messages of these media `TYPES`, * are all")
	fs.Var(&o.maxSize, "max-size", "take messages and files of up to `BYTES`; 64k and 10M are powers of 1024")
	o.maxTotal = 16 << 30
	fs.Var(&o.maxTotal, "max-total", "write up to `BYTES` of files in all, 16 GiB unless given")
	fs.Lookup("max-total").DefValue = "0" // pflag would print it in bytes
	fs.StringVar(&o.share, "share", "", "give the files of `DIR` to who asks for them")
	fs.StringVar(&o.relay, "relay", "", "go through the relay at `URI`, as --msrp-relay; none: without one")
	k.AccountFlags(cmd, "msrp-relay")
	k.WaitFlags(cmd, &o.wait, append(slices.Clone(messageKeys), "name", "path", "size", "outcome")...)
	k.Emits(cmd, "message", "a message came", messageEvent{})
	k.Emits(cmd, "file", "a file came, or only a part of it", fileEvent{})
	k.Emits(cmd, "transfer", "a file of --share was given, or not", transferEvent{})
	k.Emits(cmd, "ready", "it listens without an account", msrpReadyEvent{})
	return cmd
}

// msrpReadyEvent tells where --listen is reached.
type msrpReadyEvent struct {
	kit.Head
	Server string   `json:"server" doc:"the command that listens"`
	Listen []string `json:"listen" doc:"its addresses, transport:host:port"`
	Path   string   `json:"path" doc:"the MSRP URI of the first, for imp msrp-send --path"`
	Paths  []string `json:"paths" doc:"the MSRP URIs of all"`
}

// Text implements kit.Texter.
func (e msrpReadyEvent) Text(w io.Writer, _ *kit.Style) error {
	_, err := fmt.Fprintf(w, "%s ready at %s, path %s\n", e.Server, strings.Join(e.Listen, " "), strings.Join(e.Paths, " "))
	return err
}

func (o *msrpRecvOptions) run(ctx context.Context) error {
	acct, err := o.kit.Account()
	if err != nil {
		return err
	}
	chooseRelay(acct, o.relay)
	if err := o.prepare(acct); err != nil {
		return err
	}
	watch, err := o.kit.Watch(ctx, o.wait)
	if err != nil {
		return err
	}
	defer watch.Stop()
	node, fingerprint, err := msrpNode(o.kit, acct)
	if err != nil {
		return err
	}
	defer node.Close()
	if len(o.listen) > 0 && !o.noRegister && (acct.AOR == "" || o.bare()) {
		return o.runBare(ctx, watch, node)
	}
	return o.runSIP(ctx, watch, acct, node, fingerprint)
}

// bare tells whether --listen names transports of MSRP and no account was asked for.
func (o *msrpRecvOptions) bare() bool {
	if o.kit.AccountName != "" || o.kit.Overrides.AOR != "" {
		return false
	}
	for _, l := range o.listen {
		if !strings.HasPrefix(l, "tcp:") && !strings.HasPrefix(l, "tls:") && !strings.HasPrefix(l, "msrp+") {
			return false
		}
	}
	return true
}

var errNoDirectory = errors.New("it is no directory")

func (o *msrpRecvOptions) prepare(acct *kit.Account) error {
	o.things, o.over = make(chan thing, 64), make(chan struct{})
	o.senderSet = map[string]bool{}
	for _, s := range o.senders {
		t, err := acct.Target(s)
		if err != nil {
			return err
		}
		o.senderSet[addressOf(t)] = true
	}
	for _, t := range o.accept {
		if t != "*" && !strings.Contains(t, "/") {
			return usage(fmt.Sprintf("--accept-types: %q is no media type", t), "write it like text/plain,image/* or *")
		}
	}
	if o.accept == nil {
		o.accept = append(append([]string(nil), msrpTypes...), "*")
	} else {
		o.accept = append(o.accept, session.MustAccept...)
	}
	if o.share != "" {
		o.share = o.kit.Path(o.share)
		if info, err := os.Stat(o.share); err != nil || !info.IsDir() {
			return kit.Fail(kit.ExitUsage, "reading --share", cmp.Or(plainError(err), errNoDirectory), "give a directory that is there")
		}
	}
	o.dir = o.kit.Path(o.dir)
	if o.kit.Output == kit.OutputRaw {
		return nil
	}
	if err := os.MkdirAll(o.dir, 0o700); err != nil {
		return kit.Fail(kit.ExitUsage, "making the directory of --dir", err, "give a directory that can be written to")
	}
	return nil
}

// runSIP waits for the invitations to an account.
func (o *msrpRecvOptions) runSIP(ctx context.Context, watch *kit.Watch, acct *kit.Account, node *session.Node, fingerprint string) error {
	if o.noRegister && acct.AOR == "" {
		acct.AOR = "sip:anonymous@anonymous.invalid"
	}
	endpoints, err := (&listenOptions{listen: o.listen}).endpoints()
	if err != nil {
		return err
	}
	e, err := msrpEndpoint(ctx, o.kit, acct, node, fingerprint)
	if err != nil {
		return err
	}
	e.Types, e.MaxSize, e.ManualReports = o.accept, int64(o.maxSize), true
	var calls sync.WaitGroup
	ua, err := startUser(ctx, o.kit, acct, func(ua *useragent.UserAgent) {
		call.New(call.Config{User: ua, Capabilities: sdp.Capabilities("127.0.0.1", o.accept), Invited: func(in *call.Incoming) {
			if watch.Context().Err() != nil {
				in.Refuse(480, "")
				return
			}
			calls.Go(func() { o.invited(watch.Context(), e, in) })
		}})
	}, endpoints...)
	if err != nil {
		return err
	}
	defer ua.Close()
	defer o.rest(&calls)
	if o.noRegister {
		o.kit.Note("listening at %s", endpointList(ua.Stack.Addrs()))
		return o.print(watch, nil)
	}
	return o.registered(ctx, watch, ua)
}

// registered prints what comes while the account is registered.
func (o *msrpRecvOptions) registered(ctx context.Context, watch *kit.Watch, ua *useragent.UserAgent) error {
	aor := ua.AOR.URI
	cfg, err := o.flags.config(ua)
	if err != nil {
		return err
	}
	var release func()
	if cfg.Instance, release, err = claimInstance(o.kit, aor); err != nil {
		return err
	}
	defer release()
	r, err := registration.New(cfg)
	if err != nil {
		return kit.Fail(kit.ExitUsage, "registering "+aor, err, "see imp msrp-recv --help for what the flags take")
	}
	within, cancel := limited(watch.Context(), o.kit)
	_, err = r.Register(within)
	cancel()
	if err != nil {
		if interrupted := kit.Interrupted(ctx); interrupted != nil {
			return interrupted
		}
		return sipFailure("registering "+aor, err)
	}
	defer unregister(ctx, o.kit, r, aor)
	o.kit.Note("listening as %s", aor)
	staying, stop := context.WithCancel(watch.Context())
	defer stop()
	lost := make(chan error, 1)
	go func() { lost <- stayRegistered(staying, o.kit, r, aor, nil) }()
	return o.print(watch, lost)
}

// invited answers one INVITE.
func (o *msrpRecvOptions) invited(ctx context.Context, e *call.Endpoint, in *call.Incoming) {
	if len(o.senderSet) > 0 && !o.senderSet[addressOf(in.From.URI)] {
		in.Refuse(603, "")
		return
	}
	sinks, files := &transfers[*msrpfile.Sink]{}, &transfers[*msrpfile.Source]{}
	defer files.abandon(closeSource)
	decide := func(m *sdp.Media) (*sdp.File, error) {
		switch {
		case m.Direction == sdp.RecvOnly:
			return o.offered(m, in, files)
		case m.Direction == sdp.Inactive:
			return nil, &call.Refusal{Status: 488, Why: "nothing is sent on it"}
		case m.File == nil:
			return nil, nil
		}
		if n := o.accepted.Add(1); o.wait.Count > 0 && n > int64(o.wait.Count) {
			o.accepted.Add(-1)
			return nil, &call.Refusal{Status: 486, Why: "no more files are taken"}
		}
		s, err := o.sink(m.File)
		if err != nil {
			o.accepted.Add(-1)
			o.kit.Warn("%s from %s is refused: %v", m.File.Name, in.From.URI, err)
			return nil, &call.Refusal{Status: 488, Why: "the file is not taken: " + refusalText(err)}
		}
		sinks.put(m.File.ID, s)
		return m.File.ToReceive(), nil
	}
	n, err := e.Take(ctx, in, decide, func(n *call.Connection, leg *call.Leg) { o.session(ctx, n, leg, in, sinks, files) })
	if err != nil {
		sinks.abandon(abort)
		o.kit.Debug("a session with %s was refused: %v", in.From.URI, err)
		return
	}
	select {
	case <-n.Call.Done():
	case <-ctx.Done():
		select {
		case <-n.Call.Done():
		case <-time.After(graceTime):
		}
		within, cancel := kit.Cleanup(ctx)
		defer cancel()
		_ = n.Call.Bye(within)
	}
	sinks.abandon(abort)
	for _, leg := range n.Legs() {
		if leg != nil {
			<-leg.Idle() // what came of it is told
		}
	}
}

// graceTime is what a caller gets to end a call himself, when what came of it is enough.
const graceTime = 500 * time.Millisecond

// session receives what comes in one session.
func (o *msrpRecvOptions) session(ctx context.Context, n *call.Connection, leg *call.Leg, in *call.Incoming, sinks *transfers[*msrpfile.Sink], files *transfers[*msrpfile.Source]) {
	if f := leg.Line.File; f != nil {
		if source := files.take(f.ID); source != nil {
			o.give(ctx, leg, in, source)
		}
		if sink := sinks.take(f.ID); sink != nil {
			e, err := o.receiveFile(ctx, n, leg, leg.Remote.File, in.From.URI, sink)
			if err != nil {
				o.kit.Note("%s from %s did not come: %v", sink.Name(), in.From.URI, err)
				return
			}
			o.tell(ctx, e, e)
			lingering(ctx, leg, n, lingerTime)
		}
		return
	}
	reading, cancel := context.WithCancel(leg.Context())
	defer cancel()
	stop := context.AfterFunc(ctx, cancel)
	defer stop()
	who := in.From
	for {
		m, err := leg.Session.Receive(reading)
		if err != nil {
			return
		}
		o.message(ctx, m, who, in.To, in.CallID)
	}
}

// maxText bounds a message that is printed as one event; what is longer is a file.
const maxText = 1 << 20

// message takes one message that is not announced as a file; one that says it is a file is one all the same.
func (o *msrpRecvOptions) message(ctx context.Context, m *session.Incoming, who header.Address, to, callID string) {
	defer m.Close()
	if name, is := namesFile(m.Disposition); is || m.Total > maxText {
		o.unannounced(ctx, m, m, m.Total, m.Type, name, who)
		return
	}
	read, err := call.Read(m, maxText)
	if err != nil {
		if errors.Is(err, call.ErrLong) {
			giveUp(m, "it is longer than a message may be that is no file")
		}
		o.kit.Warn("a message of %s was not taken: %v", who.URI, err)
		return
	}
	if w := read.Wrapper; w != nil {
		if name, is := namesFile(w.Content.Get("Content-Disposition")); is {
			o.unannounced(ctx, m, bytes.NewReader(w.Content.Body), int64(len(w.Content.Body)), w.Content.Type(), name, who)
			return
		}
	}
	t, err := header.ParseContentType(read.Type)
	if err != nil {
		t = header.ContentType{MediaType: msrpfile.OctetStream}
	}
	e := newMessageEvent(&pager.Message{Time: o.kit.Now(), From: who, To: to, CallID: callID, ContentType: t, Body: read.Body})
	if m.Duplicate { // its sender did not hear of the first one (RFC 4975 section 7.3.1)
		_ = m.Report(wire.OK, "")
		return
	}
	if e.content.Composing != nil || o.tell(ctx, e, e) {
		_ = m.Report(wire.OK, "")
	}
}

// runBare waits for peers without SIP.
func (o *msrpRecvOptions) runBare(ctx context.Context, watch *kit.Watch, node *session.Node) error {
	e := msrpReadyEvent{Head: o.kit.Head("ready"), Server: "msrp-recv"}
	var peers sync.WaitGroup
	defer o.rest(&peers)
	defer watch.Stop()
	for _, s := range o.listen {
		eps, err := stack.ParseEndpoint(strings.TrimPrefix(s, "msrp+"))
		if err != nil || len(eps) != 1 || eps[0].Transport != "tcp" && eps[0].Transport != "tls" {
			return kit.Fail(kit.ExitUsage, "reading --listen", fmt.Sprintf("%q is no tcp or tls address", s), "write it like tcp:127.0.0.1:2855 or tls:127.0.0.1:0")
		}
		l, err := node.Listen(ctx, eps[0].Transport, eps[0].Addr)
		if err != nil {
			return kit.Fail(kit.ExitNetwork, "listening at "+s, err, "--listen takes a free address of this machine; port 0 is any free port")
		}
		uri, err := node.NewURI(eps[0].Transport, reachable(ctx, l.Addr()))
		if err != nil {
			return kit.Fail(kit.ExitUsage, "reading --listen", err, "")
		}
		e.Listen = append(e.Listen, eps[0].Transport+":"+l.Addr())
		e.Paths = append(e.Paths, uri.String())
		peers.Go(func() { o.peers(watch.Context(), node, uri) })
	}
	e.Path = e.Paths[0]
	if o.kit.Output == kit.OutputRaw {
		o.kit.Note("msrp-recv ready at %s, path %s", strings.Join(e.Listen, " "), strings.Join(e.Paths, " "))
	} else if err := o.kit.Emit(e); err != nil {
		return err
	}
	return o.print(watch, nil)
}

// reachable is a listening address as peers can use it: a wildcard is that of the interface to the world.
func reachable(ctx context.Context, addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if ip := net.ParseIP(host); err != nil || ip == nil || !ip.IsUnspecified() {
		return addr
	}
	return net.JoinHostPort(localHost(ctx, ""), port)
}

// peers takes one session after another at a URI: there is one for the next peer as soon as the last has gone.
func (o *msrpRecvOptions) peers(ctx context.Context, node *session.Node, uri wire.URI) {
	var all sync.WaitGroup
	defer all.Wait()
	seen := session.NewSeen(seenMessages)
	for ctx.Err() == nil {
		s, err := node.Open(session.Own{URI: uri, Types: o.accept, MaxSize: int64(o.maxSize), Seen: seen, ManualReports: true})
		if err == nil {
			err = s.Start(ctx, session.Peer{})
		}
		if err != nil {
			o.kit.Warn("opening a session: %v", err)
			return
		}
		all.Go(func() { o.peer(ctx, s, uri) })
		select {
		case <-s.Done():
		case <-ctx.Done():
		}
	}
}

// peer takes what comes in one session.
func (o *msrpRecvOptions) peer(ctx context.Context, s *session.Session, uri wire.URI) {
	defer s.Close()
	defer context.AfterFunc(ctx, func() { // what comes gets a moment to come to its end
		select {
		case <-s.Done():
		case <-time.After(graceTime):
			s.Close()
		}
	})()
	for {
		m, err := s.Receive(ctx)
		if err != nil {
			return
		}
		o.message(ctx, m, header.Address{URI: m.From}, uri.String(), "")
	}
}
