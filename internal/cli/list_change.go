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

type listAddOptions struct {
	listFlags
	name string
}

func newListAdd(k *kit.Kit) *cobra.Command {
	o := &listAddOptions{listFlags: listFlags{xcapFlags: xcapFlags{kit: k}}}
	cmd := &cobra.Command{
		Use:   "add [flags] LIST URI...",
		Short: "Add contacts to a list",
		Long: `Add each URI to LIST, one with the --name that people see. Lists that do not exist are
made, and the document with the first of them. A contact that is there already is no
error; with --name it gets that name. Several are added by one request or not at all.`,
		Example: `  $ imp list add friends bob --name Bob
  imp: sip:bob@example.com is in friends

  $ imp list add work/team sip:carol@example.org dave
  imp: sip:carol@example.org is in work/team
  imp: sip:dave@example.com is in work/team

  $ imp list add friends bob
  imp: sip:bob@example.com was in friends already`,
		Args: cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), args[0], args[1:]) },
	}
	cmd.Flags().StringVar(&o.name, "name", "", "the `NAME` that people see")
	o.add(cmd)
	k.Emits(cmd, "xcap", "an XCAP server has answered", xcapEvent{})
	return cmd
}

func (o *listAddOptions) run(ctx context.Context, path string, who []string) error {
	switch {
	case strings.Trim(path, "/") != path || path == "" || strings.Contains(path, "//"):
		return usage("LIST has a name that is empty", "write it like friends, or work/team for a list in a list")
	case slices.Contains(who, ""):
		return usage("URI is empty", "it is the address of the contact, such as bob or sip:bob@example.com")
	case o.name != "" && len(who) > 1:
		return usage("--name is for one contact, there are several", "add each with its name")
	}
	t, err := o.openLists(ctx)
	if err != nil {
		return err
	}
	defer t.Close()
	var targets []string
	for _, w := range who {
		target, err := contactURI(t.acct, w)
		if err != nil {
			return err
		}
		if !slices.Contains(targets, target) {
			targets = append(targets, target)
		}
	}
	var there []string
	method := "PUT"
	a, err := t.Update(ctx, t.document(), func(now *client.Answer) (change *client.Change, err error) {
		if change, there, err = o.plan(t, now, path, targets); change == nil {
			method = "GET"
		}
		return change, err
	})
	if err != nil {
		return t.failure("adding "+kit.CleanLine(strings.Join(targets, ", "))+" to "+kit.CleanLine(path), err)
	}
	for _, target := range targets {
		if slices.Contains(there, target) {
			t.kit.Note("%s", kit.CleanLine(target+" was in "+path+" already"))
			continue
		}
		t.kit.Note("%s", kit.CleanLine(target+" is in "+path))
	}
	return t.changed(method, a)
}

// contactURI completes and canonicalises the address of a contact (RFC 4826 sections 3.4.7 and 5).
func contactURI(acct *kit.Account, who string) (string, error) {
	if scheme, _, ok := strings.Cut(who, ":"); ok && !strings.Contains(scheme, "@") {
		switch strings.ToLower(scheme) {
		case "sip", "sips", "pres", "im":
		default: // such as tel or mailto: kept as it is
			if strings.ContainsAny(who, " \t\r\n<>\"") {
				return "", kit.Fail(kit.ExitUsage, fmt.Sprintf("contact %q", who), "it has characters that no URI has", "write blanks as %20")
			}
			return who, nil
		}
	}
	target, err := acct.Target(who)
	return lists.Canonical(target), err
}

// changed tells what became of a change of the lists; the method is that of the last request, GET when nothing had to be
// done.
func (t *xcapTarget) changed(method string, a *client.Answer) error {
	if !t.kit.JSON() {
		return nil
	}
	return t.kit.Emit(xcapEvent{Head: t.kit.Head("xcap"), Method: method, URL: a.URL, Status: a.Status, Reason: a.Phrase, ETag: a.ETag})
}

