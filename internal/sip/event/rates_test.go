package event

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"imp/internal/sip/header"
)

func TestRatesRead(t *testing.T) {
	t.Run("EVT-136 what is outside the grammar is no wish", func(t *testing.T) {
		for in, want := range map[string]Rates{
			"max-rate=0.2":                        {Max: 0.2},
			"MIN-RATE=99;adaptive-min-rate=0.5":   {Min: 99, Adaptive: 0.5},
			"max-rate=0;min-rate=100":             {},
			"max-rate=1e3;adaptive-min-rate=0.25": {Adaptive: 0.25},
			"max-rate":                            {},
		} {
			ev, err := header.ParseEvent("notes;" + in)
			if err != nil {
				t.Fatal(err)
			}
			if got, any := ReadRates(ev.Params); got != want || !any {
				t.Errorf("%s: %+v, %v", in, got, any)
			}
		}
		if got, any := ReadRates(header.Params{{Name: "x", Value: "1"}}); got != (Rates{}) || any {
			t.Errorf("without rates: %+v, %v", got, any)
		}
	})
	t.Run("EVT-136 what is written keeps to the grammar", func(t *testing.T) {
		for rate, want := range map[float64]string{0.2: "0.2", 1: "1", 10: "10", 1.0 / 3: "0.3333333333", 1000: "99", 1e-12: "0.0000000001", 0.01: "0.01"} {
			if got := FormatRate(rate); got != want {
				t.Errorf("%v is written %q, want %q", rate, got, want)
			}
		}
	})
}

func TestRatesFit(t *testing.T) {
	for _, tt := range []struct {
		name           string
		left, interval time.Duration
		asked, want    Rates
	}{
		{"EVT-141 a rate too low for one NOTIFY is raised", 100 * time.Second, 0, Rates{Max: 0.001}, Rates{Max: 0.01}},
		{"EVT-142 that of the whole time pauses", 100 * time.Second, 0, Rates{Max: 0.01}, Rates{Max: 0.01}},
		{"EVT-147 min-rate above max-rate is lowered to it", time.Hour, 0, Rates{Max: 0.2, Min: 0.5}, Rates{Max: 0.2, Min: 0.2}},
		{"EVT-147 adaptive-min-rate above max-rate is lowered to it", time.Hour, 0, Rates{Max: 0.2, Adaptive: 0.5}, Rates{Max: 0.2, Adaptive: 0.2}},
		{"EVT-147 min-rate above adaptive-min-rate is ignored", time.Hour, 0, Rates{Min: 0.5, Adaptive: 0.2}, Rates{Adaptive: 0.2}},
		{"EVT-147 min-rate below adaptive-min-rate is kept", time.Hour, 0, Rates{Min: 0.1, Adaptive: 0.2}, Rates{Min: 0.1, Adaptive: 0.2}},
		{"EVT-147 all above max-rate are lowered, and min-rate is then not below", time.Hour, 0,
			Rates{Max: 0.1, Min: 0.5, Adaptive: 0.7}, Rates{Max: 0.1, Adaptive: 0.1}},
		{"EVT-138 the pacing of the package bounds all", time.Hour, 5 * time.Second, Rates{Max: 1, Min: 0.5}, Rates{Max: 0.2, Min: 0.2}},
		{"EVT-145 nobody has an unchanged state repeated all the time", time.Hour, 0, Rates{Min: 50}, Rates{Min: 1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.asked.fit(tt.left, tt.interval); got != tt.want {
				t.Errorf("%+v becomes %+v, want %+v", tt.asked, got, tt.want)
			}
		})
	}
}

// every takes a number of NOTIFYs that come at intervals of d, not sooner.
func (r *rig) every(d time.Duration, times int, state string) {
	r.t.Helper()
	for i := range times {
		time.Sleep(d - time.Nanosecond)
		r.wire.quiet()
		time.Sleep(time.Nanosecond)
		n := r.wire.take()
		if got := n.field("Subscription-State"); !strings.HasPrefix(got, state) {
			r.t.Fatalf("number %d says %q, want %q", i, got, state)
		}
		n.answer(200)
	}
}

