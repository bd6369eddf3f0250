package event

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestPageOfSubscriptions(t *testing.T) {
	run(t, func(r *rig) {
		for _, user := range []string{"alice", "bob", "carol"} {
			for range 40 {
				r.watch(user, "Event: notes")
			}
		}
		all, more := r.Page("", "", 1000)
		if len(all) != 120 || more || !slices.IsSortedFunc(all, func(a, b Info) int { return strings.Compare(a.ID, b.ID) }) {
			t.Fatalf("%d subscriptions, more %v", len(all), more)
		}
		var paged []Info
		for after := ""; ; {
			page, more := r.Page("", after, 7)
			paged = append(paged, page...)
			if len(page) > 7 || more != (len(paged) < 120) {
				t.Fatalf("%d in a page, %d so far, more %v", len(page), len(paged), more)
			}
			if !more {
				break
			}
			after = page[len(page)-1].ID
		}
		if !slices.Equal(paged, all) {
			t.Error("the pages are not the whole")
		}
		bobs, more := r.Page("sip:bob@example.com", "", 39)
		if len(bobs) != 39 || !more || slices.ContainsFunc(bobs, func(i Info) bool { return i.Resource != "sip:bob@example.com" }) {
			t.Errorf("%d of bob, more %v", len(bobs), more)
		}
		if none, more := r.Page("", "~", 7); len(none) > 0 || more {
			t.Errorf("after the end: %d, more %v", len(none), more)
		}
	})
}

func TestPageOfPublications(t *testing.T) {
	open(t, func(o *office) {
		ctx := context.Background()
		tags := map[string]bool{}
		for i := range 30 {
			tags[o.published(fmt.Sprintf("user%d", i%3), "x")] = true
		}
		seen, after := 0, ""
		for more := true; more; {
			var page []Listed
			var err error
			if page, more, err = o.Page(ctx, "", after, 4); err != nil || len(page) > 4 {
				t.Fatalf("%d, %v", len(page), err)
			}
			for _, p := range page {
				if !tags[p.Tag()] || p.Event != "notes" || p.Key <= after || string(p.Body) != "x" {
					t.Errorf("%+v", p)
				}
				seen++
				after = p.Key
			}
		}
		if n, err := o.Count(ctx); seen != 30 || n != 30 || err != nil {
			t.Errorf("%d listed, %d counted, %v", seen, n, err)
		}
		mine, more, err := o.Page(ctx, "sip:user1@example.com", "", 9)
		if len(mine) != 9 || !more || err != nil {
			t.Errorf("%d of one, more %v, %v", len(mine), more, err)
		}
		for _, p := range mine {
			if p.Resource != "sip:user1@example.com" {
				t.Errorf("%s", p.Resource)
			}
		}
	})
}
