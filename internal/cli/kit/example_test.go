package kit_test

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"imp/internal/cli/kit"
)

// greetOptions are what the command needs: the kit, its flags and arguments.
type greetOptions struct {
	kit   *kit.Kit
	shout bool
	names []string
}

// greetEvent is what it prints: JSON by its tags, text by its method, a line of imp-json(7) by its doc tags.
type greetEvent struct {
	kit.Head
	Name string `json:"name" doc:"who is greeted"`
	Loud bool   `json:"loud,omitempty" doc:"whether it was shouted"`
}

func (e greetEvent) Text(w io.Writer, s *kit.Style) error {
	mark := "."
	if e.Loud {
		mark = "!"
	}
	_, err := fmt.Fprintf(w, "Hello, %s%s\n", s.Bold(kit.CleanLine(e.Name)), mark)
	return err
}

func newGreet(k *kit.Kit) *cobra.Command {
	o := &greetOptions{kit: k}
	cmd := &cobra.Command{
		Use:   "greet NAME…",
		Short: "Greet people",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.names = args
			return o.run(cmd.Context())
		},
	}
	cmd.Flags().BoolVar(&o.shout, "shout", false, "be loud")
	k.Emits(cmd, "greeting", "somebody was greeted", greetEvent{})
	return cmd
}

func (o *greetOptions) run(context.Context) error {
	for _, name := range o.names {
		if name == "nobody" {
			return kit.Fail(kit.ExitNo, "greeting "+name, "there is no such person", "")
		}
		if err := o.kit.Emit(greetEvent{o.kit.Head("greeting"), name, o.shout}); err != nil {
			return err
		}
	}
	return nil
}

// A command is an options struct, a constructor and a run function.
func Example() {
	s, _, _ := kit.Recorded("", "")
	s.Out, s.Err = os.Stdout, os.Stdout
	k := kit.New(s)
	root := k.Group(&cobra.Command{Use: "imp"}, newGreet(k))
	k.Globals(root)
	k.Help(root)
	fmt.Println(k.Execute(context.Background(), root, []string{"greet", "--shout", "bob", "nobody"}))
	// Output:
	// Hello, bob!
	// imp: greeting nobody: there is no such person
	// 1
}
