package cli

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"imp/internal/cli/kit"
	"imp/internal/xcap/client"
	"imp/internal/xml/selector"
)

type xcapGetOptions struct {
	xcapFlags
	etag etagFlags
}

func newXCAPGet(k *kit.Kit) *cobra.Command {
	o := &xcapGetOptions{xcapFlags: xcapFlags{kit: k}, etag: etagFlags{kit: k}}
	cmd := &cobra.Command{
		Use:   "get [flags] URL|AUID[/DOCUMENT][//NODE]",
		Short: "Print a document, an element or an attribute",
		Long: `Print a document or a node of it, byte for byte as the server has it: an element
from its start tag to its end tag, an attribute's value in quotes, and of
namespace::* an element that declares the namespaces in scope. Status and entity-tag
are told on stderr. What does not exist ends with status 1.

--etag-save keeps the entity-tag of the document in a file, for --if-match @FILE of the
commands that change it. With --if-none-match nothing is printed when the document is
still the one with that entity-tag; a FILE that does not exist is no condition, so that
a script can say --etag-save F --if-none-match @F from the first time on.`,
		Example: `  $ imp xcap get resource-lists --etag-save tag
  imp: 200 OK, etag "…", application/resource-lists+xml, … bytes
  <?xml version="1.0" encoding="UTF-8"?>
  <resource-lists xmlns="urn:ietf:params:xml:ns:resource-lists">
  …

  $ imp xcap get resource-lists --if-none-match @tag
  imp: 304 Not Modified, etag "…"

  $ imp xcap get 'resource-lists//resource-lists/list[@name="friends"]/entry[1]/@uri' -q
  "sip:bob@example.com"

  $ imp xcap get resource-lists/nothing
  imp: getting resource-lists/nothing: 404 Not Found
  …`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), args[0]) },
	}
	o.etag.addNone(cmd, "print nothing if the document has the entity-tag `ETAG|@FILE`")
	o.etag.addSave(cmd)
	o.target(cmd)
	k.Emits(cmd, "xcap", "an XCAP server has answered", xcapEvent{})
	return cmd
}

func (o *xcapGetOptions) run(ctx context.Context, arg string) error {
	cond, err := o.etag.condition()
	if err != nil {
		return err
	}
	t, err := o.openTarget(ctx, arg)
	if err != nil {
		return err
	}
	defer t.Close()
	a, err := t.Get(ctx, t.uri, cond)
	if err != nil {
		return t.missing(ctx, t.failure("getting "+t.short(), err), err)
	}
	if err := o.etag.saved(a); err != nil {
		return err
	}
	return t.answered("GET", a)
}

// missing adds to the failure of a request for a node which step of the selector selects nothing, or too much.
func (t *xcapTarget) missing(ctx context.Context, failed, err error) error {
	var told *kit.Error
	if client.Status(err) == 404 && t.usage == nil && errors.As(failed, &told) {
		told.Hint = "imp xcap caps lists the application usages that the server has"
	}
	if len(t.uri.Steps) == 0 || client.Status(err) != 404 || !errors.As(failed, &told) {
		return failed
	}
	a, err := t.Get(ctx, t.document(), client.Condition{})
	if err != nil {
		told.Hint = "there is no such document; imp xcap ls lists those there are"
		return failed
	}
	sel, err := t.selector()
	if err != nil {
		return failed
	}
	doc, err := parseXML(t.short(), a.Body)
	if err != nil {
		return failed
	}
	var where *selector.Error
	if _, err := sel.Locate(doc); errors.As(err, &where) {
		told.Hint = kit.CleanLine("the document is there; in step " + where.Text + ": " + where.Reason)
	}
	return failed
}
