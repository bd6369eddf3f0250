package cli

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"imp/internal/cli/kit"
)

func newAccount(k *kit.Kit) *cobra.Command {
	return k.Group(&cobra.Command{
		Use:   "account",
		Short: "Keep addresses, proxies and passwords for the other commands",
		Long: `An account is who a command acts as, and over what: an address of record with its
user name, password, proxy and certificates. Accounts are tables of a TOML file
(see imp-accounts(5)) that these commands show and change; comments in it stay.

A command uses the account of -a NAME, else of $IMP_ACCOUNT, else the default.
Flags such as --from and --proxy override single settings, so no account is needed.`,
		Example: `  $ imp account add alice --aor sip:alice@example.com --proxy tcp:127.0.0.1:5060
  imp: account alice is written to …/config.toml and is the default

  $ imp account list
  NAME     AOR                    PROXY
  alice *  sip:alice@example.com  tcp:127.0.0.1:5060`,
	},
		newAccountAdd(k), newAccountList(k), newAccountShow(k), newAccountSet(k), newAccountUnset(k), newAccountDefault(k))
}

// accountEvent is an account without its secret.
type accountEvent struct {
	kit.Head
	Name            string `json:"name" doc:"name of the account"`
	Default         bool   `json:"default" doc:"whether it is the default"`
	AOR             string `json:"aor" doc:"address of record"`
	User            string `json:"user,omitempty" doc:"user name for authentication"`
	PasswordSet     bool   `json:"password_set" doc:"whether the file has the password itself"`
	PasswordFile    string `json:"password_file,omitempty" doc:"file with the password"`
	PasswordCommand string `json:"password_command,omitempty" doc:"command that prints the password"`
	Proxy           string `json:"proxy,omitempty" doc:"outbound proxy"`
	Transport       string `json:"transport,omitempty" doc:"preferred transport"`
	XCAPRoot        string `json:"xcap_root,omitempty" doc:"XCAP root URI"`
	MSRPRelay       string `json:"msrp_relay,omitempty" doc:"MSRP relay URI"`
	CA              string `json:"ca,omitempty" doc:"file of trusted authorities"`
	Cert            string `json:"cert,omitempty" doc:"file of the client certificate"`
	Key             string `json:"key,omitempty" doc:"file of the certificate's key"`

	fields kit.Fields
}

func newAccountEvent(k *kit.Kit, c *kit.Config, name string, f kit.Fields) accountEvent {
	return accountEvent{
		Head: k.Head("account"), Name: name, Default: name == c.Default, AOR: f.AOR, User: f.User,
		PasswordSet: f.Password != "", PasswordFile: f.PasswordFile, PasswordCommand: f.PasswordCommand,
		Proxy: f.Proxy, Transport: f.Transport, XCAPRoot: f.XCAPRoot, MSRPRelay: f.MSRPRelay, CA: f.CA, Cert: f.Cert, Key: f.Key,
		fields: f,
	}
}

// Text shows the settings as they would stand in the file, the password excepted.
func (e accountEvent) Text(w io.Writer, s *kit.Style) error {
	mark := ""
	if e.Default {
		mark = " (default)"
	}
	fmt.Fprintf(w, "%s%s\n", s.Name(kit.CleanLine(e.Name)), mark)
	for _, key := range kit.AccountKeys {
		v := key.Get(e.fields)
		switch {
		case v == "":
			continue
		case key.Secret():
			v = "(set)"
		}
		fmt.Fprintf(w, "  %s = %s\n", key.Name, kit.CleanLine(v))
	}
	return nil
}

// edit loads the file, checks that the account is there when it must be, and applies the change to it.
func edit(k *kit.Kit, change func(*kit.Config, *kit.Edit) error) (*kit.Config, error) {
	c, err := k.LoadConfig()
	if err != nil {
		return nil, err
	}
	e := c.Edit()
	if err := change(c, e); err != nil {
		return nil, err
	}
	return c, e.Save()
}

