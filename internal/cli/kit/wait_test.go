package kit

import (
	"context"
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// facts is an event for tests.
type facts struct {
	values map[string][]string
	xml    string
}

func (f facts) Fact(key string) []string { return f.values[key] }
func (f facts) XML() []byte              { return []byte(f.xml) }

func basic(values ...string) facts { return facts{values: map[string][]string{"basic": values}} }

func TestWatchEnds(t *testing.T) {
	type step struct {
		after time.Duration
		event *facts
		sig   os.Signal
	}
	open, closed := basic("open"), basic("closed")
	for _, c := range []struct {
		name  string
		wait  Wait
		steps []step
		exit  int // -1 = the watch goes on
		at    time.Duration
	}{
		{"nothing to wait for: it goes on", Wait{}, []step{{1, &open, nil}, {1, &open, nil}}, -1, 2},
		{"nothing to wait for, interrupted", Wait{}, []step{{1, &open, nil}, {1, nil, os.Interrupt}}, 0, 2},
		{"--count", Wait{Count: 2}, []step{{1, &open, nil}, {1, &closed, nil}}, 0, 2},
		{"--count unmet at --timeout", Wait{Count: 2, Timeout: 10}, []step{{1, &open, nil}}, 4, 10},
		{"--count unmet, interrupted", Wait{Count: 2}, []step{{1, &open, nil}, {1, nil, os.Interrupt}}, 130, 2},
		{"--count unmet, terminated", Wait{Count: 2}, []step{{1, nil, syscall.SIGTERM}}, 143, 1},
		{"--until holds at the first event", Wait{Until: []string{"basic=open"}}, []step{{1, &open, nil}}, 0, 1},
		{"--until holds later", Wait{Until: []string{"basic=open"}, Timeout: 10}, []step{{1, &closed, nil}, {1, &open, nil}}, 0, 2},
		{"--until unmet at --timeout", Wait{Until: []string{"basic=open"}, Timeout: 10}, []step{{1, &closed, nil}}, 4, 10},
		{"--until unmet, interrupted", Wait{Until: []string{"basic=open"}}, []step{{1, &closed, nil}, {1, nil, os.Interrupt}}, 130, 2},
		{"two --until must hold together", Wait{Until: []string{"basic=open", "basic=closed"}, Timeout: 10}, []step{{1, &open, nil}, {1, &closed, nil}}, 4, 10},
		{"--count or --until, whichever is first", Wait{Count: 3, Until: []string{"basic=open"}}, []step{{1, &closed, nil}, {1, &open, nil}}, 0, 2},
		{"--for is over", Wait{For: 5}, []step{{1, &open, nil}}, 0, 5},
		{"--for is over with --until unmet", Wait{For: 5, Until: []string{"basic=open"}, Timeout: 10}, []step{{1, &closed, nil}}, 0, 5},
		{"--timeout before --for", Wait{For: 10, Until: []string{"basic=open"}, Timeout: 5}, nil, 4, 5},
		{"--timeout alone", Wait{Timeout: 5}, []step{{1, &open, nil}}, 4, 5},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c.wait.Timeout *= time.Second
				c.wait.For *= time.Second
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				s, _, _ := Recorded("", "")
				w, err := New(s).Watch(ctx, c.wait)
				if err != nil {
					t.Fatal(err)
				}
				defer w.Stop()
				start := time.Now()
				for _, st := range c.steps {
					<-time.After(st.after * time.Second)
					if st.event != nil {
						w.Seen(*st.event)
					}
					if st.sig != nil {
						cancel(signalled{st.sig})
					}
				}
				if c.exit >= 0 {
					<-w.Done()
				}
				synctest.Wait()
				over := w.Context().Err() != nil
				if took := time.Since(start); took != c.at*time.Second || over != (c.exit >= 0) {
					t.Errorf("after %v, over %v", took, over)
				}
				err, want := w.Err(), c.exit
				switch got := exitOf(err); {
				case want <= 0 && err != nil, want > 0 && got != want:
					t.Errorf("%v with status %d, want %d", err, got, want)
				}
			})
		})
	}
}

func TestWatchTakesTheTimeoutFlagOnlyWhenGiven(t *testing.T) {
	for _, given := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			s, _, _ := Recorded("", "")
			k := New(s)
			k.TimeoutSet = given
			w, err := k.Watch(t.Context(), Wait{})
			if err != nil {
				t.Fatal(err)
			}
			defer w.Stop()
			<-time.After(time.Hour)
			if over := w.Context().Err() != nil; over != given {
				t.Errorf("given %v, over %v", given, over)
			}
		})
	}
}

func TestWatchEndedByTheOtherSide(t *testing.T) {
	s, _, _ := Recorded("", "")
	k := New(s)
	free, _ := k.Watch(t.Context(), Wait{})
	if err := free.Unmet("the server ended it"); err != nil {
		t.Error(err)
	}
	bound, _ := k.Watch(t.Context(), Wait{Count: 2})
	bound.Seen(basic("open"))
	if err := bound.Unmet("the server ended it"); exitOf(err) != ExitTimeout || !strings.Contains(err.Error(), "1 of 2") {
		t.Error(err)
	}
	bound.Seen(basic("open"))
	if err := bound.Unmet("the server ended it"); err != nil {
		t.Error(err)
	}
}

