package registrar

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"imp/internal/auth/digest"
	"imp/internal/auth/users"
	"imp/internal/sip/identity"
	"imp/internal/sip/stack"
	"imp/internal/store/memory"
)

// patience bounds what a test waits for; nothing takes that long unless it fails.
const patience = 10 * time.Second

// site is a server of example.com with a registrar.
type site struct {
	t         *testing.T
	registrar *Registrar
	stack     *stack.Stack
	store     *memory.Store
}

func newSite(t *testing.T, change func(*Config)) *site {
	t.Helper()
	return newSiteAt(t, change, stack.Config{}, "127.0.0.1:0")
}

func newSiteAt(t *testing.T, change func(*Config), sc stack.Config, at ...string) *site {
	t.Helper()
	s := &site{t: t, store: memory.New(), stack: stack.New(sc)}
	cfg := Config{Store: s.store, Domains: []string{"Example.com", "example.org"},
		Known: func(user, _ string) bool { return user != "nobody" }}
	if change != nil {
		change(&cfg)
	}
	s.registrar = New(cfg)
	s.registrar.Mount(s.stack)
	s.stack.Handle("SUBSCRIBE", func(context.Context, *stack.Request) *stack.Response { return stack.Answer(489) })
	var eps []stack.Endpoint
	for _, a := range at {
		e, err := stack.ParseEndpoint(a)
		if err != nil {
			t.Fatal(err)
		}
		eps = append(eps, e...)
	}
	if err := s.stack.Listen(t.Context(), eps...); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.stack.Close()
		s.registrar.Close()
		s.store.Close()
	})
	return s
}

