package file

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/textproto"
	"strings"
)

// CPIM is the type of the wrapper that some peers want around everything (RFC 3862, RFC 4975 section 8.6).
const CPIM = "message/cpim"

// maxHead bounds the header of a wrapper.
const maxHead = 64 << 10

// Wrap puts a message/cpim around a body as it is read. size is that of the body, negative when it is not known.
func Wrap(from, to, contentType, disposition string, body io.Reader, size int64) (wrapped io.Reader, total int64) {
	var b bytes.Buffer
	fmt.Fprintf(&b, "From: <%s>\r\nTo: <%s>\r\n\r\nContent-Type: %s\r\n", from, to, contentType)
	if disposition != "" {
		fmt.Fprintf(&b, "Content-Disposition: %s\r\n", disposition)
	}
	b.WriteString("\r\n")
	if size >= 0 {
		size += int64(b.Len())
	}
	return io.MultiReader(&b, body), size
}

// Wrapped is what a wrapper says of its body.
type Wrapped struct {
	From, To, Type, Disposition string
	Body                        io.Reader
}

// Unwrap reads the header of a message/cpim, and leaves its body to be read as it comes. From and To may have a name
// before the address in brackets.
func Unwrap(r io.Reader) (*Wrapped, error) {
	limited := &io.LimitedReader{R: r, N: maxHead}
	in := bufio.NewReaderSize(limited, 4096)
	head := textproto.NewReader(in)
	outer, err := head.ReadMIMEHeader()
	if err != nil {
		return nil, notWrapped(err)
	}
	inner, err := head.ReadMIMEHeader()
	if err != nil {
		return nil, notWrapped(err)
	}
	limited.N = 1<<63 - 1
	w := &Wrapped{From: address(outer.Get("From")), To: address(outer.Get("To")), Type: inner.Get("Content-Type"),
		Disposition: inner.Get("Content-Disposition"), Body: in}
	if w.Type == "" {
		w.Type = "text/plain"
	}
	return w, nil
}

func notWrapped(err error) error {
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("reading a message/cpim: %w", err)
}

// address is the URI in brackets.
func address(value string) string {
	_, uri, ok := strings.Cut(value, "<")
	if !ok {
		return value
	}
	uri, _, _ = strings.Cut(uri, ">")
	return uri
}
