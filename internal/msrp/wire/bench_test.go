package wire

import (
	"io"
	"math/rand/v2"
	"testing"
)

// endless gives the same bytes again and again.
type endless struct {
	data []byte
	at   int
}

func (e *endless) Read(p []byte) (n int, err error) {
	for n < len(p) {
		c := copy(p[n:], e.data[e.at:])
		n += c
		e.at = (e.at + c) % len(e.data)
	}
	return n, nil
}

func chunk(size int) []byte {
	random := rand.New(rand.NewPCG(5, 6))
	b := []byte("MSRP d93kswow SEND\r\nTo-Path: msrps://relay.example.com:2855/jui787s2f;tcp msrps://bob.example.com:49154/foo;tcp\r\n" +
		"From-Path: msrps://alice.example.com:7654/iau39soe2843z;tcp\r\nMessage-ID: 87652491\r\nByte-Range: 1-*/*\r\nSuccess-Report: no\r\nContent-Type: application/octet-stream\r\n\r\n")
	for range size {
		b = append(b, byte(random.Uint32()))
	}
	return append(b, "\r\n-------d93kswow$\r\n"...)
}

func benchRead(b *testing.B, size int) {
	data := chunk(size)
	r := NewReader(&endless{data: data}, Limits{})
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.Next(); err != nil {
			b.Fatal(err)
		}
		for {
			_, end, err := r.Body()
			if err != nil {
				b.Fatal(err)
			}
			if end != 0 {
				break
			}
		}
	}
}

func BenchmarkRead2k(b *testing.B)  { benchRead(b, 2048) }
func BenchmarkRead64k(b *testing.B) { benchRead(b, 65536) }

func BenchmarkReadAck(b *testing.B) {
	data := []byte("MSRP d93kswow 200 OK\r\nTo-Path: msrps://alice.example.com:7654/iau39soe2843z;tcp\r\nFrom-Path: msrps://relay.example.com:2855/jui787s2f;tcp\r\n-------d93kswow$\r\n")
	r := NewReader(&endless{data: data}, Limits{})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.Next(); err != nil {
			b.Fatal(err)
		}
	}
}

func benchWrite(b *testing.B, size int) {
	body := chunk(size)
	w := NewWriter(io.Discard)
	ids := NewIDs(func(p []byte) {
		for i := range p {
			p[i] = byte(rand.Uint32())
		}
	})
	var id []byte
	b.SetBytes(int64(size))
	b.ReportAllocs()
	for b.Loop() {
		id = ids.Append(id[:0])
		w.Request(string(id), SEND)
		w.Field("To-Path", "msrps://relay.example.com:2855/jui787s2f;tcp msrps://bob.example.com:49154/foo;tcp")
		w.Field("From-Path", "msrps://alice.example.com:7654/iau39soe2843z;tcp")
		w.Field("Message-ID", "87652491")
		w.Range(Range{1, Unknown, Unknown})
		w.Field("Content-Type", "application/octet-stream")
		if w.Body(body[:size]) != size {
			b.Fatal("cut")
		}
		w.End(Last)
		if w.Buffered() > 100000 {
			w.Flush()
		}
	}
}

func BenchmarkWrite2k(b *testing.B)  { benchWrite(b, 2048) }
func BenchmarkWrite64k(b *testing.B) { benchWrite(b, 65536) }
