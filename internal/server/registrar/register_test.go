package registrar

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"imp/internal/sip/header"
	"imp/internal/store/memory"
)

func TestRegister(t *testing.T) {
	s := newSite(t, nil)
	p := s.phone("alice", "udp")
	answer := p.registered("Expires: 600", "+User-Agent: test/1")
	if c := field(answer, "Contact"); c != "<"+p.uri()+">;expires=600" {
		t.Errorf("Contact: %s", c)
	}
	if _, err := time.Parse(time.RFC1123, field(answer, "Date")); err != nil {
		t.Errorf("Date: %v", err)
	}
	if field(answer, "Require") != "" || strings.Contains(field(answer, "Supported"), "gruu") {
		t.Errorf("options: %q", answer)
	}
	t.Run("several contacts, q and expires of each", func(t *testing.T) {
		a := p.registered("Contact: <sip:a@192.0.2.1>;q=0.25;expires=100, <sip:b@192.0.2.2;transport=tcp>;methods=\"INVITE\"", "Expires: 200")
		got := all(a, "Contact")
		want := []string{"<" + p.uri() + ">;expires=600", "<sip:a@192.0.2.1>;q=0.250;expires=100",
			`<sip:b@192.0.2.2;transport=tcp>;methods="INVITE";expires=200`}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("got %q", got)
		}
	})
	t.Run("a query changes nothing", func(t *testing.T) {
		if got := all(p.registered("Contact"), "Contact"); len(got) != 3 {
			t.Errorf("got %q", got)
		}
	})
	t.Run("contacts compare as URIs do", func(t *testing.T) {
		if got := all(p.registered("Contact: <SIP:%61@192.0.2.1;x=1>;q=1"), "Contact"); len(got) != 3 || !strings.Contains(got[1], "x=1>;expires=3600") {
			t.Errorf("escapes and unknown parameters: %q", got)
		}
		if got := all(p.registered("Contact: <sip:A@192.0.2.1>;expires=0, <sip:b@192.0.2.2>;expires=0"), "Contact"); len(got) != 3 {
			t.Errorf("the case of users and transport count: %q", got)
		}
	})
	t.Run("expires 0 removes one", func(t *testing.T) {
		if got := all(p.registered("Contact: <sip:a@192.0.2.1>;expires=0"), "Contact"); len(got) != 2 {
			t.Errorf("got %q", got)
		}
	})
	t.Run("* removes all", func(t *testing.T) {
		wants(t, p.register("Contact: *"), 400)
		wants(t, p.register("Contact: *", "Expires: 10"), 400)
		wants(t, p.register("Contact: *, <sip:a@b>", "Expires: 0"), 400)
		if got := all(p.registered("Contact: *", "Expires: 0"), "Contact"); len(got) != 0 {
			t.Errorf("got %q", got)
		}
	})
}

func TestExpires(t *testing.T) {
	s := newSite(t, func(c *Config) { c.MinExpires, c.MaxExpires, c.Expires = 2*time.Minute, 30*time.Minute, 10*time.Minute })
	p := s.phone("alice", "udp")
	for _, c := range []struct {
		expires, contact string
		want             string // "" is 423
	}{
		{"", "", "600"}, {"300", "", "300"}, {"300", "200", "200"}, {"119", "", ""}, {"300", "1", ""}, {"9999", "", "1800"},
		{"99999999999999999999", "", "1800"}, {"soon", "", "1800"}, {"300", "soon", "1800"},
	} {
		fields := []string{"Contact: <sip:x@192.0.2.1>"}
		if c.contact != "" {
			fields[0] += ";expires=" + c.contact
		}
		if c.expires != "" {
			fields = append(fields, "Expires: "+c.expires)
		}
		answer := p.register(fields...)
		if c.want == "" {
			wants(t, answer, 423)
			if field(answer, "Min-Expires") != "120" {
				t.Errorf("Min-Expires: %q", answer)
			}
			continue
		}
		wants(t, answer, 200)
		if got := param(field(answer, "Contact"), "expires"); got != c.want {
			t.Errorf("%+v: got %s", c, got)
		}
	}
}

