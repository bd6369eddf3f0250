package cli

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/netip"
	"strings"

	"github.com/spf13/cobra"

	"imp/internal/cli/kit"
	"imp/internal/server/admin"
	"imp/internal/server/xcap"
	"imp/internal/server/xcapnotify"
	"imp/internal/sip/stack"
	"imp/internal/store"
	"imp/internal/xcap/uri"
)

type xcapServerOptions struct {
	serverOptions
	root         string
	domains      []string
	trusted      []string
	proxies      []string
	exact        bool
	sip          []stack.Endpoint // of --listen sip+…
	stack        stack.Config     // of these
	rootURI      string
	maxBody      int
	maxDocuments int
	maxFollowed  int
}

func newXCAPServer(k *kit.Kit) *cobra.Command {
	o := &xcapServerOptions{serverOptions: serverOptions{kit: k}}
	cmd := &cobra.Command{
		Use:   "xcap-server",
		Short: "Serve the documents of users over XCAP: lists, presence rules",
		Long: `Serve documents over XCAP (RFC 4825): resource-lists and rls-services (RFC 4826),
pres-rules (RFC 5025), pidf-manipulation (RFC 4827), xcap-caps, and of OMA
pres-rules, pres-content and xcap-directory. GET, PUT and DELETE take whole
documents and elements and attributes in them; PATCH takes XML patches (RFC 7351).
What does not fit its schema or breaks a rule of its usage is refused, 409, with a
report that says what is wrong and where.

Users authenticate by digest (RFC 7616): --user or --users says who may come in.
NAME owns the home sip:NAME@DOMAIN of every domain served, NAME@DOMAIN that of one.
Requests may leave out "sip:", and the domain where it is the first, unless
--exact-xui. Each user reads and writes his own documents and reads global ones;
others exist not or are refused. Users of --trusted, such as resource list servers,
read all documents and write global ones. Who fails more often than ten times gets
short answers, 429, for a while. With --no-auth everybody on this machine is who he
says.

Listeners for https need --cert and --key; --client-ca asks clients for a
certificate too. Requests from a --trusted-proxy may say in
X-XCAP-Asserted-Identity who asks; nobody else is believed that. SIGHUP reads users
and certificates again. --admin opens a door for "imp ctl" and health checks
(/healthz).

With --listen sip+udp:ADDRESS (tcp, tls, ws and wss too, none: udp and tcp) changes of
documents can be subscribed to at that SIP address (RFC 5875), by any SIP URI of the
domains; see imp xcap watch. The same users and certificates count.

Documents are in memory, or with --data DIR in the file xcap-server.db there: then
what was acknowledged outlives the server, also one that is killed.

Limits: --max-body for a body and a document, --max-documents for each user and
usage, 1000 services for a document, elements in each other 200 deep; 32 KiB for a
URI, 48 KiB for a header; 64 bodies of more than 64 KiB at a time, 8 of them for one
user; 10 seconds for a header and a TLS handshake, 30 for a request, a minute for an
answer, 2 minutes between requests; --max-connections, half of them from one address of another
machine. Of a subscription: 200 URIs, 1000 documents; 512 changes and 4 MiB that
wait for a slow subscriber, beyond which he is told what to fetch, as beyond 64 MiB for
all of them and 32 MiB on the way; --max-subscriptions, to five times as many URIs and
documents, a quarter of each for one subscriber. All documents: 1 GiB in memory, 16
GiB in a file; requests beyond that are answered 503.`,
		Example: `  $ imp xcap-server --listen http:127.0.0.1:8091 --no-auth
  imp: warning: everybody on this machine can read and write the documents of everybody
  xcap-server ready at http:127.0.0.1:8091
  ^C

  $ imp xcap-server --listen http:127.0.0.1:0 --domain example.com --user alice:secret -o json
  imp: warning: a password in --user can be seen by other users of this machine, …
  {"event":"ready","time":"…","server":"xcap-server","listen":["http:127.0.0.1:…"]}
  ^C`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context()) },
	}
	fs := cmd.Flags()
	fs.StringArrayVar(&o.listen, "listen", []string{"http:127.0.0.1:8080"}, "serve at `[http:|https:|sip+TRANSPORT:]HOST:PORT`, repeatable; none: http; port 0: any")
	fs.StringVar(&o.root, "root", xcap.DefaultRoot, "serve documents below `PATH`")
	fs.StringVar(&o.rootURI, "root-uri", "", "tell subscribers to changes this `URI` of the root; without it that of the first listener")
	o.commonFlags(cmd, false)
	o.dataFlag(cmd)
	fs.StringArrayVar(&o.domains, "domain", nil, "serve the users of `DOMAIN`, repeatable; none: of every domain")
	fs.StringArrayVar(&o.trusted, "trusted", nil, "let `USER` read all documents and write global ones, repeatable")
	fs.StringArrayVar(&o.proxies, "trusted-proxy", nil, "believe requests from `ADDRESS[/BITS]` in who they say asks, repeatable")
	fs.BoolVar(&o.exact, "exact-xui", false, "take users in URIs as they are written, sip:alice@example.com and alice@example.com for two")
	fs.IntVar(&o.maxBody, "max-body", xcap.DefaultMaxBody, "refuse bodies and documents of more than `BYTES`")
	fs.IntVar(&o.maxDocuments, "max-documents", xcap.DefaultMaxDocuments, "keep at most `N` documents of one user in one usage")
	fs.IntVar(&o.maxFollowed, "max-subscriptions", xcapnotify.DefaultMaxSubscriptions, "take at most `N` subscriptions to changes")
	kit.FlagGroup(fs, "Who may come in", "trusted", "trusted-proxy")
	k.Emits(cmd, "ready", "the server serves", readyEvent{})
	return cmd
}

