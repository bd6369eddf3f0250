package load

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emiago/sipgo/sip"
)

func TestSteps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, Config{Presentities: users(3), Watchers: 4})
		session := &Session{g: s.g}
		step, err := session.Publish(t.Context(), 10)
		if err != nil || step.Done != 3 || step.Took != 210*time.Millisecond || step.Response.Max != s.delay {
			t.Errorf("3 publications at 10 a second: %+v, %v", step, err)
		}
		step, err = session.Change(t.Context(), 3, 10)
		if err != nil || step.Done != 3 || step.Notified != 0 || step.Lost != 0 {
			t.Errorf("3 changes without watchers: %+v, %v", step, err)
		}
		step, err = session.Subscribe(t.Context(), 100)
		if err != nil || step.Done != 12 || step.Response.Max != 40*time.Millisecond {
			t.Errorf("12 subscriptions, with their first NOTIFY: %+v, %v", step, err)
		}
		for range 2 { // nothing is counted twice
			step, err = session.Change(t.Context(), 6, 20)
			if err != nil || step.Done != 6 || step.Missed != 0 || step.Lost != 0 || step.Notified != 24 {
				t.Errorf("6 changes to 4 watchers each: %+v, %v", step, err)
			}
			if step.Last.Count != 6 || step.Last.Max != 40*time.Millisecond {
				t.Errorf("the last of 4 watchers: %+v", step.Last)
			}
		}
	})
}

func TestStepsCountWhatIsMissing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, Config{Presentities: users(1), Watchers: 2})
		session := &Session{g: s.g}
		s.tells = func(watcher string, nth int) bool { return watcher != "w1."+s.g.id || nth != 3 }
		for _, begin := range []func(context.Context, float64) (Step, error){session.Publish, session.Subscribe} {
			if step, err := begin(t.Context(), 100); err != nil || len(step.Failed) > 0 {
				t.Fatalf("%+v, %v", step, err)
			}
		}
		s.answer = func(r *sip.Request) (int, string) {
			if value(r, "CSeq") == "3 PUBLISH" {
				return 500, ""
			}
			return 0, ""
		}
		step, err := session.Change(t.Context(), 4, 10)
		if err != nil || step.Done != 3 || step.Failed["500"] != 1 || step.Notified != 5 || step.Lost != 1 || step.Last.Count != 2 {
			t.Errorf("one refused, one not told: %+v, %v", step, err)
		}
		s.delay = 150 * time.Millisecond
		if step, err = session.Change(t.Context(), 3, 10); err != nil || step.Done != 2 || step.Missed != 1 || len(step.Failed) != 0 {
			t.Errorf("the second while the first has no answer: %+v, %v", step, err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if step, err = session.Change(ctx, 1, 10); err == nil || step.Done != 0 {
			t.Errorf("no answer in time: %+v, %v", step, err)
		}
		time.Sleep(time.Second)
	})
}
