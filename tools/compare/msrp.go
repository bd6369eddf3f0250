//go:build linux

package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"imp/internal/auth/certs"
	"imp/internal/msrp/wire"
)

// What is done to each MSRP relay.
const (
	sends     = 60_000    // of 2 kB
	bulk      = 1_000_000 // kB in chunks
	message   = 2048      // bytes of a SEND
	large     = 64 << 10  // bytes of a chunk
	kamailios = 9800      // bytes of its chunks: it ends the connection at a frame of more than 10,240
	batchSize = 64 << 10  // bytes written at once, two of them are on their way: Kamailio loses what it has no room for
	tiny      = 8 << 10   // the same for what Kamailio sends to itself, of which it loses more
	ample     = 256 << 10 // the same for chunks through imp, which loses nothing
	idle      = 1000      // sessions, each with its connection
)

// idleRest is how long idle sessions are left alone before the memory is looked at.
const idleRest = 8 * time.Second

// msrpConfig is Kamailio's as a relay, as its manual shows it. What is for a URI of its own behind another one goes
// through it twice.
func (k *kamailio) msrpConfig(dir, addr string, secret *secret) string {
	var b strings.Builder
	fmt.Fprintf(&b, "#!KAMAILIO\ndebug=0\nlog_stderror=yes\nfork=yes\nchildren=1\ntcp_children=1\ntcp_accept_no_cl=yes\ntcp_connection_lifetime=3600\n"+
		"tcp_max_connections=16384\nauto_aliases=no\nmpath=%q\n", k.modules)
	modules, listen := []string{"kex", "ctl", "sl", "pv", "textops", "msrp"}, "tcp:"
	if secret != nil {
		modules, listen = append([]string{"tls"}, modules...), "tls:"
		b.WriteString("enable_tls=yes\ntls_max_connections=16384\n")
	}
	fmt.Fprintf(&b, "listen=%s%s\n", listen, addr)
	for _, m := range modules {
		fmt.Fprintf(&b, "loadmodule %q\n", m+".so")
	}
	if secret != nil {
		fmt.Fprintf(&b, "modparam(\"tls\", \"certificate\", %q)\nmodparam(\"tls\", \"private_key\", %q)\nmodparam(\"tls\", \"tls_method\", \"TLSv1.2+\")\n", secret.cert, secret.key)
	}
	fmt.Fprintf(&b, "modparam(\"ctl\", \"binrpc\", %q)\nmodparam(\"msrp\", \"cmap_size\", 10)\n", "unixs:"+filepath.Join(dir, "ctl"))
	b.WriteString(`request_route { exit; }
event_route[msrp:frame-in] {
	msrp_reply_flags("1");
	if (msrp_is_reply()) { msrp_relay(); exit; }
	if ($msrp(method) == "AUTH") { msrp_cmap_save(); exit; }
	if ($msrp(nexthops) > 1) { msrp_reply("200", "OK"); msrp_relay(); exit; }
	if (!msrp_cmap_lookup()) { msrp_reply("481", "Session does not exist"); exit; }
	msrp_reply("200", "OK");
	msrp_relay();
}
`)
	return b.String()
}

// secret is a certificate for localhost, in files.
type secret struct {
	cert, key string
	roots     *tls.Config // trusts it
}

func newSecret(dir string) (*secret, error) {
	ca, err := certs.NewAuthority("compare", time.Now(), time.Hour)
	if err != nil {
		return nil, err
	}
	cert, key, err := ca.Issue(certs.Names{Hosts: []string{"localhost"}, IPs: []net.IP{net.IPv4(127, 0, 0, 1)}}, time.Now())
	if err != nil {
		return nil, err
	}
	s := &secret{cert: filepath.Join(dir, "cert.pem"), key: filepath.Join(dir, "key.pem"), roots: &tls.Config{RootCAs: ca.Pool(), ServerName: "localhost"}}
	return s, errors.Join(os.WriteFile(s.cert, cert, 0o600), os.WriteFile(s.key, key, 0o600))
}

// msrpRelay is a relay under load.
type msrpRelay struct {
	*server
	secret *secret // nil over TCP
}

