package cli

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
)

const familyRules = `<?xml version="1.0"?>
<ruleset  xmlns="urn:ietf:params:xml:ns:common-policy"><!-- mine -->
	<rule  id='family'/>
</ruleset>
`

// TestRulesOnOtherServers changes rules where not all goes as it should.
func TestRulesOnOtherServers(t *testing.T) {
	changed := func(t *testing.T, front func(next http.Handler) http.HandlerFunc) (out, errs string) {
		root := documents(t, front)
		if status, _, errs := asAlice(t, root, "xcap", "put", "pres-rules", file(t, familyRules), "-q"); status != 0 {
			t.Fatal(errs)
		}
		status, _, errs := asAlice(t, root, "rules", "allow", "bob")
		if status != 0 {
			t.Fatal(errs)
		}
		if status, _, errs := asAlice(t, root, "rules", "block", "eve"); status != 0 {
			t.Fatal(errs)
		}
		_, out, _ = asAlice(t, root, "xcap", "get", "pres-rules", "-q", "-o", "raw")
		before, _, _ := strings.Cut(familyRules, "\n</ruleset>")
		if !strings.HasPrefix(out, before) || strings.Count(out, "sip:bob@example.com") != 1 || strings.Count(out, "sip:eve@example.com") != 1 {
			t.Errorf("%s", out)
		}
		return out, errs
	}
	t.Run("a directory that is not for everybody", func(t *testing.T) {
		_, errs := changed(t, func(next http.Handler) http.HandlerFunc {
			return func(w http.ResponseWriter, r *http.Request) {
				if strings.Contains(r.URL.Path, "xcap-directory") {
					w.WriteHeader(http.StatusForbidden)
					return
				}
				next.ServeHTTP(w, r)
			}
		})
		if !strings.Contains(errs, "warning: whether other rules grant more cannot be told: ") {
			t.Error(errs)
		}
	})
	t.Run("a server that takes documents only", func(t *testing.T) {
		var refused atomic.Int32
		changed(t, func(next http.Handler) http.HandlerFunc {
			return func(w http.ResponseWriter, r *http.Request) {
				if r.Method != "GET" && strings.Contains(r.URL.Path, "~~") {
					refused.Add(1)
					w.WriteHeader(http.StatusInternalServerError)
					return
				}
				next.ServeHTTP(w, r)
			}
		})
		if refused.Load() != 2 {
			t.Errorf("%d requests were for a rule", refused.Load())
		}
	})
	t.Run("somebody else changes the document meanwhile", func(t *testing.T) {
		var root string
		var once atomic.Bool
		out := ""
		root = documents(t, func(next http.Handler) http.HandlerFunc {
			return func(w http.ResponseWriter, r *http.Request) {
				if r.Method == "PUT" && strings.Contains(r.URL.Path, "imp-allow") && once.CompareAndSwap(false, true) {
					if status, _, errs := asAlice(t, root, "rules", "allow", "carol", "--name", "theirs"); status != 0 {
						t.Error(errs)
					}
				}
				next.ServeHTTP(w, r)
			}
		})
		asAlice(t, root, "xcap", "put", "pres-rules", file(t, familyRules), "-q")
		if status, _, errs := asAlice(t, root, "rules", "allow", "bob"); status != 0 {
			t.Fatal(errs)
		}
		if _, out, _ = asAlice(t, root, "rules", "show"); !strings.Contains(out, "theirs") || !strings.Contains(out, "imp-allow") || !strings.Contains(out, "family") {
			t.Error(out)
		}
	})
}
