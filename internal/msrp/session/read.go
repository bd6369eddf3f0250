package session

import (
	"bytes"
	"errors"

	"imp/internal/msrp/wire"
)

// source is what frames are read from. Before it waits for more, the answers to what has come are sent.
type source struct{ c *Conn }

// Read implements io.Reader.
func (s source) Read(p []byte) (n int, err error) {
	s.c.sendAnswers()
	if s.c.ws != nil {
		n, err = s.c.ws.Read(p)
	} else {
		n, err = s.c.nc.Read(p)
	}
	s.c.trace(false, p[:n])
	return n, err
}

// sendAnswers hands the answers to the writing goroutine. A peer that does not take them is not read any further.
func (c *Conn) sendAnswers() {
	if len(c.answers) == 0 {
		return
	}
	c.mu.Lock()
	for len(c.out) > c.node.cfg.Limits.Responses && c.err == nil {
		c.room.Wait()
	}
	if len(c.out) == 0 {
		c.out, c.answers = c.answers, c.out
	} else {
		c.out = append(c.out, c.answers...)
	}
	c.work.Signal()
	c.mu.Unlock()
	putBuffer(c.answers)
	c.answers = nil
}

// frameAnswer adds a frame to the answers.
func (c *Conn) frameAnswer(add func([]byte) []byte) {
	if c.answers == nil {
		c.answers = getBuffer()
	}
	if c.ws == nil {
		c.answers = add(c.answers)
	} else {
		c.answers = c.ws.append(c.answers, add(nil))
	}
	if len(c.answers) >= 16<<10 {
		c.sendAnswers()
	}
}

// answer responds to a request, if its Failure-Report lets it (RFC 4975 section 7.2).
func (c *Conn) answer(h *wire.Head, code int) {
	if h.FailureReport == wire.FailureNo || code == wire.OK && h.FailureReport == wire.FailurePartial {
		return
	}
	c.frameAnswer(func(b []byte) []byte { return wire.AppendAnswer(b, h, code) })
}

// read is the reading goroutine.
func (c *Conn) read() {
	defer c.node.wait.Done()
	for {
		h, err := c.reader.Next()
		if err == nil && c.ws != nil {
			err = c.ws.chunk()
		}
		if err == nil {
			err = c.take(h)
		} else if malformed := (*wire.Malformed)(nil); errors.As(err, &malformed) {
			c.malformed(h)
			err = nil
		}
		if err != nil {
			c.mu.Lock()
			if c.shutting {
				err = errShut
			}
			c.mu.Unlock()
			c.fail(err)
			return
		}
	}
}

// take takes one frame.
func (c *Conn) take(h *wire.Head) error {
	switch h.Method {
	case "":
		c.response(h)
	case wire.SEND:
		return c.takeSend(h)
	case wire.REPORT:
		if s, code := c.session(h); code == 0 && h.MessageID != nil && h.HasStatus {
			s.reported(h)
		}
	default:
		_, code := c.session(h)
		if code == 0 {
			code = wire.UnknownMethod
		}
		c.answer(h, code)
	}
	return nil
}

// malformed answers a request whose header is bad, as far as its paths can be read. A bad response or REPORT is dropped,
// for nothing is ever answered to those (RFC 4975 section 7.1.2).
func (c *Conn) malformed(h *wire.Head) {
	if h.Method == "" || h.Method == wire.REPORT || h.To == nil {
		return
	}
	if _, err := h.FromPath(); err == nil {
		c.answer(h, wire.BadRequest)
	}
}

// session finds the session of a request and binds it to the connection (RFC 4975 sections 5.4 and 7.3); code is that
// of the refusal.
func (c *Conn) session(h *wire.Head) (s *Session, code int) {
	if s = c.last; s != nil && bytes.Equal(h.To, s.to) {
		return s, s.bind(c, h)
	}
	if bytes.IndexByte(h.To, ' ') >= 0 {
		return nil, wire.NoSuchSession
	}
	to, err := wire.ParseURI(string(h.To))
	if err != nil {
		return nil, wire.NoSuchSession
	}
	if s = c.node.find(to); s == nil {
		return nil, wire.NoSuchSession
	}
	if code = s.bind(c, h); code == 0 {
		s.to = append([]byte(nil), h.To...)
		c.last = s
	}
	return s, code
}

// takeSend takes a SEND with its body. A refusal is told at once, so that the sender can stop (RFC 4975 section 7.3.2).
func (c *Conn) takeSend(h *wire.Head) error {
	s, code := c.session(h)
	var in *Incoming
	at := int64(0)
	if h.HasRange {
		at = h.Range.Start - 1
	}
	switch {
	case code != 0:
	case !h.Body: // some libraries bind their sessions with one that has no Message-ID
		s.empty(c, h)
		return nil
	case h.MessageID == nil:
		code = wire.BadRequest
	default:
		in, code = s.begin(h)
	}
	for {
		if code != 0 {
			c.answer(h, code)
			return nil // Next passes over the body
		}
		piece, end, err := c.reader.Body()
		if err != nil {
			return err
		}
		code = in.take(c, at, piece, end)
		at += int64(len(piece))
		if end != 0 && code == 0 {
			c.answer(h, wire.OK)
			in.confirm(c, h)
			return nil
		}
	}
}

// response finds the transaction that a response is for. Others are ignored.
func (c *Conn) response(h *wire.Head) {
	c.mu.Lock()
	tr := c.trans.find(h.ID)
	if tr == nil {
		c.mu.Unlock()
		return
	}
	sent, reply := tr.sent, tr.reply
	tr.answered = true
	full := c.trans.n >= c.node.cfg.Limits.Unanswered
	c.trans.trim(c.node.cfg.Limits.Unanswered)
	if full {
		c.room.Broadcast()
	}
	c.mu.Unlock()
	switch {
	case reply != nil:
		reply <- newResponse(h)
	case h.Code == wire.OK:
		sent.answered(nil)
	default:
		sent.answered(&StatusError{Code: h.Code, Comment: string(h.Comment)})
	}
}

// stall tells that reading waits for somebody who reads messages, or that it goes on.
func (c *Conn) stall(on bool) {
	if on {
		c.sendAnswers()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stalled = on
	if !on {
		c.resumed = c.node.cfg.Now()
	}
}
