package event_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"imp/internal/sip/event"
	"imp/internal/sip/header"
	"imp/internal/sip/stack"
)

func TestPublisherRequest(t *testing.T) {
	t.Run("PUB-001 PUBLISH goes to the resource, outside any dialog", func(t *testing.T) {
		withPublisher(t, func(t *testing.T, r *publisherRig) {
			c := r.published()
			if got := c.Method.String() + " " + c.Recipient.String(); got != "PUBLISH sip:bob@example.com" {
				t.Fatalf("request line %q", got)
			}
			c.wants("To", "<sip:bob@example.com>")
			c.wants("Max-Forwards", "70")
			r.refresh()
			r.wire.next().wants("To", "<sip:bob@example.com>")
		})
	})
	t.Run("PUB-002 there is one Event", func(t *testing.T) {
		cfg := publishing()
		cfg.Fields = []stack.Field{{Name: "Supported", Value: "x"}}
		withPublisherConfig(t, cfg, func(t *testing.T, r *publisherRig) {
			c := r.published()
			c.wants("Event", "presence")
			c.wants("Supported", "x")
		})
	})
	t.Run("PUB-003 an initial publication has a body and no SIP-If-Match", func(t *testing.T) {
		withPublisher(t, func(t *testing.T, r *publisherRig) {
			c := r.published()
			none(t, c.Request, "SIP-If-Match")
			c.wants("Content-Type", "application/pidf+xml")
			c.wants("Expires", "3600")
			if string(c.Body()) != "<one/>" {
				t.Fatalf("body %q", c.Body())
			}
		})
	})
	t.Run("PUB-004 a saved tag is tried first, with a modify", func(t *testing.T) {
		cfg := publishing()
		cfg.Tag = "saved"
		withPublisherConfig(t, cfg, func(t *testing.T, r *publisherRig) {
			p := r.publish("<one/>")
			c := r.wire.next()
			c.wants("SIP-If-Match", "saved")
			if string(c.Body()) != "<one/>" {
				t.Fatalf("body %q", c.Body())
			}
			c.answer(200, "", "SIP-ETag: b", "Expires: 60")
			if got := p.ok(); got != (event.Published{Operation: event.OpModify, Tag: "b", Expires: time.Minute}) {
				t.Fatalf("%+v", got)
			}
		})
	})
	t.Run("PUB-005 PUB-006 PUB-011 a refresh has the last tag and no body", func(t *testing.T) {
		withPublisher(t, func(t *testing.T, r *publisherRig) {
			r.published()
			for _, step := range []struct{ tag, next string }{{"a", "b"}, {"b", "c"}, {"c", "d"}} {
				p := r.refresh()
				c := r.wire.next()
				c.wants("SIP-If-Match", step.tag)
				c.wants("Expires", "3600")
				c.wants("Content-Length", "0")
				none(t, c.Request, "Content-Type")
				if len(c.Body()) > 0 {
					t.Fatalf("body %q", c.Body())
				}
				c.answer(200, "", "SIP-ETag: "+step.next, "Expires: 3600")
				if got := p.ok(); got.Operation != event.OpRefresh || got.Tag != step.next || r.Tag() != step.next {
					t.Fatalf("%+v, tag %q", got, r.Tag())
				}
			}
		})
	})
}

