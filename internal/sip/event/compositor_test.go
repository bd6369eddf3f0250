package event

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"imp/internal/sip/header"
	"imp/internal/sip/stack"
	"imp/internal/store"
)

// publishTests runs each case in an office of its own.
type publishTests []struct {
	name string
	f    func(*testing.T, *office)
}

func (ts publishTests) run(t *testing.T) {
	for _, tt := range ts {
		t.Run(tt.name, func(t *testing.T) { open(t, func(o *office) { tt.f(o.t, o) }) })
	}
}

// TestPublishSteps: RFC 3903 section 6, in the order of its steps.
func TestPublishSteps(t *testing.T) {
	publishTests{
		{"PUB-028 an unknown resource is 404", func(t *testing.T, o *office) {
			want(t, o.publishEvent("nosuch", "nobody", "x", "unknown"), 404)
		}},
		{"PUB-029 no Event, or one that is not here, is 489", func(t *testing.T, o *office) {
			want(t, o.publishEvent("", "alice", "x", "unknown"), 489, "Allow-Events", "notes, memos")
			want(t, o.publishEvent("nosuch", "alice", "x", "unknown"), 489, "Allow-Events", "notes, memos")
			want(t, o.publishEvent("Notes", "alice", "x", ""), 489)
			o.holds("alice")
		}},
		{"PUB-058 a template package takes no publications", func(t *testing.T, o *office) {
			want(t, o.publishEvent("notes.winfo", "alice", "x", ""), 489)
		}},
		{"PUB-031 SIP-If-Match without exactly one tag is 400", func(t *testing.T, o *office) {
			tag := o.published("alice", "x")
			for _, bad := range []string{tag + ", b", " ", "*,", `"` + tag + `"`, tag + ";a=b"} {
				want(t, o.publish("alice", "y", "", "SIP-If-Match: "+bad), 400)
			}
			want(t, o.publish("alice", "y", tag, "SIP-If-Match: "+tag), 400)
			o.holds("alice", "x")
		}},
		{"PUB-032 a tag that is not current here is 412", func(t *testing.T, o *office) {
			tag := o.published("alice", "x")
			for _, other := range []string{"*", "x", tag + "0", strings.ToUpper(tag), "x" + tag, tag[:publicationIDLen], tag[:publicationIDLen] + "-1", tag[:publicationIDLen] + "-00"} {
				want(t, o.publish("alice", "y", other), 412)
			}
			want(t, o.publish("bob", "y", tag), 412)
			want(t, o.publishEvent("memos", "alice", "y", tag), 412)
			next := fieldOf(o.publish("alice", "", tag), "SIP-ETag")
			want(t, o.publish("alice", "y", tag), 412)
			o.holds("alice", "x")
			want(t, o.publish("alice", "", next, "Expires: 60"), 200)
			time.Sleep(time.Minute)
			want(t, o.publish("alice", "y", next), 412)
		}},
		{"PUB-032 the tag is judged before duration and body", func(t *testing.T, o *office) {
			want(t, o.publish("alice", "bad", "unknown", "Expires: 1", "Content-Type: image/png"), 412)
		}},
		{"PUB-034 too brief is 423, judged before the body", func(t *testing.T, o *office) {
			want(t, o.publish("alice", "bad", "", "Expires: 5"), 423, "Min-Expires", "60")
			o.holds("alice")
		}},
		{"PUB-036 a type that is not understood is 415", func(t *testing.T, o *office) {
			want(t, o.publish("alice", "x", "", "Content-Type: text/html"), 415, "Accept", "text/plain")
			untyped := newPeer(t, "PUBLISH", "alice").request("x", "Event: notes")
			want(t, respond(o.Publish, untyped), 415, "Accept", "text/plain")
			o.holds("alice")
		}},
		{"PUB-037 neither body nor tag is 400", func(t *testing.T, o *office) {
			want(t, o.publish("alice", "", ""), 400)
			want(t, o.publish("alice", "", "", "Expires: 0"), 400)
		}},
		{"PUB-040 a body that is not valid is 400 with its place", func(t *testing.T, o *office) {
			tag := o.published("alice", "x")
			for _, tag := range []string{"", tag} {
				res := o.publish("alice", "so bad", tag)
				want(t, res, 400)
				w, err := header.ParseWarning(fieldOf(res, "Warning"))
				if err != nil || w.Code != 399 || w.Agent != "imp" || w.Text != "1:5: the word bad is not allowed" {
					t.Fatalf("Warning is %q: %v", fieldOf(res, "Warning"), err)
				}
			}
			o.holds("alice", "x")
			want(t, o.publish("alice", "y", tag), 200)
		}},
		{"an Expires that is no number is 400", func(t *testing.T, o *office) {
			want(t, o.publish("alice", "x", "", "Expires: soon"), 400)
			want(t, o.publish("alice", "x", "", "Expires: 100", "Expires: 200"), 400)
			o.holds("alice")
		}},
	}.run(t)
}

