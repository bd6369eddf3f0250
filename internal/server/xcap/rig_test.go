package xcap

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"imp/internal/auth/digest"
	"imp/internal/auth/users"
	"imp/internal/doc/xcaperror"
	"imp/internal/store/memory"
)

const (
	base       = "/xcap-root"
	lists      = base + "/resource-lists/users/sip:alice@example.com/index"
	rules      = base + "/pres-rules/users/sip:alice@example.com/index"
	servicesOf = base + "/rls-services/users/sip:alice@example.com/index"
	presence   = base + "/pidf-manipulation/users/sip:alice@example.com/index"

	listsType = "application/resource-lists+xml"
	elType    = "application/xcap-el+xml"
	attType   = "application/xcap-att+xml"
)

// friends is a document with white space, a comment and quotes of both kinds, to see that they stay.
const friends = `<?xml version="1.0" encoding="UTF-8"?>
<rl:resource-lists xmlns:rl="urn:ietf:params:xml:ns:resource-lists" xmlns:x="urn:x">
  <rl:list name='friends'>
    <rl:display-name>Bekannte ü</rl:display-name>
    <rl:entry uri="sip:bob@example.com" /><!-- after bob -->
    <rl:entry uri='sip:carol@example.com'><rl:display-name><![CDATA[Carol]]></rl:display-name></rl:entry>
  </rl:list>
  <rl:list name="work"/>
</rl:resource-lists>
`

// rig is a server that believes everybody who has an entry among the users.
type rig struct {
	t *testing.T
	*Server
}

func newRig(t *testing.T, change ...func(*Config)) *rig {
	t.Helper()
	store := memory.New()
	t.Cleanup(func() { store.Close() })
	cfg := Config{Store: store, Domains: []string{"example.com"}, Known: func(user, domain string) bool {
		return strings.Contains(" alice bob a/b ", " "+user+" ")
	}}
	for _, c := range change {
		c(&cfg)
	}
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	up := make(chan struct{})
	go s.Run(t.Context(), func() { close(up) })
	<-up
	return &rig{t, s}
}

// withUsers has users authenticate, each with his name and a p for a password.
func withUsers(names ...string) func(*Config) {
	return func(cfg *Config) {
		var entries []string
		for _, n := range names {
			entries = append(entries, n+":"+n+"p")
		}
		source, err := users.New(users.Config{Realms: []string{"example.com"}, Entries: entries})
		if err != nil {
			panic(err)
		}
		cfg.Auth = &Auth{Realm: "example.com", Users: source}
		cfg.Known = func(user, _ string) bool { return source.Has("example.com", user) }
	}
}

// answered is an answer that was received.
type answered struct {
	*httptest.ResponseRecorder
	body string
}

func (a answered) etag() string { return a.Header().Get("ETag") }

// send sends a request with header fields "Name: value".
func (r *rig) send(method, target, body string, fields ...string) answered {
	r.t.Helper()
	req := httptest.NewRequest(method, "http://localhost/", strings.NewReader(body))
	req.RequestURI = target
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ": ")
		req.Header.Add(name, value)
		if name == "Host" {
			req.Host = value
		}
		if name == "From-Address" {
			req.RemoteAddr = value
		}
	}
	w := httptest.NewRecorder()
	r.ServeHTTP(w, req)
	return answered{w, w.Body.String()}
}

// want sends a request and fails unless the status is that.
func (r *rig) want(status int, method, target, body string, fields ...string) answered {
	r.t.Helper()
	a := r.send(method, target, body, fields...)
	if a.Code != status {
		r.t.Errorf("%s %s: status %d, want %d\n%s", method, target, a.Code, status, a.body)
	}
	return a
}

func ctype(t string) string { return "Content-Type: " + t }

// putList puts the document of alice.
func (r *rig) putList(doc string) (etag string) {
	r.t.Helper()
	a := r.send("PUT", lists, doc, ctype(listsType))
	if a.Code != 200 && a.Code != 201 {
		r.t.Fatalf("putting the list: %d %s", a.Code, a.body)
	}
	return a.etag()
}

func (r *rig) get(target string) string {
	r.t.Helper()
	return r.want(200, "GET", target, "").body
}

// conflict sends a request that is to be answered with a report, and holds that the list of alice is as it was.
func (r *rig) conflict(want xcaperror.Condition, method, target, body string, fields ...string) *xcaperror.Report {
	r.t.Helper()
	before := r.send("GET", lists, "")
	a := r.want(http.StatusConflict, method, target, body, fields...)
	if a.Header().Get("Content-Type") != xcaperror.MediaType {
		r.t.Errorf("%s %s: the report has type %q", method, target, a.Header().Get("Content-Type"))
	}
	report, err := xcaperror.Parse([]byte(a.body))
	if err != nil {
		r.t.Fatalf("%s %s: %v\n%s", method, target, err, a.body)
	}
	if report.Condition != want {
		r.t.Errorf("%s %s: %v, want %s", method, target, report, want)
	}
	if after := r.send("GET", lists, ""); after.body != before.body || after.etag() != before.etag() {
		r.t.Errorf("%s %s changed the document", method, target)
	}
	return report
}

// as sends a request with credentials of a user, in answer to a challenge.
func (r *rig) as(user, method, target, body string, fields ...string) answered {
	r.t.Helper()
	challenge := r.send(method, target, body, fields...)
	if challenge.Code != 401 {
		return challenge
	}
	c := digest.NewClient(digest.ClientConfig{Credentials: func(string) (string, string, error) { return user, user + "p", nil }})
	q := c.Request(method, target, []byte(body))
	if err := q.Challenged(challenge.Header()["Www-Authenticate"]); err != nil {
		r.t.Fatal(err)
	}
	return r.send(method, target, body, append(fields, "Authorization: "+q.Authorization()[0])...)
}

func (r *rig) wantAs(status int, user, method, target, body string, fields ...string) answered {
	r.t.Helper()
	a := r.as(user, method, target, body, fields...)
	if a.Code != status {
		r.t.Errorf("%s %s as %s: status %d, want %d\n%s", method, target, user, a.Code, status, a.body)
	}
	return a
}

func conditionOf(name string) xcaperror.Condition { return xcaperror.Condition(name) }

// conflictAs is conflict for one who authenticates; it does not look at the list.
func (r *rig) conflictAs(want xcaperror.Condition, user, method, target, body string, fields ...string) {
	r.t.Helper()
	a := r.wantAs(http.StatusConflict, user, method, target, body, fields...)
	if report, err := xcaperror.Parse([]byte(a.body)); err != nil || report.Condition != want {
		r.t.Errorf("%s %s: %v, %v, want %s", method, target, report, err, want)
	}
}

func forwarded(remote, hops string) *http.Request {
	req := httptest.NewRequest("GET", "/", nil)
	req.RemoteAddr = remote
	req.Header.Set("X-Forwarded-For", hops)
	return req
}
