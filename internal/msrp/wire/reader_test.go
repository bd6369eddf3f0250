package wire

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"testing/iotest"
)

const paths = "To-Path: msrp://b.example:2855/b;tcp\r\nFrom-Path: msrp://a.example:2855/a;tcp\r\n"

// frame is what a reader gave, with the pieces of its body joined.
type frame struct {
	start string
	body  string
	has   bool
	end   Flag
}

// readAll reads frames until an error.
func readAll(r *Reader) (list []frame, err error) {
	for {
		h, err := r.Next()
		if err != nil {
			return list, err
		}
		f := frame{start: fmt.Sprintf("%s %s%03d %q", h.ID, h.Method, h.Code, h.Fields), has: h.Body, end: h.End}
		for {
			piece, end, err := r.Body()
			if err == io.EOF {
				break
			}
			if err != nil {
				return list, err
			}
			f.body += string(piece)
			f.end |= end
		}
		list = append(list, f)
	}
}

// slowBody finds the end of a body in the plainest way: at each place it looks whether a line end, the end-line and its
// line end are there. The line end before the body counts, too. It gives -1 without an end.
func slowBody(stream []byte, id string) (body []byte, end Flag, used int) {
	stream = append([]byte("\r\n"), stream...)
	for i := range stream {
		for _, flag := range []Flag{Last, More, Abort} {
			line := "\r\n-------" + id + string(flag) + "\r\n"
			if strings.HasPrefix(string(stream[i:]), line) {
				return stream[min(2, i):i][:max(i-2, 0)], flag, i + len(line) - 2
			}
		}
	}
	return nil, 0, -1
}

// reading is a reader that gives what it is told at each read.
type reading struct {
	data []byte
	cuts func(left int) int
}

func (r *reading) Read(p []byte) (int, error) {
	if len(r.data) == 0 {
		return 0, io.EOF
	}
	n := min(len(p), len(r.data), max(r.cuts(len(r.data)), 1))
	copy(p, r.data[:n])
	r.data = r.data[n:]
	return n, nil
}

// bodies are hard ones for a transaction ID.
func bodies(random *rand.Rand, id string, size int) map[string][]byte {
	noise := make([]byte, size)
	for i := range noise {
		noise[i] = byte(random.Uint32())
	}
	like := func(s string) []byte { return bytes.Repeat([]byte(s), size/len(s)+1)[:size] }
	return map[string][]byte{
		"random":           noise,
		"all CRLF":         like("\r\n"),
		"all CR":           like("\r"),
		"hyphens":          like("-"),
		"CRLF and hyphens": like("\r\n-------"),
		"no flag":          like("\r\n-------" + id),
		"wrong flag":       like("\r\n-------" + id + "!\r\n"),
		"no line end":      like("\r\n-------" + id + "$\rx"),
		"no CR":            like("\r\n-------" + id + "$\n"),
		"no line before":   like("-------" + id + "$\r\n-"),
		"other ID":         like("\r\n-------" + id[1:] + "$\r\n"),
	}
}

func TestBodies(t *testing.T) {
	t.Run("MSRP-014 line ends around the body", func(t *testing.T) {
		for _, body := range []string{"", "\r\n", "x\r\n", "\r\nx", "x\r", "\n"} {
			list, err := readAll(NewReader(strings.NewReader("MSRP abcd SEND\r\n"+paths+"Content-Type: a/b\r\n\r\n"+body+"\r\n-------abcd$\r\n"), Limits{}))
			if err != io.EOF || list[0].body != body {
				t.Errorf("%q: %+v %v", body, list, err)
			}
		}
	})
	t.Run("MSRP-018 only the exact end-line ends it, wherever reads begin", testBodies)
}

func testBodies(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	const id = "aB3.+%=-"
	sizes := []int{0, 1, 2, 3, 12, 13, 17, 40, 100, 1000, 2047, 2048, 2049, 4096}
	if os.Getenv("IMP_LONG") != "" {
		for size := 50; size < 4096; size += 16 {
			sizes = append(sizes, size)
		}
	}
	for _, size := range sizes {
		for name, body := range bodies(random, id, size) {
			if _, _, used := slowBody(append(bytes.Clone(body), "\r\n"...), id); used >= 0 {
				continue // cannot be sent with this ID
			}
			stream := "MSRP " + id + " SEND\r\n" + paths + "Message-ID: 1234\r\nContent-Type: a/b\r\n\r\n" + string(body) +
				"\r\n-------" + id + "+\r\nMSRP next 200\r\n" + paths + "-------next$\r\n"
			check := func(how string, r io.Reader) {
				t.Helper()
				list, err := readAll(NewReader(r, Limits{}))
				if err != io.EOF || len(list) != 2 || list[0].body != string(body) || list[0].end != More || list[1].end != Last {
					t.Fatalf("%s of %d bytes, %s: %d frames, error %v", name, size, how, len(list), err)
				}
			}
			check("at once", strings.NewReader(stream))
			check("byte by byte", iotest.OneByteReader(strings.NewReader(stream)))
			check("with the end", iotest.DataErrReader(strings.NewReader(stream)))
			for cut := 1; cut < len(stream); cut++ {
				check(fmt.Sprint("cut at ", cut), twoReads(stream, cut))
			}
			check("random reads", &reading{[]byte(stream), func(int) int { return random.IntN(60) }})
		}
	}
}

