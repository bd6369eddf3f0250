package lab_test

import (
	"fmt"
	"net"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"imp/internal/auth/digest"
	"imp/internal/auth/users"
	"imp/internal/server/lab"
	"imp/internal/server/presence"
)

// phonesLab brings a lab up that offers these algorithms to alice, bob and carol
// and gives its addresses by transport.
func phonesLab(t *testing.T, offer ...digest.Algorithm) map[string]string {
	t.Helper()
	var names []string
	for _, a := range []digest.Algorithm{digest.SHA256, digest.MD5} {
		names = append(names, a.String())
	}
	source, err := users.New(users.Config{Realms: []string{lab.Domain}, Algorithms: names,
		Entries: []string{"alice:wonderland", "bob:builder", "carol:christmas"}})
	if err != nil {
		t.Fatal(err)
	}
	l := startLab(t, lab.Config{Dir: t.TempDir(), Auth: &presence.Auth{Realm: lab.Domain, Users: source, Algorithms: offer}})
	addrs := map[string]string{}
	for _, a := range l.Servers()["presence-server"] {
		transport, addr, _ := strings.Cut(a, ":")
		addrs[transport] = addr
	}
	return addrs
}

// TestPhones lets clients of others register, publish, see each other's presence
// and exchange messages through the lab: each watches and writes to the next.
func TestPhones(t *testing.T) {
	node := nodeModules(t, "sip.js")
	nodeModules(t, "jssip")
	at := phonesLab(t)
	ring := []struct {
		name, user string
		phone      phone
	}{
		{"SIP.js", "alice", newNodePhone(t, "sipjs", node, "alice", "wonderland", "ws://"+at["ws"])},
		{"JsSIP", "bob", newNodePhone(t, "jssip", node, "bob", "builder", "ws://"+at["ws"])},
		{"baresip", "carol", newBaresip(t, "carol", "christmas", at["udp"], "alice")},
	}
	for _, p := range ring {
		p.phone.register()
		p.phone.publish("note of " + p.user)
	}
	for i, p := range ring {
		next := ring[(i+1)%len(ring)]
		self, target := "sip:"+p.user+"@"+lab.Domain, "sip:"+next.user+"@"+lab.Domain
		t.Run(p.name+" watches "+next.name, func(t *testing.T) {
			p.phone.watch(target)
			note := "note of " + next.user
			if next.name == "baresip" {
				note = "" // it publishes none
			}
			p.phone.sees(target, note)
		})
		t.Run(p.name+" writes to "+next.name, func(t *testing.T) {
			p.phone.send(target, "hello "+next.user)
			next.phone.gets(self, "hello "+next.user)
		})
	}
}

// TestOffers checks which digest algorithms clients are asked for: both, or what
// those of others survive.
func TestOffers(t *testing.T) {
	for _, c := range []struct {
		name, agent string
		offer       []digest.Algorithm
		want        []string
	}{
		{"NAM-050 both, the better one first", "Phone/1", nil, []string{"SHA-256", "MD5"}},
		{"MD5 alone for baresip 1", "baresip v1.0.0 (x86_64/linux)", nil, []string{"MD5"}},
		{"both for a later baresip", "baresip v3.10.1", nil, []string{"SHA-256", "MD5"}},
		{"what was said holds for all", "baresip v1.0.0", []digest.Algorithm{digest.SHA256}, []string{"SHA-256"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			conn, err := net.Dial("udp", phonesLab(t, c.offer...)["udp"])
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			conn.SetDeadline(time.Now().Add(patience))
			fmt.Fprintf(conn, "REGISTER sip:%s SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1;rport;branch=z9hG4bKoffer\r\nFrom: <sip:alice@%[1]s>;tag=1\r\nTo: <sip:alice@%[1]s>\r\n"+
				"Call-ID: offer\r\nCSeq: 1 REGISTER\r\nMax-Forwards: 70\r\nUser-Agent: %s\r\nContent-Length: 0\r\n\r\n", lab.Domain, c.agent)
			answer := make([]byte, 4096)
			n, err := conn.Read(answer)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, m := range regexp.MustCompile(`WWW-Authenticate: .*algorithm=([A-Z0-9-]+)`).FindAllSubmatch(answer[:n], -1) {
				got = append(got, string(m[1]))
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("asked for %v, want %v in\n%s", got, c.want, answer[:n])
			}
		})
	}
}
