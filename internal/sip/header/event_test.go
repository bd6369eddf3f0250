package header

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestParseEvent(t *testing.T) {
	t.Run("EVT-001 one event-type of dot-free tokens", func(t *testing.T) {
		for _, tt := range []struct {
			in   string
			want Event
		}{
			{"presence", Event{Package: "presence"}},
			{"presence.winfo.winfo", Event{Package: "presence.winfo.winfo"}},
			{" presence ; ID = 7 ", Event{Package: "presence", ID: "7", HasID: true}},
			{"xcap-diff;diff-processing=aggregate;id=a%`b", Event{Package: "xcap-diff", ID: "a%`b", HasID: true,
				Params: Params{{Name: "diff-processing", Value: "aggregate"}}}},
			{`Presence;x;y="a ; , b"`, Event{Package: "Presence", Params: Params{{Name: "x"}, {"y", "a ; , b", true}}}},
		} {
			got, err := ParseEvent(tt.in)
			if err != nil || !got.Match(tt.want) || !slices.Equal(got.Params, tt.want.Params) {
				t.Errorf("ParseEvent(%q) = %+v, %v", tt.in, got, err)
			}
		}
		for in, offset := range map[string]int{
			"": 0, " ": 1, ".": 0, "presence.": 8, ".winfo": 0, "presence..winfo": 8, "presence, dialog": 8, "presence ,dialog": 9,
			"presence dialog": 9, "presence;": 9, "presence;;id=1": 9, "presence;id": 9, "presence;id=": 12, `presence;id="7"`: 9,
			"presence;id=1;id=2": 14, "presence;id=1;ID=1": 14, "presence;a=1;A=2": 13, "presence;a=\"x": 11, "pres\u00e9nce": 4,
			"presence\r\n": 8, "presence;id=1\x00": 13,
		} {
			_, err := ParseEvent(in)
			var syntax *SyntaxError
			if !errors.As(err, &syntax) || syntax.Offset != offset || syntax.Field != "Event" {
				t.Errorf("ParseEvent(%q): %v, want an error at %d", in, err, offset)
			}
		}
		if _, err := ParseEvent("a" + strings.Repeat(";p", 3)); err == nil {
			t.Error("repeated parameters are accepted")
		}
	})
}

// TestBoundedParams has one parameter more than a value may have.
func TestBoundedParams(t *testing.T) {
	var b strings.Builder
	for i := range maxParams + 1 {
		b.WriteString(";p" + strings.Repeat("x", i))
	}
	for in, parse := range map[string]func(string) error{
		"presence": errorOf(ParseEvent), "active": errorOf(ParseSubscriptionState), "<sip:h>": errorOf(ParseAddress),
	} {
		if err := parse(in + b.String()); err == nil {
			t.Errorf("%s: any number of parameters is accepted", in)
		}
		if err := parse(in + b.String()[:strings.LastIndexByte(b.String(), ';')]); err != nil {
			t.Errorf("%s: %v", in, err)
		}
	}
}

func TestEventMatch(t *testing.T) {
	match := func(t *testing.T, a, b string, want bool) {
		t.Helper()
		x, err := ParseEvent(a)
		if err != nil {
			t.Fatal(err)
		}
		y, err := ParseEvent(b)
		if err != nil {
			t.Fatal(err)
		}
		if x.Match(y) != want || y.Match(x) != want {
			t.Errorf("%q and %q: match is not %v", a, b, want)
		}
	}
	t.Run("EVT-002 event-type and id compare byte for byte, other parameters do not count", func(t *testing.T) {
		match(t, "foo;id=1234", "foo;param=abcd;id=1234", true)
		match(t, "foo;id=1234", "foo", false)
		match(t, "foo;id=1234", "Foo;id=1234", false)
		match(t, "foo;id=a", "foo;id=A", false)
		match(t, "foo;id=a", "foo;ID=a", true)
		match(t, "foo", "foo.winfo", false)
		match(t, "foo;x=1", "foo;y=2", true)
	})
	t.Run("EVT-137 rate parameters take no part in matching", func(t *testing.T) {
		match(t, "presence;max-rate=0.2", "presence;max-rate=5;min-rate=1", true)
		match(t, "presence;max-rate=0.2;id=1", "presence;id=1", true)
	})
}

