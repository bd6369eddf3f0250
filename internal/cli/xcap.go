package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"imp/internal/auth/digest"
	"imp/internal/cli/kit"
	"imp/internal/xcap/client"
	"imp/internal/xcap/uri"
	appusage "imp/internal/xcap/usage"
)

func newXCAP(k *kit.Kit) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "xcap",
		Short: "Read and change documents on an XCAP server",
		Long: `Read and change documents, and single elements and attributes in them, on an XCAP
server (RFC 4825): contact lists, presence rules, lists that can be subscribed to.

What a command works on is a URL, or shorter

    [--xui USER | --global] AUID[/DOCUMENT][//NODE]

AUID is the application usage, such as resource-lists, rls-services or pres-rules.
The documents are your own, those of USER, or those for all users (--global, which
goes without saying for xcap-caps). DOCUMENT is index without it. NODE is a node
selector from the root element on, as in

    'resource-lists//resource-lists/list[@name="friends"]/entry[1]/@uri'

Prefixes such as rl, rls, cr and pr are known, --ns PREFIX=URI adds others; a name
without one is in the namespace of the application usage. imp xcap url shows what a
target stands for. AUID/users/USER/DOCUMENT and AUID/global/DOCUMENT, as imp xcap ls
prints them, may be given too.

The server is that of --xcap-root, else xcap_root of the account, else
https://xcap.DOMAIN of your address.`,
		Example: `  $ imp xcap get resource-lists
  …

  $ imp xcap get 'resource-lists//resource-lists/list[@name="friends"]/@name' -q
  "friends"`,
	}
	return k.Group(cmd, newXCAPGet(k), newXCAPPut(k), newXCAPDelete(k), newXCAPPatch(k), newXCAPEdit(k), newXCAPCaps(k), newXCAPLs(k),
		newXCAPURL(k), newXCAPWatch(k), newXCAPMirror(k), newXCAPExport(k), newXCAPImport(k))
}

// xcapFlags are what the commands have in common that work on an XCAP server.
type xcapFlags struct {
	kit    *kit.Kit
	xui    string
	global bool
	ns     []string
}

// accounts adds the flags that say which server, and as whom.
func (x *xcapFlags) accounts(cmd *cobra.Command) {
	x.kit.AccountFlags(cmd, "xcap-root")
	cmd.Flags().Lookup("proxy").Hidden = true // is for SIP
}

// target adds the flags of a command that takes a target.
func (x *xcapFlags) target(cmd *cobra.Command) {
	fs := cmd.Flags()
	fs.StringVar(&x.xui, "xui", "", "the documents of `USER` instead of your own")
	fs.BoolVar(&x.global, "global", false, "the documents for all users")
	fs.StringArrayVar(&x.ns, "ns", nil, "bind a prefix: `PREFIX=URI`")
	cmd.MarkFlagsMutuallyExclusive("xui", "global")
	cmd.ValidArgsFunction = completeUsages
	x.accounts(cmd)
}

// completeUsages offers the application usages as the first argument.
func completeUsages(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveDefault
	}
	var all []string
	for _, u := range appusage.All() {
		all = append(all, u.AUID)
	}
	return all, cobra.ShellCompDirectiveNoSpace | cobra.ShellCompDirectiveNoFileComp
}

// xcapSession is an account with its XCAP server.
type xcapSession struct {
	kit  *kit.Kit
	acct *kit.Account
	root uri.Root
	*client.Client
}

// rootOf returns the XCAP root of the account, or what a client without one assumes (RFC 4825 section 6.1).
func rootOf(k *kit.Kit, acct *kit.Account) (uri.Root, error) {
	text := acct.XCAPRoot
	if text == "" {
		if acct.Domain == "" {
			return uri.Root{}, kit.Fail(kit.ExitUsage, "finding the XCAP server", "there is neither a root nor an address to take the domain from",
				"give --xcap-root URI, or imp account set NAME xcap_root=URI")
		}
		host, _, _ := strings.Cut(acct.Domain, ":")
		text = "https://xcap." + host
	}
	return checkedRoot(k, text)
}

// checkedRoot reads a root and warns of one that others can listen to (RFC 4825 section 14).
func checkedRoot(k *kit.Kit, text string) (uri.Root, error) {
	root, err := uri.ParseRoot(text)
	if err != nil || !strings.Contains(root.String(), "://") {
		return root, kit.Fail(kit.ExitUsage, "reading the XCAP root", cmp.Or(err, fmt.Errorf("%q is only a path", text)),
			"write it like https://xcap.example.com/xcap-root")
	}
	if u, err := url.Parse(root.String()); err == nil && u.Scheme == "http" && !isLoopback(u.Hostname()) {
		k.Warn("the XCAP root %s is without TLS: others on the way can read and change the documents", kit.CleanLine(root.String()))
	}
	return root, nil
}

func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback() || host == "localhost"
}

