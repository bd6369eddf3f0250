package sdp

import (
	"encoding/hex"
	"errors"
	"fmt"
	"mime"
	"sort"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// File is what a line says of a file (RFC 5547 section 6).
type File struct {
	// The selectors. Capability says that there is file-selector and no selector in it, as answers to OPTIONS have it
	// and nothing else (section 8.5).
	Name       string // decoded: anything may be in it, see section 10 before it is used for a path
	Size       int64  // octets without a wrapper; negative = not told
	Type       string // as in Content-Type
	Hashes     []Hash // over the whole file; those of unknown algorithms are left out
	Capability bool

	ID          string // file-transfer-id
	Disposition string // "render" when it is not told
	Created     time.Time
	Modified    time.Time
	Read        time.Time
	Icon        string // URL of scheme cid
	Range       *Range // nil = the whole file

	selected bool // file-selector was there
	unknown  bool // with a hash of an unknown algorithm
}

// Hash is the hash of a file.
type Hash struct {
	Algorithm string // "sha-1", "sha-256", in lower case
	Sum       []byte
}

// Range is the part of a file that is transferred: from octet Start, counted from 1, to octet Stop; 0 = the last.
type Range struct{ Start, Stop int64 }

func (r Range) String() string {
	stop := "*"
	if r.Stop > 0 {
		stop = strconv.FormatInt(r.Stop, 10)
	}
	return strconv.FormatInt(r.Start, 10) + "-" + stop
}

// sizes of the known hashes, in bytes.
var sizes = map[string]int{"sha-1": 20, "sha-224": 28, "sha-256": 32, "sha-384": 48, "sha-512": 64}

// Hash gives the sum of an algorithm, nil without.
func (f *File) Hash(algorithm string) []byte {
	for _, h := range f.Hashes {
		if h.Algorithm == algorithm {
			return h.Sum
		}
	}
	return nil
}

// errSelector says that a file-selector says nothing.
var errSelector = errors.New("a file-selector without a selector is for OPTIONS only")

// Check tells what is missing in the description of a file that is to be transferred.
func (f *File) Check() error {
	switch {
	case !f.selected && f.Name == "" && f.Size < 0 && f.Type == "" && len(f.Hashes) == 0:
		return errors.New("file-selector is missing")
	case f.Capability:
		return errSelector
	case f.ID == "":
		return errors.New("file-transfer-id is missing")
	}
	return nil
}

func (m *Media) takeFile(key, value string) (err error) {
	if m.File == nil {
		m.File = &File{Size: -1}
	}
	f := m.File
	switch key {
	case "file-selector":
		if f.selected {
			return errors.New("it is there twice")
		}
		f.selected = true
		return f.selectors(value)
	case "file-transfer-id":
		if f.ID = value; !isToken(value) {
			return fmt.Errorf("%q is no token", value)
		}
	case "file-disposition":
		if f.Disposition = strings.ToLower(value); !isToken(value) {
			return fmt.Errorf("%q is no token", value)
		}
	case "file-date":
		return f.dates(value)
	case "file-icon":
		f.Icon = value
		if !strings.HasPrefix(strings.ToLower(value), "cid:") || len(value) < len("cid:a@b") {
			return fmt.Errorf("%q is no cid URL", value)
		}
	case "file-range":
		f.Range, err = parseRange(value)
	}
	return err
}

// complete notes what was not there.
func (f *File) complete() {
	f.Capability = f.selected && f.Name == "" && f.Size < 0 && f.Type == "" && len(f.Hashes) == 0 && !f.unknown
}

// selectors reads the value of file-selector. Spaces may stand inside quotes.
func (f *File) selectors(s string) error {
	hashes := 0
	for s = strings.TrimLeft(s, " "); s != ""; s = strings.TrimLeft(s, " ") {
		name, rest, ok := strings.Cut(s, ":")
		if !ok {
			return fmt.Errorf("%q is no selector", s)
		}
		var value string
		value, s = untilSpace(rest)
		var err error
		switch strings.ToLower(name) {
		case "name":
			f.Name, err = unquote(value)
		case "size":
			f.Size, err = integer(value)
		case "type":
			f.Type, err = parseType(value)
		case "hash":
			if hashes++; hashes > 16 {
				return errors.New("more than 16 hashes")
			}
			err = f.hash(value)
		}
		if err != nil {
			return fmt.Errorf("selector %s: %w", name, err)
		}
	}
	return nil
}

// untilSpace cuts at the first space outside of quotes.
func untilSpace(s string) (value, rest string) {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '"':
			quoted = !quoted
		case s[i] == ' ' && !quoted:
			return s[:i], s[i+1:]
		}
	}
	return s, ""
}

