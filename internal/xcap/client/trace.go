package client

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptrace"
	"slices"
	"time"
)

// Record is a message on the wire, as Config.Trace is told of it.
type Record struct {
	Time          time.Time
	Out           bool // sent, not received
	Transport     string
	Local, Remote string
	Data          []byte // valid during the call only
}

// recorder tells the trace of one exchange. A nil one tells nothing.
type recorder struct {
	trace                    func(Record)
	now                      func() time.Time
	transport, local, remote string
}

// recorded returns the request with a recorder that tells of it as soon as there is a connection for it.
func (c *Client) recorded(req *http.Request, body []byte) (*http.Request, *recorder) {
	if c.cfg.Trace == nil {
		return req, nil
	}
	r := &recorder{trace: c.cfg.Trace, now: c.cfg.Now, transport: "tcp"}
	if req.URL.Scheme == "https" {
		r.transport = "tls"
	}
	ctx := httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) {
		r.local, r.remote = i.Conn.LocalAddr().String(), i.Conn.RemoteAddr().String()
		head := fmt.Appendf(nil, "%s %s HTTP/1.1\r\nHost: %s\r\n", req.Method, req.URL.RequestURI(), req.URL.Host)
		if len(body) > 0 {
			head = fmt.Appendf(head, "Content-Length: %d\r\n", len(body))
		}
		r.tell(true, head, req.Header, body)
	}})
	return req.WithContext(ctx), r
}

// in tells of the answer.
func (r *recorder) in(resp *http.Response, body []byte) {
	if r != nil {
		r.tell(false, fmt.Appendf(nil, "%s %s\r\n", resp.Proto, resp.Status), resp.Header, body)
	}
}

func (r *recorder) tell(out bool, head []byte, fields http.Header, body []byte) {
	b := bytes.NewBuffer(head)
	for _, name := range sortedNames(fields) {
		for _, value := range fields[name] {
			fmt.Fprintf(b, "%s: %s\r\n", name, value)
		}
	}
	b.WriteString("\r\n")
	b.Write(body)
	r.trace(Record{Time: r.now(), Out: out, Transport: r.transport, Local: r.local, Remote: r.remote, Data: b.Bytes()})
}

func sortedNames(fields http.Header) []string {
	names := make([]string, 0, len(fields))
	for name := range fields {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
