package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"imp/internal/cli/kit"
	"imp/internal/doc/rules"
	"imp/internal/xcap/client"
	"imp/internal/xcap/uri"
	"imp/internal/xml/charset"
)

func newRules(k *kit.Kit) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rules",
		Short: "Say who may see your presence",
		Long: `Show and change the rules that say who may see your presence, and what of it
(pres-rules, RFC 5025), on an XCAP server.

What rules grant adds up: a watcher gets what all rules together grant that are true for
it, the order is nothing, and no rule takes away what another gives. To block somebody
only works where no other rule grants more. So imp keeps rules of its own, whose names
begin with imp-: a user is in one of them at most, each command moves users from one to
the other, and whoever gets less than the domain is made an exception there. Rules of
other programs, and those with a --name, are never touched, but told of when they grant
more than you ask for.

As long as you have no rules the policy of the server decides. With the first one that is
over: whom no rule allows is blocked.

A change is one request about one rule, on the condition that nobody has changed the
document meanwhile; all else in it stays as it is, byte for byte.

WHO is a user (bob, bob@example.org, a URI), @example.org for the users of a domain,
authenticated for all users of any domain, or everybody, also as anonymous, for those too
who do not say who they are: there is no rule for these alone.`,
		Example: `  $ imp rules allow bob @example.org
  imp: these are the first rules: who is in none of them is refused from now on
  imp: sip:bob@example.com is allowed (rule imp-allow)
  imp: @example.org is allowed (rule imp-allow)

  $ imp rules show
  WHO                  GETS   SEES        WHEN    RULE
  sip:bob@example.com  allow  everything  always  imp-allow
  @example.org         allow  everything  always  imp-allow

  $ imp rules explain bob
  sip:bob@example.com: allow, sees everything
    imp-allow: applies, grants allow, everything`,
	}
	return k.Group(cmd, newRulesShow(k), newRulesAllow(k), newRulesBlock(k), newRulesConfirm(k), newRulesPoliteBlock(k), newRulesRemove(k), newRulesExplain(k), newRulesDiff(k))
}

// rulesFlags are what the commands on rules have in common.
type rulesFlags struct {
	xcapFlags
	document string
}

// add adds the flags of a command that talks to a server; which says what --document does.
func (o *rulesFlags) add(cmd *cobra.Command, which string) {
	cmd.Flags().StringVar(&o.document, "document", "", which)
	cmd.Flags().StringVar(&o.xui, "xui", "", "the rules of `USER` instead of your own")
	o.accounts(cmd)
}

// openRules opens the document that is changed.
func (o *rulesFlags) openRules(ctx context.Context) (*xcapTarget, error) {
	name := o.document
	if name == "" {
		name = "index"
	}
	return o.openTarget(ctx, rules.AUID+"/"+name)
}

// ruleBook is a document of rules.
type ruleBook struct {
	name string // of the document, or of its file
	body []byte
	*rules.Ruleset
}

// sets are the rules of documents, as the evaluator takes them.
func sets(books []ruleBook) []*rules.Ruleset {
	var all []*rules.Ruleset
	for _, b := range books {
		all = append(all, b.Ruleset)
	}
	return all
}

// called is the name of a rule; that of its document stands by it when there are several, or it is not index.
func called(books []ruleBook, b ruleBook, id string) string {
	if len(books) == 1 || b.name == "index" {
		return id
	}
	return id + " (" + b.name + ")"
}

// bookName is what a document is called: of the usual usage by its name alone.
func bookName(u *uri.URI) string {
	name := strings.Join(u.Document, "/")
	if u.AUID != rules.AUID {
		return u.AUID + "/" + name
	}
	return name
}

// read reads the documents of rules that the server keeps for the user: all of them, as they count together (RFC 5025 section 9.7), or the one of
// --document.
func (o *rulesFlags) read(ctx context.Context, t *xcapTarget) ([]ruleBook, error) {
	if o.document != "" {
		b, err := t.readRules(ctx, t.document())
		if b == nil || err != nil {
			return nil, err
		}
		return []ruleBook{*b}, nil
	}
	return t.rulesBeside(ctx, nil)
}

