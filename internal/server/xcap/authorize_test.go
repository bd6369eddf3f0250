package xcap

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"imp/internal/auth/digest"
)

func listOf(user string) string {
	return base + "/resource-lists/users/sip:" + user + "@example.com/index"
}

const capabilities = base + "/xcap-caps/global/index"

func TestAuthorize(t *testing.T) {
	t.Run("XCAP-027 what is not there is so with and without credentials", func(t *testing.T) {
		r := newRig(t, withUsers("alice", "bob"))
		for _, target := range []string{listOf("nobody"), base + "/unknown/users/sip:alice@example.com/index", base + "/unknown/global/index",
			base + "/resource-lists/users/nobody/index", base + "/resource-lists/users/sip:alice@example.org/index"} {
			for _, m := range []string{"GET", "PUT", "DELETE"} {
				r.want(404, m, target, friends, ctype(listsType))
				r.want(404, m, target, friends, ctype(listsType), "Authorization: Digest nothing")
			}
		}
	})
	t.Run("XCAP-028 AUT-070 who says nothing is asked for credentials by digest", func(t *testing.T) {
		r := newRig(t, withUsers("alice", "bob"))
		for _, m := range []string{"GET", "PUT", "DELETE", "PATCH", "HEAD"} {
			a := r.want(401, m, lists, friends, ctype(listsType))
			for _, c := range a.Header()["Www-Authenticate"] {
				if !strings.HasPrefix(c, "Digest ") {
					t.Error(c)
				}
			}
		}
		r.want(401, "GET", lists, "", "Authorization: Basic YWxpY2U6YWxpY2Vw")
		r.want(401, "GET", capabilities, "")
	})
	t.Run("XCAP-030 challenges, and a count that is used twice", func(t *testing.T) {
		r := newRig(t, withUsers("alice", "bob"))
		c := r.want(401, "GET", lists, "").Header()["Www-Authenticate"]
		if len(c) != 2 || !strings.Contains(c[0], "algorithm=SHA-256,") || !strings.Contains(c[1], "algorithm=MD5,") || !strings.Contains(c[0], `qop="auth"`) || strings.Contains(c[0], "stale") {
			t.Fatal(c)
		}
		client := digest.NewClient(digest.ClientConfig{Credentials: func(string) (string, string, error) { return "alice", "alicep", nil }})
		q := client.Request("GET", lists, nil)
		if err := q.Challenged(c); err != nil {
			t.Fatal(err)
		}
		credentials := "Authorization: " + q.Authorization()[0]
		a := r.want(404, "GET", lists, "", credentials)
		if err := q.Accepted(a.Header().Get("Authentication-Info"), nil); err != nil || a.Header().Get("Authentication-Info") == "" {
			t.Errorf("%v: %v", a.Header(), err)
		}
		again := r.want(401, "GET", lists, "", credentials)
		if !strings.Contains(again.Header().Get("WWW-Authenticate"), "stale=true") {
			t.Error(again.Header())
		}
		for range 3 { // the nonce serves on
			r.want(404, "GET", lists, "", "Authorization: "+client.Request("GET", lists, nil).Authorization()[0])
		}
		r.want(400, "GET", listOf("bob"), "", "Authorization: "+client.Request("GET", lists, nil).Authorization()[0])
		r.want(401, "PUT", lists, "", "Authorization: "+client.Request("GET", lists, nil).Authorization()[0])
		r.want(404, "GET", lists, "", "Authorization: "+client.Request("GET", "http://localhost"+strings.Replace(lists, ":", "%3a", 1), nil).Authorization()[0])
		if old := r.want(401, "GET", lists, "", "User-Agent: Python-urllib/3.12").Header()["Www-Authenticate"]; len(old) != 1 || !strings.Contains(old[0], "algorithm=MD5") {
			t.Error(old)
		}
	})
	t.Run("XCAP-031 users have what is theirs", func(t *testing.T) {
		r := newRig(t, withUsers("alice", "bob", "rls"), func(c *Config) { c.Trusted = []string{"rls"} })
		r.wantAs(201, "alice", "PUT", lists, friends, ctype(listsType))
		r.wantAs(200, "alice", "GET", lists, "")
		r.wantAs(200, "alice", "GET", base+"/resource-lists/users/alice/index", "")
		r.wantAs(403, "bob", "PATCH", lists, "", ctype(patchType))
		for _, m := range []string{"GET", "PUT", "DELETE"} {
			r.wantAs(403, "bob", m, lists, friends, ctype(listsType))
			r.wantAs(403, "bob", m, work, "<rl:list/>", ctype(elType))
		}
		r.wantAs(403, "alice", "PUT", base+"/resource-lists/global/index", friends, ctype(listsType))
		r.wantAs(201, "rls", "PUT", base+"/resource-lists/global/index", friends, ctype(listsType))
		r.wantAs(200, "alice", "GET", base+"/resource-lists/global/index", "")
		r.wantAs(200, "rls", "GET", lists, "")
		r.wantAs(403, "rls", "PUT", lists, friends, ctype(listsType))
	})
	t.Run("XCAP-094 capabilities are read by all and written by none", func(t *testing.T) {
		r := newRig(t, withUsers("alice", "rls"), func(c *Config) { c.Trusted = []string{"sip:rls@example.com"} })
		r.wantAs(200, "alice", "GET", capabilities, "")
		r.wantAs(200, "alice", "GET", capabilities+"/~~/xcap-caps/auids/auid%5B1%5D", "")
		r.wantAs(403, "alice", "PUT", capabilities, "<xcap-caps/>", ctype("application/xcap-caps+xml"))
		r.wantAs(403, "alice", "DELETE", capabilities, "")
	})
	t.Run("XUSE-050 AUT-071 capabilities name the namespaces of permissions", func(t *testing.T) {
		r := newRig(t, withUsers("alice"))
		caps := r.wantAs(200, "alice", "GET", capabilities, "").Body.String()
		for _, space := range []string{"urn:ietf:params:xml:ns:common-policy", "urn:ietf:params:xml:ns:pres-rules"} {
			if !strings.Contains(caps, "<namespace>"+space+"</namespace>") {
				t.Errorf("%s is not in\n%s", space, caps)
			}
		}
	})
	t.Run("XCAP-090 no user has capabilities", func(t *testing.T) {
		r := newRig(t, withUsers("alice"))
		r.wantAs(404, "alice", "GET", base+"/xcap-caps/users/alice/index", "")
		r.conflictAs("constraint-failure", "alice", "PUT", base+"/xcap-caps/users/alice/index", "<xcap-caps/>", ctype("application/xcap-caps+xml"))
	})
	t.Run("XUSE-014 lists are their owner's", func(t *testing.T) {
		r := newRig(t, withUsers("alice", "bob"))
		r.wantAs(201, "alice", "PUT", lists, friends, ctype(listsType))
		r.wantAs(403, "bob", "GET", lists, "")
		r.wantAs(403, "bob", "PUT", lists, friends, ctype(listsType))
	})
	t.Run("AUT-069 presence rules are their owner's, and operators'", func(t *testing.T) {
		r := newRig(t, withUsers("alice", "bob", "rls"), func(c *Config) { c.Trusted = []string{"rls"} })
		const rules, rulesType = base + "/pres-rules/users/sip:alice@example.com/index", "application/auth-policy+xml"
		const document = `<ruleset xmlns="urn:ietf:params:xml:ns:common-policy"/>`
		r.wantAs(201, "alice", "PUT", rules, document, ctype(rulesType))
		for _, m := range []string{"GET", "PUT", "DELETE"} {
			r.want(401, m, rules, document, ctype(rulesType))
			r.wantAs(403, "bob", m, rules, document, ctype(rulesType))
		}
		r.wantAs(200, "rls", "GET", rules, "")
		r.wantAs(200, "alice", "GET", rules, "")
	})
	t.Run("XUSE-026 RLS-075 the index of services is for trusted elements", func(t *testing.T) {
		r := newRig(t, withUsers("alice", "rls"), func(c *Config) { c.Trusted = []string{"rls@example.com"} })
		r.wantAs(403, "alice", "GET", base+"/rls-services/global/index", "")
		r.wantAs(200, "rls", "GET", base+"/rls-services/global/index", "")
		r.wantAs(403, "alice", "PUT", base+"/rls-services/global/index", "<a/>")
	})
	t.Run("XUSE-031 presence has one document in a home", func(t *testing.T) {
		r := newRig(t, withUsers("alice"))
		pidf := `<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="sip:alice@example.com"/>`
		r.conflictAs("constraint-failure", "alice", "PUT", strings.Replace(presence, "index", "other", 1), pidf, ctype("application/pidf+xml"))
		r.wantAs(403, "alice", "PUT", base+"/pidf-manipulation/global/index", pidf, ctype("application/pidf+xml"))
		r.wantAs(201, "alice", "PUT", presence, pidf, ctype("application/pidf+xml"))
	})
	t.Run("XUSE-035 presence is its owner's", func(t *testing.T) {
		r := newRig(t, withUsers("alice", "bob"))
		r.wantAs(403, "bob", "GET", presence, "")
		r.wantAs(403, "bob", "PUT", presence, "<a/>", ctype("application/pidf+xml"))
	})
	t.Run("icons are for everybody", func(t *testing.T) {
		r := newRig(t, withUsers("alice", "bob"))
		icon := base + "/org.openmobilealliance.pres-content/users/alice/oma_status-icon/index"
		r.wantAs(201, "alice", "PUT", icon, `<content xmlns="urn:oma:xml:prs:pres-content"><data>AAAA</data></content>`, ctype("application/vnd.oma.pres-content+xml"))
		r.want(200, "GET", icon, "")
		r.want(200, "GET", icon, "", "Authorization: Digest nothing")
		r.want(401, "DELETE", icon, "")
	})
}

