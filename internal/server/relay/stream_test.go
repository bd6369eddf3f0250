package relay

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"

	"strings"
	"testing"

	"imp/internal/msrp/wire"
)

// parts joins the chunks of a message by their ranges.
type parts struct {
	body   []byte
	chunks int
	largest,
	fixed int // largest chunk, and largest chunk with a fixed end
	last wire.Flag
}

// receive reads chunks of one message until it ends, and answers them.
func (p *peer) receive(id string) (m parts) {
	p.t.Helper()
	for m.last != wire.Last && m.last != wire.Abort {
		g := p.next()
		if g.method != "SEND" || g.fields["message-id"] != id {
			p.t.Fatalf("%s %s %s", g.method, g.fields["message-id"], g.fields["status"])
		}
		at := int64(1)
		if text := g.fields["byte-range"]; text != "" {
			r, err := wire.ParseRange(text)
			if err != nil {
				p.t.Fatal(err)
			}
			if at = r.Start; r.End != wire.Unknown {
				m.fixed = max(m.fixed, len(g.body))
				if r.End != r.Start+int64(len(g.body))-1 {
					p.t.Errorf("range %s of %d bytes", text, len(g.body))
				}
			}
		} else if m.chunks > 0 || g.end == wire.More {
			p.t.Errorf("a chunk without a range")
		}
		if at != int64(len(m.body))+1 {
			p.t.Fatalf("MSRPR-051 chunk at %d, after %d bytes", at, len(m.body))
		}
		m.body = append(m.body, g.body...)
		m.chunks, m.largest, m.last = m.chunks+1, max(m.largest, len(g.body)), g.end
		p.ok(g)
	}
	return m
}

func TestStream(t *testing.T) {
	r := running(t, Config{})
	alice, bob := pair(t, r)
	random := rand.New(rand.NewPCG(7, 8))
	noise := make([]byte, 300000)
	for i := range noise {
		noise[i] = byte(random.Uint32())
	}
	send := func(q *peer, id, body string, end int, fields ...string) {
		text := requestText(id, "SEND", alice.path+" "+alice.uri, q.uri, body, "$", append(fields, "Message-ID: "+id)...)
		go func() {
			for len(text) > 0 { // in pieces of any size
				n := min(len(text), 1+random.IntN(end))
				q.nc.Write([]byte(text[:n]))
				text = text[n:]
			}
		}()
	}
	for _, size := range []int{0, 1, 2047, 2048, 2049, 65536, 300000} {
		t.Run(fmt.Sprintf("MSRPR-051 MSRP-027 %d bytes", size), func(t *testing.T) {
			id := fmt.Sprintf("size%d", size)
			send(bob, id, string(noise[:size]), 5000, fmt.Sprintf("Byte-Range: 1-*/%d", size))
			m := alice.receive(id)
			if !bytes.Equal(m.body, noise[:size]) || m.fixed > 2048 {
				t.Errorf("%d bytes, %d in a chunk without an open end", len(m.body), m.fixed)
			}
			if g := bob.next(); g.code != 200 || g.id != id {
				t.Errorf("%+v", g)
			}
		})
	}
	t.Run("MSRPR-052 forwarded before the end has come", func(t *testing.T) {
		text := requestText("early", "SEND", alice.path+" "+alice.uri, bob.uri, strings.Repeat("x", 5000), "#", "Message-ID: early")
		bob.write(text[:4000])
		h, err := alice.rd.Next()
		if err != nil {
			t.Fatal(err)
		}
		piece, end, err := alice.rd.Body()
		if len(piece) == 0 || end != 0 || err != nil {
			t.Errorf("%d bytes, %c, %v", len(piece), end, err)
		}
		n := len(piece)
		if r := h.Range; r.Start != 1 || r.End != wire.Unknown {
			t.Errorf("range %v", r)
		}
		t.Run("MSRPR-057 cut for others", func(t *testing.T) {
			carol := dial(t, r.at("tcp"), "carol")
			carol.request("SEND", alice.path+" "+alice.uri, carol.uri, "quick", "Message-ID: quick")
			for end == 0 {
				if piece, end, err = alice.rd.Body(); err != nil {
					t.Fatal(err)
				}
				n += len(piece)
			}
			if end != wire.More {
				t.Errorf("MSRPR-053 flag %c", end)
			}
			if g := alice.next(); g.body != "quick" {
				t.Errorf("%+v", g)
			}
		})
		bob.write(text[4000:])
		g := alice.next()
		if r, _ := wire.ParseRange(g.fields["byte-range"]); r.Start != int64(n)+1 || n+len(g.body) != 5000 {
			t.Errorf("%s after %d bytes, %d bytes", g.fields["byte-range"], n, len(g.body))
		}
		if g.end != wire.Abort {
			t.Errorf("MSRPR-053 flag %c", g.end)
		}
		bob.next()
	})
	t.Run("MSRPR-045 the body has the end-line of another chunk", func(t *testing.T) {
		body := "a\r\n-------abcd$\r\nb\r\n-------tid1+\r\n" + strings.Repeat("\r\n-------", 100)
		send(bob, "likes", body, 7)
		if m := alice.receive("likes"); string(m.body) != body {
			t.Errorf("%q", m.body)
		}
		bob.next()
	})
	t.Run("a message whose sender is gone is aborted", func(t *testing.T) {
		carol := dial(t, r.at("tcp"), "carol")
		text := requestText("lost", "SEND", alice.path+" "+alice.uri, carol.uri, strings.Repeat("x", 5000), "$", "Message-ID: lost1")
		carol.write(text[:4000])
		carol.nc.Close()
		if m := alice.receive("lost1"); m.last != wire.Abort || len(m.body) > 4000 {
			t.Errorf("%d bytes, flag %c", len(m.body), m.last)
		}
	})
}

