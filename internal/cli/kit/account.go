package kit

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
)

// Transports are the words that a proxy and the setting transport take.
var Transports = []string{"udp", "tcp", "tls", "ws", "wss"}

// Account is who a command acts as, and over what: the account of the file, with what flags say on top. All fields may be empty when no account is chosen.
type Account struct {
	Name      string // in the file; "" = made of flags only
	AOR       string // "sip:alice@example.com"
	User      string // for authentication
	Domain    string // of the AOR, with the port if it has one
	Proxy     Proxy  // zero: found by DNS
	Transport string // preferred transport: that of the proxy, else the setting; "" = none
	XCAPRoot  string
	MSRPRelay string
	CA        string
	Cert, Key string
	Insecure  bool

	kit    *Kit
	fields Fields
	secret secret
}

// Proxy is where requests are sent first.
type Proxy struct {
	Transport string // "" = not said
	Host      string // without brackets
	Port      int    // 0 = the default of the transport
	Path      string // of WebSocket, with its slash; "" = the usual one
}

// ParseProxy reads [udp:|tcp:|tls:|ws:|wss:]HOST[:PORT]; an IPv6 HOST is in brackets. For ws and wss a path may follow.
func ParseProxy(s string) (Proxy, error) {
	p := Proxy{Host: s}
	if word, rest, ok := strings.Cut(s, ":"); ok && slices.Contains(Transports, strings.ToLower(word)) {
		p.Transport, p.Host = strings.ToLower(word), rest
	}
	if at := strings.IndexByte(p.Host, '/'); at >= 0 && strings.HasPrefix(p.Transport, "ws") {
		p.Host, p.Path = p.Host[:at], p.Host[at:]
	}
	bad := func(what string) (Proxy, error) {
		return Proxy{}, Fail(ExitUsage, fmt.Sprintf("proxy %q", s), what, "a proxy is [udp:|tcp:|tls:|ws:|wss:]HOST[:PORT], such as tcp:sip.example.com:5060; a path may follow for ws and wss")
	}
	if host, port, err := net.SplitHostPort(p.Host); err == nil {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 {
			return bad("the port is not a number from 1 to 65535")
		}
		p.Host, p.Port = host, int(n)
	} else {
		if inner, ok := strings.CutPrefix(p.Host, "["); ok && strings.HasSuffix(inner, "]") {
			p.Host = inner[:len(inner)-1]
		}
		if strings.Contains(p.Host, ":") && net.ParseIP(p.Host) == nil {
			return bad("the host is not understood")
		}
	}
	if p.Host == "" || strings.ContainsAny(p.Host, " \t/@;?<>\"[]") || strings.ContainsAny(p.Path, " \t?#<>\"") {
		return bad("the host is not understood")
	}
	return p, nil
}

// IsZero reports whether there is no proxy.
func (p Proxy) IsZero() bool { return p.Host == "" }

// Addr returns HOST:PORT, or HOST alone when there is no port, for the stack.
func (p Proxy) Addr() string {
	if p.Port == 0 {
		return p.Host
	}
	return net.JoinHostPort(p.Host, strconv.Itoa(p.Port))
}

// AccountFlags adds the settings of an account as flags to a command that talks to a server. Extra names further ones: xcap-root, msrp-relay.
func (k *Kit) AccountFlags(cmd *cobra.Command, extra ...string) {
	fs, o := cmd.Flags(), &k.Overrides
	fs.Var(given{&o.AOR}, "from", "act as `URI`")
	fs.Var(given{&o.Proxy}, "proxy", "send to `[TRANSPORT:]HOST[:PORT]` (udp, tcp, tls, ws, wss)")
	fs.Var(given{&o.User}, "auth-user", "user `NAME` for authentication")
	fs.Var(given{&o.Password}, "password", "`SECRET` for authentication; other users can see it")
	fs.Var(given{&o.PasswordFile}, "password-file", "read the secret from `FILE`")
	fs.BoolVar(&o.PasswordStdin, "password-stdin", false, "read the secret from the first line of stdin")
	fs.Var(given{&o.CA}, "ca", "trust the authorities in `FILE`")
	fs.Var(given{&o.Cert}, "cert", "client certificate in `FILE`")
	fs.Var(given{&o.Key}, "key", "key of the client certificate in `FILE`")
	fs.BoolVar(&o.Insecure, "insecure", false, "do not verify certificates")
	if slices.Contains(extra, "xcap-root") {
		fs.Var(given{&o.XCAPRoot}, "xcap-root", "XCAP root `URI`")
	}
	if slices.Contains(extra, "msrp-relay") {
		fs.Var(given{&o.MSRPRelay}, "msrp-relay", "MSRP relay `URI`")
	}
	names := append([]string{"from", "proxy", "auth-user", "password", "password-file", "password-stdin", "ca", "cert", "key", "insecure"}, extra...)
	FlagGroup(fs, "Who and where, instead of the account (see imp-accounts(5))", names...)
	cmd.MarkFlagsMutuallyExclusive("password", "password-file", "password-stdin")
	for _, name := range []string{"ca", "cert", "key", "password-file"} {
		cmd.MarkFlagFilename(name)
	}
}

