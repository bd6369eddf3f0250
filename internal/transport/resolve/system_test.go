package resolve

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"
)

// files writes a hosts file and a resolv.conf.
func files(t *testing.T, hosts, conf string) SystemConfig {
	t.Helper()
	dir := t.TempDir()
	cfg := SystemConfig{Hosts: filepath.Join(dir, "hosts"), ResolvConf: filepath.Join(dir, "resolv.conf")}
	for name, text := range map[string]string{cfg.Hosts: hosts, cfg.ResolvConf: conf} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cfg
}

func TestSystem(t *testing.T) {
	z := sampleZone(t)
	for i := range 60 {
		rr, _ := dns.NewRR(fmt.Sprintf("_sip._tcp.many.example.com. 60 SRV %d 0 5060 a-rather-long-name-%d.example.com.", i, i))
		z.records = append(z.records, rr)
	}
	cfg := files(t, "192.0.2.7 hosted.example.com other # hosted2\n\n# x\n192.0.2.8\nbad hosted\n2001:db8::7 HOSTED.example.com\n", "nameserver 192.0.2.255\nsearch example.com\n")
	cfg.Servers = []string{z.server(t)}
	y := NewSystem(cfg)
	ask := func(name string, rrtype uint16) []dns.RR {
		t.Helper()
		rr, err := y.Lookup(context.Background(), name, rrtype)
		if err != nil {
			t.Fatal(err)
		}
		return rr
	}
	t.Run("a whole location", func(t *testing.T) {
		expect(t, Config{DNS: y}, "sip:bob@example.com;transport=tcp",
			"tcp [2001:db8::1]:5060 example.com", "tcp 192.0.2.1:5060 example.com", "tcp 192.0.2.2:5060 example.com")
	})
	t.Run("answers are kept", func(t *testing.T) {
		z.questions()
		ask("sip1.example.com", dns.TypeA)
		ask("SIP1.example.com.", dns.TypeA)
		if q := z.questions(); len(q) != 0 {
			t.Errorf("asked again: %v", q)
		}
	})
	t.Run("one question for all who ask", func(t *testing.T) {
		z.questions()
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() {
				if rr, err := y.Lookup(context.Background(), "_sips._ws.example.com", dns.TypeSRV); err != nil || len(rr) != 1 {
					t.Errorf("%v, %v", rr, err)
				}
			})
		}
		all.Wait()
		if q := z.questions(); len(q) != 1 || len(y.open) != 0 {
			t.Errorf("asked %v", q)
		}
	})
	t.Run("who is in a hurry does not wait for the others", func(t *testing.T) {
		silent, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer silent.Close()
		cfg := cfg
		cfg.Servers = []string{silent.LocalAddr().String()}
		y := NewSystem(cfg)
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if _, err := y.Lookup(ctx, "a.example.com", dns.TypeA); !errors.Is(err, context.Canceled) {
			t.Errorf("ended with %v", err)
		}
	})
	t.Run("long answers come over TCP", func(t *testing.T) {
		z.questions()
		if rr := ask("_sip._tcp.many.example.com", dns.TypeSRV); len(rr) != 60 {
			t.Errorf("%d records", len(rr))
		}
		want := []string{"tcp SRV _sip._tcp.many.example.com", "udp SRV _sip._tcp.many.example.com"}
		if q := z.questions(); !slices.Equal(q, want) {
			t.Errorf("asked %v", q)
		}
	})
	t.Run("NAM-003 no search list", func(t *testing.T) {
		z.questions()
		if rr := ask("sip1", dns.TypeA); len(rr) != 0 {
			t.Errorf("found %v", rr)
		}
		if q := z.questions(); !slices.Equal(q, []string{"udp A sip1"}) {
			t.Errorf("asked %v", q)
		}
	})
	t.Run("hosts file", func(t *testing.T) {
		z.questions()
		if rr := ask("Hosted.example.com", dns.TypeA); len(rr) != 1 || rr[0].(*dns.A).A.String() != "192.0.2.7" {
			t.Errorf("A: %v", rr)
		}
		if rr := ask("hosted.example.com", dns.TypeAAAA); len(rr) != 1 {
			t.Errorf("AAAA: %v", rr)
		}
		expect(t, Config{DNS: y}, "sip:a@hosted.example.com", " [2001:db8::7]:5060 hosted.example.com", " 192.0.2.7:5060 hosted.example.com")
		expect(t, Config{DNS: y}, "sip:a@localhost", " [::1]:5060 localhost", " 127.0.0.1:5060 localhost")
		if q := z.questions(); len(q) != 0 {
			t.Errorf("asked %v", q)
		}
	})
	t.Run("a failing server is followed by the next", func(t *testing.T) {
		bad := zoneOf(t, "")
		bad.fail = map[uint16]error{dns.TypeA: errRefused}
		cfg := cfg
		cfg.Servers = []string{bad.server(t), cfg.Servers[0]}
		y := NewSystem(cfg)
		if rr, err := y.Lookup(context.Background(), "sip2.example.com", dns.TypeA); err != nil || len(rr) != 1 {
			t.Errorf("%v, %v", rr, err)
		}
		cfg.Servers = cfg.Servers[:1]
		if _, err := NewSystem(cfg).Lookup(context.Background(), "sip2.example.com", dns.TypeA); err == nil || !strings.Contains(err.Error(), "SERVFAIL") {
			t.Errorf("ended with %v", err)
		}
	})
	t.Run("a silent server costs its time only", func(t *testing.T) {
		silent, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer silent.Close()
		cfg := cfg
		cfg.Servers, cfg.Timeout = []string{silent.LocalAddr().String()}, time.Millisecond
		if _, err := NewSystem(cfg).Lookup(context.Background(), "sip2.example.com", dns.TypeA); err == nil {
			t.Error("there was an answer")
		}
	})
	t.Run("no servers to ask", func(t *testing.T) {
		cfg := SystemConfig{ResolvConf: filepath.Join(t.TempDir(), "none"), Hosts: "none"}
		if _, err := NewSystem(cfg).Lookup(context.Background(), "a", dns.TypeA); err == nil {
			t.Error("there was an answer")
		}
	})
	t.Run("resolv.conf names the servers", func(t *testing.T) {
		y := NewSystem(files(t, "", "nameserver 192.0.2.1\nnameserver 2001:db8::1\n"))
		if s, err := y.servers(); err != nil || !slices.Equal(s, []string{"192.0.2.1:53", "[2001:db8::1]:53"}) {
			t.Errorf("%v, %v", s, err)
		}
	})
}

