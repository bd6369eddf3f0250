package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"imp/internal/agent/xcapwatch"
	"imp/internal/cli/kit"
	"imp/internal/sip/event"
	"imp/internal/xcap/client"
	"imp/internal/xcap/uri"
	appusage "imp/internal/xcap/usage"
	"imp/internal/xml/patch"
)

// xcapFollow is what imp xcap watch and mirror have in common.
type xcapFollow struct {
	xcapFlags
	notifier string
	expires  kit.Duration
	once     bool
	wait     kit.Wait
}

// flags adds the flags that both have.
func (f *xcapFollow) flags(cmd *cobra.Command) {
	fs := cmd.Flags()
	fs.StringVar(&f.xui, "xui", "", "the documents of `USER` instead of your own")
	fs.BoolVar(&f.global, "global", false, "the documents for all users")
	cmd.MarkFlagsMutuallyExclusive("xui", "global")
	cmd.ValidArgsFunction = completeUsages
	fs.StringVar(&f.notifier, "notifier", "", "subscribe to this SIP `URI` instead of your own address")
	fs.Var(&f.expires, "expires", "ask for subscriptions of `DURATION`; the server chooses without it")
	fs.BoolVar(&f.once, "no-resubscribe", false, "end when the server ends the subscription, whatever the reason")
	f.kit.AccountFlags(cmd, "xcap-root")
	f.kit.WaitFlags(cmd, &f.wait, "path", "action", "etag", "previous_etag", "content")
}

// changeEvent is a change of a document, element or attribute.
type changeEvent struct {
	kit.Head
	Path       string                `json:"path" doc:"what has changed: path below the XCAP root, with node selector and query"`
	Kind       string                `json:"kind" doc:"document, element or attribute"`
	Action     string                `json:"action" doc:"exist: it is there, or new; fetch: it has changed; patch: it has changed by the operations; retag: only its entity-tag has; remove: it is gone"`
	ETag       string                `json:"etag,omitempty" doc:"entity-tag of the document now"`
	Previous   string                `json:"previous_etag,omitempty" doc:"entity-tag of the document before"`
	Operations []patch.OperationView `json:"operations,omitempty" doc:"what has changed"`
	Content    string                `json:"content,omitempty" doc:"the document with --patches, the element, or the value of the attribute"`
	Fetched    bool                  `json:"fetched,omitempty" doc:"true when the document was read over XCAP"`
	File       string                `json:"file,omitempty" doc:"of imp xcap mirror: the file below DIR"`

	body []byte
	wall time.Time
}

func newChangeEvent(k *kit.Kit, e *xcapwatch.Event) *changeEvent {
	c := &changeEvent{Head: k.Head("change"), Path: e.Path, Kind: "document", Action: e.Action.String(), ETag: e.ETag, Previous: e.Previous,
		Operations: e.Operations, Fetched: e.Fetched, body: e.Doc, wall: k.Now()}
	switch e.Kind {
	case xcapwatch.Element:
		c.Kind, c.body = "element", e.Node.Content
	case xcapwatch.Attribute:
		c.Kind, c.body = "attribute", []byte(e.Node.Value)
	}
	c.Content = string(c.body)
	return c
}

// Fact implements kit.Facts.
func (c *changeEvent) Fact(key string) []string {
	v := map[string]string{"path": c.Path, "action": c.Action, "etag": c.ETag, "previous_etag": c.Previous, "content": c.Content}[key]
	if v == "" {
		return nil
	}
	return []string{v}
}

// XML implements kit.Facts.
func (c *changeEvent) XML() []byte {
	if c.Kind == "attribute" || len(c.body) == 0 {
		return nil
	}
	return c.body
}

// Raw implements kit.Rawer.
func (c *changeEvent) Raw() []byte { return c.body }

// Text implements kit.Texter.
func (c *changeEvent) Text(w io.Writer, s *kit.Style) error {
	paint := s.Good
	if c.Action == "remove" {
		paint = s.Bad
	}
	tags := ""
	if c.ETag != "" {
		tags = s.Dim(" (" + kit.CleanLine(c.ETag) + ")")
	}
	if _, err := fmt.Fprintf(w, "%s %s %s%s\n", s.Dim(s.Time(c.wall, c.wall)), paint(c.Action), kit.CleanLine(c.Path), tags); err != nil {
		return err
	}
	for _, op := range c.Operations {
		if err := op.WriteText(w); err != nil {
			return err
		}
	}
	if c.Kind != "document" && c.Content != "" {
		_, err := fmt.Fprintln(w, "  "+kit.Clean(c.Content))
		return err
	}
	return nil
}

