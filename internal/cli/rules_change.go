package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"imp/internal/cli/kit"
	"imp/internal/doc/rules"
	"imp/internal/xcap/client"
)

// rulesGiveOptions are those of the commands that give users a handling.
type rulesGiveOptions struct {
	rulesFlags
	cmd         *cobra.Command
	handling    rules.Handling
	done        string
	only        []string
	all         bool
	from, until string
	spheres     []string
	except      []string
	name        string
}

const givenText = `

Users who were named in another of imp's rules move to the one that says it; a warning
tells of rules that grant them more, or the same at other times. The status is 0 also
when nothing had to be changed.`

func newRulesAllow(k *kit.Kit) *cobra.Command {
	o := &rulesGiveOptions{rulesFlags: rulesFlags{xcapFlags: xcapFlags{kit: k}}, handling: rules.Allow, done: "is allowed"}
	cmd := o.command("allow", "Let watchers see your presence", `Let WHO see your presence: all of it, or what --only names.

  services, persons, devices   these parts; class, id, uri and scheme select some
                               services, as in services:class=work, class and id some
                               persons, class, id and device some devices
  attributes                   all that is in them
  activities, class, deviceID, mood, note, place-is, place-type, privacy,
  relationship, sphere, status-icon, time-offset, {NAMESPACE}NAME,
  user-input[:bare|:thresholds|:full]
                               these elements in them

Without elements a service is shown with its status, contact and time only, of persons
and devices next to nothing.`+givenText, `  $ imp rules allow bob @example.org
  imp: sip:bob@example.com is allowed (rule imp-allow)
  imp: @example.org is allowed (rule imp-allow)

  $ imp rules allow carol --only services,persons,note,activities --until 7d
  imp: sip:carol@example.com is allowed (rule imp-allow-2)

  $ imp rules allow bob
  imp: sip:bob@example.com is allowed already (rule imp-allow)`)
	fs := cmd.Flags()
	fs.StringSliceVar(&o.only, "only", nil, "show `ITEM,…` instead of everything")
	fs.BoolVar(&o.all, "all", false, "show everything, which goes without saying")
	cmd.MarkFlagsMutuallyExclusive("only", "all")
	o.times(cmd)
	return cmd
}

func newRulesBlock(k *kit.Kit) *cobra.Command {
	o := &rulesGiveOptions{rulesFlags: rulesFlags{xcapFlags: xcapFlags{kit: k}}, handling: rules.Block, done: "is blocked"}
	return o.command("block", "Refuse watchers", `Refuse the subscriptions of WHO. Nobody whom no rule grants anything gets through; this
takes WHO out of imp's rules that grant something, and excepts it from those for its
domain.`+givenText, `  $ imp rules block eve @example.net
  imp: sip:eve@example.com is blocked (rule imp-block)
  imp: @example.net is blocked (rule imp-block)

  $ imp rules block dave
  imp: sip:dave@example.com is blocked (rule imp-block)
  imp: warning: sip:dave@example.com still gets allow, everything by rule friends`)
}

func newRulesConfirm(k *kit.Kit) *cobra.Command {
	o := &rulesGiveOptions{rulesFlags: rulesFlags{xcapFlags: xcapFlags{kit: k}}, handling: rules.Confirm, done: "has to be confirmed"}
	cmd := o.command("confirm", "Keep watchers waiting until you decide", `Keep subscriptions of WHO pending until another rule decides. imp watchers shows who
waits.`+givenText, `  $ imp rules confirm authenticated
  imp: authenticated has to be confirmed (rule imp-confirm)

  $ imp rules confirm bob -o json
  {"event":"xcap",…"method":"PUT",…}
  …`)
	o.times(cmd)
	return cmd
}

func newRulesPoliteBlock(k *kit.Kit) *cobra.Command {
	o := &rulesGiveOptions{rulesFlags: rulesFlags{xcapFlags: xcapFlags{kit: k}}, handling: rules.PoliteBlock, done: "is politely blocked"}
	cmd := o.command("polite-block", "Let watchers believe that you are away", `Take subscriptions of WHO, and show you as unavailable whatever you do.`+givenText, `  $ imp rules polite-block eve
  imp: sip:eve@example.com is politely blocked (rule imp-polite-block)

  $ imp rules polite-block @example.org --except bob@example.org
  imp: @example.org except sip:bob@example.org is politely blocked (rule imp-polite-block)`)
	o.times(cmd)
	return cmd
}