// TestStale lets a nonce grow old.
func TestStale(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	r := newRig(t, withUsers("alice"), func(c *Config) { c.Now = func() time.Time { return now } })
	client := digest.NewClient(digest.ClientConfig{Credentials: func(string) (string, string, error) { return "alice", "alicep", nil }})
	q := client.Request("GET", lists, nil)
	if err := q.Challenged(r.send("GET", lists, "").Header()["Www-Authenticate"]); err != nil {
		t.Fatal(err)
	}
	r.want(404, "GET", lists, "", "Authorization: "+q.Authorization()[0])
	now = now.Add(time.Hour)
	a := r.want(401, "GET", lists, "", "Authorization: "+q.Authorization()[0])
	for _, c := range a.Header()["Www-Authenticate"] {
		if !strings.Contains(c, "stale=true") {
			t.Error(c)
		}
	}
	if err := q.Challenged(a.Header()["Www-Authenticate"]); err != nil {
		t.Fatal(err)
	}
	r.want(404, "GET", lists, "", "Authorization: "+q.Authorization()[0])
	if len(r.want(401, "GET", lists, "").Header()["Www-Authenticate"]) != 2 {
		t.Error("another number of challenges")
	}
}

func TestNames(t *testing.T) {
	r := newRig(t, withUsers("alice", "bob@example.org", "a/b"), func(c *Config) { c.Domains = []string{"example.com", "example.org"} })
	for _, c := range []struct {
		user, xui string
		status    int
	}{
		{"alice", "sip:alice@example.com", 404}, {"alice", "sip:alice@example.org", 404}, {"alice", "alice", 404}, {"alice", "sip:alice@example.net", 404},
		{"a/b", "sip:a%2Fb@example.com", 404}, {"a/b", "a%2Fb@example.org", 404}, {"alice", "sip:a%2Fb@example.com", 403},
	} {
		r.wantAs(c.status, c.user, "GET", base+"/resource-lists/users/"+c.xui+"/index", "")
	}
}

