package session

import (
	"context"
	"strings"

	"imp/internal/msrp/wire"
)

// Response is the answer to a Request.
type Response struct {
	Code    int
	Comment string
	Fields  []Field // all header fields in order
}

func newResponse(h *wire.Head) *Response {
	r := &Response{Code: h.Code, Comment: string(h.Comment)}
	for _, f := range h.Fields {
		r.Fields = append(r.Fields, Field{string(f.Name), string(f.Value)})
	}
	return r
}

// Get gives the values of the fields with a name.
func (r *Response) Get(name string) (values []string) {
	for _, f := range r.Fields {
		if strings.EqualFold(f.Name, name) {
			values = append(values, f.Value)
		}
	}
	return values
}

// Request sends a request other than SEND and REPORT, without a body, and waits for its response. The error is
// ErrTimeout, ErrDisconnected, or that of ctx; a response of any code is none.
func (c *Conn) Request(ctx context.Context, method string, to, from wire.Path, fields []Field) (*Response, error) {
	reply := make(chan *Response, 1)
	c.mu.Lock()
	if err := c.wait(ctx, func() bool { return len(c.out) < highWater && c.answerable() }); err != nil {
		c.mu.Unlock()
		return nil, err
	}
	var space [wire.MaxID]byte
	id, _ := c.trans.next(space[:0], c.ids, nil, transaction{reply: reply})
	c.frame(func(b []byte) []byte {
		b = wire.AppendRequest(b, id, method)
		b = wire.AppendField(b, "To-Path", to.String())
		b = wire.AppendField(b, "From-Path", from.String())
		for _, f := range fields {
			b = wire.AppendField(b, f.Name, f.Value)
		}
		return wire.AppendEnd(b, id, wire.Last, false)
	})
	c.mu.Unlock()
	select {
	case r, ok := <-reply:
		if !ok {
			if c.Err() != nil {
				return nil, ErrDisconnected
			}
			return nil, ErrTimeout
		}
		return r, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}
