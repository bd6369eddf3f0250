package lab_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"imp/internal/server/lab"
)

// baresip is driven over its TCP control, whose messages are netstrings with
// JSON, and prints the messages that it gets. It registers, publishes and watches
// its only contact by itself.
type baresip struct {
	t       *testing.T
	conn    net.Conn
	answers chan string // of the control
	told    *events
	printed bytes.Buffer
}

// printedMessage is how baresip shows a message.
var printedMessage = regexp.MustCompile(`(sip:\S+): "(.*)"`)

// newBaresip starts a phone of user whose contact is peer.
func newBaresip(t *testing.T, user, password, server, peer string) *baresip {
	t.Helper()
	path := program(t, "baresip", "baresip")
	b := &baresip{t: t, told: &events{t: t, name: "baresip", next: make(chan happening, 256)}}
	dir, control := t.TempDir(), freePort(t)
	write := func(name, format string, args ...any) {
		if err := os.WriteFile(filepath.Join(dir, name), fmt.Appendf(nil, format, args...), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	modules, _ := filepath.Glob("/usr/lib*/baresip/modules")
	if len(modules) == 0 {
		t.Skip("baresip has no modules in /usr/lib/baresip")
	}
	write("config", "sip_listen 127.0.0.1:0\nmodule_path %s\nmodule account.so\nmodule contact.so\nmodule presence.so\nmodule menu.so\nmodule stdio.so\nmodule ctrl_tcp.so\nctrl_tcp_listen %s\n", modules[0], control)
	write("accounts", "<sip:%s@%s;transport=udp>;auth_user=%s;auth_pass=%s;outbound=\"sip:%s;transport=udp\";pubint=300;regint=300\n", user, lab.Domain, user, password, server)
	write("contacts", "\"%s\" <sip:%s@%s>;presence=p2p\n", peer, peer, lab.Domain)
	cmd := exec.Command(path, "-f", dir, "-s")
	stdin, err := cmd.StdinPipe() // its end would be the phone's
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		b.read(stdout)
	}()
	t.Cleanup(func() {
		if b.conn != nil {
			b.conn.Close()
		}
		stdin.Close()
		cmd.Process.Kill()
		<-read
		cmd.Wait()
		if t.Failed() {
			t.Logf("baresip: %s", b.printed.String())
		}
	})
	b.dial(control)
	return b
}

// read looks for messages in what the phone prints.
func (b *baresip) read(r io.Reader) {
	defer close(b.told.next)
	for lines := bufio.NewScanner(r); lines.Scan(); {
		b.printed.WriteString(lines.Text() + "\n")
		if m := printedMessage.FindStringSubmatch(lines.Text()); m != nil {
			b.told.next <- happening{Event: "message", From: m[1], Body: m[2]}
		}
	}
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// dial waits for the control to listen and reads what it tells.
func (b *baresip) dial(control string) {
	b.t.Helper()
	until := time.Now().Add(patience)
	for b.conn == nil {
		conn, err := net.Dial("tcp", control)
		if err == nil {
			b.conn = conn
		} else if time.Now().After(until) {
			b.t.Fatalf("baresip's control: %v", err)
		}
	}
	b.answers = make(chan string, 1)
	go func() {
		defer close(b.answers)
		r := bufio.NewReader(b.conn)
		for {
			length, err := r.ReadString(':')
			n, bad := strconv.Atoi(strings.TrimSuffix(length, ":"))
			if err != nil || bad != nil {
				return
			}
			netstring := make([]byte, n+1)
			if _, err := io.ReadFull(r, netstring); err != nil {
				return
			}
			var told struct {
				Response bool
				Data     string
			}
			if json.Unmarshal(netstring[:n], &told) == nil && told.Response {
				b.answers <- told.Data
			}
		}
	}()
}

// command gives a command and returns its answer.
func (b *baresip) command(name, params string) string {
	b.t.Helper()
	m, err := json.Marshal(map[string]string{"command": name, "params": params, "token": name})
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := fmt.Fprintf(b.conn, "%d:%s,", len(m), m); err != nil {
		b.t.Fatal(err)
	}
	select {
	case answer := <-b.answers:
		return answer
	case <-time.After(patience):
		b.t.Fatalf("baresip does not answer %s", name)
		return ""
	}
}

// register asks until the registration is there.
func (b *baresip) register() { b.until("reginfo", "OK") }

// until repeats a command until its answer contains text.
func (b *baresip) until(command, text string) {
	b.t.Helper()
	pace := time.NewTicker(50 * time.Millisecond)
	defer pace.Stop()
	for limit := time.Now().Add(patience); ; <-pace.C {
		if time.Now().After(limit) {
			b.t.Fatalf("baresip: %s does not say %s", command, text)
		}
		if strings.Contains(b.command(command, ""), text) {
			return
		}
	}
}

// publish is what baresip does when it has registered; it publishes no note.
func (b *baresip) publish(string)      {}
func (b *baresip) watch(string)        {}
func (b *baresip) sees(string, string) { b.until("contacts", "Online") }
func (b *baresip) send(_, text string) { b.command("message", text) }
func (b *baresip) gets(from, text string) {
	b.t.Helper()
	b.told.await("message", func(h happening) bool { return h.Event == "message" && h.Body == text && h.From == from })
}
