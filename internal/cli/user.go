package cli

import (
	"context"

	"imp/internal/cli/kit"
	"imp/internal/sip/stack"
	"imp/internal/sip/useragent"
)

// startUser starts the user agent of an account that neither watches nor
// publishes. prepare, which may be nil, sets its handlers; listen are the
// endpoints to be reached at, none for those that suit the proxy.
func startUser(ctx context.Context, k *kit.Kit, acct *kit.Account, prepare func(*useragent.UserAgent), listen ...stack.Endpoint) (*useragent.UserAgent, error) {
	cfg, err := userAgentConfig(ctx, k, acct)
	if err != nil {
		return nil, err
	}
	cfg.Listen = listen
	ua, err := useragent.New(cfg)
	if err != nil {
		return nil, kit.Fail(kit.ExitUsage, "starting a user agent for "+cfg.AOR.URI, err, "the address of record is that of --from, else of the account")
	}
	if prepare != nil {
		prepare(ua)
	}
	if err := ua.Listen(ctx); err != nil {
		if len(listen) > 0 {
			return nil, kit.Fail(kit.ExitNetwork, "starting a user agent for "+cfg.AOR.URI, err, "--listen takes a free address of this machine; port 0 is any free port")
		}
		return nil, kit.Fail(kit.ExitNetwork, "starting a user agent for "+cfg.AOR.URI, err, "the proxy must be reachable from this machine: --proxy, else that of the account")
	}
	return ua, nil
}
