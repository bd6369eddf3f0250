//go:build linux

package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"imp/internal/agent/load"
	"imp/internal/xcap/uri"
)

// What is done to each XCAP server.
const (
	connections = 64 // each with a list of its own, and a request on its way at any time
	entries     = 50 // of a list, 4.6 kB
	documents   = 3000
	reads       = 20_000 // of a row
	writes      = 8000
)

// config of Kamailio with its XCAP server, as its manual shows it. Documents are in the cache of db_text, and are not checked.
func (k *kamailio) xcapConfig(dir, addr string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "#!KAMAILIO\ndebug=0\nlog_stderror=yes\nfork=yes\nchildren=1\ntcp_children=1\ntcp_accept_no_cl=yes\ntcp_connection_lifetime=3600\nauto_aliases=no\nlisten=tcp:%s\nmpath=%q\n", addr, k.modules)
	for _, m := range []string{"sl", "pv", "xhttp", "db_text", "xcap_server"} {
		fmt.Fprintf(&b, "loadmodule %q\n", m+".so")
	}
	fmt.Fprintf(&b, "modparam(\"xcap_server\", \"db_url\", %q)\nmodparam(\"xcap_server\", \"xcap_root\", \"/xcap-root/\")\nmodparam(\"xcap_server\", \"buf_size\", 65536)\n", "text://"+filepath.Join(dir, "db"))
	b.WriteString(`request_route { exit; }
event_route[xhttp:request] {
	$xcapuri(u=>data) = $hu;
	if ($rm == "GET") { xcaps_get("$xcapuri(u=>xuid)", "$hu"); exit; }
	if ($rm == "PUT") { xcaps_put("$xcapuri(u=>xuid)", "$hu", "$rb"); exit; }
	if ($rm == "DELETE") { xcaps_del("$xcapuri(u=>xuid)", "$hu"); exit; }
	xhttp_reply("405", "Method Not Allowed", "", "");
}
`)
	return b.String()
}

// startXCAP starts Kamailio as an XCAP server.
func (k *kamailio) startXCAP(ctx context.Context, dir string) (*server, error) {
	for _, m := range []string{"xcap_server.so", "xhttp.so"} {
		if _, err := os.Stat(filepath.Join(k.modules, m)); err != nil {
			return nil, fmt.Errorf("the module %s of Kamailio is %w; apt-get install kamailio-presence-modules", m, errMissing)
		}
	}
	addr, err := freeTCP()
	if err != nil {
		return nil, err
	}
	s := &server{name: "Kamailio", addr: addr}
	if err := os.CopyFS(filepath.Join(dir, "db"), os.DirFS(k.tables)); err != nil {
		return nil, err
	}
	if err := k.run(s, dir, k.xcapConfig(dir, addr)); err != nil {
		return nil, err
	}
	return s, s.await(ctx, s.answersTCP)
}

// startImpXCAP starts imp as an XCAP server with its documents in a file, or in memory.
func startImpXCAP(ctx context.Context, program, dir string, file bool) (*server, error) {
	addr, err := freeTCP()
	if err != nil {
		return nil, err
	}
	s := &server{name: "imp", addr: addr}
	args := []string{"xcap-server", "--no-auth", "--listen", "http:" + addr}
	if file {
		args = append(args, "--data", dir)
	}
	if err := s.start(dir, program, args, []string{"GOMAXPROCS=1"}); err != nil {
		return nil, err
	}
	return s, s.await(ctx, s.answersTCP)
}

// xcapRow is a figure: a kind of request, and which imp is set against Kamailio.
type xcapRow struct {
	name  string
	kind  load.XCAPKind
	write bool
	imp   int // 1: in a file, 2: in memory
}

var xcapRows = []xcapRow{
	{"GET", load.GetDocument, false, 1},
	{"GET not modified", load.GetUnchanged, false, 1},
	{"GET element", load.GetElement, false, 1},
	{"PUT, imp in a file", load.PutDocument, true, 1},
	{"PUT, imp in memory", load.PutDocument, true, 2},
	{"PUT element, imp in a file", load.PutElement, true, 1},
	{"PUT element, imp in memory", load.PutElement, true, 2},
}

