package cli

import (
	"context"
	"crypto/tls"
	"strings"
	"sync"
	"sync/atomic"

	"imp/internal/cli/kit"
	"imp/internal/server/admin"
	"imp/internal/server/presence"
	"imp/internal/server/xcap"
	"imp/internal/server/xcapnotify"
	"imp/internal/sip/event"
	"imp/internal/xcap/key"
	"imp/internal/xcap/uri"
)

// presenceDocuments serves the documents that a presence server reads, over XCAP,
// where it has a listener for that.
type presenceDocuments struct {
	server  *xcap.Listening
	changes atomic.Pointer[xcapnotify.Package]
	ran     sync.WaitGroup
	stop    context.CancelFunc
}

// documentListeners takes those for HTTP out of --listen.
func (o *presenceServerOptions) documentListeners() (list []xcap.Endpoint, err error) {
	var sip []string
	for _, l := range o.listen {
		if !strings.HasPrefix(l, "http:") && !strings.HasPrefix(l, "https:") {
			sip = append(sip, l)
			continue
		}
		e, err := o.xcapEndpoint(l)
		if err != nil {
			return nil, err
		}
		list = append(list, e)
	}
	if len(sip) == 0 {
		return nil, kit.Fail(kit.ExitUsage, "reading --listen", "there is no listener for SIP", "give one for SIP too, or use imp xcap-server")
	}
	o.listen = sip
	return list, nil
}

// serveDocuments makes those of cfg's store reachable, nothing without endpoints.
func (o *presenceServerOptions) serveDocuments(ctx context.Context, endpoints []xcap.Endpoint, listener *tls.Config, cfg *presence.ServerConfig) (*presenceDocuments, error) {
	d := &presenceDocuments{}
	if len(endpoints) == 0 {
		return d, nil
	}
	c := xcap.ServeConfig{Listen: endpoints, MaxConnections: o.maxConnections, Config: xcap.Config{Store: cfg.Store, Root: cfg.XCAPRoot,
		Domains: cfg.Domains, Known: cfg.Known, Product: product, Log: cfg.Log}}
	if listener != nil {
		c.TLS = func() *tls.Config { return listener }
	}
	if a := cfg.Auth; a != nil {
		c.Auth = &xcap.Auth{Realm: a.Realm, Users: a.Users, Algorithms: a.Algorithms, NoLegacy: a.NoLegacy}
	}
	c.Storing = func(k string, v key.Value) {
		if p := d.changes.Load(); p != nil {
			p.Storing(k, v)
		}
	}
	c.Regenerated = func(k string) {
		if p := d.changes.Load(); p != nil {
			p.Regenerated(k)
		}
	}
	var err error
	if d.server, err = xcap.Serve(ctx, c); err != nil {
		return nil, startFailure(o.name, err)
	}
	roots := d.roots()
	naming := uri.Naming{}
	if len(cfg.Domains) > 0 {
		naming.Domain = cfg.Domains[0]
	}
	p, err := xcapnotify.New(xcapnotify.Config{Store: cfg.Store, Root: d.server.Root(), RootURI: roots[0], Aliases: roots, Naming: naming,
		Generated: d.server, Open: cfg.Auth == nil, Log: cfg.Log})
	if err != nil {
		d.close()
		return nil, startFailure(o.name, err)
	}
	d.changes.Store(p)
	cfg.Packages = append(cfg.Packages, p)
	return d, nil
}

// roots are the URIs of the XCAP root.
func (d *presenceDocuments) roots() (list []string) {
	for _, a := range d.addrs() {
		scheme, host, _ := strings.Cut(a, ":")
		list = append(list, scheme+"://"+host+d.server.Root())
	}
	return list
}

// follow tells subscribers of changes until close.
func (d *presenceDocuments) follow(ctx context.Context, n *event.Notifier) {
	if p := d.changes.Load(); p != nil {
		ctx, d.stop = context.WithCancel(context.WithoutCancel(ctx))
		d.ran.Go(func() { p.Run(ctx, n, nil) })
	}
}

// addrs are the addresses of the listeners.
func (d *presenceDocuments) addrs() (list []string) {
	if d.server != nil {
		for _, e := range d.server.Addrs() {
			list = append(list, e.String())
		}
	}
	return list
}

// admin is what imp ctl gets of the documents, nil without any.
func (d *presenceDocuments) admin() *admin.Documents {
	if d.server == nil {
		return nil
	}
	return xcapDocuments(d.server.Server)
}

func (d *presenceDocuments) drain(ctx context.Context) {
	if d.server != nil {
		d.server.Drain(ctx)
	}
}

func (d *presenceDocuments) close() {
	if d.stop != nil {
		d.stop()
		d.ran.Wait()
	}
	if d.server != nil {
		d.server.Close()
	}
}