// rulesBeside reads all documents of rules but one; index comes first.
func (t *xcapTarget) rulesBeside(ctx context.Context, but *uri.URI) ([]ruleBook, error) {
	entries, err := t.List(ctx, t.uri.XUI)
	if err != nil {
		return nil, t.failure("listing the documents of "+kit.CleanLine(t.uri.XUI), err)
	}
	var books []ruleBook
	for _, e := range entries {
		if e.URI.AUID != rules.AUID && e.URI.AUID != "org.openmobilealliance.pres-rules" || e.URI.Global || e.URI.XUI != t.uri.XUI || but != nil && e.URI.Path() == but.Path() {
			continue
		}
		b, err := t.readRules(ctx, e.URI)
		if err != nil {
			return nil, err
		}
		if b != nil {
			books = append(books, *b)
		}
	}
	slices.SortStableFunc(books, func(a, b ruleBook) int { return strings.Compare(indexFirst(a.name), indexFirst(b.name)) })
	return books, nil
}

// otherRules reads the documents beside that which is changed, to tell what they grant. That they cannot be read keeps nobody from the change.
func (t *xcapTarget) otherRules(ctx context.Context) ([]ruleBook, error) {
	books, err := t.rulesBeside(ctx, t.document())
	var failed *kit.Error
	if errors.As(err, &failed) && (failed.Exit == kit.ExitDocument || failed.Exit == kit.ExitRefused) {
		t.kit.Warn("whether other rules grant more cannot be told: %v", err)
		return nil, nil
	}
	return books, err
}

func indexFirst(name string) string {
	if name == "index" {
		return ""
	}
	return name
}

// readRules reads a document, nil when there is none.
func (t *xcapTarget) readRules(ctx context.Context, u *uri.URI) (*ruleBook, error) {
	a, err := t.Get(ctx, u, client.Condition{})
	if client.Status(err) == 404 {
		return nil, nil
	}
	if err != nil {
		return nil, t.failure("getting the rules "+kit.CleanLine(bookName(u)), err)
	}
	set, err := rules.Parse(a.Body)
	if err != nil {
		return nil, invalidRules(bookName(u), err)
	}
	return &ruleBook{bookName(u), a.Body, set}, nil
}

func invalidRules(name string, err error) error {
	return kit.Fail(kit.ExitDocument, "reading the rules "+kit.CleanLine(name), err, "a presence server that cannot read rules grants nothing; imp xcap get pres-rules shows them, imp xcap put replaces them")
}

// rulesFile reads a document from a file.
func rulesFile(k *kit.Kit, name string) (*ruleBook, error) {
	src, err := k.ReadDocument(name)
	if err != nil {
		return nil, err
	}
	var set *rules.Ruleset
	if src, err = charset.ToUTF8(src); err == nil {
		set, err = rules.Parse(src)
	}
	if err != nil {
		return nil, kit.Fail(kit.ExitDocument, "reading "+inputName(name), err, documentHint(err))
	}
	return &ruleBook{inputName(name), src, set}, nil
}

// everybodyWord stands for those too who are not authenticated.
const everybodyWord = "everybody"

// whom reads WHO; everybody is no identity.
func whom(acct *kit.Account, arg string) (id rules.Identity, everybody bool, err error) {
	switch {
	case arg == rules.Anonymous, arg == everybodyWord:
		return id, true, nil
	case arg == rules.Authenticated:
		return rules.Users(""), false, nil
	case strings.HasPrefix(arg, "@"):
		if len(arg) == 1 || strings.ContainsAny(arg[1:], "@:/ \t\r\n<>\"") {
			return id, false, kit.Fail(kit.ExitUsage, fmt.Sprintf("reading %q", kit.CleanLine(arg)), "it is no domain", "write it like @example.org; authenticated stands for the users of all domains")
		}
		return rules.Users(arg[1:]), false, nil
	case arg == "":
		return id, false, usage("WHO is empty", "it is a user such as bob, @DOMAIN, authenticated or everybody")
	}
	target, err := contactURI(acct, arg)
	if err != nil {
		return id, false, err
	}
	return rules.User(target), false, nil
}