func TestRates(t *testing.T) {
	tests{
		{"EVT-138 what is granted is told in each NOTIFY", func(t *testing.T, r *rig) {
			p, res := r.watch("alice", "Event: notes;max-rate=0.2;min-rate=0.1;adaptive-min-rate=0.15", "Expires: 600")
			want(t, res, 200, "Event", "")
			p.toTag = res.ToTag
			const rates = ";max-rate=0.2;min-rate=0.1;adaptive-min-rate=0.15"
			r.wire.take().says("active;expires=600"+rates, "note: ").answer(200)
			r.Decide(p.toTag, Decision{State: Pending})
			r.wire.quiet() // which is none of the exceptions of max-rate
			time.Sleep(5 * time.Second)
			r.wire.take().says("pending;expires=595"+rates, "").answer(200)
		}},
		{"EVT-140 EVT-143 changes come no closer than max-rate, the newest as one", func(t *testing.T, r *rig) {
			r.watch("alice", "Event: notes;max-rate=0.2")
			r.wire.take().answer(200)
			began := time.Now()
			for i := range 10 {
				time.Sleep(100 * time.Millisecond)
				r.notes.set("alice", fmt.Sprint(i))
				r.wire.quiet()
			}
			time.Sleep(time.Until(began.Add(5*time.Second - time.Nanosecond)))
			r.wire.quiet()
			time.Sleep(time.Nanosecond)
			r.wire.take().says("active;expires=3595;max-rate=0.2", "note: 9").answer(200)
			time.Sleep(time.Hour / 2)
			r.wire.quiet()
		}},
		{"EVT-140 answers to SUBSCRIBE, a grant and the end do not wait", func(t *testing.T, r *rig) {
			r.notes.decision.State = Pending
			p, _ := r.watch("alice", "Event: notes;max-rate=0.01")
			r.wire.take().answer(200)
			r.Decide(p.toTag, Decision{State: Active})
			r.wire.take().says("active;expires=3600;max-rate=0.01", "note: ").answer(200)
			r.notes.decision.State = Active
			want(t, r.subscribe(p, "Event: notes;max-rate=0.02"), 200)
			r.wire.take().says("active;expires=3600;max-rate=0.02", "note: ").answer(200)
			r.Decide(p.toTag, Decision{State: Terminated})
			r.wire.take().answer(200)
		}},
		{"EVT-141 a refresh for a shorter time raises it again", func(t *testing.T, r *rig) {
			p, _ := r.watch("alice", "Event: notes;max-rate=0.0001", "Expires: 1000")
			r.wire.take().says("active;expires=1000;max-rate=0.001", "note: ").answer(200)
			want(t, r.subscribe(p, "Event: notes;max-rate=0.0001", "Expires: 100"), 200)
			r.wire.take().says("active;expires=100;max-rate=0.01", "note: ").answer(200)
			r.notes.set("alice", "x")
			time.Sleep(99 * time.Second)
			r.wire.quiet() // a pause
			time.Sleep(time.Second)
			r.wire.take().says("terminated;reason=timeout;max-rate=0.01", "")
		}},
		{"EVT-145 an unchanged state is told again at min-rate", func(t *testing.T, r *rig) {
			r.notes.set("alice", "x")
			r.watch("alice", "Event: notes;min-rate=0.5")
			r.wire.take().answer(200)
			r.every(2*time.Second, 5, "active;expires=35")
			time.Sleep(time.Second)
			r.notes.set("alice", "y")
			r.wire.take().says("active;expires=3589;min-rate=0.5", "note: y").answer(200)
			r.every(2*time.Second, 3, "active;expires=35") // counted from the last one
		}},
		{"EVT-145 the delta of nothing is the full state", func(t *testing.T, r *rig) {
			r.list.say("apple")
			p := newPeer(t, "SUBSCRIBE", "alice")
			respond(r.Subscribe, p.request("a", "Event: listing;min-rate=0.5", contactLine))
			r.wire.take().answer(200)
			time.Sleep(2 * time.Second)
			if got := string(r.wire.take().Body()); got != "full 1 apple" {
				t.Fatalf("body %q", got)
			}
		}},
		{"EVT-145 a NOTIFY that is unanswered is not overtaken", func(t *testing.T, r *rig) {
			r.watch("alice", "Event: notes;min-rate=0.5")
			n := r.wire.take()
			time.Sleep(7 * time.Second)
			r.wire.quiet()
			n.answer(200)
			r.wire.take().answer(200) // it was due
			r.every(2*time.Second, 2, "active")
		}},
		{"EVT-145 neither a pending watcher nor one who has the state hears of it", func(t *testing.T, r *rig) {
			r.notes.decision.State = Pending
			r.watch("alice", "Event: notes;min-rate=0.5")
			r.wire.take().answer(200)
			r.notes.decision.State = Active
			p, _ := r.watch("alice", "Event: notes;min-rate=0.5")
			n := r.wire.take()
			n.answer(200)
			want(t, r.subscribe(p, "Event: notes;min-rate=0.5", unless(n.etag())), 204)
			time.Sleep(time.Minute)
			r.wire.quiet()
			want(t, r.subscribe(p, "Event: notes;min-rate=0.5", unless("*")), 204)
			time.Sleep(time.Minute)
			r.wire.quiet()
		}},
		{"EVT-146 adaptive-min-rate keeps the average", func(t *testing.T, r *rig) {
			p, _ := r.watch("alice", "Event: notes;adaptive-min-rate=0.5")
			r.wire.take().answer(200)
			r.every(2*time.Second, 8, "active") // as the history says
			for i := range 10 {                 // twice as many as it wants
				r.notes.set("alice", fmt.Sprint(i))
				r.wire.take().answer(200)
			}
			want(t, r.subscribe(p, "Event: notes;adaptive-min-rate=0.5"), 200) // which does not begin the count anew
			r.wire.take().answer(200)
			time.Sleep(3 * time.Second) // it lets more time pass now
			r.wire.quiet()
			time.Sleep(time.Minute)
			r.wire.take().answer(200)
		}},
		{"EVT-148 a 2xx to NOTIFY replaces all rates", func(t *testing.T, r *rig) {
			r.watch("alice", "Event: notes;id=7;max-rate=0.2;min-rate=0.1")
			r.wire.take().answerWith(200, "Event", "notes;id=8;max-rate=0.5;other=1")
			r.notes.set("alice", "1")
			time.Sleep(2 * time.Second)
			n := r.wire.take().says("active;expires=3598;max-rate=0.5", "note: 1")
			n.answerWith(200, "Event", "other;max-rate=9") // another package
			r.notes.set("alice", "2")
			time.Sleep(2 * time.Second)
			r.wire.take().says("active;expires=3596;max-rate=0.5", "note: 2").answerWith(200, "Event", "notes")
			r.notes.set("alice", "3")
			n = r.wire.take().says("active;expires=3596", "note: 3") // all are left out
			n.answerWith(200, "Event", "notes;max-rate=0.1")         // the last SUBSCRIBE had some
			r.notes.set("alice", "4")
			r.wire.quiet()
			time.Sleep(10 * time.Second)
			r.wire.take().says("active;expires=3586;max-rate=0.1", "note: 4").answerWith(200, "Event", "notes;min-rate=0.5")
			r.every(2*time.Second, 3, "active")
		}},
		{"EVT-148 unless the last SUBSCRIBE had none", func(t *testing.T, r *rig) {
			r.watcher()
			r.wire.take().answerWith(200, "Event", "notes;max-rate=0.1")
			r.notes.set("alice", "x")
			r.wire.take().says("active;expires=3600", "note: x")
		}},
		{"EVT-149 what a SUBSCRIBE leaves out is gone", func(t *testing.T, r *rig) {
			p, _ := r.watch("alice", "Event: notes;max-rate=0.01;min-rate=0.01")
			r.wire.take().answer(200)
			want(t, r.subscribe(p, "Event: notes"), 200)
			r.wire.take().says("active;expires=3600", "note: ").answer(200)
			r.notes.set("alice", "x")
			r.wire.take().says("active;expires=3600", "note: x").answer(200)
			time.Sleep(30 * time.Minute)
			r.wire.quiet()
		}},
	}.run(t)
	t.Run("EVT-138 the pacing of the package holds whatever is asked", func(t *testing.T) {
		runWith(t, func(_ *NotifierConfig, n *notes) { n.defaults.MinInterval = 5 * time.Second }, func(r *rig) {
			r.watch("alice", "Event: notes;max-rate=10;min-rate=10")
			r.wire.take().says("active;expires=3600;max-rate=0.2;min-rate=0.2", "note: ").answer(200)
			r.every(5*time.Second, 3, "active")
		})
	})
}

