package cli

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"strings"

	"github.com/spf13/cobra"

	"imp/internal/cli/kit"
	"imp/internal/doc/lists"
	"imp/internal/server/presence"
	"imp/internal/server/presence/winfo"
	"imp/internal/server/registrar"
	"imp/internal/server/rls"
	"imp/internal/server/xcap"
	"imp/internal/sip/identity"
	"imp/internal/sip/stack"
	"imp/internal/store"
)

type presenceServerOptions struct {
	serverOptions
	domains     []string
	policy      string
	maxMembers  int
	maxForeign  int
	minInterval kit.Duration
	minExpires  kit.Duration
	maxExpires  kit.Duration
	waiting     kit.Duration
	maxWaiting  int
}

func newPresenceServer(k *kit.Kit) *cobra.Command {
	o := &presenceServerOptions{serverOptions: serverOptions{kit: k}, policy: string(presence.Allow)}
	o.minInterval.Set("5")
	o.minExpires.Set("60")
	o.maxExpires.Set("3600")
	o.waiting = kit.Duration(winfo.DefaultWait)
	cmd := &cobra.Command{
		Use:   "presence-server",
		Short: "Serve presence and registration: PUBLISH, SUBSCRIBE, REGISTER",
		Long: `Serve the event package "presence" (RFC 3856): take publications (RFC 3903),
compose what all devices of a user say into one document, and notify watchers
(RFC 6665). Users register where they are too (RFC 3261 section 10, RFC 5626), and
what is for them, such as messages, is forwarded to their devices.

Users authenticate by digest (RFC 8760): --user or --users says who may come in;
the address of record follows from the name: NAME is sip:NAME@DOMAIN of every
domain served, NAME@DOMAIN of that one. Nobody else exists, nobody acts as
somebody else, and each publishes for himself unless --publish-for all. Who fails
more often than ten times gets short answers for a while. With --no-auth everybody
on this machine is who he says.

Whom a user lets watch, and what they see of him, his presence rules say (RFC 5025),
documents that he writes with "imp rules" or "imp xcap". A --listen with http: or
https: serves them, lists of resources (RFC 4826) and what else XCAP has (see imp
xcap-server), at /xcap-root, and tells subscribers of changes. Without rules the
--policy holds; who watches himself sees all.

Listeners for tls, wss and https need --cert and --key; --client-ca asks clients for a
certificate too. SIGHUP reads users and certificates again. --admin opens a door for
"imp ctl", Prometheus (/metrics) and health checks (/healthz).

State is in memory, or with --data DIR in the file presence-server.db there: then
publications, registrations and who waits for an answer outlive the server, also one
that is killed, and expire when they should; watchers subscribe again. SIGTERM and
Ctrl-C tell the watchers to come back later and end the server.

A user learns who watches him, and who asked to and has no answer yet, from the event
package presence.winfo (RFC 3857, imp watchers); who watches that, from presence.winfo.winfo.
Who asked is told for --waiting-time, --max-waiting at most of one user and by one watcher,
100000 in all; beyond that the oldest are given up. One document tells 4000 watchers.

Lists of resources that a SUBSCRIBE brings along are watched in one subscription (RFC
4662, RFC 5367), in the name of who subscribes, so that each resource decides for
itself; with --max-foreign-members those of other domains too, as rls of the first
domain, where lists are not followed. Lists that are kept as documents (rls-services, RFC 4826) are
watched under their URIs, by their owners.

Watchers may bring filters (RFC 4660), of 16 KiB and 40 items at most, and be told what
changed in place of whole documents (RFC 5263); publishers may send that (RFC 5264).
For it the last documents of a presentity are kept, those of 8 changes and 1 MiB at
most; who lags behind more is told the whole.

Limits of what is kept, beyond which requests are answered 503: 1 GiB of publications
and registrations in memory, 16 GiB in a file; 20 contacts, 100 publications and 384 KiB a user; 1000000
subscriptions, 100000 of one user.

` + stackLimits,
		Example: `  $ imp presence-server --listen 127.0.0.1:5070 --no-auth
  imp: warning: everybody on this machine can publish and watch as anybody
  presence-server ready at udp:127.0.0.1:5070 tcp:127.0.0.1:5070
  ^C

  $ imp presence-server --listen 127.0.0.1:0 --domain example.com --user alice:secret -o json
  imp: warning: a password in --user can be seen by other users of this machine, …
  {"event":"ready","time":"…","server":"presence-server","listen":["udp:127.0.0.1:…","tcp:127.0.0.1:…"]}
  ^C`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context()) },
	}
	o.flags(cmd, "127.0.0.1:5060")
	o.dataFlag(cmd)
	fs := cmd.Flags()
	fs.Lookup("listen").Usage = "serve at `[TRANSPORT:]HOST:PORT`, repeatable; udp, tcp, tls, ws or wss, none: udp and tcp; http or https: documents over XCAP; port 0: any"
	fs.StringArrayVar(&o.domains, "domain", nil, "serve the users of `DOMAIN`, repeatable; none: of every domain")
	fs.Var(kit.Choice(&o.policy, string(presence.Allow), string(presence.Confirm), string(presence.Block)), "policy", "what watchers get of users without presence rules; those of other domains are confirmed at most")
	fs.IntVar(&o.maxMembers, "max-list-members", 1000, "serve lists of at most `N` resources")
	fs.IntVar(&o.maxForeign, "max-foreign-members", 0, "watch at most `N` resources of other domains for lists, a tenth of them for one list, a quarter for one user; 0: none, since users choose to whom this server writes then")
	fs.Var(&o.minInterval, "min-notify-interval", "least time between two NOTIFYs of one subscription, `DURATION`; the first, refreshes and the last are never held")
	fs.Var(&o.minExpires, "min-expires", "refuse publications, subscriptions and registrations shorter than `DURATION`")
	fs.Var(&o.maxExpires, "max-expires", "shorten publications, subscriptions and registrations to `DURATION`")
	fs.Var(&o.waiting, "waiting-time", "tell for `DURATION` of watchers who got no answer, also when they went away")
	fs.IntVar(&o.maxWaiting, "max-waiting", winfo.DefaultPerResource, "keep `N` watchers without an answer, of one user and by one watcher")
	k.Emits(cmd, "ready", "the server serves", readyEvent{})
	return cmd
}

