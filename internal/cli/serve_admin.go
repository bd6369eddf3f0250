package cli

import (
	"context"
	"errors"
	"io"
	"iter"
	"log/slog"
	"os"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"imp/internal/cli/kit"
	"imp/internal/server/admin"
	"imp/internal/server/registrar"
	"imp/internal/server/relay"
	"imp/internal/server/xcap"
	"imp/internal/sip/event"
	"imp/internal/sip/stack"
)

// adminOptions are the flags of servers about the door for those who run them.
type adminOptions struct {
	addr  string
	token string // file
}

func (o *adminOptions) flags(cmd *cobra.Command, addr string) {
	fs := cmd.Flags()
	fs.StringVar(&o.addr, "admin", addr, "tell health, metrics and what is live over HTTP at `HOST:PORT`, for imp ctl; port 0: any")
	fs.StringVar(&o.token, "admin-token", "", "ask for the token in `FILE`, which imp ctl then needs too, and which is sent in the clear; without it HOST is a loopback address")
	cmd.MarkFlagFilename("admin-token")
}

// served is what a presence server tells of itself.
type served interface {
	Addrs() []stack.Endpoint
	Stats() stack.Stats
	Subscriptions(resource, after string, limit int) ([]event.Info, bool)
	SubscriptionCount() int
	Publications(ctx context.Context, resource, after string, limit int) ([]event.Listed, bool, error)
	PublicationCount(ctx context.Context) (int, error)
	Drain(ctx context.Context) error
}

// presenceAdmin is what a presence server with its registrar tells.
func (o *serverOptions) presenceAdmin(s served, bindings *registrar.Registrar, log *slog.Logger) admin.Config {
	return admin.Config{Server: o.name, Version: Version, Level: &o.level, Log: log, Stack: s.Stats,
		Listen:            func() []string { return addresses(s.Addrs()) },
		Subscriptions:     subscriptionRows(s),
		SubscriptionCount: s.SubscriptionCount,
		Publications:      publicationRows(s),
		PublicationCount: func() int {
			n, err := s.PublicationCount(context.Background())
			if err != nil {
				log.Error("counting publications", "error", err)
			}
			return n
		},
		Registrations:     registrationRows(bindings),
		RegistrationCount: bindings.Count,
		Drain:             s.Drain}
}

// openAdmin opens the door to a server, nil without --admin; the token is added to what it is told.
func (o *serverOptions) openAdmin(cfg admin.Config) (*admin.Server, error) {
	if o.admin.addr == "" {
		return nil, nil
	}
	doing := "opening --admin " + o.admin.addr
	var err error
	if cfg.Token, err = o.adminToken(); err != nil {
		return nil, err
	}
	a, err := admin.Listen(o.admin.addr, cfg)
	switch {
	case errors.Is(err, admin.ErrPublic):
		return nil, kit.Fail(kit.ExitUsage, doing, admin.ErrPublic, "use a loopback address such as 127.0.0.1:9060, or give --admin-token FILE")
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, kit.Fail(kit.ExitNetwork, doing, "address already in use", "another program listens there; choose another port, port 0 takes a free one")
	case err != nil:
		return nil, kit.Fail(kit.ExitNetwork, doing, err, "write it like 127.0.0.1:9060, with an address of this machine")
	}
	return a, nil
}

// adminToken reads the file of --admin-token.
func (o *serverOptions) adminToken() (string, error) {
	if o.admin.token == "" {
		return "", nil
	}
	return readToken(o.kit, o.admin.token)
}

// maxToken bounds a token, in bytes.
const maxToken = 4096

// readToken gives the first line of a file.
func readToken(k *kit.Kit, file string) (string, error) {
	doing := "reading token " + file
	f, err := os.Open(k.Path(file))
	if err != nil {
		return "", kit.Fail(kit.ExitUsage, doing, err, "the file's first line is the token, any text without blanks")
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxToken+1))
	if err != nil {
		return "", kit.Fail(kit.ExitUsage, doing, err, "the file's first line is the token, any text without blanks")
	}
	line, _, _ := strings.Cut(string(data), "\n")
	line = strings.TrimSuffix(line, "\r")
	if line == "" || len(line) > maxToken || strings.ContainsFunc(line, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return "", kit.Fail(kit.ExitUsage, doing, "its first line is no token", "a token is any text of ASCII without blanks, such as what this prints: openssl rand -hex 16")
	}
	return line, nil
}

// addresses writes endpoints as they are told.
func addresses(endpoints []stack.Endpoint) []string {
	list := make([]string, len(endpoints))
	for i, e := range endpoints {
		list[i] = e.String()
	}
	return list
}

// subscriptionRows adapts a server to the list of the admin interface.
func subscriptionRows(s served) admin.Lister[admin.Subscription] {
	return func(_ context.Context, q admin.Query) ([]admin.Subscription, bool, error) {
		infos, more := s.Subscriptions(q.Resource, q.After, q.Limit)
		rows := make([]admin.Subscription, len(infos))
		for i, in := range infos {
			rows[i] = admin.Subscription{ID: in.ID, Package: in.Package, Resource: in.Resource, Watcher: in.Watcher,
				State: in.State.String(), Reason: in.Reason, Expires: in.Expires}
		}
		return rows, more, nil
	}
}

// publicationRows adapts a server to the list of the admin interface.
func publicationRows(s served) admin.Lister[admin.Publication] {
	return func(ctx context.Context, q admin.Query) ([]admin.Publication, bool, error) {
		list, more, err := s.Publications(ctx, q.Resource, q.After, q.Limit)
		if err != nil {
			return nil, false, err
		}
		rows := make([]admin.Publication, len(list))
		for i, p := range list {
			rows[i] = admin.Publication{ID: p.Key, ETag: p.Tag(), Package: p.Event, Resource: p.Resource, BodyType: p.Type,
				Size: len(p.Body), Published: p.Published, Expires: p.Expires}
		}
		return rows, more, nil
	}
}

// xcapDocuments adapts an XCAP server to exports and imports.
func xcapDocuments(s *xcap.Server) *admin.Documents {
	return &admin.Documents{
		All: func(ctx context.Context) iter.Seq2[admin.Document, error] {
			return func(yield func(admin.Document, error) bool) {
				for d, err := range s.Documents(ctx) {
					if !yield(admin.Document(d), err) {
						return
					}
				}
			}
		},
		Serve: s.ServeOperator,
	}
}

// sessionRows adapts a relay to the list of the admin interface. A resource is a user of the relay, as sip:user@domain.
func sessionRows(r *relay.Relay) admin.Lister[admin.Session] {
	return func(_ context.Context, q admin.Query) ([]admin.Session, bool, error) {
		var of func(string) bool
		if q.Resource != "" {
			aor := strings.TrimPrefix(q.Resource, "sip:")
			name, _, _ := strings.Cut(aor, "@")
			of = func(user string) bool { return user == name || user == aor }
		}
		list, more := r.Sessions(of, q.After, q.Limit)
		rows := make([]admin.Session, len(list))
		for i, s := range list {
			rows[i] = admin.Session{ID: s.ID, User: s.User, Client: s.Client, Relay: s.Relay, Transport: s.Transport, Remote: s.Remote,
				Sends: s.Sends, BytesOut: s.BytesOut, BytesIn: s.BytesIn, Reports: s.Reports, Failures: s.Failures, Expires: s.Expires}
		}
		return rows, more, nil
	}
}

// relayFigures adapts the figures of a relay.
func relayFigures(r *relay.Relay) func() admin.Relay {
	return func() admin.Relay { return admin.Relay(r.Stats()) }
}
