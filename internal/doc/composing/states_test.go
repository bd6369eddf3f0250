package composing

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func after(seconds int) time.Time { return noon.Add(time.Duration(seconds) * time.Second) }

// play runs a composer through the events of a script, "second:event", with the timers in between, up to a last second. It returns what is sent.
func play(c *Composer, last int, script ...string) (sent []string) {
	note := func(at int, d *Document) {
		if d != nil {
			sent = append(sent, fmt.Sprintf("%d:%s", at, d.State))
		}
	}
	for at := 0; at <= last; at++ {
		if next := c.Next(); !next.IsZero() && !after(at).Before(next) {
			note(at, c.Tick(after(at)))
		} else if d := c.Tick(after(at)); d != nil {
			sent = append(sent, "unannounced "+d.State)
		}
		if slices.Contains(script, fmt.Sprint(at, ":key")) {
			note(at, c.Input(after(at)))
		}
		if slices.Contains(script, fmt.Sprint(at, ":sent")) {
			c.Sent(after(at))
		}
		if slices.Contains(script, fmt.Sprint(at, ":stop")) {
			c.Stop()
		}
	}
	return sent
}

// typing is a key in every second of a range.
func typing(from, to int) (script []string) {
	for at := from; at <= to; at++ {
		script = append(script, fmt.Sprint(at, ":key"))
	}
	return script
}

func TestComposer(t *testing.T) {
	for _, test := range []struct {
		name   string
		set    Settings
		last   int
		script []string
		want   string
	}{
		{"COMP-007 the first input is told", Settings{}, 10, []string{"3:key", "4:key"}, "3:active"},
		{"COMP-008 active is repeated, at least a minute apart", Settings{Refresh: 30 * time.Second}, 130, typing(0, 130), "0:active 60:active 120:active"},
		{"COMP-008 a refresh begins when anything is sent", Settings{Refresh: 90 * time.Second}, 200, append(typing(0, 5), typing(40, 200)...), "0:active 20:idle 40:active 130:active"},
		{"COMP-009 without refresh nothing is repeated", Settings{}, 600, typing(0, 600), "0:active"},
		{"COMP-010 idle after fifteen seconds, and active again", Settings{}, 80, []string{"0:key", "10:key", "60:key"}, "0:active 25:idle 60:active 75:idle"},
		{"COMP-010 another time-out", Settings{IdleAfter: 5 * time.Second}, 20, []string{"0:key"}, "0:active 5:idle"},
		{"COMP-011 content needs no status message", Settings{Refresh: time.Minute}, 200, []string{"0:key", "5:sent"}, "0:active"},
		{"COMP-011 after content the first input is told", Settings{}, 12, []string{"0:key", "5:sent", "8:key"}, "0:active 8:active"},
		{"COMP-012 nothing is refreshed while idle", Settings{Refresh: time.Minute}, 600, []string{"0:key"}, "0:active 15:idle"},
		{"COMP-013 fast changes wait", Settings{IdleAfter: 15 * time.Second}, 100, []string{"0:key", "16:key", "32:key", "48:key"}, "0:active 15:idle 30:active 47:idle 62:active 77:idle"},
		{"COMP-013 what is undone while it waits is not told", Settings{}, 60, []string{"0:key", "14:key", "29:key", "30:sent"}, "0:active 29:idle"},
		{"COMP-015 nothing more after a refusal", Settings{Refresh: time.Minute}, 200, append(typing(0, 200), "1:stop"), "0:active"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := strings.Join(play(NewComposer(test.set), test.last, test.script...), " "); got != test.want {
				t.Errorf("%s\nwant %s", got, test.want)
			}
		})
	}
	c := NewComposer(Settings{Refresh: 90 * time.Second, ContentType: "text/html"})
	if d := c.Input(noon); *d != (Document{State: Active, Refresh: 90 * time.Second, ContentType: "text/html"}) || !c.Active() {
		t.Errorf("%+v", d)
	}
	if d := c.Tick(c.Next()); *d != (Document{State: Idle, LastActive: noon, ContentType: "text/html"}) || c.Active() || !c.Next().IsZero() {
		t.Errorf("%+v", d)
	}
}

func TestReceiver(t *testing.T) {
	active := &Document{State: Active}
	t.Run("COMP-022 active lasts for the refresh interval, or 120 s", func(t *testing.T) {
		for refresh, want := range map[int]int{0: 120, 90: 90} {
			var r Receiver
			if !r.Status("a", &Document{State: Active, Refresh: time.Duration(refresh) * time.Second}, noon) {
				t.Error("no change")
			}
			if !r.Next().Equal(after(want)) || !r.Active("a", after(want-1)) || r.Active("a", after(want)) {
				t.Errorf("%d: until %v", refresh, r.Next())
			}
		}
	})
	t.Run("COMP-023 idle, content and time end it", func(t *testing.T) {
		for name, end := range map[string]func(r *Receiver) bool{
			"idle":    func(r *Receiver) bool { return r.Status("a", &Document{State: Idle}, after(1)) },
			"content": func(r *Receiver) bool { return r.Content("a", after(1)) },
			"time":    func(r *Receiver) bool { return reflect.DeepEqual(r.Expire(r.Next()), []string{"a"}) },
		} {
			var r Receiver
			r.Status("a", active, noon)
			if !end(&r) || r.Active("a", after(1)) || !r.Next().IsZero() || r.Content("a", after(2)) {
				t.Errorf("%s: %+v", name, r)
			}
		}
	})
	t.Run("COMP-024 each active begins the time anew", func(t *testing.T) {
		var r Receiver
		r.Status("a", active, noon)
		if r.Status("a", &Document{State: Active, Refresh: time.Second}, noon) || !r.Next().Equal(after(1)) {
			t.Error("the latest refresh does not count")
		}
		if r.Status("a", active, noon) || !r.Next().Equal(after(120)) {
			t.Error("the time does not begin anew")
		}
	})
	t.Run("COMP-025 each composer has a state", func(t *testing.T) {
		var r Receiver
		r.Status("b", active, noon)
		r.Status("a", active, after(10))
		if got := r.Composing(after(20)); !reflect.DeepEqual(got, []string{"a", "b"}) {
			t.Errorf("%v", got)
		}
		r.Content("b", after(30))
		if got := r.Composing(after(30)); !reflect.DeepEqual(got, []string{"a"}) {
			t.Errorf("%v", got)
		}
	})
	var r Receiver
	for i := range maxComposers + 10 {
		r.Status(fmt.Sprint(i), active, noon)
	}
	if len(r.until) != maxComposers || !r.Status("late", active, after(121)) || len(r.until) != 1 {
		t.Errorf("%d composers", len(r.until))
	}
}
