package key

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"imp/internal/store"
	"imp/internal/xcap/uri"
)

func parse(t testing.TB, s string) *uri.URI {
	t.Helper()
	u, err := uri.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return u.Canonical(uri.Naming{})
}

func TestKeys(t *testing.T) {
	long := "sip:" + strings.Repeat("x", 200) + "@example.com"
	k := Document("/root", parse(t, "pres-rules/users/sip:joe@example.com/d/index"))
	for _, prefix := range []string{Root("/root"), Usage("/root", "pres-rules"), Users("/root", "pres-rules"), Home("/root", "pres-rules", "sip:joe@example.com")} {
		if !store.Under(k, prefix) {
			t.Errorf("%s is not under %s", k, prefix)
		}
	}
	for _, prefix := range []string{Root("/"), Usage("/root", "pres"), Global("/root", "pres-rules"), Home("/root", "pres-rules", "sip:joe@example.co"), Claims()} {
		if store.Under(k, prefix) {
			t.Errorf("%s is under %s", k, prefix)
		}
	}
	if k := Document("", parse(t, "a/users/"+long+"/x")); !store.Under(k, Home("", "a", long)) || store.CheckKey(k) != nil {
		t.Error(k)
	}
	seen := map[string]string{}
	for _, s := range []string{"a/users/b/c", "a/users/b/c/d", "a/users/b/c%2Fd", "a/users/global/c", "a/global/c", "a/global/users/c", "a/users/b%2Ec/d", "a/users/b/c.d"} {
		k := Document("", parse(t, s))
		if seen[k] != "" {
			t.Errorf("%s and %s have one key", s, seen[k])
		}
		seen[k] = s
	}
	t.Run("XCAP-004 roots share nothing", func(t *testing.T) {
		u := parse(t, "a/users/b/c")
		if Document("/a", u) == Document("/b", u) || store.Under(Document("/a", u), Root("/b")) {
			t.Error("one key")
		}
	})
	t.Run("XCAP-010 both forms of the separator name one document", func(t *testing.T) {
		if Document("", parse(t, "a/users/joe@d/c/~~/x")) != Document("", parse(t, "a/users/sip%3Ajoe@D/c/%7e%7e/y")) {
			t.Error("two keys")
		}
	})
	if Claim("sip:%6aoe@EXAMPLE.com") != Claim("sip:joe@example.com") || Claim("sip:a@b") == Claim("sip:A@b") || !store.Under(Claim("x"), Claims()) {
		t.Error("claims")
	}
}

func TestValues(t *testing.T) {
	for _, v := range []Value{{}, {"e1", "a/users/b/c", "e0", []byte("<a/>"), time.Unix(1_800_000_000, 0)}, {strings.Repeat("e", 300), "p", "", []byte{0, 1}, time.Time{}}} {
		got, err := Parse(v.Bytes())
		if err != nil || got.ETag != v.ETag || got.Path != v.Path || got.Previous != v.Previous || string(got.Body) != string(v.Body) || !got.Modified.Equal(v.Modified) {
			t.Errorf("got %+v, %v, want %+v", got, err, v)
		}
	}
	v := Value{Path: "a/users/sip:b@c/d"}
	if u, err := v.URI(); err != nil || !reflect.DeepEqual(u, parse(t, v.Path)) {
		t.Errorf("got %v, %v", u, err)
	}
	for _, s := range []string{"", "\x02", "\x02\x80", "\x02\x00", "\x03", "\x01", "\x01\x05abc", "\x01\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"} {
		if _, err := Parse([]byte(s)); err == nil {
			t.Errorf("%q is read", s)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(Value{"e", "p", "d", []byte("b"), time.Time{}}.Bytes())
	f.Add(Value{"e", "p", "d", []byte("b"), time.Unix(1, 0)}.Bytes())
	f.Fuzz(func(t *testing.T, src []byte) {
		if v, err := Parse(src); err == nil {
			if again, err := Parse(v.Bytes()); err != nil || !reflect.DeepEqual(again, v) {
				t.Errorf("%q: %+v, %v", src, again, err)
			}
		}
	})
}