// TestChunks reads a body in chunks of each size.
func TestChunks(t *testing.T) {
	const id, size = "aB3.+%=-", 4096
	for name, body := range bodies(rand.New(rand.NewPCG(5, 6)), id, size) {
		for chunk := 1; chunk <= size; chunk++ {
			var stream strings.Builder
			for at := 0; at < size; at += chunk {
				part, end := body[at:min(at+chunk, size)], "+"
				if at+chunk >= size {
					end = "$"
				}
				fmt.Fprintf(&stream, "MSRP 0%s SEND\r\n%sByte-Range: %d-%d/%d\r\nContent-Type: a/b\r\n\r\n%s\r\n-------0%s%s\r\n",
					id, paths, at+1, at+len(part), size, part, id, end)
			}
			list, err := readAll(NewReader(strings.NewReader(stream.String()), Limits{}))
			var got strings.Builder
			for _, f := range list {
				got.WriteString(f.body)
			}
			if err != io.EOF || got.String() != string(body) || len(list) != (size+chunk-1)/chunk || list[len(list)-1].end != Last {
				t.Fatalf("%s in chunks of %d: %d frames, %d bytes, error %v", name, chunk, len(list), got.Len(), err)
			}
		}
	}
}

func twoReads(s string, cut int) io.Reader {
	return io.MultiReader(strings.NewReader(s[:cut]), strings.NewReader(s[cut:]))
}