func TestPublisherChanges(t *testing.T) {
	t.Run("PUB-007 PUB-005 a modify has the last tag and the new body", func(t *testing.T) {
		withPublisher(t, func(t *testing.T, r *publisherRig) {
			r.published()
			p := r.publish("<two/>")
			c := r.wire.next()
			c.wants("SIP-If-Match", "a")
			if string(c.Body()) != "<two/>" {
				t.Fatalf("body %q", c.Body())
			}
			c.answer(200, "", "SIP-ETag: b", "Expires: 3600")
			if got := p.ok(); got.Operation != event.OpModify || r.Tag() != "b" {
				t.Fatalf("%+v", got)
			}
		})
	})
	t.Run("PUB-008 PUB-005 PUB-006 a removal has Expires 0, the last tag and no body", func(t *testing.T) {
		withPublisher(t, func(t *testing.T, r *publisherRig) {
			r.published()
			p := r.remove()
			c := r.wire.next()
			c.wants("Expires", "0")
			c.wants("SIP-If-Match", "a")
			none(t, c.Request, "Content-Type")
			if len(c.Body()) > 0 {
				t.Fatalf("body %q", c.Body())
			}
			c.answer(200, "", "Expires: 0")
			if p.ok(); r.Tag() != "" {
				t.Fatalf("tag %q is left", r.Tag())
			}
			r.remove().ok()
			if err := r.refresh().failed(); !errors.Is(err, event.ErrNotPublished) {
				t.Fatal(err)
			}
			r.wire.silent()
		})
	})
	t.Run("PUB-009 without a duration there is no Expires", func(t *testing.T) {
		cfg := publishing()
		cfg.Expires = 0
		withPublisherConfig(t, cfg, func(t *testing.T, r *publisherRig) {
			p := r.publish("<one/>")
			c := r.wire.next()
			none(t, c.Request, "Expires")
			c.answer(200, "", "SIP-ETag: a", "Expires: 7200")
			if got := p.ok(); got.Expires != 2*time.Hour {
				t.Fatalf("%+v", got)
			}
		})
	})
	t.Run("PUB-012 tags are copied byte for byte", func(t *testing.T) {
		withPublisher(t, func(t *testing.T, r *publisherRig) {
			p := r.publish("<one/>")
			r.wire.next().answer(200, "", "sip-etag:  a.B!c~1%*_+`'-", "Expires: 60")
			p.ok()
			r.refresh()
			r.wire.next().wants("SIP-If-Match", "a.B!c~1%*_+`'-")
		})
	})
}

func TestPublisherModify(t *testing.T) {
	modify := func(r *publisherRig) chan error {
		done := make(chan error, 1)
		go func() {
			_, err := r.Modify(r.t.Context(), event.Doc{Type: "application/pidf+xml", Body: []byte("<two/>")})
			done <- err
		}()
		return done
	}
	t.Run("PUB-013 what must not be made anew ends with the 412", func(t *testing.T) {
		withPublisher(t, func(t *testing.T, r *publisherRig) {
			r.published()
			err := modify(r)
			c := r.wire.next()
			c.wants("SIP-If-Match", "a")
			c.answer(412, "")
			expectStatus(t, <-err, 412)
			r.wire.silent()
			if err := <-modify(r); !errors.Is(err, event.ErrNotPublished) {
				t.Fatal(err)
			}
		})
	})
	t.Run("PUB-007 what is there is replaced", func(t *testing.T) {
		withPublisher(t, func(t *testing.T, r *publisherRig) {
			r.published()
			err := modify(r)
			c := r.wire.next()
			if string(c.Body()) != "<two/>" {
				t.Fatalf("body %q", c.Body())
			}
			c.answer(200, "", "SIP-ETag: b", "Expires: 60")
			if err := <-err; err != nil || r.Tag() != "b" {
				t.Fatal(err, r.Tag())
			}
		})
	})
}

