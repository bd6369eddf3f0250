package cli

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"imp/internal/cli/kit"
	"imp/internal/sip/header"
	"imp/internal/sip/registration"
	"imp/internal/sip/stack"
	"imp/internal/sip/useragent"
)

// registrationFlags are what commands share that register.
type registrationFlags struct {
	expires kit.Duration
	also    []string
	q       string
}

func (f *registrationFlags) add(cmd *cobra.Command) {
	fs := cmd.Flags()
	fs.Var(&f.expires, "expires", "ask for `DURATION`; the server chooses without it")
	fs.StringArrayVar(&f.also, "also-via", nil, "register through this proxy too, `[TRANSPORT:]HOST[:PORT]`, repeatable")
	fs.StringVar(&f.q, "q", "", "the `PREFERENCE` of this device, from 0 to 1")
}

// config is what the flags and the account say.
func (f *registrationFlags) config(ua *useragent.UserAgent) (registration.Config, error) {
	cfg := registration.Config{Wire: ua.Wire, Connect: registration.Over(ua.Stack), AOR: ua.AOR, Contact: ua.Contact,
		Authenticate: ua.Authenticate, Expires: f.expires.Std()}
	if f.q != "" {
		if q, err := strconv.ParseFloat(f.q, 64); err != nil || !(q >= 0 && q <= 1) {
			return cfg, kit.Fail(kit.ExitUsage, "reading --q", fmt.Sprintf("%q is no number from 0 to 1", f.q), "write it like 0.5")
		}
		cfg.Params = header.Params{{Name: "q", Value: f.q}}
	}
	if ua.Proxy != (stack.Target{}) || len(f.also) > 0 {
		cfg.Proxies = []stack.Target{ua.Proxy}
	}
	for _, s := range f.also {
		p, err := kit.ParseProxy(s)
		if err != nil {
			return cfg, err
		}
		cfg.Proxies = append(cfg.Proxies, stack.Target{Addr: p.Addr(), Transport: p.Transport})
	}
	return cfg, nil
}

// maxInstances bounds the processes of an account that register at one time.
const maxInstances = 64

// savedInstance is what is kept of a user agent instance.
type savedInstance struct {
	URN string `json:"urn"`
}

// claimInstance gives the lasting name of this user agent instance (RFC 5626
// section 4.1). Processes that run at the same time have different ones, the
// same each time. It is ours until release is called.
func claimInstance(k *kit.Kit, aor string) (urn string, release func(), err error) {
	at, cancel := context.WithCancel(context.Background())
	cancel() // there is no waiting for a lock
	for n := 1; n <= maxInstances; n++ {
		key := fmt.Sprintf("instance/%s/%d", aor, n)
		unlock, err := k.State().Lock(at, key)
		if errors.Is(err, context.Canceled) {
			continue
		}
		if err != nil {
			return "", nil, err
		}
		var saved savedInstance
		if _, err := k.State().Get(key, &saved); err != nil {
			unlock()
			return "", nil, err
		}
		if saved.URN == "" {
			saved.URN = newURN()
			if err := k.State().Put(key, saved); err != nil {
				unlock()
				return "", nil, err
			}
		}
		return saved.URN, unlock, nil
	}
	return "", nil, kit.Fail(kit.ExitUsage, "registering "+aor, fmt.Sprintf("%d commands are registered already", maxInstances), "end some of them")
}

// newURN makes a random UUID (RFC 4122 section 4.4) as a URN.
func newURN() string {
	var b [16]byte
	rand.Read(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("urn:uuid:%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// stayRegistered keeps a registration until ctx is done and tells people what
// happens to it; told, which may be nil, sees what the registrar answers.
func stayRegistered(ctx context.Context, k *kit.Kit, r *registration.Registration, aor string, told func(registration.Registered)) error {
	err := r.Run(ctx, func(e registration.Event) {
		switch {
		case e.Err == nil:
			if e.Again {
				k.Note("%s is registered again", aor)
			}
			if told != nil {
				told(e.Registered)
			}
		case e.Retry > 0:
			k.Warn("registering %s: %v; tried again in %v", aor, e.Err, e.Retry.Round(time.Second))
		case e.Retry == 0:
			k.Note("registering %s anew: %v", aor, e.Err)
		}
	})
	if err != nil {
		return sipFailure("registering "+aor, err)
	}
	return nil
}

// errEnded is returned where a wait ended before there was a registration.
var errEnded = errors.New("not registered")

// whileRegistered registers the account, has during done, and takes the
// registration back. during is told when nothing more can come. errEnded means
// that within was over before.
func whileRegistered(ctx, within context.Context, k *kit.Kit, flags *registrationFlags, ua *useragent.UserAgent, during func(lost <-chan error) error) error {
	cfg, err := flags.config(ua)
	if err != nil {
		return err
	}
	aor := ua.AOR.URI
	var release func()
	if cfg.Instance, release, err = claimInstance(k, aor); err != nil {
		return err
	}
	defer release()
	r, err := registration.New(cfg)
	if err != nil {
		return kit.Fail(kit.ExitUsage, "registering "+aor, err, "see the command's --help for what the flags take")
	}
	limit, cancel := limited(within, k)
	_, err = r.Register(limit)
	cancel()
	if within.Err() != nil {
		if err == nil {
			unregister(ctx, k, r, aor)
		}
		return errEnded
	}
	if err != nil {
		return sipFailure("registering "+aor, err)
	}
	defer unregister(ctx, k, r, aor)
	staying, stop := context.WithCancel(within)
	defer stop()
	lost := make(chan error, 1)
	go func() { lost <- stayRegistered(staying, k, r, aor, nil) }()
	return during(lost)
}

// lasting is ctx for what is to last for a period; 0 is no limit.
func lasting(ctx context.Context, period kit.Duration) (context.Context, context.CancelFunc) {
	if period <= 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, period.Std())
}

// unregister takes back what a command registered, when it ends.
func unregister(ctx context.Context, k *kit.Kit, r *registration.Registration, aor string) {
	ctx, cancel := kit.Cleanup(ctx)
	defer cancel()
	if err := r.Remove(ctx); err != nil && !errors.Is(err, registration.ErrNotRegistered) {
		k.Warn("%v", sipFailure("unregistering "+aor, err))
	}
}