type xcapWatchOptions struct {
	xcapFollow
	patches    bool
	processing string
}

func newXCAPWatch(k *kit.Kit) *cobra.Command {
	o := &xcapWatchOptions{xcapFollow: xcapFollow{xcapFlags: xcapFlags{kit: k}}}
	cmd := &cobra.Command{
		Use:   "watch [flags] [TARGET…]",
		Short: "Print changes of documents, elements and attributes as they come",
		Long: `Subscribe to changes (RFC 5875) and print each as it comes, first what there is, until
Ctrl-C, --count, --until, --for or --timeout end it. A TARGET is as in imp xcap; one that
ends with a slash is a collection with all that is below it, such as resource-lists/.
Without any, all your documents are watched.

Of documents only the entity-tags are told. With --patches the server sends what has
changed; imp applies it to its copy, fetches what the server does not send, and prints
each operation and the document that came of it. Elements and attributes come with their
content either way.

The server that is subscribed to is that of your SIP address, or of --notifier.`,
		Example: `  $ imp xcap watch resource-lists/ --count 1
  … exist resource-lists/users/sip:alice@lab.test/index (…)

  $ imp xcap watch resource-lists --patches --count 1 -o json
  {"event":"change",…"action":"exist",…}`,
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), args) },
	}
	fs := cmd.Flags()
	fs.BoolVar(&o.patches, "patches", false, "keep the documents and print what has changed in them")
	fs.Var(kit.Choice(&o.processing, string(xcapwatch.NoPatching), string(xcapwatch.XCAPPatching), string(xcapwatch.Aggregate)), "diff-processing",
		"how the server tells changes; xcap-patching, every one, with --patches, else no-patching")
	o.flags(cmd)
	k.Emits(cmd, "change", "a document, element or attribute is there, has changed or is gone", changeEvent{})
	return cmd
}

func (o *xcapWatchOptions) run(ctx context.Context, args []string) error {
	c, err := o.start(args)
	if err != nil {
		return err
	}
	watch, err := o.kit.Watch(ctx, o.wait)
	if err != nil {
		return err
	}
	defer watch.Stop()
	session, err := o.open(watch.Context(), c.acct, c.root)
	if err != nil {
		return err
	}
	defer session.Close()
	cfg := xcapwatch.Config{}
	if o.patches {
		cfg.Fetch = xcapFetcher{session}
		o.processing = cmp.Or(o.processing, string(xcapwatch.XCAPPatching))
	}
	answered := false
	return o.follow(ctx, watch, c, xcapwatch.Options{Processing: xcapwatch.Processing(o.processing), Copies: xcapwatch.New(cfg),
		Learned: func(_ *event.Notification, events []xcapwatch.Event) error {
			if !answered && len(events) == 0 {
				o.kit.Note("there is nothing yet that you may read; what comes is printed")
			}
			answered = true
			for i := range events {
				e := newChangeEvent(o.kit, &events[i])
				if err := o.kit.Emit(e); err != nil {
					return err
				}
				if watch.Seen(e) {
					return nil
				}
			}
			return nil
		}})
}

// chosen is what a command follows, and where.
type chosen struct {
	acct   *kit.Account
	root   uri.Root
	target string   // SIP URI of the notifier
	uris   []string // below the root
}

// start reads the arguments.
func (f *xcapFollow) start(args []string) (*chosen, error) {
	f.ns = f.wait.NS
	acct, err := f.kit.Account()
	if err != nil {
		return nil, err
	}
	c := &chosen{acct: acct}
	if c.root, err = rootOf(f.kit, acct); err != nil {
		return nil, err
	}
	if c.target, err = acct.Target(f.notifier); err != nil {
		return nil, err
	}
	if len(args) == 0 {
		c.uris, err = f.everything(acct)
		return c, err
	}
	for _, arg := range args {
		u, err := f.selected(c, arg)
		if err != nil {
			return nil, err
		}
		c.uris = append(c.uris, u)
	}
	return c, nil
}

// everything are the collections of a user, or those for all users, in each application usage. Where the server makes all documents
// of users, which tell of the others, there is nothing of his own.
func (f *xcapFollow) everything(acct *kit.Account) (list []string, err error) {
	for _, u := range appusage.All() {
		if !f.global && u.Place(&uri.URI{AUID: u.AUID, XUI: "u", Document: []string{"index"}}) != appusage.Stored {
			continue
		}
		path, err := f.collection(acct, u.AUID)
		if err != nil {
			return nil, err
		}
		list = append(list, path)
	}
	return list, nil
}

