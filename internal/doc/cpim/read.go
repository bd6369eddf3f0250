package cpim

import (
	"bytes"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Parse reads a message as receivers should. Beyond ParseStrict it takes what is on the wire and in the examples of RFC 4975, 5438, 5547 and 7701: no
// empty line between the header fields and those of the content, any white space around values, lines that end with LF alone, and MIME header fields
// in front of the whole message. The body is part of src. The error is an *Error.
func Parse(src []byte) (*Message, error) { return parse(src, false) }

// ParseStrict reads a message as RFC 3862 has it, and refuses any other. The body is part of src. The error is an *Error.
func ParseStrict(src []byte) (*Message, error) { return parse(src, true) }

func parse(src []byte, strict bool) (*Message, error) {
	p := &parser{src: src, strict: strict, spaces: map[string]string{"": Space}}
	m := &Message{}
	for _, step := range [...]func(*Message) *Error{p.outer, p.header, p.content} {
		if err := step(m); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// parser goes through a message line by line.
type parser struct {
	src    []byte
	strict bool
	pos    int // where the next line begins
	start  int // where the present line begins
	line   int // its number
	head   int // where the section of lines begins
	fields int
	spaces map[string]string // by prefix
}

// fail is an error at an offset of the present line, in bytes.
func (p *parser) fail(at int, msg string) *Error {
	before := p.src[p.start:min(p.start+at, len(p.src))]
	return &Error{Line: p.line, Col: utf8.RuneCount(before) + 1, Offset: p.start + len(before), Msg: msg}
}

// next returns the next line without its end; it is not ok behind the last.
func (p *parser) next() (line string, ok bool, err *Error) {
	p.start = p.pos
	p.line++
	if p.pos >= len(p.src) {
		return "", false, nil
	}
	rest := p.src[p.pos:]
	if most := p.head + maxHead - p.pos; len(rest) > most {
		rest = rest[:max(most, 0)]
	}
	end := bytes.IndexByte(rest, '\n')
	if end < 0 {
		if len(rest) < len(p.src)-p.pos {
			return "", false, p.fail(0, "the header is longer than "+strconv.Itoa(maxHead)+" bytes")
		}
		return "", false, p.fail(len(rest), "the line does not end with CR LF")
	}
	p.pos += end + 1
	text := rest[:end]
	if cut, crlf := bytes.CutSuffix(text, []byte{'\r'}); crlf {
		text = cut
	} else if p.strict {
		return "", false, p.fail(end, "the line ends with LF alone, not with CR LF")
	}
	return string(text), true, nil
}

// back makes the present line the next one again.
func (p *parser) back() {
	p.pos = p.start
	p.line--
}

// section begins to count the bytes and fields of a section of lines.
func (p *parser) section() { p.head, p.fields = p.pos, 0 }

func (p *parser) count() *Error {
	if p.fields++; p.fields > maxFields {
		return p.fail(0, "more than "+strconv.Itoa(maxFields)+" header fields")
	}
	return nil
}

// outer skips the header fields of a message that stands in a file with those of MIME in front.
func (p *parser) outer(*Message) *Error {
	if p.strict {
		return nil
	}
	first, _, _ := bytes.Cut(p.src[:min(len(p.src), maxHead)], []byte{'\n'})
	name, _, _ := strings.Cut(string(first), ":")
	if !isMIME(name) {
		return nil
	}
	var c Content
	if err := p.mime(&c); err != nil || c.Type() != MediaType {
		*p = parser{src: p.src, spaces: p.spaces}
	}
	return nil
}

// header reads the header fields of the message, up to the empty line behind them.
func (p *parser) header(m *Message) *Error {
	p.section()
	for {
		line, ok, err := p.next()
		if err != nil {
			return err
		}
		if !ok {
			return p.fail(0, "the message ends in its header, behind which an empty line and the content are wanted")
		}
		if line == "" {
			return nil
		}
		if err := p.count(); err != nil {
			return err
		}
		name, _, _ := strings.Cut(line, ":")
		if !p.strict && isMIME(strings.TrimRight(name, " \t")) {
			p.back()
			return nil
		}
		f, err := p.field(line)
		if err != nil {
			return err
		}
		if f.Name == core("NS") {
			err = p.declare(&f)
		} else {
			err = p.check(&f)
			m.Header = append(m.Header, f)
		}
		if err != nil {
			return err
		}
	}
}

// field reads a line of the header.
func (p *parser) field(line string) (f Field, err *Error) {
	if !utf8.ValidString(line) {
		return f, p.fail(0, "the line is not in UTF-8")
	}
	if i := strings.IndexFunc(line, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7F || r == '\t' && p.strict }); i >= 0 {
		return f, p.fail(i, "control character "+strconv.QuoteRune(rune(line[i]))+", which has to be escaped")
	}
	if line[0] == ' ' || line[0] == '\t' {
		return f, p.fail(0, "the line begins with white space; header fields are not folded")
	}
	name, rest, ok := strings.Cut(line, ":")
	if !ok {
		return f, p.fail(0, "no colon; a header field or an empty line is wanted")
	}
	at := len(name) + 1
	if !p.strict {
		name = strings.TrimRight(name, " \t")
	}
	if f.Prefix, f.Local, ok = strings.Cut(name, "."); !ok {
		f.Prefix, f.Local = "", name
	}
	if !isName(f.Local) || ok && !isName(f.Prefix) {
		return f, p.fail(0, strconv.Quote(shorten(name))+" is no name of a header field")
	}
	f.Space, f.line = p.spaces[f.Prefix], p.line
	for strings.HasPrefix(rest, ";") {
		n, param, why := parseParam(rest[1:])
		if why != "" {
			return f, p.fail(at, why)
		}
		f.Params = append(f.Params, param)
		rest, at = rest[1+n:], at+1+n
	}
	value := strings.Trim(rest, " \t")
	if p.strict && rest != " "+value {
		return f, p.fail(at, "one space is wanted before the value, and none behind it")
	}
	f.Value = value
	return f, nil
}

// parseParam reads a parameter and returns its length (RFC 3862 section 3.6).
func parseParam(s string) (n int, p Param, why string) {
	eq := strings.IndexByte(s, '=')
	if eq < 0 || !isName(s[:eq]) {
		return 0, p, "no parameter behind the semicolon"
	}
	p.Name = s[:eq]
	if n = eq + 1; n < len(s) && s[n] == '"' {
		end := quoted(s[n:])
		if end < 0 {
			return 0, p, "the string of the parameter has no end"
		}
		p.Value = Unescape(s[n+1 : n+end-1])
		return n + end, p, ""
	}
	for n < len(s) && s[n] != ' ' && s[n] != ';' && s[n] != ',' {
		n++
	}
	if p.Value = s[eq+1 : n]; !isToken(p.Value) {
		return 0, p, "the parameter " + p.Name + " has no value"
	}
	return n, p, ""
}

// declare binds a prefix, or the default, to a namespace (RFC 3862 section 4.6).
func (p *parser) declare(f *Field) *Error {
	prefix, uri, ok := strings.Cut(f.Value, "<")
	prefix = strings.TrimRight(prefix, " ")
	uri, closed := strings.CutSuffix(uri, ">")
	switch {
	case !ok || !closed || !isSpace(uri):
		return p.fail(0, "NS does not have an absolute URI without fragment in < and >")
	case prefix != "" && !isName(prefix):
		return p.fail(0, strconv.Quote(shorten(prefix))+" is no prefix")
	}
	p.spaces[prefix] = uri
	return nil
}

// check refuses values that others depend on, and resolves the names of Require.
func (p *parser) check(f *Field) *Error {
	switch f.Name {
	case core("From"), core("To"), core("cc"), originalTo, recordRoute, route:
		if _, why := parseAddress(f.Value); why != "" {
			return p.fail(0, f.Local+": "+why)
		}
	case core("DateTime"):
		if _, ok := parseTime(f.Value); !ok && p.strict {
			return p.fail(0, "DateTime: "+strconv.Quote(shorten(f.Value))+" is not in the form of RFC 3339, such as 2026-11-22T10:20:30Z")
		}
	case messageID:
		if !isToken(f.Value) && p.strict {
			return p.fail(0, "Message-ID: "+strconv.Quote(shorten(f.Value))+" is no token")
		}
	case core("Require"):
		for word := range strings.SplitSeq(f.Value, ",") {
			word = strings.Trim(word, " ")
			prefix, local, ok := strings.Cut(word, ".")
			if !ok {
				prefix, local = "", word
			}
			if !isName(local) || ok && !isName(prefix) || len(f.names) >= maxFields {
				return p.fail(0, "Require: "+strconv.Quote(shorten(word))+" is no name of a header field")
			}
			if space := p.spaces[prefix]; space != "" {
				f.names = append(f.names, Name{space, local})
			} else {
				f.names = append(f.names, Name{"", word})
			}
		}
	}
	return nil
}
