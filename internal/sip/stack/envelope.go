package stack

import "bytes"

// envelope is what the stack itself reads of a message, straight from the received bytes: what routing, matching and
// echoing need, without loss. It is also there for a message that is refused. What handlers get is made from it, see
// message.go. All slices lie in the message.
type envelope struct {
	head []byte // start line and header with the empty line
	body []byte

	start   []byte // start line
	method  []byte // of a request
	uri     []byte // Request-URI
	version []byte
	status  int // of a response; 0 = request

	vias         [][]byte // values of the Via lines in order; a line may hold several
	top          via      // the first of them
	from, to     []byte
	fromTag      []byte
	toTag        []byte
	callID       []byte
	cseq         []byte
	cseqNumber   uint32
	cseqMethod   []byte
	recordRoutes [][]byte
	routes       [][]byte
	length       int  // Content-Length, -1 = absent
	lengthBad    bool // Content-Length is there and no single number: the end of the message is unknown
	typed        bool // Content-Type is there
	require      bool
	encoded      bool // Content-Encoding is there

	texts []fieldText // all fields, in order
	seen  uint64      // those met so far, by number
	fault string      // the first thing wrong, as a reason phrase; "" = nothing
}

// The fields that the scanner knows. Those up to lastSingle may occur only once (RFC 3261 7.3.1 and table 2, RFC 6665,
// RFC 3903); the first four are mandatory in every message.
const (
	fieldFrom = iota
	fieldTo
	fieldCallID
	fieldCSeq
	fieldMaxForwards
	fieldContentLength
	fieldContentType
	fieldEvent
	fieldExpires
	fieldMinExpires
	fieldSubscriptionState
	fieldETag
	fieldIfMatch
	fieldDate
	fieldSubject
	fieldMIMEVersion
	fieldContentDisposition
	fieldReferTo
	fieldReferredBy
	fieldReplyTo
	fieldPriority
	fieldRetryAfter
	fieldTimestamp
	fieldUserAgent
	fieldServer
	lastSingle
	fieldVia
	fieldRecordRoute
	fieldRoute
	fieldRequire
	fieldContentEncoding
	fieldContact
	fieldOther
)

var fieldName = [...]string{
	fieldFrom: "From", fieldTo: "To", fieldCallID: "Call-ID", fieldCSeq: "CSeq", fieldMaxForwards: "Max-Forwards",
	fieldContentLength: "Content-Length", fieldContentType: "Content-Type", fieldEvent: "Event",
	fieldExpires: "Expires", fieldMinExpires: "Min-Expires", fieldSubscriptionState: "Subscription-State",
	fieldETag: "SIP-ETag", fieldIfMatch: "SIP-If-Match", fieldDate: "Date", fieldSubject: "Subject",
	fieldMIMEVersion: "MIME-Version", fieldContentDisposition: "Content-Disposition", fieldReferTo: "Refer-To",
	fieldReferredBy: "Referred-By", fieldReplyTo: "Reply-To", fieldPriority: "Priority",
	fieldRetryAfter: "Retry-After", fieldTimestamp: "Timestamp", fieldUserAgent: "User-Agent", fieldServer: "Server",
	lastSingle: "", fieldVia: "Via", fieldRecordRoute: "Record-Route", fieldRoute: "Route", fieldRequire: "Require",
	fieldContentEncoding: "Content-Encoding", fieldContact: "Contact",
}

// fieldOf finds a field by its long or compact name.
func fieldOf(name []byte) int {
	var low [24]byte
	if len(name) > len(low) {
		return fieldOther
	}
	for i, c := range name {
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		low[i] = c
	}
	if len(name) == 1 {
		return compactField(low[0])
	}
	switch string(low[:len(name)]) {
	case "via":
		return fieldVia
	case "from":
		return fieldFrom
	case "to":
		return fieldTo
	case "call-id":
		return fieldCallID
	case "cseq":
		return fieldCSeq
	case "max-forwards":
		return fieldMaxForwards
	case "content-length":
		return fieldContentLength
	case "content-type":
		return fieldContentType
	case "content-encoding":
		return fieldContentEncoding
	case "record-route":
		return fieldRecordRoute
	case "route":
		return fieldRoute
	case "require":
		return fieldRequire
	case "contact":
		return fieldContact
	}
	return otherSingle(low[:len(name)])
}

func compactField(c byte) int {
	switch c {
	case 'v':
		return fieldVia
	case 'f':
		return fieldFrom
	case 't':
		return fieldTo
	case 'i':
		return fieldCallID
	case 'l':
		return fieldContentLength
	case 'c':
		return fieldContentType
	case 'e':
		return fieldContentEncoding
	case 'o':
		return fieldEvent
	case 'm':
		return fieldContact
	case 's':
		return fieldSubject
	case 'r':
		return fieldReferTo
	case 'b':
		return fieldReferredBy
	}
	return fieldOther
}

