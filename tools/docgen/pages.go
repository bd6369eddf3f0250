package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"imp/internal/cli/kit"
)

// manual makes the pages.
type manual struct {
	kit  *kit.Kit
	root *cobra.Command
}

// imp is imp(1): what holds for every command.
func (m *manual) imp() []byte {
	p := newPage("imp", 1)
	p.section("name")
	p.line("imp - " + lower(m.root.Short))
	p.section("synopsis")
	p.b.WriteString(".B imp\n.I COMMAND\n.RI [ FLAG ...]\n.RI [ ARGUMENT ...]\n")
	p.section("description")
	p.text(m.root.Long)
	p.b.WriteString(".PP\n")
	p.text(conventions)
	p.section("commands")
	for _, g := range m.root.Groups() {
		title := false
		for _, c := range m.root.Commands() {
			if c.GroupID != g.ID || !c.IsAvailableCommand() {
				continue
			}
			if !title {
				p.subsection(g.Title)
				title = true
			}
			fmt.Fprintf(&p.b, ".TP\n.BR imp\\-%s (1)\n", escape(c.Name()))
			p.line(c.Short + ".")
		}
	}
	p.section("flags of every command")
	m.flags(p, m.root.PersistentFlags())
	p.section("waiting")
	p.text(waiting)
	p.section("environment")
	for _, e := range environment {
		p.item(e[0], e[1])
	}
	p.section("files")
	for _, f := range files {
		p.item(f[0], f[1])
	}
	m.exits(p)
	p.section("examples")
	m.examples(p, m.root)
	m.seeAlso(p, m.root)
	return p.bytes()
}

// command is the page of a command with its verbs.
func (m *manual) command(cmd *cobra.Command) []byte {
	p := newPage("imp-"+cmd.Name(), 1)
	all := withVerbs(cmd)
	p.section("name")
	p.line("imp-" + cmd.Name() + " - " + lower(cmd.Short))
	p.section("synopsis")
	first := true
	for _, c := range all {
		if pureGroup(c) {
			continue
		}
		if !first {
			p.b.WriteString(".br\n")
		}
		first = false
		p.b.WriteString(bold(c.CommandPath()) + escape(strings.TrimPrefix(kit.UseLine(c), c.CommandPath())) + "\n")
	}
	p.section("description")
	p.text(long(cmd))
	m.body(p, cmd, true)
	for _, c := range all[1:] {
		p.section(c.CommandPath())
		p.b.WriteString(bold(kit.UseLine(c)) + "\n.PP\n")
		p.text(long(c))
		m.body(p, c, false)
	}
	m.exits(p)
	m.seeAlso(p, cmd)
	return p.bytes()
}

// body writes a command's flags, events and examples: in sections of their own, or in subsections of a verb.
func (m *manual) body(p *page, cmd *cobra.Command, top bool) {
	head := p.subsection
	if top {
		head = p.section
	}
	if fs := cmd.LocalNonPersistentFlags(); visible(fs) {
		head("Flags")
		m.flags(p, fs)
	}
	if names := m.events(cmd); len(names) > 0 {
		head("Output")
		noun, whose := "events", "Their"
		if len(names) == 1 {
			noun, whose = "event", "Its"
		}
		p.b.WriteString("With\n.B \\-o json\nit prints the " + noun + "\n")
		for i, n := range names {
			switch {
			case i == len(names)-1:
				fmt.Fprintf(&p.b, ".BR %s .\n", escape(n))
			case i == len(names)-2:
				fmt.Fprintf(&p.b, ".B %s\nand\n", escape(n))
			default:
				fmt.Fprintf(&p.b, ".BR %s ,\n", escape(n))
			}
		}
		p.b.WriteString(whose + " fields are in\n.BR imp\\-json (7).\n")
	}
	if cmd.Example != "" {
		head("Examples")
		m.examples(p, cmd)
	}
}

// withVerbs returns the command and all below it that a user can see.
func withVerbs(cmd *cobra.Command) []*cobra.Command {
	list := []*cobra.Command{cmd}
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() {
			list = append(list, withVerbs(c)...)
		}
	}
	return list
}

// pureGroup reports whether the command only holds others.
func pureGroup(cmd *cobra.Command) bool {
	return cmd.HasSubCommands() && strings.HasSuffix(kit.UseLine(cmd), "COMMAND …")
}

func long(cmd *cobra.Command) string {
	if cmd.Long != "" {
		return cmd.Long
	}
	return cmd.Short + "."
}

func lower(s string) string {
	if len(s) > 1 && s[1] >= 'a' && s[1] <= 'z' {
		return strings.ToLower(s[:1]) + s[1:]
	}
	return s
}

func visible(fs *pflag.FlagSet) bool {
	any := false
	fs.VisitAll(func(f *pflag.Flag) { any = any || !f.Hidden && f.Name != "help" })
	return any
}

func (m *manual) flags(p *page, fs *pflag.FlagSet) {
	fs.VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" {
			return
		}
		form, meaning := kit.FlagForm(f)
		p.item(form, sentence(meaning))
	})
}

// sentence makes a sentence of a flag's meaning.
func sentence(s string) string {
	if s == "" || strings.HasSuffix(s, ".") {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:] + "."
}

func (m *manual) examples(p *page, cmd *cobra.Command) {
	p.verbatim(strings.Split(strings.Trim(cmd.Example, "\n"), "\n"))
}

// events returns the names of the events that the command prints.
func (m *manual) events(cmd *cobra.Command) (names []string) {
	for _, e := range m.kit.Events() {
		if e.Command == cmd && !slices.Contains(names, e.Name) {
			names = append(names, e.Name)
		}
	}
	return names
}

func (m *manual) exits(p *page) {
	p.section("exit status")
	for _, e := range kit.Exits {
		p.item(e.Status, e.Meaning)
	}
}

func (m *manual) seeAlso(p *page, cmd *cobra.Command) {
	p.section("see also")
	var pages []string
	if cmd != m.root {
		pages = append(pages, "imp(1)")
		for _, c := range m.root.Commands() {
			if c != cmd && c.GroupID == cmd.GroupID && c.IsAvailableCommand() {
				pages = append(pages, "imp-"+c.Name()+"(1)")
			}
		}
	}
	p.references(append(pages, "imp-accounts(5)", "imp-json(7)"))
}

// references writes a list of pages, NAME(SECTION).
func (p *page) references(pages []string) {
	for i, ref := range pages {
		name, section, _ := strings.Cut(ref, "(")
		end := ","
		if i == len(pages)-1 {
			end = ""
		}
		fmt.Fprintf(&p.b, ".BR %s (%s%s\n", escape(name), section, end)
	}
}
