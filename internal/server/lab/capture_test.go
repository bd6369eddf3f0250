package lab_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestWireshark has another implementation read the traffic between sipp and
// the lab: tshark finds nothing malformed, no error, and the messages that were
// to be expected.
func TestWireshark(t *testing.T) {
	tshark := program(t, "tshark", "tshark")
	sipp := program(t, "sipp", "sip-tester")
	server := start(t)
	c := capture(t, tshark, server)
	for _, tr := range transports {
		for _, s := range peers {
			runSIPp(t, sipp, server, tr.mode, filepath.Join(scenarios, s.file+".xml"))
		}
	}
	packets := c.end(t)
	kinds := map[string]bool{}
	for _, p := range packets {
		if p.trouble() {
			t.Errorf("tshark about a packet: %+v", p)
		}
		for _, k := range append(p.requests, p.statuses...) {
			kinds[p.transport+" "+k] = true
		}
	}
	for _, tr := range transports {
		for _, k := range []string{"PUBLISH", "SUBSCRIBE", "NOTIFY", "OPTIONS", "200", "400", "404", "406", "412", "415", "420", "423", "481", "489", "500", "501"} {
			if !kinds[tr.name+" "+k] {
				t.Errorf("tshark saw no %s over %s among %d packets", k, tr.name, len(packets))
			}
		}
	}
}

// packet is a packet as tshark sees it. A segment of a stream may hold several
// messages.
type packet struct {
	transport string
	callIDs   []string
	requests  []string // methods
	statuses  []string
	malformed string
	severity  string // of what tshark says about it, if anything
	message   string
}

// columns are what tshark prints of a packet, in the order of parsePacket.
var columns = []string{"ip.proto", "sip.Call-ID", "sip.Method", "sip.Status-Code", "_ws.malformed", "_ws.expert.severity", "_ws.expert.message"}

func parsePacket(line string) (packet, error) {
	f := strings.Split(line, "\t")
	if len(f) != len(columns) {
		return packet{}, fmt.Errorf("tshark printed %d columns instead of %d: %q", len(f), len(columns), line)
	}
	list := func(s string) []string { return strings.FieldsFunc(s, func(r rune) bool { return r == '|' }) }
	return packet{transport: map[string]string{"6": "tcp", "17": "udp"}[f[0]], callIDs: list(f[1]), requests: list(f[2]),
		statuses: list(f[3]), malformed: f[4], severity: f[5], message: f[6]}, nil
}

// severityError is how tshark numbers errors; warnings and notes are lower.
const severityError = "8388608"

// trouble tells whether tshark is not content. What is no message at all it
// does not complain about; a segment of a stream may be none.
func (p packet) trouble() bool {
	none := len(p.requests)+len(p.statuses) == 0
	return none && p.transport != "tcp" || p.malformed != "" || slices.Contains(strings.Split(p.severity, "|"), severityError)
}

// capturing is a tshark that runs.
type capturing struct {
	cmd     *exec.Cmd
	server  string
	packets chan packet
	failed  chan error // what it printed cannot be read
	stderr  *strings.Builder
	seen    []packet
}

// capture starts tshark on the server's port and returns when it captures. The
// test is skipped when it may not.
func capture(t *testing.T, tshark, server string) *capturing {
	t.Helper()
	_, port, err := net.SplitHostPort(server)
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"-i", "lo", "-f", "port " + port, "-d", "udp.port==" + port + ",sip", "-d", "tcp.port==" + port + ",sip",
		"-l", "-T", "fields", "-E", "aggregator=|"}
	for _, c := range columns {
		args = append(args, "-e", c)
	}
	c := &capturing{cmd: exec.CommandContext(t.Context(), tshark, args...), server: server,
		packets: make(chan packet, 1024), failed: make(chan error, 1), stderr: new(strings.Builder)}
	c.cmd.Stderr, c.cmd.WaitDelay = c.stderr, time.Second
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatalf("tshark does not start: %v", err)
	}
	t.Cleanup(func() { c.cmd.Process.Kill() })
	go c.read(out)
	if !c.mark(t, "begin") {
		c.cmd.Wait()
		t.Skipf("tshark cannot capture on lo: %s", c.stderr)
	}
	return c
}

// read hands over what tshark prints.
func (c *capturing) read(out io.Reader) {
	defer close(c.packets)
	for lines := bufio.NewScanner(out); lines.Scan(); {
		p, err := parsePacket(lines.Text())
		if err != nil {
			c.failed <- err
			return
		}
		c.packets <- p
	}
}

// mark sends a request that tells itself apart until tshark has seen it: all
// that was sent before it has been captured then. It is false when tshark has
// ended.
func (c *capturing) mark(t *testing.T, name string) bool {
	t.Helper()
	d := dialUDP(t, c.server)
	give := time.After(patience)
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	for seq := 1; ; seq++ {
		d.send(d.request("OPTIONS", fmt.Sprint(name, seq), name, seq, "", ""))
		for waiting := true; waiting; {
			select {
			case p, ok := <-c.packets:
				if !ok {
					return false
				}
				c.seen = append(c.seen, p)
				if slices.Contains(p.callIDs, name) {
					return true
				}
			case <-again.C:
				waiting = false
			case <-give:
				t.Fatalf("tshark has seen nothing of %s: %s", name, c.stderr)
			}
		}
	}
}

// end gives all packets seen and ends tshark.
func (c *capturing) end(t *testing.T) []packet {
	t.Helper()
	if !c.mark(t, "end") {
		select {
		case err := <-c.failed:
			t.Fatal(err)
		default:
			t.Fatalf("tshark has ended: %s", c.stderr)
		}
	}
	c.cmd.Process.Signal(syscall.SIGINT)
	for range c.packets { // until it has ended
	}
	c.cmd.Wait()
	return c.seen
}
