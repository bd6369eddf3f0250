package cli

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/spf13/cobra"

	"imp/internal/cli/kit"
	"imp/internal/sip/registration"
	"imp/internal/sip/useragent"
)

type registerOptions struct {
	kit       *kit.Kit
	flags     registrationFlags
	contact   string
	query     bool
	remove    bool
	removeAll bool
	keep      bool
	period    kit.Duration
}

func newRegister(k *kit.Kit) *cobra.Command {
	o := &registerOptions{kit: k}
	cmd := &cobra.Command{
		Use:   "register [flags]",
		Short: "Tell the registrar where you are",
		Long: `Register an address of this machine for your account, and print what the
registrar has for it. Other devices of yours stay registered.

Without --keep the registration is left to run out: it is for an address that
something else answers at, such as that of --contact. --keep stays, renews the
registration, keeps its connection alive and makes it anew when that fails, and
takes it back when the command ends, by Ctrl-C or when the time of --for is over.
--timeout is for one answer and ends no --keep. imp listen registers by itself.

--query changes nothing; its status is 1 when nobody is registered. --remove
takes back what this machine registered, or the address of --contact;
--remove-all what any device did.`,
		Example: `  $ imp register --contact sip:alice@192.0.2.7 --expires 10m
  CONTACT              EXPIRES  Q  INSTANCE
  …

  $ imp register --query -o json
  {"event":"register",…

  $ imp register --remove-all && imp register --query || echo nobody
  nobody

  $ imp register --keep
  CONTACT …
  …
  ^C`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context()) },
	}
	o.flags.add(cmd)
	fs := cmd.Flags()
	fs.StringVar(&o.contact, "contact", "", "register `URI` in place of this machine")
	fs.BoolVar(&o.query, "query", false, "only print what is registered")
	fs.BoolVar(&o.remove, "remove", false, "take the registration back")
	fs.BoolVar(&o.removeAll, "remove-all", false, "take the registrations of all devices back")
	fs.BoolVar(&o.keep, "keep", false, "stay registered until interrupted")
	fs.Var(&o.period, "for", "with --keep: end with status 0 after `DURATION`")
	cmd.MarkFlagsMutuallyExclusive("query", "remove", "remove-all", "keep")
	cmd.MarkFlagsMutuallyExclusive("query", "contact")
	cmd.MarkFlagsMutuallyExclusive("remove-all", "contact")
	k.AccountFlags(cmd)
	k.Emits(cmd, "register", "a registrar answered", registerEvent{})
	return cmd
}

type registerEvent struct {
	kit.Head
	Resource string        `json:"resource" doc:"the address of record"`
	Contact  string        `json:"contact,omitempty" doc:"the URI that the command registered"`
	Expires  int           `json:"expires" doc:"seconds until that ends unless it is renewed; 0: the command holds none"`
	Outbound bool          `json:"outbound" doc:"whether requests come back over the connection that registered (RFC 5626)"`
	GRUU     string        `json:"gruu,omitempty" doc:"the lasting URI of this device alone, when the registrar made one"`
	TempGRUU string        `json:"temp_gruu,omitempty" doc:"the same without telling whose device it is"`
	Bindings []bindingView `json:"bindings" doc:"all that is registered for the address of record"`
}

type bindingView struct {
	Contact  string `json:"contact" doc:"URI"`
	Expires  *int   `json:"expires,omitempty" doc:"seconds that are left, when told"`
	Q        string `json:"q,omitempty" doc:"preference from 0 to 1, when told"`
	Instance string `json:"instance,omitempty" doc:"the URN of the device, when told"`
	RegID    int    `json:"reg_id,omitempty" doc:"which of its connections, when told"`
}

// Text implements kit.Texter.
func (e registerEvent) Text(w io.Writer, s *kit.Style) error {
	rows := make([][]string, len(e.Bindings))
	for i, b := range e.Bindings {
		left := ""
		if b.Expires != nil {
			left = (time.Duration(*b.Expires) * time.Second).String()
		}
		rows[i] = []string{s.Name(kit.CleanLine(b.Contact)), left, kit.CleanLine(b.Q), s.Dim(kit.CleanLine(b.Instance))}
	}
	return s.Table(w, []string{"CONTACT", "EXPIRES", "Q", "INSTANCE"}, rows)
}