// TestBodiless sends what opens a session (RFC 4975 section 5.4), and an empty body, which is another thing.
func TestBodiless(t *testing.T) {
	r := running(t, Config{})
	alice, bob := pair(t, r)
	for body, name := range map[string]string{"-": "without a body", "": "with an empty body"} {
		t.Run(name, func(t *testing.T) {
			id := bob.request("SEND", alice.path+" "+alice.uri, bob.uri, body, "Message-ID: "+strings.ReplaceAll(name, " ", "-"))
			h, err := alice.rd.Next()
			if err != nil {
				t.Fatal(err)
			}
			if h.Body != (body != "-") || !h.Body && (h.End != wire.Last || h.ContentType != nil) {
				t.Errorf("it came with a body: %v, flag %q", h.Body, h.End)
			}
			if h.Body {
				if piece, end, err := alice.rd.Body(); len(piece) > 0 || end != wire.Last || err != nil {
					t.Errorf("%q, %q, %v", piece, end, err)
				}
			}
			alice.ok(got{id: string(h.ID), to: string(h.To), from: string(h.From)})
			if g := bob.next(); g.code != wire.OK || g.id != id {
				t.Errorf("%+v", g)
			}
		})
	}
}

// TestInterleaved has two uploads from one connection to another one.
func TestInterleaved(t *testing.T) {
	r := running(t, Config{})
	alice := dial(t, r.at("tcp"), "alice")
	alice.auth(r)
	one := alice.path
	alice.auth(r)
	two := alice.path
	const size, chunk = 400000, 10000
	t.Run("MSRPR-057 two sessions on one connection", func(t *testing.T) {
		for i, path := range []string{one, two} {
			bob := dial(t, r.at("tcp"), "bob")
			go func() {
				for at := 0; at < size; at += chunk {
					flag := "+"
					if at+chunk == size {
						flag = "$"
					}
					bob.nc.Write([]byte(requestText(fmt.Sprintf("t%d-%d", i, at), "SEND", path+" "+alice.uri, bob.uri, strings.Repeat(string(rune('a'+i)), chunk), flag,
						fmt.Sprintf("Message-ID: both%d", i), fmt.Sprintf("Byte-Range: %d-*/%d", at+1, size), "Failure-Report: no")))
				}
			}()
		}
		got, ends := map[string]int{}, 0
		for ends < 2 {
			g := alice.next()
			id := g.fields["message-id"]
			if r, _ := wire.ParseRange(g.fields["byte-range"]); r.Start != int64(got[id])+1 {
				t.Fatalf("%s: %s after %d", id, g.fields["byte-range"], got[id])
			}
			if strings.Trim(g.body, string(rune('a'+id[4]-'0'))) != "" {
				t.Fatal("bytes of another message")
			}
			if got[id] += len(g.body); g.end == wire.Last {
				ends++
			}
		}
		if got["both0"] != size || got["both1"] != size {
			t.Error(got)
		}
	})
}

