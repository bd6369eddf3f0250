package cli

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"imp/internal/cli/kit"
	"imp/internal/doc/rules"
	"imp/internal/server/presence"
	"imp/internal/xml/charset"
)

type rulesExplainOptions struct {
	rulesFlags
	files  []string
	at     string
	sphere string
	show   string
}

func newRulesExplain(k *kit.Kit) *cobra.Command {
	o := &rulesExplainOptions{rulesFlags: rulesFlags{xcapFlags: xcapFlags{kit: k}}}
	cmd := &cobra.Command{
		Use:   "explain [flags] WATCHER",
		Short: "Tell what a watcher gets, and by which rules",
		Long: `Tell what WATCHER gets by your rules: which apply and what they grant, which do not and
by which conditions, and what comes of all together. WATCHER is a user, authenticated
for one whom nothing names, or anonymous for one who does not say who it is.

The status is 0 when WATCHER is allowed, 1 when it is not, be it blocked, kept waiting
or shown somebody who is away. Whom you are for the server is up to it: your own
subscriptions need no rule, and without any document of rules its policy decides.

With --show what WATCHER would see of a presence document is printed instead.`,
		Example: `  $ imp rules explain bob
  sip:bob@example.com: allow, sees everything
    imp-allow: applies, grants allow, everything
    office: does not apply
      not true: sphere is work (it is unknown; --sphere tells it)

  $ imp rules explain eve@example.org || echo no
  sip:eve@example.org: block
    imp-allow: does not apply
      not true: sip:bob@example.com
    office: does not apply
      not true: sphere is work (it is unknown; --sphere tells it)
  no

  $ imp rules explain bob --show alice.xml | imp pidf show -
  sip:alice@example.com  open
  …`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), args[0]) },
	}
	fs := cmd.Flags()
	fs.StringVar(&o.at, "at", "", "at `TIME` instead of now: 18:00, 2026-12-24, 2026-12-24T18:00, or 90m and 7d from now")
	fs.StringVar(&o.sphere, "sphere", "", "while your sphere is `WORD`; none without it")
	fs.StringVar(&o.show, "show", "", "print what WATCHER would see of the presence document in `FILE|-`")
	fs.StringArrayVar(&o.files, "file", nil, "by the rules in `FILE|-` instead of those on the server, repeatable")
	cmd.MarkFlagFilename("file")
	cmd.MarkFlagFilename("show")
	o.add(cmd, "only by the document `NAME`")
	k.Emits(cmd, "explain", "rules were applied to a watcher", explainEvent{})
	return cmd
}

// explainEvent is what rules say of a watcher.
type explainEvent struct {
	kit.Head
	Watcher string   `json:"watcher" doc:"URI of the watcher, authenticated or anonymous"`
	At      kit.Time `json:"at" doc:"when"`
	Sphere  string   `json:"sphere,omitempty" doc:"sphere of the presentity; absent when it is unknown"`
	rules.Permissions
	Rules []explainedRule `json:"rules" doc:"the rules, in the order of the documents"`
	kit   *kit.Kit
}

type explainedRule struct {
	Document string   `json:"document" doc:"name of the document, or of its file"`
	Rule     string   `json:"rule" doc:"id of the rule"`
	Applies  bool     `json:"applies" doc:"all conditions are true"`
	Failed   []string `json:"failed,omitempty" doc:"the conditions that are not true, and why"`
	name     string
	rule     *rules.Rule
}

