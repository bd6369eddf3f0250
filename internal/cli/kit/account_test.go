package kit

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

const accountsFile = `default = "alice"

[accounts.alice]
aor = "sip:alice@Example.COM"
user = "ally"
password = "wonderland"
proxy = "tcp:127.0.0.1:5070"
xcap_root = "https://xcap.example.com/root/"
ca = "ca.pem"

[accounts.bob]
aor = "bob@example.com:5080"
password_command = "echo builder"
transport = "tls"
cert = "~/bob.pem"
key = "/etc/bob.key"

[accounts.carol]
aor = "sips:carol@example.com"
password_file = "carol.txt"
`

// withAccounts returns a Kit that finds the accounts' file in a directory of its own.
func withAccounts(t *testing.T, config, input string, env ...string) (*Kit, string, func() string) {
	t.Helper()
	dir := t.TempDir()
	os.WriteFile(filepath.Join(dir, "accounts.toml"), []byte(config), 0o600)
	os.WriteFile(filepath.Join(dir, "carol.txt"), []byte("singer\r\nnot this\n"), 0o600)
	s, _, errs := Recorded(input, dir, append(env, "IMP_CONFIG=accounts.toml", "HOME=/home/x")...)
	return New(s), dir, errs.String
}

// flags gives the Kit's account flags the arguments.
func (k *Kit) flags(t *testing.T, args ...string) {
	t.Helper()
	cmd := &cobra.Command{Use: "x"}
	k.AccountFlags(cmd, "xcap-root", "msrp-relay")
	if err := cmd.ParseFlags(args); err != nil {
		t.Fatal(err)
	}
}

