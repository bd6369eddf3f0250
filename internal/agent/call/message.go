package call

import (
	"errors"
	"fmt"
	"io"

	"imp/internal/doc/cpim"
	"imp/internal/msrp/session"
	"imp/internal/msrp/wire"
)

// Message is a message that was read as a whole.
type Message struct {
	Type    string // as in Content-Type
	Body    []byte
	Wrapper *cpim.Message // what the body is when it is a message/cpim; nil: something else
}

// Read reads a message of most bytes at most. A message/cpim that is none is refused with a report (RFC 4975 section
// 13): the error says what is wrong with it. Others are ErrLong, and those of the message.
func Read(in *session.Incoming, most int64) (*Message, error) {
	body, err := io.ReadAll(io.LimitReader(in, most+1))
	switch {
	case err != nil:
		return nil, err
	case int64(len(body)) > most:
		return nil, ErrLong
	}
	m := &Message{Type: in.Type, Body: body}
	if !session.Accepts([]string{cpim.MediaType}, in.Type) {
		return m, nil
	}
	if m.Wrapper, err = cpim.Parse(body); err == nil {
		err = once(m.Wrapper)
	}
	if err != nil {
		_ = in.Report(wire.BadRequest, "")
		return nil, fmt.Errorf("reading a message/cpim: %w", err)
	}
	return m, nil
}

// once checks that the fields which may stand once do (RFC 4975 section 13).
func once(m *cpim.Message) error {
	seen := map[string]bool{}
	for _, f := range m.Header {
		if f.Space != cpim.Space {
			continue
		}
		switch f.Local {
		case "From", "DateTime", "Subject", "Require":
			if seen[f.Local] {
				return fmt.Errorf("%s is there twice", f.Local)
			}
			seen[f.Local] = true
		}
	}
	return nil
}

// ErrLong is the error of a message that is longer than it may be.
var ErrLong = errors.New("the message is too long")