func TestFraming(t *testing.T) {
	one := func(t *testing.T, stream string) (*Head, *Reader, error) {
		r := NewReader(iotest.OneByteReader(strings.NewReader(stream)), Limits{})
		h, err := r.Next()
		return h, r, err
	}
	t.Run("MSRP-009 start lines", func(t *testing.T) {
		for _, s := range []string{"MSRP abcd SEND", "MSRP abcd X_Y", "MSRP abcd 200", "MSRP abcd 200 OK", "MSRP a.-+%= 481 a  b", "MSRP abcd 200 "} {
			if _, _, err := one(t, s+"\r\n"+paths+"-------"+strings.Fields(s)[1]+"$\r\n"); err != nil {
				t.Errorf("%q: %v", s, err)
			}
		}
		for _, s := range []string{" MSRP abcd SEND", "msrp abcd SEND", "MSRP  abcd SEND", "MSRP abcd  SEND", "MSRP abcd send", "MSRP abcd Send", "MSRP abcd",
			"MSRP abcd ", "MSRP abcd 20", "MSRP abcd 2000", "MSRP abcd 20x", "MSRP abcd 099", "MSRP abcd SEND ", "MSRP abcd 200  \x01", "GET / HTTP/1.1", "MSRPabcd SEND", "MSRP abcd S3ND\x00"} {
			if _, _, err := one(t, s+"\r\n"+paths+"-------abcd$\r\n"); err == nil || errors.As(err, new(*Malformed)) {
				t.Errorf("%q is taken: %v", s, err)
			}
		}
		if _, _, err := one(t, "MSRP abcd SEND\n"+paths+"-------abcd$\r\n"); err == nil {
			t.Error("a bare LF ends a start line")
		}
		if _, _, err := one(t, "MSRP abcd SEND\r\nTo-Path: msrp://b:1/b;tcp\nFrom-Path: msrp://a:1/a;tcp\r\n-------abcd$\r\n"); err == nil {
			t.Error("a bare LF ends a header line")
		}
	})
	t.Run("MSRP-010 identifiers", func(t *testing.T) {
		for id, good := range map[string]bool{"abc": false, "abcd": true, "1bcd": true, ".bcd": false, "ab cd": false, strings.Repeat("a", 32): true,
			strings.Repeat("a", 33): false, "ab_d": false, "ab/d": false, "äbcd": false} {
			if _, _, err := one(t, "MSRP "+id+" SEND\r\n"+paths+"-------"+id+"$\r\n"); (err == nil) != good {
				t.Errorf("transaction ID %q: %v", id, err)
			}
			_, _, err := one(t, "MSRP abcd SEND\r\n"+paths+"Message-ID: "+id+"\r\n-------abcd$\r\n")
			if bad := errors.As(err, new(*Malformed)); bad == good {
				t.Errorf("Message-ID %q: %v", id, err)
			}
		}
	})
	t.Run("MSRP-013 unknown header fields", func(t *testing.T) {
		h, _, err := one(t, "MSRP abcd SEND\r\n"+paths+"X-Foo: bär: baz\r\nMessage-ID: 1234\r\nFoo: \r\n-------abcd$\r\n")
		if err != nil || string(h.Get("x-foo")) != "bär: baz" || len(h.Fields) != 5 || string(h.MessageID) != "1234" {
			t.Errorf("%v %q", err, h.Fields)
		}
	})
	t.Run("MSRP-015 no body and an empty one", func(t *testing.T) {
		h, r, err := one(t, "MSRP abcd SEND\r\n"+paths+"-------abcd$\r\n")
		if err != nil || h.Body || h.End != Last {
			t.Errorf("no body: %v, body %v, flag %c", err, h.Body, h.End)
		}
		if _, _, err := r.Body(); err != io.EOF {
			t.Errorf("no body: %v", err)
		}
		for _, lines := range []string{"\r\n\r\n", "\r\n"} { // the second is what some peers send
			h, r, err = one(t, "MSRP abcd SEND\r\n"+paths+"Content-Type: a/b\r\n"+lines+"-------abcd#\r\n")
			if err != nil || !h.Body || h.End != 0 {
				t.Errorf("empty body: %v, body %v, flag %c", err, h.Body, h.End)
			}
			if piece, end, err := r.Body(); len(piece) > 0 || end != Abort || err != nil {
				t.Errorf("empty body: %q %c %v", piece, end, err)
			}
		}
	})
	t.Run("MSRP-016 flags", func(t *testing.T) {
		for _, flag := range []Flag{Last, More, Abort} {
			if h, _, err := one(t, "MSRP abcd SEND\r\n"+paths+"-------abcd"+string(flag)+"\r\n"); err != nil || h.End != flag {
				t.Errorf("%c: %v %c", flag, err, h.End)
			}
		}
		if _, _, err := one(t, "MSRP abcd SEND\r\n"+paths+"-------abcd!\r\n"); err == nil {
			t.Error("flag ! is taken")
		}
	})
	t.Run("MSRP-021 a response of two header fields", func(t *testing.T) {
		h, _, err := one(t, "MSRP abcd 200 OK\r\n"+paths+"-------abcd$\r\n")
		if err != nil || h.Code != 200 || string(h.Comment) != "OK" || h.Method != "" || len(h.Fields) != 2 {
			t.Errorf("%v %+v", err, h)
		}
	})
	t.Run("MSRP-022 names are compared without regard to case, methods with", func(t *testing.T) {
		h, _, err := one(t, "MSRP abcd SEND\r\n"+strings.ToUpper(paths[:7])+paths[7:]+"message-id: 1234\r\nFAILURE-REPORT: Partial\r\n-------abcd$\r\n")
		if err != nil || string(h.MessageID) != "1234" || h.FailureReport != FailurePartial {
			t.Errorf("%v %+v", err, h)
		}
		if _, _, err := one(t, "MSRP abcd send\r\n"+paths+"-------abcd$\r\n"); err == nil {
			t.Error("a method in lower case is taken")
		}
	})
	t.Run("MSRP-019 all octets", func(t *testing.T) {
		var body []byte
		for i := range 256 {
			body = append(body, byte(i))
		}
		list, err := readAll(NewReader(strings.NewReader("MSRP abcd SEND\r\n"+paths+"Content-Type: a/b\r\n\r\n"+string(body)+"\r\n-------abcd$\r\n"), Limits{}))
		if err != io.EOF || list[0].body != string(body) {
			t.Error(err)
		}
	})
	t.Run("line ends between frames", func(t *testing.T) {
		ack := "MSRP abcd 200 OK\r\n" + paths + "-------abcd$\r\n"
		list, err := readAll(NewReader(strings.NewReader("\r\n\r\n"+ack+"\r\n"+ack), Limits{}))
		if err != io.EOF || len(list) != 2 {
			t.Errorf("%d frames, %v", len(list), err)
		}
	})
}

