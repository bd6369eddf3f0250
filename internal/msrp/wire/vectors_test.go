package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const vectors = "../../../../shared/vectors/examples"

// TestVectors reads the MSRP examples of the RFCs and writes them again.
func TestVectors(t *testing.T) {
	index, err := os.ReadFile(filepath.Join(vectors, "index.json"))
	if err != nil {
		t.Skip("no shared vectors at ../shared/vectors")
	}
	var list []struct {
		File, Kind, StartLine string
		Valid                 bool
		ElidedParts           []string `json:"elided_parts"`
		Note                  string
	}
	if err := json.Unmarshal(index, &list); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, e := range list {
		if !strings.HasPrefix(e.Kind, "msrp-") {
			continue
		}
		n++
		data, err := os.ReadFile(filepath.Join(vectors, e.File))
		if err != nil {
			t.Fatal(err)
		}
		h, body, err := readOne(data)
		incomplete := strings.Contains(strings.Join(e.ElidedParts, " "), "headers") || strings.Contains(e.Note, "no end-line")
		if incomplete {
			if err == nil {
				t.Errorf("%s is taken, yet %s", e.File, e.Note)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", e.File, err)
			continue
		}
		if (h.Method != "") != (e.Kind == "msrp-request") {
			t.Errorf("%s: method %q", e.File, h.Method)
		}
		if again := write(h, body); !bytes.Equal(again, data) {
			t.Errorf("%s written again:\n%s\nis:\n%s", e.File, again, data)
		}
	}
	if n < 80 {
		t.Errorf("%d examples", n)
	}
}

// readOne reads a frame that nothing follows. The flag of a body is put into the head.
func readOne(data []byte) (*Head, []byte, error) {
	r := NewReader(bytes.NewReader(data), Limits{})
	h, err := r.Next()
	if err != nil {
		return nil, nil, err
	}
	var body []byte
	for h.Body && h.End == 0 {
		piece, end, err := r.Body()
		if err != nil {
			return nil, nil, err
		}
		body, h.End = append(body, piece...), end
	}
	if _, err := r.fillAfter(); err != io.EOF {
		return nil, nil, errors.New("something follows")
	}
	return h, body, nil
}

func (r *Reader) fillAfter() (int, error) {
	if r.Buffered() > 0 {
		return r.Buffered(), nil
	}
	return r.r.Read(make([]byte, 1))
}

func write(h *Head, body []byte) []byte {
	var b []byte
	if h.Method != "" {
		b = AppendRequest(b, h.ID, h.Method)
	} else {
		b = AppendResponse(b, h.ID, h.Code, string(h.Comment))
	}
	for _, f := range h.Fields {
		b = AppendField(b, string(f.Name), f.Value)
	}
	if h.Body {
		b = append(append(b, "\r\n"...), body...)
	}
	return AppendEnd(b, h.ID, h.End, h.Body)
}

// otherwise are the responses that are printed in another form than who gets the request would give them.
var otherwise = map[string]string{
	"rfc4976-5.1-8.msrp":   "the relay in between has put itself before the one that answers",
	"rfc4976-5.1-12.msrp":  "the relay in between has put itself before the one that answers",
	"rfc7701-9.2-2.msrp":   "the comment is another one",
	"rfc7977-8.2.3-4.msrp": "two blanks before each path",
	"rfc7977-8.4.2-4.msrp": "it goes to another session than its request came from",
}

// TestVectorsAnswered answers the requests of the examples as their responses are printed.
func TestVectorsAnswered(t *testing.T) {
	index, err := os.ReadFile(filepath.Join(vectors, "index.json"))
	if err != nil {
		t.Skip("no shared vectors at ../shared/vectors")
	}
	var list []struct {
		File, Kind, Section string
		RFC                 int
	}
	if err := json.Unmarshal(index, &list); err != nil {
		t.Fatal(err)
	}
	asked := map[string][]byte{} // the last request of each transaction in a section
	n := 0
	for _, e := range list {
		if !strings.HasPrefix(e.Kind, "msrp-") {
			continue
		}
		data, err := os.ReadFile(filepath.Join(vectors, e.File))
		if err != nil {
			t.Fatal(err)
		}
		h, _, err := readOne(data)
		if err != nil {
			continue // TestVectors knows why
		}
		key := fmt.Sprint(e.RFC, " ", e.Section, " ", string(h.ID))
		if h.Method != "" {
			asked[key] = data
			continue
		}
		request := asked[key]
		if request == nil {
			t.Logf("%s: its request is not printed", e.File)
			continue
		}
		var more []string
		for _, f := range h.Fields[2:] {
			more = append(more, string(f.Name), string(f.Value))
		}
		code := h.Code
		h, _, _ = readOne(request)
		if got := AppendAnswer(nil, h, code, more...); bytes.Equal(got, data) != (otherwise[e.File] == "") {
			t.Errorf("%s: answered\n%s\nprinted\n%s\n%s", e.File, got, data, otherwise[e.File])
		}
		n++
	}
	if n < 20 {
		t.Errorf("%d answers", n)
	}
}