func TestAccount(t *testing.T) {
	t.Run("the default", func(t *testing.T) {
		k, dir, _ := withAccounts(t, accountsFile, "")
		a, err := k.Account()
		if err != nil {
			t.Fatal(err)
		}
		secret, _ := a.Secret(t.Context())
		if a.Name != "alice" || a.AOR != "sip:alice@example.com" || a.User != "ally" || a.Domain != "example.com" || secret != "wonderland" ||
			a.Proxy != (Proxy{Transport: "tcp", Host: "127.0.0.1", Port: 5070}) || a.Transport != "tcp" || a.XCAPRoot != "https://xcap.example.com/root" || a.CA != filepath.Join(dir, "ca.pem") {
			t.Errorf("%+v, secret %q", a, secret)
		}
	})
	t.Run("the environment before the default, the flag before both", func(t *testing.T) {
		k, _, _ := withAccounts(t, accountsFile, "", "IMP_ACCOUNT=bob")
		if a, err := k.Account(); err != nil || a.Name != "bob" || a.User != "bob" || a.Domain != "example.com:5080" || a.Transport != "tls" || a.Cert != "/home/x/bob.pem" {
			t.Errorf("%+v, %v", a, err)
		}
		k.AccountName = "carol"
		if a, err := k.Account(); err != nil || a.Name != "carol" {
			t.Errorf("%+v, %v", a, err)
		}
	})
	t.Run("flags override single settings", func(t *testing.T) {
		k, dir, _ := withAccounts(t, accountsFile, "")
		k.flags(t, "--from", "sip:al@example.org", "--proxy", "wss:[2001:db8::1]", "--password-file", "carol.txt", "--ca", "/x", "--xcap-root", "http://h/r/")
		a, err := k.Account()
		if err != nil {
			t.Fatal(err)
		}
		secret, err := a.Secret(t.Context())
		if err != nil || secret != "singer" || a.AOR != "sip:al@example.org" || a.User != "ally" || a.Proxy != (Proxy{Transport: "wss", Host: "2001:db8::1", Port: 0}) || a.Transport != "wss" || a.CA != "/x" || a.XCAPRoot != "http://h/r" {
			t.Errorf("%+v, secret %q, %v in %s", a, secret, err, dir)
		}
	})
	t.Run("no file and no account", func(t *testing.T) {
		s, _, _ := Recorded("", "", "HOME=/nonexistent")
		k := New(s)
		a, err := k.Account()
		if err != nil || a.AOR != "" {
			t.Fatalf("%+v, %v", a, err)
		}
		if got, err := a.Target("sip:bob@example.com"); err != nil || got != "sip:bob@example.com" {
			t.Errorf("%s, %v", got, err)
		}
		for _, target := range []string{"", "bob"} {
			if _, err := a.Target(target); exitOf(err) != ExitUsage || !strings.Contains(err.(*Error).Hint, "--from URI") {
				t.Errorf("%q: %v", target, err)
			}
		}
		if _, err := a.Secret(t.Context()); exitOf(err) != ExitUsage || !strings.Contains(err.(*Error).Hint, "IMP_PASSWORD") {
			t.Errorf("%v", err)
		}
		k.flags(t, "--from", "sip:me@h", "--proxy", "127.0.0.1:5070")
		if a, err := k.Account(); err != nil || a.Domain != "h" || a.User != "me" || a.Proxy.Addr() != "127.0.0.1:5070" || a.Transport != "" {
			t.Errorf("%+v, %v", a, err)
		}
	})
	t.Run("an account that is not there", func(t *testing.T) {
		k, _, _ := withAccounts(t, accountsFile, "")
		k.AccountName = "alcie"
		if _, err := k.Account(); exitOf(err) != ExitUsage || !strings.Contains(err.(*Error).Hint, "did you mean alice?") {
			t.Errorf("%v", err)
		}
	})
	t.Run("an unknown key says where", func(t *testing.T) {
		k, _, _ := withAccounts(t, "[accounts.a]\n  prxy = \"x\"\n", "")
		if _, err := k.Account(); exitOf(err) != ExitUsage || !strings.Contains(err.Error(), "accounts.toml:2:3: unknown key accounts.a.prxy") {
			t.Errorf("%v", err)
		}
	})
	t.Run("where the file is", func(t *testing.T) {
		for want, env := range map[string][]string{
			"/c/imp/config.toml":          {"XDG_CONFIG_HOME=/c", "HOME=/h"},
			"/h/.config/imp/config.toml":  {"HOME=/h"},
			"/f":                          {"IMP_CONFIG=/f", "XDG_CONFIG_HOME=/c", "HOME=/h"},
			"/h2/.config/imp/config.toml": {"HOME=/h2", "XDG_CONFIG_HOME=relative"},
		} {
			s, _, _ := Recorded("", "", env...)
			if got := New(s).ConfigPath(); got != want {
				t.Errorf("%v: %s, want %s", env, got, want)
			}
		}
	})
	t.Run("settings that cannot be right", func(t *testing.T) {
		for _, line := range []string{"aor = \"alice\"", "aor = \"sip:alice@\"", "aor = \"sip:a@b;c\"", "aor = \"a b@c\"", "proxy = \"a b\"", "transport = \"sctp\"", "cert = \"x\"", "password = \"a\"\npassword_file = \"b\""} {
			k, _, _ := withAccounts(t, "[accounts.a]\n"+line+"\n", "")
			k.AccountName = "a"
			if _, err := k.Account(); exitOf(err) != ExitUsage {
				t.Errorf("%s: %v", line, err)
			}
		}
	})
	t.Run("--insecure says so", func(t *testing.T) {
		k, _, stderr := withAccounts(t, accountsFile, "")
		k.flags(t, "--insecure")
		a, err := k.Account()
		if err != nil || !strings.Contains(stderr(), "--insecure: the server's certificate is not verified") {
			t.Fatalf("%q, %v", stderr(), err)
		}
		a.CA = ""
		if cfg, err := a.TLS(); err != nil || !cfg.InsecureSkipVerify {
			t.Error(err)
		}
	})
	t.Run("TLS files", func(t *testing.T) {
		k, dir, _ := withAccounts(t, accountsFile, "")
		a, _ := k.Account()
		if _, err := a.TLS(); exitOf(err) != ExitUsage || !strings.Contains(err.Error(), "no such file") {
			t.Error(err)
		}
		os.WriteFile(filepath.Join(dir, "ca.pem"), []byte("no certificate"), 0o600)
		if _, err := a.TLS(); exitOf(err) != ExitUsage || !strings.Contains(err.Error(), "no certificate") {
			t.Error(err)
		}
		a.CA = ""
		if cfg, err := a.TLS(); err != nil || cfg.InsecureSkipVerify || cfg.RootCAs != nil {
			t.Error(err)
		}
	})
}