// measureXCAP does one run, row by row as measure does. Kamailio writes its documents to disk when it ends, and checks nothing; imp
// validates each, and in a file has each on the disk when it answers.
func measureXCAP(ctx context.Context, b *bench) (report, error) {
	r := report{Time: time.Now().UTC().Truncate(time.Second)}
	var servers []*server
	defer func() {
		for _, s := range servers {
			s.stop()
		}
	}()
	for i := range 3 {
		dir, err := os.MkdirTemp(b.dir, "server-")
		if err != nil {
			return r, err
		}
		var s *server
		if i == 0 {
			s, err = b.kamailio.startXCAP(ctx, dir)
		} else {
			s, err = startImpXCAP(ctx, b.imp, dir, i == 1)
		}
		if s != nil {
			servers = append(servers, s)
		}
		if err == nil {
			_, err = b.request(ctx, s, xcapRow{name: "warming up", kind: load.PutDocument, write: true})
		}
		if err != nil {
			return r, err
		}
	}
	for _, row := range xcapRows {
		b.tell(row.name)
		var spent pair
		for s, to := range map[*server]*float64{servers[0]: &spent.kamailio, servers[row.imp]: &spent.imp} {
			var err error
			if *to, err = b.request(ctx, s, row); err != nil {
				return r, fmt.Errorf("%s: %w", row.name, err)
			}
		}
		r.add(row.name, "CPU µs each", spent)
	}
	return r, b.xcapMemory(ctx, &r, servers)
}

// request has requests made to a server, and tells what processor time one costs it, in microseconds.
func (b *bench) request(ctx context.Context, s *server, row xcapRow) (float64, error) {
	root, err := uri.ParseRoot("http://" + s.addr + "/xcap-root")
	if err != nil {
		return 0, err
	}
	cfg := load.XCAPConfig{Root: root, XUI: "sip:load@example.com", Connections: connections, Entries: entries,
		Count: b.count(reads), Duration: time.Minute, Timeout: patience}
	if cfg.Mix[row.kind] = 1; row.write {
		cfg.Count = b.count(writes)
	}
	var before, after time.Duration
	var failed error
	cfg.Tell = func(phase string) {
		var err error
		switch phase {
		case load.XCAPMeasuring:
			before, err = s.cpu()
		case load.XCAPLeaving:
			time.Sleep(linger)
			after, err = s.cpu()
		}
		if err != nil {
			failed = err
		}
	}
	report, err := load.RunXCAP(ctx, cfg)
	if err == nil {
		err = failed
	}
	if err != nil {
		return 0, fmt.Errorf("%s: %w", s.name, err)
	}
	k := report.Kinds[row.kind]
	if len(k.Failed) > 0 || report.Left > 0 || int(k.Response.Count) < cfg.Count {
		return 0, fmt.Errorf("%s: %d done of %d, failed: %v, lists that stay: %d", s.name, k.Response.Count, cfg.Count, k.Failed, report.Left)
	}
	return float64((after - before).Microseconds()) / float64(k.Response.Count), nil
}

// xcapMemory measures what a server takes after all that, with documents of many users in it.
func (b *bench) xcapMemory(ctx context.Context, r *report, servers []*server) error {
	b.tell("filling")
	var rss pair
	for i, to := range []*float64{&rss.kamailio, &rss.imp} {
		if err := b.put(ctx, servers[i]); err != nil {
			return err
		}
		resident, err := servers[i].resident()
		if err != nil {
			return err
		}
		*to = float64(resident) * 1e-6
	}
	r.add(fmt.Sprintf("resident memory with %d documents, imp in a file", b.count(documents)), "MB", rss)
	return nil
}

// put gives a server documents of many users.
func (b *bench) put(ctx context.Context, s *server) error {
	body := `<?xml version="1.0" encoding="UTF-8"?>` + "\n" + `<resource-lists xmlns="urn:ietf:params:xml:ns:resource-lists"><list name="x">` +
		strings.Repeat("<!-- what this holds does not matter -->", 100) + "</list></resource-lists>\n"
	client := &http.Client{Transport: &http.Transport{}, Timeout: patience}
	defer client.CloseIdleConnections()
	for i := range b.count(documents) {
		target := fmt.Sprintf("http://%s/xcap-root/resource-lists/users/sip:u%d@example.com/index", s.addr, i)
		req, err := http.NewRequestWithContext(ctx, http.MethodPut, target, strings.NewReader(body))
		if err != nil {
			return err
		}
		req.Header.Set("Content-Type", "application/resource-lists+xml")
		res, err := client.Do(req)
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		res.Body.Close()
		if res.StatusCode != http.StatusOK && res.StatusCode != http.StatusCreated {
			return fmt.Errorf("%s: %s: %s", s.name, target, res.Status)
		}
	}
	return nil
}
