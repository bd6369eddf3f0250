package cli

import (
	"context"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"imp/internal/auth/users"
	"imp/internal/cli/kit"
	"imp/internal/server/lab"
	"imp/internal/server/presence"
	"imp/internal/server/xcap"
	"imp/internal/sip/stack"
)

type labOptions struct {
	serverOptions
	dir         string
	policy      string
	minInterval kit.Duration
	tour        bool
}

func newLab(k *kit.Kit) *cobra.Command {
	o := &labOptions{serverOptions: serverOptions{kit: k}, policy: string(presence.Allow)}
	cmd := &cobra.Command{
		Use:   "lab [flags] [-- COMMAND…]",
		Short: "Bring up all servers with users, for trying things out",
		Long: `Bring up the servers of imp with the users alice, bob and carol of lab.test and
an accounts file with their passwords, made anew each time, all on loopback and in
one temporary directory that goes away at the end. --user adds users with accounts
of their own; with --no-auth there are no passwords.

SIP is served over udp, tcp, tls, ws and wss, XCAP over http and https, MSRP is
relayed over tls and wss; --listen with one of them, for MSRP msrp+tls for example,
replaces those of its protocol. The certificate is that of an
authority made for this lab alone, which the accounts trust: ca.pem in the lab's
directory. The accounts alice-tls, alice-ws, alice-wss and so on are the same users
over one transport.

With -- COMMAND run the command with the lab's environment, end the lab when it
ends, and return its status. In the environment are IMP_CONFIG, so that every
imp command finds the accounts, IMP_STATE, so that what commands keep goes with the
lab, and IMP_ADMIN for imp ctl.

Limits are those of imp-presence-server(1), imp-xcap-server(1) and imp-msrp-relay(1).

Without a command the lab serves until Ctrl-C, SIGTERM or "imp lab stop". Paste
the line it prints into another shell, or type: eval "$(imp lab env)"`,
		Example: `  $ imp lab -- sh -c 'imp publish --basic open && imp fetch alice'
  …
  sip:alice@lab.test  open
  …

  $ imp lab
  export IMP_CONFIG=… IMP_STATE=… IMP_ADMIN=… # lab ready at udp:127.0.0.1:… tcp:127.0.0.1:… tls:…
  ^C`,
		Args: func(cmd *cobra.Command, args []string) error {
			if cmd.ArgsLenAtDash() != 0 && len(args) > 0 {
				return kit.Fail(kit.ExitUsage, "reading the command line", "unknown argument "+args[0], "put -- before a command to run in the lab")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), args) },
	}
	o.flags(cmd, labListen...)
	fs := cmd.Flags()
	o.tls.own = true
	o.admin.addr = "127.0.0.1:0"
	fs.Lookup("admin").DefValue = o.admin.addr
	fs.StringVar(&o.dir, "dir", "", "keep all files in `DIR`")
	fs.Var(kit.Choice(&o.policy, string(presence.Allow), string(presence.Confirm), string(presence.Block)), "policy", "what watchers get of users without presence rules")
	fs.Var(&o.minInterval, "min-notify-interval", "least time between two NOTIFYs of one subscription, `DURATION`")
	fs.BoolVar(&o.tour, "tour", false, "show what works, step by step, and end")
	for _, name := range []string{"listen", "admin", "admin-token", "cert"} {
		cmd.MarkFlagsMutuallyExclusive("tour", name) // it shows them all
	}
	k.Emits(cmd, "ready", "the lab serves", readyEvent{})
	cmd.AddCommand(newLabEnv(k), newLabStop(k))
	return cmd
}

