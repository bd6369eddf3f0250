package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"imp/internal/cli/kit"
	"imp/internal/doc/lists"
	"imp/internal/xcap/client"
	"imp/internal/xcap/resource"
	"imp/internal/xcap/uri"
	"imp/internal/xml/lexical"
	xmltree "imp/internal/xml/tree"
)

type listRemoveOptions struct {
	listFlags
	force bool
}

func newListRemove(k *kit.Kit) *cobra.Command {
	o := &listRemoveOptions{listFlags: listFlags{xcapFlags: xcapFlags{kit: k}}}
	cmd := &cobra.Command{
		Use:   "remove [flags] LIST [URI|NAME]",
		Short: "Remove a contact from a list, or a list",
		Long: `Remove from LIST the contact with this URI or name, the reference with this URI, or the
list in it with this name. Without URI or NAME the list itself is removed; one that is
not empty with --force only. What is not there ends with status 1.

References of your documents (entry-ref, external, and resource-list of rls-services) that
lead to nothing then are told; the server does not look at them.`,
		Example: `  $ imp list remove friends bob
  imp: sip:bob@example.com is removed from friends

  $ imp list remove friends
  imp: friends is removed

  $ imp list remove friends carol
  imp: removing carol from friends: there is no such list
  …`,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if slices.Contains(args, "") { // of a variable that is not set: without URI the list itself would go
				return usage("LIST or URI is empty", "leave URI out to remove the list itself")
			}
			return o.run(cmd.Context(), args[0], strings.Join(args[1:], ""))
		},
	}
	cmd.Flags().BoolVar(&o.force, "force", false, "remove a list with all that is in it")
	o.add(cmd)
	k.Emits(cmd, "xcap", "an XCAP server has answered", xcapEvent{})
	return cmd
}

func (o *listRemoveOptions) run(ctx context.Context, path, who string) error {
	t, err := o.openLists(ctx)
	if err != nil {
		return err
	}
	defer t.Close()
	doing, done := "removing "+kit.CleanLine(path), path+" is removed"
	if who != "" {
		doing = "removing " + kit.CleanLine(who) + " from " + kit.CleanLine(path)
	}
	var before []byte
	var gone *uri.URI
	a, err := t.Update(ctx, t.document(), func(now *client.Answer) (*client.Change, error) {
		if now == nil {
			return nil, kit.Fail(kit.ExitNo, doing, "there are no lists", "imp list add makes the first")
		}
		doc, err := parsedLists(t, now.Body)
		if err != nil {
			return nil, err
		}
		at, rest := descend(doc, path)
		if rest != "" {
			return nil, kit.Fail(kit.ExitNo, doing, "there is no such list", "imp list show shows those there are")
		}
		steps := at.steps
		if who != "" {
			step, name, err := o.member(t, at.node, who, doing)
			if err != nil {
				return nil, err
			}
			steps, done = append(steps, step), name+" is removed from "+path
		} else if err := o.empty(at.node, doing); err != nil {
			return nil, err
		}
		before, gone = now.Body, t.at(steps...)
		return &client.Change{URI: gone, Remove: true}, nil
	})
	if err != nil {
		return t.failure(doing, err)
	}
	t.kit.Note("%s", kit.CleanLine(done))
	if err := t.changed("DELETE", a); err != nil {
		return err
	}
	t.dangling(ctx, before, func(doc *xmltree.Tree) error {
		sel, err := gone.Selector(lists.Space)
		if err != nil {
			return err
		}
		return resource.Delete(doc, sel)
	})
	return nil
}

// empty refuses a list that has something in it.
func (o *listRemoveOptions) empty(list xmltree.Node, doing string) error {
	for n := range list.Elements() {
		if !n.Is(lists.Space, "display-name") && !o.force {
			return kit.Fail(kit.ExitUsage, doing, "the list is not empty", "--force removes it with all that is in it")
		}
	}
	return nil
}

