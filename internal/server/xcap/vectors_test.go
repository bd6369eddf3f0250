package xcap

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const examples = "../../../../shared/vectors/examples"

// vector reads a file with LF line ends.
func vector(t *testing.T, name string) string {
	t.Helper()
	src, err := os.ReadFile(filepath.Join(examples, name))
	if err != nil {
		t.Skip("no shared vectors at ../shared/vectors")
	}
	return strings.ReplaceAll(string(src), "\r\n", "\n")
}

// exchanged is a request of an RFC as the wire has it.
func (r *rig) exchanged(t *testing.T, name string, fields ...string) answered {
	t.Helper()
	head, body, _ := strings.Cut(vector(t, name), "\n\n")
	lines := strings.Split(head, "\n")
	method, rest, _ := strings.Cut(lines[0], " ")
	target, _, _ := strings.Cut(rest, " ")
	for _, l := range lines[1:] {
		if name, value, ok := strings.Cut(l, ":"); ok && name != "Content-Length" && name != "If-Match" {
			fields = append(fields, name+": "+strings.TrimSpace(value))
		}
	}
	return r.send(method, target, body, fields...)
}

// everybody takes all users of example.com below a root that is the server's own.
func everybody(c *Config) { c.Root, c.Known = "/", nil }

func TestRFC4825(t *testing.T) {
	r := newRig(t, everybody)
	host := "Host: xcap.example.com"
	for _, c := range []struct {
		file   string
		status int
		answer string
	}{
		{"rfc4825-13-1.http", 201, ""}, {"rfc4825-13-2.http", 201, ""}, {"rfc4825-13-3.http", 201, ""}, {"rfc4825-13-4.http", 200, "rfc4825-13-5.http"},
		{"rfc4825-13-6.http", 201, ""}, {"rfc4825-13-7.http", 200, ""}, {"rfc4825-13-8.http", 200, "rfc4825-13-9.http"},
	} {
		a := r.exchanged(t, c.file, host)
		if a.Code != c.status {
			t.Fatalf("%s: %d %s", c.file, a.Code, a.body)
		}
		if c.answer == "" {
			continue
		}
		head, want, _ := strings.Cut(vector(t, c.answer), "\n\n")
		if strings.TrimSpace(a.body) != strings.TrimSpace(want) || !strings.Contains(strings.ReplaceAll(head, " ", ""), "Content-Type:"+a.Header().Get("Content-Type")) {
			t.Errorf("%s: %v\n%s\nwant\n%s", c.file, a.Header(), a.body, want)
		}
	}
}

// TestTriples runs what of the triples has a request and a usage of this server.
func TestTriples(t *testing.T) {
	var triples []struct {
		ID, Op, Before, After string
		Request               json.RawMessage
	}
	if err := json.Unmarshal([]byte(vector(t, "triples.json")), &triples); err != nil {
		t.Fatal(err)
	}
	ran := 0
	for _, c := range triples {
		var requests []string
		if one := ""; json.Unmarshal(c.Request, &one) == nil {
			requests = []string{one}
		} else if json.Unmarshal(c.Request, &requests) != nil {
			continue
		}
		if len(requests) == 0 {
			continue
		}
		_, rest, _ := strings.Cut(vector(t, requests[0]), " ")
		target, _, _ := strings.Cut(rest, " ")
		document, _, _ := strings.Cut(target, "/~~")
		if strings.HasPrefix(document, "/tests/") { // a usage that is made up
			continue
		}
		ran++
		t.Run(c.ID, func(t *testing.T) {
			r := newRig(t, everybody)
			if c.Before != "" {
				mediaType := strings.Split(document, "/")[1] + "+xml"
				if strings.HasPrefix(document, "/pidf-manipulation") {
					mediaType = "pidf+xml"
				}
				r.want(201, "PUT", document, vector(t, c.Before), ctype("application/"+mediaType))
			}
			for _, q := range requests {
				if a := r.exchanged(t, q); a.Code > 201 {
					t.Errorf("%s: %d %s", q, a.Code, a.body)
				}
			}
			if a := r.send("GET", document, ""); c.After != "" && (a.Code != http.StatusOK || strings.TrimSpace(a.body) != strings.TrimSpace(vector(t, c.After))) {
				t.Errorf("%d\n%s", a.Code, a.body)
			}
		})
	}
	if ran == 0 {
		t.Error("nothing ran")
	}
}
