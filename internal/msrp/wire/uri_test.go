package wire

import (
	"strings"
	"testing"
)

func TestParseURI(t *testing.T) {
	t.Run("MSRP-001 form, MSRP-002 session-id", func(t *testing.T) {
		for _, s := range []string{
			"msrp://a.example.com:2855/s;tcp", "msrps://a.example.com:2855/s;tcp", "MSRPS://A:1/x;TCP", "msrp://a.example.com;tcp", "msrp://a.example.com:9/s;ws",
			"msrp://10.0.0.1:7/aZ09-._~+=/;tcp", "msrp://[2001:db8::1]:7/a/b/c;tcp", "msrp://[2001:db8::1]/x;tcp", "msrp://user@h:1/x;tcp", "msrp://u:%20@h:1/x;tcp",
			"msrp://h:1/x;tcp;a;b=c;d=e", "msrps://df7jal23ls0d.invalid:2855/98cjs;ws", "msrp://%41b:1/x;tcp", "msrp://h:65535/x;dc",
		} {
			u, err := ParseURI(s)
			if err != nil {
				t.Error(err)
				continue
			}
			if again, err := ParseURI(u.String()); err != nil || again != u {
				t.Errorf("%s written as %s: %v", s, u, err)
			}
			if strings.HasPrefix(s, "m") && u.String() != s {
				t.Errorf("%s written as %s", s, u)
			}
		}
		for _, s := range []string{
			"", "msrp", "msrp://", "sip:a@b", "msrp://h:1/x", "msrp://h:1/x;", "msrp://h:1/;tcp", "msrp://h:1;", "msrp://:1/x;tcp", "msrp:///x;tcp", "msrp://h:/x;tcp",
			"msrp://h:0/x;tcp", "msrp://h:65536/x;tcp", "msrp://h:-1/x;tcp", "msrp://h:+1/x;tcp", "msrp://h:1x/x;tcp", "msrp://h:1/a%20;tcp", "msrp://h:1/a?b;tcp", "msrp://h:1/ä;tcp",
			"msrp://ä:1/x;tcp", "msrp://h:1/x;t-p", "msrp://h:1/x;tcp;", "msrp://h:1/x;tcp;=a", "msrp://h:1/x;tcp;a=", "msrp://h:1/x;tcp;a b", "msrp://[::1:1/x;tcp", "msrp://[fe80::1%eth0]:1/x;tcp",
			"msrp://[1.2.3.4]:1/x;tcp", "msrp://[::1]1/x;tcp", "msrp://::1:1/x;tcp", "msrp://a b:1/x;tcp", "msrp://h%4:1/x;tcp", "msrp://h:1/x tcp", "msrp://h:1/x;tcp\n", "msrp://a b@h:1/x;tcp",
		} {
			if u, err := ParseURI(s); err == nil {
				t.Errorf("%q is taken: %+v", s, u)
			}
		}
	})
}

func TestEqual(t *testing.T) {
	const base = "msrp://h.example:1/x;tcp"
	for _, c := range []struct {
		id, s string
		equal bool
	}{
		{"MSRP-005 userinfo", "msrp://a@h.example:1/x;tcp", true},
		{"MSRP-006 scheme and case", "MSRP://h.example:1/x;tcp", true},
		{"MSRP-006 host and case", "msrp://H.Example:1/x;tcp", true},
		{"MSRP-006 transport and case", "msrp://h.example:1/x;TCP", true},
		{"MSRP-006 percent", "msrp://%68.example:1/x;tcp", true},
		{"MSRP-006 parameters", "msrp://h.example:1/x;tcp;a=b", true},
		{"MSRP-006 msrps", "msrps://h.example:1/x;tcp", false},
		{"MSRP-006 port", "msrp://h.example:2/x;tcp", false},
		{"MSRP-006 no port", "msrp://h.example/x;tcp", false},
		{"MSRP-006 session-id and case", "msrp://h.example:1/X;tcp", false},
		{"MSRP-006 no session-id", "msrp://h.example:1;tcp", false},
		{"MSRP-006 path is not normal", "msrp://h.example:1/./x;tcp", false},
		{"MSRP-006 transport", "msrp://h.example:1/x;ws", false},
		{"MSRP-006 other host", "msrp://h.example.:1/x;tcp", false},
		{"MSRP-006 reserved stays", "msrp://%2b.example:1/x;tcp", false},
	} {
		t.Run(c.id, func(t *testing.T) {
			a, b := mustURI(t, base), mustURI(t, c.s)
			if a.Equal(b) != c.equal || b.Equal(a) != c.equal {
				t.Errorf("%s and %s", a, b)
			}
		})
	}
	if !mustURI(t, "msrp://[2001:DB8:0::1]:1/x;tcp").Equal(mustURI(t, "msrp://[2001:db8::1]:1/x;tcp")) {
		t.Error("MSRP-006 addresses are compared as addresses")
	}
	a, b := mustURI(t, "msrp://a@H:1/x;tcp"), mustURI(t, "msrp://h:1/y;TCP;z")
	if !a.SameAuthority(b) || a.SameAuthority(mustURI(t, "msrps://h:1/x;tcp")) || a.SameAuthority(mustURI(t, "msrp://h:2/x;tcp")) || a.SameAuthority(mustURI(t, "msrp://h:1/x;ws")) {
		t.Error("authorities")
	}
	if got := mustURI(t, "msrp://[::1]:5/x;tcp").Address(); got != "[::1]:5" {
		t.Error(got)
	}
}

func mustURI(t *testing.T, s string) URI {
	t.Helper()
	u, err := ParseURI(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestPath(t *testing.T) {
	const two = "msrp://a:1/x;tcp msrps://b:2/y;ws;p=q"
	p, err := ParsePath(two)
	if err != nil || len(p) != 2 || p.String() != two || p[1].Port != 2 {
		t.Fatalf("%v %v", p, err)
	}
	for _, s := range []string{"", " ", two + " ", " " + two, strings.Replace(two, " ", "  ", 1), strings.Repeat(two+" ", MaxPath/2) + "msrp://a:1/x;tcp"} {
		if _, err := ParsePath(s); err == nil {
			t.Errorf("%.60q is taken", s)
		}
	}
	q, _ := ParsePath("msrp://A:1/x;tcp msrps://b:2/y;WS")
	if !p.Equal(q) || p.Equal(q[:1]) || p.Equal(Path{q[1], q[0]}) {
		t.Error("paths are compared URI by URI")
	}
	if first, rest := CutPath([]byte(two)); string(first) != "msrp://a:1/x;tcp" || string(rest) != "msrps://b:2/y;ws;p=q" {
		t.Errorf("%s, %s", first, rest)
	}
}

func TestRange(t *testing.T) {
	for s, r := range map[string]Range{"1-2/3": {1, 2, 3}, "1-*/*": {1, Unknown, Unknown}, "1-0/0": {1, 0, 0}, "2049-*/999999999999999999": {2049, Unknown, 999999999999999999}} {
		if got, err := ParseRange(s); err != nil || got != r || got.String() != s {
			t.Errorf("%s: %v %v", s, got, err)
		}
	}
}

func TestSessionIDCharacters(t *testing.T) {
	t.Run("MSRP-002 session-id", func(t *testing.T) {
		for _, c := range "%?#@:!$&'()*,[]\"<> " {
			if _, err := ParseURI("msrp://h:1/x" + string(c) + "y;tcp"); err == nil {
				t.Errorf("%q is taken", c)
			}
		}
	})
}
