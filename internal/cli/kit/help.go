package kit

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// FlagForm returns how a flag is written, "-o, --output text|json|raw", and what it does, with its default. The help and the manual show the same.
// A usage text that begins with "`NAME`: " only names the value.
func FlagForm(f *pflag.Flag) (form, meaning string) {
	value, meaning := pflag.UnquoteUsage(f)
	if name, plain := typeNames[value]; plain {
		value = name
	}
	meaning = strings.TrimPrefix(meaning, value+": ")
	form = "--" + f.Name
	if f.Shorthand != "" {
		form = "-" + f.Shorthand + ", " + form
	}
	switch {
	case f.NoOptDefVal != "" && f.Value.Type() != "bool":
		form += "[=" + value + "]"
	case value != "":
		form += " " + value
	}
	if !slices.Contains([]string{"", "false", "0", "[]", "0s"}, f.DefValue) {
		meaning += " (default " + f.DefValue + ")"
	}
	return form, meaning
}

// typeNames are what flags without a name for their value show.
var typeNames = map[string]string{"string": "VALUE", "strings": "VALUES", "stringArray": "VALUE", "int": "N", "uint": "N", "float": "N", "duration": "DURATION"}

// UseLine returns the line that shows how the command is called.
func UseLine(cmd *cobra.Command) string {
	if !cmd.HasParent() {
		return cmd.Name() + " COMMAND …"
	}
	line := cmd.Parent().CommandPath() + " " + cmd.Use
	if cmd.HasSubCommands() && line == cmd.CommandPath() {
		line += " COMMAND …"
	}
	return line
}

