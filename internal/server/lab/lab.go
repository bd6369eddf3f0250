// Package lab brings up all servers of imp in one process, with users, an
// accounts file and addresses of its own, for trying things out: nothing is
// left when it is closed.
package lab

import (
	"context"
	"crypto/rand"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"imp/internal/server/presence"
	"imp/internal/server/registrar"
	"imp/internal/server/relay"
	"imp/internal/server/rls"
	"imp/internal/server/xcap"
	"imp/internal/server/xcapnotify"
	"imp/internal/sip/event"
	"imp/internal/sip/identity"
	"imp/internal/sip/stack"
	"imp/internal/store/memory"
	"imp/internal/xcap/key"
	"imp/internal/xcap/uri"
)

// Domain is the domain of the lab's users; names under test never resolve in
// the DNS (RFC 6761).
const Domain = "lab.test"

// Users are the lab's users.
var Users = []string{"alice", "bob", "carol"}

// Account is a user with an account in the lab's file: a name, or NAME@DOMAIN,
// and the password; "" without authentication.
type Account struct{ Name, Password string }

// NewAccounts makes an account for each of the lab's users, with passwords that
// nobody guesses.
func NewAccounts() []Account {
	accounts := make([]Account, len(Users))
	for i, u := range Users {
		accounts[i] = Account{u, strings.ToLower(rand.Text())}
	}
	return accounts
}

// Config holds what a lab is told.
type Config struct {
	// Accounts are those of the accounts file, the default first; nil: those of
	// the lab's users, without passwords.
	Accounts []Account
	// Auth is who is let in; nil: everybody is who he says.
	Auth *presence.Auth
	// Known tells who exists; nil: who has an account.
	Known       func(user, domain string) bool
	Dir         string           // kept at the end; "" makes a temporary one, which goes
	Listen      []stack.Endpoint // of SIP, nil: Everywhere
	XCAP        []xcap.Endpoint  // nil: http and https on loopback
	Relay       []stack.Endpoint // of MSRP, nil: tls and wss on loopback
	Policy      presence.Policy
	MinInterval time.Duration // between NOTIFYs of one subscription; 0 is none
	// Stack without ServerTLS gets a certificate of the lab's own authority where
	// there is a listener for TLS; all servers of the lab show it.
	Stack stack.Config
	Log   *slog.Logger
}

// Lab is a running lab.
type Lab struct {
	Dir        string
	ConfigFile string // accounts of all users, alice the default
	StateDir   string // for IMP_STATE of commands run in the lab
	CAFile     string // certificate of the lab's authority, "" without one
	temporary  bool
	accounts   []Account
	store      *memory.Store
	presence   *presence.Server
	registrar  *registrar.Registrar
	xcap       *xcap.Listening
	relay      *relay.Relay
	relayAt    []stack.Endpoint
	changes    atomic.Pointer[xcapnotify.Package] // of documents
	lists      *rls.Server
	stop       context.CancelFunc // of what follows them
	ran        sync.WaitGroup
}

// Start brings a lab up; all servers serve when it returns.
func Start(ctx context.Context, cfg Config) (*Lab, error) {
	l := &Lab{Dir: cfg.Dir, temporary: cfg.Dir == "", accounts: cfg.Accounts}
	if l.accounts == nil {
		for _, u := range Users {
			l.accounts = append(l.accounts, Account{Name: u})
		}
	}
	if cfg.Known == nil {
		cfg.Known = identity.Known(l.has)
	}
	if err := l.makeDir(); err != nil {
		return nil, err
	}
	if cfg.Listen == nil {
		cfg.Listen = Everywhere()
	}
	if cfg.XCAP == nil {
		cfg.XCAP = []xcap.Endpoint{{Scheme: "http", Addr: "127.0.0.1:0"}, {Scheme: "https", Addr: "127.0.0.1:0"}}
	}
	if cfg.Relay == nil {
		cfg.Relay = []stack.Endpoint{{Transport: "tls", Addr: "127.0.0.1:0"}, {Transport: "wss", Addr: "127.0.0.1:0"}}
	}
	if err := l.secure(&cfg); err != nil {
		l.Close(ctx)
		return nil, err
	}
	l.store = memory.New()
	err := l.serveDocuments(ctx, cfg)
	if err == nil {
		err = l.makeLists(cfg)
	}
	if err == nil {
		err = l.relayMessages(cfg)
	}
	if err != nil {
		l.Close(ctx)
		return nil, err
	}
	l.presence, err = presence.Serve(ctx, presence.ServerConfig{Stack: cfg.Stack, Listen: cfg.Listen, Store: l.store,
		Domains: []string{Domain}, Known: cfg.Known, Auth: cfg.Auth, XCAPRoot: l.xcap.Root(), Policy: cfg.Policy, MinInterval: cfg.MinInterval, Packages: []event.Package{l.changes.Load()},
		Mount: func(s *stack.Stack, guard *identity.Guard) {
			l.registrar = registrar.New(registrar.Config{Store: l.store, Domains: []string{Domain}, Known: cfg.Known, Guard: guard, Log: cfg.Log})
			l.registrar.Mount(s)
			l.lists.Mount(s)
		}, Lists: l.lists, Log: cfg.Log})
	if err == nil {
		l.followDocuments(ctx)
		err = l.writeAccounts()
	}
	if err != nil {
		l.Close(ctx)
		return nil, err
	}
	return l, nil
}

