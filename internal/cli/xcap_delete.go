package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"imp/internal/cli/kit"
	"imp/internal/doc/xcaperror"
	"imp/internal/xcap/client"
	"imp/internal/xcap/resource"
	"imp/internal/xcap/uri"
	"imp/internal/xml/selector"
	xmltree "imp/internal/xml/tree"
)

type xcapDeleteOptions struct {
	xcapFlags
	etag etagFlags
}

func newXCAPDelete(k *kit.Kit) *cobra.Command {
	o := &xcapDeleteOptions{xcapFlags: xcapFlags{kit: k}, etag: etagFlags{kit: k}}
	cmd := &cobra.Command{
		Use:   "delete [flags] URL|AUID[/DOCUMENT][//NODE]",
		Short: "Remove a document, an element or an attribute",
		Long: `Remove a document, or with a node selector an element or an attribute in it. What
does not exist ends with status 1.

A selector has to select nothing once the node is gone, so a server refuses entry[1]
where an entry[2] moves up. imp looks first and adds to a position an attribute that
tells the element from its siblings, on the condition that the document stays as it was
when it looked.`,
		Example: `  $ imp xcap delete 'resource-lists//resource-lists/list[@name="friends"]/entry[1]'
  imp: 200 OK, etag "…"

  $ imp xcap delete resource-lists
  imp: 200 OK

  $ imp xcap delete resource-lists
  imp: deleting resource-lists: 404 Not Found
  …`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), args[0]) },
	}
	o.etag.addMatch(cmd)
	o.etag.addSave(cmd)
	o.target(cmd)
	k.Emits(cmd, "xcap", "an XCAP server has answered", xcapEvent{})
	return cmd
}

func (o *xcapDeleteOptions) run(ctx context.Context, arg string) error {
	cond, err := o.etag.condition()
	if err != nil {
		return err
	}
	t, err := o.openTarget(ctx, arg)
	if err != nil {
		return err
	}
	defer t.Close()
	a, err := t.remove(ctx, cond)
	if err != nil {
		return t.missing(ctx, t.failure("deleting "+t.short(), err), err)
	}
	if o.etag.save != "" {
		if err := o.etag.saved(a); err != nil {
			return err
		}
	}
	return t.answered("DELETE", a)
}

// remove deletes the target, a node by a selector that selects nothing afterwards (RFC 4825 section 7.5).
func (t *xcapTarget) remove(ctx context.Context, cond client.Condition) (*client.Answer, error) {
	sel, err := t.selector()
	if err != nil {
		return nil, err
	}
	if !positional(sel) {
		return t.Delete(ctx, t.uri, cond)
	}
	found := false
	a, err := t.Update(ctx, t.document(), func(now *client.Answer) (*client.Change, error) {
		if now == nil {
			return nil, nil
		}
		if cond.Match != "" && cond.Match != "*" && cond.Match != now.ETag {
			found = false
			return nil, nil
		}
		u, err := t.unambiguous(sel, now.Body)
		found = err == nil
		return &client.Change{URI: u, Remove: true}, err
	})
	if err == nil && !found { // the server says why
		return t.Delete(ctx, t.uri, cond)
	}
	return a, err
}

// positional reports whether the last step of a selector is an element by position alone.
func positional(sel *selector.Selector) bool {
	if sel == nil || sel.Kind() != selector.Element {
		return false
	}
	steps := sel.Steps()
	p := steps[len(steps)-1].Predicates
	return len(p) == 1 && p[0].Test == selector.Position
}

// unambiguous returns a URI of the same element that selects nothing once that is gone: the same one when no sibling
// moves up, else one that tests an attribute too.
func (t *xcapTarget) unambiguous(sel *selector.Selector, body []byte) (*uri.URI, error) {
	doc, err := xmltree.Parse(body, xmltree.Options{})
	if err != nil {
		return nil, fmt.Errorf("%w: the document is not well-formed: %w", client.ErrContent, err)
	}
	n, err := sel.Locate(doc)
	if err != nil || !movesUp(body, sel) {
		return t.uri, nil // when it is missing, the server says so
	}
	before, last := t.uri.Steps[:len(t.uri.Steps)-1], t.uri.Steps[len(t.uri.Steps)-1]
	for a := range n.Node.Attrs() {
		if a.Space() != "" || strings.ContainsAny(a.Value(), "\"&\t\r\n") {
			continue
		}
		u := *t.uri
		u.Steps = append(slices.Clip(before), last+"[@"+a.Local()+`="`+a.Value()+`"]`)
		if sel, err := u.Selector(t.namespace()); err == nil && !movesUp(body, sel) {
			return &u, nil
		}
	}
	return nil, kit.Fail(kit.ExitUsage, "deleting "+t.short(), "no attribute tells the element from the one behind it, which would move up",
		"delete those behind it first, or put the element around it anew")
}

// movesUp reports whether a selector selects another node once its own is gone.
func movesUp(body []byte, sel *selector.Selector) bool {
	doc, err := xmltree.Parse(body, xmltree.Options{})
	if err != nil {
		return false
	}
	var report *xcaperror.Report
	return errors.As(resource.Delete(doc, sel), &report) && report.Condition == xcaperror.CannotDelete
}
