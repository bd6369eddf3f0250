package cli

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"imp/internal/auth/certs"
	"imp/internal/cli/kit"
	"imp/internal/server/admin"
	"imp/internal/server/relay"
	"imp/internal/sip/stack"
)

type msrpRelayOptions struct {
	serverOptions
	domains    []string
	nextHops   []string
	plainAuth  bool
	minExpires kit.Duration
	maxExpires kit.Duration
	perAddress int
	perUser    int
}

func newMSRPRelay(k *kit.Kit) *cobra.Command {
	o := &msrpRelayOptions{serverOptions: serverOptions{kit: k}}
	o.minExpires.Set("60")
	o.maxExpires.Set("3600")
	cmd := &cobra.Command{
		Use:   "msrp-relay",
		Short: "Relay messages and files of MSRP sessions",
		Long: `Relay MSRP (RFC 4976): users authenticate with AUTH by digest, and get a URI that
others reach them by, and that they send through. --user or --users says who may
come in. A URI lives as long as its connection, and no longer than it was granted
for. Nothing is forwarded that is not for such a URI or from the connection that it
was given to: this is no open relay.

Messages are forwarded as they arrive, whatever their size. What waits for a peer
that does not read is bounded: who sends to it is not read any more. On a connection
to several peers the message is given up, and reported, after 5 seconds without any
progress, so that the others go on.

Passwords are only asked for over TLS and from this machine, unless
--allow-plain-auth. Other relays are known by their certificates, of authorities of
--ca or the system, and show theirs: relays send to each other over msrps with
--cert. --next-hop-allow says where to connect to; without it everywhere, but to
this machine itself only when a listener has a loopback address.

Limits: --max-connections in, and as many out; --max-per-address of those that came
in, an IPv6 /64 being one address, but for this machine; --max-next-hops for
connections to next hops that one user gave rise to; 100 URIs of one connection; 30
seconds until a first good request, 3 bad ones before it, 3 wrong passwords in a row;
1 KiB for a start line, 16 KiB and 64 header fields for a head, 10240 bytes for the
body of a request other than SEND, 1 MiB for a WebSocket message; 256 KiB that wait
for one connection, 16384 requests without an answer; 30 seconds for a peer that does
not read, an hour without anything.`,
		Example: `  $ imp msrp-relay --listen tcp:127.0.0.1:2855 --no-auth
  imp: warning: everybody on this machine can have messages relayed
  msrp-relay ready at tcp:127.0.0.1:2855
  ^C

  $ imp msrp-relay --listen tcp:127.0.0.1:0 --domain example.com --user alice:secret -o json
  imp: warning: a password in --user can be seen by other users of this machine, …
  {"event":"ready","time":"…","server":"msrp-relay","listen":["tcp:127.0.0.1:…"]}
  ^C`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context()) },
	}
	o.relayFlags(cmd)
	k.Emits(cmd, "ready", "the server serves", readyEvent{})
	return cmd
}

func (o *msrpRelayOptions) relayFlags(cmd *cobra.Command) {
	o.name = cmd.Name()
	fs := cmd.Flags()
	fs.StringArrayVar(&o.listen, "listen", []string{"tcp:127.0.0.1:2855"}, "serve at `[TRANSPORT:]HOST:PORT`, repeatable; tcp, tls, ws or wss, none: tcp; port 0: any")
	fs.StringVar(&o.advertise, "advertise", "", "be `HOST[:PORT]` in URIs; without it the first domain, or localhost on a loopback address")
	fs.StringArrayVar(&o.domains, "domain", nil, "be asked for URIs as `DOMAIN` too, repeatable")
	fs.StringArrayVar(&o.nextHops, "next-hop-allow", nil, "connect to `NAME[:PORT]` or ADDRESS[/BITS] only, repeatable; .example.com is every host below it")
	fs.BoolVar(&o.plainAuth, "allow-plain-auth", false, "let users of other machines in without TLS")
	fs.Var(&o.minExpires, "min-expires", "refuse to grant URIs for less than `DURATION`")
	fs.Var(&o.maxExpires, "max-expires", "refuse to grant URIs for more than `DURATION`")
	fs.StringVar(&o.wsPath, "ws-path", "", "serve ws and wss at `PATH` only, such as /ws")
	fs.StringArrayVar(&o.wsOrigins, "ws-origin", nil, "let browsers in by ws and wss from pages of `ORIGIN` only, such as https://app.example.com, repeatable; without it from all, with --no-auth from none")
	fs.IntVar(&o.maxConnections, "max-connections", 10000, "have at most `N` connections that came in")
	fs.IntVar(&o.perAddress, "max-per-address", 0, "have at most `N` connections from one address of another machine; 0: half of --max-connections")
	fs.IntVar(&o.perUser, "max-next-hops", 100, "connect to at most `N` next hops at a time for one user")
	o.tls.flags(cmd, true)
	o.auth.flags(cmd, false)
	fs.MarkHidden("no-legacy-digest") // qop is always asked for
	o.runFlags(cmd)
	kit.FlagGroup(fs, "Who may come in", "allow-plain-auth")
}

