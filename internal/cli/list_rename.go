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
	"imp/internal/xml/lexical"
	xmltree "imp/internal/xml/tree"
)

type listRenameOptions struct{ listFlags }

func newListRename(k *kit.Kit) *cobra.Command {
	o := &listRenameOptions{listFlags{xcapFlags: xcapFlags{kit: k}}}
	cmd := &cobra.Command{
		Use:   "rename [flags] LIST [URI] NAME",
		Short: "Give a list or a contact another name",
		Long: `Give LIST another NAME, or the contact of LIST with this URI the NAME that people see.
What has the NAME already is no error; a list beside it that has it is one. What is not
there ends with status 1.

References of your documents that lead to nothing then are told.`,
		Example: `  $ imp list rename friends family
  imp: friends is family now

  $ imp list rename family bob 'Bob Smith'
  imp: sip:bob@example.com is "Bob Smith" now

  $ imp list rename nobody family
  imp: renaming nobody: there is no such list
  …`,
		Args: cobra.RangeArgs(2, 3),
		RunE: func(cmd *cobra.Command, args []string) error {
			if slices.Contains(args, "") {
				return usage("LIST, URI or NAME is empty", "write it like: imp list rename friends family")
			}
			if len(args) == 3 {
				return o.contact(cmd.Context(), args[0], args[1], args[2])
			}
			return o.list(cmd.Context(), args[0], args[1])
		},
	}
	o.add(cmd)
	k.Emits(cmd, "xcap", "an XCAP server has answered", xcapEvent{})
	return cmd
}

// find is the list with a path in a document.
func (o *listRenameOptions) find(t *xcapTarget, now *client.Answer, path, doing string) (at place, err error) {
	if now == nil {
		return at, kit.Fail(kit.ExitNo, doing, "there are no lists", "imp list add makes the first")
	}
	doc, err := parsedLists(t, now.Body)
	if err != nil {
		return at, err
	}
	at, rest := descend(doc, path)
	if rest != "" {
		return at, kit.Fail(kit.ExitNo, doing, "there is no such list", "imp list show shows those there are")
	}
	return at, nil
}

// list gives a list another name. The step of a URI that says the old name would select nothing afterwards, which is not to be (RFC
// 4825 section 8.2.3), so that the list is selected by its position.
func (o *listRenameOptions) list(ctx context.Context, path, name string) error {
	if strings.Contains(name, "/") {
		return usage("NAME has a slash, which stands between lists in lists", "a list stays in the list it is in, give its new name alone")
	}
	t, err := o.openLists(ctx)
	if err != nil {
		return err
	}
	defer t.Close()
	doing := "renaming " + kit.CleanLine(path)
	var before []byte
	var at place
	method := "PUT"
	a, err := t.Update(ctx, t.document(), func(now *client.Answer) (change *client.Change, err error) {
		if at, err = o.find(t, now, path, doing); err != nil {
			return nil, err
		}
		if old, _ := at.node.Attr("", "name"); old == name {
			method = "GET"
			return nil, nil
		}
		position, twice := beside(at.node, name)
		if twice {
			return nil, kit.Fail(kit.ExitRefused, doing, "there is a list "+kit.CleanLine(name)+" already", "imp list show shows it")
		}
		before = now.Body
		steps := append(at.steps[:len(at.steps)-1:len(at.steps)-1], fmt.Sprintf("list[%d]", position), "@name")
		return &client.Change{URI: t.at(steps...), Body: append(xmltree.AppendValue([]byte{'"'}, lexical.Legal(name), '"'), '"')}, nil
	})
	if err != nil {
		return t.failure(doing, err)
	}
	t.kit.Note("%s", kit.CleanLine(path+" is "+name+" now"))
	if err := t.changed(method, a); err != nil || before == nil {
		return err
	}
	t.dangling(ctx, before, func(doc *xmltree.Tree) error {
		again, _ := descend(doc, path)
		return again.node.SetAttr("name", name)
	})
	return nil
}

// beside is the position of a list among the lists that it is beside, and whether one of them has a name.
func beside(list xmltree.Node, name string) (position int, twice bool) {
	count := 0
	for n := range list.Parent().Elements() {
		if !n.Is(lists.Space, "list") {
			continue
		}
		if count++; n == list {
			position = count
		}
		other, _ := n.Attr("", "name")
		twice = twice || other == name
	}
	return position, twice
}

// contact gives an entry of a list another display name.
func (o *listRenameOptions) contact(ctx context.Context, path, who, name string) error {
	t, err := o.openLists(ctx)
	if err != nil {
		return err
	}
	defer t.Close()
	target, err := contactURI(t.acct, who)
	if err != nil {
		return err
	}
	doing := "renaming " + kit.CleanLine(target) + " in " + kit.CleanLine(path)
	method := "PUT"
	a, err := t.Update(ctx, t.document(), func(now *client.Answer) (*client.Change, error) {
		at, err := o.find(t, now, path, doing)
		if err != nil {
			return nil, err
		}
		entry := contact(at.node, target)
		if !entry.Valid() {
			return nil, kit.Fail(kit.ExitNo, doing, "it is not in the list", "imp list add adds it")
		}
		if entry.Element(lists.Space, "display-name").Text() == name {
			method = "GET"
			return nil, nil
		}
		return t.renamed(at, entry, name)
	})
	if err != nil {
		return t.failure(doing, err)
	}
	t.kit.Note("%s", kit.CleanLine(fmt.Sprintf("%s is %q now", target, name)))
	return t.changed(method, a)
}