// Text implements kit.Texter.
func (e explainEvent) Text(w io.Writer, s *kit.Style) error {
	var b strings.Builder
	paint := s.Bad
	if e.Handling == rules.Allow {
		paint = s.Good
	}
	fmt.Fprintf(&b, "%s: %s", s.Name(kit.CleanLine(e.Watcher)), paint(e.Handling.String()))
	if e.Handling == rules.Allow {
		sees := seesText(&e.Permissions)
		if sees == "-" {
			sees = "nothing"
		}
		b.WriteString(", sees " + sees)
	}
	b.WriteByte('\n')
	for _, r := range e.Rules {
		if r.Applies {
			fmt.Fprintf(&b, "  %s: applies, grants %s\n", kit.CleanLine(r.name), grantedText(e.kit, &rules.Rule{Permissions: r.rule.Permissions}))
			continue
		}
		fmt.Fprintf(&b, "  %s: does not apply\n", kit.CleanLine(r.name))
		for _, f := range r.Failed {
			b.WriteString("    not true: " + kit.CleanLine(f) + "\n")
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (o *rulesExplainOptions) run(ctx context.Context, arg string) error {
	acct, err := o.kit.Account()
	if err != nil {
		return err
	}
	id, everybody, err := whom(acct, arg)
	if err != nil {
		return err
	}
	req := rules.Request{Sphere: o.sphere, Now: o.kit.Now()}
	watcher := rules.Anonymous
	switch {
	case everybody:
	case id.Many && id.Domain != "":
		return usage("WATCHER is one user, not a domain", "name one, such as somebody"+arg)
	case id.Many:
		watcher, req.Identities = rules.Authenticated, []string{"sip:*@*"}
	default:
		watcher, req.Identities = id.One, []string{id.One}
	}
	if o.at != "" {
		if req.Now, err = pointInTime("at", o.at, req.Now); err != nil {
			return err
		}
	}
	books, err := o.books(ctx, o.files)
	if err != nil {
		return err
	}
	if len(books) == 0 {
		return noRules("explaining what " + kit.CleanLine(watcher) + " gets")
	}
	p := rules.Evaluate(sets(books), req)
	if o.show != "" {
		return o.shown(watcher, &p)
	}
	if err := o.kit.Emit(o.explain(books, req, watcher, p)); err != nil {
		return err
	}
	if p.Handling != rules.Allow {
		return kit.Quiet(kit.ExitNo)
	}
	return nil
}

// explain gathers the verdicts on the rules.
func (o *rulesExplainOptions) explain(books []ruleBook, req rules.Request, watcher string, p rules.Permissions) explainEvent {
	p = rules.Union(&p)
	p.Handling = max(p.Handling, rules.Block)
	e := explainEvent{Head: o.kit.Head("explain"), Watcher: watcher, At: kit.Time(req.Now), Sphere: req.Sphere, Permissions: p, Rules: []explainedRule{}, kit: o.kit}
	for _, b := range books {
		for i := range b.Rules {
			r := &b.Rules[i]
			x := explainedRule{Document: b.name, Rule: r.ID, Applies: true, name: called(books, b, r.ID), rule: r}
			for j := range r.Conditions {
				if why := o.failed(&r.Conditions[j], req); why != "" {
					x.Applies, x.Failed = false, append(x.Failed, why)
				}
			}
			e.Rules = append(e.Rules, x)
		}
	}
	return e
}

// failed tells of a condition that is not true; "" when it is.
func (o *rulesExplainOptions) failed(c *rules.Condition, req rules.Request) string {
	alone := &rules.Ruleset{Rules: []rules.Rule{{Conditions: []rules.Condition{*c}}}}
	if rules.Explain([]*rules.Ruleset{alone}, req)[0].Applies {
		return ""
	}
	switch {
	case len(c.Identity) > 0:
		var names []string
		for i := range c.Identity {
			names = append(names, whoText(&c.Identity[i]))
		}
		text := strings.Join(names, ", or ")
		if req.Identities == nil {
			text += " (the watcher is not authenticated)"
		}
		return text
	case c.Sphere != "" && req.Sphere == "":
		return c.String() + " (it is unknown; --sphere tells it)"
	case c.Sphere != "":
		return c.String() + " (it is " + req.Sphere + ")"
	case len(c.Validity) > 0:
		var spans []string
		for _, p := range c.Validity {
			span := ""
			if p.From != always {
				span = "from " + p.From
			}
			if p.Until != never {
				span = strings.TrimSpace(span + " until " + p.Until)
			}
			spans = append(spans, span)
		}
		return strings.Join(spans, ", or ") + " (it is " + req.Now.UTC().Format(time.RFC3339) + ")"
	}
	return c.String()
}

// shown prints what a watcher sees of a document.
func (o *rulesExplainOptions) shown(watcher string, p *rules.Permissions) error {
	src, err := o.kit.ReadDocument(o.show)
	if err != nil {
		return err
	}
	if src, err = charset.ToUTF8(src); err != nil {
		return kit.Fail(kit.ExitDocument, "reading "+inputName(o.show), err, documentHint(err))
	}
	if p.Handling != rules.Allow {
		return kit.Fail(kit.ExitNo, "showing what "+kit.CleanLine(watcher)+" sees", fmt.Sprintf("nothing: it gets %s", p.Handling), "without --show the rules are explained")
	}
	out, err := presence.Permit(src, p)
	if err != nil {
		return kit.Fail(kit.ExitDocument, "reading "+inputName(o.show), err, documentHint(err))
	}
	return o.kit.Print(out)
}