func (o *rulesGiveOptions) command(verb, short, long, example string) *cobra.Command {
	k := o.kit
	o.cmd = &cobra.Command{
		Use: verb + " [flags] WHO…", Short: short, Long: long, Example: example, Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), args) },
	}
	o.cmd.Flags().StringArrayVar(&o.except, "except", nil, "not `USER|@DOMAIN`, who is among WHO, repeatable")
	o.cmd.Flags().StringVar(&o.name, "name", "", "use the rule `ID`, that users stay in whatever imp's other rules say")
	o.add(o.cmd, "change the document `NAME` instead of index")
	k.Emits(o.cmd, "xcap", "an XCAP server has answered", xcapEvent{})
	return o.cmd
}

func (o *rulesGiveOptions) times(cmd *cobra.Command) {
	cmd.Flags().StringVar(&o.from, "from-time", "", "from `TIME` on: 18:00, 2026-12-24, 2026-12-24T18:00, or 90m and 7d from now")
	cmd.Flags().StringVar(&o.until, "until", "", "until `TIME`, written as for --from-time")
	cmd.Flags().StringSliceVar(&o.spheres, "sphere", nil, "only while your sphere is one of `WORD,…`")
}

func (o *rulesGiveOptions) run(ctx context.Context, args []string) error {
	t, err := o.openRules(ctx)
	if err != nil {
		return err
	}
	defer t.Close()
	grants, err := o.grants(t.acct, args)
	if err != nil {
		return err
	}
	others, err := t.otherRules(ctx)
	if err != nil {
		return err
	}
	for i := range grants {
		if err := o.give(ctx, t, &grants[i], others); err != nil {
			return err
		}
	}
	return nil
}

// grants reads the command line: users and everybody are in different rules.
func (o *rulesGiveOptions) grants(acct *kit.Account, args []string) ([]rules.Grant, error) {
	g := rules.Grant{ID: o.name, Permissions: rules.Permissions{Handling: o.handling}}
	if err := o.permissions(&g.Permissions); err != nil {
		return nil, err
	}
	var err error
	if g.When, err = o.when(); err != nil {
		return nil, err
	}
	excepted, err := o.exceptions(acct)
	if err != nil {
		return nil, err
	}
	if o.cmd.Flags().Changed("name") && rules.FreeID(nil, o.name) != o.name {
		return nil, kit.Fail(kit.ExitUsage, fmt.Sprintf("reading --name %q", kit.CleanLine(o.name)), "it cannot be the id of a rule", "write it with letters, digits, - and _, beginning with a letter")
	}
	all, many := false, false
	for _, arg := range args {
		id, everybody, err := whom(acct, arg)
		if err != nil {
			return nil, err
		}
		if everybody {
			all = true
			continue
		}
		if id.Many {
			id.Except, many = excepted, true
		}
		g.Who = append(g.Who, id)
	}
	if len(excepted) > 0 && !many {
		return nil, usage("--except is for domains and authenticated", "leave it out, or name @DOMAIN")
	}
	var grants []rules.Grant
	if len(g.Who) > 0 {
		grants = append(grants, g)
	}
	if all {
		g.Who = nil
		grants = append(grants, g)
	}
	if len(grants) > 1 && o.name != "" {
		return nil, usage("a rule for everybody has no users beside", "give users another --name")
	}
	return grants, nil
}

func (o *rulesGiveOptions) permissions(p *rules.Permissions) error {
	if o.handling != rules.Allow {
		return nil
	}
	if !o.cmd.Flags().Changed("only") {
		*p = rules.Everything()
		return nil
	}
	for _, item := range o.only {
		if err := p.AddItem(item); err != nil {
			return kit.Fail(kit.ExitUsage, "reading --only", err, "see imp rules allow --help")
		}
	}
	if p.Services == nil && p.Persons == nil && p.Devices == nil {
		return kit.Fail(kit.ExitUsage, "reading --only", "elements are shown in services, persons and devices, and none of them is allowed", "add those that you mean, as in --only persons,mood")
	}
	return nil
}