// Help makes the command and those below it print their help in our form.
func (k *Kit) Help(root *cobra.Command) {
	root.SetHelpFunc(func(cmd *cobra.Command, _ []string) {
		if words := cmd.Flags().Args(); len(words) > 0 && cmd.Annotations[groupOnly] != "" {
			k.noHelp = unknownCommand(cmd, words[0])
			return
		}
		k.noHelp = k.Print([]byte(k.helpText(cmd)))
	})
	root.SetUsageFunc(func(*cobra.Command) error { return nil })
	root.SetHelpCommand(&cobra.Command{
		Use:    "help [COMMAND…]",
		Short:  "Print the help of a command",
		Hidden: true,
		ValidArgsFunction: func(cmd *cobra.Command, args []string, _ string) (names []string, _ cobra.ShellCompDirective) {
			about, rest, err := cmd.Root().Find(args)
			if err != nil || len(rest) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			for _, c := range about.Commands() {
				if c.IsAvailableCommand() {
					names = append(names, c.Name())
				}
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			about, rest, err := cmd.Root().Find(args)
			if err != nil || len(rest) > 0 {
				return unknownCommand(about, args[len(args)-max(1, len(rest))])
			}
			return about.Help()
		},
	})
}

func (k *Kit) helpText(cmd *cobra.Command) string {
	s := k.Style()
	var b strings.Builder
	about := cmd.Long
	if about == "" {
		about = cmd.Short
	}
	fmt.Fprintf(&b, "%s\n\n%s\n  %s\n", fill(strings.TrimSpace(about), min(s.Width, defaultWidth)), s.Bold("Usage"), UseLine(cmd))
	writeCommands(&b, s, cmd)
	if cmd.Example != "" {
		fmt.Fprintf(&b, "\n%s\n%s\n", s.Bold("Examples"), strings.TrimRight(cmd.Example, "\n "))
	}
	writeFlagGroups(&b, s, cmd.LocalNonPersistentFlags())
	if cmd.HasParent() {
		writeGlobals(&b, s, cmd.InheritedFlags())
	} else {
		writeFlags(&b, s, "Flags of every command", cmd.PersistentFlags())
		fmt.Fprintf(&b, "\nimp COMMAND --help tells more, with examples. The manual is imp(1) with the exit\nstatuses, imp-json(7) with the events, and imp-accounts(5).\n")
	}
	return b.String()
}

// writeCommands lists the commands of cmd under their groups.
func writeCommands(b *strings.Builder, s *Style, cmd *cobra.Command) {
	width := 0
	for _, c := range cmd.Commands() {
		width = max(width, len(c.Name()))
	}
	list := func(title, id string) {
		for _, c := range cmd.Commands() {
			if c.GroupID != id || !c.IsAvailableCommand() {
				continue
			}
			if title != "" {
				fmt.Fprintf(b, "\n%s\n", s.Bold(title))
				title = ""
			}
			fmt.Fprintf(b, "  %s  %s\n", s.Name(fmt.Sprintf("%-*s", width, c.Name())), c.Short)
		}
	}
	for _, g := range cmd.Groups() {
		list(g.Title, g.ID)
	}
	list("Commands", "")
}

// flagGroup is the annotation of a flag with the title it is listed under.
const flagGroup = "imp_group"

// FlagGroup has the help list the flags under a title of their own.
func FlagGroup(fs *pflag.FlagSet, title string, names ...string) {
	for _, name := range names {
		fs.SetAnnotation(name, flagGroup, []string{title})
	}
}

// writeFlagGroups lists the flags without a group, and then group after group.
func writeFlagGroups(b *strings.Builder, s *Style, fs *pflag.FlagSet) {
	groups := map[string]*pflag.FlagSet{}
	titles := []string{"Flags"}
	fs.VisitAll(func(f *pflag.Flag) {
		title := titles[0]
		if of := f.Annotations[flagGroup]; len(of) > 0 {
			title = of[0]
		}
		if groups[title] == nil {
			groups[title] = pflag.NewFlagSet("", pflag.ContinueOnError)
			groups[title].SortFlags = fs.SortFlags
			if title != titles[0] {
				titles = append(titles, title)
			}
		}
		groups[title].AddFlag(f)
	})
	for _, title := range titles {
		if groups[title] != nil {
			writeFlags(b, s, title, groups[title])
		}
	}
}

// writeFlags lists flags in two columns, with the meaning wrapped.
func writeFlags(b *strings.Builder, s *Style, title string, fs *pflag.FlagSet) {
	type row struct{ form, meaning string }
	var rows []row
	width := 0
	fs.VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" {
			return
		}
		form, meaning := FlagForm(f)
		if f.Shorthand == "" {
			form = "    " + form
		}
		rows = append(rows, row{form, meaning})
		width = max(width, len([]rune(form)))
	})
	if len(rows) == 0 {
		return
	}
	width = min(width, 30)
	fmt.Fprintf(b, "\n%s\n", s.Bold(title))
	for _, r := range rows {
		lines := wrap(r.meaning, max(s.Width-width-4, 24))
		if len([]rune(r.form)) > width {
			fmt.Fprintf(b, "  %s\n", r.form)
			r.form = ""
		}
		for i, line := range lines {
			if i > 0 {
				r.form = ""
			}
			fmt.Fprintf(b, "  %-*s  %s\n", width, r.form, line)
		}
	}
}

// writeGlobals names the flags that every command has; their meaning is in the help of imp.
func writeGlobals(b *strings.Builder, s *Style, fs *pflag.FlagSet) {
	var forms []string
	fs.VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			name := "--" + f.Name
			if f.Shorthand != "" {
				name = "-" + f.Shorthand + " " + name
			}
			forms = append(forms, name)
		}
	})
	fmt.Fprintf(b, "\n%s\n", s.Bold("Flags of every command (imp --help explains them)"))
	for _, line := range wrap(strings.Join(forms, ", "), s.Width-2) {
		fmt.Fprintf(b, "  %s\n", line)
	}
}

// fill wraps the paragraphs of text that have a line longer than width; those with an indented line stay as they are.
func fill(text string, width int) string {
	paragraphs := strings.Split(text, "\n\n")
	for i, p := range paragraphs {
		long, indented := false, false
		for line := range strings.SplitSeq(p, "\n") {
			long = long || len([]rune(line)) > width
			indented = indented || strings.HasPrefix(line, " ")
		}
		if long && !indented {
			paragraphs[i] = strings.Join(wrap(p, width), "\n")
		}
	}
	return strings.Join(paragraphs, "\n\n")
}

// wrap breaks text into lines of at most width characters where words allow it.
func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		switch {
		case line == "":
			line = word
		case len([]rune(line))+1+len([]rune(word)) <= width:
			line += " " + word
		default:
			lines = append(lines, line)
			line = word
		}
	}
	return append(lines, line)
}
