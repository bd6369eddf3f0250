package relay

import (
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"net"
	"regexp"
	"strings"
	"testing"

	"imp/internal/msrp/wire"
)

func hash(s string) string {
	sum := md5.Sum([]byte(s))
	return hex.EncodeToString(sum[:])
}

// param finds a parameter of a challenge or of Authentication-Info, as it is written.
func param(fields, name string) string {
	m := regexp.MustCompile(`(?:^|[ ,])` + name + `=("[^"]*"|[^, ]*)`).FindStringSubmatch(fields)
	if m == nil {
		return ""
	}
	return m[1]
}

// answerTo computes credentials by the book, from nothing but the challenge (RFC 2617 section 3.2.2, RFC 4976 section
// 9.1). The uri is the rightmost of To-Path, and not sent.
func answerTo(challenge, user, password, uri, nc string) string {
	realm, nonce := strings.Trim(param(challenge, "realm"), `"`), strings.Trim(param(challenge, "nonce"), `"`)
	response := hash(hash(user+":"+realm+":"+password) + ":" + nonce + ":" + nc + ":0a4f113b:auth:" + hash("AUTH:"+uri))
	return fmt.Sprintf(`Authorization: Digest username="%s", realm="%s", nonce="%s", qop=auth, nc=%s, cnonce="0a4f113b", response="%s"`, user, realm, nonce, nc, response)
}

const relayURI = "msrp://alice@localhost;tcp"

func challenge(t *testing.T, p *peer) string {
	t.Helper()
	p.request("AUTH", relayURI, p.uri, "-")
	g := p.next()
	if g.code != 401 || g.fields["www-authenticate"] == "" {
		t.Fatalf("AUTH without credentials: %+v", g)
	}
	return g.fields["www-authenticate"]
}

func TestChallenge(t *testing.T) {
	r := running(t, withUsers(t, Config{}))
	p := dial(t, r.at("tcp"), "alice")
	c := challenge(t, p)
	t.Run("MSRPR-034 a challenge", func(t *testing.T) {
		if !strings.HasPrefix(c, "Digest ") || param(c, "realm") != `"example.com"` || len(param(c, "nonce")) < 20 {
			t.Error(c)
		}
	})
	t.Run("MSRPR-018 no Basic is offered", func(t *testing.T) {
		if strings.Contains(c, "Basic") {
			t.Error(c)
		}
		p.request("AUTH", relayURI, p.uri, "-", "Authorization: Basic YWxpY2U6c2VjcmV0")
		if g := p.next(); g.code != 401 {
			t.Errorf("Basic: %+v", g)
		}
	})
	t.Run("MSRPR-019 qop is auth alone, quoted", func(t *testing.T) {
		if param(c, "qop") != `"auth"` {
			t.Error(c)
		}
	})
	t.Run("MSRPR-020 no MD5-sess", func(t *testing.T) {
		if strings.Contains(strings.ToLower(c), "-sess") {
			t.Error(c)
		}
	})
	t.Run("MSRPR-023 comma and space", func(t *testing.T) {
		if strings.Contains(regexp.MustCompile(`"[^"]*"`).ReplaceAllString(strings.ReplaceAll(c, ", ", ";"), ""), ",") {
			t.Error(c)
		}
	})
	t.Run("MSRPR-024 no domain", func(t *testing.T) {
		if param(c, "domain") != "" {
			t.Error(c)
		}
	})
}