// when makes the conditions of the flags.
func (o *rulesGiveOptions) when() (all []rules.Condition, err error) {
	if o.cmd.Flags().Changed("sphere") {
		words := strings.Fields(strings.Join(o.spheres, " "))
		if len(words) == 0 {
			return nil, usage("--sphere is empty", "write it like --sphere work")
		}
		all = append(all, rules.Condition{Sphere: strings.Join(words, " ")})
		o.kit.Warn("when your sphere changes, subscriptions that depend on it change with it, or end")
	}
	if o.from == "" && o.until == "" {
		return all, nil
	}
	now := o.kit.Now()
	p := rules.Period{From: always, Until: never}
	from, until := now, time.Time{}
	if o.from != "" {
		if from, err = pointInTime("from-time", o.from, now); err != nil {
			return nil, err
		}
		p.From = from.UTC().Format(time.RFC3339)
	}
	if o.until != "" {
		if until, err = pointInTime("until", o.until, now); err != nil {
			return nil, err
		}
		if !until.After(from) || !until.After(now) {
			return nil, kit.Fail(kit.ExitUsage, "reading --until", "nothing is before it", "it is later than now and --from-time")
		}
		p.Until = until.UTC().Format(time.RFC3339)
	}
	return append(all, rules.Condition{Validity: []rules.Period{p}}), nil
}

func (o *rulesGiveOptions) exceptions(acct *kit.Account) (all []rules.Except, err error) {
	for _, arg := range o.except {
		id, everybody, err := whom(acct, arg)
		if err != nil {
			return nil, err
		}
		if everybody || id.Many && id.Domain == "" {
			return nil, usage("--except "+arg+" leaves nobody", "name a user or @DOMAIN")
		}
		all = append(all, rules.Except{ID: id.One, Domain: id.Domain})
	}
	return all, nil
}

// give brings the document to a grant, and tells what came of it.
func (o *rulesGiveOptions) give(ctx context.Context, t *xcapTarget, g *rules.Grant, others []ruleBook) error {
	doing := "changing " + t.short()
	rule := ""
	now, changed, err := t.changeRules(ctx, func(book *rules.Ruleset, src []byte) (*rules.Edit, error) {
		o.adopt(g, book)
		e, err := g.Give(src, sets(others))
		if errors.Is(err, rules.ErrOther) {
			return nil, kit.Fail(kit.ExitUsage, "changing rule "+kit.CleanLine(g.ID), err, "imp rules show shows it; take another --name, or imp rules remove --name "+kit.CleanLine(g.ID))
		}
		if err == nil && e != nil && rule == "" {
			rule = e.ID
		}
		return e, err
	})
	if err != nil {
		return t.failure(doing, err)
	}
	if r := g.Rule(now.Ruleset); r != nil {
		rule = r.ID
	}
	o.told(g, rule, changed)
	for _, id := range who(g) {
		o.warn(t.kit, g, &id, rule, append([]ruleBook{*now}, others...))
	}
	return nil
}

// adopt takes what a rule of --name that is there already grants, where no flag says it.
func (o *rulesGiveOptions) adopt(g *rules.Grant, book *rules.Ruleset) {
	i := slices.IndexFunc(book.Rules, func(r rules.Rule) bool { return o.name != "" && r.ID == o.name && r.Handling == o.handling })
	if i < 0 {
		return
	}
	if !o.cmd.Flags().Changed("only") && !o.all {
		g.Permissions = book.Rules[i].Permissions
	}
	if len(o.spheres) == 0 && o.from == "" && o.until == "" {
		g.When = slices.DeleteFunc(slices.Clone(book.Rules[i].Conditions), func(c rules.Condition) bool { return len(c.Identity) > 0 })
	}
}

// who are those of a grant; everybody is one without a name.
func who(g *rules.Grant) []rules.Identity {
	if g.Who == nil {
		return []rules.Identity{{}}
	}
	return g.Who
}

// told tells what is so now.
func (o *rulesGiveOptions) told(g *rules.Grant, rule string, changed bool) {
	already := ""
	if !changed {
		already = " already"
	}
	for _, id := range who(g) {
		name := everybodyWord
		if g.Who != nil {
			name = whoText(&id)
		}
		o.kit.Note("%s %s%s (rule %s)", name, o.done, already, kit.CleanLine(rule))
	}
}

