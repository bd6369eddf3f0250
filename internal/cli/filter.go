package cli

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"imp/internal/cli/kit"
	"imp/internal/doc/filter"
	"imp/internal/sip/header"
)

func newFilter(k *kit.Kit) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "filter",
		Short: "Try out event notification filters",
		Long: `Filters (RFC 4661) travel in the body of a subscription and say which content a
watcher wants and which changes are worth a notification.`,
		Example: `  $ imp filter apply only-notes.xml alice.xml
  …
  $ imp filter apply opened.xml alice.xml --before before.xml && echo sent
  …`,
	}
	k.Group(cmd)
	cmd.AddCommand(newFilterApply(k))
	return cmd
}

type filterApplyOptions struct {
	kit      *kit.Kit
	resource string
	before   string
}

func newFilterApply(k *kit.Kit) *cobra.Command {
	o := &filterApplyOptions{kit: k}
	cmd := &cobra.Command{
		Use:   "apply FILTER [DOCUMENT|-]",
		Short: "Show what a subscriber with a filter would get",
		Long: `Apply a filter (RFC 4661) to a document and print what a subscriber would get: the
content that the filter selects, with all that the document type demands. With
--before the triggers count too: the document is what the presentity has become,
that what the subscriber was told last.

Ends with status 1 when nothing would be sent: no trigger fires, or nothing is
selected. A filter with a wrong expression is used without it, and a note says so.`,
		Example: `  $ imp filter apply only-notes.xml alice.xml
  <?xml version="1.0"…
  …

  $ imp filter apply opened.xml alice.xml --before before.xml -o json
  {"event":"filtered",…`,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.run(cmd.Context(), args[0], append(args, "-")[1])
		},
	}
	cmd.Flags().StringVar(&o.resource, "resource", "", "use the filter for `URI`; else the set must have one filter only")
	cmd.Flags().StringVar(&o.before, "before", "", "the document in `FILE` was sent before")
	cmd.MarkFlagFilename("before")
	k.Emits(cmd, "filtered", "a filter was applied", filteredEvent{})
	return cmd
}

type filteredEvent struct {
	kit.Head
	Filter string   `json:"filter" doc:"id of the filter; empty: none is for the resource"`
	Sent   bool     `json:"sent" doc:"whether there would be a notification"`
	Errors []string `json:"errors,omitempty" doc:"expressions that are wrong and were not used"`
	XML    string   `json:"xml,omitempty" doc:"the content"`
}

// Text implements kit.Texter.
func (e filteredEvent) Text(w io.Writer, _ *kit.Style) error {
	_, err := io.WriteString(w, e.XML)
	return err
}

// Raw implements kit.Rawer.
func (e filteredEvent) Raw() []byte { return []byte(e.XML) }

func (o *filterApplyOptions) run(_ context.Context, name, document string) error {
	f, err := o.choose(name)
	if err != nil {
		return err
	}
	doc, err := o.kit.ReadDocument(document)
	if err != nil {
		return err
	}
	e := filteredEvent{Head: o.kit.Head("filtered"), Sent: true}
	if f == nil {
		o.kit.Note("no filter is for %s: all is sent", o.resource)
		f = &filter.Filter{Enabled: true}
	}
	e.Filter, e.Errors = f.ID, f.Errors()
	for _, wrong := range e.Errors {
		o.kit.Warn("%s", wrong)
	}
	content, err := f.Apply(doc)
	if err != nil {
		return kit.Fail(kit.ExitDocument, "reading "+inputName(document), err, documentHint(err))
	}
	why := "the filter selects nothing in the document"
	if o.before != "" {
		before, err := o.kit.ReadDocument(o.before)
		if err != nil {
			return err
		}
		fires, err := f.Fires(before, doc)
		if err != nil {
			return kit.Fail(kit.ExitDocument, "reading "+inputName(o.before), err, documentHint(err))
		}
		if !fires {
			content, why = nil, "nothing that the filter waits for has changed"
		}
	}
	if e.XML = string(content); content == nil {
		e.Sent = false
		if o.kit.Output == kit.OutputJSON {
			if err := o.kit.Emit(e); err != nil {
				return err
			}
		}
		return kit.Fail(kit.ExitNo, "filtering "+inputName(document), why, "")
	}
	return o.kit.Emit(e)
}

// choose reads the filters and gives the one for the resource, nil when there is
// none.
func (o *filterApplyOptions) choose(name string) (*filter.Filter, error) {
	src, err := o.kit.ReadDocument(name)
	if err != nil {
		return nil, err
	}
	set, err := filter.Parse(src)
	if err != nil {
		return nil, kit.Fail(kit.ExitDocument, "reading "+inputName(name), err, "a notifier answers it with 488; imp xml check "+inputName(name)+" tells more")
	}
	if o.resource != "" {
		return set.For(o.resource, sameURI), nil
	}
	if len(set.Filters) > 1 {
		return nil, kit.Fail(kit.ExitUsage, "choosing a filter of "+inputName(name), fmt.Sprintf("there are %d", len(set.Filters)), "say with --resource whose document it is")
	}
	return &set.Filters[0], nil
}

// sameURI compares URIs by the rules of SIP where they are SIP's.
func sameURI(a, b string) bool {
	x, err := header.ParseURI(a)
	if err != nil {
		return a == b
	}
	y, err := header.ParseURI(b)
	return err == nil && x.Equal(y)
}