// Account returns who the command acts as: the account of -a, else $IMP_ACCOUNT, else the file's default, with the flags of AccountFlags on top. Without any of them, and with no flags,
// the fields are empty. Errors have status 2.
func (k *Kit) Account() (*Account, error) {
	c, err := k.LoadConfig()
	if err != nil {
		return nil, err
	}
	name := k.ChosenAccount(c)
	var f Fields
	if name != "" {
		if f, err = c.Find(name); err != nil {
			return nil, err
		}
		if err := CheckSecrets(f); err != nil {
			return nil, err
		}
		for _, p := range []*string{&f.PasswordFile, &f.CA, &f.Cert, &f.Key} {
			*p = k.expand(*p, c.Path)
		}
	}
	return k.resolve(name, f)
}

// ChosenAccount returns the name of the account to use: that of -a, of $IMP_ACCOUNT, or the default; "" = none.
func (k *Kit) ChosenAccount(c *Config) string {
	if k.AccountName != "" {
		return k.AccountName
	}
	if v := k.Env("IMP_ACCOUNT"); v != "" {
		return v
	}
	return c.Default
}

// resolve lays the flags over the file's settings and checks them.
func (k *Kit) resolve(name string, f Fields) (*Account, error) {
	a := &Account{Name: name, kit: k}
	flags := k.Overrides
	for _, p := range []*string{&flags.PasswordFile, &flags.CA, &flags.Cert, &flags.Key} {
		*p = k.Path(*p)
	}
	a.secret = secretOf(k, flags, f)
	for _, key := range AccountKeys {
		if v := key.Get(flags); v != "" {
			*key.In(&f) = v
		}
	}
	a.fields, a.Insecure = f, flags.Insecure
	a.User, a.XCAPRoot, a.MSRPRelay = f.User, strings.TrimSuffix(f.XCAPRoot, "/"), f.MSRPRelay
	a.CA, a.Cert, a.Key = f.CA, f.Cert, f.Key
	if err := CheckFields(f); err != nil {
		return nil, err
	}
	if f.AOR != "" {
		aor, user, domain, _ := ParseAOR(f.AOR)
		a.AOR, a.Domain = aor, domain
		if a.User == "" {
			a.User = user
		}
	}
	if f.Proxy != "" {
		a.Proxy, _ = ParseProxy(f.Proxy)
	}
	a.Transport = f.Transport
	if a.Proxy.Transport != "" {
		a.Transport = a.Proxy.Transport
	}
	if a.Insecure {
		k.Warn("--insecure: the server's certificate is not verified")
	}
	return a, nil
}

// CheckFields reports the first setting that cannot be right; the error has status 2.
func CheckFields(f Fields) error {
	if f.AOR != "" {
		if _, _, _, err := ParseAOR(f.AOR); err != nil {
			return err
		}
	}
	if f.Proxy != "" {
		if _, err := ParseProxy(f.Proxy); err != nil {
			return err
		}
	}
	if f.Transport != "" && !slices.Contains(Transports, f.Transport) {
		return Fail(ExitUsage, fmt.Sprintf("transport %q", f.Transport), "must be "+or(Transports), "without it the transport follows from the proxy and from DNS")
	}
	if u, err := url.Parse(f.XCAPRoot); f.XCAPRoot != "" && (err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "") {
		return Fail(ExitUsage, fmt.Sprintf("xcap_root %q", f.XCAPRoot), "it is no http or https URI without a query", "write it like https://xcap.example.com/xcap-root")
	}
	if (f.Cert == "") != (f.Key == "") {
		return Fail(ExitUsage, "client certificate", "cert and key go together", "give --cert FILE and --key FILE, or set both in the account")
	}
	return nil
}

// CheckSecrets reports that the settings have more than one source for the password; the error has status 2.
func CheckSecrets(f Fields) error {
	n := 0
	for _, v := range []string{f.Password, f.PasswordFile, f.PasswordCommand} {
		if v != "" {
			n++
		}
	}
	if n > 1 {
		return Fail(ExitUsage, "password", "password, password_file and password_command exclude each other", "imp account unset NAME KEY removes one")
	}
	return nil
}

