//go:build unix

package xcap

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// rulesFor are presence rules that let in whom they name.
func rulesFor(watchers ...string) string {
	var who strings.Builder
	for _, w := range watchers {
		fmt.Fprintf(&who, "<cp:one id=\"sip:%s@example.com\"/>", w)
	}
	return `<?xml version="1.0" encoding="UTF-8"?>
<cp:ruleset xmlns:cp="urn:ietf:params:xml:ns:common-policy" xmlns:pr="urn:ietf:params:xml:ns:pres-rules">
  <cp:rule id="known"><cp:conditions><cp:identity>` + who.String() + `</cp:identity></cp:conditions>
    <cp:actions><pr:sub-handling>allow</pr:sub-handling></cp:actions><cp:transformations/></cp:rule>
</cp:ruleset>
`
}

// TestKamailio has Kamailio's presence server ask for the rules of alice when somebody subscribes to her.
func TestKamailio(t *testing.T) {
	t.Run("rules that a script fetches are followed", func(t *testing.T) {
		site := newKamailio(t, []string{"http_client", "xcap_server", "presence_xml"})
		site.put("bob")
		if state := site.subscribe("bob"); state != "active" {
			t.Errorf("bob, whom the rules let in, is %s", state)
		}
		if state := site.subscribe("carol"); state != "pending" {
			t.Errorf("carol, of whom the rules say nothing, is %s", state)
		}
		site.put("bob", "dave")
		if state := site.subscribe("dave"); state != "active" {
			t.Errorf("dave, whom the new rules let in, is %s", state)
		}
		for i, a := range site.answers() {
			if a != "GET "+rules+" 200" {
				t.Errorf("request %d: %s", i, a)
			}
		}
	})
	// The callback for header lines of this module (5.6.3) tells libcurl that it took nothing of the status line, so
	// libcurl gives up whatever the server is, and the rules are never followed: what can be seen is the request.
	t.Run("what the module xcap_client asks for is answered", func(t *testing.T) {
		site := newKamailio(t, []string{"xcap_client", "presence_xml"}, "-A", "XCAP_CLIENT")
		site.put("bob")
		site.subscribe("bob")
		if a := site.answers(); len(a) == 0 || a[0] != "GET "+rules+" 200" {
			t.Errorf("answered were %q", a)
		}
	})
}

// kamailioSite is a Kamailio in front of an XCAP server of ours.
type kamailioSite struct {
	t    *testing.T
	rig  *rig
	addr string // Kamailio's
	mu   sync.Mutex
	got  []string
}

func newKamailio(t *testing.T, modules []string, args ...string) *kamailioSite {
	t.Helper()
	program, err := exec.LookPath("kamailio")
	if err != nil {
		t.Skip("kamailio is not installed")
	}
	const tables = "/usr/share/kamailio/dbtext/kamailio"
	folder := ""
	for _, m := range modules {
		found, _ := filepath.Glob("/usr/lib/*/kamailio/modules/" + m + ".so")
		if len(found) == 0 {
			t.Skipf("the module %s of Kamailio is not installed", m)
		}
		folder = filepath.Dir(found[0])
	}
	if _, err := os.Stat(tables); err != nil {
		t.Skipf("the tables of Kamailio are not installed: %v", err)
	}
	s := &kamailioSite{t: t, rig: newRig(t)}
	web := httptest.NewServer(s)
	t.Cleanup(web.Close)
	dir := t.TempDir()
	if err := os.CopyFS(filepath.Join(dir, "db"), os.DirFS(tables)); err != nil {
		t.Fatal(err)
	}
	s.addr = freePort(t)
	config, err := os.ReadFile("../../../testdata/interop/kamailio-xcap.cfg")
	if err != nil {
		t.Fatal(err)
	}
	host, port, _ := net.SplitHostPort(strings.TrimPrefix(web.URL, "http://"))
	text := strings.NewReplacer("{{addr}}", s.addr, "{{host}}", host, "{{port}}", port, "{{modules}}", folder, "{{dir}}", dir).Replace(string(config))
	file := filepath.Join(dir, "kamailio.cfg")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s.run(exec.Command(program, append([]string{"-DD", "-E", "-f", file, "-w", dir, "-Y", dir}, args...)...))
	return s
}

