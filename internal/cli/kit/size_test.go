package kit

import "testing"

func TestParseBytes(t *testing.T) {
	for s, want := range map[string]Bytes{"0": 0, "65536": 65536, "64k": 64 << 10, "64K": 64 << 10, "64KiB": 64 << 10, "10M": 10 << 20, "10mib": 10 << 20,
		"2G": 2 << 30, "1T": 1 << 40, "9223372036854775807": 1<<63 - 1} {
		if got, err := ParseBytes(s); err != nil || got != want {
			t.Errorf("%s: %d, %v", s, got, err)
		}
	}
	for s, want := range map[string]string{"": "is no size", "k": "is no size", "1.5M": "is no size", "1kk": "is no size", "1ib": "is no size",
		"1MB": "is no size", "M1": "is no size", "1 M": "is no size", "-1": "is negative", "-1k": "is negative", "9000000T": "is too large", "99999999999999999999": "is too large"} {
		if got, err := ParseBytes(s); err == nil || len(err.Error()) < len(want) || err.Error()[:len(want)] != want {
			t.Errorf("%s: %d, %v", s, got, err)
		}
	}
}