// unquote reads a filename-string in quotes.
func unquote(s string) (string, error) {
	if len(s) < 3 || s[0] != '"' || s[len(s)-1] != '"' {
		return "", fmt.Errorf("%q is no text in quotes", s)
	}
	s = s[1 : len(s)-1]
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '"':
			return "", fmt.Errorf("a quote in %q", s)
		case s[i] != '%':
			b = append(b, s[i])
		default:
			var x [1]byte
			if i+3 > len(s) {
				return "", fmt.Errorf("%q ends inside a percent encoding", s)
			}
			if _, err := hex.Decode(x[:], []byte(s[i+1:i+3])); err != nil {
				return "", fmt.Errorf("%q is no percent encoding", s[i:i+3])
			}
			b = append(b, x[0])
			i += 2
		}
	}
	if !utf8.Valid(b) {
		return "", fmt.Errorf("%q is not UTF-8", s)
	}
	return string(b), nil
}

// quote writes a filename-string in quotes: what the syntax or a file system gives a meaning is percent-encoded.
func quote(s string) string {
	const digits = "0123456789ABCDEF"
	b := append(make([]byte, 0, len(s)+2), '"')
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c < ' ', c == 0x7f, c == '"', c == '%', c == '/', c == '\\':
			b = append(b, '%', digits[c>>4], digits[c&15])
		default:
			b = append(b, c)
		}
	}
	return string(append(b, '"'))
}

// parseType reads a type selector and gives it as Content-Type has it.
func parseType(s string) (string, error) {
	name, rest := untilSemicolon(s)
	kind, sub, ok := strings.Cut(name, "/")
	if !ok || !isToken(kind) || !isToken(sub) {
		return "", fmt.Errorf("%q is no media type", name)
	}
	params := map[string]string{}
	for rest != "" {
		var p string
		p, rest = untilSemicolon(rest)
		key, value, ok := strings.Cut(p, "=")
		if !ok || !isToken(key) {
			return "", fmt.Errorf("%q is no parameter", p)
		}
		if len(value) == 0 || value[0] != '"' { // tolerated
			value = `"` + value + `"`
		}
		v, err := unquote(value)
		if err != nil {
			return "", err
		}
		params[strings.ToLower(key)] = v
	}
	return mime.FormatMediaType(strings.ToLower(name), params), nil
}

func untilSemicolon(s string) (part, rest string) {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '"':
			quoted = !quoted
		case s[i] == ';' && !quoted:
			return s[:i], s[i+1:]
		}
	}
	return s, ""
}

// formatType writes a Content-Type as a type selector.
func formatType(s string) string {
	t, params, err := mime.ParseMediaType(s)
	if err != nil || !strings.Contains(t, "/") {
		return ""
	}
	keys := make([]string, 0, len(params))
	for k, v := range params {
		if v != "" {
			keys = append(keys, k)
		}
	}
	sort.Strings(keys)
	for _, k := range keys {
		t += ";" + k + "=" + quote(params[k])
	}
	return t
}