func TestOrder(t *testing.T) {
	s := newSite(t, nil)
	p := s.phone("alice", "udp")
	p.registered("CSeq: 10 REGISTER")
	wants(t, p.register("CSeq: 10 REGISTER"), 500)
	wants(t, p.register("CSeq: 9 REGISTER"), 500)
	wants(t, p.register("CSeq: 9 REGISTER", "Contact: <"+p.uri()+">;expires=0"), 500)
	wants(t, p.register("CSeq: 9 REGISTER", "Contact: *", "Expires: 0"), 500)
	t.Run("all or nothing", func(t *testing.T) {
		wants(t, p.register("CSeq: 9 REGISTER", "Contact: <sip:new@192.0.2.1>, <"+p.uri()+">"), 500)
		if got := all(p.registered("Contact", "CSeq: 1 REGISTER"), "Contact"); len(got) != 1 {
			t.Errorf("got %q", got)
		}
	})
	t.Run("another Call-ID begins anew", func(t *testing.T) { p.registered("CSeq: 1 REGISTER", "Call-ID: other") })
	p.registered("CSeq: 2 REGISTER", "Call-ID: other", "Contact: *", "Expires: 0")
}

func TestWhoRegisters(t *testing.T) {
	s := newSite(t, guarded(t))
	p := s.phone("alice", "udp")
	challenge := p.register()
	t.Run("NAM-049 a registrar asks with 401", func(t *testing.T) {
		wants(t, challenge, 401)
		if field(challenge, "WWW-Authenticate") == "" || field(challenge, "Proxy-Authenticate") != "" {
			t.Errorf("got %q", challenge)
		}
	})
	t.Run("PRS-030 REGISTER without credentials changes nothing", func(t *testing.T) {
		for e, err := range s.store.Scan(t.Context(), "") {
			t.Errorf("the store has %q, %v", e.Key, err)
		}
	})
	with := func(p *phone, user, password string) string {
		return credentials(t, p.register(), "REGISTER", "sip:example.com", user, password)
	}
	p.registered(with(p, "alice", "wonderland"))
	t.Run("third party", func(t *testing.T) {
		wants(t, p.register(with(p, "bob", "builder")), 403)
		wants(t, p.register(with(p, "bob", "builder"), "From: <sip:bob@example.com>;tag=x"), 403)
		wants(t, p.register(with(p, "alice", "wonderland"), "To: <sip:alice@example.org>"), 403)
	})
	t.Run("the user of the credentials has one in each domain", func(t *testing.T) {
		wants(t, p.ask("REGISTER", "sip:example.org", with(p, "alice", "wonderland"), "To: <sip:alice@example.org>", "From: <sip:alice@example.org>;tag=x"), 200)
	})
}

func TestNobody(t *testing.T) {
	s := newSite(t, nil)
	wants(t, s.phone("nobody", "udp").register(), 404)
	p := s.phone("alice", "udp")
	wants(t, p.register("To: <sip:alice@example.net>", "From: <sip:alice@example.net>;tag=x"), 404)
	wants(t, p.ask("REGISTER", "sip:example.org"), 404)
	wants(t, p.ask("REGISTER", "sip:"+s.addr()), 200)
	wants(t, p.register("From: <sip:bob@example.com>;tag=x"), 403)
}

