package cli

import (
	"log/slog"
	"net"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"imp/internal/auth/certs"
	"imp/internal/auth/digest"
	"imp/internal/auth/users"
	"imp/internal/cli/kit"
	"imp/internal/server/presence"
	"imp/internal/sip/identity"
)

// authOptions are the flags of servers about who may come in.
type authOptions struct {
	users      []string
	file       string
	realm      string
	digest     []string
	noLegacy   bool
	none       bool
	publishFor string
}

func (o *authOptions) flags(cmd *cobra.Command, sip bool) {
	fs := cmd.Flags()
	fs.StringArrayVar(&o.users, "user", nil, "let `NAME:PASSWORD` in, repeatable; other users of this machine can see it")
	fs.StringVar(&o.file, "users", "", "let the users in `FILE` in, a line each: name:password or name:realm:HA1; read again on SIGHUP")
	fs.StringVar(&o.realm, "realm", "", "protect `REALM`; the first domain without it")
	fs.StringSliceVar(&o.digest, "digest", nil, "offer these digest `ALGORITHMS`, the preferred one first; without it sha-256,md5, and md5 alone to clients that give up on both")
	fs.BoolVar(&o.noLegacy, "no-legacy-digest", false, "refuse credentials without qop, which old clients send")
	names := []string{"user", "users", "realm", "digest", "no-legacy-digest"}
	if o.publishFor = "self"; sip {
		fs.Var(kit.Choice(&o.publishFor, "self", "all"), "publish-for", "whom a user may publish for")
		names = append(names, "publish-for")
	}
	fs.BoolVar(&o.none, "no-auth", false, "believe everybody, without any authentication")
	for _, name := range names {
		cmd.MarkFlagsMutuallyExclusive("no-auth", name)
	}
	cmd.MarkFlagFilename("users")
}

// defaultRealm is that of a server for the domains.
func (o *serverOptions) defaultRealm(domains []string) {
	switch host, _ := os.Hostname(); {
	case o.auth.realm != "":
	case len(domains) > 0:
		o.auth.realm = strings.ToLower(domains[0])
	case o.advertise != "":
		o.auth.realm = o.advertise
		if host, _, err := net.SplitHostPort(o.advertise); err == nil {
			o.auth.realm = host
		}
	case host != "":
		o.auth.realm = host
	default:
		o.auth.realm = "imp"
	}
}

// algorithms reads --digest. Without it the offer is nil, which leaves it to the
// guard.
func (o *authOptions) algorithms() (offer []digest.Algorithm, names []string, err error) {
	if len(o.digest) == 0 {
		return nil, []string{digest.SHA256.String(), digest.MD5.String()}, nil
	}
	for _, name := range o.digest {
		a, ok := digest.ParseAlgorithm(strings.TrimSpace(name))
		if !ok || a != a.Base() || slices.Contains(offer, a) {
			return nil, nil, kit.Fail(kit.ExitUsage, "reading --digest", "algorithm "+name+" is unknown or given twice", "it is a list of sha-256, sha-512-256 and md5")
		}
		offer, names = append(offer, a), append(names, a.String())
	}
	return offer, names, nil
}

// readAuth gives who is let in, nil with --no-auth: the users of entries and of
// the file.
func (o *serverOptions) readAuth(log *slog.Logger, entries []string) (*presence.Auth, *users.Source, error) {
	a := &o.auth
	if a.none {
		return nil, nil, nil
	}
	if len(a.users) > 0 {
		o.kit.Warn("a password in --user can be seen by other users of this machine, those in a file for --users cannot")
	}
	if len(entries) == 0 && a.file == "" {
		return nil, nil, kit.Fail(kit.ExitUsage, "starting "+o.name, "there are no users who could come in",
			"give --user NAME:PASSWORD or --users FILE, or --no-auth to believe everybody on this machine")
	}
	offer, names, err := a.algorithms()
	if err != nil {
		return nil, nil, err
	}
	source, err := users.New(users.Config{Realms: []string{a.realm}, Algorithms: names, Entries: entries, File: a.file})
	if err != nil {
		return nil, nil, kit.Fail(kit.ExitUsage, "starting "+o.name, err, "a user is NAME:PASSWORD; in a file it is a line, NAME:REALM:HA1 too")
	}
	logUsers(log, source)
	return &presence.Auth{Realm: a.realm, Users: source, Algorithms: offer, NoLegacy: a.noLegacy, PublishForAll: a.publishFor == "all"}, source, nil
}

func logUsers(log *slog.Logger, source *users.Source) {
	for _, note := range source.Notes() {
		log.Warn("reading users", "note", note)
	}
	if source.Len() == 0 {
		log.Warn("reading users", "note", "nobody can come in, there are no users; SIGHUP reads the file again")
	}
	log.Info("users", "count", source.Len())
}

// known tells who exists: those who could come in.
func known(source *users.Source, realm string) func(user, domain string) bool {
	return identity.Known(func(name string) bool { return source.Has(realm, name) })
}

// reloaders are the files that SIGHUP has read again.
func (o *serverOptions) reloaders(log *slog.Logger, source *users.Source, secrets *certs.Server) (list []reloader) {
	if source != nil && o.auth.file != "" {
		list = append(list, reloader{"users", func() error {
			err := source.Reload()
			if err == nil {
				logUsers(log, source)
			}
			return err
		}})
	}
	if secrets != nil {
		list = append(list, reloader{"certificates", secrets.Reload})
	}
	return list
}
