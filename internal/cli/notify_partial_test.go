package cli

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"imp/internal/cli/kit"
	"imp/internal/doc/pidf"
	"imp/internal/doc/pidfdiff"
	"imp/internal/sip/header"
	"imp/internal/sip/stack"
)

func TestPartialNotifications(t *testing.T) {
	const space = ` xmlns="urn:ietf:params:xml:ns:pidf" xmlns:p="urn:ietf:params:xml:ns:pidf-diff" entity="sip:alice@lab.test"`
	tuple := func(basic string) string {
		return `<tuple id="t"><status><basic>` + basic + `</basic></status></tuple>`
	}
	full := func(version int, basic string) string {
		return fmt.Sprintf(`<p:pidf-full%s version="%d">%s</p:pidf-full>`, space, version, tuple(basic))
	}
	diff := func(version int, basic string) string {
		return fmt.Sprintf(`<p:pidf-diff%s version="%d"><p:replace sel="*/tuple[@id='t']/status/basic/text()">%s</p:replace></p:pidf-diff>`, space, version, basic)
	}
	streams, _, _ := kit.Recorded("", t.TempDir())
	s := &shower{kit: kit.New(streams)}
	take := func(name, dialog, mediaType, body, update, basic string, missed bool) {
		t.Run(name, func(t *testing.T) {
			e := &notifyEvent{Resource: "sip:alice@lab.test", BodyType: mediaType, body: []byte(body)}
			if err := s.compose(e, dialog); err != nil {
				t.Fatal(err)
			}
			if e.Update != update || e.missed != missed || (e.presence != nil) != (basic != "") {
				t.Fatalf("update %q, missed %v, document %v", e.Update, e.missed, e.presence)
			}
			if basic == "" {
				return
			}
			if got := e.Fact("basic"); len(got) == 0 || got[0] != basic || !strings.Contains(string(e.XML()), "<presence ") || string(e.Raw()) != body {
				t.Errorf("basic %q, XML %s, raw %s", got, e.XML(), e.Raw())
			}
		})
	}
	const of = pidfdiff.MediaType
	take("PAR-017 changes of nothing are fetched again", "a", of, diff(1, "open"), updateLost, "", true)
	take("PAR-016 the first version sets the count", "a", of, full(7, "closed"), updateFull, "closed", false)
	take("PAR-020 the next is applied", "a", of, diff(8, "open"), updatePartial, "open", false)
	take("PAR-018 an old one is left out", "a", of, diff(8, "closed"), updateDiscarded, "", false)
	take("PAR-021 a gap is fetched again", "a", of, diff(10, "closed"), updateLost, "", true)
	take("PAR-019 a full state mends it", "a", of, full(11, "open"), updateFull, "open", false)
	take("PAR-022 what cannot be applied is fetched again", "a", of, strings.Replace(diff(12, "x"), "'t'", "'u'", 1), updateLost, "", true)
	take("PAR-022 what cannot be read is fetched again", "a", of, "<p:pidf-diff", updateLost, "", true)
	take("PAR-020 the one before is what is known", "a", of, diff(12, "closed"), updatePartial, "closed", false)
	take("PAR-023 PAR-024 a whole document in between drops it", "a", pidf.MediaType, `<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="sip:alice@lab.test">`+tuple("open")+`</presence>`, "", "", false)
	take("PAR-023 and the count goes on", "a", of, full(12, "open"), updateDiscarded, "", false)
	take("PAR-023 with the next number", "a", of, full(13, "open"), updateFull, "open", false)
	take("PAR-016 another subscription counts anew", "b", of, full(1, "closed"), updateFull, "closed", false)
}

// TestPartialPublicationRefused publishes at a server that knows whole documents only.
func TestPartialPublicationRefused(t *testing.T) {
	var mu sync.Mutex
	var got []string
	srv := stack.New(stack.Config{})
	t.Cleanup(func() { srv.Close() })
	srv.Handle("PUBLISH", func(_ context.Context, r *stack.Request) *stack.Response {
		mu.Lock()
		defer mu.Unlock()
		kind, _, _ := header.Single(r.Request, "Content-Type")
		got = append(got, kind)
		if kind != pidf.MediaType {
			return stack.Answer(415, stack.Field{Name: "Accept", Value: pidf.MediaType})
		}
		return stack.Answer(200, stack.Field{Name: "SIP-ETag", Value: "a"}, stack.Field{Name: "Expires", Value: "60"})
	})
	if err := srv.Listen(t.Context(), stack.Endpoint{Transport: "tcp", Addr: "127.0.0.1:0"}); err != nil {
		t.Fatal(err)
	}
	t.Run("PAR-037 415 to a partial publication is followed by a whole document", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "a.xml")
		doc := `<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="sip:alice@lab.test"><tuple id="t"><status><basic>open</basic></status></tuple></presence>`
		if err := os.WriteFile(file, []byte(doc), 0o600); err != nil {
			t.Fatal(err)
		}
		status, out, errs := typed(t, "publish", "--partial", "--from", "sip:alice@lab.test", "--proxy", "tcp:"+srv.Addrs()[0].Addr, "-o", "json", file)
		mu.Lock()
		defer mu.Unlock()
		if status != 0 || !strings.Contains(out, `"update":"whole"`) || !strings.Contains(errs, "whole documents only") || strings.Join(got, " ") != pidfdiff.MediaType+" "+pidf.MediaType {
			t.Errorf("status %d, %s, %s, sent %q", status, out, errs, got)
		}
	})
}
