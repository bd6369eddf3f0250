package xcap

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"imp/internal/auth/digest"
	"imp/internal/xcap/uri"
	"imp/internal/xcap/usage"
)

// assertedIdentity is the header field in which proxies of 3GPP networks say who asks (3GPP TS 24.109).
const assertedIdentity = "X-Xcap-Asserted-Identity"

// authorize decides whether who asks may. What is open to everybody needs no credentials, not even right ones. Proof is the
// Authentication-Info that goes with any answer to right credentials.
func (s *Server) authorize(q *request) (proof string, a answer, ok bool) {
	write := !read(q.http.Method)
	who, proof, refusal := s.identify(q)
	switch q.usage.Authorize(q.uri, who, write) {
	case usage.Allow:
		return proof, answer{}, true
	case usage.Challenge:
		if refusal.status == 0 {
			refusal = s.challenge(q.http, false)
		}
		return "", refusal, false
	case usage.Missing:
		return proof, missing("this application usage has no such document"), false
	case usage.ReadOnly:
		return proof, notAllowed(readMethods, "the server makes this document"), false
	}
	return proof, refuse(http.StatusForbidden, "this is for others"), false
}

// identify tells who asks; without right credentials nobody, and the refusal is what such a request gets where it has to have some.
func (s *Server) identify(q *request) (who usage.Requester, proof string, refusal answer) {
	if len(s.cfg.Proxies) > 0 && s.fromProxy(q.http) {
		if xui := asserted(q.http); xui != "" {
			return s.requester(xui, q.uri), "", answer{}
		}
	}
	if s.verifier == nil {
		who := usage.Requester{XUI: q.uri.XUI, Trusted: true}
		if q.uri.Global {
			who.XUI = "anybody"
		}
		return who, "", answer{}
	}
	values := q.http.Header["Authorization"]
	if len(values) == 0 {
		return usage.Requester{}, "", answer{}
	}
	res, err := s.verifier.Verify(values, q.http.Method, target(q.http), nil)
	if err != nil {
		return usage.Requester{}, "", s.refuseCredentials(q.http, res, err.(*digest.Refusal))
	}
	return s.requester(res.User, q.uri), s.verifier.Info(res, nil, false), answer{}
}

// refuseCredentials answers credentials that are not right. A wrong password and an unknown user get the same.
func (s *Server) refuseCredentials(r *http.Request, res digest.Result, why *digest.Refusal) answer {
	switch why.Verdict {
	case digest.Malformed, digest.Misdirected:
		return refuse(http.StatusBadRequest, why.Error())
	case digest.Wrong:
		s.cfg.Log.Info("refusing a request", "reason", why, "user", res.User, "source", s.source(r))
		if wait := s.throttle.Failed(s.source(r), strings.Clone(res.User)); wait > 0 {
			a := refuse(http.StatusTooManyRequests, "too many wrong passwords")
			a.retry = int((wait + time.Second - 1) / time.Second)
			return a
		}
	}
	return s.challenge(r, why.Verdict.Stale())
}

// challenge asks for credentials.
func (s *Server) challenge(r *http.Request, stale bool) answer {
	a := refuse(http.StatusUnauthorized, "this needs the name and the password of a user")
	if s.verifier != nil {
		a.challenges = s.verifier.Challenge(stale, s.offer(r)...)
	}
	return a
}

// offer gives the algorithms for clients that give up when the first challenge is not of MD5, nil for others: those of the library of
// Python before 3.14, and with it the XCAP clients written in Python.
func (s *Server) offer(r *http.Request) []digest.Algorithm {
	if s.cfg.Auth.Algorithms == nil && strings.HasPrefix(r.UserAgent(), "Python-urllib/") {
		return []digest.Algorithm{digest.MD5}
	}
	return nil
}

// target is what the client asked for as it was sent, or would be.
func target(r *http.Request) string {
	if r.RequestURI != "" {
		return r.RequestURI
	}
	return r.URL.RequestURI()
}

// sameTarget lets credentials name what is asked for in another way: absolute or not, with other characters percent-encoded.
func (s *Server) sameTarget(credentials, target string) bool {
	if credentials == target {
		return true
	}
	a, err := s.root.Parse(credentials)
	if err != nil {
		return false
	}
	b, err := s.root.Parse(target)
	return err == nil && a.String() == b.String()
}

// fromProxy reports whether a request comes from a proxy that is believed.
func (s *Server) fromProxy(r *http.Request) bool { return s.isProxy(remote(r)) }

func (s *Server) isProxy(addr netip.Addr) bool {
	return slices.ContainsFunc(s.cfg.Proxies, func(p netip.Prefix) bool { return p.Contains(addr) })
}

func remote(r *http.Request) netip.Addr {
	ap, _ := netip.ParseAddrPort(r.RemoteAddr)
	return ap.Addr().Unmap().WithZone("")
}

// asserted is the identity that a proxy asserts, "" when it asserts none: the first one, with or without quotes.
func asserted(r *http.Request) string {
	v, _, _ := strings.Cut(r.Header.Get(assertedIdentity), ",")
	return strings.Trim(v, ` "`)
}

// source is the address that a request comes from: of what proxies that are believed have forwarded, the last that is none of them.
func (s *Server) source(r *http.Request) netip.Addr {
	addr := remote(r)
	hops := strings.Split(strings.Join(r.Header["X-Forwarded-For"], ","), ",")
	for i := len(hops) - 1; i >= 0 && s.isProxy(addr); i-- {
		hop, err := netip.ParseAddr(strings.Trim(hops[i], " []"))
		if err != nil {
			break
		}
		addr = hop.Unmap().WithZone("")
	}
	return addr
}

// checkHost refuses, where everybody on this machine is believed, what a page in a browser can send that has led the name of its own
// host to this machine.
func (s *Server) checkHost(r *http.Request) (answer, bool) {
	if s.verifier != nil || len(s.cfg.Proxies) > 0 {
		return answer{}, true
	}
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.ToLower(strings.Trim(host, "[]"))
	if _, err := netip.ParseAddr(host); err == nil || host == "" || host == "localhost" {
		return answer{}, true
	}
	for _, d := range s.cfg.Domains {
		if host == strings.ToLower(d) || host == "xcap."+strings.ToLower(d) {
			return answer{}, true
		}
	}
	return refuse(http.StatusMisdirectedRequest, "this server is not called "+host), false
}

// requester is the user with a name in credentials or with an address of record, as who asks for u.
func (s *Server) requester(name string, u *uri.URI) usage.Requester {
	who := usage.Requester{XUI: s.canonical(name)}
	if !u.Global && s.owns(name, u.XUI) {
		who.XUI = u.XUI
	}
	who.Trusted = slices.ContainsFunc(s.cfg.Trusted, func(t string) bool { return t == name || s.canonical(t) == s.canonical(name) })
	return who
}
