package cli

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"slices"

	"github.com/spf13/cobra"

	"imp/internal/auth/certs"
	"imp/internal/cli/kit"
	"imp/internal/sip/stack"
	"imp/internal/transport/resolve"
)

// tlsOptions are the flags of servers about certificates.
type tlsOptions struct {
	certs, keys []string
	clientCA    string
	ca          string
	own         bool // the server makes its own certificate when it is given none
}

func (o *tlsOptions) flags(cmd *cobra.Command, sip bool) {
	fs, users := cmd.Flags(), "https"
	if sip {
		users = "tls and wss"
	}
	fs.StringArrayVar(&o.certs, "cert", nil, "certificate with its chain in PEM `FILE`, for "+users+"; repeatable, each with a --key; read again on SIGHUP")
	fs.StringArrayVar(&o.keys, "key", nil, "key of the certificate in PEM `FILE`, in the order of --cert")
	fs.StringVar(&o.clientCA, "client-ca", "", "take TLS clients only with a certificate of an authority in `FILE`; read again on SIGHUP")
	if sip {
		fs.StringVar(&o.ca, "ca", "", "trust the authorities in `FILE` when connecting to other servers; those of the system without it")
		cmd.MarkFlagFilename("ca")
	}
	for _, name := range []string{"cert", "key", "client-ca"} {
		cmd.MarkFlagFilename(name)
	}
}

// secured tells whether a transport needs a certificate.
func secured(transport string) bool {
	return transport == "tls" || transport == "wss" || transport == "https"
}

// readTLS reads the certificates, nil without any. Where one is needed for an endpoint it must be there.
func (o *serverOptions) readTLS(endpoints []stack.Endpoint) (*certs.Server, error) {
	t := &o.tls
	hint := "give --cert FILE and --key FILE, each pair in the same order"
	switch i := slices.IndexFunc(endpoints, func(e stack.Endpoint) bool { return secured(e.Transport) }); {
	case len(t.certs) != len(t.keys):
		return nil, kit.Fail(kit.ExitUsage, "reading the flags", fmt.Sprintf("--cert is given %s and --key %s", times(len(t.certs)), times(len(t.keys))), hint)
	case len(t.certs) == 0 && i >= 0 && !t.own:
		return nil, kit.Fail(kit.ExitUsage, "listening at "+endpoints[i].String(), "there is no certificate for it",
			"give --cert FILE and --key FILE; imp lab makes its own")
	case len(t.certs) == 0 && t.clientCA != "":
		return nil, kit.Fail(kit.ExitUsage, "reading the flags", "--client-ca without --cert and --key", hint+", or leave --client-ca out")
	case len(t.certs) == 0:
		return nil, nil
	case i < 0:
		o.kit.Warn("there is a certificate and no listener for TLS that uses it")
	}
	pairs := make([]certs.Pair, len(t.certs))
	for i := range pairs {
		pairs[i] = certs.Pair{Cert: o.kit.Path(t.certs[i]), Key: o.kit.Path(t.keys[i])}
	}
	s, err := certs.Load(pairs, o.kit.Path(t.clientCA))
	if err != nil {
		return nil, kit.Fail(kit.ExitUsage, "starting "+o.name, err, "both are PEM files, the certificate with its chain and the key without a passphrase")
	}
	return s, nil
}

func times(n int) string {
	switch n {
	case 0:
		return "not at all"
	case 1:
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

// useTLS puts certificates and authorities into the configuration of a stack. Where the server has a certificate it
// shows that as a client too.
func (o *serverOptions) useTLS(cfg *stack.Config, server *certs.Server) error {
	var roots *x509.CertPool
	if o.tls.ca != "" {
		var err error
		if roots, err = certs.Pool(o.kit.Path(o.tls.ca)); err != nil {
			return kit.Fail(kit.ExitUsage, "reading --ca", err, "it is a PEM file of the authorities to trust")
		}
	}
	switch {
	case server == nil && roots == nil:
		return nil // those of the system, or what a lab has
	case server == nil:
		cfg.ClientTLS = func(domain string) *tls.Config { return certs.Client(domain, roots, nil) }
		return nil
	}
	listener := server.TLS() // one config for all, or no session could be resumed; it asks for the certificates of the moment
	cfg.ServerTLS = func() *tls.Config { return listener }
	cfg.ClientTLS = func(domain string) *tls.Config { return certs.Client(domain, roots, &server.TLS().Certificates[0]) }
	return nil
}

// readRoutes reads --route and has the stack find other servers by them and by DNS.
func (o *serverOptions) readRoutes(cfg *stack.Config) error {
	var routes []resolve.Route
	for _, text := range o.routes {
		r, err := resolve.ParseRoute(text)
		if err != nil {
			return kit.Fail(kit.ExitUsage, fmt.Sprintf("reading --route %q", text), err, "write it like example.com=tls:192.0.2.1:5061")
		}
		routes = append(routes, r)
	}
	cfg.Locate = locate(resolve.New(resolve.Config{Routes: routes}))
	return nil
}

// locate adapts a resolver to a stack.
func locate(r *resolve.Resolver) func(ctx context.Context, uri string) ([]stack.Target, error) {
	return func(ctx context.Context, uri string) ([]stack.Target, error) {
		found, err := r.Targets(ctx, uri)
		if err != nil {
			return nil, err
		}
		targets := make([]stack.Target, len(found))
		for i, t := range found {
			targets[i] = stack.Target{Transport: t.Transport, Addr: t.Addr, Domain: t.Domain}
		}
		return targets, nil
	}
}

// reloader is what reads files again, and what they are called.
type reloader struct {
	what   string
	reload func() error
}

// onHangup has SIGHUP read files again. Without any it ends the server, as the end of a terminal should.
func (o *serverOptions) onHangup(log *slog.Logger, files ...reloader) {
	if len(files) == 0 {
		return
	}
	o.kit.OnHangup(func() {
		for _, f := range files {
			if err := f.reload(); err != nil {
				log.Error("reading "+f.what+" again; those from before stay", "error", err)
				continue
			}
			log.Info("read again", "what", f.what)
		}
	})
}
