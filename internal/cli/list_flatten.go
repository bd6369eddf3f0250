package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"imp/internal/cli/kit"
	"imp/internal/doc/lists"
	"imp/internal/xml/canon"
	xmltree "imp/internal/xml/tree"
)

type listFlattenOptions struct {
	listFlags
	unresolved bool
}

func newListFlatten(k *kit.Kit) *cobra.Command {
	o := &listFlattenOptions{listFlags: listFlags{xcapFlags: xcapFlags{kit: k}}}
	cmd := &cobra.Command{
		Use:   "flatten [flags] [LIST]",
		Short: "Print every contact of a list once",
		Long: `Print every contact of LIST, or of all lists, that can be subscribed to (sip, sips and
pres), once: of the list, of the lists in it, and of those that its references lead to,
as a resource list server does it (RFC 4826 section 4.5). References are fetched over
XCAP, with your credentials from your own server only; at most 1000, and 10000 contacts.

A reference that leads to nothing is told on stderr and left out, and the status is 1 in
the end. A list that is in itself ends with status 6. --unresolved fetches nothing and
prints references as they are.`,
		Example: `  $ imp list flatten friends
  sip:bob@example.com  Bob
  …

  $ imp list flatten -o json
  {"event":"contact",…"uri":"sip:bob@example.com"…}
  …

  $ imp list flatten friends --unresolved
  sip:bob@example.com  Bob
  …`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), strings.Join(args, "")) },
	}
	cmd.Flags().BoolVar(&o.unresolved, "unresolved", false, "print references instead of what they lead to")
	o.add(cmd)
	k.Emits(cmd, "contact", "a list has a contact", contactEvent{})
	k.Emits(cmd, "reference", "with --unresolved: a list has a reference", referenceEvent{})
	return cmd
}

type contactEvent struct {
	kit.Head
	URI  string `json:"uri" doc:"URI of the contact"`
	Name string `json:"name,omitempty" doc:"name for people"`
}

// Text implements kit.Texter.
func (e contactEvent) Text(w io.Writer, s *kit.Style) error {
	line := s.Name(kit.CleanLine(e.URI))
	if e.Name != "" {
		line += "  " + kit.CleanLine(e.Name)
	}
	_, err := fmt.Fprintln(w, line)
	return err
}

type referenceEvent struct {
	kit.Head
	Kind lists.Kind `json:"kind" doc:"entry-ref or external"`
	URI  string     `json:"uri" doc:"what it leads to, of an entry-ref below the XCAP root"`
}

// Text implements kit.Texter.
func (e referenceEvent) Text(w io.Writer, s *kit.Style) error {
	_, err := fmt.Fprintf(w, "%s  %s\n", e.Kind, s.Name(kit.CleanLine(e.URI)))
	return err
}

func (o *listFlattenOptions) run(ctx context.Context, path string) error {
	t, err := o.openLists(ctx)
	if err != nil {
		return err
	}
	defer t.Close()
	d, err := t.readLists(ctx)
	if err != nil {
		return err
	}
	doing := "flattening " + kit.CleanLine(path)
	whole := &lists.List{}
	if path != "" {
		if whole = named(d.Lists, path); whole == nil {
			return kit.Fail(kit.ExitNo, doing, "there is no such list", listNames(d))
		}
	} else {
		doing = "flattening " + t.short()
		for i := range d.Lists {
			whole.Items = append(whole.Items, lists.Item{Kind: lists.Nested, List: &d.Lists[i]})
		}
	}
	if o.unresolved {
		entries, references := whole.Flatten()
		return o.print(entries, references)
	}
	f := &fetcher{ctx: ctx, options: o, target: t, documents: map[string]*xmltree.Tree{}}
	entries, err := lists.Expand(whole, t.root.String(), f.fetch)
	if err != nil {
		return f.failure(doing, err)
	}
	if err := o.print(entries, nil); err != nil {
		return err
	}
	if f.lost > 0 {
		return kit.Fail(kit.ExitNo, doing, fmt.Sprintf("references that lead to nothing: %d", f.lost), "--unresolved prints them")
	}
	return nil
}

func (o *listFlattenOptions) print(entries, references []*lists.Item) error {
	for _, it := range entries {
		e := contactEvent{Head: o.kit.Head("contact"), URI: it.URI}
		if it.Display != nil {
			e.Name = it.Display.Text
		}
		if err := o.kit.Emit(e); err != nil {
			return err
		}
	}
	for _, it := range references {
		if err := o.kit.Emit(referenceEvent{Head: o.kit.Head("reference"), Kind: it.Kind, URI: it.URI}); err != nil {
			return err
		}
	}
	return nil
}

// fetcher reads what references lead to, each document once.
type fetcher struct {
	ctx       context.Context
	options   *listFlattenOptions
	target    *xcapTarget
	documents map[string]*xmltree.Tree // nil: there is none
	lost      int
	fatal     error
}

// fetch returns the element that a reference leads to, with the namespaces that it needs; nothing when there is none. The
// document is read as a whole, since an element comes without the declarations around it (RFC 4825 section 8.3).
func (f *fetcher) fetch(reference string) ([]byte, error) {
	node, err := f.element(reference)
	if f.fatal != nil {
		return nil, f.fatal
	}
	if err != nil {
		f.lost++
		f.options.kit.Warn("%s: %s", kit.CleanLine(reference), kit.CleanLine(err.Error()))
		return nil, nil
	}
	return canon.Append(nil, node, canon.Options{}), nil
}

func (f *fetcher) element(reference string) (xmltree.Node, error) {
	root, err := f.options.rootOfURL(f.target.acct, reference)
	if err != nil {
		return xmltree.Node{}, err
	}
	u, err := root.Parse(reference)
	if err != nil {
		return xmltree.Node{}, err
	}
	sel, err := u.Selector(lists.Space)
	if err != nil {
		return xmltree.Node{}, err
	}
	if sel == nil {
		return xmltree.Node{}, errors.New("it leads to a document, not to an element")
	}
	u.Steps, u.Bindings = nil, nil
	doc, err := f.document(root.Join(u))
	if err != nil {
		return xmltree.Node{}, err
	}
	found, err := sel.Locate(doc)
	return found.Node, err
}

func (f *fetcher) document(where string) (*xmltree.Tree, error) {
	if doc, known := f.documents[where]; known {
		if doc == nil {
			return nil, errors.New("the document could not be read")
		}
		return doc, nil
	}
	f.documents[where] = nil
	a, err := f.target.Fetch(f.ctx, where)
	if f.ctx.Err() != nil {
		f.fatal = err
	}
	if err != nil {
		return nil, err
	}
	doc, err := xmltree.Parse(a.Body, xmltree.Options{})
	if err == nil {
		f.documents[where] = doc
	}
	return doc, err
}

// failure maps what ended the expansion.
func (f *fetcher) failure(doing string, err error) error {
	if f.fatal != nil {
		return f.target.failure(doing, f.fatal)
	}
	if errors.Is(err, lists.ErrLoop) {
		return kit.Fail(kit.ExitDocument, doing, err, "a resource list server refuses such a list; --unresolved prints the references")
	}
	return kit.Fail(kit.ExitDocument, doing, err, "--unresolved prints the references as they are")
}
