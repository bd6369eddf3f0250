package registration_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"imp/internal/sip/header"
	"imp/internal/sip/registration"
	"imp/internal/sip/stack"
	"imp/internal/sip/uac"
)

func TestRegister(t *testing.T) {
	t.Run("NAM-064 REGISTER offers path and outbound, with instance and reg-id", func(t *testing.T) {
		with(t, config(), func(t *testing.T, r *rig) {
			p := r.register()
			c := r.wire.Next()
			if got := c.Recipient.String(); got != "sip:example.com" {
				t.Errorf("Request-URI %s", got)
			}
			c.Wants("Supported", "path, outbound, gruu")
			c.Wants("To", "<sip:alice@example.com>")
			c.Wants("Expires", "3600")
			if from := c.Address("From"); from.URI != "sip:alice@example.com" || from.Tag() == "" || from.Display != "Alice" {
				t.Errorf("From %v", from)
			}
			has(t, c, "+sip.instance", "<"+instance+">")
			has(t, c, "reg-id", "1")
			if got := c.Address("Contact").URI; got != "sip:alice@192.0.2.1:5060;transport=tcp" {
				t.Errorf("Contact %s", got)
			}
			granting(c, ";expires=600", outbound)
			got := p.ok()
			if len(got) != 1 || got[0].Expires != 10*time.Minute || !got[0].Outbound || len(got[0].Bindings) != 1 {
				t.Errorf("%+v", got)
			}
		})
	})
	t.Run("without outbound there is an instance and no reg-id", func(t *testing.T) {
		cfg := config()
		cfg.NoOutbound = true
		with(t, cfg, func(t *testing.T, r *rig) {
			r.register()
			c := r.wire.Next()
			c.Wants("Supported", "path, gruu")
			has(t, c, "reg-id", "")
			has(t, c, "+sip.instance", "<"+instance+">")
		})
	})
	t.Run("NAM-063 the instance is the same after a restart", func(t *testing.T) {
		var seen []string
		for range 2 {
			with(t, config(), func(t *testing.T, r *rig) {
				r.register()
				v, _ := r.wire.Next().Address("Contact").Params.Get("+sip.instance")
				seen = append(seen, v)
			})
		}
		if seen[0] == "" || seen[0] != seen[1] {
			t.Errorf("instances %q", seen)
		}
	})
	t.Run("a short time is raised after 423", func(t *testing.T) {
		with(t, config(), func(t *testing.T, r *rig) {
			p := r.register()
			first := r.wire.Next()
			first.Answer(423, "Min-Expires: 7200")
			c := r.wire.Next()
			c.Wants("Expires", "7200")
			if c.Seq() != first.Seq()+1 || c.One("Call-ID") != first.One("Call-ID") {
				t.Error("the second REGISTER is not the next of its Call-ID")
			}
			granting(c, "")
			if got := p.ok(); got[0].Expires != 2*time.Hour {
				t.Errorf("%+v", got)
			}
		})
	})
	t.Run("a challenge is answered", func(t *testing.T) {
		cfg := config()
		cfg.Authenticate = authorize
		with(t, cfg, func(t *testing.T, r *rig) {
			p := r.register()
			r.wire.Next().Answer(401)
			c := r.wire.Next()
			c.Wants("Authorization", "Digest x")
			if c.Seq() != 2 {
				t.Errorf("CSeq %d", c.Seq())
			}
			granting(c, "")
			p.ok()
		})
	})
	t.Run("a refusal is told", func(t *testing.T) {
		with(t, config(), func(t *testing.T, r *rig) {
			p := r.register()
			r.wire.Next().Answer(403)
			var refused *uac.ResponseError
			if err := p.failed(); !errors.As(err, &refused) || refused.Status != 403 {
				t.Error(err)
			}
		})
	})
	t.Run("NAM-066 after 439 it registers without outbound", func(t *testing.T) {
		with(t, config(), func(t *testing.T, r *rig) {
			p := r.register()
			r.wire.Next().Answer(439)
			c := r.wire.Next()
			c.Wants("Supported", "path, gruu")
			has(t, c, "reg-id", "")
			has(t, c, "+sip.instance", "<"+instance+">")
			c.Answer(439)
			if err := p.failed(); !strings.Contains(err.Error(), "439") {
				t.Error(err)
			}
		})
	})
}

