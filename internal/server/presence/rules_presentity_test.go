package presence

import (
	"fmt"
	"strings"
	"testing"

	"imp/internal/store"
)

func TestShownIsBounded(t *testing.T) {
	ruled1(t, Allow, func(s *ruledSite) {
		s.publish("one", `<tuple id="t"><status><basic>open</basic></status><note>`+strings.Repeat("x", 50<<10)+`</note><hidden xmlns="urn:y"/></tuple>`)
		grant := func(i int) string {
			return rule("r", isBob, "allow", services+`<pr:provide-note>true</pr:provide-note>`+fmt.Sprintf(`<pr:provide-unknown-attribute ns="urn:z" name="n%d">true</pr:provide-unknown-attribute>`, i))
		}
		s.rules(grant(0))
		s.watch(bob).told("active open xxx")
		p := s.agent.presentities.find(store.Key("sip:alice@example.com"))
		for i := range 60 {
			s.rules(grant(i + 1))
			size := 0
			for _, one := range p.ruled.shown {
				size += len(one.bytes)
			}
			if size > rememberedBytes+100<<10 {
				t.Fatalf("%d documents of %d bytes after %d changes of the rules", len(p.ruled.shown), size, i+1)
			}
		}
		if len(p.ruled.shown) < 2 {
			t.Fatal("nothing is kept")
		}
	})
}
