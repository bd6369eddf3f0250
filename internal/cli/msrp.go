package cli

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"imp/internal/agent/call"
	"imp/internal/auth/digest"
	"imp/internal/cli/kit"
	"imp/internal/doc/sdp"
	"imp/internal/msrp/relayclient"
	"imp/internal/msrp/session"
	"imp/internal/msrp/wire"
	"imp/internal/sip/uac"
)

// msrpTypes are the types that both commands take in messages: those that every endpoint must (RFC 4975 section 8.6).
var msrpTypes = []string{"text/plain", "message/cpim", "multipart/mixed", "multipart/alternative", "multipart/signed"}

// msrpNode makes the endpoint of an account. fingerprint is that of its certificate, "" when that is one of the account.
func msrpNode(k *kit.Kit, acct *kit.Account) (n *session.Node, fingerprint string, err error) {
	cfg := session.Config{Log: k.Log(), Spool: spoolFile}
	if cfg.ClientTLS, err = clientTLS(acct); err != nil {
		return nil, "", err
	}
	if trace := k.Tracer("msrp"); trace != nil {
		cfg.Trace = func(r session.Record) { trace(kit.Record(r)) }
	}
	cert, err := ownCertificate(k, acct)
	if err != nil {
		return nil, "", err
	}
	cfg.Certificate = &cert
	return session.New(cfg), session.FingerprintOf(cert.Certificate[0]).String(), nil
}

// chooseRelay puts --relay in the place of the account's.
func chooseRelay(acct *kit.Account, relay string) {
	switch relay {
	case "":
	case "none":
		acct.MSRPRelay = ""
	default:
		acct.MSRPRelay = relay
	}
}

// ownCertificate is that of the account, or one that peers know by its fingerprint (RFC 4975 section 14.4).
func ownCertificate(k *kit.Kit, acct *kit.Account) (tls.Certificate, error) {
	own, err := acct.TLS()
	if err != nil {
		return tls.Certificate{}, err
	}
	if len(own.Certificates) > 0 {
		return own.Certificates[0], nil
	}
	cert, err := session.NewCertificate(k.Now(), 30*24*time.Hour)
	if err != nil {
		return cert, kit.Fail(kit.ExitBug, "making a certificate", err, "")
	}
	return cert, nil
}

// spoolFile is a place for what comes out of order.
func spoolFile() (session.Spool, error) {
	f, err := os.CreateTemp("", "msrp-*")
	if err != nil {
		return nil, err
	}
	_ = os.Remove(f.Name()) // where that is possible while it is open
	return f, nil
}

// localHost is the address of this machine towards a peer.
func localHost(ctx context.Context, peer string) string {
	if peer == "" {
		peer = "192.0.2.1"
	}
	if _, _, err := net.SplitHostPort(peer); err != nil {
		peer = net.JoinHostPort(peer, "5060")
	}
	var d net.Dialer
	c, err := d.DialContext(ctx, "udp", peer) // sends nothing
	if err != nil {
		return "127.0.0.1"
	}
	defer c.Close()
	host, _, err := net.SplitHostPort(c.LocalAddr().String())
	if err != nil {
		return "127.0.0.1"
	}
	return host
}

// seenMessages is how many Message-IDs are remembered, to know what comes again.
const seenMessages = 1024

// msrpEndpoint makes what the sessions of an account are made with: listeners towards its proxy, and its relay.
func msrpEndpoint(ctx context.Context, k *kit.Kit, acct *kit.Account, n *session.Node, fingerprint string) (*call.Endpoint, error) {
	host := localHost(ctx, acct.Proxy.Addr())
	e := &call.Endpoint{Node: n, Fingerprint: fingerprint, Local: session.Local{Reachable: true}, Seen: session.NewSeen(seenMessages)}
	for transport, addr := range map[string]*string{"tcp": &e.Plain, "tls": &e.TLS} {
		l, err := n.Listen(ctx, transport, net.JoinHostPort(host, "0"))
		if err != nil {
			return nil, kit.Fail(kit.ExitNetwork, "listening at "+host, err, "the proxy must be reachable from this machine")
		}
		*addr = l.Addr()
	}
	if acct.MSRPRelay != "" {
		if err := useRelay(ctx, acct, e); err != nil {
			return nil, err
		}
	}
	return e, nil
}

