package cli

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"imp/internal/agent/presence"
	"imp/internal/auth/certs"
	"imp/internal/auth/digest"
	"imp/internal/cli/kit"
	"imp/internal/sip/event"
	"imp/internal/sip/header"
	"imp/internal/sip/stack"
	"imp/internal/sip/useragent"
	"imp/internal/transport/resolve"
)

// startAgent starts the watcher and publisher of an account.
func startAgent(ctx context.Context, k *kit.Kit, acct *kit.Account) (*presence.Agent, error) {
	cfg, err := userAgentConfig(ctx, k, acct)
	if err != nil {
		return nil, err
	}
	a, err := presence.Start(ctx, cfg)
	if err != nil {
		return nil, kit.Fail(kit.ExitNetwork, "starting a user agent for "+cfg.AOR.URI, err, "the proxy must be reachable from this machine: --proxy, else that of the account")
	}
	return a, nil
}

// userAgentConfig is what every user agent of an account starts with.
func userAgentConfig(ctx context.Context, k *kit.Kit, acct *kit.Account) (useragent.Config, error) {
	self, err := acct.Self()
	if err != nil {
		return useragent.Config{}, err
	}
	secrets, err := clientTLS(acct)
	if err != nil {
		return useragent.Config{}, err
	}
	return useragent.Config{AOR: header.Address{URI: self}, Proxy: proxyTarget(acct), Product: product,
		Credentials: credentials(ctx, acct), Unproven: func(err error) { k.Warn("%v", err) },
		ClientTLS: secrets, WSPath: acct.Proxy.Path, Locate: locate(resolve.New(resolve.Config{Transports: preferred(acct.Transport)})),
		Trace: sipTracer(k), Log: k.Log()}, nil
}

// proxyTarget is the first hop of an account. A name is looked up as that of any domain is: a proxy may have SRV
// records. What has no dot, or is of the local network, only this machine's own resolver knows.
func proxyTarget(acct *kit.Account) stack.Target {
	if acct.Proxy.IsZero() {
		return stack.Target{}
	}
	t := stack.Target{Addr: acct.Proxy.Addr(), Transport: acct.Transport}
	host := strings.ToLower(strings.TrimSuffix(acct.Proxy.Host, "."))
	if _, err := netip.ParseAddr(host); err == nil || !strings.Contains(host, ".") || strings.HasSuffix(host, ".local") {
		return t
	}
	t.URI = "sip:" + t.Addr
	if t.Transport != "" {
		t.URI += ";transport=" + t.Transport
	}
	return t
}

// preferred are the transports for a domain that offers several: that of the account before the others, which a
// resolver has in its own order (nil).
func preferred(transport string) []string {
	if transport == "" {
		return nil
	}
	list := []string{transport}
	for _, t := range []string{"tls", "tcp", "udp", "wss", "ws"} {
		if t != transport {
			list = append(list, t)
		}
	}
	return list
}

// clientTLS gives how servers are verified, and what is shown to those that ask.
func clientTLS(acct *kit.Account) (func(domain string) *tls.Config, error) {
	own, err := acct.TLS() // reads the files
	if err != nil {
		return nil, err
	}
	var shown *tls.Certificate
	if len(own.Certificates) > 0 {
		shown = &own.Certificates[0]
	}
	return func(domain string) *tls.Config {
		cfg := certs.Client(domain, own.RootCAs, shown)
		if acct.Insecure {
			cfg.VerifyConnection = nil
		}
		return cfg
	}, nil
}

// credentials gives user name and password of the account to whoever asks for
// them.
func credentials(ctx context.Context, acct *kit.Account) func(realm string) (user, password string, err error) {
	return func(string) (string, string, error) {
		password, err := acct.Secret(ctx)
		if err == nil && acct.User == "" {
			err = kit.Fail(kit.ExitUsage, "user name", "the server asks for one and there is none", "it is that of --from, else of the account")
		}
		return acct.User, password, err
	}
}

// sipFailure maps what ended a SIP request to an exit status with a hint.
func sipFailure(doing string, err error) error {
	var refused *event.ResponseError
	switch {
	case errors.As(err, &refused) && refused.Cause != nil:
		return challengeFailure(doing, refused)
	case errors.As(err, &refused):
		return kit.Fail(kit.ExitRefused, doing, answerOf(refused), refusalHint(refused))
	case errors.Is(err, event.ErrNoETag):
		return kit.Fail(kit.ExitNetwork, doing, err, "the server does not keep to RFC 3903; look with -s")
	case errors.Is(err, event.ErrNoNotify):
		return kit.Fail(kit.ExitTimeout, doing, err, "the server accepted the subscription and said nothing more; look with -s")
	case errors.Is(err, stack.ErrTimeout), errors.Is(err, context.DeadlineExceeded):
		return kit.Fail(kit.ExitTimeout, doing, "no answer", "is the server running, and is the proxy right? It is that of --proxy, else of the account (imp account show)")
	case errors.Is(err, stack.ErrTransport):
		return kit.Fail(kit.ExitNetwork, doing, err, transportHint(err))
	}
	return kit.Fail(0, doing, err, "look with -s what was said")
}

