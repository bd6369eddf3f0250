package header

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// malformed holds which fields of the messages of RFC 4475 and RFC 5118 must not parse; in all others every field must.
var malformed = map[string][]string{
	"badinv01": {"Contact", "Via"},
	"badaspec": {"To"},
	"baddn":    {"From", "To"},
	"ipv6-bad": {"Request-URI"},
	"ltgtruri": {"Request-URI"},
	"lwsruri":  {"Request-URI"},
	"lwsstart": {"Request-URI"},
	"multi01":  {"CSeq", "Call-ID", "From", "Max-Forwards", "To"},
	"quotbal":  {"To"},
	"regbadct": {"Contact"},
	"scalar02": {"CSeq", "Max-Forwards"},
	"scalarlg": {"CSeq", "Warning"},
	"test":     {"From", "To"},
	"trws":     {"Request-URI"},
}

// TestTorture parses every field of the torture messages that this package has a parser for.
func TestTorture(t *testing.T) {
	dir := filepath.FromSlash("../../../../shared/vectors/torture")
	index, err := os.ReadFile(filepath.Join(dir, "index.json"))
	if err != nil {
		t.Skip("no shared vectors at ../shared/vectors")
	}
	var files []struct{ File string }
	if err := json.Unmarshal(index, &files); err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		data, err := os.ReadFile(filepath.Join(dir, f.File))
		if err != nil {
			t.Fatal(err)
		}
		start, m := splitMessage(data)
		got, why := malformedFields(start, m)
		if want := malformed[strings.TrimSuffix(f.File, ".dat")]; !slices.Equal(got, want) {
			t.Errorf("%s: malformed are %q, want %q: %v", f.File, got, want, why)
		}
	}
}

// splitMessage takes a message apart without judging it; lines without a colon are dropped.
func splitMessage(data []byte) (startLine string, m Message) {
	data, _, _ = bytes.Cut(data, []byte("\r\n\r\n"))
	text := strings.NewReplacer("\r\n ", " ", "\r\n\t", " ").Replace(string(data))
	lines := strings.Split(text, "\r\n")
	for i, line := range lines[1:] {
		if name, value, ok := strings.Cut(line, ":"); ok {
			lines[1+i] = trim(name) + ":" + value
		}
	}
	return lines[0], message(lines[1:]...)
}

func malformedFields(startLine string, m Message) (names []string, why []error) {
	check := func(name string, err error) {
		if err != nil && !slices.Contains(names, name) {
			names, why = append(names, name), append(why, err)
		}
	}
	if _, rest, _ := strings.Cut(startLine, " "); !strings.HasPrefix(startLine, "SIP/") {
		_, err := ParseURI(strings.TrimSuffix(strings.TrimSuffix(rest, " SIP/2.0"), " SIP/7.0"))
		check("Request-URI", err)
	}
	for name, parse := range map[string]func(string) error{
		"To": errorOf(ParseAddress), "From": errorOf(ParseAddress), "CSeq": errorOf(ParseCSeq), "Call-ID": errorOf(ParseCallID),
		"Max-Forwards": errorOf(ParseMaxForwards), "Expires": errorOf(ParseExpires), "Content-Type": errorOf(ParseContentType),
		"Retry-After": errorOf(ParseRetryAfter),
	} {
		v, ok, err := Single(m, name)
		if check(name, err); ok && err == nil {
			check(name, parse(v))
		}
	}
	for _, v := range List(m, "Via") {
		_, err := ParseVia(v)
		check("Via", err)
	}
	for _, v := range List(m, "Warning") {
		_, err := ParseWarning(v)
		check("Warning", err)
	}
	_, _, err := ParseContacts(Values(m, "Contact"))
	check("Contact", err)
	for _, name := range []string{"Route", "Record-Route"} {
		_, err := ParseAddressList(Values(m, name))
		check(name, err)
	}
	_, err = ParseAccept(Values(m, "Accept"))
	check("Accept", err)
	slices.Sort(names)
	return names, why
}

func errorOf[T any](parse func(string) (T, error)) func(string) error {
	return func(s string) error {
		_, err := parse(s)
		return err
	}
}