func TestPublisherHeaders(t *testing.T) {
	t.Run("PUB-018 Record-Route makes no route set, a preset one is used", func(t *testing.T) {
		cfg := publishing()
		cfg.Route.Set = []string{"<sip:proxy.example.net;lr>"}
		withPublisherConfig(t, cfg, func(t *testing.T, r *publisherRig) {
			p := r.publish("<one/>")
			r.wire.next().answer(200, "", "SIP-ETag: a", "Expires: 60", "Record-Route: <sip:trap.example.net;lr>", "Contact: <sip:trap@192.0.2.66>")
			p.ok()
			r.refresh()
			c := r.wire.next()
			c.wants("Route", "<sip:proxy.example.net;lr>")
			if c.Recipient.String() != "sip:bob@example.com" || c.out.Target.Addr != "proxy.example.net" {
				t.Fatalf("%s at %+v", c.Recipient.String(), c.out.Target)
			}
		})
	})
	t.Run("PUB-019 there is no Contact", func(t *testing.T) {
		withPublisher(t, func(t *testing.T, r *publisherRig) { none(t, r.published().Request, "Contact") })
	})
	t.Run("PUB-024 publishers of one resource keep their own tags", func(t *testing.T) {
		withPublisher(t, func(t *testing.T, r *publisherRig) {
			other := newPublisherRig(t, r.wire, publishing())
			first := r.published()
			p := other.publish("<other/>")
			c := r.wire.next()
			none(t, c.Request, "SIP-If-Match")
			if c.one("Call-ID") == first.one("Call-ID") {
				t.Fatal("two publishers share a Call-ID")
			}
			c.answer(200, "", "SIP-ETag: x", "Expires: 60")
			p.ok()
			r.refresh()
			r.wire.next().wants("SIP-If-Match", "a")
		})
	})
	t.Run("PUB-025 somebody else may publish", func(t *testing.T) {
		cfg := publishing()
		cfg.From = header.Address{URI: "sip:secretary@example.com"}
		withPublisherConfig(t, cfg, func(t *testing.T, r *publisherRig) {
			c := r.published()
			c.wants("To", "<sip:bob@example.com>")
			if !strings.HasPrefix(c.one("From"), "<sip:secretary@example.com>;tag=") {
				t.Fatalf("From %q", c.one("From"))
			}
		})
	})
	t.Run("PUB-026 a publisher keeps its Call-ID and counts CSeq", func(t *testing.T) {
		withPublisher(t, func(t *testing.T, r *publisherRig) {
			first := r.published()
			r.refresh()
			second := r.wire.next()
			if second.one("Call-ID") != first.one("Call-ID") || second.seq() != first.seq()+1 {
				t.Fatalf("%s, CSeq %d", second.one("Call-ID"), second.seq())
			}
		})
	})
}

func TestPublisherRefused(t *testing.T) {
	t.Run("PUB-013 after a 412 to a modify the document is published anew", func(t *testing.T) {
		withPublisher(t, func(t *testing.T, r *publisherRig) {
			r.published()
			p := r.publish("<two/>")
			r.wire.next().answer(412, "")
			c := r.wire.next()
			none(t, c.Request, "SIP-If-Match")
			if string(c.Body()) != "<two/>" {
				t.Fatalf("body %q", c.Body())
			}
			c.answer(200, "", "SIP-ETag: b", "Expires: 3600")
			if got := p.ok(); got.Operation != event.OpInitial || got.Tag != "b" {
				t.Fatalf("%+v", got)
			}
			r.wire.silent()
		})
	})
	t.Run("PUB-013 after a 412 to a refresh the last document is published anew", func(t *testing.T) {
		withPublisher(t, func(t *testing.T, r *publisherRig) {
			r.published()
			p := r.publish("<two/>")
			r.wire.next().answer(200, "", "SIP-ETag: b", "Expires: 3600")
			p.ok()
			p = r.refresh()
			r.wire.next().answer(412, "")
			c := r.wire.next()
			none(t, c.Request, "SIP-If-Match")
			if string(c.Body()) != "<two/>" {
				t.Fatalf("body %q", c.Body())
			}
			c.answer(412, "") // a faulty compositor is not asked for ever
			expectStatus(t, p.failed(), 412)
			r.wire.silent()
		})
	})
	t.Run("PUB-013 a tag that is stale is not used again", func(t *testing.T) {
		cfg := publishing()
		cfg.Tag = "saved"
		withPublisherConfig(t, cfg, func(t *testing.T, r *publisherRig) {
			p := r.refresh()
			r.wire.next().answer(412, "")
			expectStatus(t, p.failed(), 412) // there is no document
			if r.Tag() != "" {
				t.Fatalf("tag %q is left", r.Tag())
			}
			r.publish("<one/>")
			none(t, r.wire.next().Request, "SIP-If-Match")
		})
	})
	t.Run("PUB-013 a removal of what is gone is told", func(t *testing.T) {
		withPublisher(t, func(t *testing.T, r *publisherRig) {
			r.published()
			p := r.remove()
			r.wire.next().answer(412, "")
			expectStatus(t, p.failed(), 412)
			r.wire.silent()
		})
	})
}

