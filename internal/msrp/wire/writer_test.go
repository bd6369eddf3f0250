package wire

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
)

// send writes a body in pieces, each in a new chunk where the Writer wants it, under IDs that are tried in turn.
func send(t *testing.T, body []byte, ids []string, piece func() int) []byte {
	t.Helper()
	var out bytes.Buffer
	w := NewWriter(&out)
	n := 0
	begin := func() {
		w.Request(ids[n%len(ids)], SEND)
		w.Field("To-Path", "msrp://b:1/b;tcp")
		w.Field("From-Path", "msrp://a:1/a;tcp")
		w.Field("Content-Type", "a/b")
		w.Body(nil)
		n++
	}
	begin()
	for len(body) > 0 {
		part := body[:min(piece(), len(body))]
		fit := w.Body(part)
		body = body[fit:]
		if fit < len(part) {
			if n > 10000 {
				t.Fatal("no end of chunks")
			}
			w.End(More)
			begin()
		}
	}
	w.End(Last)
	size := w.Buffered()
	if err := w.Flush(); err != nil || size != out.Len() || w.Buffered() != 0 {
		t.Fatal(err, size, out.Len())
	}
	return out.Bytes()
}

func TestWriter(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	const id = "aB3.+%=-"
	for _, size := range []int{0, 1, 12, 100, 2047, 2048, 2049, 4096} {
		for name, body := range bodies(random, id, size) {
			for _, largest := range []int{1, 2, 7, 11, 100, 5000} {
				pieces := func() int { return 1 + random.IntN(largest) }
				stream := send(t, body, []string{id, "otherID1", "otherID2"}, pieces)
				list, err := readAll(NewReader(bytes.NewReader(stream), Limits{}))
				var got strings.Builder
				for i, f := range list {
					got.WriteString(f.body)
					if (f.end == Last) != (i == len(list)-1) {
						t.Fatalf("%s: flag %c of chunk %d of %d", name, f.end, i, len(list))
					}
				}
				if err != io.EOF || got.String() != string(body) {
					t.Fatalf("MSRP-017 %s of %d bytes in pieces of up to %d: %v, %d bytes in %d chunks", name, size, largest, err, got.Len(), len(list))
				}
			}
		}
	}
	t.Run("MSRP-017 the end-line of its own chunk", func(t *testing.T) {
		body := []byte("a\r\n-------" + id + "$\r\nb")
		stream := send(t, body, []string{id, "other"}, func() int { return 100 })
		list, err := readAll(NewReader(bytes.NewReader(stream), Limits{}))
		if err != io.EOF || len(list) != 2 || list[0].body+list[1].body != string(body) || list[0].end != More {
			t.Errorf("%v %+v", err, list)
		}
	})
	t.Run("MSRP-017 the end-line at the beginning", func(t *testing.T) {
		body := []byte("-------" + id + "$\r\nb")
		list, err := readAll(NewReader(bytes.NewReader(send(t, body, []string{id, "other"}, func() int { return 5 })), Limits{}))
		if err != io.EOF || list[0].body+list[1].body != string(body) {
			t.Errorf("%v %+v", err, list)
		}
	})
}

func TestIDs(t *testing.T) {
	t.Run("MSRP-011 random and unique", func(t *testing.T) {
		ids := NewIDs(nil)
		seen := map[string]bool{}
		var counts [256]int
		for range 20000 {
			id := ids.New()
			if !IsIdent(id) || len(id) < 11 || seen[id] {
				t.Fatal(id)
			}
			seen[id] = true
			for i := range len(id) {
				counts[id[i]]++
			}
		}
		for _, c := range idChars {
			if n := counts[c]; n < 4600 || n > 5750 { // 5161 and about 71 away
				t.Errorf("%c occurs %d times", c, n)
			}
		}
	})
	t.Run("MSRP-017 not one that the chunk holds", func(t *testing.T) {
		same := func(b []byte) { // makes the same ID first, then another
			for i := range b {
				b[i] = byte(i / idLength)
			}
		}
		first := NewIDs(same).New()
		if again := NewIDs(same).For([]byte("x-------" + first + "$")); again == first {
			t.Error(again)
		}
		if again := NewIDs(same).For([]byte("x------" + first + "$")); again != first {
			t.Error(again)
		}
	})
}

func TestAnswer(t *testing.T) {
	for method, to := range map[string]string{SEND: "msrp://r:1/r;tcp", AUTH: "msrp://r:1/r;tcp msrp://a:1/a;tcp"} {
		h, _, err := readOne([]byte("MSRP abcd " + method + "\r\nTo-Path: msrp://b:1/b;tcp msrp://c:1/c;tcp\r\nFrom-Path: msrp://r:1/r;tcp msrp://a:1/a;tcp\r\n-------abcd+\r\n"))
		if err != nil {
			t.Fatal(err)
		}
		want := "MSRP abcd 423 Parameter Out of Bounds\r\nTo-Path: " + to + "\r\nFrom-Path: msrp://b:1/b;tcp\r\nMin-Expires: 60\r\n-------abcd$\r\n"
		if got := AppendAnswer(nil, h, OutOfBounds, "Min-Expires", "60"); string(got) != want {
			t.Errorf("MSRP-047 %s", got)
		}
	}
}

func TestCodes(t *testing.T) {
	t.Run("MSRP-067 codes", func(t *testing.T) {
		for code, text := range map[int]string{OK: "200 OK", BadRequest: "400 Bad Request", Unauthorized: "401 Unauthorized", Forbidden: "403 Forbidden", NotFound: "404 Not Found",
			Timeout: "408 Downstream Timeout", StopSending: "413 Stop Sending Message", UnsupportedMediaType: "415 Unsupported Media Type",
			OutOfBounds: "423 Parameter Out of Bounds", NicknameReserved: "424 Nickname Usage Failed", NicknameMalformed: "425 Nickname Malformed",
			PrivateNotSupported: "428 Private Messages Not Supported", NoSuchSession: "481 No Such Session", UnknownMethod: "501 Unknown Method",
			WrongConnection: "506 Session Bound To Another Connection"} {
			if got := fmt.Sprint(code, " ", Comment(code)); got != text {
				t.Errorf("%s, not %s", got, text)
			}
		}
		if got := string(AppendResponse(nil, "abcd", 299, Comment(299))); got != "MSRP abcd 299\r\n" {
			t.Errorf("%q", got)
		}
	})
	t.Run("MSRP-009 MSRP-012 what is written", func(t *testing.T) {
		var out bytes.Buffer
		w := NewWriter(&out)
		w.Request("abcd", SEND)
		w.Field("To-Path", "msrp://b:1/b;tcp")
		w.Field("From-Path", "msrp://a:1/a;tcp")
		w.Range(Range{1, Unknown, 5})
		w.Field("Content-Type", "text/plain")
		w.Body([]byte("hello"))
		w.End(More)
		w.Flush()
		want := "MSRP abcd SEND\r\nTo-Path: msrp://b:1/b;tcp\r\nFrom-Path: msrp://a:1/a;tcp\r\nByte-Range: 1-*/5\r\nContent-Type: text/plain\r\n\r\nhello\r\n-------abcd+\r\n"
		if out.String() != want {
			t.Errorf("%q", out.String())
		}
	})
}