// xcapEndpoint reads an address to listen at over HTTP.
func (o *serverOptions) xcapEndpoint(text string) (xcap.Endpoint, error) {
	e, err := xcap.ParseEndpoint(text)
	if err != nil {
		return e, kit.Fail(kit.ExitUsage, "reading --listen "+text, err, "write it like http:127.0.0.1:8080 or https:[::1]:8443")
	}
	if o.auth.none && !admin.Loopback(e.Addr) {
		return e, kit.Fail(kit.ExitUsage, "listening at "+e.String(),
			"with --no-auth only this machine may connect", "use a loopback address such as 127.0.0.1:8080, or leave --no-auth out")
	}
	return e, nil
}

// withCertificates are the endpoints as what reads certificates takes them.
func withCertificates(endpoints []xcap.Endpoint) []stack.Endpoint {
	list := make([]stack.Endpoint, len(endpoints))
	for i, e := range endpoints {
		list[i] = stack.Endpoint{Transport: e.Scheme, Addr: e.Addr}
	}
	return list
}

// listeners reads --listen.
func (o *xcapServerOptions) listeners() (list []xcap.Endpoint, err error) {
	for _, l := range o.listen {
		if sip, ok := strings.CutPrefix(l, "sip+"); ok {
			if err := o.sipListener(l, sip); err != nil {
				return nil, err
			}
			continue
		}
		e, err := o.xcapEndpoint(l)
		if err != nil {
			return nil, err
		}
		list = append(list, e)
	}
	if len(list) == 0 {
		return nil, kit.Fail(kit.ExitUsage, "reading --listen", "there is no listener for documents", "give one for http or https too")
	}
	if o.auth.none {
		o.kit.Warn("everybody on this machine can read and write the documents of everybody")
	}
	return list, nil
}