// msrpPort is the registered one, and its place in addresses without a port (RFC 4975 section 15.4).
const msrpPort = "2855"

// relayEndpoint reads an address to listen at over MSRP.
func (o *serverOptions) relayEndpoint(text string) (stack.Endpoint, error) {
	e := stack.Endpoint{Transport: "tcp", Addr: strings.TrimPrefix(text, "msrp+")}
	if name, rest, ok := strings.Cut(e.Addr, ":"); ok && slices.Contains([]string{"tcp", "tls", "ws", "wss"}, name) {
		e.Transport, e.Addr = name, rest
	}
	host, port, err := net.SplitHostPort(e.Addr)
	if err != nil {
		host, port, err = net.SplitHostPort(e.Addr + ":" + msrpPort)
	}
	if err == nil && host != "localhost" && host != "" && net.ParseIP(host) == nil {
		err = errors.New("its host is no address")
	}
	if n, e := strconv.ParseUint(port, 10, 16); err == nil && (e != nil || n > 65535) {
		err = errors.New("its port is not a number up to 65535")
	}
	if err != nil {
		return e, kit.Fail(kit.ExitUsage, "reading --listen "+text, err, "write it like tcp:127.0.0.1:2855 or tls:[::1]:2855")
	}
	e.Addr = net.JoinHostPort(host, port)
	if o.auth.none && !admin.Loopback(e.Addr) {
		return e, kit.Fail(kit.ExitUsage, "listening at "+e.String(),
			"with --no-auth only this machine may connect", "use a loopback address such as 127.0.0.1:2855, or leave --no-auth out")
	}
	return e, nil
}

// endpoints reads --listen.
func (o *msrpRelayOptions) endpoints() (list []stack.Endpoint, local bool, err error) {
	for _, l := range o.listen {
		e, err := o.relayEndpoint(l)
		if err != nil {
			return nil, false, err
		}
		local = local || admin.Loopback(e.Addr)
		list = append(list, e)
	}
	if o.auth.none {
		o.kit.Warn("everybody on this machine can have messages relayed")
	}
	return list, local, nil
}

// config is what follows from the flags without reading anything.
func (o *msrpRelayOptions) config(local bool) (cfg relay.Config, err error) {
	cfg = relay.Config{Names: o.domains, AllowPlainAuth: o.plainAuth, MinExpires: o.minExpires.Std(), MaxExpires: o.maxExpires.Std(),
		MaxConnections: o.maxConnections, MaxPerAddress: o.perAddress, MaxNextHops: o.perUser, WSPath: o.wsPath, Origins: o.wsOrigins}
	if o.auth.none && len(o.wsOrigins) == 0 {
		cfg.Origins = []string{noOrigin} // or any page that a browser of this machine shows could act as anybody
	}
	switch {
	case o.minExpires > o.maxExpires:
		return cfg, kit.Fail(kit.ExitUsage, "reading the flags", "--min-expires is more than --max-expires", "without them they are 1m and 1h")
	case o.maxConnections < 1:
		return cfg, kit.Fail(kit.ExitUsage, "reading --max-connections", fmt.Sprintf("%d is less than 1", o.maxConnections), "without the flag it is 10000")
	case o.perAddress < 0:
		return cfg, kit.Fail(kit.ExitUsage, "reading --max-per-address", fmt.Sprintf("%d is less than 0", o.perAddress), "without the flag it is half of --max-connections")
	case o.perUser < 1:
		return cfg, kit.Fail(kit.ExitUsage, "reading --max-next-hops", fmt.Sprintf("%d is less than 1", o.perUser), "without the flag it is 100")
	case o.wsPath != "" && !strings.HasPrefix(o.wsPath, "/"):
		return cfg, kit.Fail(kit.ExitUsage, fmt.Sprintf("reading --ws-path %q", o.wsPath), "it does not begin with a slash", "write it like /ws")
	}
	for _, d := range o.domains {
		if err := checkHost(d, false); err != nil {
			return cfg, kit.Fail(kit.ExitUsage, fmt.Sprintf("reading --domain %q", d), err, "write it like example.com")
		}
	}
	if cfg.AllowNextHop, err = relay.NextHops(o.nextHops, local); err != nil {
		return cfg, kit.Fail(kit.ExitUsage, "reading --next-hop-allow", err, "write it like relay.example.com, .example.com, 192.0.2.1:2855 or 192.0.2.0/24")
	}
	return cfg, o.named(&cfg, local)
}