func TestEventRate(t *testing.T) {
	t.Run("EVT-136 a rate is a decimal number greater than zero", func(t *testing.T) {
		for in, want := range map[string]float64{"0.2": 0.2, "99": 99, "01": 1, "10.0000000001": 10.0000000001, "0.0000000001": 1e-10} {
			e, err := ParseEvent("presence;Max-Rate=" + in)
			if err != nil {
				t.Fatal(err)
			}
			if got, ok, err := e.Rate("max-rate"); got != want || !ok || err != nil {
				t.Errorf("rate %s = %v, %v, %v", in, got, ok, err)
			}
		}
		for _, in := range []string{"=0", "=00.000", "=100", "=1e3", "=1.", "=.5", "=1.00000000001", "=-1", "=+1", "=1.2.3", "=0x1", `=""`, "", `="a"`} {
			e, err := ParseEvent("presence;min-rate" + in)
			if err != nil {
				t.Fatal(err)
			}
			if got, ok, err := e.Rate("min-rate"); err == nil || !ok {
				t.Errorf("rate %q = %v, %v, %v, want an error", in, got, ok, err)
			}
		}
	})
	if _, ok, err := (Event{Package: "presence"}).Rate("max-rate"); ok || err != nil {
		t.Errorf("an absent rate: %v, %v", ok, err)
	}
}

func TestParseAllowEvents(t *testing.T) {
	got, err := ParseAllowEvents([]string{"presence , presence.winfo", "dialog"})
	if err != nil || !slices.Equal(got, []string{"presence", "presence.winfo", "dialog"}) {
		t.Errorf("got %q, %v", got, err)
	}
	for _, in := range []string{"", "presence,", "presence,,dialog", "presence;id=1", "a b", "a..b"} {
		if got, err := ParseAllowEvents([]string{in}); err == nil {
			t.Errorf("ParseAllowEvents(%q) = %q", in, got)
		}
	}
}

func TestParseSubscriptionState(t *testing.T) {
	t.Run("EVT-005 state with reason, expires, retry-after and unknown parameters", func(t *testing.T) {
		for in, want := range map[string]string{
			"active":                              "active",
			"active;expires=3600":                 "active;expires=3600",
			" Active ; EXPIRES = 0 ":              "active;expires=0",
			"pending;expires=99999999999":         "pending;expires=4294967295",
			"terminated;reason=NoResource":        "terminated;reason=noresource",
			"terminated;retry-after=5;reason=x":   "terminated;reason=x;retry-after=5",
			"hibernating;x=y;depth=\"very deep\"": "hibernating;x=y;depth=\"very deep\"",
			"active;min-expires=3;expires=1":      "active;expires=1;min-expires=3",
		} {
			st, err := ParseSubscriptionState(in)
			if err != nil || st.String() != want {
				t.Errorf("ParseSubscriptionState(%q) = %q, %v", in, st, err)
			}
		}
		st, err := ParseSubscriptionState("terminated")
		if err != nil || st.Expires != -1 || st.RetryAfter != -1 || st.Reason != "" {
			t.Errorf("absent parameters: %+v, %v", st, err)
		}
		for _, in := range []string{
			"", ";expires=1", "active, pending", "active pending", "active;expires", "active;expires=", "active;expires=x", "active;expires=-1",
			`active;expires="1"`, "active;expires=1;Expires=1", "terminated;reason", `terminated;reason="x"`, "terminated;reason=a;reason=b",
			"active;retry-after=1.5", "active;x=1;x=2", "active;", "a/b",
		} {
			if st, err := ParseSubscriptionState(in); err == nil {
				t.Errorf("ParseSubscriptionState(%q) = %q", in, st)
			}
		}
	})
}
