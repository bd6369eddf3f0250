package lab_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"imp/internal/server/lab"
)

// nodePhone is a library for browsers under Node.js, driven by a program in
// testdata/interop.
type nodePhone struct {
	*line
	self string
}

// nodeModules finds the folder of the libraries, or skips the test.
func nodeModules(t *testing.T, library string) string {
	t.Helper()
	program(t, "node", "nodejs")
	dir := os.Getenv("IMP_NODE_MODULES")
	if _, err := os.Stat(filepath.Join(dir, library)); dir == "" || err != nil {
		t.Skipf("the npm package %s is not in the folder that IMP_NODE_MODULES names", library)
	}
	return dir
}

// newNodePhone starts testdata/interop/PROGRAM.mjs for a user and waits until it
// is connected to a WebSocket address.
func newNodePhone(t *testing.T, driver, modules, user, password, address string) *nodePhone {
	t.Helper()
	settings, err := json.Marshal(map[string]string{"modules": modules, "user": user, "domain": lab.Domain,
		"password": password, "url": address})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("node", filepath.Join("../../../testdata/interop", driver+".mjs"))
	cmd.Env = append(os.Environ(), "PHONE="+string(settings))
	p := &nodePhone{self: "sip:" + user + "@" + lab.Domain}
	p.line = spawn(t, driver, cmd, func(s string) (h happening, ok bool) {
		return h, json.Unmarshal([]byte(s), &h) == nil && h.Event != ""
	})
	p.told.await("connected", func(h happening) bool { return h.Event == "connected" })
	return p
}

func (p *nodePhone) command(name string, args map[string]string) {
	p.t.Helper()
	if args == nil {
		args = map[string]string{}
	}
	args["command"] = name
	b, err := json.Marshal(args)
	if err != nil {
		p.t.Fatal(err)
	}
	p.say("%s", b)
}

func (p *nodePhone) register() {
	p.t.Helper()
	p.command("register", nil)
	p.told.await("registered", func(h happening) bool { return h.Event == "registered" })
}

func (p *nodePhone) publish(note string) {
	p.t.Helper()
	p.command("publish", map[string]string{"document": fmt.Sprintf(`<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="%s">`+
		`<tuple id="t1"><status><basic>open</basic></status><note>%s</note></tuple></presence>`, p.self, note)})
	p.told.await("published", func(h happening) bool { return h.Event == "published" && h.Status == 200 })
}

func (p *nodePhone) watch(target string) {
	p.t.Helper()
	p.command("subscribe", map[string]string{"target": target})
}

func (p *nodePhone) sees(target, note string) {
	p.t.Helper()
	p.told.await("presence of "+target, func(h happening) bool {
		return h.Event == "notify" && strings.Contains(h.Body, target) && strings.Contains(h.Body, note) && strings.Contains(h.Body, "<basic>open</basic>")
	})
}

func (p *nodePhone) send(target, text string) {
	p.t.Helper()
	p.command("message", map[string]string{"target": target, "text": text})
	p.told.await("200 to MESSAGE", func(h happening) bool { return h.Event == "sent" && h.Status == 200 })
}

func (p *nodePhone) gets(from, text string) {
	p.t.Helper()
	p.told.await("message", func(h happening) bool {
		return h.Event == "message" && h.Body == text && strings.Contains(h.From, from)
	})
}