func (b *bench) startMSRP(ctx context.Context, imp bool, secret *secret) (*msrpRelay, error) {
	addr, err := freeTCP()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(b.dir, "server-")
	if err != nil {
		return nil, err
	}
	s := &server{name: "Kamailio", addr: addr}
	if imp {
		s.name = "imp"
		err = b.startImpMSRP(s, dir, secret)
	} else {
		err = b.kamailio.startMSRP(s, dir, secret)
	}
	if err != nil {
		return nil, err
	}
	return &msrpRelay{s, secret}, s.await(ctx, s.answersTCP)
}

func (b *bench) startImpMSRP(s *server, dir string, secret *secret) error {
	door, err := freeTCP()
	if err != nil {
		return err
	}
	s.memory = func(ctx context.Context) (int64, error) { return liveHeap(ctx, door) }
	args := []string{"msrp-relay", "--no-auth", "--admin", door, "--listen", "tcp:" + s.addr}
	if secret != nil {
		args[len(args)-1] = "tls:" + s.addr
		args = append(args, "--cert", secret.cert, "--key", secret.key)
	}
	return s.start(dir, b.imp, args, []string{"GOMAXPROCS=1"})
}

func (k *kamailio) startMSRP(s *server, dir string, secret *secret) error {
	for _, m := range []string{"msrp.so", "tls.so"} {
		if _, err := os.Stat(filepath.Join(k.modules, m)); err != nil {
			return fmt.Errorf("the module %s of Kamailio is %w; apt-get install kamailio kamailio-tls-modules", m, errMissing)
		}
	}
	s.memory = k.sharedMemory(dir)
	return k.run(s, dir, k.msrpConfig(dir, s.addr, secret))
}

// msrpRow is a figure of processor time.
type msrpRow struct {
	name, unit string
	secure     bool
	both       bool   // the source is authenticated too
	size       [2]int // bytes of a SEND, of Kamailio and of imp
	count      func(size int) int
	volume     bool   // by GB, not by SEND
	batch      [2]int // bytes, for Kamailio and imp
}

var msrpRows = func() []msrpRow {
	fixed := func(int) int { return sends }
	volume := func(size int) int { return bulk * 1000 / size }
	twoKB, chunks := [2]int{message, message}, [2]int{kamailios, large}
	each, less, more := [2]int{batchSize, batchSize}, [2]int{tiny, batchSize}, [2]int{batchSize, ample}
	return []msrpRow{
		{"SEND of 2 kB, receiver authenticated", "CPU µs each", false, false, twoKB, fixed, false, each},
		{"SEND of 2 kB, both authenticated, Kamailio 8 kB at once", "CPU µs each", false, true, twoKB, fixed, false, less},
		{"SEND of 2 kB over TLS, receiver authenticated", "CPU µs each", true, false, twoKB, fixed, false, each},
		{"64 kB chunks, Kamailio 10 kB", "CPU s per GB", false, false, chunks, volume, true, more},
		{"64 kB chunks over TLS, Kamailio 10 kB", "CPU s per GB", true, false, chunks, volume, true, more},
	}
}()

// measureMSRP does one run, row by row as measure does.
func measureMSRP(ctx context.Context, b *bench) (report, error) {
	r := report{Time: time.Now().UTC().Truncate(time.Second)}
	secret, err := newSecret(b.dir)
	if err != nil {
		return r, err
	}
	relays, err := b.startRelays(ctx, secret)
	defer func() {
		for _, s := range relays {
			s.stop()
		}
	}()
	if err != nil {
		return r, err
	}
	for _, row := range msrpRows {
		b.tell(row.name)
		var spent pair
		for i, to := range []*float64{&spent.kamailio, &spent.imp} {
			s := relays[i]
			if row.secure {
				s = relays[i+2]
			}
			if *to, err = b.relay(ctx, s, row, i); err != nil {
				return r, fmt.Errorf("%s: %s: %w", row.name, s.name, err)
			}
		}
		r.add(row.name, row.unit, spent)
	}
	for i, over := range []string{"", " over TLS"} {
		b.tell("small messages beside a bulk transfer" + over)
		var late pair
		for k, to := range []*float64{&late.kamailio, &late.imp} {
			if *to, err = b.beside(ctx, relays[2*i+k], k); err != nil {
				return r, fmt.Errorf("small messages beside a bulk transfer%s: %s: %w", over, relays[2*i+k].name, err)
			}
		}
		r.add("small message beside a bulk transfer, p99"+over, "ms", late)
	}
	return r, b.msrpMemory(ctx, &r, secret)
}

