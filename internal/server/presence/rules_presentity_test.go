package presence

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

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

// late is a store whose watches tell of documents only what there is when they
// begin.
type late struct{ store.KV }

func (l late) Watch(ctx context.Context, prefix string) (<-chan store.Event, error) {
	all, err := l.KV.Watch(ctx, prefix)
	if err != nil || prefix == "pub" {
		return all, err
	}
	begin := make(chan store.Event)
	go func() {
		defer close(begin)
		synced := false
		for e := range all {
			if !synced {
				begin <- e
			}
			synced = synced || e.Kind == store.Synced
		}
	}()
	return begin, nil
}

func TestNothingIsToldByRulesOfBefore(t *testing.T) {
	ruledBy(t, Allow, func(kv store.KV) store.KV { return late{kv} }, func(s *ruledSite) {
		s.rules(rule("r", isBob, "allow", persons))
		s.publish("one", at("meeting", "happy", ""))
		w := s.watch(bob)
		w.told("active meeting")
		s.rules(rule("r", isBob, "polite-block", ""))
		s.publish("one", at("away", "happy", ""))
		w.told("active closed !away")
		s.rules(rule("r", isBob, "confirm", ""))
		s.publish("one", at("sleeping", "happy", ""))
		w.told("pending")
		s.rules()
		s.publish("one", at("working", "happy", ""))
		w.told("active working")
		s.rules(rule("r", isBob, "block", ""))
		s.publish("one", at("dinner", "happy", ""))
		w.told("terminated:rejected")
	})
}

// scanned counts how often a store is read through.
type scanned struct {
	store.KV
	times atomic.Int32
}

func (s *scanned) Scan(ctx context.Context, prefix string) iter.Seq2[store.Entry, error] {
	s.times.Add(1)
	return s.KV.Scan(ctx, prefix)
}

func TestManyWhoWaitAreJudgedTogether(t *testing.T) {
	var seen *scanned
	ruledBy(t, Confirm, func(kv store.KV) store.KV {
		seen = &scanned{KV: kv}
		return seen
	}, func(s *ruledSite) {
		for i := range 50 {
			s.watch(fmt.Sprintf("sip:w%d@example.com", i)).sub.Close()
		}
		synctest.Wait()
		before := seen.times.Load()
		s.rules(rule("r", "", "confirm", ""))
		if n := seen.times.Load() - before; n == 0 || n > 10 {
			t.Errorf("the store was read %d times for 50 who wait", n)
		}
	})
}

func TestNobodyIsLetInByRulesOfBefore(t *testing.T) {
	ruledBy(t, Allow, func(kv store.KV) store.KV { return late{kv} }, func(s *ruledSite) {
		s.rules(rule("r", isBob, "allow", persons))
		s.publish("one", at("meeting", "happy", ""))
		s.watch(bob).told("active meeting")
		s.rules(rule("r", isBob, "polite-block", ""))
		s.watch(bob).told("active closed !meeting")
	})
}

// TestBoundsOfPeriods: however near to each other periods end, the clock is looked at ten times a second at most.
func TestBoundsOfPeriods(t *testing.T) {
	ruled1(t, Allow, func(s *ruledSite) {
		until := time.Now().Add(time.Millisecond).UTC().Format(time.RFC3339Nano)
		s.rules(rule("r", isBob+`<validity><from>2000-01-01T00:00:00Z</from><until>`+until+`</until></validity>`, "allow", persons))
		w := s.watch(bob)
		w.told("active closed")
		time.Sleep(leastWait / 2)
		w.told()
		time.Sleep(leastWait)
		w.told("terminated:rejected")
	})
}