// transportHint says what to do when a server could not be reached, as far as the error tells.
func transportHint(err error) string {
	var (
		authority x509.UnknownAuthorityError
		name      x509.HostnameError
		invalid   x509.CertificateInvalidError
	)
	text := err.Error()
	switch {
	case errors.As(err, &authority):
		return "trust the server's authority with --ca FILE or ca in the account; --insecure asks no authority"
	case errors.As(err, &name), strings.Contains(text, "and not for"):
		return "the proxy must be one of the names that its certificate is for; --insecure does not look at them"
	case errors.As(err, &invalid):
		return "the server needs another certificate; --insecure takes this one"
	case strings.Contains(text, "remote error: tls: certificate required"):
		return "the server asks for a certificate: give --cert FILE and --key FILE, or cert and key in the account"
	case strings.Contains(text, "remote error: tls:"):
		return "the server does not take this client's TLS or the certificate of --cert"
	case strings.Contains(text, "handshake refused: 404"):
		return "the server has no WebSocket at that path; the path follows the proxy, as in ws:HOST:PORT/ws"
	case strings.Contains(text, "over TLS only"):
		return "give --proxy tls:HOST, or proxy or transport in the account; or a sip URI"
	case errors.Is(err, resolve.ErrNotFound):
		return "give --proxy, or set proxy in the account; without it DNS must know the domain"
	}
	return "is the server running, and are address and transport of the proxy right? It is that of --proxy, else of the account (imp account show)"
}

// endHint says what the reason means for which a server ended a subscription at once.
func endHint(reason string) string {
	if reason == "rejected" {
		return "whom this presentity lets watch does not include the account in use"
	}
	return "the server does not know the target, or not any more"
}

// challengeFailure tells why a challenge was not answered, or not well.
func challengeFailure(doing string, e *event.ResponseError) error {
	var own *kit.Error
	switch {
	case errors.As(e.Cause, &own): // there is no password
		return kit.Fail(own.Exit, doing, own, own.Hint)
	case errors.Is(e.Cause, digest.ErrRejected):
		return kit.Fail(kit.ExitRefused, doing, answerOf(e),
			"user name or password is wrong; imp account show tells the user, and --auth-user, IMP_PASSWORD and --password-file give others")
	}
	return kit.Fail(kit.ExitRefused, doing, fmt.Sprintf("%v: %v", answerOf(e), e.Cause), "the server asks for credentials in a way that this client has no answer to; look with -s")
}

// answerOf is a refusal as the kit's errors carry it, with what Warning says.
func answerOf(e *event.ResponseError) kit.Answer {
	reason := e.Phrase
	if e.Warning != "" {
		reason += " (" + e.Warning + ")"
	}
	return kit.Answer{Code: e.Status, Reason: reason}
}

// refusalHint says what to do about a refusal, as far as the answer tells.
func refusalHint(e *event.ResponseError) string {
	switch {
	case e.Status == 489 && len(e.AllowEvents()) > 0:
		return fmt.Sprintf("the server has these event packages: %s", e.Field("Allow-Events"))
	case e.Status == 415 && len(e.Accept()) > 0:
		return fmt.Sprintf("the server takes these types: %s", e.Field("Accept"))
	case e.Status == 488:
		return "the server does not take the filter; imp filter apply tries it out"
	case e.Status == 423 && e.Field("Min-Expires") != "":
		return fmt.Sprintf("ask for at least --expires %s", e.Field("Min-Expires"))
	case e.Status == 404:
		return "the server has no user of that address; is it spelled right?"
	case e.Status == 413 || e.Status == 513:
		return "send less: it is more than the server takes"
	case (e.Status == 503 || e.Status == 403) && e.Field("Retry-After") != "":
		return fmt.Sprintf("try again in %s seconds", e.Field("Retry-After"))
	case e.Status == 500 && e.Phrase == "No Contact Can Be Reached":
		return "what is registered there cannot be reached any more; imp ctl registrations shows it"
	case e.Status == 403:
		return "the rules of that user, or those of the server, do not let you"
	}
	return ""
}
