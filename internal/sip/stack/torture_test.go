package stack

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
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
	"regbadct":    "400 Malformed Contact",
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

// tortureEnds says how a stream fares with messages whose end cannot be known: what comes last before the connection is
// closed, beside the answers.
var tortureEnds = map[string]string{
	"clerr":            "slow", // the rest of the body never comes
	"ipv6-in-sdp":      "slow",
	"ncl":              "closed",
	"mcl01":            "closed",
	"inv2543":          "closed", // a body without a length
	"test":             "closed",
	"bigcode":          "closed", // no status line, so no message
	"mult-ip-in-sdp":   "closed", // the body is longer than its length, so what follows is no message
	"ipv4-mapped-ipv6": "closed",
	"dblreq":           "closed", // a second message, and then some more octets
}

// tortureStream has what is answered otherwise over a stream.
var tortureStream = map[string]string{
	"clerr":       "",
	"ipv6-in-sdp": "",
	"inv2543":     "400 Missing Content-Length",
	"dblreq":      "200 OK, 200 OK",
}

// TestTortureWire sends all of them over real sockets: each is answered as its index says, or not at all, and the stack
// goes on.
func TestTortureWire(t *testing.T) {
	all := torture(t)
	var mu sync.Mutex
	var answers []string
	trace := func(r Record) {
		if m := string(r.Data); r.Out && r.Transport == "udp" && !strings.Contains(m, "CSeq: 4711 OPTIONS") {
			mu.Lock()
			defer mu.Unlock()
			answers = append(answers, status(m))
		}
	}
	s := serve(t, Config{Workers: 1, Trace: trace, MessageTimeout: 50 * time.Millisecond}, tortureHandlers)
	asking := dial(t, s, "udp")
	for _, m := range all {
		name := strings.TrimSuffix(m.File, ".dat")
		want, given := tortureAnswers[name]
		if !given {
			want = "200 OK"
		}
		t.Run(name+" over UDP", func(t *testing.T) {
			asking.t = t
			asking.send(m.bytes)
			// With one worker, everything before this has been answered when it is.
			marker := msg("OPTIONS", "CSeq: 4711 OPTIONS")
			for asking.send(marker); field(asking.receive(), "Call-ID") != field(marker, "Call-ID"); {
			}
			mu.Lock()
			defer mu.Unlock()
			if got := strings.Join(answers, ", "); got != want {
				t.Errorf("answered %q, want %q", got, want)
			}
			answers = nil
		})
		if other, given := tortureStream[name]; given {
			want = other
		}
		t.Run(name+" over TCP", func(t *testing.T) {
			w := dial(t, s, "tcp")
			w.send(m.bytes)
			if !strings.Contains(m.bytes, "\r\n\r\n") {
				w.send("\r\n") // the end of the datagram stood for the end of the header
			}
			if tortureEnds[name] == "" {
				w.send(msg("OPTIONS", "CSeq: 4711 OPTIONS"))
			}
			var got []string
			for {
				answer := w.receive()
				if answer == "" || strings.Contains(answer, "CSeq: 4711 OPTIONS") {
					if ended := answer == ""; ended != (tortureEnds[name] != "") {
						t.Errorf("connection closed: %v", ended)
					}
					break
				}
				got = append(got, status(answer))
			}
			if strings.Join(got, ", ") != want {
				t.Errorf("answered %q, want %q", got, want)
			}
		})
	}
}

// TestTortureMutated damages the messages at random: whatever comes of it, the stack neither panics nor answers elsewhere.
// IMP_LONG=1 does it longer.
func TestTortureMutated(t *testing.T) {
	all := torture(t)
	s := New(Config{Log: panics(t)})
	defer s.Close()
	tortureHandlers(s)
	wire := &fakeUDP{t: t, local: here}
	u, e := s.newSocket(wire), new(envelope)
	random := rand.New(rand.NewPCG(4475, 5118))
	rounds := 100
	if os.Getenv("IMP_LONG") != "" {
		rounds = 20_000
	}
	for range rounds {
		for _, m := range all {
			u.handle(e, mutant(random, m.bytes, all[random.IntN(len(all))].bytes), there)
			for _, d := range wire.sent() {
				if d.peer.Addr() != there.Addr() {
					t.Fatalf("answer sent to %v: %q", d.peer, d.data)
				}
			}
		}
	}
}

// mutant is a message with some damage: bytes changed, left out, doubled, or taken from another message.
func mutant(random *rand.Rand, m, other string) []byte {
	b := []byte(m)
	for range 1 + random.IntN(4) {
		at := random.IntN(len(b))
		end := min(len(b), at+1+random.IntN(20))
		switch random.IntN(5) {
		case 0:
			b[at] ^= 1 << random.IntN(8)
		case 1:
			b[at] = "\r\n \t:;,<>\"\\%@?=*[]\x00\xff"[random.IntN(20)]
		case 2:
			b = append(b[:at], b[end:]...)
		case 3:
			b = append(b[:end], append([]byte(nil), b[at:]...)...)
		default:
			from := random.IntN(len(other))
			b = append(b[:at], other[from:min(len(other), from+random.IntN(200))]...)
		}
		if len(b) == 0 {
			return []byte{'x'}
		}
	}
	return b
}

// TestFlood sends nothing but malformed messages.
func TestFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log lines
		s := New(Config{Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
		tortureHandlers(s)
		f := fake(t, s)
		const seconds, each = 5, 400
		for range seconds {
			for i := range each {
				f.in <- datagram{fmt.Sprintf("NOTIFY sip:bob@example.com SIP/2.0\r\nX: %d\r\nbroken", i), there}
				f.in <- datagram{strings.Repeat("\x00garbage", i), there}
				f.in <- datagram{fmt.Sprintf("SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK%d\r\nbroken\r\n\r\n", i), there}
			}
			synctest.Wait()
			time.Sleep(time.Second)
		}
		if n := log.n.Load(); n == 0 || n > seconds+1 {
			t.Errorf("%d messages made %d lines of log", 3*seconds*each, n)
		}
		if n := s.client.pending(); n != 0 {
			t.Errorf("%d transactions are pending", n)
		}
		if n := len(s.replay.cur.answers) + len(s.replay.cur.merged); n != 0 {
			t.Errorf("%d answers are kept", n)
		}
		_ = s.Close()
	})
}

// lines counts what is logged.
type lines struct{ n atomic.Int64 }

func (l *lines) Write(b []byte) (int, error) {
	l.n.Add(int64(bytes.Count(b, []byte("\n"))))
	return len(b), nil
}