// guarded lets alice and bob in, by password.
func guarded(t *testing.T) func(*Config) {
	return func(cfg *Config) {
		source, err := users.New(users.Config{Realms: []string{"example.com"}, Entries: []string{"alice:wonderland", "bob:builder"}})
		if err != nil {
			t.Fatal(err)
		}
		domains := Registrar{cfg: Config{Domains: []string{"example.com", "example.org"}}}
		cfg.Guard, err = identity.NewGuard(identity.GuardConfig{Realm: "example.com", Users: source, AOR: domains.AOR})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// phone is a user agent of exact bytes.
type phone struct {
	t         *testing.T
	site      *site
	user      string
	transport string
	conn      net.Conn
	r         *bufio.Reader
	callID    string
	seq       int
}

func (s *site) addr() string { return s.stack.Addrs()[0].Addr }

func (s *site) phone(user, transport string) *phone {
	s.t.Helper()
	c, err := net.Dial(transport, s.addr())
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { c.Close() })
	p := &phone{t: s.t, site: s, user: user, transport: transport, conn: c, callID: stack.NewCallID()}
	if transport == "tcp" {
		p.r = bufio.NewReader(c)
	}
	return p
}

func (p *phone) host() string { return p.conn.LocalAddr().String() }

func (p *phone) uri() string { return "sip:" + p.user + "-0x55@" + p.host() }

func (p *phone) aor() string { return "sip:" + p.user + "@example.com" }

var serial atomic.Int64

// request renders a request. Fields replace those of the same name or, with + before them, are added; a name alone leaves
// the field out.
func (p *phone) request(method, uri, body string, fields ...string) string {
	p.seq++
	n := serial.Add(1)
	head := []string{
		fmt.Sprintf("Via: SIP/2.0/%s %s;branch=z9hG4bK-%d;rport", strings.ToUpper(p.transport), p.host(), n),
		fmt.Sprintf("From: <%s>;tag=f%d", p.aor(), n),
		"To: <" + uri + ">",
		"Call-ID: " + p.callID,
		fmt.Sprintf("CSeq: %d %s", p.seq, method),
		"Max-Forwards: 70",
		"Contact: <" + p.uri() + ">",
	}
	if method == "REGISTER" {
		head[2] = "To: <" + p.aor() + ">"
	}
next:
	for _, f := range fields {
		name, _, given := strings.Cut(f, ":")
		for i, h := range head {
			if strings.HasPrefix(h, name+":") {
				head[i] = f
				if !given {
					head = append(head[:i], head[i+1:]...)
				}
				continue next
			}
		}
		if given {
			head = append(head, strings.TrimPrefix(f, "+"))
		}
	}
	head = append(head, "Content-Length: "+strconv.Itoa(len(body)))
	return method + " " + uri + " SIP/2.0\r\n" + strings.Join(head, "\r\n") + "\r\n\r\n" + body
}

func (p *phone) send(msg string) {
	p.t.Helper()
	if _, err := io.WriteString(p.conn, msg); err != nil {
		p.t.Fatal(err)
	}
}

// receive gives the next message.
func (p *phone) receive() string {
	p.t.Helper()
	msg, err := p.next(patience)
	if err != nil {
		p.t.Fatalf("%s got nothing: %v", p.user, err)
	}
	return msg
}

func (p *phone) next(wait time.Duration) (string, error) {
	_ = p.conn.SetReadDeadline(time.Now().Add(wait))
	if p.r == nil {
		buf := make([]byte, 1<<16)
		n, err := p.conn.Read(buf)
		return string(buf[:n]), err
	}
	var msg strings.Builder
	length := 0
	for {
		line, err := p.r.ReadString('\n')
		msg.WriteString(line)
		if err != nil {
			return msg.String(), err
		}
		if v, ok := strings.CutPrefix(line, "Content-Length: "); ok {
			length, _ = strconv.Atoi(strings.TrimSpace(v))
		}
		if line == "\r\n" {
			break
		}
	}
	body := make([]byte, length)
	_, err := io.ReadFull(p.r, body)
	return msg.String() + string(body), err
}

// ask sends a request and gives what comes next.
func (p *phone) ask(method, uri string, fields ...string) string {
	p.t.Helper()
	p.send(p.request(method, uri, "", fields...))
	return p.receive()
}

func (p *phone) register(fields ...string) string {
	p.t.Helper()
	return p.ask("REGISTER", "sip:example.com", fields...)
}

// registered fails unless a REGISTER is accepted.
func (p *phone) registered(fields ...string) string {
	p.t.Helper()
	answer := p.register(fields...)
	wants(p.t, answer, 200)
	return answer
}

// answer renders the answer to a request.
func answer(request, status string, fields ...string) string {
	out := []string{"SIP/2.0 " + status}
	for _, name := range []string{"Via", "From", "To", "Call-ID", "CSeq", "Record-Route"} {
		for _, v := range all(request, name) {
			if name == "To" && !strings.Contains(v, "tag=") {
				v += ";tag=phone"
			}
			out = append(out, name+": "+v)
		}
	}
	out = append(out, fields...)
	return strings.Join(append(out, "Content-Length: 0", "", ""), "\r\n")
}

// takes receives a request of a method and answers it.
func (p *phone) takes(method, status string, fields ...string) string {
	p.t.Helper()
	msg := p.receive()
	if !strings.HasPrefix(msg, method+" ") {
		p.t.Fatalf("%s wants %s, got %q", p.user, method, msg)
	}
	p.send(answer(msg, status, fields...))
	return msg
}

// all are the values of a field.
func all(msg, name string) (list []string) {
	head, _, _ := strings.Cut(msg, "\r\n\r\n")
	for _, line := range strings.Split(head, "\r\n")[1:] {
		if v, ok := strings.CutPrefix(line, name+": "); ok {
			list = append(list, v)
		}
	}
	return list
}

func field(msg, name string) string { return strings.Join(all(msg, name), " | ") }

func statusOf(msg string) string {
	line, _, _ := strings.Cut(msg, "\r\n")
	return strings.TrimPrefix(line, "SIP/2.0 ")
}

func wants(t testing.TB, msg string, code int) {
	t.Helper()
	if !strings.HasPrefix(msg, "SIP/2.0 "+strconv.Itoa(code)+" ") {
		t.Fatalf("want %d, got %q", code, msg)
	}
}

func target(msg string) string {
	_, rest, _ := strings.Cut(msg, " ")
	uri, _, _ := strings.Cut(rest, " ")
	return uri
}

// param is the value of a parameter without its quotes.
func param(value, name string) string {
	m := regexp.MustCompile(`;` + regexp.QuoteMeta(name) + `=("[^"]*"|[^;,\s]*)`).FindStringSubmatch(value)
	if m == nil {
		return ""
	}
	return strings.Trim(m[1], `"`)
}

// eventually waits until a condition holds.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
		<-time.After(time.Millisecond)
	}
}

// credentials answers a challenge.
func credentials(t testing.TB, challenge, method, uri, user, password string) string {
	t.Helper()
	name, list := "Authorization", all(challenge, "WWW-Authenticate")
	if len(list) == 0 {
		name, list = "Proxy-Authorization", all(challenge, "Proxy-Authenticate")
	}
	c := digest.NewClient(digest.ClientConfig{Credentials: func(string) (string, string, error) { return user, password, nil }})
	q := c.Request(method, uri, nil)
	if err := q.Challenged(list); err != nil {
		t.Fatalf("%v: %q", err, challenge)
	}
	return "+" + name + ": " + q.Authorization()[0]
}
