package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"imp/internal/cli/kit"
	"imp/internal/doc/pidf"
	"imp/internal/sip/header"
)

type publishOptions struct {
	kit        *kit.Kit
	cmd        *cobra.Command
	status     statusFlags
	presentity string
	event      string
	mediaType  string
	name       string
	expires    kit.Duration
	another    bool
	remove     bool
	modify     string
	refresh    bool
	edit       bool
	keep       bool
	period     kit.Duration
	strict     bool
	partial    bool
}

func newPublish(k *kit.Kit) *cobra.Command {
	o := &publishOptions{kit: k}
	cmd := &cobra.Command{
		Use:   "publish [flags] [FILE|-] [-- COMMAND…]",
		Short: "Publish your state",
		Long: `Publish a presence document: FILE, stdin with -, or one made of the flags that
say what you do. The entity-tag that the server gives is printed, and kept under
$XDG_STATE_HOME/imp for the account, the event package and --name, so that
publishing again changes the same publication. When the server has forgotten
it, it is made anew.

A publication lasts as long as the server grants. --refresh stays and renews it until
Ctrl-C, or until the time of --for is over, then takes it back; so does -- COMMAND while the command runs,
with whose status it ends. Without --name, --modify and --keep, -- COMMAND makes
a publication of its own, so that what was published before shows again when the
command has ended. --keep leaves the publication to expire.

--partial sends what changed since the last publication under that name, and the
whole document where there was none, where that is shorter, and where the server
does not know it any more or takes whole documents only.

--modify changes the publication with that entity-tag, whoever made it, and
fails when there is none. --timeout is for one answer and ends no --refresh.`,
		Example: `  $ imp publish --basic open --note "at my desk"
  …

  $ imp publish --activity busy -- echo working
  …
  working

  $ imp publish --basic open
  …

  $ imp publish --partial --basic open --activity busy -o json
  {"event":"publish",…

  $ imp publish --remove

  $ imp pidf new --basic open --activity meeting | imp publish -
  …`,
		Args: func(cmd *cobra.Command, args []string) error {
			files := args
			if at := cmd.ArgsLenAtDash(); at >= 0 {
				files = args[:at]
			}
			return cobra.MaximumNArgs(1)(cmd, files)
		},
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), args) },
	}
	o.cmd = cmd
	o.status.add(cmd)
	fs := cmd.Flags()
	fs.StringVar(&o.presentity, "presentity", "", "publish for `URI` instead of yourself")
	fs.StringVar(&o.event, "event", "presence", "the event `PACKAGE`")
	fs.StringVar(&o.mediaType, "type", "application/pidf+xml", "the media `TYPE` of FILE")
	host, _ := os.Hostname()
	fs.StringVar(&o.name, "name", "", "which of your publications this is, `NAME`; this machine's name by default")
	if o.name == "" {
		o.name = host
	}
	fs.Var(&o.expires, "expires", "ask for `DURATION`; the server chooses without it")
	fs.BoolVar(&o.another, "new", false, "make one more publication, of which nothing is kept")
	fs.BoolVar(&o.remove, "remove", false, "take the publication back")
	fs.StringVar(&o.modify, "modify", "", "change the publication with this entity-`TAG`")
	fs.BoolVar(&o.refresh, "refresh", false, "stay and renew the publication until interrupted")
	fs.Var(&o.period, "for", "with --refresh: end with status 0 after `DURATION`")
	fs.BoolVar(&o.edit, "edit", false, "edit the document in $EDITOR before it is sent")
	fs.BoolVar(&o.keep, "keep", false, "do not take the publication back at the end")
	fs.BoolVar(&o.strict, "strict", false, "refuse to send what the schemas do not allow")
	fs.BoolVar(&o.partial, "partial", false, "send what changed in place of the whole document (RFC 5264)")
	k.AccountFlags(cmd)
	k.Emits(cmd, "publish", "the server accepted a publication", publishEvent{})
	return cmd
}

type publishEvent struct {
	kit.Head
	Resource string `json:"resource" doc:"the URI published for"`
	Package  string `json:"package" doc:"the event package"`
	ETag     string `json:"etag" doc:"the entity-tag of the publication, for --modify"`
	Expires  int    `json:"expires" doc:"seconds until it ends unless it is renewed; 0: it is gone"`
	Update   string `json:"update,omitempty" doc:"with --partial: what was sent, full or partial; whole: the server takes whole documents only"`
}

// Text implements kit.Texter: the entity-tag alone, for --modify "$(imp publish …)".
func (e publishEvent) Text(w io.Writer, _ *kit.Style) error {
	if e.Expires == 0 {
		return nil
	}
	_, err := fmt.Fprintln(w, e.ETag)
	return err
}

