package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"imp/internal/cli/kit"
	"imp/internal/xcap/client"
	"imp/internal/xml/charset"
	"imp/internal/xml/patch"
	xmltree "imp/internal/xml/tree"
)

type xcapPatchOptions struct {
	xcapFlags
	etag    etagFlags
	local   bool
	noCheck bool
}

func newXCAPPatch(k *kit.Kit) *cobra.Command {
	o := &xcapPatchOptions{xcapFlags: xcapFlags{kit: k}, etag: etagFlags{kit: k}}
	cmd := &cobra.Command{
		Use:   "patch [flags] URL|AUID[/DOCUMENT] [FILE|-]",
		Short: "Apply a patch to a document on the server",
		Long: `Apply an XML patch (RFC 5261, as imp xml diff prints it) to a document on the server,
which applies all of it or nothing (PATCH, RFC 5789).

On a server that has no PATCH, and for an XCAP diff or a partial PIDF, imp gets the
document, applies the patch and puts the result on the condition that the document is
still the same; when it is not, it begins anew. --local has it so always. What the patch
does not touch stays byte for byte either way.

A patch that does not apply ends with status 3 and the error condition of RFC 5261, one
that is no valid patch with status 6.`,
		Example: `  $ imp xml diff lists.xml more.xml | imp xcap patch resource-lists
  imp: 200 OK, etag "…"

  $ imp xcap patch resource-lists again.xml --local
  imp: 200 OK, etag "…"

  $ imp xcap patch resource-lists again.xml
  imp: patching resource-lists: 409 Conflict (unlocated-node)
  …`,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.run(cmd.Context(), args[0], argument(args, 1))
		},
	}
	o.etag.addMatch(cmd)
	o.etag.addSave(cmd)
	cmd.Flags().BoolVar(&o.local, "local", false, "apply the patch here and put the document")
	cmd.Flags().BoolVar(&o.noCheck, "no-check", false, "with --local: put what cannot be valid all the same")
	o.target(cmd)
	k.Emits(cmd, "xcap", "an XCAP server has answered", xcapEvent{})
	return cmd
}

func (o *xcapPatchOptions) run(ctx context.Context, arg, file string) error {
	cond, err := o.etag.condition()
	if err != nil {
		return err
	}
	t, err := o.openTarget(ctx, arg)
	if err != nil {
		return err
	}
	defer t.Close()
	if len(t.uri.Steps) > 0 {
		return t.failure("patching "+t.short(), client.ErrNode)
	}
	src, err := o.kit.ReadDocument(file)
	if err != nil {
		return err
	}
	p, err := readPatch(file, src)
	if err != nil {
		return err
	}
	method := "PATCH"
	var a *client.Answer
	if o.local = o.local || p.Vocabulary != patch.XMLPatch; !o.local {
		if a, err = t.Patch(ctx, t.uri, src, cond); client.Unpatchable(err) {
			o.kit.Debug("the server has no PATCH: the patch is applied here")
			o.local = true
		}
	}
	if o.local {
		method = "PUT"
		a, err = o.apply(ctx, t, p, cond)
	}
	if err != nil {
		return t.failure("patching "+t.short(), err)
	}
	if err := o.etag.saved(a); err != nil {
		return err
	}
	return t.answered(method, a)
}

// readPatch reads a document that carries patch operations.
func readPatch(name string, src []byte) (*patch.Document, error) {
	doing := "reading patch " + inputName(name)
	utf, err := charset.ToUTF8(src)
	if err == nil {
		var p *patch.Document
		if p, err = patch.Parse(utf, xmltree.Options{}); err == nil {
			return p, nil
		}
	}
	return nil, kit.Fail(kit.ExitDocument, doing, err, "a patch is a document such as imp xml diff prints")
}

// apply patches the document here and puts it, as often as others change it meanwhile.
func (o *xcapPatchOptions) apply(ctx context.Context, t *xcapTarget, p *patch.Document, cond client.Condition) (*client.Answer, error) {
	return t.Update(ctx, t.uri, func(now *client.Answer) (*client.Change, error) {
		switch {
		case now == nil:
			return nil, kit.Fail(kit.ExitNo, "patching "+t.short(), kit.Answer{Code: 404, Reason: "Not Found"}, "imp xcap put makes a document")
		case cond.Match != "" && cond.Match != "*" && cond.Match != now.ETag:
			return nil, kit.Fail(kit.ExitRefused, "patching "+t.short(), fmt.Sprintf("the document has the entity-tag %q now", kit.CleanLine(now.ETag)), "leave --if-match out to patch it as it is")
		}
		body, err := t.patched(now.Body, p)
		if err != nil {
			return nil, err
		}
		mediaType := now.Type
		if t.usage != nil {
			mediaType = t.usage.MediaType
		}
		if !o.noCheck {
			if err := t.checkDocument(body); err != nil {
				return nil, kit.Fail(kit.ExitDocument, "checking the patched "+t.short(), err, "the patch applies and what comes of it is not valid; --no-check puts it all the same")
			}
		}
		return &client.Change{URI: t.uri, Type: mediaType, Body: body}, nil
	})
}

// patched applies the operations for this document.
func (t *xcapTarget) patched(body []byte, p *patch.Document) ([]byte, error) {
	doc, err := parseXML(t.short(), body)
	if err != nil {
		return nil, err
	}
	applied := false
	for _, c := range p.Changes {
		if c.Document != "" && c.Document != t.uri.Path() {
			continue
		}
		applied = true
		if err := c.Apply(doc, nil); err != nil {
			var failed *patch.Error
			if errors.As(err, &failed) && failed.Condition == "" {
				return nil, err
			}
			return nil, kit.Fail(kit.ExitRefused, "patching "+t.short(), err, "the document stays as it was; imp xml patch --explain tells what each operation selects")
		}
	}
	if !applied {
		return nil, kit.Fail(kit.ExitNo, "patching "+t.short(), "the patch has no changes of this document", "it says itself which document it is about")
	}
	return doc.Bytes(), nil
}
