package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/spf13/cobra"

	"imp/internal/cli/kit"
	"imp/internal/xcap/client"
	"imp/internal/xcap/resource"
	"imp/internal/xml/patch"
	"imp/internal/xml/selector"
	xmltree "imp/internal/xml/tree"
)

type xcapEditOptions struct {
	xcapFlags
	etag    etagFlags
	noCheck bool
}

func newXCAPEdit(k *kit.Kit) *cobra.Command {
	o := &xcapEditOptions{xcapFlags: xcapFlags{kit: k}, etag: etagFlags{kit: k}}
	cmd := &cobra.Command{
		Use:   "edit [flags] URL|AUID[/DOCUMENT][//NODE]",
		Short: "Edit a document or element on the server in your editor",
		Long: `Edit a document, an element or an attribute in $VISUAL or $EDITOR and write it back on
the condition that nobody has changed the document meanwhile. A document that is not
there begins with a template of its application usage, and is made, on the condition
that nobody has made it meanwhile; a template that is left as it is makes none.

When somebody has, both changes are merged element by element, as imp xml merge does it,
and written. What does not go together is named with its place, and nothing is written.
Then, and whenever what was edited is not taken, the file that was edited stays, and its
name is told. An editor that fails leaves everything as it was.`,
		Example: `  $ EDITOR="sed -i s/bob@/robert@/" imp xcap edit resource-lists
  imp: 200 OK, etag "…"

  $ EDITOR=true imp xcap edit 'resource-lists//resource-lists/list[@name="friends"]'
  imp: nothing is changed

  $ EDITOR="sed -i s/friend@/bob@/" imp xcap edit resource-lists/team
  imp: there is no resource-lists/team yet, it begins with a template
  imp: 201 Created, etag "…"`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), args[0]) },
	}
	cmd.Flags().BoolVar(&o.noCheck, "no-check", false, "write what cannot be valid all the same")
	o.etag.addSave(cmd)
	o.target(cmd)
	k.Emits(cmd, "xcap", "an XCAP server has answered", xcapEvent{})
	return cmd
}

// editing is one edit: the document as it was read and as it is wanted.
type editing struct {
	*xcapTarget
	options *xcapEditOptions
	sel     *selector.Selector // nil for the document
	base    *client.Answer     // nil: there is no document, and it is made
	file    string             // that was edited
	merged  bool               // others have changed the document meanwhile
}

func (o *xcapEditOptions) run(ctx context.Context, arg string) error {
	t, err := o.openTarget(ctx, arg)
	if err != nil {
		return err
	}
	defer t.Close()
	e := &editing{xcapTarget: t, options: o}
	if e.sel, err = t.selector(); err != nil {
		return err
	}
	if e.sel != nil && e.sel.Kind() == selector.Bindings {
		return t.failure("editing "+t.short(), client.ErrBindings)
	}
	node, err := e.begin(ctx)
	if err != nil {
		return err
	}
	edited, err := e.edit(node)
	if err != nil {
		return err
	}
	if bytes.Equal(edited, node) {
		o.kit.Note("nothing is changed")
		return os.RemoveAll(filepath.Dir(e.file))
	}
	a, err := e.write(ctx, edited)
	if err != nil {
		e.kept(err)
		return err
	}
	if err := os.RemoveAll(filepath.Dir(e.file)); err != nil {
		o.kit.Warn("%v", err)
	}
	if err := o.etag.saved(a); err != nil {
		return err
	}
	return t.answered("PUT", a)
}

// begin returns what is to be edited: what there is, or a template of what there is not.
func (e *editing) begin(ctx context.Context) ([]byte, error) {
	base, err := e.Get(ctx, e.document(), client.Condition{})
	if err == nil {
		if e.base = base; base.ETag == "" {
			return nil, e.failure("editing "+e.short(), client.ErrNoETag)
		}
		return e.node(base.Body)
	}
	if client.Status(err) == 404 && e.usage != nil && e.sel == nil {
		if template := e.usage.Template(e.uri); template != nil {
			e.kit.Note("there is no %s yet, it begins with a template", e.short())
			return template, nil
		}
	}
	failed := e.missing(ctx, e.failure("getting "+e.short(), err), err)
	if told := (*kit.Error)(nil); client.Status(err) == 404 && e.usage != nil && errors.As(failed, &told) {
		told.Hint = "there is no such document to edit: imp xcap put makes one, imp xcap ls lists those there are"
	}
	return nil, failed
}

// kept tells where what was edited is, and how it is put when it is corrected. After a merge that failed it is to be seen what
// others have written first.
func (e *editing) kept(err error) {
	k := e.options.kit
	k.Warn("what you have edited is in %s", e.file)
	if told := (*kit.Error)(nil); errors.As(err, &told) && told.Exit == kit.ExitDocument && !e.merged {
		words := []string{e.text, e.file}
		if e.base != nil {
			words = append([]string{"--if-match", e.base.ETag}, words...)
		}
		k.Note("when it is corrected: imp xcap put %s", shellWords(words))
	}
}

// node returns what the target selects in a document.
func (e *editing) node(body []byte) ([]byte, error) {
	if e.sel == nil {
		return body, nil
	}
	doc, err := parseXML(e.short(), body)
	if err != nil {
		return nil, err
	}
	node, err := resource.Get(doc, e.sel)
	if err == nil {
		return node, nil
	}
	var where *selector.Error
	_, err = e.sel.Locate(doc)
	hint := ""
	if errors.As(err, &where) {
		hint = kit.CleanLine("in step " + where.Text + ": " + where.Reason)
	}
	return nil, kit.Fail(kit.ExitNo, "editing "+e.short(), "the document has no such node", hint)
}

