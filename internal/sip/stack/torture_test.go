package stack

import (
	"context"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
)

const tortureDir = "../../../../shared/vectors/torture"

// tortured is one message of RFC 4475 or RFC 5118.
type tortured struct {
	File  string
	Kind  string
	bytes string
}

func torture(t testing.TB) (all []tortured) {
	index, err := os.ReadFile(filepath.Join(tortureDir, "index.json"))
	if err != nil {
		t.Skip("no shared vectors at ../shared/vectors")
	}
	if err := json.Unmarshal(index, &all); err != nil {
		t.Fatal(err)
	}
	for i := range all {
		b, err := os.ReadFile(filepath.Join(tortureDir, all[i].File))
		if err != nil {
			t.Fatal(err)
		}
		all[i].bytes = string(b)
	}
	return all
}

func tortureHandlers(s *Stack) {
	for _, m := range []string{"INVITE", "REGISTER", "MESSAGE", "BYE"} {
		s.Handle(m, func(context.Context, *Request) *Response { return Answer(200) })
	}
}

// tortureAnswers are the answers of the stack with handlers that say 200 to INVITE, REGISTER, MESSAGE and BYE; what
// is not here is answered 200.
var tortureAnswers = map[string]string{
	"intmeth":     "501 Not Implemented",
	"esc02":       "501 Not Implemented",
	"badinv01":    "400 Malformed Via",
	"clerr":       "400 Content-Length larger than the datagram",
	"ncl":         "400 Malformed Content-Length",
	"scalar02":    "400 Malformed CSeq",
	"quotbal":     "400 Malformed To",
	"ltgtruri":    "400 Malformed request line",
	"lwsruri":     "400 Malformed request line",
	"lwsstart":    "400 Malformed request line",
	"trws":        "400 Malformed request line",
	"escruri":     "400 Header fields in Request-URI",
	"badaspec":    "400 Malformed To",
	"baddn":       "400 Malformed From",
	"badvers":     "505 Version Not Supported",
	"mismatch01":  "400 CSeq method differs from the request's",
	"mismatch02":  "400 CSeq method differs from the request's",
	"insuf":       "400 Missing From",
	"unkscm":      "416 Unsupported URI Scheme",
	"novelsc":     "416 Unsupported URI Scheme",
	"bext01":      "420 Bad Extension",
	"multi01":     "400 Repeated CSeq",
	"mcl01":       "400 Repeated Content-Length",
	"ipv6-bad":    "400 Malformed Request-URI: host or port",
	"ipv6-in-sdp": "400 Content-Length larger than the datagram", // the file's number is wrong
	"test":        "",                                            // no request line
	"unreason":    "",                                            // responses
	"noreason":    "",
	"scalarlg":    "",
	"bigcode":     "",
	"bcast":       "",
}

func TestTorture(t *testing.T) {
	for _, m := range torture(t) {
		name := strings.TrimSuffix(m.File, ".dat")
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := New(Config{})
				tortureHandlers(s)
				f := fake(t, s)
				f.in <- datagram{m.bytes, there}
				synctest.Wait()
				want, given := tortureAnswers[name]
				if !given {
					want = "200 OK"
				}
				got := ""
				for _, d := range f.sent() {
					got += status(d.data)
				}
				if got != want {
					t.Errorf("answered %q, want %q", got, want)
				}
				_ = s.Close()
			})
		})
	}
}

// TestTortureSurvived sends all of them over real sockets and sees that the stack goes on.
func TestTortureSurvived(t *testing.T) {
	all := torture(t)
	s := serve(t, Config{}, tortureHandlers)
	asking := dial(t, s, "udp")
	for _, m := range all {
		dial(t, s, "udp").send(m.bytes)
		alive(t, asking)
		w := dial(t, s, "tcp")
		w.send(m.bytes)
		_ = w.conn.(*net.TCPConn).CloseWrite()
		for w.receive() != "" {
		}
		alive(t, dial(t, s, "tcp"))
	}
}
