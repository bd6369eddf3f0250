package cli

import (
	"cmp"
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"imp/internal/cli/kit"
	"imp/internal/doc/pidf"
	"imp/internal/doc/pidfdiff"
)

type pidfComposeOptions struct {
	kit    *kit.Kit
	entity string
	policy pidf.Policy
}

func newPIDFCompose(k *kit.Kit) *cobra.Command {
	o := &pidfComposeOptions{kit: k}
	cmd := &cobra.Command{
		Use:   "compose FILE…",
		Short: "Make one presence document of several publications, as the server does",
		Long: `Compose several publications of one presentity, presence documents or pidf-full, into
the document that watchers get. The oldest publication is the first one.

All tuples stay; of ids that collide the later one is qualified. The person is that of
the publication with the newest one, and of several devices with one device id the
newest stays. What has expired (until) is left out, what is unknown is kept. Among
persons, devices and, with --one-per-service, tuples the newest timestamp counts; without
timestamps the later FILE does.`,
		Example: `  $ imp pidf compose phone.xml laptop.xml | imp pidf show -
  sip:alice@example.com  open
  …

  $ imp pidf compose --all-persons phone.xml laptop.xml > both.xml`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), args) },
	}
	cmd.Flags().StringVar(&o.entity, "entity", "", "the `URI` of the presentity; default: that of the publications, which have to agree")
	cmd.Flags().BoolVar(&o.policy.AllPersons, "all-persons", false, "keep the persons of all publications")
	cmd.Flags().BoolVar(&o.policy.OnePerService, "one-per-service", false, "of several tuples with one contact keep the newest")
	return cmd
}

func (o *pidfComposeOptions) run(_ context.Context, names []string) error {
	now, entity := o.kit.Now(), o.entity
	inputs := make([]pidf.Input, len(names))
	for i, name := range names {
		src, err := readState(o.kit, name)
		if err != nil {
			return err
		}
		accept := pidf.Accept
		if _, err := pidfdiff.Parse(src); err == nil {
			accept = pidf.AcceptFull
		}
		if err := accept(src); err != nil {
			return kit.Fail(kit.ExitDocument, "reading "+inputName(name), err, documentHint(err))
		}
		d, err := pidf.Read(src)
		if err != nil {
			return kit.Fail(kit.ExitDocument, "reading "+inputName(name), err, documentHint(err))
		}
		if entity = cmp.Or(entity, d.Entity); o.entity == "" && d.Entity != entity {
			return kit.Fail(kit.ExitDocument, "composing "+inputName(name), fmt.Sprintf("it is of %s, the first publication of %s", kit.CleanLine(d.Entity), kit.CleanLine(entity)), "name the presentity with --entity if both are the same")
		}
		inputs[i] = pidf.Input{Key: fmt.Sprint(i, name), Doc: src, Published: now}
	}
	doc, _ := pidf.Compose(entity, inputs, now, o.policy)
	return o.kit.Print(doc)
}
