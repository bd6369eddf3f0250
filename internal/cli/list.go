package cli

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"imp/internal/cli/kit"
	"imp/internal/doc/lists"
	"imp/internal/xcap/client"
	"imp/internal/xcap/uri"
	xmltree "imp/internal/xml/tree"
)

func newList(k *kit.Kit) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "Show and change your contact lists on the server",
		Long: `Show and change the contact lists that you keep on an XCAP server (resource-lists,
RFC 4826). A change is one request about one element, on the condition that nobody has
changed the document meanwhile; what it does not concern stays as it is, byte for byte.

A LIST is the name of a list, a list in a list is written with slashes: work/team.
Addresses are completed and written in their canonical form, so that bob, sip:bob@DOMAIN
and sip:b%6Fb@DOMAIN are one contact.`,
		Example: `  $ imp list add friends bob --name Bob
  imp: sip:bob@example.com is in friends

  $ imp list show
  list  friends
    entry  sip:bob@example.com  "Bob"`,
	}
	return k.Group(cmd, newListShow(k), newListAdd(k), newListRemove(k), newListRename(k), newListFlatten(k))
}

// listFlags are what the commands on lists have in common.
type listFlags struct {
	xcapFlags
	document string
}

func (o *listFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&o.document, "document", "index", "the lists of the document `NAME`")
	cmd.Flags().StringVar(&o.xui, "xui", "", "the lists of `USER` instead of your own")
	o.accounts(cmd)
}

// openLists opens the document of the lists.
func (o *listFlags) openLists(ctx context.Context) (*xcapTarget, error) {
	return o.openTarget(ctx, "resource-lists/"+o.document)
}

// parsed reads a document of lists as a tree.
func parsedLists(t *xcapTarget, body []byte) (*xmltree.Tree, error) {
	doc, err := xmltree.Parse(body, xmltree.Options{})
	if err == nil && !doc.Root().Is(lists.Space, "resource-lists") {
		err = fmt.Errorf("the root is <%s>, not resource-lists", doc.Root().Name())
	}
	if err != nil {
		return nil, kit.Fail(kit.ExitDocument, "reading "+t.short(), err, "imp xcap get shows the document, imp xcap put replaces it")
	}
	return doc, nil
}

// place is a list in a document with the steps that select it.
type place struct {
	node  xmltree.Node // the root element, or a list
	steps []string
}

// descend goes from a document to the list with a path as far as there are lists, and returns what is left of the path. A
// name may have a slash in it where there is such a list.
func descend(doc *xmltree.Tree, path string) (at place, rest string) {
	at = place{node: doc.Root(), steps: []string{"resource-lists"}}
	for path != "" {
		var next xmltree.Node
		best := ""
		for n := range at.node.Elements() {
			name, _ := n.Attr("", "name")
			if n.Is(lists.Space, "list") && name != "" && len(name) > len(best) && (path == name || strings.HasPrefix(path, name+"/")) {
				next, best = n, name
			}
		}
		if best == "" {
			return at, path
		}
		at = place{node: next, steps: append(at.steps[:len(at.steps):len(at.steps)], "list"+attrTest("name", best))}
		path = strings.TrimPrefix(strings.TrimPrefix(path, best), "/")
	}
	return at, ""
}

// attrTest is the test of an attribute in a step (RFC 4825 section 6.3).
func attrTest(name, value string) string {
	quote, escaped := `"`, strings.NewReplacer("&", "&amp;", "<", "&lt;").Replace(value)
	if strings.Contains(value, quote) {
		quote = "'"
		escaped = strings.ReplaceAll(escaped, quote, "&apos;")
	}
	return "[@" + name + "=" + quote + escaped + quote + "]"
}

// at is the URI of an element of the document.
func (t *xcapTarget) at(steps ...string) *uri.URI {
	u := *t.document()
	u.Steps = steps
	return &u
}

