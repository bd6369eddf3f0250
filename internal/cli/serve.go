package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"imp/internal/auth/certs"
	"imp/internal/cli/kit"
	"imp/internal/server/admin"
	"imp/internal/sip/header"
	"imp/internal/sip/stack"
	"imp/internal/store"
	"imp/internal/store/bolt"
	"imp/internal/store/memory"
)

// serverOptions are the flags that all servers share.
type serverOptions struct {
	kit            *kit.Kit
	name           string // of the command
	listen         []string
	advertise      string
	routes         []string
	maxConnections int
	auth           authOptions
	wsPath         string
	wsOrigins      []string
	tls            tlsOptions
	admin          adminOptions
	data           string
	logForm        string
	logLevel       string
	level          slog.LevelVar // what logLevel says, until imp ctl changes it
}

// flags are those of a server on SIP.
func (o *serverOptions) flags(cmd *cobra.Command, listen ...string) {
	fs := cmd.Flags()
	fs.StringArrayVar(&o.listen, "listen", listen, "serve at `[TRANSPORT:]HOST:PORT`, repeatable; udp, tcp, tls, ws or wss, none: udp and tcp; port 0: any")
	fs.StringVar(&o.advertise, "advertise", "", "tell peers `HOST[:PORT]` as the server's address")
	fs.StringArrayVar(&o.routes, "route", nil, "send what is for a domain to `DOMAIN=[TRANSPORT:]HOST:PORT` instead of asking DNS, repeatable")
	fs.StringVar(&o.wsPath, "ws-path", "", "serve ws and wss at `PATH` only, such as /ws")
	fs.StringArrayVar(&o.wsOrigins, "ws-origin", nil, "let browsers in by ws and wss from pages of `ORIGIN` only, such as https://app.example.com, repeatable; without it from all, with --no-auth from none")
	o.commonFlags(cmd, true)
}

// commonFlags are those of every server; sip adds what only those on SIP have.
func (o *serverOptions) commonFlags(cmd *cobra.Command, sip bool) {
	o.name = cmd.Name()
	fs := cmd.Flags()
	fs.IntVar(&o.maxConnections, "max-connections", 10000, "have at most `N` connections")
	o.tls.flags(cmd, sip)
	o.auth.flags(cmd, sip)
	o.runFlags(cmd)
}

// runFlags are those for whoever runs a server.
func (o *serverOptions) runFlags(cmd *cobra.Command) {
	fs := cmd.Flags()
	o.admin.flags(cmd, "")
	o.logForm, o.logLevel = "text", "warn"
	fs.Var(kit.Choice(&o.logForm, "text", "json"), "log", "form of the log on stderr")
	fs.Var(kit.Choice(&o.logLevel, "debug", "info", "warn", "error"), "log-level", "log what is at least that grave")
	kit.FlagGroup(fs, "Who may come in", "user", "users", "realm", "digest", "no-legacy-digest", "publish-for", "no-auth")
	kit.FlagGroup(fs, "Certificates", "cert", "key", "client-ca", "ca")
	kit.FlagGroup(fs, "For those who run it", "admin", "admin-token", "log", "log-level")
}

// stackLimits are those of the SIP stack, for the help of servers.
const stackLimits = `Limits of connections: --max-connections, half of them from one address of another
machine, 256 in a handshake, 64 of them with one address; 5 seconds for a handshake,
and 8 KiB for the header of one for WebSocket;
30 seconds for a message, which has 1 MiB at most; 1 MiB for a body that is inflated,
and beyond 64 KiB 100 times what came; 5 seconds and 1 MiB for what waits for a peer
that does not read; 30 minutes without a message either way. Of memory: 64 MiB of
answers kept for retransmissions, 100000 own requests without an answer, 256 requests
waiting for each of 32 workers of a UDP listener. What comes beyond them is closed or
dropped, and counted by --admin.`

// endpoints reads --listen. With --no-auth only this machine may come.
func (o *serverOptions) endpoints() ([]stack.Endpoint, error) {
	var all []stack.Endpoint
	for _, l := range o.listen {
		eps, err := stack.ParseEndpoint(l)
		if err != nil {
			return nil, kit.Fail(kit.ExitUsage, "reading --listen "+l, err, "write it like 127.0.0.1:5060 or tcp:[::1]:5060")
		}
		for _, e := range eps {
			if o.auth.none && !admin.Loopback(e.Addr) {
				return nil, kit.Fail(kit.ExitUsage, "listening at "+e.String(),
					"with --no-auth only this machine may connect", "use a loopback address such as 127.0.0.1:5060, or leave --no-auth out")
			}
		}
		all = append(all, eps...)
	}
	if o.advertise != "" {
		if err := checkHost(o.advertise, true); err != nil {
			return nil, kit.Fail(kit.ExitUsage, fmt.Sprintf("reading --advertise %q", o.advertise), err, "write it like sip.example.com or 192.0.2.1:5060")
		}
	}
	if o.auth.none {
		o.kit.Warn("everybody on this machine can publish and watch as anybody")
	}
	return all, nil
}

// checkHost tells whether s can stand for a server in URIs.
func checkHost(s string, port bool) error {
	if ip, err := netip.ParseAddr(s); err == nil && ip.Is6() && ip.Zone() == "" {
		s = "[" + s + "]"
	}
	u, err := header.ParseURI("sip:" + s)
	switch {
	case err != nil:
		return errors.New("it is no host")
	case u.User != "" || len(u.Params) > 0 || len(u.Headers) > 0:
		return errors.New("it is a URI and not a host alone")
	case u.Port != 0 && !port:
		return errors.New("it has a port")
	}
	return nil
}

