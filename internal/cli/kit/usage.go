package kit

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// usageError turns an error of the command line into one of ours, with a hint at the command's help.
func usageError(cmd *cobra.Command, err error) error {
	if known := (*Error)(nil); errors.As(err, &known) {
		return err
	}
	var (
		msg, hint = err.Error(), seeHelp(cmd)
		unknown   *pflag.NotExistError
		invalid   *pflag.InvalidValueError
		missing   *pflag.ValueRequiredError
	)
	switch {
	case errors.As(err, &unknown):
		name := unknown.GetSpecifiedName()
		if unknown.GetSpecifiedShortnames() != "" {
			msg = "unknown flag -" + name
			break
		}
		msg = "unknown flag --" + name
		if near := Nearest(name, flagNames(cmd)); near != "" {
			hint = "did you mean --" + near + "? " + hint
		}
	case errors.As(err, &invalid):
		msg = fmt.Sprintf("--%s %q %v", invalid.GetFlag().Name, invalid.GetValue(), plainNumber(errors.Unwrap(invalid)))
	case errors.As(err, &missing):
		msg = "--" + missing.GetFlag().Name + " wants a value"
	case strings.Contains(msg, "none of the others can be"):
		msg = "cannot be given together: --" + strings.Join(bracketed(msg), ", --")
	case strings.Contains(msg, "they must all be set"):
		msg = "must also be given: --" + strings.Join(bracketed(msg), ", --")
	case strings.HasPrefix(msg, "required flag(s) "):
		msg = strings.NewReplacer("required flag(s) \"", "missing --", "\", \"", ", --", "\" not set", "").Replace(msg)
	}
	return Fail(ExitUsage, commandWords(cmd), msg, hint)
}

// plainNumber says in our words why a number could not be read; other errors stay as they are.
func plainNumber(err error) error {
	switch {
	case errors.Is(err, strconv.ErrSyntax):
		return errors.New("is no number")
	case errors.Is(err, strconv.ErrRange):
		return errors.New("is too large")
	}
	return err
}

// bracketed returns the words in the last brackets of one of cobra's messages.
func bracketed(msg string) []string {
	open, end := strings.LastIndexByte(msg, '['), strings.LastIndexByte(msg, ']')
	if open < 0 || end < open {
		return nil
	}
	return strings.Fields(msg[open+1 : end])
}

// argsError applies a command's check of its arguments and says in our words which argument is missing or too much.
func argsError(cmd *cobra.Command, args []string, valid cobra.PositionalArgs) error {
	err := valid(cmd, args)
	if known := (*Error)(nil); err == nil || errors.As(err, &known) {
		return err
	}
	hint := "usage: " + UseLine(cmd)
	for n := len(args) - 1; n >= 0; n-- {
		if valid(cmd, args[:n]) == nil {
			return Fail(ExitUsage, commandWords(cmd), fmt.Sprintf("unexpected argument %q", args[n]), hint)
		}
	}
	return Fail(ExitUsage, commandWords(cmd), "an argument is missing", hint)
}

// commandWords is the command's path without the program: "xcap get".
func commandWords(cmd *cobra.Command) string {
	return strings.TrimSpace(strings.TrimPrefix(cmd.CommandPath(), cmd.Root().Name()))
}

func seeHelp(cmd *cobra.Command) string { return "see " + cmd.CommandPath() + " --help" }

// outputIn finds -o json in a command line that could not be read, so that its error has the form asked for.
func (k *Kit) outputIn(args []string) {
	for i, a := range args {
		if a == "-ojson" || a == "-o=json" || a == "--output=json" || (a == "-o" || a == "--output") && i+1 < len(args) && args[i+1] == OutputJSON {
			k.Output = OutputJSON
		}
	}
}

// unknownCommand is the error for a word that is no command of cmd.
func unknownCommand(cmd *cobra.Command, word string) error {
	hint := seeHelp(cmd)
	var names []string
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() {
			names = append(append(names, c.Name()), c.Aliases...)
		}
	}
	if near := Nearest(word, names); near != "" {
		hint = "did you mean " + cmd.CommandPath() + " " + near + "? " + hint
	}
	return Fail(ExitUsage, commandWords(cmd), fmt.Sprintf("unknown command %q", word), hint)
}

// groupOnly is the annotation of a command that only holds others.
const groupOnly = "group"

// Group makes a command that only holds others: run by itself it is a usage error, but the root prints its help.
func (k *Kit) Group(cmd *cobra.Command, subs ...*cobra.Command) *cobra.Command {
	cmd.Args = cobra.ArbitraryArgs
	cmd.Annotations = map[string]string{groupOnly: "yes"}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			return unknownCommand(cmd, args[0])
		}
		if !cmd.HasParent() {
			return cmd.Help()
		}
		return Fail(ExitUsage, commandWords(cmd), "which of its commands?", seeHelp(cmd))
	}
	cmd.AddCommand(subs...)
	return cmd
}

// completions registers the values of flags that take one of a few words, and names of accounts.
func (k *Kit) completions(root *cobra.Command) {
	root.RegisterFlagCompletionFunc("trace", cobra.FixedCompletions(traceProtocols, cobra.ShellCompDirectiveNoFileComp))
	root.RegisterFlagCompletionFunc("account", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		c, err := k.LoadConfig()
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		return c.Names(), cobra.ShellCompDirectiveNoFileComp
	})
	completeChoices(root, root.PersistentFlags())
}

// completeChoices completes the flags whose help names all their values, as in open|closed. Files are offered only to
// those that take one.
func completeChoices(cmd *cobra.Command, fs *pflag.FlagSet) {
	fs.VisitAll(func(f *pflag.Flag) {
		switch value, _ := pflag.UnquoteUsage(f); {
		case strings.Contains(value, "|"):
			cmd.RegisterFlagCompletionFunc(f.Name, cobra.FixedCompletions(strings.Split(value, "|"), cobra.ShellCompDirectiveNoFileComp))
		case value != "" && value != "FILE" && value != "DIR":
			cmd.RegisterFlagCompletionFunc(f.Name, cobra.NoFileCompletions)
		}
	})
	for _, c := range cmd.Commands() {
		completeChoices(c, c.LocalNonPersistentFlags())
	}
}