var accountName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.@-]*$`)

// accountAddOptions are the settings of the new account.
type accountAddOptions struct {
	kit    *kit.Kit
	name   string
	fields kit.Fields
	def    bool
	force  bool
}

func newAccountAdd(k *kit.Kit) *cobra.Command {
	o := &accountAddOptions{kit: k}
	cmd := &cobra.Command{
		Use:   "add NAME --aor URI",
		Short: "Add an account",
		Long: `Add an account to the file. The first one becomes the default. An account of that
name is not overwritten without --force, which replaces all of its settings.`,
		Example: `  $ imp account add bob --aor sip:bob@example.com --password-file ~/.bob
  imp: account bob is written to …/config.toml

  $ imp account add carol --aor sip:carol@example.com --password-stdin < secret.txt
  imp: account carol is written to …/config.toml`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.name = args[0]
			return o.run(cmd.Context())
		},
	}
	fs, f := cmd.Flags(), &o.fields
	fs.SortFlags = false
	for _, key := range kit.AccountKeys {
		name := strings.ReplaceAll(key.Name, "_", "-")
		fs.StringVar(key.In(f), name, "", key.Meaning)
		fs.Lookup(name).Usage = "`" + key.Value + "`: " + key.Meaning
	}
	fs.BoolVar(&f.PasswordStdin, "password-stdin", false, "keep the first line of stdin as the password")
	fs.BoolVar(&o.def, "default", false, "make it the default")
	fs.BoolVar(&o.force, "force", false, "replace an account of that name")
	cmd.MarkFlagsMutuallyExclusive("password", "password-file", "password-command", "password-stdin")
	cmd.MarkFlagRequired("aor")
	return cmd
}

func (o *accountAddOptions) run(context.Context) error {
	doing := "adding account " + o.name
	if !accountName.MatchString(o.name) {
		return kit.Fail(kit.ExitUsage, fmt.Sprintf("adding account %q", o.name), "a name is made of letters, digits, _ . @ and -", "choose another; the address itself belongs to --aor")
	}
	if o.fields.Password != "" {
		o.kit.WarnArgv()
	}
	if o.fields.PasswordStdin {
		secret, err := o.kit.SecretFromStdin()
		if err != nil {
			return err
		}
		o.fields.Password = secret
	}
	absolute(o.kit, &o.fields)
	if err := kit.CheckFields(o.fields); err != nil {
		return err
	}
	var err error
	if o.fields.AOR, _, _, err = kit.ParseAOR(o.fields.AOR); err != nil {
		return err
	}
	c, err := edit(o.kit, func(c *kit.Config, e *kit.Edit) error {
		if _, there := c.Accounts[o.name]; there && !o.force {
			return kit.Fail(kit.ExitUsage, doing, "there is one of that name", "imp account set changes it, --force replaces it")
		}
		if err := e.Remove(o.name); err != nil {
			return err
		}
		for _, key := range kit.AccountKeys {
			if v := key.Get(o.fields); v != "" {
				if err := e.Set(o.name, key.Name, v); err != nil {
					return err
				}
			}
		}
		o.def = o.def || c.Default == ""
		if o.def {
			return e.SetDefault(o.name)
		}
		return nil
	})
	if err != nil {
		return err
	}
	suffix := ""
	if o.def {
		suffix = " and is the default"
	}
	o.kit.Note("account %s is written to %s%s", o.name, c.Path, suffix)
	return nil
}

// absolute makes file names that are relative to the present directory absolute: in the file they would be relative to it.
func absolute(k *kit.Kit, f *kit.Fields) {
	for _, p := range []*string{&f.PasswordFile, &f.CA, &f.Cert, &f.Key} {
		if *p == "" || strings.HasPrefix(*p, "~/") {
			continue
		}
		if abs, err := filepath.Abs(k.Path(*p)); err == nil {
			*p = abs
		}
	}
}

func newAccountList(k *kit.Kit) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the accounts",
		Long:  "List the accounts of the file; the default has an asterisk. Without any there is no output.",
		Example: `  $ imp account list
  NAME     AOR                    PROXY
  alice *  sip:alice@example.com  tcp:127.0.0.1:5060
  bob      sip:bob@example.com    -

  $ imp account list -o json
  {"event":"account","time":"…","name":"alice","default":true,"aor":"sip:alice@example.com",…}
  {"event":"account","time":"…","name":"bob","default":false,"aor":"sip:bob@example.com",…}`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return accountList(k) },
	}
	k.Emits(cmd, "account", "an account of the file", accountEvent{})
	return cmd
}

func accountList(k *kit.Kit) error {
	c, err := k.LoadConfig()
	if err != nil {
		return err
	}
	if k.JSON() {
		for _, name := range c.Names() {
			if err := k.Emit(newAccountEvent(k, c, name, c.Accounts[name])); err != nil {
				return err
			}
		}
		return nil
	}
	var rows [][]string
	for _, name := range c.Names() {
		f, mark := c.Accounts[name], ""
		if name == c.Default {
			mark = " *"
		}
		proxy := f.Proxy
		if proxy == "" {
			proxy = "-"
		}
		rows = append(rows, []string{kit.CleanLine(name) + mark, kit.CleanLine(f.AOR), kit.CleanLine(proxy)})
	}
	var b strings.Builder
	if err := k.Style().Table(&b, []string{"NAME", "AOR", "PROXY"}, rows); err != nil {
		return err
	}
	return k.Print([]byte(b.String()))
}

func newAccountShow(k *kit.Kit) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "show [NAME]",
		Short: "Show the settings of an account",
		Long: `Show the settings of an account as they stand in the file; without NAME that of -a,