// logger is the log of a server: to stderr in the form and from the level asked
// for.
func (o *serverOptions) logger() *slog.Logger {
	if err := o.level.UnmarshalText([]byte(o.logLevel)); err != nil {
		o.level.Set(slog.LevelWarn)
	}
	opts := &slog.HandlerOptions{Level: &o.level}
	if o.logForm == "json" {
		return slog.New(slog.NewJSONHandler(o.kit.Err, opts))
	}
	return slog.New(slog.NewTextHandler(o.kit.Err, opts))
}

// noOrigin is an origin that no page has.
const noOrigin = "https://none.invalid"

// stackConfig is the SIP stack's configuration that follows from the flags, with the certificates that are read again
// on SIGHUP, nil without any.
func (o *serverOptions) stackConfig(log *slog.Logger, endpoints []stack.Endpoint) (stack.Config, *certs.Server, error) {
	cfg := stack.Config{Log: log, Product: product, Advertise: o.advertise, Trace: sipTracer(o.kit), MaxConnections: o.maxConnections}
	if o.maxConnections < 1 {
		return cfg, nil, kit.Fail(kit.ExitUsage, "reading --max-connections", fmt.Sprintf("%d is less than 1", o.maxConnections), "without the flag it is 10000")
	}
	if cfg.WSPath, cfg.WSOrigins = o.wsPath, o.wsOrigins; o.auth.none && len(o.wsOrigins) == 0 {
		cfg.WSOrigins = []string{noOrigin} // or any page that a browser of this machine shows could act as anybody
	}
	if o.wsPath != "" && !strings.HasPrefix(o.wsPath, "/") {
		return cfg, nil, kit.Fail(kit.ExitUsage, fmt.Sprintf("reading --ws-path %q", o.wsPath), "it does not begin with a slash", "write it like /ws")
	}
	secrets, err := o.readTLS(endpoints)
	if err != nil {
		return cfg, nil, err
	}
	if err := o.useTLS(&cfg, secrets); err != nil {
		return cfg, nil, err
	}
	return cfg, secrets, o.readRoutes(&cfg)
}

// dataFlag is for the servers that have state.
func (o *serverOptions) dataFlag(cmd *cobra.Command) {
	cmd.Flags().StringVar(&o.data, "data", "", "keep state in a file in `DIR`, where it outlives the server; without it in memory")
}

// openStore opens what holds the server's state: a file named after the server
// with --data, else memory. The caller closes it.
func (o *serverOptions) openStore() (interface {
	store.KV
	io.Closer
}, error) {
	if o.data == "" {
		return memory.New(), nil
	}
	s, err := bolt.Open(filepath.Join(o.data, o.name+".db"), bolt.Config{})
	if err == nil {
		return s, nil
	}
	hint := "--data takes a directory of this user"
	switch {
	case errors.Is(err, bolt.ErrInUse):
		hint = "does the server run already? two of a kind need two directories"
	case errors.Is(err, bolt.ErrDamaged), errors.Is(err, bolt.ErrForeign):
		hint = "move the file away to begin with an empty one"
	}
	return nil, kit.Fail(kit.ExitUsage, "reading --data", err, hint)
}

// product is what Server and User-Agent say.
const product = "imp/" + Version

// sipTracer adapts the kit's tracer, nil when nobody asked for a trace.
func sipTracer(k *kit.Kit) func(stack.Record) {
	trace := k.Tracer("sip")
	if trace == nil {
		return nil
	}
	return func(r stack.Record) { trace(kit.Record(r)) }
}

// startFailure explains why a server did not start.
func startFailure(name string, err error) error {
	if errors.Is(err, stack.ErrInUse) || errors.Is(err, syscall.EADDRINUSE) {
		return kit.Fail(kit.ExitNetwork, "starting "+name, err, "another program listens there; choose another port with --listen, port 0 takes a free one")
	}
	return kit.Fail(0, "starting "+name, err, startHint(err))
}

// startHint says what to do when a server cannot listen, as far as the error tells.
func startHint(err error) string {
	switch {
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return "the address of --listen must be one of this machine"
	case errors.Is(err, syscall.EACCES):
		return "ports below 1024 need privileges; choose a higher one"
	}
	return "--listen takes addresses such as 127.0.0.1:5060 and tls:[::1]:5061"
}

// readyEvent tells that a server serves.
type readyEvent struct {
	kit.Head
	Server  string              `json:"server" doc:"the command that serves"`
	Listen  []string            `json:"listen" doc:"its addresses, transport:host:port"`
	Admin   string              `json:"admin,omitempty" doc:"host:port for imp ctl, with --admin"`
	Config  string              `json:"config,omitempty" doc:"lab: the accounts file, for IMP_CONFIG"`
	State   string              `json:"state,omitempty" doc:"lab: where its users keep what outlives a command, for IMP_STATE"`
	Dir     string              `json:"dir,omitempty" doc:"lab: the directory with all its files"`
	Servers map[string][]string `json:"servers,omitempty" doc:"lab: the addresses of each server in it"`
}

// Text implements kit.Texter.
func (e readyEvent) Text(w io.Writer, _ *kit.Style) error {
	at := strings.Join(e.Listen, " ")
	if e.Config != "" {
		_, err := fmt.Fprintf(w, "export %s # lab ready at %s\n", strings.Join(labExports(e.Config, e.State, e.Admin), " "), at)
		return err
	}
	if e.Admin != "" {
		at += ", admin at " + e.Admin
	}
	_, err := fmt.Fprintf(w, "%s ready at %s\n", e.Server, at)
	return err
}

// shellQuote makes s one word of a POSIX shell.
func shellQuote(s string) string {
	if s != "" && strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/._-:@=+,") == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// drainTime bounds what a server does to leave cleanly.
const drainTime = 3 * time.Second

// drained is the context for leaving cleanly after ctx is done.
func drained(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), drainTime)
}
