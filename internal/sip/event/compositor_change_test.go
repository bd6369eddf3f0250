package event

import (
	"errors"
	"testing"
	"time"

	"imp/internal/store"
)

func TestChangesOfPublications(t *testing.T) {
	const more = "Content-Type: text/x-more"
	t.Run("PAR-041 a change is applied to the publication of the tag", func(t *testing.T) {
		open(t, func(o *office) {
			tag := o.published("alice", "one")
			o.published("alice", "other")
			for _, body := range []string{" two", " three"} {
				res := o.publish("alice", body, tag, more)
				want(t, res, 200)
				if next := fieldOf(res, "SIP-ETag"); next == tag {
					t.Fatal("the tag stays")
				} else {
					tag = next
				}
			}
			o.holds("alice", "one two three", "other")
		})
	})
	t.Run("PAR-042 a change of nothing is 400", func(t *testing.T) {
		open(t, func(o *office) {
			res := o.publish("alice", "two", "", more)
			want(t, res, 400)
			if res.Reason != "Invalid Partial Publication" {
				t.Errorf("reason %q", res.Reason)
			}
			want(t, o.publish("alice", "two", "aaaaaaaaaaaaaaaa-1", more), 412)
			o.holds("alice")
		})
	})
	t.Run("PAR-043 PAR-047 one that cannot be applied, or leads to nothing acceptable, changes nothing", func(t *testing.T) {
		open(t, func(o *office) {
			tag := o.published("alice", "one")
			want(t, o.publish("alice", "worse", tag, more), 400, "Warning", `399 imp "the word worse is not allowed"`)
			want(t, o.publish("alice", "bad", tag, more), 400)
			o.holds("alice", "one")
			want(t, o.publish("alice", " two", tag, more), 200)
			o.holds("alice", "one two")
		})
	})
	t.Run("PAR-044 what the store refuses is rolled back", func(t *testing.T) {
		open(t, func(o *office) {
			tag := o.published("alice", "one")
			o.store.before = fails("put", errors.New("disk"))
			want(t, o.publish("alice", " two", tag, more), 500)
			o.store.before = nil
			o.holds("alice", "one")
			want(t, o.publish("alice", " two", tag, more), 200)
			o.holds("alice", "one two")
		})
	})
	t.Run("PAR-041 a spurious conflict applies it once", func(t *testing.T) {
		open(t, func(o *office) {
			tag := o.published("alice", "one")
			o.store.before = failsOnce("put", store.ErrConflict)
			want(t, o.publish("alice", " two", tag, more), 200)
			o.holds("alice", "one two")
		})
	})
	t.Run("PAR-045 what was changed expires as a whole", func(t *testing.T) {
		open(t, func(o *office) {
			tag := o.published("alice", "one", "Expires: 3600")
			want(t, o.publish("alice", " two", tag, more, "Expires: 60"), 200, "Expires", "60")
			time.Sleep(61 * time.Second)
			o.holds("alice")
		})
	})
	t.Run("the state that comes of a change has a bound", func(t *testing.T) {
		openWith(t, func(c *CompositorConfig, _ *notes) { c.MaxBytes = 10 }, func(o *office) {
			tag := o.published("alice", "123456")
			want(t, o.publish("alice", "7890a", tag, more), 413)
			o.holds("alice", "123456")
			want(t, o.publish("alice", "7890", tag, more), 200)
		})
	})
}