// run checks what was asked for and goes on to the publication.
func (o *publishOptions) run(ctx context.Context, args []string) error {
	var command []string
	if at := o.cmd.ArgsLenAtDash(); at >= 0 {
		args, command = args[:at], args[at:]
		if len(command) == 0 {
			return usage("-- needs a command", "")
		}
	}
	if err := o.consistent(args, command); err != nil {
		return err
	}
	if len(command) > 0 {
		if _, err := exec.LookPath(command[0]); err != nil {
			return notRunnable(command[0], err)
		}
		o.another = o.another || o.modify == "" && !o.keep && !o.cmd.Flags().Changed("name")
	}
	acct, err := o.kit.Account()
	if err != nil {
		return err
	}
	target, err := acct.Target(o.presentity)
	if err != nil {
		return err
	}
	ev, err := header.ParseEvent(o.event)
	if err != nil {
		return kit.Fail(kit.ExitUsage, "reading --event", err, "write it like presence")
	}
	if _, err := header.ParseContentType(o.mediaType); err != nil {
		return kit.Fail(kit.ExitUsage, "reading --type", err, "write it like application/pidf+xml")
	}
	p, err := o.open(ctx, acct, target, ev)
	if err != nil {
		return err
	}
	defer p.close()
	if o.remove {
		return p.remove(ctx)
	}
	doc, err := o.document(args, target, p.saved.TupleID)
	if err != nil {
		return err
	}
	switch {
	case len(command) > 0:
		return p.during(ctx, doc, command)
	case o.refresh:
		return p.stay(ctx, doc)
	}
	return p.publish(ctx, doc)
}

// usage is a usage error of publish.
func usage(what, hint string) error {
	return kit.Fail(kit.ExitUsage, "reading the command line", what, hint)
}

// consistent refuses flags that contradict each other.
func (o *publishOptions) consistent(args, command []string) error {
	given := o.status.given(o.cmd)
	switch {
	case o.remove && (len(args) > 0 || given || o.edit || o.another || o.refresh || len(command) > 0):
		return usage("--remove publishes nothing, so it goes with no document", "")
	case o.modify == "" && o.cmd.Flags().Changed("modify"):
		return usage("--modify got no entity-tag", "did the imp publish that should have printed it fail?")
	case o.another && o.modify != "":
		return usage("--new and --modify contradict each other", "")
	case len(args) > 0 && given:
		return usage("a FILE and flags that make a document contradict each other", "make a document with imp pidf new, edit it, and publish the file")
	case o.period > 0 && !o.refresh:
		return usage("--for is for --refresh", "add --refresh, or say with --expires how long the publication is to last")
	case o.refresh && len(command) > 0:
		return usage("--refresh and -- COMMAND contradict each other", "a command is refreshed for anyway")
	case !o.remove && len(args) == 0 && !given && !o.edit:
		return usage("nothing to publish", `try: imp publish --basic open --note "at my desk"`)
	case o.partial && (o.event != "presence" || o.mediaType != pidf.MediaType):
		return usage("--partial is for presence documents", "leave out --event and --type")
	case len(args) == 0 && !o.remove && o.event != "presence":
		return usage("flags make presence documents only", "give a FILE for the event package "+o.event)
	}
	return nil
}

// document gives what is to be published: a file, stdin, or what the flags say.
func (o *publishOptions) document(args []string, target, tupleID string) (document, error) {
	d := document{mediaType: o.mediaType}
	var err error
	if len(args) > 0 {
		if d.body, err = o.kit.ReadDocument(args[0]); err != nil {
			return d, err
		}
	} else {
		o.status.state.TupleID = ""
		if o.status.state.Basic != "" {
			o.status.state.TupleID = tupleID
		}
		made, err := o.status.build(target, o.kit.Now())
		if err != nil {
			return d, err
		}
		d.body = made.Bytes()
	}
	if o.edit {
		if d.body, err = editDocument(o.kit, d.body); err != nil {
			return d, err
		}
	}
	return d, o.check(d)
}

// document is a body with its type.
type document struct {
	mediaType string
	body      []byte
}

// check refuses a presence document that no server may take.
func (o *publishOptions) check(d document) error {
	if d.mediaType != "application/pidf+xml" {
		return nil
	}
	check := pidf.Accept
	if o.strict {
		check = pidf.Check
	}
	if err := check(d.body); err != nil {
		return kit.Fail(kit.ExitDocument, "checking the presence document", err, documentHint(err)+"; imp pidf new makes one")
	}
	return nil
}

func parseMinutes(s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil {
		return 0, fmt.Errorf("it is no number of minutes: %s", s)
	}
	return n, nil
}

// wholeSeconds rounds up.
func wholeSeconds(d time.Duration) int { return int((d + time.Second - 1) / time.Second) }