// otherSingle finds the fields that matter only because they must not be repeated.
func otherSingle(lower []byte) int {
	switch string(lower) {
	case "event":
		return fieldEvent
	case "expires":
		return fieldExpires
	case "min-expires":
		return fieldMinExpires
	case "subscription-state":
		return fieldSubscriptionState
	case "sip-etag":
		return fieldETag
	case "sip-if-match":
		return fieldIfMatch
	case "date":
		return fieldDate
	case "subject":
		return fieldSubject
	case "mime-version":
		return fieldMIMEVersion
	case "content-disposition":
		return fieldContentDisposition
	case "refer-to":
		return fieldReferTo
	case "referred-by":
		return fieldReferredBy
	case "reply-to":
		return fieldReplyTo
	case "priority":
		return fieldPriority
	case "retry-after":
		return fieldRetryAfter
	case "timestamp":
		return fieldTimestamp
	case "user-agent":
		return fieldUserAgent
	case "server":
		return fieldServer
	}
	return fieldOther
}

// headEnd finds the end of the head: the offset behind its empty line, 0 when there is none from offset from on. A
// lone LF ends a line here, so that a message with the wrong line ends can be told so.
func headEnd(b []byte, from int) int {
	for {
		i := bytes.IndexByte(b[from:], '\n')
		if i < 0 {
			return 0
		}
		from += i + 1
		if from < len(b) && b[from] == '\n' {
			return from + 1
		}
		if from+1 < len(b) && b[from] == '\r' && b[from+1] == '\n' {
			return from + 2
		}
	}
}

// blame keeps the first fault.
func (e *envelope) blame(fault string) {
	if e.fault == "" {
		e.fault = fault
	}
}

// scan reads a head. It reports whether this is a SIP message at all; everything else that is wrong goes to fault,
// and scanning goes on behind it so that the message can be answered.
func (e *envelope) scan(head []byte) bool {
	*e = envelope{head: head, vias: e.vias[:0], recordRoutes: e.recordRoutes[:0], routes: e.routes[:0], texts: e.texts[:0], length: -1}
	b := head
	e.start, b = e.line(b)
	if !e.startLine() {
		return false
	}
	for {
		if len(b) == 0 {
			e.blame("Header not ended by an empty line")
			break
		}
		var line []byte
		if line, b = e.unfolded(b); len(line) == 0 {
			break
		}
		e.field(line)
	}
	e.complete()
	return true
}

// unfolded cuts one header field off, with its continuation lines; line ends stay in it as white space, the last one
// too. It is empty at the end of the head.
func (e *envelope) unfolded(b []byte) (field, rest []byte) {
	if len(b) == 0 {
		return nil, nil
	}
	field, rest = e.line(b)
	if len(field) == 0 {
		return nil, nil
	}
	for len(rest) > 0 && (rest[0] == ' ' || rest[0] == '\t') {
		_, rest = e.line(rest)
		field = b[:len(b)-len(rest)]
	}
	return field, rest
}

// line cuts one line off; its end is not part of it.
func (e *envelope) line(b []byte) (line, rest []byte) {
	i := bytes.IndexByte(b, '\n')
	if i < 0 {
		return b, nil
	}
	line, rest = b[:i], b[i+1:]
	if i == 0 || line[i-1] != '\r' {
		e.blame("Line not ended by CRLF")
	} else {
		line = line[:i-1]
	}
	if bytes.IndexByte(line, '\r') >= 0 {
		e.blame("Carriage return inside a line")
	}
	return line, rest
}

// startLine reads a request line or a status line (RFC 3261 7.1, 7.2).
func (e *envelope) startLine() bool {
	b := e.start
	if len(b) >= 4 && equalFold(b[:4], "sip/") {
		return e.statusLine()
	}
	trimmed := trimSpace(b)
	last := bytes.LastIndexByte(trimmed, ' ')
	if last < 0 || len(trimmed)-last < 5 || !equalFold(trimmed[last+1:last+5], "sip/") {
		return false
	}
	first := bytes.IndexByte(b, ' ')
	if first <= 0 || run(b[:first], isToken) != first {
		return false
	}
	e.method, e.version = b[:first], trimmed[last+1:]
	if first < last {
		e.uri = b[first+1 : last]
	}
	if n := run(e.uri, isURI); n == 0 || n != len(e.uri) || len(trimmed) != len(b) {
		e.blame("Malformed request line")
	}
	return true
}