func TestGuessing(t *testing.T) {
	r := newRig(t, withUsers("alice", "bob"))
	c := digest.NewClient(digest.ClientConfig{Credentials: func(string) (string, string, error) { return "alice", "wrong", nil }})
	q := c.Request("GET", lists, nil)
	if err := q.Challenged(r.send("GET", lists, "").Header()["Www-Authenticate"]); err != nil {
		t.Fatal(err)
	}
	for range 10 {
		r.want(401, "GET", lists, "", "Authorization: "+q.Authorization()[0])
	}
	a := r.want(429, "GET", lists, "", "Authorization: "+q.Authorization()[0])
	if a.Header().Get("Retry-After") == "" || a.Header().Get("WWW-Authenticate") != "" {
		t.Error(a.Header())
	}
	r.wantAs(404, "alice", "GET", lists, "")
}

func TestProxies(t *testing.T) {
	for _, user := range []string{`"sip:alice@example.com"`, "sip:alice@example.com", "alice", `"alice@example.com", "sip:bob@example.com"`} {
		claim := "X-XCAP-Asserted-Identity: " + user
		r := newRig(t, withUsers("alice", "bob"))
		r.want(401, "GET", lists, "", claim, "X-Forwarded-For: 192.0.2.1", "From-Address: 192.0.2.1:7")
		r = newRig(t, withUsers("alice", "bob"), func(c *Config) { c.Proxies = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/31")} })
		r.want(404, "GET", lists, "", claim, "From-Address: 192.0.2.1:7")
		r.want(404, "GET", lists, "", claim, "From-Address: [::ffff:192.0.2.1]:7")
		r.want(403, "GET", listOf("bob"), "", claim, "From-Address: 192.0.2.1:7")
		r.want(401, "GET", lists, "", claim, "X-Forwarded-For: 192.0.2.1", "From-Address: 192.0.2.2:7")
		r.want(401, "GET", lists, "", "From-Address: 192.0.2.1:7")
	}
}

func TestSource(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Proxies = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")} })
	for _, c := range []struct{ remote, forwarded, want string }{
		{"203.0.113.5:1", "198.51.100.1", "203.0.113.5"},
		{"192.0.2.9:1", "198.51.100.1", "198.51.100.1"},
		{"192.0.2.9:1", "10.0.0.1, 198.51.100.1, 192.0.2.3", "198.51.100.1"},
		{"192.0.2.9:1", "198.51.100.1, what", "192.0.2.9"},
		{"192.0.2.9:1", "", "192.0.2.9"},
		{"192.0.2.9:1", "[2001:db8::1]", "2001:db8::1"},
	} {
		req := forwarded(c.remote, c.forwarded)
		if got := r.source(req); got.String() != c.want {
			t.Errorf("%v: %s", c, got)
		}
	}
}

func TestHost(t *testing.T) {
	r := newRig(t)
	for host, status := range map[string]int{"localhost:8080": 404, "127.0.0.1": 404, "[::1]:80": 404, "192.0.2.1:80": 404, "xcap.example.com": 404, "EXAMPLE.com:1": 404, "evil.example": 421} {
		r.want(status, "GET", lists, "", "Host: "+host)
	}
	newRig(t, withUsers("alice")).want(401, "GET", lists, "", "Host: evil.example")
}