// TestPublisher: who may publish comes before what.
func TestPublisher(t *testing.T) {
	t.Run("PUB-027 who publishes is asked before anything else", func(t *testing.T) {
		openWith(t, func(c *CompositorConfig, _ *notes) {
			c.Identify = func(r *stack.Request) (string, *stack.Response) { return "", stack.Answer(401) }
		}, func(o *office) {
			want(o.t, o.publishEvent("nosuch", "nobody", "bad", "unknown"), 401)
			want(o.t, o.publish("alice", "x", ""), 401)
			o.holds("alice")
		})
	})
	t.Run("PUB-052 who may not publish for a resource is 403", func(t *testing.T) {
		openWith(t, func(c *CompositorConfig, _ *notes) {
			c.Authorize = func(publisher, resource string) bool {
				return publisher == "sip:watcher@example.com" && resource == bob
			}
		}, func(o *office) {
			want(o.t, o.publish("alice", "bad", "unknown"), 403)
			want(o.t, o.publish("bob", "x", ""), 200)
			o.holds("alice")
		})
	})
	t.Run("PUB-029 the packages listed may be more than those published to", func(t *testing.T) {
		openWith(t, func(c *CompositorConfig, _ *notes) { c.AllowEvents = []string{"notes", "notes.winfo"} }, func(o *office) {
			want(o.t, o.publishEvent("notes.winfo", "alice", "x", ""), 489, "Allow-Events", "notes, notes.winfo")
		})
	})
}

func TestPublishDuration(t *testing.T) {
	for _, tt := range []struct {
		name               string
		least, most, usual time.Duration
		asked              string
		status             int
		expires            string // Expires of a 200, Min-Expires of a 423
	}{
		{"PUB-033 what is asked for is granted", 0, 0, 0, "Expires: 100", 200, "100"},
		{"PUB-033 a huge duration is shortened", 0, 0, 0, "Expires: 1000000000", 200, "3600"},
		{"PUB-033 the maximum shortens", 0, 90 * time.Second, 0, "Expires: 100", 200, "90"},
		{"PUB-033 without Expires it is the package's", 0, 0, 100 * time.Second, "X: y", 200, "100"},
		{"PUB-034 less than the minimum is 423", 0, 0, 0, "Expires: 59", 423, "60"},
		{"PUB-034 zero is never too brief", 0, 0, 0, "Expires: 0", 200, "0"},
		{"PUB-035 the minimum may be more than an hour", 2 * time.Hour, 3 * time.Hour, 0, "Expires: 3600", 423, "7200"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			openWith(t, func(_ *CompositorConfig, n *notes) {
				n.defaults = Defaults{MinExpires: tt.least, MaxExpires: tt.most, Expires: tt.usual}
			}, func(o *office) {
				field := "Expires"
				if tt.status == 423 {
					field = "Min-Expires"
				}
				want(o.t, o.publish("alice", "x", "", tt.asked), tt.status, field, tt.expires)
				if tt.status == 423 || tt.expires == "0" {
					o.holds("alice")
					return
				}
				o.holds("alice", "x")
				lifetime, _ := time.ParseDuration(tt.expires + "s")
				time.Sleep(lifetime - 1)
				o.holds("alice", "x")
				time.Sleep(time.Nanosecond)
				o.holds("alice")
			})
		})
	}
}