func TestPublisherRetries(t *testing.T) {
	t.Run("PUB-014 after a 423 it asks for what is needed, once, and from then on", func(t *testing.T) {
		cfg := publishing()
		cfg.Expires = time.Minute
		withPublisherConfig(t, cfg, func(t *testing.T, r *publisherRig) {
			p := r.publish("<one/>")
			first := r.wire.next()
			first.answer(423, "", "Min-Expires: 120")
			c := r.wire.next()
			c.wants("Expires", "120")
			if string(c.Body()) != "<one/>" || c.seq() != first.seq()+1 {
				t.Fatalf("CSeq %d, body %q", c.seq(), c.Body())
			}
			c.answer(200, "", "SIP-ETag: a", "Expires: 120")
			p.ok()
			p = r.refresh()
			c = r.wire.next()
			c.wants("Expires", "120")
			c.answer(423, "", "Min-Expires: 180")
			r.wire.next().answer(423, "", "Min-Expires: 240")
			expectStatus(t, p.failed(), 423)
			r.wire.silent()
		})
	})
	t.Run("PUB-015 a 489 and a 415 say what would do", func(t *testing.T) {
		withPublisher(t, func(t *testing.T, r *publisherRig) {
			p := r.publish("<one/>")
			r.wire.next().answer(489, "", "Allow-Events: dialog, presence.winfo")
			if e := expectStatus(t, p.failed(), 489); strings.Join(e.AllowEvents(), "+") != "dialog+presence.winfo" {
				t.Fatalf("%+v", e)
			}
			p = r.publish("<one/>")
			r.wire.next().answer(415, "", "Accept: text/plain", "Accept: text/html")
			if e := expectStatus(t, p.failed(), 415); strings.Join(e.Accept(), "+") != "text/plain+text/html" {
				t.Fatalf("%+v", e)
			}
			r.wire.silent()
		})
	})
	t.Run("PUB-016 after a 503 nothing is sent before Retry-After is over", func(t *testing.T) {
		withPublisher(t, func(t *testing.T, r *publisherRig) {
			r.published()
			p := r.publish("<two/>")
			r.wire.next().answer(503, "", "Retry-After: 30 (overload)")
			var later *event.RetryLaterError
			if err := p.failed(); !errors.As(err, &later) || time.Until(later.Until) != 30*time.Second {
				t.Fatalf("%v", err)
			}
			expectStatus(t, p.failed(), 503)
			for _, op := range []func() *pending{func() *pending { return r.publish("<three/>") }, r.refresh, r.remove} {
				pass(9 * time.Second)
				if err := op().failed(); !errors.As(err, &later) {
					t.Fatalf("%v", err)
				}
			}
			r.wire.silent()
			pass(3 * time.Second)
			r.publish("<three/>")
			r.wire.next().wants("SIP-If-Match", "a")
		})
	})
}

func TestPublisherUnsure(t *testing.T) {
	t.Run("a 2xx without a usable SIP-ETag is an error", func(t *testing.T) {
		for _, line := range []string{"X: y", "SIP-ETag: a, b", "SIP-ETag: \"a\"", "SIP-ETag: a\r\nSIP-ETag: b"} {
			withPublisher(t, func(t *testing.T, r *publisherRig) {
				p := r.publish("<one/>")
				r.wire.next().answer(200, "", line, "Expires: 60")
				if err := p.failed(); !errors.Is(err, event.ErrNoETag) || r.Tag() != "" {
					t.Fatalf("%q: %v, tag %q", line, err, r.Tag())
				}
				r.published()
				p = r.publish("<two/>")
				r.wire.next().answer(200, "", line, "Expires: 60")
				if err := p.failed(); !errors.Is(err, event.ErrNoETag) || r.Tag() != "" {
					t.Fatalf("%q: %v, tag %q", line, err, r.Tag())
				}
			})
		}
	})
	t.Run("a timeout and a transport error are passed on and leave the tag", func(t *testing.T) {
		withPublisher(t, func(t *testing.T, r *publisherRig) {
			r.published()
			for _, want := range []error{stack.ErrTimeout, stack.ErrTransport} {
				p := r.publish("<two/>")
				r.wire.next().fail(want)
				if err := p.failed(); !errors.Is(err, want) {
					t.Fatalf("%v", err)
				}
			}
			p := r.refresh()
			c := r.wire.next()
			c.wants("SIP-If-Match", "a")
			c.answer(412, "") // so the modify had arrived, or the publication is gone
			if c = r.wire.next(); string(c.Body()) != "<two/>" {
				t.Fatalf("body %q", c.Body())
			}
			c.answer(500, "")
			expectStatus(t, p.failed(), 500)
		})
	})
}

