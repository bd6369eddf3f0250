package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"imp/internal/cli/kit"
)

const conventions = `Standard output has data only; notes, warnings and errors go to standard error.
With -o json every event is one JSON object on one line, written as soon as it
happens. Colour is used on terminals only.

A FILE may be a pipe and is read once; - is the whole of standard input. Nothing
where a document is wanted is an error.

A target is a URI with or without sip:. A bare user gets the domain of the account,
and without a target the account itself is meant.

Durations are seconds or of a form like 1m30s.

An error is one line that says what was being done and what happened, often followed
by a line that begins with hint: and says what to do.`

const waiting = `A command with one answer gives up after --timeout and ends with status 4. A watch
has no such limit unless it is given. --count N ends a watch with status 0 after N
events, --until EXPR when EXPR holds after an event, the first included; if both are
given, whichever comes first. When --timeout runs out before, the status is 4. --for
ends a watch with status 0 in any case. Several --until must hold at the same event.

EXPR is key=value or key!=value with a key of imp-json(7). key=value holds when any
tuple or person has that value; key!=value when any has another one, or none has the
key. What begins with /, ( or the name of a function and ( is XPath 1.0 on the
document, which holds when it is true, a node set or text that is not empty, or a
number that is not 0. --ns binds a prefix; well-known ones are in imp-json(7).

SIGINT, SIGTERM and SIGHUP, as of a terminal that is closed, end a command cleanly: it
unsubscribes, takes back what it has published and says goodbye, within five seconds.
The status is then 0 unless it still waited for something. A second SIGINT or SIGTERM
ends it at once. Under nohup SIGHUP is ignored. A server with --users or --cert reads
those files again on SIGHUP and goes on. When nobody reads standard output any more, a
command ends in the same way with status 0.`

// environment lists the variables that commands look at.
var environment = [][2]string{
	{"IMP_CONFIG", "The accounts' file."},
	{"IMP_ACCOUNT", "The account to use when -a is not given."},
	{"IMP_PASSWORD", "The password, before any that the accounts' file leads to."},
	{"IMP_STATE", "Where that is kept which must outlive a command, instead of $XDG_STATE_HOME/imp; a lab has its own."},
	{"IMP_ADMIN, IMP_ADMIN_TOKEN", "The address of the server that imp ctl asks, and the token that it wants."},
	{"XDG_CONFIG_HOME, XDG_STATE_HOME", "Where the accounts' file and the state are; default ~/.config and ~/.local/state."},
	{"NO_COLOR, TERM", "There is no colour when NO_COLOR is set or TERM is dumb, unless --color always."},
}

var files = [][2]string{
	{"$XDG_CONFIG_HOME/imp/config.toml", "The accounts, see imp-accounts(5)."},
	{"$XDG_STATE_HOME/imp/", "What must outlive a command, such as entity-tags of publications. It can be deleted."},
}

