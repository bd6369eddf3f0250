package registrar

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// tortureAnswers are those of a registrar and proxy to the requests of RFC 4475 and RFC 5118, as far as they are not for
// all servers the same: REGISTER is carried out, other requests are for users without a phone, who are of this server or
// not.
var tortureAnswers = map[string]string{
	"escnull":    "200 OK <sip:%00@host5.example.com>;expires=3600 <sip:%00%00@host5.example.com>;expires=3600",
	"esc02":      "403 Not A User Of This Server", // the method is REGIST%45R
	"cparam01":   "200 OK <sip:+19725552222@gw1.example.net>;unknownparam;expires=3600",
	"cparam02":   "200 OK <sip:+19725552222@gw1.example.net;unknownparam>;expires=3600",
	"regescrt":   "403 Contact Is The Address Of Record", // with a Route, which nobody follows: it would lead back here
	"regbadct":   "400 Malformed Contact",
	"regaut01":   "200 OK", // nobody is asked for credentials here
	"unksm2":     "400 To Is No SIP URI",
	"dblreq":     "200 OK <sip:j.user@host.example.com>;expires=3600",
	"badbranch":  "480 Temporarily Unavailable",
	"zeromf":     "483 Too Many Hops",
	"bext01":     "420 Bad Extension",
	"unkscm":     "416 Unsupported URI Scheme",
	"novelsc":    "416 Unsupported URI Scheme",
	"mismatch02": "400 CSeq method differs from the request's",
	"baddate":    "480 Temporarily Unavailable", // a proxy does not look at Date
	"longreq":    "480 Temporarily Unavailable",
	"transports": "480 Temporarily Unavailable",
	"semiuri":    "480 Temporarily Unavailable",
	"lwsdisp":    "480 Temporarily Unavailable",
	"intmeth":    "480 Temporarily Unavailable",
	"mpart01":    "403 Not A User Of This Server",
	"wsinv":      "403 Not A User Of This Server",
	"ipv6-good":  "404 Not Found",
}

func TestTorture(t *testing.T) {
	dir := filepath.FromSlash("../../../../shared/vectors/torture")
	index, err := os.ReadFile(filepath.Join(dir, "index.json"))
	if err != nil {
		t.Skip("no shared vectors at ../shared/vectors")
	}
	var files []struct{ File string }
	if err := json.Unmarshal(index, &files); err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		name := strings.TrimSuffix(f.File, ".dat")
		want := tortureAnswers[name]
		if want == "" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			data, err := os.ReadFile(filepath.Join(dir, f.File))
			if err != nil {
				t.Fatal(err)
			}
			p := newSite(t, nil).phone("alice", "tcp")
			p.send(string(data))
			msg := p.receive()
			got := append([]string{statusOf(msg)}, all(msg, "Contact")...)
			if g := strings.Join(got, " "); g != want {
				t.Errorf("answered %q, want %q", g, want)
			}
			if name == "bext01" && field(msg, "Unsupported") != "noProxiesSupportThis, norDoAnyProxiesSupportThis" {
				t.Errorf("a proxy lists what is in Proxy-Require: %q", msg)
			}
		})
	}
}