func (o *registerOptions) run(ctx context.Context) error {
	if o.period > 0 && !o.keep {
		return usage("--for is for --keep", "add --keep, or say with --expires how long the registration is to last")
	}
	acct, err := o.kit.Account()
	if err != nil {
		return err
	}
	ua, err := startUser(ctx, o.kit, acct, nil)
	if err != nil {
		return err
	}
	defer ua.Close()
	r, release, err := o.registration(ua)
	if err != nil {
		return err
	}
	defer release()
	aor := ua.AOR.URI
	within, cancel := limited(ctx, o.kit)
	defer cancel()
	switch {
	case o.query:
		return o.ask(within, r, aor)
	case o.remove:
		return o.takeBack(within, aor, r.Remove)
	case o.removeAll:
		return o.takeBack(within, aor, r.RemoveAll)
	}
	if err := o.register(within, r, aor); err != nil || !o.keep {
		return err
	}
	defer unregister(ctx, o.kit, r, aor)
	staying, cancel := lasting(ctx, o.period)
	defer cancel()
	return stayRegistered(staying, o.kit, r, aor, func(got registration.Registered) { o.kit.Emit(o.event(r, aor, got)) })
}

// registration makes the registration; release gives its instance back.
func (o *registerOptions) registration(ua *useragent.UserAgent) (r *registration.Registration, release func(), err error) {
	cfg, err := o.flags.config(ua)
	if err != nil {
		return nil, nil, err
	}
	cfg.Foreign, cfg.NoOutbound = o.contact, !o.keep
	release = func() {}
	if o.contact == "" && !o.query && !o.removeAll {
		if cfg.Instance, release, err = claimInstance(o.kit, ua.AOR.URI); err != nil {
			return nil, nil, err
		}
	}
	if r, err = registration.New(cfg); err != nil {
		release()
		return nil, nil, kit.Fail(kit.ExitUsage, "registering "+ua.AOR.URI, err, "see imp register --help for what the flags take")
	}
	return r, release, nil
}

// register registers and prints the answers.
func (o *registerOptions) register(ctx context.Context, r *registration.Registration, aor string) error {
	all, err := r.Register(ctx)
	if err != nil {
		return sipFailure("registering "+aor, err)
	}
	for _, got := range all {
		if err := o.kit.Emit(o.event(r, aor, got)); err != nil {
			return err
		}
	}
	return nil
}

func (o *registerOptions) event(r *registration.Registration, aor string, got registration.Registered) registerEvent {
	e := registerEvent{Head: o.kit.Head("register"), Resource: aor, Contact: got.Contact, Expires: wholeSeconds(got.Expires),
		Outbound: got.Outbound, Bindings: []bindingView{}}
	e.GRUU, e.TempGRUU = r.GRUU()
	for _, b := range got.Bindings {
		view := bindingView{Contact: b.URI, Q: b.Q, Instance: b.Instance, RegID: b.RegID}
		if b.Expires >= 0 {
			left := wholeSeconds(b.Expires)
			view.Expires = &left
		}
		e.Bindings = append(e.Bindings, view)
	}
	return e
}

// ask prints what is registered; that it is nothing is a negative answer.
func (o *registerOptions) ask(ctx context.Context, r *registration.Registration, aor string) error {
	all, err := r.Query(ctx)
	if err != nil {
		return sipFailure("asking who is registered as "+aor, err)
	}
	if err := o.kit.Emit(o.event(r, aor, registration.Registered{Bindings: all})); err != nil {
		return err
	}
	if len(all) == 0 {
		return kit.Quiet(kit.ExitNo)
	}
	return nil
}

func (o *registerOptions) takeBack(ctx context.Context, aor string, remove func(context.Context) error) error {
	doing := "unregistering " + aor
	switch err := remove(ctx); {
	case errors.Is(err, registration.ErrNotRegistered):
		return kit.Fail(kit.ExitNo, doing, "this machine has registered nothing, or something that still runs holds it", "imp register --query tells what is registered; --remove --contact URI names it")
	case err != nil:
		return sipFailure(doing, err)
	}
	return nil
}