func (e *envelope) statusLine() bool {
	version, rest, ok := bytes.Cut(e.start, []byte(" "))
	code, _, _ := bytes.Cut(rest, []byte(" "))
	n, isNumber := number(code)
	if !ok || !isNumber || len(code) != 3 || n < 100 || n > 699 {
		return false
	}
	e.version, e.status = version, int(n)
	return true
}

// field takes one header field, folded or not.
func (e *envelope) field(line []byte) {
	colon := bytes.IndexByte(line, ':')
	if colon <= 0 {
		e.blame("Header line without a name")
		return
	}
	name := trimSpace(line[:colon])
	if len(name) == 0 || run(name, isToken) != len(name) || is(line[0], isSpace) {
		e.blame("Malformed header name")
		return
	}
	f, value := fieldOf(name), trimSpace(line[colon+1:])
	if f == fieldContact && string(e.method) == "PUBLISH" {
		return // it counts for nothing, so nothing is wrong with it
	}
	e.texts = append(e.texts, fieldText{f, name, value})
	if f == fieldOther {
		return
	}
	if e.seen&(1<<f) != 0 && f < lastSingle {
		e.blame("Repeated " + fieldName[f])
		if f == fieldContentLength {
			e.lengthBad = true
		}
		return
	}
	e.seen |= 1 << f
	e.take(f, value)
}

func (e *envelope) take(f int, value []byte) {
	ok := true
	switch f {
	case fieldVia:
		ok = e.takeVia(value)
	case fieldFrom:
		e.from = value
		e.fromTag, ok = addressTag(value)
	case fieldTo:
		e.to = value
		e.toTag, ok = addressTag(value)
	case fieldCallID:
		e.callID = value
		ok = len(value) > 0 && spaceless(value)
	case fieldCSeq:
		e.cseq = value
		e.cseqNumber, e.cseqMethod, ok = parseCSeq(value)
	case fieldMaxForwards:
		ok = len(value) > 0 && run(value, isDigit) == len(value)
	case fieldContentLength:
		n, isNumber := number(value)
		e.length, ok = int(n), isNumber && n < 1<<31
		e.lengthBad = !ok
	case fieldContact:
		ok = contactList(value)
	case fieldRecordRoute:
		e.recordRoutes = append(e.recordRoutes, value)
	case fieldRoute:
		e.routes = append(e.routes, value)
	case fieldContentType:
		e.typed = true
	case fieldRequire:
		e.require = true
	case fieldContentEncoding:
		e.encoded = true
	}
	if !ok {
		e.blame("Malformed " + fieldName[f])
	}
}

// takeVia keeps a malformed line too: it has to come back in the answer. Of a malformed first value the top keeps
// what could be read, without raw.
func (e *envelope) takeVia(line []byte) bool {
	e.vias = append(e.vias, line)
	rest := line
	for first := len(e.vias) == 1; ; first = false {
		v, tail, ok := parseVia(rest)
		if first {
			e.top = v
		}
		if !ok || len(tail) == 0 {
			return ok
		}
		rest = tail
	}
}

// complete looks for what must be there.
func (e *envelope) complete() {
	for f := fieldFrom; f <= fieldCSeq; f++ {
		if e.seen&(1<<f) == 0 {
			e.blame("Missing " + fieldName[f])
		}
	}
	if e.seen&(1<<fieldVia) == 0 {
		e.blame("Missing Via")
	}
}

// answerable tells whether an answer finds its way and can echo what was received without breaking lines.
func (e *envelope) answerable() bool {
	if e.status != 0 || len(e.top.host) == 0 {
		return false
	}
	if e.fault == "" {
		return true
	}
	for _, v := range e.vias {
		if !echoable(v) {
			return false
		}
	}
	return echoable(e.from) && echoable(e.to) && echoable(e.callID) && echoable(e.cseq)
}

// echoable tells whether CR and LF stand in v as folding only.
func echoable(v []byte) bool {
	for i, c := range v {
		switch c {
		case '\r':
			if i+1 == len(v) || v[i+1] != '\n' {
				return false
			}
		case '\n':
			if i == 0 || v[i-1] != '\r' {
				return false
			}
		}
	}
	return true
}

// oneVia tells whether there is exactly one Via value.
func (e *envelope) oneVia() bool {
	return len(e.vias) == 1 && len(e.top.raw) == len(e.vias[0])
}

// message is head and body, which lie behind one another.
func (e *envelope) message() []byte { return e.head[:len(e.head)+len(e.body)] }

// clone gives an envelope memory of its own, without the body.
func (e *envelope) clone() *envelope {
	c := new(envelope)
	c.scan(bytes.Clone(e.head))
	return c
}

// compressed tells a message of SigComp, which is never asked for and dropped in silence (RFC 3320 7: the first five
// bits are set, which no UTF-8 begins with).
func compressed(b []byte) bool { return len(b) > 0 && b[0] >= 0xf8 }