func TestSecretSources(t *testing.T) {
	for _, c := range []struct {
		name, account, want string
		args, env           []string
		fails               bool
	}{
		{"the file's password", "alice", "wonderland", nil, nil, false},
		{"the file's command", "bob", "builder", nil, nil, false},
		{"the file's file", "carol", "singer", nil, nil, false},
		{"the environment before the file", "alice", "env", nil, []string{"IMP_PASSWORD=env"}, false},
		{"a flag before the environment", "alice", "argv", []string{"--password", "argv"}, []string{"IMP_PASSWORD=env"}, false},
		{"stdin", "alice", "stdin", []string{"--password-stdin"}, []string{"IMP_PASSWORD=env"}, false},
		{"a file that is not there", "alice", "", []string{"--password-file", "none"}, nil, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			k, _, stderr := withAccounts(t, accountsFile, "stdin\nmore\n", c.env...)
			k.AccountName = c.account
			k.flags(t, c.args...)
			a, err := k.Account()
			if err != nil {
				t.Fatal(err)
			}
			for range 2 {
				got, err := a.Secret(t.Context())
				if got != c.want || (err != nil) != c.fails {
					t.Errorf("%q, %v", got, err)
				}
			}
			if warned := strings.Contains(stderr(), "can be seen by other users"); warned != (c.want == "argv") {
				t.Errorf("stderr %q", stderr())
			}
			if strings.Contains(stderr(), c.want) && c.want != "" && c.want != "env" {
				t.Errorf("the secret is on stderr: %q", stderr())
			}
		})
	}
	t.Run("the terminal, once and only when asked for", func(t *testing.T) {
		k, _, _ := withAccounts(t, "[accounts.a]\naor = \"sip:a@b\"\n", "")
		asked := 0
		k.Prompt = func(context.Context, string) (string, error) { asked++; return "typed", nil }
		k.AccountName = "a"
		a, _ := k.Account()
		if asked != 0 {
			t.Error("asked before the server did")
		}
		for range 2 {
			if got, err := a.Secret(t.Context()); got != "typed" || err != nil || asked != 1 {
				t.Errorf("%q, %v, asked %d times", got, err, asked)
			}
		}
		k.Prompt = func(context.Context, string) (string, error) { return "", errors.New("no terminal") }
		a, _ = k.Account()
		if _, err := a.Secret(t.Context()); exitOf(err) != ExitUsage {
			t.Error(err)
		}
	})
	t.Run("a command that fails says why", func(t *testing.T) {
		k, _, _ := withAccounts(t, "[accounts.a]\naor = \"sip:a@b\"\npassword_command = \"echo locked >&2; exit 1\"\n", "")
		k.AccountName = "a"
		a, _ := k.Account()
		if _, err := a.Secret(t.Context()); exitOf(err) != ExitUsage || !strings.Contains(err.Error(), "locked") {
			t.Error(err)
		}
	})
	t.Run("an interrupted command is not waited for", func(t *testing.T) {
		k, _, _ := withAccounts(t, "[accounts.a]\naor = \"sip:a@b\"\npassword_command = \"sleep 60\"\n", "")
		k.AccountName = "a"
		a, _ := k.Account()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := a.Secret(ctx); err == nil {
			t.Error("no error")
		}
	})
	t.Run("files that others can read", func(t *testing.T) {
		k, dir, stderr := withAccounts(t, accountsFile, "")
		os.Chmod(filepath.Join(dir, "carol.txt"), 0o640)
		k.AccountName = "carol"
		a, _ := k.Account()
		a.Secret(t.Context())
		if !strings.Contains(stderr(), "carol.txt holds a password and others can access it") || strings.Contains(stderr(), "accounts.toml") {
			t.Errorf("%q", stderr())
		}
	})
}

func TestTarget(t *testing.T) {
	a := &Account{AOR: "sip:alice@example.com", Domain: "example.com"}
	for in, want := range map[string]string{
		"":                        "sip:alice@example.com",
		"bob":                     "sip:bob@example.com",
		"bob@example.org":         "sip:bob@example.org",
		"bob@[::1]:5070":          "sip:bob@[::1]:5070",
		"sip:bob@example.org;a=b": "sip:bob@example.org;a=b",
		"SIPS:bob@example.org":    "sips:bob@example.org",
		"pres:bob@example.org":    "pres:bob@example.org",
		"im:bob@example.org":      "im:bob@example.org",
		"sip:example.org":         "sip:example.org",
		"+4712345":                "sip:+4712345@example.com",
	} {
		if got, err := a.Target(in); got != want || err != nil {
			t.Errorf("%q: %q, %v", in, got, err)
		}
	}
	for _, bad := range []string{"bob smith", "@example.com", "bob@", "sip:", "<sip:a@b>", "a\nb"} {
		if got, err := a.Target(bad); exitOf(err) != ExitUsage {
			t.Errorf("%q: %q, %v", bad, got, err)
		}
	}
	secure := &Account{AOR: "sips:alice@example.com", Domain: "example.com"}
	if got, _ := secure.Target("bob"); got != "sips:bob@example.com" {
		t.Error(got)
	}
}