func TestRefusedContacts(t *testing.T) {
	s := newSite(t, func(c *Config) { c.MaxContacts = 3 })
	p := s.phone("alice", "udp")
	p.registered("Contact: <sip:one@192.0.2.1>;+sip.instance=\"<urn:x:1>\"")
	for contact, status := range map[string]int{
		"<sip:alice@example.com>":                                                       403,
		"<sip:%61lice@EXAMPLE.com>":                                                     403,
		"<sip:alice@example.com;gr=urn:x:1>":                                            403,
		"<sip:bob@example.org>":                                                         403,
		"<sip:bob@" + s.addr() + ">":                                                    403,
		"<mailto:alice@example.com>":                                                    403,
		"<sip:a@192.0.2.1>;q=2":                                                         400,
		"<sip:a@192.0.2.1>;q=0.1234":                                                    400,
		"<sip:a@192.0.2.1>;reg-id=0;+sip.instance=\"<u>\"":                              400,
		"<sip:a@192.0.2.1;x=" + strings.Repeat("x", 2000) + ">":                         400,
		"<sip:2@192.0.2.1>, <sip:3@192.0.2.1>, <sip:4@192.0.2.1>":                       403,
		"<sip:2@192.0.2.1>, <sip:3@192.0.2.1>, <sip:4@192.0.2.1>, <mailto:a@b.example>": 403,
	} {
		name := "contact " + contact[:min(len(contact), 40)]
		if status == 403 && strings.Contains(contact, "alice@") || strings.Contains(contact, "mailto") {
			name = "NAM-081 " + name
		}
		t.Run(name, func(t *testing.T) { wants(t, p.register("Contact: "+contact), status) })
	}
	t.Run("more than are looked at", func(t *testing.T) {
		wants(t, p.register("Contact: "+strings.Repeat("<sip:a@192.0.2.1>, ", 6)+"<no URI at all>"), 400)
		wants(t, p.register("Contact: "+strings.Repeat("<sip:a@192.0.2.1>;expires=0, ", 6)+"<sip:a@192.0.2.1>;expires=0"), 403)
	})
	if got := all(p.registered("Contact"), "Contact"); len(got) != 1 {
		t.Errorf("a refused REGISTER left %q", got)
	}
}

func TestRace(t *testing.T) {
	s := newSite(t, func(c *Config) { c.MaxContacts = 100 })
	const n = 40
	var ended sync.WaitGroup
	for i := range n {
		p := s.phone("alice", "tcp")
		ended.Go(func() {
			p.send(p.request("REGISTER", "sip:example.com", "", fmt.Sprintf("Contact: <sip:%d@192.0.2.1>", i)))
			if msg, err := p.next(patience); err != nil || !strings.HasPrefix(msg, "SIP/2.0 200") {
				t.Errorf("%d: %q %v", i, msg, err)
			}
		})
	}
	ended.Wait()
	if got := all(s.phone("alice", "tcp").registered("Contact"), "Contact"); len(got) != n {
		t.Errorf("%d of %d contacts are there", len(got), n)
	}
	if n := s.registrar.Stats().Registered; n != 41 {
		t.Errorf("%d were counted", n)
	}
}

// offline is a registrar without a stack, whose clock can be moved.
func offline(t *testing.T, change func(*Config)) (*Registrar, func(user string, seq uint32, contacts ...contact) *record) {
	cfg := Config{Store: memory.New(), Domains: []string{"example.com"}}
	if change != nil {
		change(&cfg)
	}
	r := New(cfg)
	return r, func(user string, seq uint32, contacts ...contact) *record {
		t.Helper()
		rec, refusal := r.update(t.Context(), &request{aor: "sip:" + user + "@example.com", callID: "c", cseq: seq, contacts: contacts})
		if refusal != nil {
			t.Fatal(refusal.Status, refusal.Reason)
		}
		return rec
	}
}

func contactFor(uri string, life time.Duration) contact {
	u, _ := header.ParseURI(uri)
	return contact{uri: uri, parsed: u, q: 1000, life: life}
}

func TestBindingsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, register := offline(t, nil)
		defer r.cfg.Store.(*memory.Store).Close()
		defer r.Close()
		register("alice", 1, contactFor("sip:a@192.0.2.1", time.Minute), contactFor("sip:b@192.0.2.1", 3*time.Minute))
		count := func() (n int) {
			for range r.Bindings(t.Context()) {
				n++
			}
			return n
		}
		synctest.Wait()
		if count() != 2 || r.Count() != 2 {
			t.Errorf("%d and %d at first", count(), r.Count())
		}
		time.Sleep(time.Minute - time.Millisecond)
		if count() != 2 {
			t.Error("one ended early")
		}
		time.Sleep(time.Second)
		if count() != 1 {
			t.Error("one lives too long")
		}
		// What has ended counts no more: its CSeq may come again.
		register("alice", 1, contactFor("sip:a@192.0.2.1", time.Minute))
		time.Sleep(3 * time.Minute)
		synctest.Wait()
		if count() != 0 || r.Count() != 0 {
			t.Errorf("%d and %d in the end", count(), r.Count())
		}
		if _, err := r.cfg.Store.Get(t.Context(), key("sip:alice@example.com")); err == nil {
			t.Error("the store keeps an empty record")
		}
	})
}

func TestWallClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, register := offline(t, nil)
		defer r.cfg.Store.(*memory.Store).Close()
		defer r.Close()
		rec := register("alice", 1, contactFor("sip:a@192.0.2.1", time.Minute))
		b := *rec.Bindings[0]
		b.Wall -= 3_600_000 // as if the clock had been set forward
		if r.left(&b) != time.Minute {
			t.Errorf("after a step %s are left", r.left(&b))
		}
		b.Boot = "another process"
		if r.left(&b) > 0 {
			t.Error("a binding of another process does not follow the wall clock")
		}
	})
}

func TestPages(t *testing.T) {
	r, register := offline(t, nil)
	defer r.Close()
	for i := range 25 {
		register(fmt.Sprintf("u%d", i/2), uint32(i+1), contactFor(fmt.Sprintf("sip:%d@192.0.2.1", i), time.Minute))
	}
	seen := map[string]bool{}
	for after, more := "", true; more; {
		var page []Binding
		var err error
		if page, more, err = r.Page(t.Context(), "", after, 7); err != nil || len(page) == 0 || len(page) > 7 {
			t.Fatal(len(page), err)
		}
		for _, b := range page {
			if b.ID <= after || seen[b.Contact] {
				t.Errorf("%s comes again", b.Contact)
			}
			after, seen[b.Contact] = b.ID, true
		}
	}
	if len(seen) != 25 {
		t.Errorf("%d of 25 bindings", len(seen))
	}
	if page, _, _ := r.Page(t.Context(), "sip:u3@example.com", "", 10); len(page) != 2 {
		t.Errorf("one user has %d", len(page))
	}
}

func FuzzRegister(f *testing.F) {
	f.Add("<sip:a@192.0.2.1>;q=0.5;expires=7;+sip.instance=\"<urn:uuid:00>\";reg-id=1", "path, outbound")
	f.Add("*", "")
	f.Add(`"A" <sips:b@[2001:db8::1]:5061;transport=tcp?x=y>;expires="8"`, "gruu")
	s := New(Config{Store: memory.New()})
	f.Fuzz(func(t *testing.T, value, _ string) {
		addresses, _, err := header.ParseContacts([]string{value})
		if err != nil {
			return
		}
		q := &request{aor: "sip:alice@example.com", direct: false, outbound: true}
		for _, a := range addresses {
			c, refusal := s.readContact(a, 60)
			if refusal == nil && s.checkContact(q, c) == nil {
				q.contacts = append(q.contacts, c)
			}
		}
		if q.decideOutbound() != nil {
			return
		}
		rec := &record{AOR: q.aor}
		if s.apply(q, rec) != nil {
			return
		}
		for _, b := range rec.Bindings {
			if _, err := header.ParseAddress(s.contactValue(&request{gruu: true}, rec, b)); err != nil {
				t.Errorf("%q became %v", value, err)
			}
		}
	})
}
