package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"
)

// killWriters is how many clients write at once, and killRounds how often the server is killed under them.
const (
	killWriters = 16
	killRounds  = 6
)

// killed is an XCAP server in a process of its own, which keeps documents in a directory.
type killed struct {
	cmd  *exec.Cmd
	root string
}

func startKilled(ctx context.Context, t *testing.T, dir string) *killed {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	k := &killed{cmd: exec.CommandContext(ctx, self)}
	k.cmd.Args = []string{"imp", "xcap-server", "--no-auth", "--listen", "http:127.0.0.1:0", "--data", dir, "-o", "json"}
	k.cmd.Stderr = io.Discard
	out, err := k.cmd.StdoutPipe()
	if err == nil {
		err = k.cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadBytes('\n')
	var ready readyEvent
	if err != nil || json.Unmarshal(line, &ready) != nil || len(ready.Listen) != 1 {
		t.Fatalf("the server did not start: %s, %v", line, err)
	}
	k.root = "http://" + strings.TrimPrefix(ready.Listen[0], "http:") + "/xcap-root/"
	return k
}

// kill ends the server as nothing can prepare for.
func (k *killed) kill() {
	_ = k.cmd.Process.Kill()
	_ = k.cmd.Wait()
}

// killWriter writes one document again and again, and remembers what it was told.
type killWriter struct {
	number   int
	path     string
	kind     string
	n        int
	told     string // the document as it was last acknowledged, "" for none
	tried    string // what it is if the request without an answer was carried out
	etag     string
	services bool
}

func newKillWriter(i int) *killWriter {
	w := &killWriter{number: i, path: fmt.Sprintf("resource-lists/users/sip:u%d@example.com/index", i), kind: "application/resource-lists+xml"}
	if w.services = i%4 == 0; w.services {
		w.path, w.kind = strings.Replace(w.path, "resource-lists", "rls-services", 1), "application/rls-services+xml"
	}
	return w
}

const killEntry = `<entry uri="sip:%d@example.com"/>`

// document is the nth of a writer. Of its services one is always another.
func (w *killWriter) document() string {
	if w.services {
		return fmt.Sprintf(`<rls-services xmlns="urn:ietf:params:xml:ns:rls-services"><service uri="sip:w%d@example.com"><list/></service><service uri="sip:w%d-%d@example.com"><list/></service></rls-services>`, w.number, w.number, w.n)
	}
	return fmt.Sprintf(`<resource-lists xmlns="urn:ietf:params:xml:ns:resource-lists"><list name="w%d">`+killEntry+strings.Repeat("<!-- x -->", w.n%500)+`</list></resource-lists>`, w.number, w.n)
}

// request is the next one: a document, an element, or a deletion. It notes what the document is afterwards.
func (w *killWriter) request(root string) (*http.Request, error) {
	w.n++
	method, target, kind, body := http.MethodPut, root+w.path, w.kind, ""
	switch {
	case w.told != "" && w.n%11 == 0:
		method, w.tried = http.MethodDelete, ""
	case w.told != "" && w.n%3 == 1 && !w.services:
		body = fmt.Sprintf(killEntry, w.n)
		target += fmt.Sprintf("/~~/resource-lists/list/entry%%5B@uri=%%22sip:%d@example.com%%22%%5D", w.n)
		kind = "application/xcap-el+xml"
		at := strings.LastIndex(w.told, "<entry")
		at += strings.Index(w.told[at:], "/>") + len("/>")
		w.tried = w.told[:at] + body + w.told[at:]
	default:
		w.tried = w.document()
		body = w.tried
	}
	r, err := http.NewRequest(method, target, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", kind)
	if w.told != "" {
		r.Header.Set("If-Match", w.etag)
	} else {
		r.Header.Set("If-None-Match", "*")
	}
	return r, nil
}

// write makes changes until the server is gone; each that is acknowledged is told to count.
func (w *killWriter) write(client *http.Client, root string, count func()) error {
	for {
		r, err := w.request(root)
		if err != nil {
			return err
		}
		res, err := client.Do(r)
		if err != nil {
			return nil // the server is gone
		}
		text, _ := io.ReadAll(res.Body)
		res.Body.Close()
		if res.StatusCode != http.StatusOK && res.StatusCode != http.StatusCreated {
			return fmt.Errorf("%s %s: %s %s", r.Method, r.URL, res.Status, text)
		}
		w.told, w.etag = w.tried, res.Header.Get("ETag")
		count()
	}
}

// look reads the document after a restart: it is what was acknowledged, or what the last request made of it.
func (w *killWriter) look(client *http.Client, root string) error {
	res, err := client.Get(root + w.path)
	if err != nil {
		return err
	}
	body, err := io.ReadAll(res.Body)
	res.Body.Close()
	if err != nil {
		return err
	}
	now := string(body)
	switch res.StatusCode {
	case http.StatusNotFound:
		now = ""
	case http.StatusOK:
	default:
		return fmt.Errorf("GET %s: %s", w.path, res.Status)
	}
	if now != w.told && now != w.tried {
		return fmt.Errorf("%s after change %d:\n%.300s\nacknowledged:\n%.300s\ntried:\n%.300s", w.path, w.n, now, w.told, w.tried)
	}
	w.told, w.etag = now, res.Header.Get("ETag")
	return w.claimed(client, root)
}

// claimed sees to it that nobody else gets a URI of the document.
func (w *killWriter) claimed(client *http.Client, root string) error {
	if !w.services || w.told == "" {
		return nil
	}
	other := strings.Replace(w.path, "sip:u", "sip:other", 1)
	r, err := http.NewRequest(http.MethodPut, root+other, strings.NewReader(w.told))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", w.kind)
	res, err := client.Do(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	text, _ := io.ReadAll(res.Body)
	if n := strings.Count(string(text), "<exists "); res.StatusCode != http.StatusConflict || n != 2 {
		return fmt.Errorf("%s got services of %s: %s, %d in conflict", other, w.path, res.Status, n)
	}
	return nil
}

// TestXCAPServerKilled kills a server under write load again and again. What was acknowledged is there afterwards, byte for byte.
func TestXCAPServerKilled(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	dir := t.TempDir()
	var writers []*killWriter
	for i := range killWriters {
		writers = append(writers, newKillWriter(i))
	}
	for round := range killRounds {
		transport := &http.Transport{MaxIdleConnsPerHost: killWriters}
		client := &http.Client{Transport: transport, Timeout: 20 * time.Second}
		server := startKilled(ctx, t, dir)
		for _, w := range writers {
			if err := w.look(client, server.root); err != nil {
				t.Fatalf("round %d: %v", round, err)
			}
		}
		enough, acknowledged := 100+rand.IntN(1500), 0
		var mu sync.Mutex
		count := func() {
			mu.Lock()
			defer mu.Unlock()
			if acknowledged++; acknowledged == enough {
				server.cmd.Process.Kill()
			}
		}
		var running sync.WaitGroup
		for _, w := range writers {
			running.Go(func() {
				if err := w.write(client, server.root, count); err != nil {
					t.Errorf("round %d: %v", round, err)
				}
			})
		}
		running.Wait()
		server.kill()
		transport.CloseIdleConnections()
		if acknowledged < enough { // a round that acknowledges nothing shows nothing
			t.Fatalf("round %d: %d acknowledged of %d, the server ended by itself", round, acknowledged, enough)
		}
		if t.Failed() {
			return
		}
		t.Logf("round %d: killed at %d, %d acknowledged", round, enough, acknowledged)
	}
	server := startKilled(ctx, t, dir)
	defer server.kill()
	for _, w := range writers {
		if err := w.look(http.DefaultClient, server.root); err != nil {
			t.Error(err)
		}
	}
}
