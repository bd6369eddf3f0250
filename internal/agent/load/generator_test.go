package load

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emiago/sipgo/sip"

	"imp/internal/sip/event"
	"imp/internal/sip/stack"
)

func TestMeasures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, Config{Presentities: users(3), Watchers: 4, Rate: 10, Warmup: time.Second})
		r, err := s.run(t.Context(), 0)
		if err != nil {
			t.Fatal(err)
		}
		if r.Took != 2*time.Second || r.Published != 20 || r.Missed != 0 || len(r.Failed) != 0 || r.Response.Count != 20 {
			t.Errorf("20 PUBLISHes in 2 s: %+v", r)
		}
		if r.Due != 80 || r.Notified() != 80 || r.Skipped != 0 || r.Lost != 0 || r.Ended != 0 {
			t.Errorf("80 notifications: %+v", r)
		}
		if !about(r.Response.P50, 10*time.Millisecond) || r.Response.Max != 10*time.Millisecond {
			t.Errorf("answers after 10 ms: %+v", r.Response)
		}
		if !about(r.Notify.P99, 40*time.Millisecond) || r.Notify.Max != 40*time.Millisecond || r.Notify.Mean != 40*time.Millisecond {
			t.Errorf("NOTIFYs after 40 ms: %+v", r.Notify)
		}
		// 3 to begin, 10 to warm up, 20 measured, 3 to end; 12 times SUBSCRIBE twice.
		if n := len(s.requests); n != 3+10+20+3+24 {
			t.Errorf("%d requests", n)
		}
	})
}

func TestPublishesAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, Config{Presentities: users(10), InFlight: 4})
		r, err := s.run(t.Context(), 0)
		if err != nil {
			t.Fatal(err)
		}
		// Four at a time, each 10 ms, for two seconds.
		if s.top != 4 || r.Published < 796 || r.Published > 804 || r.Due != 0 || r.Notify != (Latency{}) {
			t.Errorf("%d in flight: %+v", s.top, r)
		}
	})
}

func TestEndsAfterCount(t *testing.T) {
	for _, rate := range []float64{0, 100} {
		synctest.Test(t, func(t *testing.T) {
			s := newServer(t, Config{Presentities: users(2), Watchers: 1, Rate: rate, Count: 50, Duration: time.Hour - time.Minute, Warmup: time.Second})
			r, err := s.run(t.Context(), 0)
			if err != nil || r.Published != 50 || r.Due != 50 || r.Lost != 0 {
				t.Errorf("rate %v: %v, %+v", rate, err, r)
			}
			want := 500 * time.Millisecond
			if rate == 0 {
				want = 250 * time.Millisecond // two at a time
			}
			if r.Took != want {
				t.Errorf("rate %v: took %v, want %v", rate, r.Took, want)
			}
		})
	}
}

func TestMissed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, Config{Presentities: users(1), Rate: 10, Warmup: time.Second})
		s.delay = 450 * time.Millisecond
		r, err := s.run(t.Context(), 0)
		if err != nil || r.Published != 4 || r.Missed != 16 {
			t.Errorf("every fifth of 20 can be sent: %v, %+v", err, r)
		}
	})
}

func TestLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, Config{Presentities: users(2), Watchers: 2, Rate: 10})
		// The first of the changes of each publication is what begins it.
		s.tells = func(id string, nth int) bool { return !strings.HasPrefix(id, "w3.") || nth <= 1+7 }
		r, err := s.run(t.Context(), 0)
		if err != nil || r.Due != 40 || r.Notified() != 37 || r.Lost != 3 || r.Skipped != 0 {
			t.Errorf("one watcher of four misses the last 3 of 10: %v, %+v", err, r)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, Config{Presentities: users(1), Watchers: 1, Rate: 10, Warmup: time.Second})
		s.tells = func(string, int) bool { return false }
		r, err := s.run(t.Context(), 0)
		if err != nil || r.Due != 20 || r.Notified() != 0 || r.Lost != 20 || r.Skipped != 0 {
			t.Errorf("all are lost, and only those that are measured count: %v, %+v", err, r)
		}
	})
}

func TestSkipped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, Config{Presentities: users(1), Watchers: 3, Rate: 10})
		s.tells = func(_ string, nth int) bool { return nth%4 == 1 } // the 5th, 9th … 21st
		r, err := s.run(t.Context(), 0)
		if err != nil || r.Due != 60 || r.Notified() != 15 || r.Lost != 0 || r.Skipped != 45 {
			t.Errorf("one of four changes is told: %v, %+v", err, r)
		}
	})
}

func TestToldAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, Config{Presentities: users(1), Watchers: 1, Rate: 10})
		old := ""
		s.tells = func(id string, nth int) bool {
			s.notify(id, s.subscriptions[id], "active;expires=60", old)
			old = s.documents["sip:u0@example.com"]
			return true
		}
		r, err := s.run(t.Context(), 0)
		if err != nil || r.Due != 20 || r.Notified() != 20 || r.Skipped != 0 || r.Notify.Max != 40*time.Millisecond {
			t.Errorf("each document is told twice: %v, %+v", err, r)
		}
	})
}

func TestFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, Config{Presentities: users(1), Watchers: 1, Duration: time.Minute})
		n := 0
		var when []time.Time
		s.answer = func(r *sip.Request) (int, string) {
			if r.Method != sip.PUBLISH || value(r, "Expires") == "0" {
				return 0, ""
			}
			when = append(when, time.Now())
			switch n++; n {
			case 3:
				return 500, ""
			case 5:
				return 503, "Retry-After: 3\r\n"
			case 7:
				delete(s.tags, "sip:u0@example.com")
				return 412, ""
			case 8:
				if value(r, "SIP-If-Match") != "" || len(r.Body()) == 0 {
					t.Errorf("after 412 no new publication was begun: %v", r)
				}
			case 10:
				return -1, ""
			}
			return 0, ""
		}
		r, err := s.run(t.Context(), 0)
		if err != nil {
			t.Fatal(err)
		}
		if r.Failed["500"] != 1 || r.Failed["503"] != 1 || r.Failed["412"] != 1 || r.Failed["no answer"] != 1 || len(r.Failed) != 4 {
			t.Errorf("failures: %v", r.Failed)
		}
		if r.Due != r.Published || r.Lost != 0 || r.Published != n-5 {
			t.Errorf("of %d PUBLISHes: %+v", n, r)
		}
		if d := when[3].Sub(when[2]); d < time.Second {
			t.Errorf("%v after 500", d)
		}
		if d := when[5].Sub(when[4]); d < 3*time.Second {
			t.Errorf("%v after 503 with Retry-After 3", d)
		}
	})
}

func TestServerEndsSubscription(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, Config{Presentities: users(1), Watchers: 2, Rate: 10})
		s.tells = func(id string, nth int) bool {
			if sub := s.subscriptions[id]; nth == 11 && strings.HasPrefix(id, "w1.") {
				delete(s.subscriptions, id)
				s.notify(id, sub, "terminated;reason=deactivated", "")
				return false
			}
			return true
		}
		r, err := s.run(t.Context(), 0)
		if err != nil || r.Ended != 1 || r.Due != 40 || r.Notified() != 29 || r.Lost != 11 {
			t.Errorf("one subscription ends half-way: %v, %+v", err, r)
		}
	})
}

func TestCannotBegin(t *testing.T) {
	var refused *event.ResponseError
	var state *StateError
	var short *TooShortError
	for _, c := range []struct {
		name  string
		setup func(s *server)
		left  int
		is    func(error) bool
	}{
		{"no publication", func(s *server) {
			s.answer = func(r *sip.Request) (int, string) {
				if r.Recipient.User == "u2" {
					return 404, ""
				}
				return 0, ""
			}
		}, 0, func(err error) bool {
			return errors.As(err, &refused) && refused.Status == 404 && strings.Contains(err.Error(), "publishing for sip:u2@example.com")
		}},
		{"no subscription", func(s *server) {
			s.answer = func(r *sip.Request) (int, string) {
				if r.Method == sip.SUBSCRIBE {
					return 489, "Allow-Events: dialog\r\n"
				}
				return 0, ""
			}
		}, 0, func(err error) bool {
			return errors.As(err, &refused) && refused.Field("Allow-Events") == "dialog" && strings.Contains(err.Error(), "subscribing to ")
		}},
		{"pending", func(s *server) { s.first = "pending;expires=60" }, 0,
			func(err error) bool { return errors.As(err, &state) && state.State == "pending" }},
		{"rejected", func(s *server) { s.first = "terminated;reason=rejected" }, 6, // the server here forgets nothing
			func(err error) bool { return errors.As(err, &state) && state.State == "terminated" }},
		{"no NOTIFY", func(s *server) { s.first = "none" }, 6,
			func(err error) bool { return errors.Is(err, stack.ErrTimeout) }},
		{"granted too little", func(s *server) {
			s.answer = func(r *sip.Request) (int, string) {
				if r.Method == sip.PUBLISH && len(r.Body()) > 0 {
					s.mu.Lock()
					defer s.mu.Unlock()
					s.publish(r)
					return 200, "SIP-ETag: " + s.tags[r.Recipient.String()] + "\r\nExpires: 3\r\n"
				}
				return 0, ""
			}
		}, 0, func(err error) bool {
			return errors.As(err, &short) && short.Granted == 3*time.Second && short.Needed == 4*time.Second
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newServer(t, Config{Presentities: users(3), Watchers: 2})
				c.setup(s)
				r, err := s.g.run(t.Context())
				if !c.is(err) || r.Took != 0 {
					t.Errorf("%v, %+v", err, r)
				}
				if n := len(s.tags) + len(s.subscriptions); n != c.left {
					t.Errorf("%d publications and %d subscriptions are left", len(s.tags), len(s.subscriptions))
				}
			})
		})
	}
}

func TestInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		s := newServer(t, Config{Presentities: users(2), Watchers: 2, Rate: 10, Duration: time.Minute})
		time.AfterFunc(3*time.Second+time.Millisecond, cancel)
		r, err := s.run(ctx, 0)
		if !errors.Is(err, context.Canceled) || r.Published < 25 || r.Published > 30 {
			t.Errorf("interrupted after 3 s: %v, %+v", err, r)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		s := newServer(t, Config{Presentities: users(4)})
		time.AfterFunc(time.Second+time.Millisecond, cancel) // all have a PUBLISH without an answer
		if r, err := s.run(ctx, 0); !errors.Is(err, context.Canceled) {
			t.Errorf("%v, %+v", err, r)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		s := newServer(t, Config{Presentities: users(20), InFlight: 1})
		time.AfterFunc(55*time.Millisecond, cancel)
		r, err := s.run(ctx, 0)
		if !errors.Is(err, context.Canceled) || r.Took != 0 {
			t.Errorf("interrupted while it began: %v, %+v", err, r)
		}
	})
}

func TestInterruptedAtSilentServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		s := newServer(t, Config{Presentities: users(2), Watchers: 1, Rate: 10, Duration: time.Minute})
		start := time.Now()
		s.answer = func(*sip.Request) (int, string) {
			if time.Since(start) < time.Second {
				return 0, ""
			}
			return -1, ""
		}
		time.AfterFunc(2*time.Second, cancel)
		if r, err := s.run(ctx, 4); !errors.Is(err, context.Canceled) {
			t.Errorf("%v, %+v", err, r)
		}
		if d := time.Since(start); d > 2*time.Second+farewell {
			t.Errorf("left after %v", d)
		}
		time.Sleep(time.Minute)
	})
}

func TestSilentServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, Config{Presentities: users(2), Timeout: 3 * time.Second})
		s.answer = func(*sip.Request) (int, string) { return -1, "" }
		start := time.Now()
		r, err := s.g.run(t.Context())
		if !errors.Is(err, stack.ErrTimeout) || r.LeftBehind != 2 {
			t.Errorf("%v, %+v", err, r)
		}
		if d := time.Since(start); d > 6*time.Second {
			t.Errorf("gave up after %v", d)
		}
		time.Sleep(time.Minute) // the transactions end
	})
}

func TestMixesKinds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, Config{Presentities: users(3), Watchers: 2, Rate: 100, Refresh: 30, Renew: 20})
		r, err := s.run(t.Context(), 0)
		if err != nil {
			t.Fatal(err)
		}
		if r.Published != 200 || len(r.Failed) != 0 || r.Due != 2*140 || r.Lost != 0 {
			t.Errorf("200 in two seconds, of them 60 without news: %+v", r)
		}
		var prolong, remove, first int
		for _, m := range s.requests {
			switch tag := value(m, "SIP-If-Match"); {
			case m.Method != sip.PUBLISH:
			case tag == "":
				first++
			case value(m, "Expires") == "0":
				remove++
			case len(m.Body()) == 0:
				prolong++
			}
		}
		if prolong != 60 || remove != 40+3 || first != 40+3 {
			t.Errorf("%d prolong, %d remove, %d are the first", prolong, remove, first)
		}
	})
}