// authorize answers every challenge.
var authorize uac.Authenticator = func(_ *sipResponse, o *stack.Outgoing) (*stack.Outgoing, error) {
	again := *o
	again.Head = append(slices.Clip(o.Head), "Authorization: Digest x\r\n"...)
	return &again, nil
}

func TestForeignContact(t *testing.T) {
	t.Run("NAM-081 the address of record is no Contact of itself, nor is a GRUU of it", func(t *testing.T) {
		for _, contact := range []string{"sip:alice@example.com", "sip:%61lice@EXAMPLE.com", "sip:alice@example.com;gr=urn:uuid:1"} {
			cfg := config()
			cfg.Foreign = contact
			if _, err := registration.New(cfg); err == nil {
				t.Errorf("%s is registered", contact)
			}
		}
		cfg := config()
		cfg.Foreign = "sip:alice@other.example"
		if _, err := registration.New(cfg); err != nil {
			t.Error(err)
		}
	})
	t.Run("NAM-086 neither reg-id nor instance for another user agent, nor with *", func(t *testing.T) {
		cfg := config()
		cfg.Foreign = "sip:alice@192.0.2.77"
		with(t, cfg, func(t *testing.T, r *rig) {
			p := r.register()
			c := r.wire.Next()
			c.Wants("Contact", "<sip:alice@192.0.2.77>")
			c.Wants("Supported", "path")
			granting(c, "")
			p.ok()
		})
		with(t, config(), func(t *testing.T, r *rig) {
			p := r.start(func(ctx context.Context, a *answered) { a.err = r.RemoveAll(ctx) })
			c := r.wire.Next()
			c.Wants("Contact", "*")
			c.Wants("Expires", "0")
			c.Answer(200)
			p.ok()
		})
	})
}

func TestCorrectedContact(t *testing.T) {
	cfg := config()
	cfg.Proxies[0].Transport = "udp"
	cfg.Contact = func(stack.Target) string { return "sip:alice@10.0.0.1:5062" }
	const via = "SIP/2.0/UDP 10.0.0.1:5062"
	seen := "Via: " + via + ";branch=z9hG4bKx;received=198.51.100.7;rport=40001"
	t.Run("the Contact becomes the address that the registrar sees", func(t *testing.T) {
		withVia(t, via, cfg, func(t *testing.T, r *rig) {
			p := r.register()
			granting(r.wire.Next(), "", seen)
			c := r.wire.Next()
			contacts := header.List(c.Request, "Contact")
			if len(contacts) != 2 || !strings.HasPrefix(contacts[0], "<sip:alice@198.51.100.7:40001>") || contacts[1] != "<sip:alice@10.0.0.1:5062>;expires=0" {
				t.Fatalf("%q", contacts)
			}
			c.Answer(200, "Contact: "+contacts[0], seen)
			if got := p.ok(); got[0].Contact != "sip:alice@198.51.100.7:40001" {
				t.Errorf("%+v", got)
			}
			r.run()
			time.Sleep(25 * time.Second) // nothing else holds the translator's binding
			c = r.wire.Next()
			if !strings.HasPrefix(c.One("Contact"), "<sip:alice@198.51.100.7:40001>") {
				t.Error(c.One("Contact"))
			}
		})
	})
	t.Run("with outbound the old one is replaced by its reg-id", func(t *testing.T) {
		withVia(t, via, cfg, func(t *testing.T, r *rig) {
			p := r.register()
			granting(r.wire.Next(), "", seen, outbound)
			c := r.wire.Next()
			if got := c.Address("Contact").URI; got != "sip:alice@198.51.100.7:40001" {
				t.Errorf("Contact %s", got)
			}
			granting(c, "", seen, outbound)
			p.ok()
		})
	})
	t.Run("where nothing differs nothing is sent again", func(t *testing.T) {
		withVia(t, via, cfg, func(t *testing.T, r *rig) {
			p := r.register()
			granting(r.wire.Next(), "", "Via: "+via+";branch=z9hG4bKx;received=10.0.0.1;rport=5062")
			p.ok()
			r.wire.Silent()
		})
	})
}