func TestPublish(t *testing.T) {
	publishTests{
		{"PUB-026 a modification may come with another Call-ID", func(t *testing.T, o *office) {
			want(t, o.publish("alice", "y", o.published("alice", "x")), 200)
			o.holds("alice", "y")
		}},
		{"PUB-030 each initial publication has a tag of its own", func(t *testing.T, o *office) {
			if a, b := o.published("alice", "x"), o.published("alice", "x"); a == b || a == "" {
				t.Fatalf("tags %q and %q", a, b)
			}
			o.holds("alice", "x", "x")
		}},
		{"PUB-038 a body replaces the state of the tag alone", func(t *testing.T, o *office) {
			a := o.published("alice", "a")
			o.published("alice", "b")
			want(t, o.publish("alice", "c", a), 200)
			o.holds("alice", "b", "c")
		}},
		{"PUB-038 without a body the state stays as it is", func(t *testing.T, o *office) {
			tag := o.published("alice", "a", "Expires: 60")
			at := o.desk.changes[0].Publication
			time.Sleep(30 * time.Second)
			want(t, o.publish("alice", "", tag, "Expires: 100"), 200, "Expires", "100")
			o.holds("alice", "a")
			now := o.desk.changes[1].Publication
			if now.Type != "text/plain" || !now.Published.Equal(at.Published) || time.Until(now.Expires) != 100*time.Second {
				t.Fatalf("before %+v, after %+v", at, now)
			}
			time.Sleep(99 * time.Second)
			o.holds("alice", "a")
		}},
		{"PUB-039 a duration of zero removes the state at once", func(t *testing.T, o *office) {
			tag := o.published("alice", "a")
			res := o.publish("alice", "", tag, "Expires: 0")
			want(t, res, 200, "Expires", "0")
			o.holds("alice")
			want(t, o.publish("alice", "", tag), 412)
			want(t, o.publish("alice", "", fieldOf(res, "SIP-ETag")), 412)
			tag = o.published("alice", "a")
			want(t, o.publish("alice", "with a body", tag, "Expires: 0"), 200)
			o.holds("alice")
		}},
		{"PUB-039 an initial publication of no duration is not stored", func(t *testing.T, o *office) {
			res := o.publish("alice", "a", "", "Expires: 0")
			want(t, res, 200, "Expires", "0")
			if o.desk.count() != 0 {
				t.Fatal("something was stored")
			}
			want(t, o.publish("alice", "", fieldOf(res, "SIP-ETag")), 412)
		}},
		{"PUB-043 every 200 has one tag and the duration, no body", func(t *testing.T, o *office) {
			tag := ""
			for _, step := range []struct{ body, expires string }{{"initial", "100"}, {"", "200"}, {"modified", "300"}, {"", "0"}} {
				res := o.publish("alice", step.body, tag, "Expires: "+step.expires)
				want(t, res, 200, "Expires", step.expires, "Event", "", "Subscription-State", "")
				count := 0
				for _, f := range res.Fields {
					if f.Name == "SIP-ETag" {
						count++
					}
				}
				if next := fieldOf(res, "SIP-ETag"); count != 1 || next == tag || !header.IsToken(next) {
					t.Fatalf("%d tags, %q after %q", count, next, tag)
				}
				tag = fieldOf(res, "SIP-ETag")
			}
		}},
		{"PUB-047 responses have no body", func(t *testing.T, o *office) {
			for _, body := range []string{"x", "bad"} {
				if res := o.publish("alice", body, ""); len(res.Body) > 0 || res.ContentType != "" {
					t.Fatalf("the %d has a body", res.Status)
				}
			}
		}},
		{"PUB-045 the old tag ends when the new one is given", func(t *testing.T, o *office) {
			first := o.published("alice", "a")
			second := fieldOf(o.publish("alice", "b", first), "SIP-ETag")
			want(t, o.publish("alice", "c", first), 412)
			want(t, o.publish("alice", "d", second), 200)
			o.holds("alice", "d")
		}},
		{"PUB-046 Record-Route and Contact count for nothing", func(t *testing.T, o *office) {
			res := o.publish("alice", "x", "", "Record-Route: <sip:p.example.com;lr>", "Contact: <sip:a@192.0.2.1>, <sip:b@192.0.2.1>")
			want(t, res, 200, "Record-Route", "", "Contact", "")
			if res.RecordRoute || res.ToTag != "" {
				t.Fatal("the 200 looks like one that makes a dialog")
			}
		}},
		{"PUB-048 the end of the duration removes state and tag", func(t *testing.T, o *office) {
			tag := o.published("alice", "a", "Expires: 60")
			o.published("alice", "b")
			time.Sleep(time.Minute)
			o.holds("alice", "b")
			want(t, o.publish("alice", "c", tag), 412)
			last := o.desk.changes[len(o.desk.changes)-1]
			if last.ID != tag[:publicationIDLen] || last.Publication != nil || last.Resource != store.Key(alice) {
				t.Fatalf("the last change is %+v", last)
			}
		}},
		{"PUB-050 the publications of one resource are told of together", func(t *testing.T, o *office) {
			o.published("alice", "a")
			o.published("alice", "b")
			o.published("bob", "c")
			o.holds("alice", "a", "b")
			o.holds("bob", "c")
		}},
		{"PUB-056 what is stored is what came, byte for byte", func(t *testing.T, o *office) {
			var body bytes.Buffer
			for i := range 256 {
				body.WriteByte(byte(i))
			}
			o.published("alice", body.String())
			o.holds("alice", body.String())
		}},
		{"PUB-057 a PUBLISH within a dialog is served", func(t *testing.T, o *office) {
			p := newPeer(t, "PUBLISH", "alice")
			p.toTag = "dialog"
			want(t, respond(o.Publish, p.request("x", "Event: notes", "Content-Type: text/plain")), 200)
		}},
		{"packages do not see one another's publications", func(t *testing.T, o *office) {
			want(t, o.publishEvent("memos", "alice", "x", ""), 200)
			o.holds("alice")
			if pubs, err := o.Publications(context.Background(), "memos", alice); err != nil || len(pubs) != 1 {
				t.Fatal(pubs, err)
			}
		}},
		{"a media type of any length is kept", func(t *testing.T, o *office) {
			p := Publication{ID: newPublicationID(), Type: "text/" + strings.Repeat("x", 300), Body: []byte("body")}
			if _, err := o.store.Put(context.Background(), publicationKey(alice, "notes", p.ID), p.encode(), 0, 0); err != nil {
				t.Fatal(err)
			}
			o.holds("alice", "body")
			if got := o.desk.changes[0].Publication.Type; got != p.Type {
				t.Fatalf("type %q", got)
			}
		}},
	}.run(t)
}

