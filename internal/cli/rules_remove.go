package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"imp/internal/cli/kit"
	"imp/internal/doc/rules"
)

type rulesRemoveOptions struct {
	rulesFlags
	name string
}

func newRulesRemove(k *kit.Kit) *cobra.Command {
	o := &rulesRemoveOptions{rulesFlags: rulesFlags{xcapFlags: xcapFlags{kit: k}}}
	cmd := &cobra.Command{
		Use:   "remove [flags] WHO… | --name ID [WHO…]",
		Short: "Take watchers out of your rules",
		Long: `Take WHO out of imp's rules, with the exceptions that these make of it, so that they say
nothing about it any more; what other rules grant is told. With --name it is taken out of
this rule, or without WHO the rule is removed with all who are in it. A rule that is
left without anybody goes. The status is 1 when WHO is in none.`,
		Example: `  $ imp rules remove bob
  imp: sip:bob@example.com is removed

  $ imp rules remove --name friends
  imp: rule friends is removed

  $ imp rules remove carol
  imp: removing sip:carol@example.com: no rule of imp's has it
  …`,
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), args) },
	}
	cmd.Flags().StringVar(&o.name, "name", "", "out of the rule `ID`, which is removed without WHO")
	o.add(cmd, "change the document `NAME` instead of index")
	k.Emits(cmd, "xcap", "an XCAP server has answered", xcapEvent{})
	return cmd
}

func (o *rulesRemoveOptions) run(ctx context.Context, args []string) error {
	if len(args) == 0 && o.name == "" {
		return usage("neither WHO nor --name says what to remove", "imp rules show shows what there is; imp xcap delete pres-rules removes all")
	}
	t, err := o.openRules(ctx)
	if err != nil {
		return err
	}
	defer t.Close()
	if len(args) == 0 {
		return o.rule(ctx, t)
	}
	others, err := t.otherRules(ctx)
	if err != nil {
		return err
	}
	for _, arg := range args {
		id, everybody, err := whom(t.acct, arg)
		if err != nil {
			return err
		}
		list, name := []rules.Identity{id}, whoText(&id)
		if everybody {
			list, name = nil, everybodyWord
		}
		now, changed, err := t.changeRules(ctx, func(_ *rules.Ruleset, src []byte) (*rules.Edit, error) { return rules.Take(src, list, o.name) })
		if err != nil {
			return t.failure("removing "+name, err)
		}
		if !changed {
			return kit.Fail(kit.ExitNo, "removing "+name, o.none(), o.hint(arg))
		}
		o.kit.Note("%s is removed", name)
		o.last(now.Ruleset)
		nothing := &rulesGiveOptions{rulesFlags: o.rulesFlags}
		g := &rules.Grant{Who: list, Permissions: rules.Permissions{Handling: rules.Block}}
		nothing.warn(o.kit, g, &id, "", append([]ruleBook{*now}, others...))
	}
	return nil
}

// hint says what to do when a rule was named where a user is wanted, or a user whom no rule has.
func (o *rulesRemoveOptions) hint(arg string) string {
	if o.name == "" && strings.HasPrefix(arg, "imp-") {
		return fmt.Sprintf("imp rules remove --name %s removes the rule of that name", kit.CleanLine(arg))
	}
	return "imp rules show tells who is in which; --name ID takes out of another rule"
}

func (o *rulesRemoveOptions) none() string {
	if o.name != "" {
		return fmt.Sprintf("there is no rule %s that has it", kit.CleanLine(o.name))
	}
	return "no rule of imp's has it"
}

// rule removes a rule.
func (o *rulesRemoveOptions) rule(ctx context.Context, t *xcapTarget) error {
	doing := "removing rule " + kit.CleanLine(o.name)
	now, changed, err := t.changeRules(ctx, func(book *rules.Ruleset, _ []byte) (*rules.Edit, error) {
		if slices.ContainsFunc(book.Rules, func(r rules.Rule) bool { return r.ID == o.name }) {
			return &rules.Edit{ID: o.name}, nil
		}
		return nil, nil
	})
	if err != nil {
		return t.failure(doing, err)
	}
	if !changed {
		return kit.Fail(kit.ExitNo, doing, "there is no such rule", "imp rules show shows those there are")
	}
	o.kit.Note("rule %s is removed", kit.CleanLine(o.name))
	o.last(now.Ruleset)
	return nil
}

// last tells what no rules mean.
func (o *rulesRemoveOptions) last(now *rules.Ruleset) {
	if len(now.Rules) == 0 {
		o.kit.Note("no rule is left, and everybody is refused; imp xcap delete pres-rules leaves it to the server's policy")
	}
}