func TestRemove(t *testing.T) {
	t.Run("what was registered is removed with the same instance and reg-id", func(t *testing.T) {
		with(t, config(), func(t *testing.T, r *rig) {
			p := r.register()
			first := r.wire.Next()
			granting(first, "", outbound)
			p.ok()
			p = r.remove()
			c := r.wire.Next()
			c.Wants("Expires", "0")
			c.Wants("Contact", first.One("Contact"))
			c.Wants("Call-ID", first.One("Call-ID"))
			c.Answer(200)
			p.ok()
		})
	})
	t.Run("without that what the instance has is looked for", func(t *testing.T) {
		with(t, config(), func(t *testing.T, r *rig) {
			p := r.remove()
			c := r.wire.Next()
			c.None("Contact", "Expires")
			c.Answer(200, `Contact: <sip:alice@192.0.2.1:9999>;+sip.instance="<`+instance+`>";expires=9, <sip:alice@192.0.2.5>;q=0.3`)
			c = r.wire.Next()
			c.Wants("Contact", "<sip:alice@192.0.2.1:9999>;expires=0")
			c.Answer(200)
			p.ok()
			p = r.remove()
			r.wire.Next().Answer(200, "Contact: <sip:alice@192.0.2.5>;q=0.3")
			if err := p.failed(); !errors.Is(err, registration.ErrNotRegistered) {
				t.Error(err)
			}
		})
	})
}

func TestQuery(t *testing.T) {
	with(t, config(), func(t *testing.T, r *rig) {
		p := r.start(func(ctx context.Context, a *answered) { a.all, a.err = r.Query(ctx) })
		c := r.wire.Next()
		c.None("Contact", "Expires")
		c.Answer(200, `Contact: "A b" <sip:a@192.0.2.1;x=1>;q=0.5;expires=30;reg-id=2;+sip.instance="<urn:uuid:1>", <sip:b@192.0.2.2>`)
		p.ok()
		want := []registration.Binding{
			{URI: "sip:a@192.0.2.1;x=1", Q: "0.5", Expires: 30 * time.Second, RegID: 2, Instance: "urn:uuid:1"},
			{URI: "sip:b@192.0.2.2", Expires: -1},
		}
		if !slices.Equal(p.all, want) {
			t.Errorf("%+v", p.all)
		}
	})
}

func TestGRUU(t *testing.T) {
	const public, temporary = "sip:alice@example.com;gr=urn:uuid:X", "sip:t%67.7hjK=/@example.com;gr"
	gruus := func(temporary string) string {
		return `;expires=600;pub-gruu="` + public + `";temp-gruu="` + temporary + `"`
	}
	t.Run("NAM-080 the GRUUs of the answer are taken unchanged", func(t *testing.T) {
		with(t, config(), func(t *testing.T, r *rig) {
			p := r.register()
			c := r.wire.Next()
			if !strings.Contains(c.One("Supported"), "gruu") {
				t.Error("gruu is not offered")
			}
			granting(c, gruus(temporary))
			p.ok()
			if a, b := r.GRUU(); a != public || b != temporary {
				t.Errorf("%q, %q", a, b)
			}
		})
	})
	t.Run("NAM-083 they are told while the registration lives", func(t *testing.T) {
		with(t, config(), func(t *testing.T, r *rig) {
			if a, b := r.GRUU(); a+b != "" {
				t.Errorf("before: %q, %q", a, b)
			}
			p := r.register()
			granting(r.wire.Next(), gruus(temporary))
			p.ok()
			time.Sleep(599 * time.Second)
			if a, _ := r.GRUU(); a != public {
				t.Errorf("gone too early: %q", a)
			}
			time.Sleep(2 * time.Second)
			if a, b := r.GRUU(); a+b != "" {
				t.Errorf("after it ran out: %q, %q", a, b)
			}
			p = r.register()
			granting(r.wire.Next(), gruus(temporary))
			p.ok()
			p = r.remove()
			r.wire.Next().Answer(200)
			p.ok()
			if a, b := r.GRUU(); a+b != "" {
				t.Errorf("after removal: %q, %q", a, b)
			}
		})
	})
	t.Run("NAM-089 renewals keep the Call-ID and take the newest temporary one", func(t *testing.T) {
		with(t, config(), func(t *testing.T, r *rig) {
			p := r.register()
			first := r.wire.Next()
			granting(first, gruus("sip:one@example.com;gr"))
			p.ok()
			p = r.register()
			c := r.wire.Next()
			c.Wants("Call-ID", first.One("Call-ID"))
			granting(c, gruus("sip:two@example.com;gr"))
			p.ok()
			if _, b := r.GRUU(); b != "sip:two@example.com;gr" {
				t.Errorf("%q", b)
			}
			synctest.Wait()
		})
	})
}
