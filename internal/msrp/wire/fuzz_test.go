package wire

import (
	"bytes"
	"errors"
	"io"
	"testing"
)

// FuzzBody compares where the scanner finds the end of a body with what the slow reference finds, whatever the reads.
func FuzzBody(f *testing.F) {
	f.Add([]byte("hello\r\n-------abcd$\r\nx"), uint8(3))
	f.Add([]byte("-------abcd+\r\n"), uint8(1))
	f.Add([]byte("\r\n\r\n-------abcd\r\n-------abcd$\r\r\n-------abcd#\r\n"), uint8(7))
	f.Fuzz(func(t *testing.T, stream []byte, step uint8) {
		want, flag, used := slowBody(stream, "abcd")
		head := "MSRP abcd SEND\r\n" + paths + "Content-Type: a/b\r\n\r\n"
		n := 0
		r := NewReader(&reading{append([]byte(head), stream...), func(int) int { n++; return n * int(step) % 61 }}, Limits{})
		if _, err := r.Next(); err != nil {
			t.Fatal(err)
		}
		var got []byte
		for {
			piece, end, err := r.Body()
			got = append(got, piece...)
			if err != nil {
				if err != io.ErrUnexpectedEOF || used >= 0 {
					t.Fatalf("%v after %q", err, got)
				}
				if !bytes.HasPrefix(stream, got) || len(stream)-len(got) > len("\r\n-------abcd$\r") {
					t.Fatalf("%q without an end gives %q", stream, got)
				}
				return
			}
			if end != 0 {
				if used < 0 || !bytes.Equal(got, want) || end != flag {
					t.Fatalf("%q gives %q %c", stream, got, end)
				}
				return
			}
		}
	})
}

// FuzzReader reads whatever comes at once and byte by byte.
func FuzzReader(f *testing.F) {
	f.Add([]byte("MSRP abcd SEND\r\n" + paths + "Message-ID: 1234\r\nByte-Range: 1-*/*\r\nContent-Type: a/b\r\n\r\nhello\r\n-------abcd$\r\n"))
	f.Add([]byte("\r\nMSRP abcd 200 OK\r\n" + paths + "-------abcd$\r\nMSRP abcd REPORT\r\n" + paths + "Status: 000 408 x\r\n-------abcd$\r\n"))
	f.Fuzz(func(t *testing.T, stream []byte) {
		limits := Limits{StartLine: 100, Head: 1000, Fields: 10}
		a, errA := readLenient(NewReader(bytes.NewReader(stream), limits))
		b, errB := readLenient(NewReader(&reading{stream, func(int) int { return 1 }}, limits))
		if len(a) != len(b) || (errA == nil) != (errB == nil) {
			t.Fatalf("%d frames and %v, byte by byte %d and %v", len(a), errA, len(b), errB)
		}
		for i := range a {
			if a[i] != b[i] {
				t.Fatalf("%+v and %+v", a[i], b[i])
			}
		}
	})
}

// readLenient reads frames, malformed ones too, until an error of another kind.
func readLenient(r *Reader) (list []frame, err error) {
	for {
		one, err := readAll(r)
		list = append(list, one...)
		if !errors.As(err, new(*Malformed)) {
			return list, err
		}
		list = append(list, frame{start: "malformed " + string(r.head.ID)})
	}
}

// FuzzWriter sends a body in pieces under an ID that it may hold, and reads it again.
func FuzzWriter(f *testing.F) {
	f.Add([]byte("a\r\n-------abcd$\r\nb"), uint8(5))
	f.Add([]byte("-------abcd"), uint8(1))
	f.Fuzz(func(t *testing.T, body []byte, piece uint8) {
		stream := send(t, body, []string{"abcd", "a-b-c-d-1", "a-b-c-d-2", "a-b-c-d-3"}, func() int { return 1 + int(piece) })
		list, err := readAll(NewReader(bytes.NewReader(stream), Limits{}))
		var got []byte
		for _, f := range list {
			got = append(got, f.body...)
		}
		if err != io.EOF || !bytes.Equal(got, body) {
			t.Fatalf("%v: %q", err, got)
		}
	})
}

// FuzzURI writes what it could read, and reads it again.
func FuzzURI(f *testing.F) {
	f.Add("msrps://u@[::1]:2855/a/b;tcp;x=y")
	f.Add("MSRP://%41:1/x;ws")
	f.Fuzz(func(t *testing.T, s string) {
		u, err := ParseURI(s)
		if err != nil {
			return
		}
		again, err := ParseURI(u.String())
		if err != nil || !again.Equal(u) || again.Authority() != u.Authority() {
			t.Fatalf("%q written as %q: %v", s, u, err)
		}
	})
}