// hash reads the value of one hash selector; an unknown algorithm is skipped.
func (f *File) hash(s string) error {
	name, digits, ok := strings.Cut(s, ":")
	name = strings.ToLower(name)
	if !ok || !isToken(name) {
		return fmt.Errorf("%q is no hash", s)
	}
	size, known := sizes[name]
	if !known {
		f.unknown = true
		return nil
	}
	sum, err := hex.DecodeString(strings.ReplaceAll(digits, ":", ""))
	if err != nil || len(sum) != size || len(digits) != 3*size-1 {
		return fmt.Errorf("%q is no hash of %d octets", digits, size)
	}
	f.Hashes = append(f.Hashes, Hash{name, sum})
	return nil
}

func (h Hash) String() string {
	b := make([]byte, 0, len(h.Algorithm)+3*len(h.Sum))
	b = append(b, h.Algorithm...)
	for _, x := range h.Sum {
		b = fmt.Appendf(b, ":%02X", x)
	}
	return string(b)
}

// rfc5322 is a date with a numeric zone.
const rfc5322 = "Mon, 02 Jan 2006 15:04:05 -0700"

// dates reads file-date: creation, modification and read, each once at most.
func (f *File) dates(s string) error {
	for s = strings.TrimLeft(s, " "); s != ""; s = strings.TrimLeft(s, " ") {
		name, rest, ok := strings.Cut(s, ":")
		if !ok {
			return fmt.Errorf("%q is no date", s)
		}
		var value string
		value, s = untilSpace(rest)
		at := map[string]*time.Time{"creation": &f.Created, "modification": &f.Modified, "read": &f.Read}[name]
		if at == nil {
			return fmt.Errorf("%q is none of creation, modification and read", name)
		}
		if !at.IsZero() {
			return fmt.Errorf("%s is there twice", name)
		}
		value, err := unquote(value)
		if err != nil {
			return err
		}
		if *at, err = parseDate(value); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// parseDate reads a date-time of RFC 5322; its zone must be numeric.
func parseDate(s string) (time.Time, error) {
	for _, layout := range [...]string{"Mon, 2 Jan 2006 15:04:05 -0700", "2 Jan 2006 15:04:05 -0700", "Mon, 2 Jan 2006 15:04 -0700", "2 Jan 2006 15:04 -0700"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is no date with a numeric zone, such as Mon, 02 Jan 2006 15:04:05 -0700", s)
}

// parseRange reads "1-100" or "1-*".
func parseRange(s string) (*Range, error) {
	from, to, ok := strings.Cut(s, "-")
	start, err := integer(from)
	if !ok || err != nil || start < 1 {
		return nil, fmt.Errorf("%q is no range of octets counted from 1", s)
	}
	r := &Range{Start: start}
	if to == "*" {
		return r, nil
	}
	if r.Stop, err = integer(to); err != nil || r.Stop < start {
		return nil, fmt.Errorf("%q is no range of octets counted from 1", s)
	}
	return r, nil
}

// attributes gives what is to be written.
func (f *File) attributes(add func(key, value string)) {
	var list []string
	if f.Name != "" {
		list = append(list, "name:"+quote(f.Name))
	}
	if t := formatType(f.Type); t != "" {
		list = append(list, "type:"+t)
	}
	if f.Size >= 0 && !f.Capability {
		list = append(list, "size:"+strconv.FormatInt(f.Size, 10))
	}
	for _, h := range f.Hashes {
		list = append(list, "hash:"+h.String())
	}
	add("file-selector", strings.Join(list, " "))
	if f.ID != "" {
		add("file-transfer-id", f.ID)
	}
	if f.Disposition != "" {
		add("file-disposition", f.Disposition)
	}
	var dates []string
	for _, d := range [...]struct {
		name string
		at   time.Time
	}{{"creation", f.Created}, {"modification", f.Modified}, {"read", f.Read}} {
		if !d.at.IsZero() {
			dates = append(dates, d.name+`:"`+d.at.Format(rfc5322)+`"`)
		}
	}
	if dates != nil {
		add("file-date", strings.Join(dates, " "))
	}
	if f.Icon != "" {
		add("file-icon", f.Icon)
	}
	if f.Range != nil {
		add("file-range", f.Range.String())
	}
}