func (o *presenceServerOptions) run(ctx context.Context) error {
	http, err := o.documentListeners()
	if err != nil {
		return err
	}
	endpoints, err := o.endpoints()
	if err != nil {
		return err
	}
	if o.minExpires > o.maxExpires {
		return kit.Fail(kit.ExitUsage, "reading the flags", "--min-expires is more than --max-expires", "without them they are 1m and 1h")
	}
	if o.maxWaiting < 1 || o.waiting <= 0 {
		return kit.Fail(kit.ExitUsage, "reading the flags", "--max-waiting and --waiting-time are at least 1 and 1s", "without them they are 1000 and 168h")
	}
	for _, d := range o.domains {
		if err := checkHost(d, false); err != nil {
			return kit.Fail(kit.ExitUsage, fmt.Sprintf("reading --domain %q", d), err, "write it like example.com")
		}
	}
	log := o.logger()
	o.defaultRealm(o.domains)
	auth, source, err := o.readAuth(log, o.auth.users)
	if err != nil {
		return err
	}
	cfg := presence.ServerConfig{Listen: endpoints, Domains: o.domains, Auth: auth, XCAPRoot: xcap.DefaultRoot, Policy: presence.Policy(o.policy),
		MinInterval: o.minInterval.Std(), MinExpires: o.minExpires.Std(), MaxExpires: o.maxExpires.Std(),
		Waiting: winfo.Limits{Wait: o.waiting.Std(), PerWatcher: o.maxWaiting, PerResource: o.maxWaiting}, Log: log}
	if len(http) == 0 && o.data == "" {
		cfg.XCAPRoot = "" // nobody can put documents where they count, so nobody looks for any
	}
	if auth != nil {
		cfg.Known = known(source, auth.Realm)
	}
	stackConfig, secrets, err := o.stackConfig(log, append(withCertificates(http), endpoints...))
	if err != nil {
		return err
	}
	cfg.Stack = stackConfig
	o.onHangup(log, o.reloaders(log, source, secrets)...)
	store, err := o.openStore()
	if err != nil {
		return err
	}
	defer store.Close()
	cfg.Store = store
	collectSeldom(ctx)
	var listener *tls.Config // one for all, or no session could be resumed
	if secrets != nil {
		listener = secrets.TLS("http/1.1")
	}
	documents, err := o.serveDocuments(ctx, http, listener, &cfg)
	if err != nil {
		return err
	}
	defer documents.close()
	return o.serve(ctx, cfg, documents)
}

