package store

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestKey(t *testing.T) {
	long := strings.Repeat("x", maxPart+1)
	for _, tt := range []struct {
		parts []string
		want  string
	}{
		{nil, ""},
		{[]string{"pub"}, "pub"},
		{[]string{""}, "="},
		{[]string{"", ""}, "=.="},
		{[]string{"pub", "sip:a@b.c", "presence"}, "pub.sip=3Aa=40b=2Ec.presence"},
		{[]string{"="}, "=3D"},
		{[]string{"\x00é"}, "=00=C3=A9"},
		{[]string{"=Hx"}, "=3DHx"},
		{[]string{long[1:]}, long[1:]},
		// printf 'x%.0s' {1..129} | openssl sha256 -binary | basenc --base64url
		{[]string{strings.Repeat(".", maxPart), "a"}, strings.Repeat("=2E", maxPart) + ".a"},
		{[]string{long, "a"}, "=HDsnrM-dFELzdHy6lUgboLyFknFwr7L8rQz60dbNMAb0.a"},
	} {
		got := Key(tt.parts...)
		if got != tt.want {
			t.Errorf("Key(%.200q) = %q, want %q", tt.parts, got, tt.want)
		}
		if got != "" {
			if err := CheckKey(got); err != nil {
				t.Errorf("CheckKey(%q): %v", got, err)
			}
		}
	}
	if Key(long) == Key(long+"x") {
		t.Error("two long parts make one key")
	}
}

func TestSplitKeyRefuses(t *testing.T) {
	for _, bad := range []string{
		"", ".", "a.", ".a", "a..b", "a b", "a/b", "a=", "=a", "==", "a=2", "a=2e", "a=41", "=2E=", "é",
		"=H", "=Habc", "=H" + strings.Repeat("A", 44), "=H" + strings.Repeat("A", 42) + "B", "a=H" + strings.Repeat("A", 43),
		"a." + strings.Repeat("0", maxPart+1), strings.Repeat("=2E", maxPart+1),
	} {
		if parts, err := SplitKey(bad); !errors.Is(err, ErrInvalid) || parts != nil {
			t.Errorf("SplitKey(%q) = %q, %v, want an invalid key", bad, parts, err)
		}
	}
}

func TestKeyAllocates(t *testing.T) {
	parts := []string{"pub", "sip:alice@example.com", "presence", "a1b2"}
	key := Key(parts...)
	if n := testing.AllocsPerRun(100, func() { Key(parts...) }); n > 1 {
		t.Errorf("Key makes %v allocations, want the string alone", n)
	}
	if n := testing.AllocsPerRun(100, func() { CheckKey(key) }); n > 0 {
		t.Errorf("CheckKey makes %v allocations", n)
	}
}

// FuzzKey: what Key makes is a key, splits into what it was made of, and
// covers what lies under it.
func FuzzKey(f *testing.F) {
	f.Add("sip:alice@example.com", "")
	f.Add("=", "=2E.")
	f.Add(strings.Repeat("é", 64), strings.Repeat("é", 65))
	f.Fuzz(func(t *testing.T, a, b string) {
		key := Key(a, b)
		parts, err := SplitKey(key)
		if err != nil {
			t.Fatalf("SplitKey(%q): %v", key, err)
		}
		if len(parts) != 2 {
			t.Fatalf("SplitKey(%q) = %q", key, parts)
		}
		for i, p := range []string{a, b} {
			if len(p) <= maxPart && parts[i] != p {
				t.Errorf("part %q came back as %q", p, parts[i])
			}
			if len(p) > maxPart && (!strings.HasPrefix(parts[i], hashMark) || len(parts[i]) != hashLen+2) {
				t.Errorf("a part of %d bytes came back as %q", len(p), parts[i])
			}
		}
		if !Under(key, Key(a)) || !Under(key, key) || !Under(key, "") || Under(Key(a), key) || Under(Key(a+"x", b), Key(a)) {
			t.Errorf("%q and %q: wrong about what lies under what", Key(a), key)
		}
	})
}

// FuzzSplitKey: a key that is accepted is the one key of its parts.
func FuzzSplitKey(f *testing.F) {
	f.Add("pub.sip=3Aa=40b=2Ec.=.presence")
	f.Add("=H" + strings.Repeat("A", 43) + ".=3D")
	f.Fuzz(func(t *testing.T, key string) {
		parts, err := SplitKey(key)
		if err != nil {
			return
		}
		again := make([]string, len(parts))
		for i, raw := range strings.Split(key, ".") {
			again[i] = Key(parts[i])
			if strings.HasPrefix(raw, hashMark) {
				again[i] = raw
			}
		}
		if got := strings.Join(again, "."); got != key {
			t.Errorf("the parts of %q make %q", key, got)
		}
	})
}

func TestRound(t *testing.T) {
	second := Limits{TTLStep: time.Second}
	for ttl, want := range map[time.Duration]time.Duration{
		0: 0, 1: time.Second, time.Second: time.Second, time.Second + 1: 2 * time.Second,
		-1: -1, math.MaxInt64: math.MaxInt64,
	} {
		if got := second.Round(ttl); got != want {
			t.Errorf("%v is rounded to %v, want %v", ttl, got, want)
		}
	}
	if got := (Limits{}).Round(5); got != 5 {
		t.Errorf("without a step %v became %v", time.Duration(5), got)
	}
}

func TestKindString(t *testing.T) {
	var got []string
	for k := Put; k <= Reset+1; k++ {
		got = append(got, k.String())
	}
	if want := []string{"put", "delete", "expire", "synced", "reset", "kind(6)"}; !slices.Equal(got, want) {
		t.Errorf("kinds are named %q, want %q", got, want)
	}
}