func TestAdaptivePacing(t *testing.T) {
	t.Run("EVT-146 what was missed is not made up for against the pacing", func(t *testing.T) {
		runWith(t, func(_ *NotifierConfig, n *notes) { n.defaults.MinInterval = 5 * time.Second }, func(r *rig) {
			p, _ := r.watch("alice", "Event: notes;adaptive-min-rate=0.2")
			r.wire.take().answer(200)
			r.Decide(p.toTag, Decision{State: Pending})
			r.wire.take().answer(200)
			time.Sleep(10 * time.Minute) // of silence
			r.wire.quiet()
			r.Decide(p.toTag, Decision{State: Active})
			r.wire.take().answer(200)
			r.every(5*time.Second, 5, "active")
		})
	})
}

func TestAdaptiveRate(t *testing.T) {
	t.Run("EVT-146 the time is count/(rate²·period), not below that of max-rate", func(t *testing.T) {
		r := &rates{granted: Rates{Adaptive: 0.5}, slot: -1}
		for i := range r.history {
			r.history[i] = 1
		}
		r.measure()
		if r.most != 2*time.Second { // 10/(0.25·20)
			t.Fatalf("at the start %v", r.most)
		}
		now := instant(0)
		r.sent(now)
		for range 5 {
			now = now.add(time.Second / 10)
			r.sent(now)
		}
		if r.most != 3*time.Second { // 15/(0.25·20)
			t.Fatalf("after six at once %v", r.most)
		}
		r.least = 4 * time.Second
		if r.measure(); r.most != 4*time.Second {
			t.Fatalf("with max-rate %v", r.most)
		}
		r.granted.Min = 0.4
		if r.measure(); r.most != 2500*time.Millisecond {
			t.Fatalf("with min-rate %v", r.most)
		}
		r.granted.Min, r.least = 0, 0
		r.sent(now.add(time.Hour))
		if r.most != time.Second/5 { // 1/(0.25·20)
			t.Fatalf("after an hour without any %v", r.most)
		}
	})
}