// collection is the home of a user in an application usage, or the place for all users.
func (f *xcapFollow) collection(acct *kit.Account, auid string) (string, error) {
	if f.global {
		return auid + "/global/", nil
	}
	xui, err := f.home(acct)
	if err != nil {
		return "", err
	}
	u, err := uri.New(auid, xui, "d", "", nil)
	if err != nil {
		return "", kit.Fail(kit.ExitUsage, "reading "+kit.CleanLine(auid), err, "AUID/ is a collection, such as resource-lists/")
	}
	return strings.TrimSuffix(u.Path(), "d"), nil
}

// selected is the URI below the root that an argument stands for.
func (f *xcapFollow) selected(c *chosen, arg string) (string, error) {
	if isURL(arg) || !strings.HasSuffix(arg, "/") || strings.Contains(arg, "//") {
		root, u, err := f.locate(c.acct, arg)
		if err != nil {
			return "", err
		}
		if !root.Equal(c.root) {
			return "", kit.Fail(kit.ExitUsage, "reading "+kit.CleanLine(arg), "it is below another XCAP root than "+c.root.String(), "one subscription is for one root; give --xcap-root")
		}
		if len(u.Steps) > 0 && u.Steps[len(u.Steps)-1] == "namespace::*" {
			return "", kit.Fail(kit.ExitUsage, "reading "+kit.CleanLine(arg), "namespaces cannot be watched", "watch the element, or an attribute of it")
		}
		return u.String(), nil
	}
	auid, rest, _ := strings.Cut(arg, "/")
	if strings.HasPrefix(rest, "users/") || strings.HasPrefix(rest, "global/") {
		return arg, nil
	}
	home, err := f.collection(c.acct, auid)
	return home + rest, err
}

// follow subscribes and follows until the watch is over.
func (f *xcapFollow) follow(ctx context.Context, watch *kit.Watch, c *chosen, o xcapwatch.Options) error {
	agent, err := startAgent(ctx, f.kit, c.acct)
	if err != nil {
		return err
	}
	defer agent.Close()
	doing := "subscribing to " + c.target
	answered := false
	learned := o.Learned
	o.Subscriber, o.Target, o.URIs, o.Expires, o.Once = agent, c.target, c.uris, f.expires.Std(), f.once
	o.Closing = func() (context.Context, context.CancelFunc) { return kit.Cleanup(ctx) }
	o.Learned = func(n *event.Notification, events []xcapwatch.Event) error {
		answered = true
		return learned(n, events)
	}
	o.Happened = func(e event.SubscriptionEvent) error {
		if e.Kind == event.OnResubscribe {
			f.kit.Note("the subscription to %s ended (%s), made again in %v", c.target, cmp.Or(e.Reason, errorText(e.Err)), e.Delay)
		}
		return nil
	}
	err = xcapwatch.Follow(watch.Context(), o)
	var (
		ended    *event.EndedError
		fetching *xcapwatch.FetchError
		own      *kit.Error
	)
	switch {
	case errors.As(err, &own):
		return err
	case errors.As(err, &ended) && ended.Err == nil && (ended.Reason == "rejected" || ended.Reason == "noresource"):
		return kit.Fail(kit.ExitRefused, doing, "terminated: "+ended.Reason, endHint(ended.Reason))
	case errors.As(err, &ended) && ended.Err == nil:
		return watch.Unmet("the server ended the subscription (" + ended.Reason + ")")
	case errors.As(err, &fetching):
		return (&xcapSession{kit: f.kit, acct: c.acct, root: c.root}).failure("fetching "+kit.CleanLine(fetching.Path), fetching.Err)
	case err != nil:
		return sipFailure(doing, err)
	}
	if err := kit.Interrupted(ctx); err != nil && !answered {
		return err
	}
	return watch.Err()
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// xcapFetcher fetches documents over XCAP.
type xcapFetcher struct{ *xcapSession }

// Fetch implements xcapwatch.Fetcher.
func (f xcapFetcher) Fetch(ctx context.Context, path, etag string) (string, []byte, error) {
	u, err := uri.Parse(path)
	if err != nil {
		return "", nil, err
	}
	a, err := f.Get(ctx, u, client.Condition{NoneMatch: etag})
	switch s := client.Status(err); {
	case s == 404 || s == 403 || s == 410:
		return "", nil, xcapwatch.ErrGone
	case err != nil:
		return "", nil, err
	case a.NotModified():
		return "", nil, xcapwatch.ErrNotModified
	case a.ETag == "":
		return "", nil, client.ErrNoETag
	}
	return a.ETag, a.Body, nil
}