func TestCache(t *testing.T) {
	a := func(ttl uint32) []dns.RR { return []dns.RR{&dns.A{Hdr: dns.RR_Header{Ttl: ttl}}} }
	synctest.Test(t, func(t *testing.T) {
		y := NewSystem(SystemConfig{CacheSize: 3})
		for _, tt := range []struct {
			name    string
			records []dns.RR
			after   time.Duration
			want    bool
		}{
			{"within its time", a(60), 59 * time.Second, true},
			{"after its time", a(60), 61 * time.Second, false},
			{"no time", a(0), 0, false},
			{"never for days", a(1 << 30), time.Hour + 1, false},
			{"the shortest counts", append(a(60), a(10)...), 11 * time.Second, false},
			{"nothing there", nil, 9 * time.Second, true},
			{"nothing there, later", nil, 11 * time.Second, false},
		} {
			q := question{tt.name, dns.TypeA}
			y.keep(q, tt.records)
			time.Sleep(tt.after)
			if c, known := y.cache[q]; (known && time.Now().Before(c.until)) != tt.want {
				t.Errorf("%s: known %v", tt.name, !tt.want)
			}
		}
		for i := range 100 {
			y.keep(question{fmt.Sprint(i), dns.TypeA}, a(60))
		}
		if n := len(y.cache); n > 3 {
			t.Errorf("%d answers are kept", n)
		}
	})
}

func FuzzHosts(f *testing.F) {
	f.Add("127.0.0.1 localhost a.b # c\n::1 localhost\n")
	f.Fuzz(func(t *testing.T, s string) {
		for name, addrs := range parseHosts(strings.NewReader(s)) {
			if len(addrs) == 0 || len(addrs) > maxAddresses {
				t.Errorf("%q has %d addresses", name, len(addrs))
			}
		}
	})
}

// FuzzAnswers lets DNS say anything.
func FuzzAnswers(f *testing.F) {
	for _, s := range []string{
		"@ NAPTR 1 1 \"s\" \"SIP+D2T\" \"\" _sip._tcp\n_sip._tcp SRV 0 0 5060 a\na A 192.0.2.1", "_sip._udp CNAME _sip._udp", "a CNAME b\nb CNAME a\n@ CNAME a",
	} {
		f.Add(s, "sip:bob@example.com")
	}
	f.Fuzz(func(t *testing.T, text, uri string) {
		z := new(zone)
		p := dns.NewZoneParser(strings.NewReader("$TTL 60\n"+text), "example.com.", "")
		for rr, ok := p.Next(); ok && len(z.records) < 50; rr, ok = p.Next() {
			z.records = append(z.records, rr)
		}
		found, err := New(Config{DNS: z, Reachable: everywhere}).Targets(context.Background(), uri)
		if (err == nil) != (len(found) > 0) || len(found) > 16 {
			t.Errorf("%d targets, %v", len(found), err)
		}
	})
}
