package cli

import (
	"bytes"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"imp/internal/cli/kit"
)

// Shells are the shells that Completion writes for.
var Shells = []string{"bash", "zsh", "fish"}

func newCompletion(k *kit.Kit) *cobra.Command {
	return &cobra.Command{
		Use:   "completion bash|zsh|fish",
		Short: "Print the completion script of a shell",
		Long: `Print the script that makes a shell complete commands, flags and names of accounts.

bash needs the package bash-completion. To have it for good, put the script where
the shell looks: ~/.local/share/bash-completion/completions/imp, a directory of
zsh's $fpath as _imp, or ~/.config/fish/completions/imp.fish.`,
		Example: `  $ imp completion bash > imp.bash

  $ imp completion fish | head -1
  # fish completion for imp…

  $ imp completion tcsh
  imp: completion: "tcsh" is not bash, zsh or fish
  hint: see imp completion --help`,
		Args:      cobra.ExactArgs(1),
		ValidArgs: Shells,
		RunE: func(cmd *cobra.Command, args []string) error {
			var b bytes.Buffer
			if err := Completion(&b, cmd.Root(), args[0]); err != nil {
				return err
			}
			return k.Print(b.Bytes())
		},
	}
}

// Completion writes the completion script of the tree for a shell.
func Completion(w io.Writer, root *cobra.Command, shell string) error {
	switch shell {
	case "bash":
		return root.GenBashCompletionV2(w, true)
	case "zsh":
		return root.GenZshCompletion(w)
	case "fish":
		return root.GenFishCompletion(w, true)
	}
	return kit.Fail(kit.ExitUsage, "completion", fmt.Sprintf("%q is not bash, zsh or fish", shell), "see imp completion --help")
}
