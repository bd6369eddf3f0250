package cli

import (
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"imp/internal/cli/kit"
)

// TestHelpFits holds what the help says, but for the transcripts, to the columns of a terminal.
func TestHelpFits(t *testing.T) {
	var check func(cmd *cobra.Command)
	check = func(cmd *cobra.Command) {
		s, out, _ := kit.Recorded("", "")
		k := kit.New(s)
		words := strings.Fields(cmd.CommandPath())[1:]
		if status := k.Execute(t.Context(), Root(k), append(words, "--help")); status != 0 {
			t.Fatalf("%v: status %d", words, status)
		}
		transcript := false
		for line := range strings.Lines(out.String()) {
			switch strings.TrimSpace(line) {
			case "Examples":
				transcript = true
			case "Flags":
				transcript = false
			}
			if n := len([]rune(strings.TrimSpace(line))); n > 80 && !transcript {
				t.Errorf("%s: %d columns: %s", cmd.CommandPath(), n, line)
			}
		}
		for _, c := range cmd.Commands() {
			check(c)
		}
	}
	s, _, _ := kit.Recorded("", "")
	check(Root(kit.New(s)))
}
