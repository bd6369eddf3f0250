package session

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"
)

// FuzzAssembly compares with an array that every piece is copied into.
func FuzzAssembly(f *testing.F) {
	f.Add([]byte{10, 5, 0, 20, 3, 7, 9, 9}, uint64(1))
	f.Add([]byte{200, 1, 199, 2, 198, 1, 0, 255}, uint64(2))
	f.Fuzz(func(t *testing.T, steps []byte, seed uint64) {
		random := rand.New(rand.NewPCG(seed, 0))
		closed := false
		a := assembly{room: 300 + random.IntN(2000), make: func() (Spool, error) { return &memorySpool{closed: &closed}, nil }}
		var want []byte
		have := map[int]bool{}
		for len(steps) >= 2 && len(steps) < 200 {
			at, n := int(steps[0])*int(steps[0])/16, int(steps[1])
			steps = steps[2:]
			piece := content(random, n)
			if err := a.put(int64(at), piece, random.IntN(5) == 0); err != nil {
				t.Fatal(err)
			}
			for i, c := range piece {
				if at+i >= int(a.pos) {
					want = slices.Grow(want, at+i+1)
					for len(want) <= at+i {
						want = append(want, 0)
					}
					want[at+i], have[at+i] = c, true
				}
			}
			end := int(a.pos)
			for have[end] {
				end++
			}
			if got := a.contiguous(); got != int64(end) {
				t.Fatalf("%d bytes are contiguous, and not %d", got, end)
			}
			if random.IntN(3) == 0 {
				from := int(a.pos)
				b := make([]byte, random.IntN(300))
				n, err := a.read(b)
				if err != nil || !bytes.Equal(b[:n], want[from:from+n]) || n < min(len(b), end-from) {
					t.Fatalf("%d bytes at %d of %d are wrong: %v", n, from, end, err)
				}
			}
		}
		a.free()
	})
}