func (o *labOptions) run(ctx context.Context, command []string) error {
	documents, relays, err := o.sortListeners()
	if err != nil {
		return err
	}
	endpoints, err := o.endpoints()
	if err != nil {
		return err
	}
	if o.dir != "" {
		if other, err := findLab(o.kit, o.dir); err == nil {
			return kit.Fail(kit.ExitUsage, "starting lab", "a lab has its files in "+other.Dir+" already",
				"imp lab stop --dir "+shellQuote(other.Dir)+" ends it")
		}
	}
	log := o.logger()
	o.defaultRealm([]string{lab.Domain})
	accounts, entries := o.people()
	auth, source, err := o.readAuth(log, entries)
	if err != nil {
		return err
	}
	stackConfig, secrets, err := o.stackConfig(log, slices.Concat(withCertificates(documents), relays, endpoints))
	if err != nil {
		return err
	}
	cfg := lab.Config{Dir: o.dir, Listen: endpoints, XCAP: documents, Relay: relays, Policy: presence.Policy(o.policy),
		MinInterval: o.minInterval.Std(), Stack: stackConfig, Log: log}
	if auth != nil {
		cfg.Accounts, cfg.Auth, cfg.Known = accounts, auth, known(source, auth.Realm)
	}
	o.onHangup(log, o.reloaders(log, source, secrets)...)
	l, err := lab.Start(ctx, cfg)
	if err != nil {
		return startFailure(o.name, err)
	}
	unregister := func() {}
	defer func() {
		ctx, cancel := drained(ctx)
		defer cancel()
		l.Close(ctx)
		unregister() // last, because imp lab stop waits for it
	}()
	tells := o.presenceAdmin(l.Presence(), l.Registrar(), log)
	tells.Listen = l.Addrs
	tells.Documents, tells.Sessions, tells.Relay = xcapDocuments(l.XCAP().Server), sessionRows(l.Relay()), relayFigures(l.Relay())
	door, err := o.openAdmin(tells)
	if err != nil {
		return err
	}
	at := ""
	if door != nil {
		defer door.Close()
		at = door.Addr()
	}
	switch {
	case o.tour:
		return o.runTour(ctx, l, at)
	case len(command) > 0:
		return o.runCommand(ctx, l, at, command)
	}
	if unregister, err = registerLab(o.kit, l, at); err != nil {
		return err
	}
	return o.serve(ctx, l, at)
}

// labListen are the listeners of SIP when --listen names none.
var labListen = []string{"127.0.0.1:0", "tls:127.0.0.1:0", "ws:127.0.0.1:0", "wss:127.0.0.1:0"}

// sortListeners takes the listeners of XCAP and MSRP out of --listen, nil of
// those that it does not name.
func (o *labOptions) sortListeners() (documents []xcap.Endpoint, relays []stack.Endpoint, err error) {
	var others []string
	for _, l := range o.listen {
		switch scheme, _, _ := strings.Cut(l, ":"); {
		case scheme == "http" || scheme == "https":
			e, err := o.xcapEndpoint(l)
			if err != nil {
				return nil, nil, err
			}
			documents = append(documents, e)
		case strings.HasPrefix(l, "msrp+"):
			e, err := o.relayEndpoint(l)
			if err != nil {
				return nil, nil, err
			}
			relays = append(relays, e)
		default:
			others = append(others, strings.TrimPrefix(l, "sip+"))
		}
	}
	if o.listen = others; len(others) == 0 {
		o.listen = labListen
	}
	return documents, relays, nil
}

// people are the accounts of the lab's users and of --user, and the entries that
// let them in; of a user with a hash there is no account.
func (o *labOptions) people() (accounts []lab.Account, entries []string) {
	accounts = lab.NewAccounts()
	for _, entry := range o.auth.users {
		name, password, ok := users.Password(entry)
		i := slices.IndexFunc(accounts, func(a lab.Account) bool { return a.Name == name })
		switch {
		case !ok:
			entries = append(entries, entry)
		case i >= 0:
			accounts[i].Password = password
		default:
			accounts = append(accounts, lab.Account{Name: name, Password: password})
		}
	}
	for _, a := range accounts {
		entries = append(entries, a.Name+":"+a.Password)
	}
	return accounts, entries
}

// serve tells where the lab is and waits for its end.
func (o *labOptions) serve(ctx context.Context, l *lab.Lab, admin string) error {
	ready := readyEvent{Head: o.kit.Head("ready"), Server: o.name, Admin: admin, Config: l.ConfigFile, State: l.StateDir, Dir: l.Dir, Servers: l.Servers()}
	ready.Listen = l.Addrs()
	if err := o.kit.Emit(ready); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

// labEnviron is the environment of commands run in the lab.
func labEnviron(l *lab.Lab, admin string) []string {
	var env []string
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "IMP_") {
			env = append(env, v)
		}
	}
	env = append(env, "IMP_CONFIG="+l.ConfigFile, "IMP_STATE="+l.StateDir)
	if admin != "" {
		env = append(env, "IMP_ADMIN="+admin)
	}
	return env
}

// labExports are the assignments that make a shell use a lab.
func labExports(config, state, admin string) []string {
	list := []string{"IMP_CONFIG=" + shellQuote(config), "IMP_STATE=" + shellQuote(state)}
	if admin != "" {
		list = append(list, "IMP_ADMIN="+shellQuote(admin))
	}
	return list
}