// member finds what is to be removed from a list: the step that selects it and what to call it.
func (o *listRemoveOptions) member(t *xcapTarget, list xmltree.Node, who, doing string) (step, name string, err error) {
	if target, err := contactURI(t.acct, who); err == nil {
		if n := contact(list, target); n.Valid() {
			stored, _ := n.Attr("", "uri")
			return "entry" + attrTest("uri", stored), stored, nil
		}
	}
	var found []xmltree.Node
	for n := range list.Elements() {
		if _, _, names := memberName(n); n.Space() == lists.Space && (names == who || n.Element(lists.Space, "display-name").Text() == who) {
			found = append(found, n)
		}
	}
	switch {
	case len(found) == 0:
		return "", "", kit.Fail(kit.ExitNo, doing, "it is not in the list", "imp list show shows what is")
	case len(found) > 1:
		return "", "", kit.Fail(kit.ExitUsage, doing, fmt.Sprintf("%d have that name", len(found)), "give the URI; imp list show shows them")
	}
	local, attr, value := memberName(found[0])
	if attr == "" {
		return "", "", kit.Fail(kit.ExitUsage, doing, "it has no attribute to name it by", "imp xcap delete takes a position too")
	}
	if local == "list" && value != who {
		value, _ = found[0].Attr("", "name")
	}
	return local + attrTest(attr, value), value, nil
}

// memberName is what tells an element of a list from its siblings.
func memberName(n xmltree.Node) (local, attr, value string) {
	attr = map[string]string{"entry": "uri", "entry-ref": "ref", "external": "anchor", "list": "name"}[n.Local()]
	value, ok := n.Attr("", attr)
	if !ok || n.Space() != lists.Space {
		return n.Local(), "", ""
	}
	return n.Local(), attr, value
}

// dangling warns of references of the user that lead to nothing any more after a change of the document (RFC 4825 section 5.3).
func (t *xcapTarget) dangling(ctx context.Context, body []byte, change func(*xmltree.Tree) error) {
	before, err := xmltree.Parse(body, xmltree.Options{})
	after, err2 := xmltree.Parse(body, xmltree.Options{})
	if err != nil || err2 != nil || change(after) != nil {
		return
	}
	t.warnDangling(t.short(), after.Root(), before, after)
	services := &uri.URI{AUID: lists.ServicesAUID, XUI: t.uri.XUI, Document: []string{"index"}}
	a, err := t.Get(ctx, services, client.Condition{})
	if err != nil {
		return
	}
	if doc, err := xmltree.Parse(a.Body, xmltree.Options{}); err == nil {
		t.warnDangling("rls-services", doc.Root(), before, after)
	}
}

// warnDangling looks at the references below a node: those that select something before and nothing after.
func (t *xcapTarget) warnDangling(document string, n xmltree.Node, before, after *xmltree.Tree) {
	for e := range n.Elements() {
		value, relative := "", false
		switch {
		case e.Is(lists.Space, "entry-ref"):
			value, _ = e.Attr("", "ref")
			relative = true
		case e.Is(lists.Space, "external"):
			value, _ = e.Attr("", "anchor")
		case e.Is(lists.ServicesSpace, "resource-list"):
			value = lexical.Trim(e.Text())
		}
		if value != "" && t.lost(value, relative, before, after) {
			t.kit.Warn("%s: the %s to %s leads to nothing now", document, e.Local(), kit.CleanLine(value))
		}
		t.warnDangling(document, e, before, after)
	}
}

// lost reports whether a reference into the document of the target leads to nothing after a change.
func (t *xcapTarget) lost(value string, relative bool, before, after *xmltree.Tree) bool {
	if relative {
		absolute, err := lists.Resolve(t.root.String(), value)
		if err != nil {
			return false
		}
		value = absolute
	}
	u, err := t.root.Parse(value)
	if err != nil || u.Path() != t.document().Path() {
		return false
	}
	sel, err := u.Selector(lists.Space)
	if err != nil || sel == nil {
		return false
	}
	_, was := sel.Locate(before)
	_, is := sel.Locate(after)
	return was == nil && is != nil
}
