package kit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"reflect"
	"syscall"
	"time"
	"unicode/utf8"
)

// Head is what every event begins with; embed it first.
type Head struct {
	Event string `json:"event" doc:"the name of the event"`
	Time  Time   `json:"time" doc:"when it happened, RFC 3339 in UTC with milliseconds"`
}

// EventHead returns the head itself: it marks the structs that embed it.
func (h Head) EventHead() Head { return h }

// Head returns the head of an event that happens now.
func (k *Kit) Head(event string) Head { return Head{Event: event, Time: Time(k.now())} }

// Time is a point in time that JSON shows as RFC 3339 in UTC with milliseconds.
type Time time.Time

const timeForm = "2006-01-02T15:04:05.000Z"

// MarshalJSON implements json.Marshaler; the zero time is null.
func (t Time) MarshalJSON() ([]byte, error) {
	if time.Time(t).IsZero() {
		return []byte("null"), nil
	}
	return time.Time(t).UTC().AppendFormat(nil, `"`+timeForm+`"`), nil
}

// UnmarshalJSON implements json.Unmarshaler.
func (t *Time) UnmarshalJSON(b []byte) error { return (*time.Time)(t).UnmarshalJSON(b) }

// Value is an event for Emit: a struct that embeds Head first, with snake_case json tags and doc tags that say what a field means.
type Value interface{ EventHead() Head }

// Texter is a Value with a form for people.
type Texter interface {
	Text(w io.Writer, s *Style) error
}

// Rawer is a Value that carries a body for --output raw.
type Rawer interface{ Raw() []byte }

// Emit prints the event to stdout in the form that --output asks for; a value without that form prints nothing. It may be called by several goroutines.
// After an error there is nothing left to do but to clean up and return it.
func (k *Kit) Emit(v Value) error {
	if k.Strict && !k.registered(v) {
		return Fail(ExitBug, "printing "+v.EventHead().Event, fmt.Sprintf("%T is not registered with Emits", v), "")
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	switch k.Output {
	case OutputJSON:
		buf := bytes.NewBuffer(k.line[:0])
		enc := json.NewEncoder(buf)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(v); err != nil {
			return Fail(ExitBug, "printing "+v.EventHead().Event, err, "")
		}
		k.line = escapeHostile(buf.Bytes())
		return k.writeOut(k.line)
	case OutputRaw:
		if r, ok := v.(Rawer); ok {
			return k.writeOut(r.Raw())
		}
		return nil
	}
	t, ok := v.(Texter)
	if !ok {
		return nil
	}
	buf := bytes.NewBuffer(k.line[:0])
	if err := t.Text(buf, k.Style()); err != nil {
		return Fail(0, "printing "+v.EventHead().Event, err, "")
	}
	k.line = buf.Bytes()
	return k.writeOut(k.line)
}

// escapeHostile writes the characters of a line of JSON that a terminal might act on as escapes, which mean the same to
// programs. Those of ASCII but DEL are escaped already.
func escapeHostile(line []byte) []byte {
	if bytes.IndexFunc(line, hostile) < 0 {
		return line
	}
	out := make([]byte, 0, len(line)+64)
	for _, r := range string(line) {
		if hostile(r) {
			out = fmt.Appendf(out, `\u%04x`, r)
		} else {
			out = utf8.AppendRune(out, r)
		}
	}
	return out
}

// Print writes data to stdout as it is, for commands whose result is a document.
func (k *Kit) Print(data []byte) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.writeOut(data)
}

// writeOut writes to stdout; k.mu is held. When nobody reads any more the run is over, with status 0.
func (k *Kit) writeOut(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	_, err := k.Out.Write(b)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.EPIPE), errors.Is(err, io.ErrClosedPipe):
		k.piped.Store(true)
		if k.cancel != nil {
			k.cancel(errPipe)
		}
		return Quiet(ExitOK)
	}
	return Fail(ExitUsage, "writing to stdout", err, "is there room where it goes? what was printed so far is not all")
}

func (k *Kit) writeErr(b []byte) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.Err.Write(b)
}

// Note tells people on stderr how it goes; -q silences it.
func (k *Kit) Note(format string, args ...any) {
	if !k.Quiet {
		k.writeErr([]byte("imp: " + oneLine(fmt.Sprintf(format, args...)) + "\n"))
	}
}

// Warn tells people on stderr what they should not miss; -q does not silence it, but each text is told only once.
func (k *Kit) Warn(format string, args ...any) {
	text := oneLine(fmt.Sprintf(format, args...))
	if _, again := k.told.LoadOrStore(text, true); !again {
		k.writeErr([]byte("imp: warning: " + text + "\n"))
	}
}

// Debug tells details on stderr with -v.
func (k *Kit) Debug(format string, args ...any) {
	if k.Verbose {
		k.writeErr([]byte("imp: " + oneLine(fmt.Sprintf(format, args...)) + "\n"))
	}
}

// Log returns a logger for the protocol packages of a client: warnings and worse on stderr, everything with -v, errors only with -q.
func (k *Kit) Log() *slog.Logger {
	level := slog.LevelWarn
	switch {
	case k.Verbose:
		level = slog.LevelDebug
	case k.Quiet:
		level = slog.LevelError
	}
	return slog.New(slog.NewTextHandler(lockedErr{k}, &slog.HandlerOptions{Level: level}))
}

// lockedErr writes to stderr between other writers' lines.
type lockedErr struct{ k *Kit }

func (l lockedErr) Write(b []byte) (int, error) {
	l.k.writeErr(b)
	return len(b), nil
}

// registered reports whether the value's event was announced with Emits.
func (k *Kit) registered(v Value) bool {
	name, typ := v.EventHead().Event, reflect.TypeOf(v)
	for _, e := range k.events {
		if e.Name == name && e.is(typ) {
			return true
		}
	}
	return false
}