// serve runs the server until ctx is done.
func (o *presenceServerOptions) serve(ctx context.Context, cfg presence.ServerConfig, documents *presenceDocuments) error {
	var kept store.KV
	if cfg.XCAPRoot != "" {
		kept = cfg.Store
	}
	members, err := o.lists(kept, documents.roots(), cfg.Known, cfg.Log)
	if err != nil {
		return err
	}
	var bindings *registrar.Registrar
	cfg.Lists = members
	cfg.Mount = func(s *stack.Stack, guard *identity.Guard) {
		bindings = registrar.New(registrar.Config{Store: cfg.Store, Domains: o.domains, Known: cfg.Known, Guard: guard,
			MinExpires: o.minExpires.Std(), MaxExpires: o.maxExpires.Std(), Log: cfg.Log})
		bindings.Mount(s)
		members.Mount(s)
	}
	server, err := presence.Serve(ctx, cfg)
	if bindings != nil {
		defer bindings.Close()
	}
	if err != nil {
		return startFailure(o.name, err)
	}
	defer server.Close()
	following, stop := context.WithCancel(context.WithoutCancel(ctx))
	followed := make(chan error, 1)
	go func() { followed <- members.Run(following) }()
	defer func() { stop(); <-followed }()
	documents.follow(ctx, server.Notifier())
	tells := o.presenceAdmin(server, bindings, cfg.Log)
	tells.Documents = documents.admin()
	tells.Listen = func() []string { return append(addresses(server.Addrs()), documents.addrs()...) }
	door, err := o.openAdmin(tells)
	if err != nil {
		return err
	}
	ready := readyEvent{Head: o.kit.Head("ready"), Server: o.name, Listen: tells.Listen()}
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
	server.Drain(ctx)
	documents.drain(ctx)
	return nil
}

// lists makes the resource list server.
func (o *presenceServerOptions) lists(kv store.KV, roots []string, exists func(user, domain string) bool, log *slog.Logger) (*rls.Server, error) {
	if o.maxMembers < 1 || o.maxMembers > lists.MaxEntries {
		return nil, kit.Fail(kit.ExitUsage, "reading --max-list-members", fmt.Sprintf("%d is not from 1 to %d", o.maxMembers, lists.MaxEntries), "without the flag it is 1000")
	}
	if o.maxForeign < 0 {
		return nil, kit.Fail(kit.ExitUsage, "reading --max-foreign-members", fmt.Sprintf("%d is negative", o.maxForeign), "0 watches none")
	}
	cfg := rls.Config{Store: kv, Root: xcap.DefaultRoot, RootURIs: roots, Known: exists, MaxMembers: o.maxMembers, MaxForeign: o.maxForeign, Log: log}
	if len(o.domains) > 0 {
		cfg.Naming.Domain = o.domains[0]
		if o.maxForeign > 0 {
			cfg.Identity = "sip:rls@" + strings.ToLower(o.domains[0])
		}
	}
	return rls.New(cfg)
}
