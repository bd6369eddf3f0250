package cli

import (
	"cmp"
	"context"
	"sync/atomic"

	"imp/internal/cli/kit"
	"imp/internal/server/admin"
	"imp/internal/server/xcap"
	"imp/internal/server/xcapnotify"
	"imp/internal/sip/stack"
	"imp/internal/xcap/key"
)

// replayBytes is what is kept of answers to SUBSCRIBE over UDP. They are few beside those of a presence server, and
// somebody who floods should not have more.
const replayBytes = 16 << 20

// sipListener takes a listener for subscriptions to changes.
func (o *xcapServerOptions) sipListener(text, sip string) error {
	list, err := stack.ParseEndpoint(sip)
	if err != nil {
		return kit.Fail(kit.ExitUsage, "reading --listen "+text, err, "write it like sip+udp:127.0.0.1:5060 or sip+tls:[::1]:5061")
	}
	for _, e := range list {
		if o.auth.none && !admin.Loopback(e.Addr) {
			return kit.Fail(kit.ExitUsage, "listening at sip+"+e.String(),
				"with --no-auth only this machine may connect", "use a loopback address such as 127.0.0.1:5060, or leave --no-auth out")
		}
	}
	o.sip = append(o.sip, list...)
	return nil
}

// changeNotifier tells subscribers of changes, where there is a listener for it.
type changeNotifier struct {
	server atomic.Pointer[xcapnotify.Server]
}

// storing is the Storing of an XCAP server, which starts before.
func (c *changeNotifier) storing(k string, v key.Value) {
	if s := c.server.Load(); s != nil {
		s.Storing(k, v)
	}
}

// regenerated is the Regenerated of an XCAP server.
func (c *changeNotifier) regenerated(k string) {
	if s := c.server.Load(); s != nil {
		s.Regenerated(k)
	}
}

func (c *changeNotifier) addrs() (list []string) {
	if s := c.server.Load(); s != nil {
		for _, e := range s.Addrs() {
			list = append(list, "sip+"+e.String())
		}
	}
	return list
}

func (c *changeNotifier) drain(ctx context.Context) {
	if s := c.server.Load(); s != nil {
		s.Drain(ctx)
	}
}

func (c *changeNotifier) close() {
	if s := c.server.Load(); s != nil {
		s.Close()
	}
}

// notify starts telling of changes, where there is a listener for it.
func (o *xcapServerOptions) notify(ctx context.Context, changes *changeNotifier, cfg xcap.ServeConfig, server *xcap.Listening) error {
	if len(o.sip) == 0 {
		return nil
	}
	var roots []string
	for _, e := range server.Addrs() {
		roots = append(roots, e.Scheme+"://"+e.Addr+server.Root())
	}
	naming := cfg.Naming
	if naming.Domain == "" && len(cfg.Domains) > 0 {
		naming.Domain = cfg.Domains[0]
	}
	c := xcapnotify.ServerConfig{Stack: o.stack, Listen: o.sip, Domains: cfg.Domains, Config: xcapnotify.Config{Store: cfg.Store, Root: server.Root(),
		MaxSubscriptions: o.maxFollowed,
		RootURI:          cmp.Or(o.rootURI, roots[0]), Aliases: roots, Naming: naming, Trusted: cfg.Trusted, Generated: server, Open: cfg.Auth == nil, Log: cfg.Log}}
	if a := cfg.Auth; a != nil {
		c.Auth = &xcapnotify.Auth{Realm: a.Realm, Users: a.Users, Algorithms: a.Algorithms, NoLegacy: a.NoLegacy}
	}
	s, err := xcapnotify.Serve(ctx, c)
	if err != nil {
		return startFailure(o.name, err)
	}
	changes.server.Store(s)
	for _, u := range server.Generated("") { // what has changed since it listens was told to nobody
		s.Regenerated(key.Document(server.Root(), u))
	}
	return nil
}
