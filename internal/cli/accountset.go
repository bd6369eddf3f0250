package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"imp/internal/cli/kit"
)

type accountSetOptions struct {
	kit   *kit.Kit
	name  string
	pairs []string // KEY=VALUE
	stdin bool
}

func newAccountSet(k *kit.Kit) *cobra.Command {
	o := &accountSetOptions{kit: k}
	cmd := &cobra.Command{
		Use:   "set NAME KEY=VALUE…",
		Short: "Change settings of an account",
		Long: `Change settings of an account and leave the rest of the file as it is.

Settings: ` + accountKeyNames() + `.`,
		Example: `  $ imp account set alice proxy=tls:sip.example.com ca=ca.pem

  $ imp account set alice proxy=carrier-pigeon:5060:1
  imp: proxy "carrier-pigeon:5060:1": the host is not understood
  hint: a proxy is [udp:|tcp:|tls:|ws:|wss:]HOST[:PORT], such as tcp:sip.example.com:5060; a path may follow for ws and wss`,
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: completeSettings(k, "="),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.name, o.pairs = args[0], args[1:]
			return o.run()
		},
	}
	cmd.Flags().BoolVar(&o.stdin, "password-stdin", false, "keep the first line of stdin as the password")
	return cmd
}

// completeSettings offers names of accounts first, then settings with what is written behind them.
func completeSettings(k *kit.Kit, behind string) cobra.CompletionFunc {
	accounts := completeAccounts(k, 1)
	return func(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
		if len(args) == 0 {
			return accounts(cmd, args, typed)
		}
		var offered []string
		for _, key := range kit.AccountKeys {
			offered = append(offered, key.Name+behind)
		}
		directive := cobra.ShellCompDirectiveNoFileComp
		if behind != "" {
			directive |= cobra.ShellCompDirectiveNoSpace
		}
		return offered, directive
	}
}

func accountKeyNames() string {
	var names []string
	for _, key := range kit.AccountKeys {
		names = append(names, key.Name)
	}
	return strings.Join(names, ", ")
}

func (o *accountSetOptions) run() error {
	var changes kit.Fields
	var keys []kit.AccountKey
	for _, pair := range o.pairs {
		name, value, ok := strings.Cut(pair, "=")
		if !ok {
			return kit.Fail(kit.ExitUsage, "account set", fmt.Sprintf("%q is not KEY=VALUE", pair), "settings are "+accountKeyNames())
		}
		key, err := kit.FindAccountKey(name)
		if err != nil {
			return err
		}
		if value == "" {
			return kit.Fail(kit.ExitUsage, "account set", key.Name+" is empty", "imp account unset "+o.name+" "+key.Name+" removes it")
		}
		if key.Secret() {
			o.kit.WarnArgv()
		}
		*key.In(&changes) = value
		keys = append(keys, key)
	}
	if o.stdin {
		secret, err := o.kit.SecretFromStdin()
		if err != nil {
			return err
		}
		key, _ := kit.FindAccountKey("password")
		*key.In(&changes) = secret
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return kit.Fail(kit.ExitUsage, "account set", "there is nothing to set", "give KEY=VALUE, settings are "+accountKeyNames())
	}
	absolute(o.kit, &changes)
	_, err := edit(o.kit, func(c *kit.Config, e *kit.Edit) error {
		f, err := c.Find(o.name)
		if err != nil {
			return err
		}
		for _, key := range keys {
			*key.In(&f) = key.Get(changes)
			if err := e.Set(o.name, key.Name, key.Get(changes)); err != nil {
				return err
			}
		}
		return checkAccount(f)
	})
	return err
}

// checkAccount refuses settings that no command could use.
func checkAccount(f kit.Fields) error {
	if f.AOR == "" {
		return kit.Fail(kit.ExitUsage, "account", "an account needs an aor", "imp account set NAME aor=sip:USER@DOMAIN gives it one, imp account unset NAME --all removes it")
	}
	if err := kit.CheckSecrets(f); err != nil {
		return err
	}
	return kit.CheckFields(f)
}

type accountUnsetOptions struct {
	kit  *kit.Kit
	name string
	keys []string
	all  bool
}

func newAccountUnset(k *kit.Kit) *cobra.Command {
	o := &accountUnsetOptions{kit: k}
	cmd := &cobra.Command{
		Use:   "unset NAME KEY…",
		Short: "Remove settings of an account, or the account",
		Long:  "Remove settings of an account, or with --all the account itself.",
		Example: `  $ imp account unset alice ca

  $ imp account unset bob --all`,
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: completeSettings(k, ""),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.name, o.keys = args[0], args[1:]
			return o.run()
		},
	}
	cmd.Flags().BoolVar(&o.all, "all", false, "remove the account")
	return cmd
}

func (o *accountUnsetOptions) run() error {
	if o.all == (len(o.keys) > 0) {
		return kit.Fail(kit.ExitUsage, "account unset", "give settings or --all", "settings are "+accountKeyNames())
	}
	_, err := edit(o.kit, func(c *kit.Config, e *kit.Edit) error {
		f, err := c.Find(o.name)
		if err != nil {
			return err
		}
		if o.all {
			if c.Default == o.name {
				if err := e.SetDefault(""); err != nil {
					return err
				}
			}
			return e.Remove(o.name)
		}
		for _, name := range o.keys {
			key, err := kit.FindAccountKey(name)
			if err != nil {
				return err
			}
			*key.In(&f) = ""
			if err := e.Unset(o.name, key.Name); err != nil {
				return err
			}
		}
		return checkAccount(f)
	})
	return err
}