// plan finds the one element that has to be put, and tells which contacts are there already.
func (o *listAddOptions) plan(t *xcapTarget, now *client.Answer, path string, targets []string) (change *client.Change, there []string, err error) {
	if now == nil {
		return o.first(t, path, targets), nil, nil
	}
	doc, err := parsedLists(t, now.Body)
	if err != nil {
		return nil, nil, err
	}
	at, rest := descend(doc, path)
	prefix := prefixOf(at.node)
	if rest != "" {
		names := strings.Split(rest, "/")
		var body []byte
		for _, target := range targets {
			body = entryElement(body, prefix, target, o.name)
		}
		for i := len(names) - 1; i >= 0; i-- {
			body = listElement(prefix, names[i], body)
		}
		return &client.Change{URI: t.at(append(at.steps, insertion(at.node, "list", attrTest("name", names[0])))...), Body: body}, nil, nil
	}
	var missing []string
	for _, target := range targets {
		if contact(at.node, target).Valid() {
			there = append(there, target)
		} else {
			missing = append(missing, target)
		}
	}
	switch len(missing) {
	case 0:
		if change, err = o.named(t, at, targets[0]); change != nil {
			there = nil
		}
		return change, there, err
	case 1:
		return &client.Change{URI: t.at(append(at.steps, insertion(at.node, "entry", attrTest("uri", missing[0])))...), Body: entryElement(nil, prefix, missing[0], o.name)}, there, nil
	}
	var body []byte
	for _, target := range missing {
		body = entryElement(body, prefix, target, "")
	}
	err = insertEntries(at.node, body)
	return &client.Change{URI: t.at(at.steps...), Body: at.node.Bytes()}, there, err
}

// named gives a contact that is in a list its name; nil when there is nothing to do.
func (o *listAddOptions) named(t *xcapTarget, at place, target string) (*client.Change, error) {
	entry := contact(at.node, target)
	if o.name == "" || entry.Element(lists.Space, "display-name").Text() == o.name {
		return nil, nil
	}
	return t.renamed(at, entry, o.name)
}

// renamed is the change that gives an entry a display name.
func (t *xcapTarget) renamed(at place, entry xmltree.Node, name string) (*client.Change, error) {
	stored, _ := entry.Attr("", "uri")
	if err := rename(entry, prefixOf(entry), name); err != nil {
		return nil, err
	}
	return &client.Change{URI: t.at(append(at.steps, "entry"+attrTest("uri", stored))...), Body: entry.Bytes()}, nil
}

// insertEntries puts entries behind the last one of a list, and before elements of other namespaces.
func insertEntries(list xmltree.Node, content []byte) error {
	var last, foreign xmltree.Node
	for n := range list.Elements() {
		switch {
		case n.Is(lists.Space, "entry"):
			last = n
		case n.Space() != lists.Space && !foreign.Valid():
			foreign = n
		}
	}
	switch {
	case last.Valid():
		return last.InsertAfter(string(content))
	case foreign.Valid():
		return foreign.InsertBefore(string(content))
	}
	return list.Append(string(content))
}

// first is the document with the first list.
func (o *listAddOptions) first(t *xcapTarget, path string, targets []string) *client.Change {
	names := strings.Split(path, "/")
	l := lists.List{Name: names[len(names)-1]}
	for _, target := range targets {
		it := lists.Item{Kind: lists.Entry, URI: target}
		if o.name != "" {
			it.Display = &lists.Name{Text: o.name}
		}
		l.Items = append(l.Items, it)
	}
	for i := len(names) - 2; i >= 0; i-- {
		inner := l
		l = lists.List{Name: names[i], Items: []lists.Item{{Kind: lists.Nested, List: &inner}}}
	}
	d := lists.Document{Lists: []lists.List{l}}
	return &client.Change{URI: t.document(), Type: lists.MediaType, Body: d.Bytes()}
}

// contact finds the entry of a contact, whatever form its URI has.
func contact(list xmltree.Node, target string) (found xmltree.Node) {
	for n := range list.Elements() {
		if !n.Is(lists.Space, "entry") {
			continue
		}
		switch stored, _ := n.Attr("", "uri"); {
		case stored == target:
			return n
		case lists.Canonical(stored) == target && !found.Valid():
			found = n
		}
	}
	return found
}

func entryElement(dst []byte, prefix, target, name string) []byte {
	dst = lexical.AppendAttribute(append(dst, "<"+prefix+"entry"...), "uri", target)
	if name == "" {
		return append(dst, "/>"...)
	}
	dst = append(dst, ">"+displayName(prefix, name)...)
	return append(dst, "</"+prefix+"entry>"...)
}

func displayName(prefix, name string) string {
	return "<" + prefix + "display-name>" + string(xmltree.AppendText(nil, lexical.Legal(name))) + "</" + prefix + "display-name>"
}

func listElement(prefix, name string, content []byte) []byte {
	dst := lexical.AppendAttribute([]byte("<"+prefix+"list"), "name", name)
	dst = append(append(dst, '>'), content...)
	return append(dst, "</"+prefix+"list>"...)
}

// rename gives an entry a display name.
func rename(entry xmltree.Node, prefix, name string) error {
	if old := entry.Element(lists.Space, "display-name"); old.Valid() {
		return old.Replace(displayName(prefix, name))
	}
	return entry.Prepend(displayName(prefix, name))
}