// serveDocuments starts the XCAP server, over the store that the others share.
func (l *Lab) serveDocuments(ctx context.Context, cfg Config) (err error) {
	c := xcap.ServeConfig{Listen: cfg.XCAP, TLS: cfg.Stack.ServerTLS, Config: xcap.Config{Store: l.store,
		Domains: []string{Domain}, Known: cfg.Known, Product: cfg.Stack.Product, Log: cfg.Log}}
	if a := cfg.Auth; a != nil {
		c.Auth = &xcap.Auth{Realm: a.Realm, Users: a.Users, Algorithms: a.Algorithms, NoLegacy: a.NoLegacy}
	}
	c.Storing = func(k string, v key.Value) {
		if p := l.changes.Load(); p != nil {
			p.Storing(k, v)
		}
	}
	c.Regenerated = func(k string) {
		if p := l.changes.Load(); p != nil {
			p.Regenerated(k)
		}
	}
	if l.xcap, err = xcap.Serve(ctx, c); err != nil {
		return err
	}
	p, err := xcapnotify.New(xcapnotify.Config{Store: l.store, Root: l.xcap.Root(), RootURI: l.xcapRoot(false), Aliases: []string{l.xcapRoot(true)},
		Naming: uri.Naming{Domain: Domain}, Generated: l.xcap, Open: cfg.Auth == nil, Log: cfg.Log})
	l.changes.Store(p)
	return err
}

// followDocuments has the event package xcap-diff and the lists told of changes
// until the lab ends.
func (l *Lab) followDocuments(ctx context.Context) {
	ctx, l.stop = context.WithCancel(context.WithoutCancel(ctx))
	l.ran.Go(func() { l.changes.Load().Run(ctx, l.presence.Notifier(), nil) })
	l.ran.Go(func() { l.lists.Run(ctx) })
}

// makeLists makes the resource list server, over the documents of the store.
func (l *Lab) makeLists(cfg Config) (err error) {
	l.lists, err = rls.New(rls.Config{Store: l.store, Root: l.xcap.Root(), RootURIs: []string{l.xcapRoot(false), l.xcapRoot(true)},
		Naming: uri.Naming{Domain: Domain}, Known: cfg.Known, Identity: "sip:rls@" + Domain, Log: cfg.Log})
	return err
}

func (l *Lab) has(name string) bool {
	return slices.ContainsFunc(l.accounts, func(a Account) bool { return a.Name == name })
}

func (l *Lab) makeDir() (err error) {
	if l.temporary {
		l.Dir, err = os.MkdirTemp("", "imp-lab-")
	} else if l.Dir, err = filepath.Abs(l.Dir); err == nil {
		err = os.MkdirAll(l.Dir, 0o700)
	}
	l.ConfigFile = filepath.Join(l.Dir, "config.toml")
	l.StateDir = filepath.Join(l.Dir, "state")
	return err
}

// Presence is the lab's presence server.
func (l *Lab) Presence() *presence.Server { return l.presence }

// Registrar is the lab's registrar.
func (l *Lab) Registrar() *registrar.Registrar { return l.registrar }

// XCAP is the lab's XCAP server.
func (l *Lab) XCAP() *xcap.Listening { return l.xcap }

// Servers lists the addresses of each server by its command's name. The registrar
// is at those of the presence server.
func (l *Lab) Servers() map[string][]string {
	var sip, http, msrp []string
	for _, e := range l.presence.Addrs() {
		sip = append(sip, e.String())
	}
	for _, e := range l.xcap.Addrs() {
		http = append(http, e.String())
	}
	for _, e := range l.relayAt {
		msrp = append(msrp, e.String())
	}
	return map[string][]string{"presence-server": sip, "registrar": sip, "xcap-server": http, "msrp-relay": msrp}
}

// Addrs lists the addresses of all servers, those of the relay as msrp+TRANSPORT.
func (l *Lab) Addrs() (list []string) {
	of := l.Servers()
	list = slices.Concat(of["presence-server"], of["xcap-server"])
	for _, at := range of["msrp-relay"] {
		list = append(list, "msrp+"+at)
	}
	return list
}

// Close tells the watchers, ends the servers and removes the directory if it
// was a temporary one. ctx bounds the telling.
func (l *Lab) Close(ctx context.Context) error {
	if l.presence != nil {
		l.presence.Drain(ctx)
	}
	if l.stop != nil {
		l.stop()
		l.ran.Wait()
	}
	if l.presence != nil {
		l.presence.Close()
	}
	if l.relay != nil {
		l.relay.Close()
	}
	if l.registrar != nil {
		l.registrar.Close()
	}
	if l.xcap != nil {
		l.xcap.Drain(ctx)
		l.xcap.Close()
	}
	if l.store != nil {
		l.store.Close()
	}
	if l.temporary {
		return os.RemoveAll(l.Dir)
	}
	return nil
}
