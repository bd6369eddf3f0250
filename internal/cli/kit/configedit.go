package kit

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"
)

// Edit is a change of the accounts' file that leaves everything else in it as it is, comments too.
type Edit struct {
	config *Config
	text   []byte
	known  map[string]Fields // the accounts that the text has in some form
}

// Edit begins a change of the file; nothing is written before Save.
func (c *Config) Edit() *Edit { return &Edit{c, bytes.Clone(c.source), maps.Clone(c.Accounts)} }

// span is a stretch of the text.
type span struct{ start, end int }

// entry is a key of the text with its value.
type entry struct {
	name  string
	key   span
	value span // a string; others have start 0
}

// table is the [accounts.NAME] of the text, or what stands before the first table.
type table struct {
	header  span // of the key in the brackets; zero for the top
	entries []entry
}

// tables reads where the accounts' tables and their keys are. The text is known to be valid TOML.
func (e *Edit) tables() (top table, accounts map[string]*table, err error) {
	accounts = map[string]*table{}
	var p unstable.Parser
	p.Reset(e.text)
	current := &top
	for p.NextExpression() {
		n := p.Expression()
		parts, at := keyParts(n)
		switch n.Kind {
		case unstable.Table:
			current = &table{header: at}
			if len(parts) == 2 && parts[0] == "accounts" {
				accounts[parts[1]] = current
			}
		case unstable.KeyValue:
			v := entry{name: strings.Join(parts, "."), key: at}
			if value := n.Value(); value.Kind == unstable.String {
				v.value = spanOf(value.Raw)
			}
			current.entries = append(current.entries, v)
		}
	}
	return top, accounts, p.Error()
}

func keyParts(n *unstable.Node) (parts []string, at span) {
	for it := n.Key(); it.Next(); {
		k := it.Node()
		s := spanOf(k.Raw)
		if parts == nil {
			at.start = s.start
		}
		at.end = s.end
		parts = append(parts, string(k.Data))
	}
	return parts, at
}

func spanOf(r unstable.Range) span { return span{int(r.Offset), int(r.Offset + r.Length)} }

// SetDefault makes the account the file's default; "" removes the default.
func (e *Edit) SetDefault(name string) error {
	top, _, err := e.tables()
	if err != nil {
		return e.fail(err.Error())
	}
	if name == "" {
		return e.remove(&top, "default")
	}
	return e.put(&top, "default", name)
}

// Set gives a setting of the account a value, and makes the account if it does not exist.
func (e *Edit) Set(account, key, value string) error {
	t, err := e.account(account)
	if err != nil {
		return err
	}
	if t == nil {
		e.append(account)
		return e.Set(account, key, value)
	}
	return e.put(t, key, value)
}

// Unset removes a setting of the account; it need not exist.
func (e *Edit) Unset(account, key string) error {
	t, err := e.account(account)
	if err != nil || t == nil {
		return err
	}
	return e.remove(t, key)
}

// Remove removes the account: its header, its settings, the comments among them and the empty lines before.
func (e *Edit) Remove(account string) error {
	t, err := e.account(account)
	if err != nil || t == nil {
		return err
	}
	end := e.lineEnd(t.header.end)
	for _, v := range t.entries {
		if v.value.end == 0 {
			return e.fail("the account has a value that is not a string")
		}
		end = e.lineEnd(v.value.end)
	}
	start := e.lineStart(t.header.start)
	for start > 1 && e.text[start-1] == '\n' && e.text[start-2] == '\n' {
		start--
	}
	e.splice(span{start, end}, "")
	delete(e.known, account)
	return nil
}

// account finds the table of the account; nil when there is none. An account written in another way than as [accounts.NAME] is an error.
func (e *Edit) account(name string) (*table, error) {
	_, accounts, err := e.tables()
	if err != nil {
		return nil, e.fail(err.Error())
	}
	t := accounts[name]
	if _, known := e.known[name]; known && t == nil {
		return nil, e.fail(fmt.Sprintf("account %q is not written as [accounts.%s]", name, name))
	}
	return t, nil
}

func (e *Edit) append(account string) {
	if len(e.text) > 0 {
		if e.text[len(e.text)-1] != '\n' {
			e.text = append(e.text, '\n')
		}
		e.text = append(e.text, '\n')
	}
	e.text = fmt.Appendf(e.text, "[accounts.%s]\n", quoteKey(account))
}

// put replaces the value of the key, or adds a line behind the table's last one.
func (e *Edit) put(t *table, key, value string) error {
	if i := slices.IndexFunc(t.entries, func(v entry) bool { return v.name == key }); i >= 0 {
		if t.entries[i].value.end == 0 {
			return e.fail(key + " is not a string")
		}
		e.splice(t.entries[i].value, quoteValue(value))
		return nil
	}
	line := key + " = " + quoteValue(value) + "\n"
	at := 0
	if t.header.end > 0 {
		at = e.lineEnd(t.header.end)
	}
	if n := len(t.entries); n > 0 {
		if t.entries[n-1].value.end == 0 {
			return e.fail(t.entries[n-1].name + " is not a string")
		}
		at = e.lineEnd(t.entries[n-1].value.end)
	} else if t.header.end == 0 && len(e.text) > 0 {
		line += "\n"
	}
	if at > 0 && e.text[at-1] != '\n' {
		line = "\n" + line
	}
	e.splice(span{at, at}, line)
	return nil
}

// remove removes the line of the key with the comment on it.
func (e *Edit) remove(t *table, key string) error {
	for _, v := range t.entries {
		if v.name != key {
			continue
		}
		if v.value.end == 0 {
			return e.fail(key + " is not a string")
		}
		e.splice(span{e.lineStart(v.key.start), e.lineEnd(v.value.end)}, "")
		return nil
	}
	return nil
}

func (e *Edit) splice(at span, with string) {
	e.text = slices.Replace(e.text, at.start, at.end, []byte(with)...)
}

func (e *Edit) lineStart(at int) int { return bytes.LastIndexByte(e.text[:at], '\n') + 1 }

// lineEnd is behind the line feed of the line that at is on.
func (e *Edit) lineEnd(at int) int {
	if i := bytes.IndexByte(e.text[at:], '\n'); i >= 0 {
		return at + i + 1
	}
	return len(e.text)
}

func (e *Edit) fail(what string) error {
	return Fail(ExitUsage, "changing "+e.config.Path, what, "change the file by hand, see imp-accounts(5)")
}

// Save checks the new text and writes it, so that only the user can read it.
func (e *Edit) Save() error {
	if _, err := parseConfig(e.config.Path, e.text); err != nil {
		return e.fail(err.Error())
	}
	return WriteFile(e.config.Path, e.text)
}

// quoteKey writes a TOML key, bare where that is allowed.
func quoteKey(s string) string {
	bare := s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == '-')
	})
	if bare {
		return s
	}
	return quoteValue(s)
}

// quoteValue writes a TOML basic string.
func quoteValue(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < 0x20 || r == 0x7f:
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