// startRelays starts Kamailio and imp over TCP, then both over TLS. Those that have been started are given with an error
// too.
func (b *bench) startRelays(ctx context.Context, shown *secret) (relays []*msrpRelay, err error) {
	for i := range 4 {
		var own *secret
		if i >= 2 {
			own = shown
		}
		s, err := b.startMSRP(ctx, i%2 == 1, own)
		if s != nil {
			relays = append(relays, s)
		}
		if err != nil {
			return relays, err
		}
	}
	return relays, nil
}

// relay has messages relayed, and tells what one costs, in the unit of the row.
func (b *bench) relay(ctx context.Context, s *msrpRelay, row msrpRow, which int) (float64, error) {
	size := row.size[which]
	p, err := s.open(ctx, row, size, row.batch[which])
	if err != nil {
		return 0, err
	}
	defer p.close()
	if err := p.run(ctx, max(b.count(row.count(size))/20, 1)); err != nil { // warms it up
		return 0, err
	}
	count := b.count(row.count(size))
	before, err := s.cpu()
	if err != nil {
		return 0, err
	}
	if err := p.run(ctx, count); err != nil {
		return 0, err
	}
	time.Sleep(linger)
	after, err := s.cpu()
	cpu := (after - before).Seconds() / float64(count)
	if row.volume {
		return cpu / float64(size) * 1e9, err
	}
	return cpu * 1e6, err
}

// passage is a source and a sink, raw, so that they are never what is waited for.
type passage struct {
	source, sink net.Conn
	frames       *wire.Reader
	to           string // To-Path of what the source sends
	frame        []byte
	batch        int    // bytes written at once
	answers      []byte // of the sink, that wait until it has read all that there is
	id, body     []byte // of the last message: Message-ID, and the beginning
}

const (
	sinkURI   = "msrp://sink.invalid:9/sink;tcp"
	sourceURI = "msrp://source.invalid:9/source;tcp"
)

func (s *msrpRelay) open(ctx context.Context, row msrpRow, size, batch int) (p *passage, err error) {
	p = &passage{batch: batch}
	defer func() {
		if err != nil {
			p.close()
		}
	}()
	if p.sink, err = s.dial(ctx); err != nil {
		return p, err
	}
	if p.source, err = s.dial(ctx); err != nil {
		return p, err
	}
	p.frames = wire.NewReader(answering{p}, wire.Limits{})
	use, err := s.authenticate(p.sink, sinkURI)
	if err != nil {
		return p, err
	}
	to := use + " " + sinkURI
	if row.both {
		if use, err = s.authenticate(p.source, sourceURI); err != nil {
			return p, err
		}
		to = use + " " + to
	}
	p.to = to
	p.frame = send("abcdefgh", wire.SEND, to, sourceURI, fmt.Sprintf("Message-ID: 123456789\r\nByte-Range: 1-*/%d\r\nContent-Type: a/b\r\n\r\n%s\r\n", size, strings.Repeat("x", size)))
	go io.Copy(io.Discard, p.source) // responses
	return p, nil
}

// send writes a request.
func send(id, method, to, from, rest string) []byte {
	return []byte("MSRP " + id + " " + method + "\r\nTo-Path: " + to + "\r\nFrom-Path: " + from + "\r\n" + rest + "-------" + id + "$\r\n")
}

func (p *passage) close() {
	for _, c := range []net.Conn{p.source, p.sink} {
		if c != nil {
			c.Close()
		}
	}
}

func (s *msrpRelay) dial(ctx context.Context) (net.Conn, error) {
	nc, err := new(net.Dialer).DialContext(ctx, "tcp", s.addr)
	if err == nil && s.secret != nil {
		return tls.Client(nc, s.secret.roots), nil
	}
	return nc, err
}

// authenticate gets a URI of the relay, which asks for no password.
func (s *msrpRelay) authenticate(nc net.Conn, uri string) (use string, err error) {
	scheme := "msrp"
	if s.secret != nil {
		scheme = "msrps"
	}
	_, port, _ := net.SplitHostPort(s.addr)
	host := "localhost"
	if s.name == "Kamailio" {
		host = "127.0.0.1"
	}
	_ = nc.SetDeadline(time.Now().Add(patience))
	defer nc.SetDeadline(time.Time{})
	if _, err = nc.Write(send("authauth", wire.AUTH, scheme+"://"+host+":"+port+";tcp", uri, "")); err != nil {
		return "", err
	}
	h, err := wire.NewReader(nc, wire.Limits{}).Next()
	if err != nil {
		return "", fmt.Errorf("AUTH: %w", err)
	}
	if use = string(h.Get("use-path")); h.Code != wire.OK || use == "" {
		return "", fmt.Errorf("AUTH: %d %s", h.Code, h.Comment)
	}
	return use, nil
}