// insertion is the last step for a new child: behind its siblings of that name, and before elements of other namespaces,
// which stand last (RFC 4826 section 3.2).
func insertion(parent xmltree.Node, local, test string) string {
	before, siblings, foreign := 0, false, false
	for n := range parent.Elements() {
		if n.Space() != lists.Space {
			foreign = true
			continue
		}
		before++
		siblings = siblings || n.Local() == local
	}
	if siblings || !foreign {
		return local + test
	}
	return fmt.Sprintf("*[%d]%s", before+1, test)
}

// prefixOf is what names in the namespace of lists begin with at a place.
func prefixOf(n xmltree.Node) string {
	if n.Prefix() == "" {
		return ""
	}
	return n.Prefix() + ":"
}

type listShowOptions struct{ listFlags }

func newListShow(k *kit.Kit) *cobra.Command {
	o := &listShowOptions{listFlags{xcapFlags: xcapFlags{kit: k}}}
	cmd := &cobra.Command{
		Use:   "show [flags] [LIST]",
		Short: "Show your lists",
		Long: `Show your lists with what is in them, or one LIST: entries, lists in lists, and
references as they stand there (imp list flatten resolves them). The status is 1 when
there is no such list.`,
		Example: `  $ imp list show
  list  friends
    entry  sip:bob@example.com  "Bob"
  …

  $ imp list show friends -o json
  {"event":"list",…"name":"friends"…}

  $ imp list show nobody
  imp: showing nobody: there is no such list
  …`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), strings.Join(args, "")) },
	}
	o.add(cmd)
	k.Emits(cmd, "list", "a list of the document", listEvent{})
	return cmd
}

type listEvent struct {
	kit.Head
	Path string `json:"path" doc:"name of the list behind those it is in, with slashes"`
	lists.List
}

// Text implements kit.Texter.
func (e listEvent) Text(w io.Writer, _ *kit.Style) error {
	d := lists.Document{Lists: []lists.List{e.List}}
	return d.WriteText(w)
}

func (o *listShowOptions) run(ctx context.Context, path string) error {
	t, err := o.openLists(ctx)
	if err != nil {
		return err
	}
	defer t.Close()
	d, err := t.readLists(ctx)
	if err != nil {
		return err
	}
	if path != "" {
		l := named(d.Lists, path)
		if l == nil {
			return kit.Fail(kit.ExitNo, "showing "+kit.CleanLine(path), "there is no such list", listNames(d))
		}
		return o.kit.Emit(listEvent{Head: o.kit.Head("list"), Path: path, List: *l})
	}
	for _, l := range d.Lists {
		if err := o.kit.Emit(listEvent{Head: o.kit.Head("list"), Path: l.Name, List: l}); err != nil {
			return err
		}
	}
	return nil
}

// readLists reads the document of the lists.
func (t *xcapTarget) readLists(ctx context.Context) (*lists.Document, error) {
	a, err := t.Get(ctx, t.document(), client.Condition{})
	if client.Status(err) == 404 {
		return nil, kit.Fail(kit.ExitNo, "getting "+t.short(), kit.Answer{Code: 404, Reason: "Not Found"}, "there are no lists yet; imp list add makes the first")
	}
	if err != nil {
		return nil, t.failure("getting "+t.short(), err)
	}
	d, err := lists.Parse(a.Body)
	if err != nil {
		return nil, kit.Fail(kit.ExitDocument, "reading "+t.short(), err, "imp xcap get shows the document, imp xcap put replaces it")
	}
	return d, nil
}

// named finds the list with a path.
func named(all []lists.List, path string) *lists.List {
	for i := range all {
		l := &all[i]
		if l.Name == path && path != "" {
			return l
		}
		if rest, ok := strings.CutPrefix(path, l.Name+"/"); ok && l.Name != "" {
			var inner []lists.List
			for _, it := range l.Items {
				if it.List != nil {
					inner = append(inner, *it.List)
				}
			}
			if found := named(inner, rest); found != nil {
				return found
			}
		}
	}
	return nil
}

// listNames is the hint that tells which lists there are.
func listNames(d *lists.Document) string {
	var names []string
	for _, l := range d.Lists {
		names = append(names, kit.CleanLine(cmp.Or(l.Name, "(without a name)")))
	}
	if names == nil {
		return "there are no lists; imp list add makes one"
	}
	return "there are: " + strings.Join(names, ", ")
}
