package lab

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"

	"imp/internal/server/xcap"
	"imp/internal/sip/identity"
	"imp/internal/sip/stack"
)

// writeAccounts writes the accounts file, readable by its owner only: an account
// for each user, and for those of the lab one more for each transport that has to
// be named, such as alice-tls.
func (l *Lab) writeAccounts() error {
	var b strings.Builder
	fmt.Fprintf(&b, "default = %q\n", l.accounts[0].Name)
	usual, others := proxies(l.presence.Addrs())
	for _, a := range l.accounts {
		l.writeAccount(&b, a, a.Name, usual, false)
	}
	for _, p := range others {
		for _, a := range l.accounts {
			if slices.Contains(Users, a.Name) {
				l.writeAccount(&b, a, a.Name+"-"+p.Transport, p.String(), secured(p))
			}
		}
	}
	// A file that is there already may be readable by others.
	if err := os.Remove(l.ConfigFile); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.WriteFile(l.ConfigFile, []byte(b.String()), 0o600)
}

func (l *Lab) writeAccount(b *strings.Builder, a Account, name, proxy string, secure bool) {
	aor := identity.AOR(a.Name, Domain)
	fmt.Fprintf(b, "\n[accounts.%s]\naor = %q\nproxy = %q\n", tomlKey(name), aor, proxy)
	if aor != "sip:"+a.Name+"@"+Domain {
		fmt.Fprintf(b, "user = %q\n", a.Name)
	}
	if a.Password != "" {
		fmt.Fprintf(b, "password = %q\n", a.Password)
	}
	if root := l.xcapRoot(secure); root != "" {
		fmt.Fprintf(b, "xcap_root = %q\n", root)
	}
	if relay := l.relayURI(); relay != "" {
		fmt.Fprintf(b, "msrp_relay = %q\n", relay)
	}
	if l.CAFile != "" {
		fmt.Fprintf(b, "ca = %q\n", l.CAFile)
	}
}

// xcapRoot is the URI at which accounts find documents, over TLS or not as far as
// there is a choice.
func (l *Lab) xcapRoot(secure bool) (root string) {
	for _, e := range l.xcap.Addrs() {
		if root == "" || secure == (e.Scheme == "https") {
			root = e.Scheme + "://" + reachable(e.Addr) + xcap.DefaultRoot
		}
	}
	return root
}

// proxies are the addresses for accounts: the usual one, without a transport where
// udp and tcp share it, and one for each transport that has to be named.
func proxies(endpoints []stack.Endpoint) (usual string, others []stack.Endpoint) {
	for _, e := range endpoints {
		e.Addr = reachable(e.Addr)
		if shared(endpoints, e) {
			if usual == "" {
				usual = e.Addr
			}
		} else if !slices.ContainsFunc(others, func(o stack.Endpoint) bool { return o.Transport == e.Transport }) {
			others = append(others, e)
		}
	}
	if usual == "" {
		usual = others[0].String()
	}
	return usual, others
}

// shared tells whether an address serves udp and tcp, so that clients may choose.
func shared(endpoints []stack.Endpoint, e stack.Endpoint) bool {
	serves := func(transport string) bool {
		return slices.ContainsFunc(endpoints, func(o stack.Endpoint) bool { return o.Transport == transport && reachable(o.Addr) == e.Addr })
	}
	return (e.Transport == "udp" || e.Transport == "tcp") && serves("udp") && serves("tcp")
}

// reachable is the address at which this machine reaches a listener.
func reachable(addr string) string {
	at, err := netip.ParseAddrPort(addr)
	switch {
	case err != nil || !at.Addr().IsUnspecified():
		return addr
	case at.Addr().Is4():
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), at.Port()).String()
	}
	return netip.AddrPortFrom(netip.IPv6Loopback(), at.Port()).String()
}

// tomlKey writes a key, in quotes where it needs them.
func tomlKey(s string) string {
	if strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") == "" {
		return s
	}
	return strconv.Quote(s)
}
