package kit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"imp/internal/decode"
)

const traceAll = "all"

// traceProtocols are the words that --trace takes.
var traceProtocols = []string{"sip", "msrp", "http", traceAll}

// Record is a message on the wire. The fields are those of the protocol packages' trace records, so that one converts to the other.
type Record struct {
	Time          time.Time
	Out           bool // sent, not received
	Transport     string
	Local, Remote string
	Data          []byte // valid during the call only
}

// protocols is the value of --trace: a comma list that may be repeated.
type protocols struct{ list *[]string }

func (p *protocols) String() string { return strings.Join(*p.list, ",") }
func (p *protocols) Type() string   { return "list" }

func (p *protocols) Set(s string) error {
	for _, proto := range strings.Split(s, ",") {
		if !slices.Contains(traceProtocols, proto) {
			return errors.New("must be a list of " + or(traceProtocols))
		}
		*p.list = append(*p.list, proto)
	}
	return nil
}

// tracing is the open trace file.
type tracing struct {
	mu   sync.Mutex
	file *os.File
	fail sync.Once
}

// openTrace opens the file of --trace-file before the command runs, so that a bad name is told at once.
func (k *Kit) openTrace() error {
	if k.traceFile == "" || k.tracing.file != nil {
		return nil
	}
	f, err := os.OpenFile(k.Path(k.traceFile), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return Fail(ExitUsage, "opening --trace-file "+k.traceFile, plainCause(err), "the file is made where there is none, its directory is not")
	}
	k.tracing.file = f
	return nil
}

func (k *Kit) closeTrace() {
	k.tracing.mu.Lock()
	defer k.tracing.mu.Unlock()
	if k.tracing.file != nil {
		k.tracing.file.Close()
		k.tracing.file = nil
	}
}

// Tracer returns the function that is to see every message of the protocol (sip, msrp or http), or nil when nobody asked for them. It may be called by several goroutines.
// Basic and Bearer credentials are shown as asterisks.
func (k *Kit) Tracer(proto string) func(Record) {
	show := proto == "sip" && k.traceSIP || slices.Contains(k.trace, proto) || slices.Contains(k.trace, traceAll)
	keep := k.tracing.file != nil
	if !show && !keep {
		return nil
	}
	return func(r Record) {
		if r.Time.IsZero() {
			r.Time = k.now()
		}
		r.Data = maskSecrets(r.Data)
		if keep {
			k.traceToFile(proto, r)
		}
		if show {
			k.traceToPeople(r)
		}
	}
}

// traceLine is a line of the trace file.
type traceLine struct {
	Time      Time   `json:"time"`
	Dir       string `json:"dir"`
	Proto     string `json:"proto"`
	Transport string `json:"transport"`
	Local     string `json:"local"`
	Remote    string `json:"remote"`
	Data      []byte `json:"data"`
}

// ParseTrace reads a line of a trace file; not ok is what is none.
func ParseTrace(line []byte) (proto string, r Record, ok bool) {
	if !bytes.HasPrefix(line, []byte("{")) {
		return "", r, false
	}
	var l traceLine
	if json.Unmarshal(line, &l) != nil || l.Dir != "in" && l.Dir != "out" || l.Proto == "" || l.Data == nil {
		return "", r, false
	}
	return l.Proto, Record{time.Time(l.Time), l.Dir == "out", l.Transport, l.Local, l.Remote, l.Data}, true
}

// Heading is the line that says when a message was on the wire, which way and between whom.
func (r *Record) Heading(s *Style) string {
	arrow, paint := "<-", s.Good
	if r.Out {
		arrow, paint = "->", s.Busy
	}
	when := r.Time.In(s.Zone).Format("15:04:05.000")
	return paint(CleanLine(fmt.Sprintf("%s %s %s %s (local %s, %d bytes)", when, arrow, r.Transport, r.Remote, r.Local, len(r.Data))))
}

func (k *Kit) traceToFile(proto string, r Record) {
	dir := "in"
	if r.Out {
		dir = "out"
	}
	line, err := json.Marshal(traceLine{Time(r.Time), dir, proto, r.Transport, r.Local, r.Remote, r.Data})
	if err != nil {
		return
	}
	k.tracing.mu.Lock()
	defer k.tracing.mu.Unlock()
	if k.tracing.file == nil {
		return
	}
	if _, err := k.tracing.file.Write(append(line, '\n')); err != nil {
		k.tracing.fail.Do(func() { k.Warn("writing --trace-file %s: %v", k.traceFile, plainCause(err)) })
	}
}

// traceToPeople prints the message, taken apart as imp decode does, under a line that says when, which way and between whom.
func (k *Kit) traceToPeople(r Record) {
	s := k.ErrStyle()
	var b strings.Builder
	b.WriteString(r.Heading(s) + "\n")
	decode.Decode(r.Data, "").WriteText(&b, decode.Paint{Title: s.Bold, Note: s.Dim, Problem: s.Bad}, CleanLine)
	b.WriteByte('\n')
	k.writeErr([]byte(b.String()))
}

// cutHead splits a message behind its header; the head ends with one line end.
func cutHead(data []byte) (head, body []byte) {
	if i := bytes.Index(data, []byte("\r\n\r\n")); i >= 0 {
		return data[:i+2], data[i+4:]
	}
	return data, nil
}

// maskSecrets returns the message with the credentials of Basic and Bearer authentication replaced by asterisks; the length stays. Digest shows no secret.
func maskSecrets(data []byte) []byte {
	head, _ := cutHead(data)
	var masked []byte
	for at := 0; at < len(head); {
		end := len(head)
		if i := bytes.IndexByte(head[at:], '\n'); i >= 0 {
			end = at + i + 1
		}
		if from := secretAt(head[at:end]); from >= 0 {
			if masked == nil {
				masked = bytes.Clone(data)
			}
			for i := at + from; i < end && masked[i] != '\r' && masked[i] != '\n'; i++ {
				masked[i] = '*'
			}
		}
		at = end
	}
	if masked == nil {
		return data
	}
	return masked
}

// secretAt returns where the secret begins in a line of the header, or -1.
func secretAt(line []byte) int {
	colon := bytes.IndexByte(line, ':')
	if colon < 0 {
		return -1
	}
	name := strings.ToLower(strings.TrimSpace(string(line[:colon])))
	if name != "authorization" && name != "proxy-authorization" {
		return -1
	}
	value := bytes.TrimLeft(line[colon+1:], " \t")
	start := len(line) - len(value)
	for _, scheme := range []string{"basic ", "bearer "} {
		if len(value) > len(scheme) && strings.EqualFold(string(value[:len(scheme)]), scheme) {
			return start + len(scheme)
		}
	}
	return -1
}