func TestParseProxy(t *testing.T) {
	for in, want := range map[string]Proxy{
		"example.com":           {Transport: "", Host: "example.com", Port: 0},
		"example.com:5070":      {Transport: "", Host: "example.com", Port: 5070},
		"udp:127.0.0.1":         {Transport: "udp", Host: "127.0.0.1", Port: 0},
		"TLS:sip.example.com:1": {Transport: "tls", Host: "sip.example.com", Port: 1},
		"tcp:[::1]:5060":        {Transport: "tcp", Host: "::1", Port: 5060},
		"wss:[::1]":             {Transport: "wss", Host: "::1", Port: 0},
		"::1":                   {Transport: "", Host: "::1", Port: 0},
		"ws:h:65535":            {Transport: "ws", Host: "h", Port: 65535},
		"ws:h:8080/ws":          {Transport: "ws", Host: "h", Port: 8080, Path: "/ws"},
		"wss:h/":                {Transport: "wss", Host: "h", Path: "/"},
	} {
		if got, err := ParseProxy(in); got != want || err != nil {
			t.Errorf("%q: %+v, %v", in, got, err)
		}
	}
	for _, bad := range []string{"", "tcp:", "h:0", "h:65536", "h:x", "sctp:h:1", "sip:a@h", "a b", "tcp:h:1:2", "h/p", "tls:h/p", "ws:h/a b", "ws:/p", "h;x", "[::1", "::1]", "[]", "[h"} {
		if got, err := ParseProxy(bad); exitOf(err) != ExitUsage {
			t.Errorf("%q: %+v, %v", bad, got, err)
		}
	}
	if got := (Proxy{Host: "::1", Port: 5060}).Addr(); got != "[::1]:5060" {
		t.Error(got)
	}
}

func FuzzParseProxy(f *testing.F) {
	f.Add("tcp:[::1]:5060")
	f.Fuzz(func(t *testing.T, s string) {
		p, err := ParseProxy(s)
		if err == nil && (p.IsZero() || p.Addr() == "") {
			t.Errorf("%q: %+v", s, p)
		}
	})
}

func TestConfigIsBounded(t *testing.T) {
	s, _, _ := Recorded("", "")
	s.Env = func(name string) string { return map[string]string{"IMP_CONFIG": "/dev/zero"}[name] }
	if _, err := New(s).LoadConfig(); exitOf(err) != ExitUsage {
		t.Error(err)
	}
}