func TestPublisherInTurn(t *testing.T) {
	t.Run("PUB-017 a second PUBLISH waits for the answer to the first and uses its tag", func(t *testing.T) {
		withPublisher(t, func(t *testing.T, r *publisherRig) {
			first := r.publish("<one/>")
			c := r.wire.next()
			second := r.publish("<two/>")
			pass(20 * time.Second)
			r.wire.silent()
			second.waits()
			c.answer(200, "", "SIP-ETag: a", "Expires: 60")
			first.ok()
			c = r.wire.next()
			c.wants("SIP-If-Match", "a")
			c.answer(200, "", "SIP-ETag: b", "Expires: 60")
			second.ok()
		})
	})
	t.Run("PUB-017 a caller that gives up does not end the PUBLISH it began", func(t *testing.T) {
		withPublisher(t, func(t *testing.T, r *publisherRig) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if _, err := r.Publish(ctx, pidf("<one/>")); !errors.Is(err, context.DeadlineExceeded) {
				t.Fatal(err)
			}
			c := r.wire.next()
			second := r.publish("<two/>")
			r.wire.silent()
			if _, err := r.Publish(ctx, pidf("<three/>")); !errors.Is(err, context.DeadlineExceeded) {
				t.Fatal(err) // and did not get its turn
			}
			c.answer(200, "", "SIP-ETag: a", "Expires: 60")
			c = r.wire.next()
			c.wants("SIP-If-Match", "a")
			c.answer(200, "", "SIP-ETag: b", "Expires: 60")
			second.ok()
			r.wire.silent()
		})
	})
	t.Run("PUB-017 PUB-016 publishers of one user agent take turns for a Request-URI", func(t *testing.T) {
		turns := &event.Turns{}
		cfg := publishing()
		cfg.Turns = turns
		withPublisherConfig(t, cfg, func(t *testing.T, r *publisherRig) {
			cfg := publishing()
			cfg.Turns, cfg.Event.Package, cfg.Resource = &event.Turns{}, "dialog", "sip:bob@EXAMPLE.com"
			stranger := newPublisherRig(t, r.wire, cfg)
			cfg.Turns = turns
			other := newPublisherRig(t, r.wire, cfg)
			cfg.Resource = "sip:carol@example.com"
			elsewhere := newPublisherRig(t, r.wire, cfg)
			r.publish("<one/>")
			c := r.wire.next()
			waiting := other.publish("<two/>")
			r.wire.silent()
			elsewhere.publish("<three/>")
			r.wire.next()
			stranger.publish("<four/>")
			r.wire.next()
			c.answer(503, "", "Retry-After: 5")
			var later *event.RetryLaterError
			if err := waiting.failed(); !errors.As(err, &later) {
				t.Fatal(err)
			}
			r.wire.silent()
		})
	})
}

func TestPublisherAuthenticates(t *testing.T) {
	cfg := publishing()
	cfg.Authenticate = credentials
	withPublisherConfig(t, cfg, func(t *testing.T, r *publisherRig) {
		p := r.publish("<one/>")
		c := r.wire.next()
		c.answer(401, "", `WWW-Authenticate: Digest realm="r", nonce="n"`)
		again := r.wire.next()
		again.wants("Authorization", `Digest realm="r"`)
		if again.seq() != c.seq()+1 || again.one("Call-ID") != c.one("Call-ID") || string(again.Body()) != "<one/>" {
			t.Fatalf("not the same request:\n%s", again.Request)
		}
		again.answer(407, "")
		err := p.failed()
		expectStatus(t, err, 407)
		if !errors.Is(err, errNoChallenge) {
			t.Fatalf("%v does not tell why the challenge was not answered", err)
		}
		r.wire.silent()
	})
}
