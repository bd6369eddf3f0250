package presence

import (
	"bytes"
	"context"
	"crypto/md5"
	"fmt"
	"log/slog"
	"net"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"

	"imp/internal/auth/digest"
	"imp/internal/auth/users"
	"imp/internal/sip/event"
	"imp/internal/sip/header"
	"imp/internal/sip/stack"
	"imp/internal/store/memory"
)

// door is a server of example.com and example.org that lets alice and bob in,
// and somebody who knocks.
type door struct {
	t      *testing.T
	ctx    context.Context
	server *Server
	peer   *stack.Stack
	log    lockedBuffer
	seq    int
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

const realm = "example.com"

func newDoor(t *testing.T, change func(*Auth)) *door {
	t.Helper()
	d := &door{t: t}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	d.ctx = ctx
	source, err := users.New(users.Config{Realms: []string{realm}, Entries: []string{"alice:wonderland", "bob:builder", "carol@example.org:singer"}})
	if err != nil {
		t.Fatal(err)
	}
	auth := &Auth{Realm: realm, Users: source}
	if change != nil {
		change(auth)
	}
	store := memory.New()
	t.Cleanup(func() { store.Close() })
	d.server, err = Serve(ctx, ServerConfig{Listen: []stack.Endpoint{{Transport: "udp", Addr: "127.0.0.1:0"}}, Store: store,
		Domains: []string{"example.com", "example.org"}, Auth: auth, Log: slog.New(slog.NewTextHandler(&d.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Known: func(user, domain string) bool { return user == "alice" || user == "bob" || user == "carol" }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.server.Close)
	d.peer = stack.New(stack.Config{})
	d.peer.Handle("NOTIFY", func(context.Context, *stack.Request) *stack.Response { return stack.Answer(200) })
	if err := d.peer.Listen(ctx, stack.Endpoint{Transport: "udp", Addr: "127.0.0.1:0"}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.peer.Close() })
	return d
}

// request is one request to the server.
type request struct {
	method, target string // target "" is alice
	from           string // "" is alice
	callID, toTag  string // callID "" is a new one
	auth           []string
	more           string // further header fields
}

func (q *request) defaults() {
	if q.target == "" {
		q.target = "sip:alice@example.com"
	}
	if q.from == "" {
		q.from = "sip:alice@example.com"
	}
	if q.callID == "" {
		q.callID = stack.NewCallID()
	}
}

const published = `<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="sip:alice@example.com"/>`

// head renders what is between Via and Content-Length.
func (d *door) head(q request) string {
	d.seq++
	to := "<sip:alice@example.com>"
	if q.toTag != "" {
		to += ";tag=" + q.toTag
	}
	h := fmt.Sprintf("Max-Forwards: 70\r\nFrom: <%s>;tag=f\r\nTo: %s\r\nCall-ID: %s\r\nCSeq: %d %s\r\nEvent: presence\r\nContact: <sip:x@%s>\r\nExpires: 100\r\n",
		q.from, to, q.callID, d.seq, q.method, d.peer.Addrs()[0].Addr)
	for _, v := range q.auth {
		h += "Authorization: " + v + "\r\n"
	}
	if q.method == "PUBLISH" {
		h += "Content-Type: application/pidf+xml\r\n"
	}
	return h + q.more
}

func (q request) body() []byte {
	if q.method == "PUBLISH" {
		return []byte(published)
	}
	return nil
}

func (d *door) send(q request) *sip.Response {
	d.t.Helper()
	q.defaults()
	res, err := d.peer.Do(d.ctx, &stack.Outgoing{Method: q.method, URI: q.target, Head: []byte(d.head(q)), Body: q.body(),
		Target: stack.Target{Addr: d.server.Addrs()[0].Addr, Transport: "udp"}})
	if err != nil {
		d.t.Fatal(err)
	}
	return res
}

// wants sends a request and checks the status of the answer.
func (d *door) wants(status int, q request) *sip.Response {
	d.t.Helper()
	res := d.send(q)
	if res.StatusCode != status {
		d.t.Fatalf("%s from %s to %s: %d %s, want %d", q.method, q.from, q.target, res.StatusCode, res.Reason, status)
	}
	return res
}

// login has a user answer a challenge; the values returned are good for one
// request with this method to this uri.
func (d *door) login(user, password, method, uri string) []string {
	d.t.Helper()
	c := digest.NewClient(digest.ClientConfig{Credentials: func(string) (string, string, error) { return user, password, nil }})
	r := c.Request(method, uri, nil)
	if err := r.Challenged(header.Values(d.wants(401, request{method: method}), "WWW-Authenticate")); err != nil {
		d.t.Fatal(err)
	}
	return r.Authorization()
}

// as is q with credentials of a user.
func (d *door) as(user, password string, q request) request {
	d.t.Helper()
	q.defaults()
	q.auth = d.login(user, password, q.method, q.target)
	return q
}

func TestChallenge(t *testing.T) {
	for _, method := range []string{"SUBSCRIBE", "PUBLISH"} {
		t.Run("EVT-065 NAM-049 PRS-015 PUB-052 "+method+" without credentials", func(t *testing.T) {
			d := newDoor(t, nil)
			for name, q := range map[string]request{"plain": {}, "an unknown presentity": {target: "sip:nobody@example.com"},
				"elsewhere": {target: "sip:alice@example.net"}, "in a dialog": {toTag: "00aa"}, "another scheme": {auth: []string{"Basic YTpi"}},
				"another realm": {auth: []string{`Digest username="alice", realm="x", nonce="n", uri="sip:alice@example.com", response="00"`}}} {
				q.method = method
				res := d.wants(401, q)
				offers := header.Values(res, "WWW-Authenticate")
				if len(offers) != 2 || !strings.Contains(offers[0], "algorithm=SHA-256") || !strings.Contains(offers[1], "algorithm=MD5") {
					t.Errorf("%s: challenges %q", name, offers)
				}
				if len(header.Values(res, "Proxy-Authenticate")) > 0 {
					t.Errorf("%s: challenges like a proxy", name)
				}
			}
		})
	}
	t.Run("EVT-080 unauthenticated requests leave no state", func(t *testing.T) {
		d := newDoor(t, nil)
		for range 200 {
			d.wants(401, request{method: "SUBSCRIBE"})
		}
		if n := d.server.agent.notifier.Count(); n != 0 {
			t.Errorf("%d subscriptions", n)
		}
		if n := len(d.server.agent.presentities.watched()); n != 0 {
			t.Errorf("%d presentities", n)
		}
	})
	t.Run("NAM-060 CANCEL is not challenged", func(t *testing.T) {
		d := newDoor(t, nil)
		c := d.dial()
		c.send("CANCEL sip:alice@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:1;rport;branch=z9hG4bKc\r\n" + d.head(request{method: "CANCEL", from: "sip:bob@example.com", callID: "c"}) + "\r\n")
		if got := c.receive(); !strings.HasPrefix(got, "SIP/2.0 481 ") {
			t.Errorf("answer %q", got)
		}
	})
}

func TestCredentials(t *testing.T) {
	t.Run("PUB-053 PRS-015 right credentials, and their replay", func(t *testing.T) {
		for _, method := range []string{"SUBSCRIBE", "PUBLISH"} {
			d := newDoor(t, nil)
			q := d.as("alice", "wonderland", request{method: method})
			d.wants(200, q)
			q.callID = ""
			res := d.wants(401, q)
			if v := header.Values(res, "WWW-Authenticate"); !strings.Contains(v[0], "stale=true") {
				t.Errorf("%s again: %q", method, v)
			}
		}
	})
	t.Run("a wrong password and an unknown user get the same", func(t *testing.T) {
		d := newDoor(t, nil)
		changing := regexp.MustCompile(`nonce="[^"]*"|;tag=\S+|branch=\S+|(?m)^(Call-ID|CSeq):.*$`)
		known := d.wants(401, d.as("alice", "guess", request{method: "SUBSCRIBE"})).String()
		unknown := d.wants(401, d.as("nobody", "guess", request{method: "SUBSCRIBE"})).String()
		if a, b := changing.ReplaceAllString(known, ""), changing.ReplaceAllString(unknown, ""); a != b {
			t.Errorf("known user:\n%s\nunknown user:\n%s", a, b)
		}
	})
	t.Run("NAM-058 malformed credentials", func(t *testing.T) {
		d := newDoor(t, nil)
		res := d.wants(400, request{method: "SUBSCRIBE", auth: []string{`Digest username="alice", username*=UTF-8''alice, realm="example.com", nonce="n", uri="sip:alice@example.com", response="0123456789abcdef0123456789abcdef"`}})
		if w := header.Values(res, "Warning"); len(w) != 1 || !strings.Contains(w[0], "both username and username*") {
			t.Errorf("warning %q", w)
		}
	})
	t.Run("NAM-056 a uri of elsewhere is refused, a rewritten Request-URI is not", func(t *testing.T) {
		d := newDoor(t, nil)
		d.wants(400, request{method: "SUBSCRIBE", auth: d.login("alice", "wonderland", "SUBSCRIBE", "sip:alice@example.net")})
		d.wants(200, request{method: "SUBSCRIBE", target: "sip:alice@example.com;x=y", auth: d.login("alice", "wonderland", "SUBSCRIBE", "sip:alice@example.com")})
		d.wants(200, request{method: "SUBSCRIBE", auth: d.login("alice", "wonderland", "SUBSCRIBE", "sip:"+d.server.Addrs()[0].Addr)})
		// Who exists is nobody's business before the password is right.
		d.wants(401, request{method: "SUBSCRIBE", auth: d.login("alice", "guess", "SUBSCRIBE", "sip:nobody@example.com")})
	})
	t.Run("NAM-052 the form of RFC 2069 is let in unless it is switched off", func(t *testing.T) {
		for _, strict := range []bool{false, true} {
			d := newDoor(t, func(a *Auth) { a.NoLegacy = strict })
			offer := header.Values(d.wants(401, request{method: "SUBSCRIBE"}), "WWW-Authenticate")[1]
			nonce := regexp.MustCompile(`nonce="([^"]+)"`).FindStringSubmatch(offer)[1]
			sum := func(s string) string { return fmt.Sprintf("%x", md5.Sum([]byte(s))) }
			response := sum(sum("alice:example.com:wonderland") + ":" + nonce + ":" + sum("SUBSCRIBE:sip:alice@example.com"))
			status := 200
			if strict {
				status = 400
			}
			d.wants(status, request{method: "SUBSCRIBE", auth: []string{fmt.Sprintf(
				`Digest username="alice", realm="example.com", nonce="%s", uri="sip:alice@example.com", response="%s", nc="00000001"`, nonce, response)}})
		}
	})
	t.Run("guessing is slowed, and right credentials are not", func(t *testing.T) {
		d := newDoor(t, nil)
		for range 10 {
			d.wants(401, d.as("alice", "guess", request{method: "SUBSCRIBE"}))
		}
		res := d.wants(403, d.as("alice", "guess", request{method: "SUBSCRIBE"}))
		if len(header.Values(res, "Retry-After")) != 1 || len(header.Values(res, "WWW-Authenticate")) != 0 {
			t.Errorf("the short answer:\n%s", res)
		}
		d.wants(200, d.as("alice", "wonderland", request{method: "SUBSCRIBE"}))
	})
	t.Run("NAM-059 the log shows no secret", func(t *testing.T) {
		d := newDoor(t, nil)
		q := d.as("alice", "guess", request{method: "SUBSCRIBE"})
		d.wants(401, q)
		log := d.log.String()
		response := regexp.MustCompile(`response="(\w+)"`).FindStringSubmatch(q.auth[0])[1]
		if !strings.Contains(log, "wrong user name or password") || !strings.Contains(log, "alice") {
			t.Errorf("nothing is logged: %s", log)
		}
		if strings.Contains(log, "wonderland") || strings.Contains(log, response) {
			t.Errorf("a secret is logged: %s", log)
		}
	})
}

func TestIdentities(t *testing.T) {
	t.Run("NAM-057 AUT-014 From must be an address of the user", func(t *testing.T) {
		d := newDoor(t, nil)
		for _, c := range []struct {
			user, password, from string
			status               int
		}{
			{"alice", "wonderland", "sip:bob@example.com", 403},
			{"alice", "wonderland", "sip:Alice@example.com", 403},
			{"alice", "wonderland", "sip:alice@example.net", 403},
			{"alice", "wonderland", "sip:anonymous@anonymous.invalid", 403},
			{"alice", "wonderland", "sip:example.com", 403},
			{"alice", "wonderland", "sip:alice@EXAMPLE.com:5060;x=y", 200},
			{"alice", "wonderland", "pres:alice@example.com", 200},
			{"alice", "wonderland", "sip:%61lice@example.org", 200},
			{"carol@example.org", "singer", "sip:carol@example.org", 200},
			{"carol@example.org", "singer", "sip:carol@example.com", 403},
		} {
			d.wants(c.status, d.as(c.user, c.password, request{method: "SUBSCRIBE", from: c.from}))
		}
	})
	t.Run("AUT-016 nobody is believed in whom he asserts", func(t *testing.T) {
		d := newDoor(t, nil)
		for _, claim := range []string{"P-Asserted-Identity: <sip:alice@example.com>\r\n", "P-Preferred-Identity: <sip:alice@example.com>\r\n", "Remote-Party-ID: <sip:alice@example.com>\r\n"} {
			d.wants(401, request{method: "SUBSCRIBE", more: claim})
			d.wants(200, d.as("bob", "builder", request{method: "SUBSCRIBE", from: "sip:bob@example.com", more: claim}))
		}
		d.server.agent.notifier.Each(func(i event.Info) bool {
			if i.Watcher != "sip:bob@example.com" {
				t.Errorf("%s watches", i.Watcher)
			}
			return true
		})
	})
	t.Run("PUB-052 PRS-054 who may publish for whom", func(t *testing.T) {
		d := newDoor(t, nil)
		bobs := request{method: "PUBLISH", from: "sip:bob@example.com"}
		d.wants(403, d.as("bob", "builder", bobs))
		bobs.target = "sip:bob@example.com"
		d.wants(200, d.as("bob", "builder", bobs))
		bobs.target = "sip:nobody@example.com"
		d.wants(404, d.as("bob", "builder", bobs))
		bobs.target = "sip:bob@example.net"
		d.wants(404, d.as("bob", "builder", bobs))
		d = newDoor(t, func(a *Auth) { a.PublishForAll = true })
		bobs.target = ""
		d.wants(200, d.as("bob", "builder", bobs))
	})
	t.Run("PRS-074 a subscription belongs to who made it", func(t *testing.T) {
		d := newDoor(t, nil)
		q := d.as("bob", "builder", request{method: "SUBSCRIBE", from: "sip:bob@example.com"})
		res := d.wants(200, q)
		tag, _ := res.To().Params.Get("tag")
		inside := request{method: "SUBSCRIBE", from: "sip:bob@example.com", callID: q.callID, toTag: tag}
		d.wants(401, inside)
		stranger := inside
		stranger.from = "sip:alice@example.com"
		d.wants(403, d.as("alice", "wonderland", stranger))
		d.wants(200, d.as("bob", "builder", inside))
		if n := d.server.agent.notifier.Count(); n != 1 {
			t.Errorf("%d subscriptions", n)
		}
	})
}

// datagrams sends exact bytes.
type datagrams struct {
	t *testing.T
	net.Conn
}

func (d *door) dial() datagrams {
	d.t.Helper()
	c, err := net.Dial("udp", d.server.Addrs()[0].Addr)
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(10 * time.Second))
	return datagrams{d.t, c}
}

func (c datagrams) send(s string) {
	c.t.Helper()
	if _, err := c.Write([]byte(s)); err != nil {
		c.t.Fatal(err)
	}
}

func (c datagrams) receive() string {
	c.t.Helper()
	buf := make([]byte, 65536)
	n, err := c.Read(buf)
	if err != nil {
		c.t.Fatal(err)
	}
	return string(buf[:n])
}

func TestRepeatedRequests(t *testing.T) {
	d := newDoor(t, nil)
	c := d.dial()
	q := request{method: "PUBLISH", callID: "p", target: "sip:alice@example.com", from: "sip:alice@example.com"}
	publish := func(auth []string) string {
		q.auth = auth
		d.seq = 0
		return fmt.Sprintf("PUBLISH %s SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:1;rport;branch=z9hG4bKp\r\n%sContent-Length: %d\r\n\r\n%s",
			q.target, d.head(q), len(published), published)
	}
	c.send(publish(nil))
	challenge := c.receive()
	if !strings.HasPrefix(challenge, "SIP/2.0 401 ") {
		t.Fatal(challenge)
	}
	// libpurple answers under the same branch and CSeq.
	client := digest.NewClient(digest.ClientConfig{Credentials: func(string) (string, string, error) { return "alice", "wonderland", nil }})
	r := client.Request("PUBLISH", q.target, nil)
	offers := regexp.MustCompile(`(?m)^WWW-Authenticate: (.*)\r$`).FindAllStringSubmatch(challenge, -1)
	if err := r.Challenged([]string{offers[0][1], offers[1][1]}); err != nil {
		t.Fatal(err)
	}
	again := publish(r.Authorization())
	c.send(again)
	c.send(again)
	first, second := c.receive(), c.receive()
	if !strings.HasPrefix(first, "SIP/2.0 200 ") || first != second {
		t.Errorf("two answers to one request:\n%s\n%s", first, second)
	}
}
