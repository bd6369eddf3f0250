package kit

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// Fields are the settings of an account, as imp-accounts(5) lists them.
type Fields struct {
	AOR             string `toml:"aor"`
	User            string `toml:"user"`
	Password        string `toml:"password"`
	PasswordFile    string `toml:"password_file"`
	PasswordCommand string `toml:"password_command"`
	Proxy           string `toml:"proxy"`
	Transport       string `toml:"transport"`
	XCAPRoot        string `toml:"xcap_root"`
	MSRPRelay       string `toml:"msrp_relay"`
	CA              string `toml:"ca"`
	Cert            string `toml:"cert"`
	Key             string `toml:"key"`

	Insecure      bool `toml:"-"` // --insecure; cannot be kept in a file
	PasswordStdin bool `toml:"-"` // --password-stdin
}

// AccountKey is a setting of an account with its meaning.
type AccountKey struct {
	Name    string
	Value   string // what a value is called in the help
	Meaning string
	field   func(*Fields) *string
}

// AccountKeys are the settings of an account in the order in which they are shown.
var AccountKeys = []AccountKey{
	{"aor", "URI", "address of record, such as sip:alice@example.com", func(f *Fields) *string { return &f.AOR }},
	{"user", "NAME", "user name for authentication; absent: the user part of aor", func(f *Fields) *string { return &f.User }},
	{"password", "SECRET", "the password itself; better one of the next two", func(f *Fields) *string { return &f.Password }},
	{"password_file", "FILE", "file whose first line is the password", func(f *Fields) *string { return &f.PasswordFile }},
	{"password_command", "COMMAND", "shell command that prints the password", func(f *Fields) *string { return &f.PasswordCommand }},
	{"proxy", "PROXY", "outbound proxy, [udp:|tcp:|tls:|ws:|wss:]HOST[:PORT], for ws and wss also with a /PATH; absent: found by DNS from the domain", func(f *Fields) *string { return &f.Proxy }},
	{"transport", "TRANSPORT", "preferred transport when proxy does not say: udp, tcp, tls, ws or wss", func(f *Fields) *string { return &f.Transport }},
	{"xcap_root", "URI", "XCAP root URI, such as https://xcap.example.com/xcap-root", func(f *Fields) *string { return &f.XCAPRoot }},
	{"msrp_relay", "URI", "MSRP relay, such as msrps://relay.example.com:2855;tcp", func(f *Fields) *string { return &f.MSRPRelay }},
	{"ca", "FILE", "PEM file of the authorities that TLS trusts; absent: those of the system", func(f *Fields) *string { return &f.CA }},
	{"cert", "FILE", "PEM file of the client certificate", func(f *Fields) *string { return &f.Cert }},
	{"key", "FILE", "PEM file of the key of cert", func(f *Fields) *string { return &f.Key }},
}

// Get returns the value of the setting in f.
func (a AccountKey) Get(f Fields) string { return *a.field(&f) }

// In returns where the setting is kept in f.
func (a AccountKey) In(f *Fields) *string { return a.field(f) }

// Secret reports whether the setting is not to be shown.
func (a AccountKey) Secret() bool { return a.Name == "password" }

// FindAccountKey returns the setting of that name; an error has status 2 and a hint.
func FindAccountKey(name string) (AccountKey, error) {
	var names []string
	for _, a := range AccountKeys {
		if a.Name == name {
			return a, nil
		}
		names = append(names, a.Name)
	}
	hint := "settings are " + strings.Join(names, " ")
	if near := Nearest(name, names); near != "" {
		hint = "did you mean " + near + "? " + hint
	}
	return AccountKey{}, Fail(ExitUsage, "account", fmt.Sprintf("unknown setting %q", name), hint)
}

// Config is the file of imp-accounts(5).
type Config struct {
	Path     string            `toml:"-"`
	Default  string            `toml:"default"`
	Accounts map[string]Fields `toml:"accounts"`
	source   []byte
}

