package lab_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"imp/internal/auth/digest"
	"imp/internal/auth/users"
	"imp/internal/server/lab"
	"imp/internal/server/presence"
)

// scenarios is where the scenarios of sipp are, from this package's directory.
const scenarios = "../../../testdata/sipp"

// patience bounds one run of a peer; none takes a second on an idle machine.
const patience = 30 * time.Second

// scenario is one run of sipp: it publishes for alice or watches her as bob.
type scenario struct {
	name string // begins with the requirements it checks
	file string // in testdata/sipp, without .xml
}

// peers are the scenarios that leave the server as they found it.
var peers = []scenario{
	{"PUB-026 PUB-033 PUB-043 PUB-044 PUB-046 PUB-047 PUB-057 publish, refresh, change and remove", "publish"},
	{"PUB-032 PUB-039 stale entity-tags are refused", "publish-stale"},
	{"PUB-033 PUB-034 PUB-039 lifetimes of publications", "publish-lifetime"},
	{"PUB-027 PUB-028 PUB-029 PUB-031 PUB-036 PUB-037 PUB-040 PUB-058 what PUBLISH is refused for", "publish-refused"},
	{"EVT-003 EVT-069 EVT-070 EVT-071 EVT-072 EVT-073 EVT-075 EVT-077 EVT-084 EVT-085 EVT-086 EVT-094 EVT-100 subscribe, refresh and unsubscribe", "subscribe"},
	{"EVT-073 EVT-086 EVT-094 EVT-100 fetch", "fetch"},
	{"EVT-006 EVT-008 compact forms", "subscribe-compact"},
	{"EVT-001 EVT-002 EVT-007 EVT-062 EVT-063 EVT-064 EVT-068 EVT-076 EVT-077 what SUBSCRIBE is refused for", "subscribe-refused"},
	{"EVT-088 PUB-038 PUB-039 PUB-050 changes and composition are told, refreshes are not", "change"},
	{"EVT-091 a watcher that answers NOTIFY 481 is gone", "watcher-gone"},
	{"EVT-092 a watcher that answers NOTIFY 500 stays", "watcher-ill"},
	{"EVT-103 EVT-104 EVT-106 PUB-051 what OPTIONS tells", "options"},
}

// transports are the modes of sipp: one socket for all calls.
var transports = []struct{ name, mode string }{{"udp", "u1"}, {"tcp", "t1"}}

// program finds a peer's program or skips the test.
func program(t *testing.T, name, pkg string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%s is not installed (package %s)", name, pkg)
	}
	return path
}

// start brings a lab without authentication up and gives the host:port of its
// presence server.
func start(t *testing.T) string {
	t.Helper()
	return startWith(t, nil)
}

func startWith(t *testing.T, auth *presence.Auth) string {
	t.Helper()
	l := startLab(t, lab.Config{Dir: t.TempDir(), Auth: auth})
	for _, a := range l.Servers()["presence-server"] {
		if addr, ok := strings.CutPrefix(a, "udp:"); ok {
			return addr
		}
	}
	t.Fatal("the lab has no UDP address")
	return ""
}

// startLab brings a lab up for the time of a test.
func startLab(t *testing.T, cfg lab.Config) *lab.Lab {
	t.Helper()
	l, err := lab.Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := l.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return l
}

// TestSIPp lets sipp publish and watch in the lab.
func TestSIPp(t *testing.T) {
	sipp := program(t, "sipp", "sip-tester")
	for _, tr := range transports {
		t.Run(tr.name, func(t *testing.T) {
			for _, s := range peers {
				t.Run(s.name, func(t *testing.T) {
					runSIPp(t, sipp, start(t), tr.mode, filepath.Join(scenarios, s.file+".xml"))
				})
			}
		})
	}
}

// TestSIPpAuthenticates lets sipp answer the challenges of a lab. It takes the
// first challenge and knows MD5 only.
func TestSIPpAuthenticates(t *testing.T) {
	sipp := program(t, "sipp", "sip-tester")
	source, err := users.New(users.Config{Realms: []string{lab.Domain}, Algorithms: []string{"MD5"}, Entries: []string{"alice:wonderland", "bob:builder"}})
	if err != nil {
		t.Fatal(err)
	}
	auth := &presence.Auth{Realm: lab.Domain, Users: source, Algorithms: []digest.Algorithm{digest.MD5}}
	for _, tr := range transports {
		t.Run("EVT-065 NAM-049 PUB-052 "+tr.name, func(t *testing.T) {
			runSIPp(t, sipp, startWith(t, auth), tr.mode, filepath.Join(scenarios, "authenticated.xml"))
		})
	}
}

// TestSIPpAnswersNotify lets sipp answer NOTIFY with each status that ends a
// subscription, and with some that do not.
func TestSIPpAnswersNotify(t *testing.T) {
	sipp := program(t, "sipp", "sip-tester")
	server := start(t)
	for _, c := range []struct {
		name, file, written string
		statuses            []int
	}{
		{"EVT-091 the subscription ends", "watcher-gone", "481", []int{404, 405, 410, 416, 480, 481, 482, 483, 484, 485, 489, 501, 604}},
		{"EVT-092 the subscription goes on", "watcher-ill", "500", []int{400, 403, 486, 500, 503, 603}},
	} {
		t.Run(c.name, func(t *testing.T) {
			text, err := os.ReadFile(filepath.Join(scenarios, c.file+".xml"))
			if err != nil {
				t.Fatal(err)
			}
			old := []byte("SIP/2.0 " + c.written + " ")
			if !bytes.Contains(text, old) {
				t.Fatalf("%s.xml does not answer %s", c.file, c.written)
			}
			for _, status := range c.statuses {
				t.Run(fmt.Sprint(status), func(t *testing.T) {
					file := filepath.Join(t.TempDir(), "scenario.xml")
					told := bytes.ReplaceAll(text, old, fmt.Appendf(nil, "SIP/2.0 %d ", status))
					if err := os.WriteFile(file, told, 0o600); err != nil {
						t.Fatal(err)
					}
					runSIPp(t, sipp, server, "u1", file)
				})
			}
		})
	}
}

// runSIPp runs one call of a scenario. sipp ends with status 0 when all that
// came was as the scenario says.
func runSIPp(t *testing.T, sipp, server, mode, file string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	host, _, err := net.SplitHostPort(server)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	errs, msgs := filepath.Join(dir, "errors"), filepath.Join(dir, "messages")
	cmd := exec.CommandContext(ctx, sipp, server, "-sf", file, "-i", host, "-t", mode, "-m", "1", "-nostdin",
		"-s", "alice", "-key", "watcher", "bob", "-key", "other", "carol",
		"-timeout", "20s", "-timeout_error", "-recv_timeout", "10000", "-default_behaviors", "all,-bye",
		"-trace_err", "-error_file", errs, "-trace_msg", "-message_file", msgs)
	cmd.WaitDelay = time.Second
	screen, err := cmd.CombinedOutput()
	if err == nil {
		return
	}
	said, _ := os.ReadFile(errs)
	seen, _ := os.ReadFile(msgs)
	t.Errorf("sipp %s %s: %v\n%s", mode, filepath.Base(file), err, said)
	t.Logf("messages:\n%s", seen)
	if len(said) == 0 {
		t.Logf("screen:\n%s", screen)
	}
}
