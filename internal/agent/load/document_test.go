package load

import (
	"bytes"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"

	"imp/internal/doc/pidf"
	"imp/internal/sip/stack"
)

func TestDocument(t *testing.T) {
	for _, uri := range []string{"sip:alice@example.com", "sip:a&b@example.com", "pres:x@y"} {
		for _, size := range []int{0, 300, 301, 1000, 5000} {
			body, at := document(uri, "run7", size)
			if len(body) < size || size > 400 && len(body) != size {
				t.Errorf("%d bytes were asked for, %d are there", size, len(body))
			}
			writeMark(body[at:], 17, 1234567890*time.Nanosecond)
			if err := pidf.Check(body); err != nil {
				t.Errorf("%v in %s", err, body)
			}
			if d, err := pidf.Parse(body); err != nil || len(d.Facts("entity")) > 0 && d.Facts("entity")[0] != uri {
				t.Errorf("%v, entity %v", err, d.Facts("entity"))
			}
			number, sent, ok := readMark(body, "run7")
			if number != 17 || sent != 1234567890 || !ok {
				t.Errorf("read %d, %v, %v", number, sent, ok)
			}
		}
	}
}

func TestMarksOfOthers(t *testing.T) {
	body, at := document("sip:alice@example.com", "run7", 0)
	writeMark(body[at:], 999999999999, 9999999999999999)
	if number, sent, ok := readMark(body, "run7"); number != 999999999999 || sent != 9999999999999999 || !ok {
		t.Errorf("read %d, %v, %v", number, sent, ok)
	}
	for name, other := range map[string][]byte{
		"another run": bytes.ReplaceAll(body, []byte("run7"), []byte("run8")),
		"no mark":     bytes.ReplaceAll(body, []byte(markName), []byte("nothing-")),
		"cut off":     body[:at+numberSize+timeSize],
		"no digits":   bytes.ReplaceAll(body, []byte("-9999"), []byte("-x999")),
		"empty":       nil,
	} {
		if number, sent, ok := readMark(other, "run7"); ok {
			t.Errorf("%s: %d, %v", name, number, sent)
		}
	}
}

func FuzzReadMark(f *testing.F) {
	body, at := document("sip:alice@example.com", "run7", 0)
	writeMark(body[at:], 17, time.Second)
	f.Add(body)
	f.Add([]byte("imp-bench-run7-000000000017-"))
	f.Fuzz(func(t *testing.T, body []byte) {
		number, sent, ok := readMark(body, "run7")
		if !ok {
			return
		}
		mark := make([]byte, numberSize+1+timeSize)
		writeMark(mark, number, sent)
		if !bytes.Contains(body, mark[:numberSize]) || !bytes.Contains(body, mark[numberSize+1:]) {
			t.Errorf("%d and %v are not in %q", number, sent, body)
		}
	})
}

func TestNotifyOfNobody(t *testing.T) {
	g := newGenerator(Config{Presentities: users(2), Watchers: 2})
	for _, id := range []string{"x", "w0", "w0.other", "w4." + g.id, "w-1." + g.id, "p0." + g.id, "w." + g.id, "w00000000000000000000000001." + g.id + "x"} {
		r := parse[*sip.Request](t, "NOTIFY sip:w0@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.2;branch=z9hG4bKy\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:a@b>;tag=2\r\nCall-ID: "+
			id+"\r\nCSeq: 1 NOTIFY\r\nContact: <sip:192.0.2.2>\r\nEvent: presence\r\nSubscription-State: active\r\nContent-Length: 0\r\n\r\n")
		if res := g.notify(t.Context(), &stack.Request{Request: r}); res.Status != 481 {
			t.Errorf("NOTIFY with Call-ID %q is answered %d", id, res.Status)
		}
	}
}