func TestClosedStdoutEndsAnUnmetWatchQuietly(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	s, _, _ := Recorded("", "")
	w, _ := New(s).Watch(ctx, Wait{Count: 2})
	cancel(errPipe)
	<-w.Done()
	if err := w.Err(); err != nil {
		t.Error(err)
	}
}

const presence = `<?xml version="1.0"?>
<presence xmlns="urn:ietf:params:xml:ns:pidf" xmlns:d="urn:ietf:params:xml:ns:pidf:data-model" xmlns:r="urn:ietf:params:xml:ns:pidf:rpid" entity="pres:a@b">
<tuple id="t1"><status><basic>open</basic></status><contact priority="0.8">sip:a@b</contact></tuple>
<tuple id="t2"><status><basic>closed</basic></status></tuple>
<d:person id="p" xml:lang="de"><r:activities><r:away/></r:activities></d:person><x xmlns="urn:own">1</x></presence>`

func TestUntil(t *testing.T) {
	two := facts{values: map[string][]string{"basic": {"open", "closed"}, "note": {"a=b"}, "empty": {""}}, xml: presence}
	for expr, want := range map[string]bool{
		"basic=open":                true,
		"basic=closed":              true,
		"basic=away":                false,
		"basic!=open":               true, // the other tuple differs
		"note=a=b":                  true,
		"note!=a=b":                 false,
		"absent=x":                  false,
		"absent!=x":                 true,
		"empty=":                    true,
		" basic=open ":              true,
		"/p:presence":               true,
		"//p:basic":                 true,
		"//p:basic[.='open']":       true,
		"//p:basic[.='away']":       false,
		"//rpid:away":               true,
		"//rpid:busy":               false,
		"//*[@xml:lang='de']":       true,
		"//dm:person/@id":           true,
		"//o:x":                     true,
		"//p:basic = 'open'":        true,
		"(//p:basic)[2]":            true,
		"(//p:basic)[3]":            false,
		"count(//p:tuple) = 2":      true,
		"count(//p:tuple) > 2":      false,
		"count(//p:tuple)":          true,
		"count(//p:note)":           false,
		"not(//rpid:busy)":          true,
		"string(//p:contact)":       true,
		"string(//p:note)":          false,
		"contains(//p:basic,'op')":  true,
		"boolean(//rpid:away)":      true,
		"sum(//p:basic) > 0":        false,
		"//p:basic[contains(., 1)]": false,
	} {
		m, err := ParseUntil(expr, []string{"o=urn:own"})
		if err != nil {
			t.Errorf("%s: %v", expr, err)
			continue
		}
		for range 2 { // a matcher is used again and again
			if got := m.Match(two); got != want {
				t.Errorf("%s: %v", expr, got)
			}
		}
		if m.String() != strings.TrimSpace(expr) {
			t.Errorf("%s shows as %s", expr, m)
		}
	}
	m, _ := ParseUntil("//p:basic", nil)
	if m.Match(facts{}) || m.Match(facts{xml: "<broken"}) {
		t.Error("XPath holds without a document")
	}
}

func TestUntilMistakes(t *testing.T) {
	for expr, hint := range map[string]string{
		"":               "XPath begins with",
		"basic":          "XPath begins with",
		"p:basic":        "XPath begins with",
		"bsaic=open":     "did you mean basic?",
		"//q:basic":      "--ns PREFIX=URI",
		"//p:basic[":     "it is XPath 1.0",
		"nosuch(//p:x)":  "it is XPath 1.0",
		"//p:basic/":     "it is XPath 1.0",
		"count(":         "it is XPath 1.0",
		"(//p:basic":     "it is XPath 1.0",
		"substring(//a)": "it is XPath 1.0",
		"contains(1, 2)": "it is XPath 1.0",
	} {
		_, err := ParseUntil(expr, nil, "basic", "state")
		var e *Error
		if !errors.As(err, &e) || e.Exit != ExitUsage || !strings.Contains(e.Hint, hint) {
			t.Errorf("%q: %v, hint %q", expr, err, e)
		}
	}
	for _, ns := range []string{"", "p", "=u", "p="} {
		if _, err := ParseUntil("//p:x", []string{ns}); exitOf(err) != ExitUsage {
			t.Errorf("--ns %q: %v", ns, err)
		}
	}
}

func FuzzUntil(f *testing.F) {
	for _, s := range []string{"basic=open", "//p:basic[.='x' and position()=last()]", "count(//p:*|//@id) div 2", "translate(//p:x,'a','b')", "(((", "//p:a[following::p:b][1]/../@*"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, expr string) {
		if len(expr) > 200 {
			return
		}
		m, err := ParseUntil(expr, nil)
		if err == nil {
			m.Match(facts{xml: presence})
		} else if exitOf(err) != ExitUsage {
			t.Errorf("%v", err)
		}
	})
}