func TestMalformed(t *testing.T) {
	good := paths + "Message-ID: 1234\r\n"
	for _, fields := range []string{
		"From-Path: msrp://a:1/a;tcp\r\nTo-Path: msrp://a:1/a;tcp\r\n", // MSRP-012
		"To-Path: msrp://a:1/a;tcp\r\n",
		"To-Path: msrp://a:1/a\r\nFrom-Path: msrp://a:1/a;tcp\r\n",
		"To-Path: msrp://a:1/a;tcp  msrp://a:1/a;tcp\r\nFrom-Path: msrp://a:1/a;tcp\r\n",
		paths + paths, good + "Message-ID: 1234\r\n", good + "Byte-Range: 1-2\r\n", good + "Byte-Range: 0-2/3\r\n", good + "Byte-Range: *-2/3\r\n",
		good + "Byte-Range: 1-2/9999999999999999999\r\n", good + "Byte-Range: -1-2/3\r\n", good + "Success-Report: partial\r\n", good + "Failure-Report: maybe\r\n",
		good + "Status: 000\r\n", good + "Status: 000 20\r\n", good + "Status: 000 2000\r\n", good + "X\r\n", good + "X:y\r\n", good + "X :y\r\n", good + ": y\r\n",
		good + "X: \x01\r\n", good + "X: \xff\r\n", good + "X: y\r\n z\r\n", good + "Byte-Range: 1-2/3\r\nbyte-range: 1-2/3\r\n",
		"", good + "\r\nbody without a type\r\n",
	} {
		r := NewReader(strings.NewReader("MSRP abcd SEND\r\n"+fields+"-------abcd$\r\nMSRP efgh SEND\r\n"+good+"-------efgh$\r\n"), Limits{})
		h, err := r.Next()
		var bad *Malformed
		if !errors.As(err, &bad) || string(h.ID) != "abcd" || h.Method != SEND {
			t.Errorf("%q: %v", fields, err)
			continue
		}
		if h, err := r.Next(); err != nil || string(h.ID) != "efgh" {
			t.Errorf("the frame behind %q: %v", fields, err)
		}
	}
}

func TestLimits(t *testing.T) {
	limits := Limits{StartLine: 40, Head: 300, Fields: 4}
	for what, stream := range map[string]string{
		"start line":        "MSRP abcd 200 " + strings.Repeat("x", 100),
		"garbage":           strings.Repeat("x", 10),
		"head":              "MSRP abcd SEND\r\n" + paths + "X: " + strings.Repeat("x", 300),
		"head of few lines": "MSRP abcd SEND\r\n" + paths + "X: " + strings.Repeat("x", 300) + "\r\n-------abcd$\r\n",
		"fields":            "MSRP abcd SEND\r\n" + paths + "A: 1\r\nB: 2\r\nC: 3\r\n-------abcd$\r\n",
	} {
		h, err := NewReader(iotest.OneByteReader(io.MultiReader(strings.NewReader(stream), neverEnds{})), limits).Next()
		if err == nil || errors.As(err, new(*Malformed)) {
			t.Errorf("%s: %v", what, err)
		}
		if strings.HasPrefix(stream, "MSRP abcd SEND") && string(h.ID) != "abcd" {
			t.Errorf("%s: transaction ID %q", what, h.ID)
		}
	}
	if _, err := NewReader(strings.NewReader("MSRP abcd SEND\r\n"+paths+"A: 1\r\nB: 2\r\n-------abcd$\r\n"), limits).Next(); err != nil {
		t.Errorf("as much as there may be: %v", err)
	}
}

// neverEnds fails a test that reads too far, by giving what is of no use.
type neverEnds struct{}

func (neverEnds) Read(p []byte) (int, error) { return copy(p, "x"), nil }

func TestEnd(t *testing.T) {
	whole := "MSRP abcd SEND\r\n" + paths + "Content-Type: a/b\r\n\r\nhello\r\n-------abcd$\r\n"
	for cut := 1; cut < len(whole); cut++ {
		list, err := readAll(NewReader(strings.NewReader(whole[:cut]), Limits{}))
		if err != io.ErrUnexpectedEOF || len(list) != 0 {
			t.Fatalf("cut at %d: %d frames, %v", cut, len(list), err)
		}
	}
}

func TestResume(t *testing.T) {
	whole := "MSRP abcd SEND\r\n" + paths + "Content-Type: a/b\r\n\r\nhello\r\n\r\n-------abcd$\r\n"
	r := NewReader(iotest.TimeoutReader(iotest.OneByteReader(strings.NewReader(whole))), Limits{})
	_, err := r.Next()
	if err != iotest.ErrTimeout {
		t.Fatal(err)
	}
	if list, err := readAll(r); err != io.EOF || len(list) != 1 || list[0].body != "hello\r\n" {
		t.Errorf("%v, %v", list, err)
	}
}

func TestHeadOutlivesItsBuffer(t *testing.T) {
	body := strings.Repeat("x", 300000)
	r := NewReader(strings.NewReader("MSRP abcd SEND\r\n"+paths+"Message-ID: 1234\r\nContent-Type: a/b\r\n\r\n"+body+"\r\n-------abcd$\r\n"), Limits{})
	h, err := r.Next()
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for {
		piece, end, err := r.Body()
		if n += len(piece); err != nil {
			t.Fatal(err)
		}
		if end != 0 {
			break
		}
	}
	if n != len(body) || string(h.ID) != "abcd" || string(h.MessageID) != "1234" || string(h.Fields[3].Value) != "a/b" {
		t.Errorf("%d bytes, %q", n, h.Fields)
	}
}