// ConfigPath returns the name of the accounts' file: $IMP_CONFIG, else $XDG_CONFIG_HOME/imp/config.toml, else ~/.config/imp/config.toml.
func (k *Kit) ConfigPath() string {
	if p := k.Env("IMP_CONFIG"); p != "" {
		return k.Path(p)
	}
	if dir := k.Env("XDG_CONFIG_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "imp", "config.toml")
	}
	return filepath.Join(k.Env("HOME"), ".config", "imp", "config.toml")
}

// LoadConfig reads the accounts' file. A file that does not exist has no accounts; one with a mistake or an unknown key is an error with its line.
func (k *Kit) LoadConfig() (*Config, error) {
	path := k.ConfigPath()
	src, err := readConfig(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return &Config{Path: path, Accounts: map[string]Fields{}}, nil
	case err != nil:
		return nil, Fail(ExitUsage, "reading "+path, plainCause(err), "it is the file of the accounts, named by IMP_CONFIG; see imp-accounts(5)")
	}
	c, err := parseConfig(path, src)
	if err != nil {
		return nil, err
	}
	if c.hasPassword() {
		k.warnReadable(path)
	}
	return c, nil
}

// maxConfig bounds the accounts' file, in bytes.
const maxConfig = 1 << 20

func readConfig(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	src, err := io.ReadAll(io.LimitReader(f, maxConfig+1))
	if err == nil && len(src) > maxConfig {
		err = fmt.Errorf("more than %d MiB", maxConfig>>20)
	}
	return src, err
}

// parseConfig reads the text of an accounts' file.
func parseConfig(path string, src []byte) (*Config, error) {
	c := &Config{Path: path, source: src}
	err := toml.NewDecoder(bytes.NewReader(src)).DisallowUnknownFields().Decode(c)
	var (
		strict *toml.StrictMissingError
		syntax *toml.DecodeError
	)
	switch {
	case errors.As(err, &strict) && len(strict.Errors) > 0:
		line, col := strict.Errors[0].Position()
		return nil, Fail(ExitUsage, fmt.Sprintf("%s:%d:%d", path, line, col), "unknown key "+strings.Join(strict.Errors[0].Key(), "."), "see imp-accounts(5) for the keys")
	case errors.As(err, &syntax):
		line, col := syntax.Position()
		return nil, Fail(ExitUsage, fmt.Sprintf("%s:%d:%d", path, line, col), strings.TrimPrefix(syntax.Error(), "toml: "), "see imp-accounts(5) for the form")
	case err != nil:
		return nil, Fail(ExitUsage, "reading "+path, err, "see imp-accounts(5) for the form")
	}
	if c.Accounts == nil {
		c.Accounts = map[string]Fields{}
	}
	return c, nil
}

// Names returns the names of the accounts in order.
func (c *Config) Names() []string { return slices.Sorted(maps.Keys(c.Accounts)) }

// Find returns the account of that name; an error has status 2 and a hint.
func (c *Config) Find(name string) (Fields, error) {
	f, ok := c.Accounts[name]
	if ok {
		return f, nil
	}
	hint := "imp account add " + name + " --aor URI makes it"
	if near := Nearest(name, c.Names()); near != "" {
		hint = "did you mean " + near + "? imp account list shows all"
	}
	return f, Fail(ExitUsage, fmt.Sprintf("account %q", name), "not in "+c.Path, hint)
}

func (c *Config) hasPassword() bool {
	for _, f := range c.Accounts {
		if f.Password != "" {
			return true
		}
	}
	return false
}

// warnReadable warns when others can read a file that holds a secret.
func (k *Kit) warnReadable(path string) {
	if st, err := os.Stat(path); err == nil && st.Mode().IsRegular() && st.Mode().Perm()&0o077 != 0 {
		k.Warn("%s holds a password and others can access it: chmod 600 %s", path, path)
	}
}

// expand makes a file name of the accounts' file absolute: ~/ is the home directory, other relative names are relative to the file's directory.
func (k *Kit) expand(name, config string) string {
	if rest, ok := strings.CutPrefix(name, "~/"); ok {
		return filepath.Join(k.Env("HOME"), rest)
	}
	if name == "" || filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(filepath.Dir(config), name)
}