// open makes the client of a root. Credentials are those of the account; nothing is sent yet.
func (x *xcapFlags) open(ctx context.Context, acct *kit.Account, root uri.Root) (*xcapSession, error) {
	secrets, err := acct.TLS()
	if err != nil {
		return nil, err
	}
	k := x.kit
	cfg := client.Config{Root: root, TLS: secrets, Product: product, Timeout: k.Timeout.Std(), Unproven: func(err error) { k.Warn("%v", err) }}
	if cfg.Timeout == 0 { // --timeout 0
		cfg.Timeout = 100 * time.Hour
	}
	if acct.User != "" {
		cfg.Digest = digest.NewClient(digest.ClientConfig{Credentials: credentials(ctx, acct)})
	}
	if trace := k.Tracer("http"); trace != nil {
		cfg.Trace = func(r client.Record) { trace(kit.Record(r)) }
	}
	c, err := client.New(cfg)
	if err != nil {
		return nil, kit.Fail(kit.ExitUsage, "reading the XCAP root", err, "write it like https://xcap.example.com/xcap-root")
	}
	return &xcapSession{kit: k, acct: acct, root: root, Client: c}, nil
}

// own opens the server of the account.
func (x *xcapFlags) own(ctx context.Context) (*xcapSession, error) {
	acct, err := x.kit.Account()
	if err != nil {
		return nil, err
	}
	root, err := rootOf(x.kit, acct)
	if err != nil {
		return nil, err
	}
	return x.open(ctx, acct, root)
}

// home returns the user whose documents a command is about: that of --xui, else the account's own.
func (x *xcapFlags) home(acct *kit.Account) (string, error) {
	if x.xui == "" {
		self, err := acct.Self()
		if err != nil {
			return "", err
		}
		return self, nil
	}
	if strings.Contains(x.xui, ":") || acct.Domain == "" {
		return x.xui, nil
	}
	return acct.Target(x.xui)
}

// etagFlags are the conditions of a request, and where its entity-tag goes.
type etagFlags struct {
	kit             *kit.Kit
	cmd             *cobra.Command
	match, noneTags string
	save            string
}

func (e *etagFlags) addMatch(cmd *cobra.Command) {
	e.cmd = cmd
	cmd.Flags().StringVar(&e.match, "if-match", "", "only if the document has the entity-tag `ETAG|@FILE`")
}

func (e *etagFlags) addNone(cmd *cobra.Command, meaning string) {
	cmd.Flags().StringVar(&e.noneTags, "if-none-match", "", meaning)
}

func (e *etagFlags) addSave(cmd *cobra.Command) {
	cmd.Flags().StringVar(&e.save, "etag-save", "", "write the entity-tag to `FILE`")
	cmd.MarkFlagFilename("etag-save")
}

// condition reads the flags. A FILE that is not there is no tag for --if-none-match, so that the first of many runs needs
// none.
func (e *etagFlags) condition() (c client.Condition, err error) {
	if e.match == "" && e.cmd != nil && e.cmd.Flags().Changed("if-match") { // a variable that is not set is no leave to overwrite
		return c, notTag("--if-match", "")
	}
	if c.Match, err = e.tag("--if-match", e.match); err != nil {
		return c, err
	}
	if name, ok := strings.CutPrefix(e.noneTags, "@"); ok {
		if _, err := os.Stat(e.kit.Path(name)); os.IsNotExist(err) {
			return c, nil
		}
	}
	c.NoneMatch, err = e.tag("--if-none-match", e.noneTags)
	return c, err
}

// tag reads an entity-tag, with its quotes or without, or that in a file.
func (e *etagFlags) tag(flag, s string) (string, error) {
	if s == "" {
		return "", nil
	}
	if name, ok := strings.CutPrefix(s, "@"); ok {
		data, err := e.kit.ReadDocument(name)
		if own := (*kit.Error)(nil); errors.As(err, &own) {
			own.Hint = "--etag-save " + kit.CleanLine(name) + " writes it: of imp xcap get, or of the put before; the first put of a document needs no condition"
		}
		if err != nil {
			return "", err
		}
		s = strings.TrimSpace(string(data))
	}
	tag := strings.TrimSuffix(strings.TrimPrefix(s, `"`), `"`)
	if tag == "" || strings.ContainsAny(tag, "\" \t\r\n") || strings.HasPrefix(s, "W/") {
		return "", notTag(flag, s)
	}
	return tag, nil
}

func notTag(flag, s string) error {
	return kit.Fail(kit.ExitUsage, "reading "+flag, fmt.Sprintf("%q is no entity-tag", kit.CleanLine(s)), "imp xcap get --etag-save FILE gives one, "+flag+" @FILE takes it")
}

// saved writes the entity-tag of an answer as header fields have it.
func (e *etagFlags) saved(a *client.Answer) error {
	if e.save == "" {
		return nil
	}
	if a.ETag == "" {
		e.kit.Warn("the answer has no entity-tag that guards a change, %s is left as it is", e.save)
		return nil
	}
	return kit.WriteFile(e.kit.Path(e.save), []byte(`"`+a.ETag+`"`+"\n"))
}
