// Package cli is the command line of imp: it puts the commands under one root and keeps the rules of imp(1).
//
// A command is one file: an options struct, a constructor and a run function over the kit. Commands stay thin; what they do is in the packages below.
package cli

import (
	"context"
	"os"

	"github.com/spf13/cobra"

	"imp/internal/cli/kit"
)

// group is a part of the list of commands in the help.
type group struct {
	id, title string
	commands  []func(*kit.Kit) *cobra.Command
}

// groups are the commands in the order of the help. A new command is one entry here.
var groups = []group{
	{"servers", "Servers", []func(*kit.Kit) *cobra.Command{newLab, newPresenceServer, newRegistrar, newMSRPRelay, newXCAPServer}},
	{"presence", "Presence", []func(*kit.Kit) *cobra.Command{newRegister, newPublish, newFetch, newSubscribe, newWatch, newWatchers}},
	{"xcap", "XCAP", []func(*kit.Kit) *cobra.Command{newXCAP, newList, newRules}},
	{"messages", "Messages", []func(*kit.Kit) *cobra.Command{newMessage, newListen, newMSRPSend, newMSRPRecv, newMSRPFetch}},
	{"documents", "Documents", []func(*kit.Kit) *cobra.Command{newXML, newPIDF, newFilter, newCPIM, newIMDN}},
	{"debugging", "Debugging and the tool itself", []func(*kit.Kit) *cobra.Command{newDecode, newCtl, newBench, newSpecs, newAccount, newCompletion, newVersion}},
}

func init() {
	// The order of the help is ours, not the alphabet's.
	cobra.EnableCommandSorting = false
}

// Main runs imp over the process's streams and arguments and returns the exit status.
func Main() int { return run(kit.New(kit.System())) }

func run(k *kit.Kit) int {
	args := os.Args[1:]
	if len(args) == 1 && args[0] == "--version" {
		args = []string{"version"} // what those who do not know the program try first
	}
	return k.Execute(context.Background(), Root(k), args)
}

// Root returns the tree of commands.
func Root(k *kit.Kit) *cobra.Command {
	root := &cobra.Command{
		Use:   "imp",
		Short: "SIP presence and messaging from the shell",
		Long: `imp is SIP presence and instant messaging as shell commands: servers for a lab
or a small site, clients that scripts can read, and tools for the documents.`,
		Example: `  $ imp account add alice --aor sip:alice@example.com --proxy 127.0.0.1

  $ imp help account`,
	}
	root.CompletionOptions.DisableDefaultCmd = true
	k.Group(root)
	k.Help(root)
	k.Globals(root)
	for _, g := range groups {
		root.AddGroup(&cobra.Group{ID: g.id, Title: g.title})
		for _, make := range g.commands {
			c := make(k)
			c.GroupID = g.id
			root.AddCommand(c)
		}
	}
	return root
}