// ParseAOR reads an address of record, sip:USER@HOST[:PORT] where sip: may be left out, and returns it in full with its parts. The error has status 2.
func ParseAOR(s string) (aor, user, domain string, err error) {
	scheme, rest := "sip", s
	if name, r, ok := cutScheme(s); ok {
		scheme, rest = name, r
	}
	at := strings.LastIndexByte(rest, '@')
	if at <= 0 || at == len(rest)-1 || scheme == "tel" || strings.ContainsAny(rest, " \t\r\n<>\"") || strings.ContainsAny(rest[at:], ";?") {
		return "", "", "", Fail(ExitUsage, fmt.Sprintf("address of record %q", s), "it is not sip:USER@DOMAIN", "write it like sip:alice@example.com")
	}
	user, domain = rest[:at], strings.ToLower(rest[at+1:])
	return scheme + ":" + user + "@" + domain, user, domain, nil
}

// targetSchemes are those that are seen as such in a target; all others would be a user and a port.
var targetSchemes = []string{"sip", "sips", "pres", "im", "tel"}

// cutScheme splits a URI behind its scheme if that is one of targetSchemes.
func cutScheme(s string) (scheme, rest string, ok bool) {
	scheme, rest, ok = strings.Cut(s, ":")
	scheme = strings.ToLower(scheme)
	return scheme, rest, ok && slices.Contains(targetSchemes, scheme)
}

// Self returns the account's address of record; without one the error has status 2 and a hint.
func (a *Account) Self() (string, error) {
	if a.AOR == "" {
		return "", Fail(ExitUsage, "account", "there is no address to act as", "give --from URI, or imp account add NAME --aor URI")
	}
	return a.AOR, nil
}

// Target completes what the user typed as a target: "bob" gets the account's domain, "bob@example.com" gets sip:, a URI with sip:, sips:, pres: or im: is kept, "" is the account
// itself. Errors have status 2 and a hint.
func (a *Account) Target(s string) (string, error) {
	if s == "" {
		return a.Self()
	}
	if strings.ContainsAny(s, " \t\r\n<>\"") {
		return "", Fail(ExitUsage, fmt.Sprintf("target %q", s), "it has characters that no URI has", "write blanks as %20")
	}
	if scheme, rest, ok := cutScheme(s); ok {
		if scheme == "tel" {
			return "", Fail(ExitUsage, fmt.Sprintf("target %q", s), "a telephone number alone does not say which server knows it", "write it like sip:"+rest+"@example.com;user=phone")
		}
		if rest == "" {
			return "", Fail(ExitUsage, fmt.Sprintf("target %q", s), "nothing follows the scheme", "write it like "+scheme+":alice@example.com")
		}
		return scheme + ":" + rest, nil
	}
	scheme := "sip"
	if strings.HasPrefix(a.AOR, "sips:") {
		scheme = "sips"
	}
	switch at := strings.LastIndexByte(s, '@'); {
	case at == 0 || at == len(s)-1:
		return "", Fail(ExitUsage, fmt.Sprintf("target %q", s), "user or domain is missing", "write it like alice@example.com, or alice for a user of the account's domain")
	case at > 0:
		return scheme + ":" + s, nil
	case a.Domain == "":
		return "", Fail(ExitUsage, fmt.Sprintf("target %q", s), "there is no account to take the domain from", "write "+s+"@DOMAIN, or give --from URI")
	}
	return scheme + ":" + s + "@" + a.Domain, nil
}

const caHint = "ca is a PEM file with the certificates of the authorities to trust; without it those of the system are"

// TLS returns the configuration for connections to servers: verified against the account's authorities or the system's, with its client certificate. Errors have status 2.
func (a *Account) TLS() (*tls.Config, error) {
	cfg := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: a.Insecure}
	if a.CA != "" {
		pem, err := os.ReadFile(a.CA)
		if err != nil {
			return nil, Fail(ExitUsage, "reading ca "+a.CA, plainCause(err), caHint)
		}
		cfg.RootCAs = x509.NewCertPool()
		if !cfg.RootCAs.AppendCertsFromPEM(pem) {
			return nil, Fail(ExitUsage, "reading ca "+a.CA, "it has no certificate in PEM form", caHint)
		}
	}
	if a.Cert != "" {
		pair, err := tls.LoadX509KeyPair(a.Cert, a.Key)
		if err != nil {
			return nil, Fail(ExitUsage, fmt.Sprintf("reading cert %s and key %s", a.Cert, a.Key), plainCause(err), "cert is a PEM file with the certificate and its chain, key one with its key and without a passphrase")
		}
		cfg.Certificates = []tls.Certificate{pair}
	}
	return cfg, nil
}