// TestBig sends more than any buffer has room for, through a peer that reads slowly.
func TestBig(t *testing.T) {
	r := running(t, Config{})
	alice, bob := pair(t, r)
	const size = 64 << 20
	sum := sha256.New()
	go func() {
		random := rand.New(rand.NewPCG(9, 9))
		io.WriteString(bob.nc, "MSRP bigone SEND\r\nTo-Path: "+alice.path+" "+alice.uri+"\r\nFrom-Path: "+bob.uri+"\r\nMessage-ID: bigone\r\nContent-Type: a/b\r\n\r\n")
		buf := make([]byte, 1<<16)
		for n := 0; n < size; n += len(buf) {
			for i := 0; i < len(buf); i += 8 {
				v := random.Uint64()
				for k := range 8 {
					buf[i+k] = byte(v >> (8 * k))
				}
			}
			sum.Write(buf)
			bob.nc.Write(buf)
		}
		io.WriteString(bob.nc, "\r\n-------bigone$\r\n")
	}()
	got, n := sha256.New(), 0
	for end := wire.Flag(0); end != wire.Last; {
		h, err := alice.rd.Next()
		if err != nil {
			t.Fatal(err)
		}
		if h.Range.Start != int64(n)+1 {
			t.Fatalf("%v after %d", h.Range, n)
		}
		for end = 0; end == 0; {
			var piece []byte
			if piece, end, err = alice.rd.Body(); err != nil {
				t.Fatal(err)
			}
			got.Write(piece)
			n += len(piece)
		}
	}
	if g := bob.next(); g.code != 200 || n != size || !bytes.Equal(sum.Sum(nil), got.Sum(nil)) {
		t.Errorf("%d bytes, %+v", n, g)
	}
}

func TestForeseenIDs(t *testing.T) {
	t.Run("MSRPR-045 MSRP-017 the body has the end-lines that are to come", func(t *testing.T) {
		r := running(t, Config{Random: func(b []byte) { clear(b) }})
		alice, bob := pair(t, r)
		var body strings.Builder
		for n := range uint32(8) {
			fmt.Fprintf(&body, "x\r\n-------%s%s$\r\n", strings.Repeat("A", randomLength), appendNumber(nil, n))
		}
		bob.request("SEND", alice.path+" "+alice.uri, bob.uri, body.String(), "Message-ID: foreseen")
		if m := alice.receive("foreseen"); string(m.body) != body.String() || m.chunks < 5 {
			t.Errorf("%d chunks, %q", m.chunks, m.body)
		}
		bob.next()
		bob.request("FOO", alice.path+" "+alice.uri, bob.uri, "no\r\n-------"+strings.Repeat("A", idLength)+"$\r\nmatter")
		if g := alice.next(); !strings.HasSuffix(g.body, "matter") {
			t.Errorf("%q", g.body)
		}
	})
}
