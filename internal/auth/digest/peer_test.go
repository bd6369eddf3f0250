package digest

import (
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"
)

// TestCurl lets curl log in to an HTTP server.
func TestCurl(t *testing.T) {
	curl, err := exec.LookPath("curl")
	if err != nil {
		t.Skip("no curl")
	}
	for name, change := range map[string]func(*Config){
		"default":      func(c *Config) {},
		"MD5":          func(c *Config) { c.Algorithms = []Algorithm{MD5} },
		"SHA-256":      func(c *Config) { c.Algorithms = []Algorithm{SHA256} },
		"MD5 first":    func(c *Config) { c.Algorithms = []Algorithm{MD5, SHA256} },
		"hashed names": func(c *Config) { c.UserHash = true },
		"session key":  func(c *Config) { c.Algorithms = []Algorithm{SHA256Sess} },
		"auth-int too": func(c *Config) { c.Integrity = true },
		"no RFC 2069":  func(c *Config) { c.NoLegacy = true },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, change)
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
				res, err := r.Verify(q.Header.Values("Authorization"), q.Method, q.RequestURI, nil)
				if err != nil {
					for _, v := range r.Challenge(verdictOf(err).Stale()) {
						w.Header().Add("WWW-Authenticate", v)
					}
					http.Error(w, err.Error(), http.StatusUnauthorized)
					return
				}
				w.Header().Set("Authentication-Info", r.Info(res, nil, true))
				w.Write([]byte("hello " + res.User))
			}))
			defer server.Close()
			for password, want := range map[string]string{"secret": "hello alice", "guess": "digest: wrong user name or password\n"} {
				out, err := exec.Command(curl, "-s", "-m", "10", "--noproxy", "*", "--digest", "-u", "alice:"+password, server.URL+"/a?b=c").Output()
				if err != nil || strings.TrimSpace(string(out)) != strings.TrimSpace(want) {
					t.Errorf("%q, want %q: %v", out, want, err)
				}
			}
		})
	}
}