func TestPublishLimit(t *testing.T) {
	t.Run("PUB-055 too many publications are pushed back", func(t *testing.T) {
		openWith(t, func(c *CompositorConfig, _ *notes) { c.MaxPublications = 3 }, func(o *office) {
			t := o.t
			tag := o.published("alice", "1")
			o.published("alice", "2")
			o.published("alice", "3", "Expires: 60")
			want(t, o.publish("alice", "4", ""), 503, "Retry-After", "60")
			want(t, o.publish("bob", "1", ""), 200)
			want(t, o.publishEvent("memos", "alice", "1", ""), 200)
			want(t, o.publish("alice", "5", tag), 200)
			time.Sleep(time.Minute)
			want(t, o.publish("alice", "4", ""), 200)
			o.holds("alice", "2", "4", "5")
		})
	})
}

func TestPublishBytes(t *testing.T) {
	openWith(t, func(c *CompositorConfig, _ *notes) { c.MaxPublications, c.MaxBytes = 10, 2000 }, func(o *office) {
		t := o.t
		long, short := strings.Repeat("x", 1200), strings.Repeat("y", 250)
		want(t, o.publish("alice", long+long, ""), 413)
		tag := o.published("alice", long)
		want(t, o.publish("alice", long, ""), 503, "Retry-After", "60")
		other := o.published("alice", short)
		want(t, o.publish("alice", long, other), 503, "Retry-After", "60")
		want(t, o.publish("alice", long+long, other), 413)
		o.holds("alice", long, short)
		res := o.publish("alice", long+short, tag)
		want(t, res, 200)
		want(t, o.publish("alice", short, fieldOf(res, "SIP-ETag")), 200)
		want(t, o.publish("alice", long, other), 200)
		want(t, o.publish("bob", long, ""), 200)
		o.holds("alice", long, short)
	})
}

// TestPublishTags: many publications, and a compositor that starts anew.
func TestPublishTags(t *testing.T) {
	t.Run("PUB-044 no tag comes twice", func(t *testing.T) {
		openWith(t, func(c *CompositorConfig, _ *notes) { c.MaxPublications = 10_000 }, func(o *office) {
			seen := map[string]bool{}
			again := NewCompositor(CompositorConfig{Store: o.store, Resources: everyone{}, MaxPublications: 10_000}, o.notes)
			publish := func(c *Compositor, body, tag string) string {
				o.Compositor = c
				res := o.publish("alice", body, tag)
				want(o.t, res, 200)
				next := fieldOf(res, "SIP-ETag")
				if seen[next] {
					o.t.Fatalf("tag %s comes again", next)
				}
				seen[next] = true
				return next
			}
			first, tags := o.Compositor, []string{}
			for range 100 {
				tags = append(tags, publish(first, "x", ""))
			}
			for i := range 9_900 {
				c := first
				if i >= 5_000 {
					c = again
				}
				body := ""
				if i%2 == 0 {
					body = fmt.Sprint(i)
				}
				tags[i%100] = publish(c, body, tags[i%100])
			}
			if len(seen) != 10_000 {
				o.t.Fatalf("%d tags", len(seen))
			}
		})
	})
}
