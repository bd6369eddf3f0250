package cli

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"imp/internal/cli/kit"
	"imp/internal/xcap/client"
)

type xcapPutOptions struct {
	xcapFlags
	etag      etagFlags
	mediaType string
	force     bool
	noCheck   bool
}

func newXCAPPut(k *kit.Kit) *cobra.Command {
	o := &xcapPutOptions{xcapFlags: xcapFlags{kit: k}, etag: etagFlags{kit: k}}
	cmd := &cobra.Command{
		Use:   "put [flags] URL|AUID[/DOCUMENT][//NODE] [FILE|-]",
		Short: "Write a document, an element or an attribute",
		Long: `Write a document, or with a node selector an element or an attribute in it: FILE, or
stdin. An element or attribute that is there is replaced, else it is inserted where the
selector then selects it; a position says where among its siblings.

A document that is there is not replaced without a condition: give --if-match with the
entity-tag that imp xcap get --etag-save kept, so that nobody's change is lost, or
--force. The element is written from its start tag to its end tag, the value of an
attribute in quotes or as plain text.

What is not well-formed, or what the application usage does not allow, is not sent; the
status is 6. --no-check leaves that to the server.`,
		Example: `  $ imp xcap put resource-lists lists.xml --etag-save tag
  imp: 201 Created, etag "…"

  $ echo '<entry uri="sip:carol@example.com"/>' | imp xcap put --if-match @tag \
      'resource-lists//resource-lists/list[@name="friends"]/entry[@uri="sip:carol@example.com"]'
  imp: 201 Created, etag "…"

  $ echo sip:dave@example.com | imp xcap put \
      'resource-lists//resource-lists/list[@name="friends"]/entry[2]/@uri'
  imp: 200 OK, etag "…"

  $ imp xcap put resource-lists lists.xml --if-match @tag
  imp: putting resource-lists: 412 Precondition Failed
  …`,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.run(cmd.Context(), args[0], argument(args, 1))
		},
	}
	o.etag.addMatch(cmd)
	o.etag.addNone(cmd, "only if the document has another entity-tag than `ETAG|@FILE`; *: only if there is none")
	o.etag.addSave(cmd)
	fs := cmd.Flags()
	fs.StringVar(&o.mediaType, "type", "", "the media `TYPE` of a document; that of its application usage without it")
	fs.BoolVar(&o.force, "force", false, "replace the document that is there, whatever it is")
	fs.BoolVar(&o.noCheck, "no-check", false, "send what cannot be valid all the same")
	cmd.MarkFlagsMutuallyExclusive("if-match", "if-none-match", "force")
	o.target(cmd)
	k.Emits(cmd, "xcap", "an XCAP server has answered", xcapEvent{})
	return cmd
}

func (o *xcapPutOptions) run(ctx context.Context, arg, file string) error {
	cond, err := o.condition()
	if err != nil {
		return err
	}
	t, err := o.openTarget(ctx, arg)
	if err != nil {
		return err
	}
	defer t.Close()
	if client.Type(t.uri) == "application/xcap-ns+xml" {
		return t.failure("putting "+t.short(), client.ErrBindings)
	}
	src, err := o.kit.ReadDocument(file)
	if err != nil {
		return err
	}
	body, mediaType, err := t.body(src, o.mediaType)
	if o.noCheck && body == nil {
		body = src
	}
	if own := (*kit.Error)(nil); err != nil && (!o.noCheck || errors.As(err, &own)) {
		return t.refusedBody(file, err)
	}
	implied := cond == (client.Condition{}) && !o.force && len(t.uri.Steps) == 0
	if implied {
		cond = client.Create
	}
	a, err := t.Put(ctx, t.uri, mediaType, body, cond)
	if err != nil {
		return o.failed(t, err, implied)
	}
	if cond == client.Create && !a.Created() {
		o.kit.Warn("the server answers %d where 201 is due: it may pass over conditions, and have replaced a document that was there", a.Status)
	}
	if err := o.etag.saved(a); err != nil {
		return err
	}
	return t.answered("PUT", a)
}

// condition takes * for --if-none-match as it is.
func (o *xcapPutOptions) condition() (client.Condition, error) {
	if o.etag.noneTags == "*" {
		return client.Create, nil
	}
	return o.etag.condition()
}

func (o *xcapPutOptions) failed(t *xcapTarget, err error, implied bool) error {
	failed := t.failure("putting "+t.short(), err)
	if told := (*kit.Error)(nil); implied && client.Status(err) == 412 && errors.As(failed, &told) {
		told.Hint = "there is a document already: give --if-match with the entity-tag of imp xcap get --etag-save, or --force"
	}
	if told := (*kit.Error)(nil); t.usage == nil && client.Status(err) == 404 && errors.As(failed, &told) {
		told.Hint = "the server does not have the application usage " + kit.CleanLine(t.uri.AUID) + "; imp xcap caps lists those that it has"
	}
	return failed
}