// warn tells of the other rules that grant somebody more.
func (o *rulesGiveOptions) warn(k *kit.Kit, g *rules.Grant, id *rules.Identity, rule string, books []ruleBook) {
	list, name := []rules.Identity{*id}, whoText(id)
	if g.Who == nil {
		list, name = nil, everybodyWord
	}
	for n, b := range books {
		for i := range b.Rules {
			r := &b.Rules[i]
			if n == 0 && r.ID == rule || r.Over(k.Now()) || !r.Concerns(list) || !g.Beyond(r) {
				continue
			}
			k.Warn("%s still gets %s by rule %s", name, grantedText(k, r), kit.CleanLine(called(books, b, r.ID)))
		}
	}
}

// grantedText tells what a rule grants, and when unless that is always.
func grantedText(k *kit.Kit, r *rules.Rule) string {
	text := r.Handling.String()
	if r.Handling == rules.Unset {
		text = "no handling"
	}
	if sees := seesText(&r.Permissions); sees != "-" {
		text += ", " + sees
	}
	if when := whenText(k, r); when != "always" {
		text += ", " + when
	}
	return text
}

// changeRules makes one change after the other, each on the condition that nobody else has changed the document, until the plan has none. It returns the
// document as it is then, and whether there was any.
func (t *xcapTarget) changeRules(ctx context.Context, plan func(book *rules.Ruleset, src []byte) (*rules.Edit, error)) (*ruleBook, bool, error) {
	empty := (&rules.Ruleset{}).Bytes()
	book := &ruleBook{name: bookName(t.uri)}
	whole := false
	for n := 0; n < 1000; n++ {
		var change *client.Change
		first := false
		a, err := t.Update(ctx, t.document(), func(now *client.Answer) (*client.Change, error) {
			change, book.body, first = nil, empty, now == nil
			if now != nil {
				book.body = now.Body
			}
			var err error
			if book.Ruleset, err = rules.Parse(book.body); err != nil {
				return nil, invalidRules(book.name, err)
			}
			e, err := plan(book.Ruleset, book.body)
			if err == nil && e != nil {
				change, err = t.ruleChange(book.body, first || whole, e)
			}
			return change, err
		})
		if status := client.Status(err); !whole && (status >= 500 || status == 405) && len(change.URI.Steps) > 0 {
			t.kit.Debug("the server cannot change a single rule (%v), so the document is written as a whole", err)
			whole = true
			continue
		}
		if err != nil || change == nil {
			if err == nil && n == 0 && a != nil {
				err = t.changedRules("GET", a)
			}
			return book, n > 0, err
		}
		method := "PUT"
		if change.Remove {
			method = "DELETE"
		}
		if err := t.changedRules(method, a); err != nil {
			return book, true, err
		}
		if first { // without a document the policy of the server decides, with one the rules alone
			t.kit.Note("these are the first rules: who is in none of them is refused from now on")
		}
	}
	return nil, true, kit.Fail(kit.ExitRefused, "changing "+t.short(), "somebody else undoes each change", "is there another program that keeps these rules?")
}

func (t *xcapTarget) changedRules(method string, a *client.Answer) error {
	if !t.kit.JSON() {
		return nil
	}
	return t.kit.Emit(xcapEvent{Head: t.kit.Head("xcap"), Method: method, URL: a.URL, Status: a.Status, Reason: a.Phrase, ETag: a.ETag})
}

// ruleChange is the request for a change of one rule. The first makes the document; a server that knows no namespaces in selectors gets the document as a whole,
// in which nothing else is changed.
func (t *xcapTarget) ruleChange(body []byte, whole bool, e *rules.Edit) (*client.Change, error) {
	if whole {
		body, err := e.Splice(body)
		return &client.Change{URI: t.document(), Type: rules.MediaType, Body: body}, err
	}
	u := t.at("cr:ruleset", "cr:rule"+attrTest("id", e.ID))
	x := rulesFlags{}
	bound, err := x.bound(u)
	return &client.Change{URI: bound, Body: e.XML, Remove: e.XML == nil}, err
}