// freePort is an address that nobody uses, neither over TCP nor over UDP.
func freePort(t *testing.T) string {
	t.Helper()
	for range 100 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		addr := l.Addr().String()
		u, err := net.ListenPacket("udp", addr)
		l.Close()
		if err == nil {
			u.Close()
			return addr
		}
	}
	t.Fatal("no port is free")
	return ""
}

// run starts Kamailio and waits until it listens.
func (s *kamailioSite) run(cmd *exec.Cmd) {
	s.t.Helper()
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = &out, &out, 5*time.Second
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // it has processes of its own
	if err := cmd.Start(); err != nil {
		s.t.Fatalf("kamailio does not start: %v", err)
	}
	ended := make(chan struct{})
	go func() { cmd.Wait(); close(ended) }()
	s.t.Cleanup(func() {
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		<-ended
		if s.t.Failed() {
			s.t.Logf("kamailio said:\n%s", out.Bytes())
		}
	})
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	give := time.After(20 * time.Second)
	for {
		if c, err := net.Dial("tcp", s.addr); err == nil {
			c.Close()
			return
		}
		select {
		case <-ended:
			s.t.Fatalf("kamailio ended: %s", out.Bytes())
		case <-give:
			s.t.Fatal("kamailio does not listen")
		case <-tick.C:
		}
	}
}

// ServeHTTP notes what is asked and answered.
func (s *kamailioSite) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	k := &kept{ResponseWriter: w, status: http.StatusOK}
	s.rig.ServeHTTP(k, req)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.got = append(s.got, fmt.Sprintf("%s %s %d", req.Method, req.RequestURI, k.status))
}

type kept struct {
	http.ResponseWriter
	status int
}

func (k *kept) WriteHeader(status int) { k.status = status; k.ResponseWriter.WriteHeader(status) }

func (s *kamailioSite) answers() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.got...)
}

func (s *kamailioSite) put(watchers ...string) {
	s.t.Helper()
	if a := s.rig.send("PUT", rules, rulesFor(watchers...), ctype("application/auth-policy+xml")); a.Code/100 != 2 {
		s.t.Fatalf("putting rules: %d %s", a.Code, a.body)
	}
}

// subscribe subscribes to alice over UDP and gives the state of the subscription that the first NOTIFY tells.
func (s *kamailioSite) subscribe(watcher string) (state string) {
	s.t.Helper()
	c, err := net.Dial("udp", s.addr)
	if err != nil {
		s.t.Fatal(err)
	}
	defer c.Close()
	at := c.LocalAddr()
	fmt.Fprintf(c, "SUBSCRIBE sip:alice@example.com SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=z9hG4bK%s\r\nMax-Forwards: 70\r\n"+
		"From: <sip:%[2]s@example.com>;tag=%[2]s\r\nTo: <sip:alice@example.com>\r\nCall-ID: %[2]s@%[1]s\r\nCSeq: 1 SUBSCRIBE\r\n"+
		"Contact: <sip:%[2]s@%[1]s>\r\nEvent: presence\r\nExpires: 600\r\nContent-Length: 0\r\n\r\n", at, watcher)
	c.SetReadDeadline(time.Now().Add(20 * time.Second))
	buf := make([]byte, 65536)
	for {
		n, err := c.Read(buf)
		if err != nil {
			s.t.Fatalf("%s waits for a NOTIFY: %v", watcher, err)
		}
		m := string(buf[:n])
		if !strings.HasPrefix(m, "NOTIFY ") {
			if !strings.HasPrefix(m, "SIP/2.0 2") {
				s.t.Fatalf("SUBSCRIBE of %s: %s", watcher, m)
			}
			continue
		}
		fmt.Fprint(c, answerTo(m))
		_, state, _ = strings.Cut(m, "\r\nSubscription-State: ")
		state, _, _ = strings.Cut(state, "\r\n")
		state, _, _ = strings.Cut(state, ";")
		return state
	}
}

// answerTo is the 200 to a request.
func answerTo(request string) string {
	head, _, _ := strings.Cut(request, "\r\n\r\n")
	answer := "SIP/2.0 200 OK\r\n"
	for _, line := range strings.Split(head, "\r\n")[1:] {
		name, _, _ := strings.Cut(line, ":")
		switch name {
		case "Via", "From", "To", "Call-ID", "CSeq":
			answer += line + "\r\n"
		}
	}
	return answer + "Content-Length: 0\r\n\r\n"
}
