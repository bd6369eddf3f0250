package session

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"
	"time"
)

// TestSizes sends messages of all lengths around the limits in chunks of all sizes.
func TestSizes(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	for _, transport := range []string{"tcp", "tls", "ws", "wss"} {
		t.Run(transport, func(t *testing.T) {
			o := rigOptions{transport: transport, ca: splitting(seed), cb: splitting(seed + 100)}
			o.b.Stream = 1
			r := newRig(t, o)
			random := rand.New(rand.NewPCG(seed, 1))
			sizes := []int{0, 1, 2047, 2048, 2049, 70_000}
			if transport == "tcp" {
				sizes = append(sizes, 1_000_000)
			}
			for _, size := range sizes {
				for _, chunk := range []int{0, 1, 2048, 65536} {
					for _, known := range []bool{true, false} {
						if chunk == 1 && size > 3000 {
							continue
						}
						name := fmt.Sprintf("%d in %d, known %v", size, chunk, known)
						body := content(random, size)
						m := Message{Type: "application/octet-stream", Body: bytes.NewReader(body), Size: int64(size), Chunk: chunk, SuccessReport: true}
						if !known {
							m.Size, m.Body = -1, io.MultiReader(m.Body)
						}
						send(t, r, name, m, body)
					}
				}
			}
		})
	}
}

func send(t *testing.T, r *rig, name string, m Message, body []byte) {
	t.Helper()
	got := make(chan []byte, 1)
	go func() {
		in, err := r.b.Receive(t.Context())
		if err != nil {
			t.Error(name, err)
			got <- nil
			return
		}
		b, err := io.ReadAll(in)
		if err != nil {
			t.Error(name, err)
		}
		in.Close()
		got <- b
	}()
	sent, err := r.a.Send(t.Context(), m)
	if err != nil {
		t.Fatal(name, err)
	}
	if b := <-got; !bytes.Equal(b, body) {
		t.Errorf("%s: %d bytes came, and not what was sent", name, len(b))
	}
	if err := sent.Wait(t.Context()); err != nil {
		t.Error(name, err)
	}
	if n := sent.Reported(); n != int64(len(body)) {
		t.Errorf("%s: %d bytes were reported", name, n)
	}
}

// TestConstantMemory sends a large message to a reader that takes its time.
func TestConstantMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("64 MB through a connection")
	}
	for _, chunk := range []int{0, 65536} {
		r := newRig(t, rigOptions{})
		const size = 64_000_000
		done := sendAside(t.Context(), r.a, Message{Type: "a/b", Body: io.LimitReader(zeros{}, size), Size: size, Chunk: chunk})
		in, err := r.b.Receive(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 300_000)
		total, most := 0, 0
		for {
			n, err := in.Read(buf)
			total += n
			r.b.mu.Lock()
			most = max(most, r.b.unread)
			r.b.mu.Unlock()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := <-done; err != nil || total != size {
			t.Errorf("%v, %d bytes", err, total)
		}
		if most > 2<<20 {
			t.Errorf("%d bytes were held", most)
		}
	}
}
