package cli

import "testing"

func TestGarbagePercent(t *testing.T) {
	for live, want := range map[uint64]int{0: 300, 1 << 20: 300, 16 << 20: 200, 20 << 20: 160, 32 << 20: 100, 1 << 30: 100} {
		if got := garbagePercent(live); got != want {
			t.Errorf("%d%% garbage with %d bytes alive, not %d%%", got, live, want)
		}
	}
}