// run sends messages, and returns when all have arrived.
func (p *passage) run(ctx context.Context, count int) error {
	stop := context.AfterFunc(ctx, func() { _ = p.sink.SetReadDeadline(time.Now()) })
	defer stop()
	each := max(1, p.batch/len(p.frame))
	batch := bytes.Repeat(p.frame, each)
	way := make(chan struct{}, 2) // batches on their way
	done := make(chan struct{})
	defer close(done)
	go func() {
		for left := count; left > 0; left -= each {
			select {
			case way <- struct{}{}:
			case <-done:
				return
			}
			if _, err := p.source.Write(batch[:min(left, each)*len(p.frame)]); err != nil {
				return // the sink misses it
			}
		}
	}()
	for n := 1; n <= count; n++ {
		if n%each == 1 || each == 1 {
			_ = p.sink.SetReadDeadline(time.Now().Add(patience))
		}
		if err := p.take(); err != nil {
			return fmt.Errorf("message %d of %d: %w", n, count, err)
		}
		if n%each == 0 || n == count {
			<-way
		}
	}
	return nil
}

// take reads a message, in one chunk or several. It is answered with the others that came with it.
func (p *passage) take() error {
	for {
		h, err := p.frames.Next()
		if err != nil {
			return err
		}
		if h.Method == "" {
			continue
		}
		p.id, p.body = append(p.id[:0], h.MessageID...), p.body[:0]
		end := h.End
		for end == 0 {
			var piece []byte
			if piece, end, err = p.frames.Body(); err != nil {
				return err
			}
			p.body = append(p.body, piece[:min(len(piece), stampSize-len(p.body))]...)
		}
		if p.answers = wire.AppendAnswer(p.answers, h, wire.OK); end == wire.Last {
			return nil
		}
	}
}

// answering is the sink of a passage, which answers before it reads on.
type answering struct{ *passage }

// Read implements io.Reader.
func (a answering) Read(b []byte) (int, error) {
	if len(a.answers) > 0 {
		if _, err := a.sink.Write(a.answers); err != nil {
			return 0, err
		}
		a.answers = a.answers[:0]
	}
	return a.sink.Read(b)
}

// msrpMemory measures what sessions take while nothing is sent, with servers that have done nothing else.
func (b *bench) msrpMemory(ctx context.Context, r *report, secret *secret) error {
	b.tell("idle sessions")
	relays, err := b.startRelays(ctx, secret)
	defer func() {
		for _, s := range relays {
			s.stop()
		}
	}()
	if err != nil {
		return err
	}
	var before, live, rss [4]int64
	var conns []net.Conn
	defer func() {
		for _, c := range conns {
			c.Close()
		}
	}()
	for i, s := range relays {
		if live[i], err = s.memory(ctx); err != nil {
			return err
		}
		if before[i], err = s.resident(); err != nil {
			return err
		}
		for range b.count(idle) {
			c, err := s.dial(ctx)
			if err != nil {
				return err
			}
			conns = append(conns, c)
			if _, err := s.authenticate(c, sinkURI); err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
		}
	}
	rest := b.rest
	if rest == 0 {
		rest = idleRest
	}
	select {
	case <-time.After(rest):
	case <-ctx.Done():
		return ctx.Err()
	}
	for i, s := range relays {
		now, err := s.memory(ctx)
		if err != nil {
			return err
		}
		if rss[i], err = s.resident(); err != nil {
			return err
		}
		live[i], rss[i] = now-live[i], rss[i]-before[i]
	}
	per := 1e-3 / float64(b.count(idle))
	for i, over := range []string{"", " over TLS"} {
		r.add("live memory of an idle session"+over, "kB", pair{float64(live[2*i]) * per, float64(live[2*i+1]) * per})
		r.add("resident memory of an idle session"+over, "kB", pair{float64(rss[2*i]) * per, float64(rss[2*i+1]) * per})
	}
	return nil
}