// accounts is imp-accounts(5).
func (m *manual) accounts() []byte {
	p := newPage("imp-accounts", 5)
	p.section("name")
	p.line("imp-accounts - the file of accounts of imp")
	p.section("description")
	p.text(`The file is TOML. It is $IMP_CONFIG, else $XDG_CONFIG_HOME/imp/config.toml, else
~/.config/imp/config.toml. It need not exist: everything in an account is also a flag.

The key default at the top names the account that commands use when neither -a nor
$IMP_ACCOUNT does. Each table [accounts.NAME] is an account. An unknown key is an
error. Names of files are relative to the directory of the file; ~/ is the home
directory. What commands keep for an account, such as entity-tags of publications, is
in $IMP_STATE, else in $XDG_STATE_HOME/imp; a lab has a directory of its own for both.

imp account add, set, unset and default change the file in place: comments, order
and what they do not concern stay. They write it for the user alone (mode 0600). An
account that is written in another way than as a table [accounts.NAME] can be used
but must be changed by hand.`)
	p.section("keys of an account")
	for _, key := range kit.AccountKeys {
		p.item(key.Name+" = "+key.Value, sentence(key.Meaning))
	}
	p.section("servers and certificates")
	p.text(`Without proxy the domain of the target is looked up in DNS (RFC 3263): NAPTR, SRV, then
addresses. With one, everything goes there, over the transport that it names, else over
that of the key transport, else over UDP and TCP as the size asks for. tls and wss are
TLS 1.2 or later.

A certificate must be one of an authority of ca, else of the system, and it must be for
the host of the proxy, or for the domain when DNS was asked: over tls by the rules of
RFC 5922, which take no wildcards, over wss by those of HTTPS. --insecure asks for
neither, and warns. cert and key are shown to servers that ask for a certificate.`)
	p.section("passwords")
	p.text(`The password is looked for only when a server asks for it. The first of these is
taken: --password-stdin, --password, --password-file, $IMP_PASSWORD; then the one of
password, password_file and password_command that the account has, of which there
may be only one; and last a question on the terminal. Of a file or of what a command
prints the first line counts. A command has 30 seconds.

There is a warning when others can read a file that has a password, and when one is
given as an argument. Passwords are neither printed nor traced.`)
	p.section("examples")
	p.verbatim(strings.Split(`default = "alice"

[accounts.alice]
aor = "sip:alice@example.com"
proxy = "tls:sip.example.com"
password_command = "pass show sip/alice"
xcap_root = "https://xcap.example.com/xcap-root"

[accounts.lab]
aor = "sip:alice@lab.test"
proxy = "tcp:127.0.0.1:5060"
password_file = "lab.password"`, "\n"))
	p.section("see also")
	p.references([]string{"imp(1)", "imp-account(1)"})
	return p.bytes()
}

// json is imp-json(7), with the table of events.
func (m *manual) json() []byte {
	p := newPage("imp-json", 7)
	p.section("name")
	p.line("imp-json - the JSON that imp prints")
	p.section("description")
	p.text(`With -o json imp prints one object a line, each as soon as it happens. Names are
snake_case. Every object begins with event, its name, and time, when it happened: RFC
3339 in UTC with milliseconds. Fields are only ever added, so a reader should pass
over those that it does not know. An optional field is left out when it is empty.

An error is an object too, on standard error. Notes and warnings are text.`)
	p.section("events")
	m.eventTable(p)
	p.section("trace files")
	p.text(`--trace-file FILE appends every message, sent or received, as an object: time, dir
(in or out), proto (sip, msrp or http), transport, local and remote (HOST:PORT), and
data, the message in base64. Basic and Bearer credentials in it are asterisks.`)
	p.section("prefixes for xpath")
	p.text(`XPath in --until and elsewhere knows these prefixes; --ns PREFIX=URI adds to them. An
element in a namespace has to be written with a prefix, whatever the document does.`)
	for _, prefix := range slices.Sorted(maps.Keys(kit.Prefixes)) {
		p.item(prefix, kit.Prefixes[prefix])
	}
	p.section("see also")
	p.references([]string{"imp(1)", "imp-accounts(5)"})
	return p.bytes()
}

// eventTable writes every event with the commands that print it and its fields. Commands that print the same fields under one name share an entry.
func (m *manual) eventTable(p *page) {
	type entry struct {
		name, meaning string
		fields        []kit.Field
		commands      []string
	}
	var entries []entry
	for _, e := range m.kit.Events() {
		fields, by := e.Fields(), "every command"
		if e.Command != nil {
			by = e.Command.CommandPath()
		}
		i := slices.IndexFunc(entries, func(x entry) bool { return x.name == e.Name && slices.Equal(x.fields, fields) })
		if i < 0 {
			entries = append(entries, entry{e.Name, e.Meaning, fields, nil})
			i = len(entries) - 1
		}
		if !slices.Contains(entries[i].commands, by) {
			entries[i].commands = append(entries[i].commands, by)
		}
	}
	for _, e := range entries {
		p.subsection(e.name)
		p.line(sentence(e.meaning))
		p.line("Printed by " + strings.Join(e.commands, ", ") + ".")
		for _, f := range e.fields {
			if f.Name == "event" || f.Name == "time" {
				continue
			}
			kind := f.Type
			if f.Optional {
				kind += ", optional"
			}
			p.item(f.Name, fmt.Sprintf("(%s) %s", kind, sentence(f.Meaning)))
		}
	}
}