// whoText is an identity as it is given on the command line.
func whoText(id *rules.Identity) string {
	if len(id.Unknown) > 0 || !id.Many && id.One == "" {
		return "nobody (unknown identity)"
	}
	text := id.One
	if id.Many {
		if text = "@" + id.Domain; id.Domain == "" {
			text = rules.Authenticated
		}
	}
	for i, e := range id.Except {
		if text += ", "; i == 0 {
			text = strings.TrimSuffix(text, ", ") + " except "
		}
		if e.Domain != "" {
			text += "@" + e.Domain
		} else {
			text += e.ID
		}
	}
	return kit.CleanLine(text)
}

// seesText tells in the words of --only what permissions show.
func seesText(p *rules.Permissions) string {
	all, union := rules.Everything(), rules.Union(p)
	union.Handling = rules.Allow
	if union.Equal(&all) {
		return "everything"
	}
	if items := union.Items(); len(items) > 0 {
		return kit.CleanLine(strings.Join(items, ","))
	}
	return "-"
}

// What a validity has that has no begin, or no end. The same for all, so that users with equal times are in one rule.
const (
	always = "1970-01-01T00:00:00Z"
	never  = "9999-12-31T23:59:59Z"
)

// whenText tells of the conditions of a rule that are none on the identity.
func whenText(k *kit.Kit, r *rules.Rule) string {
	var parts []string
	for i := range r.Conditions {
		c := &r.Conditions[i]
		switch {
		case len(c.Identity) > 0:
		case len(c.Validity) > 0:
			var spans []string
			for _, p := range c.Validity {
				spans = append(spans, spanText(k, p))
			}
			parts = append(parts, strings.Join(spans, " or "))
		default:
			parts = append(parts, c.String())
		}
	}
	if parts == nil {
		return "always"
	}
	text := strings.Join(parts, ", ")
	if r.Over(k.Now()) {
		text += " (over)"
	}
	return kit.CleanLine(text)
}

func spanText(k *kit.Kit, p rules.Period) string {
	from, err := time.Parse(time.RFC3339, p.From)
	until, err2 := time.Parse(time.RFC3339, p.Until)
	if err != nil || err2 != nil {
		return "from " + p.From + " until " + p.Until
	}
	now := k.Now()
	text := "until " + k.Style().Time(until, now)
	switch {
	case p.Until == never:
		return "from " + k.Style().Time(from, now)
	case from.After(now):
		return "from " + k.Style().Time(from, now) + " " + text
	}
	return text
}

// pointInTime reads a TIME of a flag: of the day, with a date, by RFC 3339, or so long from now. Local time is meant where there is no zone.
func pointInTime(flag, s string, now time.Time) (time.Time, error) {
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t, nil
	}
	for _, layout := range []string{"2006-01-02", "2006-01-02T15:04", "2006-01-02 15:04", "2006-01-02T15:04:05", "2006-01-02 15:04:05"} {
		if t, err := time.ParseInLocation(layout, s, time.Local); err == nil {
			return t, nil
		}
	}
	for _, layout := range []string{"15:04", "15:04:05"} {
		if t, err := time.Parse(layout, s); err == nil {
			y, m, d := now.In(time.Local).Date()
			t = time.Date(y, m, d, t.Hour(), t.Minute(), t.Second(), 0, time.Local)
			if !t.After(now) {
				t = t.AddDate(0, 0, 1)
			}
			return t, nil
		}
	}
	if days, ok := strings.CutSuffix(s, "d"); ok {
		if n, err := strconv.ParseUint(days, 10, 16); err == nil {
			return now.AddDate(0, 0, int(n)), nil
		}
	}
	if d, err := kit.ParseDuration(s); err == nil && d >= 0 {
		return now.Add(d), nil
	}
	return time.Time{}, kit.Fail(kit.ExitUsage, "reading --"+flag, fmt.Sprintf("%q is no time", kit.CleanLine(s)), "write it like 18:00, 2026-12-24, 2026-12-24T18:00, or 90m and 7d from now")
}

var errNoRules = errors.New("there are no rules")

// noRules is the failure of a command that has no rules to show.
func noRules(doing string) error {
	return kit.Fail(kit.ExitNo, doing, errNoRules, "the policy of the server decides then; imp rules allow makes the first rule")
}