func TestConfigEditsKeepTheRest(t *testing.T) {
	parse := func(text string) *Config {
		c, err := parseConfig("f", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	for _, c := range []struct {
		name, before, after string
		edit                func(*Edit) error
	}{
		{"set in an empty file", "", "[accounts.a]\naor = \"sip:a@b\"\n", func(e *Edit) error { return e.Set("a", "aor", "sip:a@b") }},
		{"replace, with the comment kept", "[accounts.a]\naor='x' # c\n", "[accounts.a]\naor=\"y\" # c\n", func(e *Edit) error { return e.Set("a", "aor", "y") }},
		{"add behind the last setting", "[accounts.a] # h\naor = \"x\" # c\n\n[accounts.b]\n", "[accounts.a] # h\naor = \"x\" # c\nuser = \"u\"\n\n[accounts.b]\n", func(e *Edit) error { return e.Set("a", "user", "u") }},
		{"add to an account without settings", "[accounts.b] # h\n# c\n", "[accounts.b] # h\nuser = \"u\"\n# c\n", func(e *Edit) error { return e.Set("b", "user", "u") }},
		{"no line feed at the end", "[accounts.a]\naor = \"x\"", "[accounts.a]\naor = \"x\"\nuser = \"u\"\n", func(e *Edit) error { return e.Set("a", "user", "u") }},
		{"a new account behind no line feed", "[accounts.a]\naor = \"x\"", "[accounts.a]\naor = \"x\"\n\n[accounts.b]\naor = \"y\"\n", func(e *Edit) error { return e.Set("b", "aor", "y") }},
		{"a value over lines", "[accounts.a]\naor = \"\"\"x\ny\"\"\" # c\nuser = \"u\"\n", "[accounts.a]\naor = \"z\" # c\nuser = \"u\"\n", func(e *Edit) error { return e.Set("a", "aor", "z") }},
		{"characters to escape", "", "[accounts.\"a b\"]\npassword = \"q\\\"\\\\\\u0009é\"\n", func(e *Edit) error { return e.Set("a b", "password", "q\"\\\té") }},
		{"unset", "[accounts.a]\n# c\naor = \"x\" # gone\n\nuser = \"u\"\n", "[accounts.a]\n# c\n\nuser = \"u\"\n", func(e *Edit) error { return e.Unset("a", "aor") }},
		{"unset what is not there", "[accounts.a]\n", "[accounts.a]\n", func(e *Edit) error { return e.Unset("a", "aor") }},
		{"remove the last", "[accounts.a]\naor = \"x\"\n\n[accounts.b]\naor = \"y\"\n", "[accounts.a]\naor = \"x\"\n", func(e *Edit) error { return e.Remove("b") }},
		{"remove the first", "# top\n\n[accounts.a]\naor = \"x\"\n\n[accounts.b]\naor = \"y\"\n", "# top\n\n[accounts.b]\naor = \"y\"\n", func(e *Edit) error { return e.Remove("a") }},
		{"default in an empty file", "", "default = \"a\"\n", func(e *Edit) error { return e.SetDefault("a") }},
		{"default before the tables", "# top\n[accounts.a]\n", "default = \"a\"\n\n# top\n[accounts.a]\n", func(e *Edit) error { return e.SetDefault("a") }},
		{"another default", "# top\ndefault = \"b\" # c\n[accounts.a]\n", "# top\ndefault = \"a\" # c\n[accounts.a]\n", func(e *Edit) error { return e.SetDefault("a") }},
		{"no default", "default = \"b\"\n[accounts.a]\n", "[accounts.a]\n", func(e *Edit) error { return e.SetDefault("") }},
		{"set, remove, set", "[accounts.a]\naor = \"x\"\n", "[accounts.a]\nuser = \"v\"\n", func(e *Edit) error {
			return errors.Join(e.Set("a", "user", "u"), e.Remove("a"), e.Set("a", "user", "v"))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := parse(c.before).Edit()
			if err := c.edit(e); err != nil {
				t.Fatal(err)
			}
			if string(e.text) != c.after {
				t.Errorf("%s\nwant\n%s", e.text, c.after)
			}
			parse(string(e.text))
		})
	}
	for name, text := range map[string]string{
		"inline": "accounts = { a = { aor = \"x\" } }\n",
		"dotted": "accounts.a.aor = \"x\"\n",
		"nested": "[accounts]\na = { aor = \"x\" }\n",
	} {
		if err := parse(text).Edit().Set("a", "aor", "y"); exitOf(err) != ExitUsage {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzConfigEdit(f *testing.F) {
	f.Add("[accounts.a]\naor = \"x\"\n", "aor", "y\n\"")
	f.Add("default='a'\n[accounts.'b c']\nuser=\"\"\"\n\"\"\"\n", "user", "\x00é")
	f.Fuzz(func(t *testing.T, text, key, value string) {
		known, err := FindAccountKey(key)
		if err != nil {
			return
		}
		c, err := parseConfig("f", []byte(text))
		if err != nil {
			return
		}
		e := c.Edit()
		if e.Set("a", key, value) != nil {
			return
		}
		after, err := parseConfig("f", e.text)
		if err != nil {
			t.Fatalf("%v\n%s", err, e.text)
		}
		if got := known.Get(after.Accounts["a"]); got != strings.ToValidUTF8(value, "\uFFFD") {
			t.Errorf("%q is read as %q", value, got)
		}
		for name := range c.Accounts {
			if _, ok := after.Accounts[name]; !ok {
				t.Errorf("account %q is lost", name)
			}
		}
	})
}
