package cli

import (
	"context"
	"fmt"

	tea "charm.land/bubbletea/v2"
	"github.com/spf13/cobra"

	"imp/internal/cli/kit"
)

type watchBoardOptions struct{ subscribeOptions }

func newWatch(k *kit.Kit) *cobra.Command {
	o := &watchBoardOptions{subscribeOptions{watchOptions: watchOptions{kit: k, event: "presence"}}}
	cmd := &cobra.Command{
		Use:   "watch [flags] [TARGET…]",
		Short: "Show who is there, as a live board",
		Long: `Subscribe to the presence of each TARGET (yourself without one) and show a line for
each that changes as they do: name, status, activity, note, and since when. A TARGET
may be a list of resources, whose members have a line each; --list watches all TARGETs
in one subscription (RFC 5367). Ctrl-C ends it and leaves the board as it was last.

When stdout is no terminal, or with -o json or raw, what imp subscribe prints is
printed instead.`,
		Example: `  $ imp watch alice bob --for 3 -a carol
  …@lab.test active
  …

  $ imp watch alice bob --list --count 1 -o json
  {"event":"notify",…"resource":"sip:rls@lab.test",…
  {"event":"notify",…"resource":"sip:alice@lab.test","list":"sip:rls@lab.test",…
  {"event":"notify",…"resource":"sip:bob@lab.test","list":"sip:rls@lab.test",…`,
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), args) },
	}
	k.AccountFlags(cmd)
	o.lists.flags(cmd.Flags())
	k.WaitFlags(cmd, &o.wait, notifyKeys()...)
	k.Emits(cmd, "notify", "a notification came", notifyEvent{})
	k.Emits(cmd, "resubscribe", "the server ended a subscription and it is made again", resubscribeEvent{})
	return cmd
}

func (o *watchBoardOptions) run(ctx context.Context, args []string) error {
	if !o.kit.OutTTY || o.kit.Output != kit.OutputText {
		return o.subscribeOptions.run(ctx, args)
	}
	o.kit.Quiet = true // notes would stand in the board
	program := tea.NewProgram(&board{style: o.kit.Style(), now: o.kit.Now}, tea.WithOutput(o.kit.Out), tea.WithInput(nil), tea.WithoutSignalHandler())
	o.show = func(e *notifyEvent) error {
		program.Send(e)
		return nil
	}
	ended := make(chan error, 1)
	go func() {
		_, err := program.Run()
		ended <- err
	}()
	err := o.subscribeOptions.run(ctx, args)
	program.Quit()
	if drawn := <-ended; err == nil && drawn != nil {
		return kit.Fail(0, "drawing the board", fmt.Sprint(drawn), "")
	}
	return err
}