// config is what follows from the flags without reading anything.
func (o *xcapServerOptions) config() (xcap.ServeConfig, error) {
	cfg := xcap.ServeConfig{MaxConnections: o.maxConnections, Config: xcap.Config{Root: o.root, Naming: uri.Naming{Exact: o.exact},
		Domains: o.domains, Trusted: o.trusted, MaxBody: o.maxBody, MaxDocuments: o.maxDocuments, Product: product}}
	for _, n := range []struct {
		flag  string
		value int
	}{{"--max-connections", o.maxConnections}, {"--max-body", o.maxBody}, {"--max-documents", o.maxDocuments}, {"--max-subscriptions", o.maxFollowed}} {
		if n.value < 1 {
			return cfg, kit.Fail(kit.ExitUsage, "reading "+n.flag, fmt.Sprintf("%d is less than 1", n.value), "leave the flag out for what the help says")
		}
	}
	if _, err := uri.ParseRoot(o.root); err != nil || !strings.HasPrefix(o.root, "/") {
		if err == nil {
			err = fmt.Errorf("%q does not begin with a slash", o.root)
		}
		return cfg, kit.Fail(kit.ExitUsage, "reading --root", err, "it is a path such as /xcap-root, or / for all that is served here")
	}
	for _, d := range o.domains {
		if err := checkHost(d, false); err != nil {
			return cfg, kit.Fail(kit.ExitUsage, fmt.Sprintf("reading --domain %q", d), err, "write it like example.com")
		}
	}
	for _, p := range o.proxies {
		prefix, err := netip.ParsePrefix(p)
		if addr, e := netip.ParseAddr(p); e == nil {
			prefix, err = netip.PrefixFrom(addr, addr.BitLen()), nil
		}
		if err != nil {
			return cfg, kit.Fail(kit.ExitUsage, fmt.Sprintf("reading --trusted-proxy %q", p), "it is no address", "write it like 192.0.2.1 or 192.0.2.0/24")
		}
		cfg.Proxies = append(cfg.Proxies, prefix)
	}
	return cfg, nil
}

// prepare reads users and certificates.
func (o *xcapServerOptions) prepare(cfg *xcap.ServeConfig) error {
	log := o.logger()
	o.defaultRealm(o.domains)
	auth, source, err := o.readAuth(log, o.auth.users)
	if err != nil {
		return err
	}
	if auth != nil {
		cfg.Auth = &xcap.Auth{Realm: auth.Realm, Users: auth.Users, Algorithms: auth.Algorithms, NoLegacy: auth.NoLegacy}
		cfg.Known = known(source, auth.Realm)
	}
	secrets, err := o.readTLS(append(withCertificates(cfg.Listen), o.sip...))
	if err != nil {
		return err
	}
	o.stack = stack.Config{Log: log, Product: product, Trace: sipTracer(o.kit), MaxConnections: o.maxConnections, ReplayBytes: replayBytes}
	if err := o.useTLS(&o.stack, secrets); err != nil {
		return err
	}
	if secrets != nil {
		listener := secrets.TLS("http/1.1") // one config for all, or no session could be resumed
		cfg.TLS = func() *tls.Config { return listener }
	}
	cfg.Log = log
	o.onHangup(log, o.reloaders(log, source, secrets)...)
	return nil
}

func (o *xcapServerOptions) run(ctx context.Context) error {
	listeners, err := o.listeners()
	if err != nil {
		return err
	}
	cfg, err := o.config()
	if err != nil {
		return err
	}
	cfg.Listen = listeners
	if err := o.prepare(&cfg); err != nil {
		return err
	}
	documents, err := o.openStore()
	if err != nil {
		return err
	}
	defer documents.Close()
	return o.serve(ctx, cfg, documents)
}

// serve runs the server until ctx is done.
func (o *xcapServerOptions) serve(ctx context.Context, cfg xcap.ServeConfig, documents store.KV) error {
	cfg.Store = documents
	var changes changeNotifier
	cfg.Storing, cfg.Regenerated = changes.storing, changes.regenerated
	server, err := xcap.Serve(ctx, cfg)
	if err != nil {
		return startFailure(o.name, err)
	}
	defer server.Close()
	if err := o.notify(ctx, &changes, cfg, server); err != nil {
		return err
	}
	defer changes.close()
	listen := func() (list []string) {
		for _, e := range server.Addrs() {
			list = append(list, e.String())
		}
		return append(list, changes.addrs()...)
	}
	ready := readyEvent{Head: o.kit.Head("ready"), Server: o.name, Listen: listen()}
	door, err := o.openAdmin(admin.Config{Server: o.name, Version: Version, Level: &o.level, Log: cfg.Log, Listen: listen,
		Documents: xcapDocuments(server.Server), Drain: server.Drain})
	if err != nil {
		return err
	}
	if door != nil {
		defer door.Close()
		ready.Admin = door.Addr()
	}
	if err := o.kit.Emit(ready); err != nil {
		return err
	}
	<-ctx.Done()
	ctx, cancel := drained(ctx)
	defer cancel()
	changes.drain(ctx)
	server.Drain(ctx)
	return nil
}
