//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// kamailio is where the parts of an installed Kamailio are.
type kamailio struct {
	program string
	ctl     string // kamcmd
	modules string
	tables  string // empty tables of db_text
}

// findKamailio looks where Debian puts it; look finds programs.
func findKamailio(look func(string) (string, error)) (*kamailio, error) {
	const hint = "apt-get install kamailio kamailio-presence-modules"
	k := &kamailio{tables: "/usr/share/kamailio/dbtext/kamailio"}
	for _, p := range []struct {
		path *string
		name string
	}{{&k.program, "kamailio"}, {&k.ctl, "kamcmd"}} {
		var err error
		if *p.path, err = look(p.name); err != nil {
			return nil, fmt.Errorf("%s is %w; %s", p.name, errMissing, hint)
		}
	}
	found, _ := filepath.Glob("/usr/lib/*/kamailio/modules/presence_xml.so")
	if len(found) == 0 {
		return nil, fmt.Errorf("the presence modules of Kamailio are %w; %s", errMissing, hint)
	}
	k.modules = filepath.Dir(found[0])
	if _, err := os.Stat(k.tables); err != nil {
		return nil, fmt.Errorf("the tables of Kamailio in %s are %w; %s", k.tables, errMissing, hint)
	}
	return k, nil
}

// look finds a program, also where only administrators look.
func look(name string) (string, error) {
	if p, err := exec.LookPath(name); err == nil {
		return p, nil
	}
	return exec.LookPath("/usr/sbin/" + name)
}

// config is Kamailio's: presence in memory, no authentication, answers without transactions. The database is needed
// to start and holds nothing.
func (k *kamailio) config(dir, addr string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "#!KAMAILIO\ndebug=0\nlog_stderror=yes\nfork=yes\nchildren=1\ndisable_tcp=yes\nauto_aliases=no\nlisten=udp:%s\nmpath=%q\n", addr, k.modules)
	for _, m := range []string{"kex", "ctl", "tm", "sl", "pv", "db_text", "presence", "presence_xml"} {
		fmt.Fprintf(&b, "loadmodule %q\n", m+".so")
	}
	fmt.Fprintf(&b, "modparam(\"ctl\", \"binrpc\", %q)\n", "unixs:"+filepath.Join(dir, "ctl"))
	for _, m := range []string{"presence", "presence_xml"} {
		fmt.Fprintf(&b, "modparam(%q, \"db_url\", %q)\n", m, "text://"+filepath.Join(dir, "db"))
	}
	fmt.Fprintf(&b, "modparam(\"presence\", \"subs_db_mode\", 0)\nmodparam(\"presence\", \"publ_cache\", 2)\n"+
		"modparam(\"presence\", \"server_address\", %q)\nmodparam(\"presence_xml\", \"force_active\", 1)\n", "sip:"+addr)
	b.WriteString(`request_route {
	if (method == "PUBLISH") { handle_publish(); exit; }
	if (method == "SUBSCRIBE") { handle_subscribe(); exit; }
	sl_send_reply("405", "Method Not Allowed");
}
`)
	return b.String()
}

// start starts Kamailio in a directory of its own.
func (k *kamailio) start(ctx context.Context, dir string) (*server, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	s := &server{name: "Kamailio", addr: net.JoinHostPort("127.0.0.1", strconv.Itoa(port))}
	s.memory = k.sharedMemory(dir)
	if err := os.CopyFS(filepath.Join(dir, "db"), os.DirFS(k.tables)); err != nil {
		return nil, err
	}
	if err := k.run(s, dir, k.config(dir, s.addr)); err != nil {
		return nil, err
	}
	return s, s.await(ctx, s.answersSIP)
}

// sharedMemory asks a Kamailio that runs in a directory for the bytes of shared memory in use.
func (k *kamailio) sharedMemory(dir string) func(context.Context) (int64, error) {
	return func(ctx context.Context) (int64, error) {
		out, err := exec.CommandContext(ctx, k.ctl, "-s", "unixs:"+filepath.Join(dir, "ctl"), "core.shmmem").Output()
		if err != nil {
			return 0, fmt.Errorf("asking Kamailio for its memory: %w", err)
		}
		return parseShmmem(string(out))
	}
}

// run starts the program with a configuration.
func (k *kamailio) run(s *server, dir, config string) error {
	file := filepath.Join(dir, "kamailio.cfg")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		return err
	}
	return s.start(dir, k.program, []string{"-DD", "-E", "-f", file, "-x", "fm", "-X", "fm", "-m", "1024", "-M", "64", "-b", "4194304", "-w", dir, "-Y", dir}, nil)
}

// parseShmmem reads the bytes of shared memory in use, with the allocator's own, from what kamcmd prints.
func parseShmmem(s string) (int64, error) {
	for line := range strings.Lines(s) {
		if v, ok := strings.CutPrefix(strings.TrimSpace(line), "real_used:"); ok {
			return strconv.ParseInt(strings.TrimSpace(v), 10, 64)
		}
	}
	return 0, errors.New("asking Kamailio for its memory: it does not tell what is in use")
}

// buildImp builds imp from the sources around the working directory.
func buildImp(ctx context.Context, dir string) (string, error) {
	file := filepath.Join(dir, "imp")
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", file, "imp/cmd/imp").CombinedOutput(); err != nil {
		return "", fmt.Errorf("building imp, which is to be done inside its sources: %w: %s", err, out)
	}
	return file, nil
}

// startImp starts a presence server in a directory of its own. Kamailio does not pace NOTIFYs, so this must not either.
func startImp(ctx context.Context, program, dir string) (*server, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	door, err := freeTCP()
	if err != nil {
		return nil, err
	}
	s := &server{name: "imp", addr: net.JoinHostPort("127.0.0.1", strconv.Itoa(port))}
	s.memory = func(ctx context.Context) (int64, error) { return liveHeap(ctx, door) }
	args := []string{"presence-server", "--no-auth", "--listen", "udp:" + s.addr, "--min-notify-interval", "0", "--admin", door}
	if err := s.start(dir, program, args, []string{"GOMAXPROCS=1"}); err != nil {
		return nil, err
	}
	return s, s.await(ctx, s.answersSIP)
}

// liveHeap has a server of imp collect its garbage and tell what is left.
func liveHeap(ctx context.Context, door string) (int64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+door+"/memory", nil)
	if err != nil {
		return 0, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, fmt.Errorf("asking imp for its memory: %w", err)
	}
	defer res.Body.Close()
	var memory struct {
		LiveHeap int64 `json:"live_heap"`
	}
	if err := json.NewDecoder(res.Body).Decode(&memory); err != nil {
		return 0, fmt.Errorf("asking imp for its memory: %w", err)
	}
	if memory.LiveHeap == 0 {
		return 0, errors.New("asking imp for its memory: it does not tell what is in use")
	}
	return memory.LiveHeap, nil
}