// msrpFailure maps what ended an MSRP session or message to an exit status.
func msrpFailure(doing string, err error) error {
	var status *session.StatusError
	var refused *uac.ResponseError
	var op *net.OpError
	switch {
	case errors.As(err, &refused) && refused.Status == 480:
		return kit.Fail(kit.ExitRefused, doing, answerOf(refused), "nobody takes calls there at the moment; imp msrp-recv does")
	case errors.As(err, &refused) && refused.Status == 488 && strings.Contains(answerOf(refused).Reason, "(relay msrp"):
		return kit.Fail(kit.ExitRefused, doing, answerOf(refused), "the relay of the receiver gives it no way in; the receiver has to look after that")
	case errors.As(err, &refused) && (refused.Status == 488 || refused.Status == 606 || refused.Status == 415):
		return kit.Fail(kit.ExitRefused, doing, answerOf(refused), "the peer takes no such session; look with -s what it says")
	case errors.As(err, &refused) && refused.Status == 603:
		return kit.Fail(kit.ExitRefused, doing, answerOf(refused), "the receiver takes no calls from this address, as imp msrp-recv --sender has it")
	case errors.Is(err, digest.ErrRejected): // by a relay: what a SIP server refuses has its answer
		return kit.Fail(kit.ExitRefused, doing, err, "the relay is asked with user and password of the account; --relay names another one")
	case errors.As(err, &status) && status.Code == wire.StopSending:
		return kit.Fail(kit.ExitRefused, doing, kit.Answer{Code: status.Code, Reason: status.Comment}, "the receiver has stopped it: it may be too large, or not wanted")
	case errors.As(err, &status) && status.Code == wire.Timeout:
		return kit.Fail(kit.ExitTimeout, doing, kit.Answer{Code: status.Code, Reason: status.Comment}, "a relay could not reach the receiver; --resume goes on with a file later")
	case errors.As(err, &status):
		return kit.Fail(kit.ExitRefused, doing, kit.Answer{Code: status.Code, Reason: status.Comment}, "look with --trace=msrp what was said")
	case errors.Is(err, session.ErrType):
		return kit.Fail(kit.ExitRefused, doing, err, "--type gives another type; -s shows those that the peer takes, in a=accept-types")
	case errors.Is(err, session.ErrSize):
		return kit.Fail(kit.ExitRefused, doing, err, "send less")
	case errors.Is(err, context.DeadlineExceeded):
		return kit.Fail(kit.ExitTimeout, doing, "no answer in time", "is the receiver still there? --timeout gives the answer more time; look with -s what was said")
	case errors.Is(err, session.ErrTimeout):
		return kit.Fail(kit.ExitTimeout, doing, err, "--timeout gives the answer more time; look with --trace=msrp what was said")
	case errors.Is(err, session.ErrUnreported), errors.Is(err, session.ErrDisconnected), errors.Is(err, session.ErrFingerprint),
		errors.As(err, &op), errors.Is(err, session.ErrClosed):
		return kit.Fail(kit.ExitNetwork, doing, err, "is the receiver still there? --trace=msrp shows what was said")
	case errors.Is(err, sdp.ErrRefused), errors.Is(err, sdp.ErrRange):
		return kit.Fail(kit.ExitRefused, doing, err, "the receiver does not want this file, or takes none of its kind")
	case errors.Is(err, context.Canceled), errors.Is(err, call.ErrEnded):
		return kit.Fail(kit.ExitNetwork, doing, "the receiver has ended the session", "--resume goes on with a file later")
	case errors.Is(err, call.ErrAnswer):
		return kit.Fail(kit.ExitRefused, doing, err, "the peer is no MSRP endpoint; look with -s what was said")
	}
	return sipFailure(doing, err)
}

// inside names the type that a peer does not take where an envelope was to carry it.
func inside(err error, m *session.Message) error {
	if errors.Is(err, session.ErrType) && len(m.Wrapped) > 0 {
		return fmt.Errorf("%w: %s", session.ErrType, m.Wrapped[0])
	}
	return err
}

// sameMediaType compares without parameters.
func sameMediaType(a, b string) bool { return session.Accepts([]string{b}, a) }

// relayTime is how long URIs of relays shall be good: longer than most transfers take. A relay may allow less.
const relayTime = 12 * time.Hour

// useRelay takes the relays of the account, the innermost first, with spaces between.
func useRelay(ctx context.Context, acct *kit.Account, e *call.Endpoint) error {
	cfg := relayclient.Config{Node: e.Node, Credentials: credentials(ctx, acct), Insecure: acct.Insecure, Expires: relayTime}
	var err error
	if cfg.Relays, err = wire.ParsePath(acct.MSRPRelay); err == nil {
		e.Relays, err = relayclient.New(cfg)
	}
	if err != nil {
		return kit.Fail(kit.ExitUsage, "reading msrp_relay", err, "write it like msrps://relay.example.com:2855;tcp")
	}
	return nil
}
