package cli

import (
	"context"
	"errors"
	"fmt"

	"imp/internal/agent/presence"
	"imp/internal/auth/digest"
	"imp/internal/cli/kit"
	"imp/internal/sip/event"
	"imp/internal/sip/header"
	"imp/internal/sip/stack"
	"imp/internal/sip/useragent"
)

// startAgent starts the watcher and publisher of an account.
func startAgent(ctx context.Context, k *kit.Kit, acct *kit.Account) (*presence.Agent, error) {
	cfg, err := userAgentConfig(ctx, k, acct)
	if err != nil {
		return nil, err
	}
	a, err := presence.Start(ctx, cfg)
	if err != nil {
		return nil, kit.Fail(kit.ExitNetwork, "starting a user agent for "+cfg.AOR.URI, err, "")
	}
	return a, nil
}

// userAgentConfig is what every user agent of an account starts with.
func userAgentConfig(ctx context.Context, k *kit.Kit, acct *kit.Account) (useragent.Config, error) {
	self, err := acct.Self()
	if err != nil {
		return useragent.Config{}, err
	}
	for _, transport := range []string{acct.Proxy.Transport, acct.Transport} {
		switch transport {
		case "", "udp", "tcp":
		default:
			return useragent.Config{}, kit.Fail(kit.ExitUsage, "reaching "+acct.Proxy.Addr(), "transport "+transport+" is not built yet", "use udp or tcp")
		}
	}
	proxy := stack.Target{Addr: acct.Proxy.Addr(), Transport: acct.Proxy.Transport}
	if proxy.Transport == "" {
		proxy.Transport = acct.Transport
	}
	if acct.Proxy.IsZero() {
		proxy = stack.Target{}
	}
	return useragent.Config{AOR: header.Address{URI: self}, Proxy: proxy, Product: product,
		Credentials: credentials(ctx, acct), Unproven: func(err error) { k.Warn("%v", err) },
		Trace: sipTracer(k), Log: k.Log()}, nil
}

// credentials gives user name and password of the account to whoever asks for
// them.
func credentials(ctx context.Context, acct *kit.Account) func(realm string) (user, password string, err error) {
	return func(string) (string, string, error) {
		password, err := acct.Secret(ctx)
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
		return kit.Fail(kit.ExitNetwork, doing, err, "is the server running, and is the proxy right? It is that of --proxy, else of the account (imp account show)")
	}
	return kit.Fail(0, doing, err, "")
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
	return kit.Fail(kit.ExitRefused, doing, fmt.Sprintf("%v: %v", answerOf(e), e.Cause), "")
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
	case e.Status == 423 && e.Field("Min-Expires") != "":
		return fmt.Sprintf("ask for at least --expires %s", e.Field("Min-Expires"))
	case (e.Status == 503 || e.Status == 403) && e.Field("Retry-After") != "":
		return fmt.Sprintf("try again in %s seconds", e.Field("Retry-After"))
	}
	return ""
}
