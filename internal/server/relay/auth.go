package relay

import (
	"bytes"
	"errors"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"imp/internal/auth/digest"
	"imp/internal/msrp/wire"
)

// auth answers AUTH (RFC 4976 section 6.3). Its body, if it has one, means nothing.
func (c *conn) auth(h *wire.Head) error {
	to, err := h.ToPath()
	if err != nil || !c.relay.isFor(to[0]) {
		return errForeign
	}
	from, err := h.FromPath()
	if err != nil {
		return c.failed()
	}
	relay := ""
	if len(from) > 1 || c.cert != nil {
		relay = from[0].Host
	}
	switch {
	case c.cert != nil && !c.isRelay(relay):
		c.answer(h, wire.Forbidden) // the certificate is of somebody else
		return c.failed()
	case c.cert == nil:
		relay = "" // or what goes through it binds to this connection alone
	}
	if !c.secure && !c.loopback && !c.relay.cfg.AllowPlainAuth {
		c.answer(h, wire.Forbidden)
		return c.failed()
	}
	user, info, ok, err := c.credentials(h, string(lastURI(h.To)))
	if !ok {
		return err
	}
	return c.admit(h, from, user, info, relay)
}

func lastURI(path []byte) []byte { return path[bytes.LastIndexByte(path, ' ')+1:] }

// credentials checks who asks; what is not good enough has been answered.
func (c *conn) credentials(h *wire.Head, target string) (user, info string, ok bool, err error) {
	v := c.relay.verifier
	if v == nil {
		return userOf(h), "", true, nil
	}
	var values []string
	for _, f := range h.Fields {
		if f.Is("authorization") {
			values = append(values, string(f.Value))
		}
	}
	res, err := v.Verify(values, wire.AUTH, target, nil)
	var refusal *digest.Refusal
	if errors.As(err, &refusal) && refusal.Verdict == digest.Malformed && len(values) > 0 {
		// The grammar of RFC 4976 section 7 has no uri.
		for i := range values {
			if !strings.Contains(values[i], "uri=") {
				values[i] += `, uri="` + target + `"`
			}
		}
		res, err = v.Verify(values, wire.AUTH, target, nil)
	}
	if err == nil {
		return res.User, v.Info(res, nil, true), true, nil
	}
	errors.As(err, &refusal)
	return "", "", false, c.refuse(h, res, refusal)
}

// userOf is the user in the URI of the relay, for one that believes everybody.
func userOf(h *wire.Head) string {
	u, _ := wire.ParseURI(string(lastURI(h.To)))
	return u.User
}

// refuse answers an AUTH whose credentials are missing or wrong.
func (c *conn) refuse(h *wire.Head, res digest.Result, why *digest.Refusal) error {
	if why.Verdict == digest.Malformed || why.Verdict == digest.Misdirected {
		c.answer(h, wire.BadRequest)
		return c.failed()
	}
	wrong := why.Verdict == digest.Wrong
	if wrong {
		ip, _ := netip.ParseAddrPort(c.remote)
		if wait := c.relay.throttle.Failed(ip.Addr(), res.User); wait > 0 {
			c.answer(h, wire.Forbidden)
			return errFailures
		}
	}
	var fields []string
	for _, value := range c.relay.verifier.Challenge(why.Verdict.Stale()) {
		fields = append(fields, "WWW-Authenticate", value)
	}
	c.answer(h, wire.Unauthorized, fields...)
	if wrong && c.authFailed() {
		return errFailures
	}
	return nil
}

// authFailed counts wrong passwords of a client, and reports whether there were too many.
func (c *conn) authFailed() bool {
	return c.authFailures.Add(1) >= maxFailures && c.cert == nil && c.incoming
}

// admit answers an AUTH of somebody who is known.
func (c *conn) admit(h *wire.Head, from wire.Path, user, info, relay string) error {
	cfg := &c.relay.cfg
	if cfg.Auth != nil && cfg.Auth.Allowed != nil && !cfg.Auth.Allowed(user) {
		c.answer(h, wire.Forbidden)
		return c.failed()
	}
	life := cfg.Expires
	if value := h.Get("expires"); value != nil {
		n, err := strconv.ParseUint(string(value), 10, 32)
		life = time.Duration(n) * time.Second
		switch {
		case errors.Is(err, strconv.ErrRange), err == nil && life > cfg.MaxExpires:
			c.answer(h, wire.OutOfBounds, "Max-Expires", seconds(cfg.MaxExpires))
			return nil
		case err != nil:
			c.answer(h, wire.BadRequest)
			return c.failed()
		case life < cfg.MinExpires:
			c.answer(h, wire.OutOfBounds, "Min-Expires", seconds(cfg.MinExpires))
			return nil
		}
	}
	g := c.relay.grant(c, user, relay, from[0], life)
	if g == nil {
		c.answer(h, wire.Forbidden)
		return nil
	}
	c.good.Store(true)
	c.authFailures.Store(0)
	if relay != "" {
		c.relay.known(c, from[0])
	}
	use := slices.Clone(from[:len(from)-1])
	slices.Reverse(use)
	fields := []string{"Use-Path", append(use, g.uri).String(), "Expires", seconds(life)}
	if info != "" {
		fields = append(fields, "Authentication-Info", info)
	}
	c.answer(h, wire.OK, fields...)
	return nil
}

func seconds(d time.Duration) string { return strconv.FormatInt(int64(d/time.Second), 10) }

// known lets what goes to a relay use the connection that it came over.
func (r *Relay) known(c *conn, u wire.URI) {
	key := u.Authority()
	r.mu.Lock()
	defer r.mu.Unlock()
	if old := r.hops[key]; old == nil || old.gone.Load() {
		r.hops[key] = c
	}
}

// stale reports whether a 401 means that the password was right.
func stale(h *wire.Head) bool {
	return strings.Contains(strings.ToLower(string(h.Get("www-authenticate"))), "stale=true")
}
