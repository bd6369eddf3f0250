package cli

import (
	"fmt"
	"io"
	"strings"
	"testing"
)

// chunks is an input that comes in pieces.
type chunks []string

// Read implements io.Reader.
func (c *chunks) Read(b []byte) (int, error) {
	if len(*c) == 0 {
		return 0, io.EOF
	}
	n := copy(b, (*c)[0])
	if (*c)[0] = (*c)[0][n:]; (*c)[0] == "" {
		*c = (*c)[1:]
	}
	return n, nil
}

// TestPartial: a line that has begun is told after those before it.
func TestPartial(t *testing.T) {
	for _, c := range []struct {
		in   chunks
		want string
	}{
		{chunks{"one\n", "two\n"}, `["one" "two"]`},
		{chunks{"o", "ne\n"}, `[typed "one"]`},
		{chunks{"one\ntw", "o\n"}, `["one" typed "two"]`},
		{chunks{"one\n\ntwo"}, `["one" "" typed "two"]`},
		{chunks{"a", "b", "\n"}, `[typed typed "ab"]`},
		{chunks{"a\nb" + strings.Repeat("c", 10000)}, `["a" typed`},
	} {
		lines := make(chan []byte, 100)
		err := readLinesInto(t.Context(), &partial{Reader: &c.in, typed: func() { lines <- nil }}, maxLine, lines)
		close(lines)
		var got []string
		for line := range lines {
			if line == nil {
				got = append(got, "typed")
				continue
			}
			got = append(got, fmt.Sprintf("%q", line))
		}
		if text := fmt.Sprint(got); err != nil || !strings.HasPrefix(text, c.want) {
			t.Errorf("%.60s, %v, want %s", text, err, c.want)
		}
	}
}