func TestCredentials(t *testing.T) {
	cfg := withUsers(t, Config{})
	cfg.Auth.Allowed = func(user string) bool { return user == "alice" }
	r := running(t, cfg)
	p := dial(t, r.at("tcp"), "alice")
	c := challenge(t, p)
	p.request("AUTH", relayURI, p.uri, "-", answerTo(c, "alice", "secret", relayURI, "00000001"))
	g := p.next()
	t.Run("MSRPR-022 H(A2) has the rightmost URI, which is not sent", func(t *testing.T) {
		if g.code != 200 {
			t.Fatalf("%+v", g)
		}
	})
	info := g.fields["authentication-info"]
	t.Run("MSRPR-025 the relay proves itself", func(t *testing.T) {
		nonce := strings.Trim(param(c, "nonce"), `"`)
		want := hash(hash("alice:example.com:secret") + ":" + nonce + ":00000001:0a4f113b:auth:" + hash(":"+relayURI))
		if param(info, "rspauth") != `"`+want+`"` || param(info, "cnonce") != `"0a4f113b"` || param(info, "nc") != "00000001" || param(info, "qop") != "auth" {
			t.Error(info)
		}
	})
	t.Run("MSRPR-037 Use-Path and Expires", func(t *testing.T) {
		path, err := wire.ParsePath(g.fields["use-path"])
		if err != nil || len(path) != 1 || path[0].Host != "localhost" || path[0].Port == 0 || len(path[0].SessionID) < 11 || g.fields["expires"] != "900" {
			t.Errorf("%+v", g.fields)
		}
		if net.ParseIP(path[0].Host) != nil {
			t.Error("an address in place of a name")
		}
	})
	t.Run("MSRPR-042 each AUTH has a new URI", func(t *testing.T) {
		seen := map[string]bool{g.fields["use-path"]: true}
		for i := 2; i < 60; i++ {
			p.request("AUTH", relayURI, p.uri, "-", answerTo(c, "alice", "secret", relayURI, fmt.Sprintf("%08x", i)))
			if g := p.next(); g.code != 200 || seen[g.fields["use-path"]] {
				t.Fatalf("%+v", g)
			} else {
				seen[g.fields["use-path"]] = true
			}
		}
	})
	t.Run("MSRPR-026 nothing is used twice", func(t *testing.T) {
		q := dial(t, r.at("tcp"), "mallory")
		q.request("AUTH", relayURI, q.uri, "-", answerTo(c, "alice", "secret", relayURI, "00000001"))
		if g := q.next(); g.code != 401 || !strings.Contains(strings.ToLower(g.fields["www-authenticate"]), "stale=true") {
			t.Errorf("%+v", g)
		}
	})
	t.Run("MSRPR-023 a uri may come", func(t *testing.T) {
		p.request("AUTH", relayURI, p.uri, "-", answerTo(c, "alice", "secret", relayURI, "00000100")+`, uri="`+relayURI+`"`)
		if g := p.next(); g.code != 200 {
			t.Errorf("%+v", g)
		}
	})
	t.Run("MSRPR-022 another URI is refused", func(t *testing.T) {
		p.request("AUTH", relayURI, p.uri, "-", answerTo(c, "alice", "secret", "msrp://other;tcp", "00000101"))
		if g := p.next(); g.code != 401 {
			t.Errorf("%+v", g)
		}
	})
	t.Run("MSRPR-035 known and not allowed", func(t *testing.T) {
		q := dial(t, r.at("tcp"), "eve")
		q.request("AUTH", relayURI, q.uri, "-", answerTo(challenge(t, q), "eve", "secret", relayURI, "00000001"))
		if g := q.next(); g.code != 403 || g.fields["use-path"] != "" {
			t.Errorf("%+v", g)
		}
	})
	t.Run("MSRPR-030 MSRPR-032 three wrong passwords", func(t *testing.T) {
		q := dial(t, r.at("tcp"), "mallory")
		c := challenge(t, q)
		for i := range 3 {
			q.request("AUTH", relayURI, q.uri, "-", answerTo(c, "alice", "wrong", relayURI, fmt.Sprintf("%08x", 1000+i)))
		}
		for range 3 {
			if g := q.next(); g.code != 401 {
				t.Errorf("%+v", g)
			}
		}
		q.ended("after three wrong passwords")
	})
}

func TestExpires(t *testing.T) {
	r := running(t, Config{})
	p := dial(t, r.at("tcp"), "alice")
	t.Run("MSRPR-036 bounds", func(t *testing.T) {
		if g := p.auth(r, "Expires: 59"); g.code != 423 || g.fields["min-expires"] != "60" || g.fields["max-expires"] != "" {
			t.Errorf("%+v", g)
		}
		for _, n := range []string{"3601", "99999999999999"} {
			if g := p.auth(r, "Expires: "+n); g.code != 423 || g.fields["max-expires"] != "3600" || g.fields["min-expires"] != "" {
				t.Errorf("%+v", g)
			}
		}
	})
	t.Run("MSRPR-003 whole seconds", func(t *testing.T) {
		for _, n := range []string{"60", "3600", "61"} {
			if g := p.auth(r, "Expires: "+n); g.code != 200 || g.fields["expires"] != n {
				t.Errorf("%+v", g)
			}
		}
		if g := p.auth(r, "Expires: 60.5"); g.code != 400 {
			t.Errorf("%+v", g)
		}
	})
}

func TestConstants(t *testing.T) {
	t.Run("MSRPR-001 method and code", func(t *testing.T) {
		if wire.AUTH != "AUTH" || wire.Unauthorized != 401 || wire.Comment(401) != "Unauthorized" || wire.OutOfBounds != 423 {
			t.Error("names of RFC 4976 section 10")
		}
	})
}

func TestPlainAuth(t *testing.T) {
	for allowed, code := range map[bool]int{false: 403, true: 200} {
		r := running(t, Config{AllowPlainAuth: allowed})
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		go r.Serve(elsewhere{l}, Transport{Name: "tcp"})
		if g := dial(t, l.Addr().String(), "alice").auth(r); g.code != code {
			t.Errorf("allowed %v: %+v", allowed, g)
		}
	}
}

// elsewhere is a listener that other machines reach.
type elsewhere struct{ net.Listener }

func (elsewhere) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 2855} }
