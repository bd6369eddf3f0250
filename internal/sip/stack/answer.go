package stack

// Field is one header field, its value rendered.
type Field struct{ Name, Value string }

// Response is a final answer as a handler gives it. The stack adds Via, From, To, Call-ID, CSeq, Server and
// Content-Length.
type Response struct {
	Status      int
	Reason      string // "" = the phrase usual for the status
	Fields      []Field
	Body        []byte
	ContentType string // of Body
	ToTag       string // used when the request's To has none; "" = made by the stack, the same for all answers to one request
	RecordRoute bool   // copy the request's Record-Route fields, as RFC 3261 12.1.1 wants in answers that create a dialog
	Sent        func() // called once, when the answer has been handed to the transport or could not be
}

// Answer makes a Response.
func Answer(status int, fields ...Field) *Response {
	return &Response{Status: status, Fields: fields}
}

// Defer tells the stack that the answer comes later: what the handler returns is ignored, and the function returned
// here is to be called once, from any goroutine. Until then retransmissions are absorbed. It must be called before
// the handler returns.
func (r *Request) Defer() func(*Response) { return func(*Response) {} }

type incoming struct{}