// named finds the host of the relay's URIs, which should be a name (RFC 4976 section 4.2).
func (o *msrpRelayOptions) named(cfg *relay.Config, local bool) error {
	switch {
	case o.advertise != "":
		if err := checkHost(o.advertise, true); err != nil {
			return kit.Fail(kit.ExitUsage, fmt.Sprintf("reading --advertise %q", o.advertise), err, "write it like relay.example.com or relay.example.com:2855")
		}
		cfg.Host = strings.Trim(o.advertise, "[]")
		if host, port, err := net.SplitHostPort(o.advertise); err == nil {
			n, _ := strconv.ParseUint(port, 10, 16)
			cfg.Host, cfg.Port = host, uint16(n)
		}
	case local:
		cfg.Host = "localhost"
	case len(o.domains) > 0:
		cfg.Host = o.domains[0]
	default:
		return kit.Fail(kit.ExitUsage, "starting "+o.name, "it has no name for its URIs", "give --advertise HOST, a name that others find this machine by")
	}
	return nil
}

// prepare reads users and certificates.
func (o *msrpRelayOptions) prepare(cfg *relay.Config, endpoints []stack.Endpoint, log *slog.Logger) (*tls.Config, error) {
	o.defaultRealm(o.domains)
	auth, source, err := o.readAuth(log, o.auth.users)
	if err != nil {
		return nil, err
	}
	if auth != nil {
		cfg.Auth = &relay.Auth{Realm: auth.Realm, Users: auth.Users, Algorithms: auth.Algorithms}
	}
	secrets, err := o.readTLS(endpoints)
	if err != nil {
		return nil, err
	}
	if o.tls.ca != "" {
		if cfg.Roots, err = certs.Pool(o.kit.Path(o.tls.ca)); err != nil {
			return nil, kit.Fail(kit.ExitUsage, "reading --ca", err, "it is a PEM file of the authorities to trust")
		}
	}
	cfg.Log = log
	o.onHangup(log, o.reloaders(log, source, secrets)...)
	var listener *tls.Config
	if secrets != nil {
		listener = secrets.TLS() // one config for all, or no session could be resumed
	}
	cfg.ClientTLS = relayClientTLS(cfg.Roots, secrets)
	return listener, nil
}

// relayClientTLS checks next hops by the name in their URI, and shows the relay's own certificate (RFC 4976 section
// 9.2).
func relayClientTLS(roots *x509.CertPool, secrets *certs.Server) func(host string) *tls.Config {
	return func(host string) *tls.Config {
		cfg := &tls.Config{ServerName: host, RootCAs: roots, MinVersion: tls.VersionTLS12, DynamicRecordSizingDisabled: true}
		if secrets != nil {
			cfg.Certificates = secrets.TLS().Certificates[:1]
		}
		return cfg
	}
}

func (o *msrpRelayOptions) run(ctx context.Context) error {
	endpoints, local, err := o.endpoints()
	if err != nil {
		return err
	}
	cfg, err := o.config(local)
	if err != nil {
		return err
	}
	log := o.logger()
	secured, err := o.prepare(&cfg, endpoints, log)
	if err != nil {
		return err
	}
	r, err := relay.New(cfg)
	if err != nil {
		return startFailure(o.name, err)
	}
	defer r.Close()
	ready := readyEvent{Head: o.kit.Head("ready"), Server: o.name}
	for _, e := range endpoints {
		at, err := r.Listen(relay.Transport{Name: e.Transport, TLS: secured}, e.Addr)
		if errors.Is(err, syscall.EADDRINUSE) {
			err = errors.Join(stack.ErrInUse)
		}
		if err != nil {
			return startFailure(o.name, fmt.Errorf("listening at %s: %w", e, err))
		}
		ready.Listen = append(ready.Listen, stack.Endpoint{Transport: e.Transport, Addr: at.String()}.String())
	}
	door, err := o.openAdmin(admin.Config{Server: o.name, Version: Version, Level: &o.level, Log: log,
		Listen: func() []string { return ready.Listen }, Sessions: sessionRows(r), Relay: relayFigures(r)})
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
	return nil
}
