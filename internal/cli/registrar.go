package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"imp/internal/cli/kit"
	"imp/internal/server/admin"
	"imp/internal/server/registrar"
	"imp/internal/sip/header"
	"imp/internal/sip/identity"
)

type registrarOptions struct {
	serverOptions
	domains     []string
	expires     kit.Duration
	minExpires  kit.Duration
	maxExpires  kit.Duration
	flowTimer   kit.Duration
	maxContacts int
}

func newRegistrar(k *kit.Kit) *cobra.Command {
	o := &registrarOptions{serverOptions: serverOptions{kit: k}}
	o.expires.Set("3600")
	o.minExpires.Set("60")
	o.maxExpires.Set("3600")
	o.flowTimer.Set("120")
	cmd := &cobra.Command{
		Use:   "registrar",
		Short: "Serve registrations, and forward requests to registered phones",
		Long: `Serve REGISTER (RFC 3261 section 10) with the flows of RFC 5626, the paths of RFC
3327 and the GRUUs of RFC 5627, and forward requests for registered users to their
phones: messages and other requests to all devices at once, calls to the device with
the highest q, or of equal ones to that which registered last.

Users authenticate by digest (RFC 8760), those who register and those who send:
--user or --users says who may come in, and each has the address of record that
follows from his name: NAME is sip:NAME@DOMAIN of every domain served, NAME@DOMAIN of
that one. Nobody registers for somebody else. Requests for other domains are refused:
this is no open proxy.

A contact of a browser, or with a reg-id, lives no longer than the connection it came
over. Over UDP no outbound registration is granted. Nothing is stored for those who are
not registered: they are answered 480.

State is in memory, or with --data DIR in the file registrar.db there: then what is
registered outlives the server, also one that is killed, and expires when it should.
It is at most 1 GiB in memory and 16 GiB in a file, --max-contacts for one user, 1024 bytes for a
contact and 2048 for its path.

` + stackLimits,
		Example: `  $ imp registrar --listen 127.0.0.1:5071 --no-auth
  imp: warning: everybody on this machine can publish and watch as anybody
  registrar ready at udp:127.0.0.1:5071 tcp:127.0.0.1:5071
  ^C

  $ imp registrar --listen 127.0.0.1:0 --domain example.com --user alice:secret -o json
  imp: warning: a password in --user can be seen by other users of this machine, …
  {"event":"ready","time":"…","server":"registrar","listen":["udp:127.0.0.1:…","tcp:127.0.0.1:…"]}
  ^C`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context()) },
	}
	o.flags(cmd, "127.0.0.1:5060")
	o.dataFlag(cmd)
	fs := cmd.Flags()
	fs.MarkHidden("publish-for")
	fs.StringArrayVar(&o.domains, "domain", nil, "serve the users of `DOMAIN`, repeatable; none: of every domain")
	fs.Var(&o.expires, "expires", "keep contacts for `DURATION` that say nothing about it")
	fs.Var(&o.minExpires, "min-expires", "refuse contacts for a time shorter than `DURATION`")
	fs.Var(&o.maxExpires, "max-expires", "shorten the time of contacts to `DURATION`")
	fs.Var(&o.flowTimer, "flow-timer", "have clients send something over their connection every `DURATION`")
	fs.IntVar(&o.maxContacts, "max-contacts", 20, "keep at most `N` contacts of one user")
	k.Emits(cmd, "ready", "the server serves", readyEvent{})
	return cmd
}

// check judges the flags that are this command's own.
func (o *registrarOptions) check() error {
	switch {
	case o.minExpires > o.maxExpires:
		return kit.Fail(kit.ExitUsage, "reading the flags", "--min-expires is more than --max-expires", "without them they are 1m and 1h")
	case o.maxContacts < 1:
		return kit.Fail(kit.ExitUsage, "reading --max-contacts", fmt.Sprintf("%d is less than 1", o.maxContacts), "without the flag it is 20")
	}
	for _, d := range o.domains {
		if err := checkHost(d, false); err != nil {
			return kit.Fail(kit.ExitUsage, fmt.Sprintf("reading --domain %q", d), err, "write it like example.com")
		}
	}
	return nil
}

func (o *registrarOptions) run(ctx context.Context) error {
	endpoints, err := o.endpoints()
	if err != nil {
		return err
	}
	if err := o.check(); err != nil {
		return err
	}
	log := o.logger()
	o.defaultRealm(o.domains)
	auth, source, err := o.readAuth(log, o.auth.users)
	if err != nil {
		return err
	}
	stackConfig, secrets, err := o.stackConfig(log, endpoints)
	if err != nil {
		return err
	}
	o.onHangup(log, o.reloaders(log, source, secrets)...)
	store, err := o.openStore()
	if err != nil {
		return err
	}
	defer store.Close()
	cfg := registrar.ServerConfig{Stack: stackConfig, Listen: endpoints, Config: registrar.Config{Store: store, Domains: o.domains,
		Expires: o.expires.Std(), MinExpires: o.minExpires.Std(), MaxExpires: o.maxExpires.Std(), FlowTimer: o.flowTimer.Std(),
		MaxContacts: o.maxContacts, Log: log}}
	if auth != nil {
		cfg.Known = known(source, auth.Realm)
		cfg.MakeGuard = func(aor func(header.URI) (string, bool)) (*identity.Guard, error) {
			return identity.NewGuard(identity.GuardConfig{Realm: auth.Realm, Users: auth.Users, Algorithms: auth.Algorithms,
				NoLegacy: auth.NoLegacy, AOR: aor, Log: log})
		}
	}
	server, err := registrar.Serve(ctx, cfg)
	if err != nil {
		return startFailure(o.name, err)
	}
	defer server.Close()
	ready := readyEvent{Head: o.kit.Head("ready"), Server: o.name, Listen: addresses(server.Addrs())}
	door, err := o.openAdmin(admin.Config{Server: o.name, Version: Version, Level: &o.level, Log: log, Stack: server.StackStats,
		Listen:        func() []string { return addresses(server.Addrs()) },
		Registrations: registrationRows(server.Registrar), RegistrationCount: server.Count})
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

// registrationRows adapts a registrar to the list of the admin interface.
func registrationRows(r *registrar.Registrar) admin.Lister[admin.Registration] {
	return func(ctx context.Context, q admin.Query) ([]admin.Registration, bool, error) {
		page, more, err := r.Page(ctx, q.Resource, q.After, q.Limit)
		if err != nil {
			return nil, false, err
		}
		rows := make([]admin.Registration, len(page))
		for i, b := range page {
			rows[i] = admin.Registration{ID: b.ID, AOR: b.AOR, Contact: b.Contact, Instance: b.Instance, RegID: b.RegID, Q: b.Q,
				UserAgent: b.UserAgent, Received: b.Received, Expires: b.Expires}
		}
		return rows, more, nil
	}
}
