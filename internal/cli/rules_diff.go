package cli

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"imp/internal/cli/kit"
	"imp/internal/doc/rules"
)

type rulesDiffOptions struct{ rulesFlags }

func newRulesDiff(k *kit.Kit) *cobra.Command {
	o := &rulesDiffOptions{rulesFlags{xcapFlags: xcapFlags{kit: k}}}
	cmd := &cobra.Command{
		Use:   "diff [flags] [A] B",
		Short: "Tell who gets something else by other rules",
		Long: `Tell which watchers get something else by the rules in file B than by those in file A, or
than by those on the server: what the rules grant together is compared, from now on, and
not how they are written. One line tells of all others of a domain, of the authenticated
of all other domains, and of the anonymous.

The status is 0 when nobody gets anything else, 1 when somebody does, and 2 or more when
that cannot be told. imp xml diff compares the documents themselves.`,
		Example: `  $ imp rules diff new.xml
  sip:bob@example.com: block -> allow, sees everything
  @example.org: allow, sees everything -> confirm

  $ imp rules diff old.xml new.xml -o json
  {"event":"difference",…"watcher":"sip:bob@example.com",…}
  …

  $ imp rules diff old.xml old.xml && echo same
  same`,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), args) },
	}
	o.add(cmd, "compare only with the document `NAME`")
	k.Emits(cmd, "difference", "a watcher gets something else", differenceEvent{})
	return cmd
}

// differenceEvent is what a watcher gets by one set of rules and by another.
type differenceEvent struct {
	kit.Head
	Watcher string            `json:"watcher" doc:"URI, @domain for the others of a domain, authenticated or anonymous"`
	Sphere  string            `json:"sphere,omitempty" doc:"in which sphere; other is none of those that the rules name; absent: in all"`
	From    *kit.Time         `json:"from,omitempty" doc:"since when; absent: already"`
	Until   *kit.Time         `json:"until,omitempty" doc:"until when; absent: for ever"`
	Before  rules.Permissions `json:"before" doc:"what it gets by A"`
	After   rules.Permissions `json:"after" doc:"what it gets by B"`
	now     time.Time
}

// Text implements kit.Texter.
func (e differenceEvent) Text(w io.Writer, s *kit.Style) error {
	when := ""
	if e.Sphere == rules.OtherSphere {
		when += " in other spheres"
	} else if e.Sphere != "" {
		when += " in sphere " + e.Sphere
	}
	if e.From != nil {
		when += " from " + s.Time(time.Time(*e.From), e.now)
	}
	if e.Until != nil {
		when += " until " + s.Time(time.Time(*e.Until), e.now)
	}
	_, err := fmt.Fprintf(w, "%s%s: %s -> %s\n", s.Name(kit.CleanLine(e.Watcher)), kit.CleanLine(when), s.Bad(getsText(&e.Before)), s.Good(getsText(&e.After)))
	return err
}

// getsText tells what a watcher gets.
func getsText(p *rules.Permissions) string {
	if p.Handling != rules.Allow {
		return p.Handling.String()
	}
	if sees := seesText(p); sees != "-" {
		return "allow, sees " + sees
	}
	return "allow, sees nothing"
}

func (o *rulesDiffOptions) run(ctx context.Context, args []string) error {
	if len(args) == 2 && args[0] == "-" && args[1] == "-" {
		return usage("both documents are stdin", "name a FILE")
	}
	last := len(args) - 1
	var before []ruleBook
	var err error
	if last == 0 {
		before, err = o.books(ctx, nil)
	} else {
		before, err = o.books(ctx, args[:1])
	}
	if err != nil {
		return err
	}
	after, err := o.books(ctx, args[last:])
	if err != nil {
		return err
	}
	now := o.kit.Now()
	all, err := rules.Compare(sets(before), sets(after), now)
	if err != nil {
		return kit.Fail(kit.ExitUsage, "comparing the rules", err, "imp xml diff compares the documents")
	}
	for _, d := range all {
		e := differenceEvent{Head: o.kit.Head("difference"), Watcher: d.Watcher, Sphere: d.Sphere, From: timeOrNone(d.From), Until: timeOrNone(d.Until), Before: d.Before, After: d.After, now: now}
		if err := o.kit.Emit(e); err != nil {
			return err
		}
	}
	if len(all) > 0 {
		return kit.Quiet(kit.ExitNo)
	}
	return nil
}

func timeOrNone(t time.Time) *kit.Time {
	if t.IsZero() {
		return nil
	}
	return (*kit.Time)(&t)
}