// edit has the user edit a node in a file.
func (e *editing) edit(node []byte) ([]byte, error) {
	const doing, tip = "editing the document", "it is edited in a file in TMPDIR, which must be writable"
	k := e.options.kit
	editor := k.Env("VISUAL")
	if editor == "" {
		editor = k.Env("EDITOR")
	}
	if editor == "" {
		return nil, kit.Fail(kit.ExitUsage, doing, "no editor is set", "set EDITOR, as in: EDITOR=vi imp xcap edit resource-lists")
	}
	dir, err := os.MkdirTemp("", "imp-edit-")
	if err != nil {
		return nil, kit.Fail(kit.ExitUsage, doing, err, tip)
	}
	e.file = filepath.Join(dir, e.uri.AUID+".xml")
	if err := os.WriteFile(e.file, node, 0o600); err != nil {
		return nil, kit.Fail(kit.ExitUsage, doing, err, tip)
	}
	cmd := exec.Command("/bin/sh", "-c", editor+` "$1"`, "sh", e.file)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = k.In, k.Err, k.Err
	if k.InTTY && k.OutTTY {
		cmd.Stdout = k.Out
	}
	if err := cmd.Run(); err != nil {
		os.RemoveAll(dir)
		return nil, kit.Fail(kit.ExitUsage, doing, "the editor failed: "+err.Error(), "nothing was written")
	}
	edited, err := os.ReadFile(e.file)
	if err != nil {
		return nil, kit.Fail(kit.ExitUsage, doing, err, tip)
	}
	if e.sel != nil && !bytes.HasSuffix(node, []byte("\n")) { // editors end files with one
		edited = bytes.TrimSuffix(edited, []byte("\n"))
	}
	return edited, nil
}

// maxRebases is how often an edit is merged with changes of others before it is given up.
const maxRebases = 8

// write puts what was edited, and when the document has changed meanwhile, the merge of both.
func (e *editing) write(ctx context.Context, edited []byte) (*client.Answer, error) {
	known, given := e.base, ""
	if known != nil {
		given = known.Type
	}
	body, mediaType, err := e.body(edited, given)
	if err != nil && !e.options.noCheck {
		return nil, e.refusedBody(e.file, err)
	}
	if err != nil && body == nil {
		body = edited
	}
	if known == nil {
		a, err := e.Put(ctx, e.uri, mediaType, body, client.Create)
		return a, e.failure("putting "+e.short(), err)
	}
	mine, err := e.with(known.Body, body)
	if err != nil {
		return nil, err
	}
	for range maxRebases {
		a, err := e.Put(ctx, e.uri, mediaType, body, client.Condition{Match: known.ETag})
		if client.Status(err) != 412 {
			return a, e.failure("putting "+e.short(), err)
		}
		if known, err = e.Get(ctx, e.document(), client.Condition{}); err == nil && known.ETag == "" {
			err = client.ErrNoETag
		}
		if err != nil {
			return nil, e.failure("getting "+e.short()+" again", err)
		}
		e.merged = true
		if body, err = e.rebased(mine, known.Body); err != nil {
			return nil, err
		}
		e.options.kit.Note("the document has changed meanwhile, both changes are merged")
	}
	return nil, kit.Fail(kit.ExitRefused, "putting "+e.short(), "the document changes all the time", "try again")
}

// with returns the document with the node that was edited, checked.
func (e *editing) with(document, body []byte) ([]byte, error) {
	if e.sel == nil {
		return body, nil
	}
	doc, err := parseXML(e.short(), document)
	if err != nil {
		return nil, err
	}
	if _, err := resource.Put(doc, e.sel, body, e.uri.Bindings); err != nil {
		return nil, e.refusedBody(e.file, err)
	}
	whole := doc.Bytes()
	if !e.options.noCheck {
		if err := e.checkDocument(whole); err != nil {
			return nil, e.refusedBody(e.file, fmt.Errorf("in the document as it would be: %w", err))
		}
	}
	return whole, nil
}

// rebased merges what is wanted with what others have made of the document, and returns what is to be put.
func (e *editing) rebased(mine, theirs []byte) ([]byte, error) {
	var docs [3]*xmltree.Tree
	for i, src := range [][]byte{e.base.Body, mine, theirs} {
		var err error
		if docs[i], err = parseXML(e.short(), src); err != nil {
			return nil, err
		}
	}
	merged, conflicts, err := patch.Merge(docs[0], docs[1], docs[2], patch.MergeOptions{})
	doing := "merging with the changes of others in " + e.short()
	if err != nil {
		return nil, kit.Fail(kit.ExitDocument, doing, err, "put your file with --if-match when you have merged it by hand")
	}
	for _, c := range conflicts {
		e.options.kit.Note("conflict in %s (line %d of yours, %d of theirs): %s", kit.CleanLine(c.Path), c.A.Line, c.B.Line, c.Reason)
	}
	if len(conflicts) > 0 {
		return nil, kit.Fail(kit.ExitRefused, doing, fmt.Sprintf("412 Precondition Failed, and there are conflicts: %d", len(conflicts)),
			"get the document again, edit it to your liking, and put it with imp xcap put --if-match")
	}
	if !e.options.noCheck {
		if err := e.checkDocument(merged); err != nil {
			return nil, kit.Fail(kit.ExitDocument, doing, err, "the changes do not go together: get the document again and edit that")
		}
	}
	return e.node(merged)
}
