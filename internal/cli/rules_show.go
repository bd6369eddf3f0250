package cli

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"imp/internal/cli/kit"
	"imp/internal/doc/rules"
)

type rulesShowOptions struct {
	rulesFlags
	files []string
}

func newRulesShow(k *kit.Kit) *cobra.Command {
	o := &rulesShowOptions{rulesFlags: rulesFlags{xcapFlags: xcapFlags{kit: k}}}
	cmd := &cobra.Command{
		Use:   "show [flags] [WHO]",
		Short: "Show who is allowed what",
		Long: `Show your rules, those of all your documents, or those that concern WHO: who gets what
(block, confirm, polite-block or allow; "-" when a rule leaves it to others), what of a
presence document the rule shows in the words of --only, and when it is true. What
imp does not know in a rule is shown too.

Rules add up; imp rules explain WHO tells what comes of them. The status is 1 when there
are none. -o raw prints the documents.`,
		Example: `  $ imp rules show
  WHO                  GETS          SEES        WHEN    RULE
  sip:bob@example.com  allow         everything  always  imp-allow
  sip:eve@example.com  polite-block  -           always  imp-polite-block

  $ imp rules show eve -o json
  {"event":"rule",…"id":"imp-polite-block",…"sub_handling":"polite-block"…}

  $ imp rules show carol
  imp: showing the rules for sip:carol@example.com: there are none
  …`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), args) },
	}
	cmd.Flags().StringArrayVar(&o.files, "file", nil, "show the rules in `FILE|-` instead of those on the server, repeatable")
	cmd.MarkFlagFilename("file")
	o.add(cmd, "only the document `NAME`")
	k.Emits(cmd, "rule", "there is a rule", ruleEvent{})
	return cmd
}

// ruleEvent is a rule of a document.
type ruleEvent struct {
	kit.Head
	Document string `json:"document" doc:"name of the document, or of its file"`
	rules.Rule
}

// books reads the files, or the documents on the server.
func (o *rulesFlags) books(ctx context.Context, files []string) ([]ruleBook, error) {
	var books []ruleBook
	for _, name := range files {
		b, err := rulesFile(o.kit, name)
		if err != nil {
			return nil, err
		}
		books = append(books, *b)
	}
	if files != nil {
		return books, nil
	}
	t, err := o.openRules(ctx)
	if err != nil {
		return nil, err
	}
	defer t.Close()
	return o.read(ctx, t)
}

func (o *rulesShowOptions) run(ctx context.Context, args []string) error {
	doing := "showing the rules"
	var who []rules.Identity
	if len(args) > 0 {
		acct, err := o.kit.Account()
		if err != nil {
			return err
		}
		id, everybody, err := whom(acct, args[0])
		if err != nil {
			return err
		}
		if doing += " for " + args[0]; !everybody {
			who = append(who, id)
			doing = "showing the rules for " + whoText(&id)
		}
	}
	books, err := o.books(ctx, o.files)
	if err != nil {
		return err
	}
	if len(books) == 0 {
		return noRules(doing)
	}
	if o.kit.Output == kit.OutputRaw {
		for _, b := range books {
			if err := o.kit.Print(b.body); err != nil {
				return err
			}
		}
		return nil
	}
	return o.print(books, doing, func(r *rules.Rule) bool { return len(args) == 0 || r.Concerns(who) })
}

// print prints the rules that are wanted.
func (o *rulesShowOptions) print(books []ruleBook, doing string, wanted func(*rules.Rule) bool) error {
	var rows [][]string
	found := false
	for _, b := range books {
		for i := range b.Rules {
			r := &b.Rules[i]
			if !wanted(r) {
				continue
			}
			found = true
			if o.kit.JSON() {
				if err := o.kit.Emit(ruleEvent{o.kit.Head("rule"), b.name, *r}); err != nil {
					return err
				}
				continue
			}
			rows = append(rows, ruleRows(o.kit, r, called(books, b, r.ID))...)
		}
	}
	if !found {
		return kit.Fail(kit.ExitNo, doing, "there are none", "imp rules allow makes one; whom no rule allows is blocked")
	}
	if o.kit.JSON() {
		return nil
	}
	var b strings.Builder
	if err := o.kit.Style().Table(&b, []string{"WHO", "GETS", "SEES", "WHEN", "RULE"}, rows); err != nil {
		return err
	}
	return o.kit.Print([]byte(b.String()))
}

// ruleRows are the lines of a rule, one for each identity.
func ruleRows(k *kit.Kit, r *rules.Rule, name string) [][]string {
	gets, sees := "-", seesText(&r.Permissions)
	if s := k.Style(); r.Handling != rules.Unset {
		paint := map[rules.Handling]func(string) string{rules.Allow: s.Good, rules.Block: s.Bad}[r.Handling]
		if paint == nil {
			paint = s.Busy
		}
		gets = paint(r.Handling.String())
	}
	for _, raw := range append(r.Actions[:len(r.Actions):len(r.Actions)], r.Transformations...) {
		sees = strings.TrimPrefix(sees+",unknown {"+kit.CleanLine(raw.Space)+"}"+kit.CleanLine(raw.Local), "-,")
	}
	when := whenText(k, r)
	var rows [][]string
	if r.Anybody() {
		rows = append(rows, []string{everybodyWord, gets, sees, when, kit.CleanLine(name)})
	}
	for _, c := range r.Conditions {
		for i := range c.Identity {
			rows = append(rows, []string{whoText(&c.Identity[i]), gets, sees, when, kit.CleanLine(name)})
		}
	}
	return rows
}