of $IMP_ACCOUNT or the default. A password is not shown.`,
		Example: `  $ imp account show
  alice (default)
    aor = sip:alice@example.com
    proxy = tcp:127.0.0.1:5060

  $ imp account show bob -o json
  {"event":"account","time":"…","name":"bob","default":false,"aor":"sip:bob@example.com",…}`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: completeAccounts(k, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return accountShow(k, strings.Join(args, ""))
		},
	}
	k.Emits(cmd, "account", "an account of the file", accountEvent{})
	return cmd
}

func accountShow(k *kit.Kit, name string) error {
	c, err := k.LoadConfig()
	if err != nil {
		return err
	}
	if name == "" {
		name = k.ChosenAccount(c)
	}
	if name == "" {
		return kit.Fail(kit.ExitUsage, "account", "none is chosen and there is no default", "imp account list shows all, imp account default NAME chooses one")
	}
	f, err := c.Find(name)
	if err != nil {
		return err
	}
	return k.Emit(newAccountEvent(k, c, name, f))
}

func newAccountDefault(k *kit.Kit) *cobra.Command {
	none := false
	cmd := &cobra.Command{
		Use:   "default [NAME]",
		Short: "Print or choose the default account",
		Long:  "Choose the account that commands use without -a and $IMP_ACCOUNT; without NAME print it.",
		Example: `  $ imp account default
  alice

  $ imp account default bob && imp account default
  bob`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: completeAccounts(k, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 && !none {
				return accountDefault(k)
			}
			_, err := edit(k, func(c *kit.Config, e *kit.Edit) error {
				if none {
					return e.SetDefault("")
				}
				if _, err := c.Find(args[0]); err != nil {
					return err
				}
				return e.SetDefault(args[0])
			})
			return err
		},
	}
	cmd.Flags().BoolVar(&none, "none", false, "have no default")
	k.Emits(cmd, "account", "the default account", accountEvent{})
	return cmd
}

func accountDefault(k *kit.Kit) error {
	c, err := k.LoadConfig()
	if err != nil {
		return err
	}
	f, there := c.Accounts[c.Default]
	if !there {
		return kit.Fail(kit.ExitNo, "account", "there is no default", "imp account default NAME chooses one")
	}
	if k.JSON() {
		return k.Emit(newAccountEvent(k, c, c.Default, f))
	}
	return k.Print([]byte(kit.CleanLine(c.Default) + "\n"))
}

// completeAccounts offers the names of the accounts for the first n arguments.
func completeAccounts(k *kit.Kit, n int) cobra.CompletionFunc {
	return func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		c, err := k.LoadConfig()
		if err != nil || len(args) >= n {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return slices.Clip(c.Names()), cobra.ShellCompDirectiveNoFileComp
	}
}
