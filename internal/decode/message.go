package decode

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"imp/internal/doc/cpim"
	"imp/internal/sip/header"
)

// fields reads header fields up to the empty line, folded ones joined.
func (p *Part) fields(src []byte) (body []byte) {
	for len(src) > 0 {
		line, rest, ended := bytes.Cut(src, []byte("\n"))
		if !ended {
			p.problem("the header has no empty line at its end")
		}
		line = bytes.TrimSuffix(line, []byte("\r"))
		src = rest
		if len(line) == 0 {
			return src
		}
		if (line[0] == ' ' || line[0] == '\t') && len(p.Fields) > 0 {
			last := &p.Fields[len(p.Fields)-1]
			last.Value = strings.TrimSpace(last.Value + " " + strings.TrimSpace(string(line)))
			continue
		}
		name, value, ok := strings.Cut(string(line), ":")
		if !ok {
			p.problem("a line of the header has no colon: %q", clip(string(line)))
			continue
		}
		p.Fields = append(p.Fields, Field{Name: strings.TrimRight(name, " \t"), Value: strings.TrimSpace(value)})
	}
	return nil
}

func clip(s string) string {
	if len(s) > 60 {
		return strings.ToValidUTF8(s[:60], "") + "…"
	}
	return s
}

// get gives the value of the first field with this name, in long or compact form where compact is allowed.
func (p *Part) get(name string, compact bool) string {
	i := slices.IndexFunc(p.Fields, func(f Field) bool {
		return strings.EqualFold(f.Name, name) || compact && strings.EqualFold(header.LongName(f.Name), name)
	})
	if i < 0 {
		return ""
	}
	return p.Fields[i].Value
}

func decodeSIP(src []byte, depth int) *Part {
	first, rest, _ := bytes.Cut(src, []byte("\n"))
	p := &Part{Kind: SIP, Title: strings.TrimRight(string(first), "\r"), Size: len(src)}
	body := p.fields(rest)
	for i := range p.Fields {
		f := &p.Fields[i]
		if long := header.LongName(f.Name); len(f.Name) == 1 && long != f.Name {
			f.Note = long
		}
	}
	for _, name := range []string{"Via", "From", "To", "Call-ID", "CSeq"} {
		if p.get(name, true) == "" {
			p.problem("there is no %s", name)
		}
	}
	p.checkSIP()
	if told := p.get("Content-Length", true); told != "" {
		n, err := strconv.Atoi(told)
		switch {
		case err != nil || n < 0:
			p.problem("Content-Length %q is no number", clip(told))
		case n > len(body):
			p.problem("Content-Length is %d, the body has %d bytes", n, len(body))
		case n < len(body):
			p.problem("%d bytes stand behind the body", len(body)-n)
			body = body[:n]
		}
	}
	contentType := p.get("Content-Type", true)
	if contentType == "" && len(body) > 0 {
		p.problem("there is a body and no Content-Type")
	}
	p.body(body, contentType, p.get("Content-Encoding", true), depth)
	return p
}

// checkSIP reads the fields that everything hangs on.
func (p *Part) checkSIP() {
	for i := range p.Fields {
		f := &p.Fields[i]
		var err error
		switch strings.ToLower(header.LongName(f.Name)) {
		case "from", "to":
			_, err = header.ParseAddress(f.Value)
		case "cseq":
			_, err = header.ParseCSeq(f.Value)
		case "event":
			_, err = header.ParseEvent(f.Value)
		case "subscription-state":
			_, err = header.ParseSubscriptionState(f.Value)
		case "expires", "min-expires":
			_, err = header.ParseExpires(f.Value)
		case "max-forwards":
			_, err = header.ParseMaxForwards(f.Value)
		case "content-type":
			_, err = header.ParseContentType(f.Value)
		case "contact":
			_, _, err = header.ParseContacts([]string{f.Value})
		}
		switch {
		case err == nil:
		case strings.HasPrefix(err.Error(), header.LongName(f.Name)+": "):
			p.problem("%v", err)
		default:
			p.problem("%s: %v", f.Name, err)
		}
	}
	method, _, request := strings.Cut(p.Title, " ")
	if !request || strings.HasPrefix(method, "SIP/") {
		return
	}
	if c, err := header.ParseCSeq(p.get("CSeq", false)); err == nil && c.Method != method {
		p.problem("CSeq is of %s, the request is %s", clip(c.Method), clip(method))
	}
}

func decodeHTTP(src []byte, depth int) *Part {
	first, rest, _ := bytes.Cut(src, []byte("\n"))
	p := &Part{Kind: HTTP, Title: strings.TrimRight(string(first), "\r"), Size: len(src)}
	body := p.fields(rest)
	p.body(body, p.get("Content-Type", false), p.get("Content-Encoding", false), depth)
	return p
}

func decodeMIME(src []byte, depth int) *Part {
	p := &Part{Kind: MIME, Title: "MIME part", Size: len(src)}
	body := p.fields(src)
	p.body(body, p.get("Content-Type", false), p.get("Content-Encoding", false), depth)
	return p
}

// flags are what the end-line of MSRP says (RFC 4975 section 7.1).
var flags = map[byte]string{'$': "the last chunk", '+': "more chunks follow", '#': "aborted"}

func decodeMSRP(src []byte, depth int) *Part {
	first, rest, _ := bytes.Cut(src, []byte("\n"))
	p := &Part{Kind: MSRP, Title: strings.TrimRight(string(first), "\r"), Size: len(src)}
	words := strings.Fields(p.Title)
	if len(words) < 3 {
		p.problem("the start line has no transaction id and method or status")
		return p
	}
	end := []byte("-------" + words[1])
	i := bytes.LastIndex(src, end)
	if i < 0 {
		p.problem("there is no end-line %s", end)
		p.fields(rest)
		return p
	}
	tail := bytes.TrimRight(src[i+len(end):], "\r\n")
	if len(tail) == 0 || flags[tail[0]] == "" {
		p.problem("the end-line has none of the flags $, + and #")
	} else {
		p.Title += "  (" + flags[tail[0]] + ")"
		if len(tail) > 1 {
			p.problem("%d bytes stand behind the end-line", len(tail)-1)
		}
	}
	head := src[len(first)+1 : max(i, len(first)+1)]
	body, hasBody := []byte(nil), bytes.Contains(head, []byte("\r\n\r\n"))
	if hasBody {
		cut := bytes.Index(head, []byte("\r\n\r\n"))
		head, body = head[:cut+4], bytes.TrimSuffix(head[cut+4:], []byte("\r\n"))
	} else {
		head = append(bytes.Clone(head), "\r\n"...)
	}
	p.fields(head)
	contentType := p.get("Content-Type", false)
	if r := p.get("Byte-Range", false); r != "" && !strings.HasPrefix(r, "1-") || len(tail) > 0 && tail[0] != '$' {
		if len(body) > 0 { // a part of something
			part := plain(body)
			part.Title = strings.TrimSpace(contentType + "  bytes " + r + "  " + part.Title)
			p.Parts = append(p.Parts, part)
		}
		return p
	}
	p.body(body, contentType, "", depth)
	return p
}

// multipart takes the parts of RFC 2046 section 5.1.1 apart.
func multipart(src []byte, boundary string, depth int) *Part {
	p := &Part{Kind: Multipart, Title: "multipart", Size: len(src)}
	if boundary == "" {
		p.problem("there is no boundary")
		p.Content = plain(src).Content
		return p
	}
	closed := false
	rest := append([]byte("\n"), src...)
	delimiter := []byte("\n--" + boundary)
	_, rest, found := bytes.Cut(rest, delimiter)
	for found && !closed {
		if bytes.HasPrefix(rest, []byte("--")) {
			closed = true
			break
		}
		if len(p.Parts) == maxParts {
			p.problem("only the first %d parts are shown", maxParts)
			break
		}
		_, rest, _ = bytes.Cut(rest, []byte("\n")) // white space behind the boundary
		var part []byte
		part, rest, found = bytes.Cut(rest, delimiter)
		p.Parts = append(p.Parts, decodeMIME(bytes.TrimSuffix(part, []byte("\r")), depth+1))
	}
	if !closed {
		p.problem("the last boundary --%s-- is missing", clip(boundary))
	}
	p.Title = fmt.Sprintf("multipart of %d parts", len(p.Parts))
	for _, part := range p.Parts {
		if id := part.get("Content-ID", false); id != "" {
			part.Title += " " + id
		}
	}
	return p
}

// looksLikeCPIM tells whether src begins with header fields that CPIM has and MIME and SIP have not in this way.
func looksLikeCPIM(src []byte) bool {
	for _, name := range []string{"From:", "To:", "DateTime:", "NS:", "cc:", "Subject:"} {
		if bytes.HasPrefix(src, []byte(name)) {
			_, err := cpim.Parse(src)
			return err == nil
		}
	}
	return false
}

func decodeCPIM(src []byte, depth int) *Part {
	p := &Part{Kind: CPIM, Title: "CPIM message", Size: len(src)}
	if _, err := cpim.Parse(src); err != nil {
		p.problem("%v", err)
	}
	body := p.fields(src)
	inner := decodeMIME(body, depth+1)
	p.Parts = append(p.Parts, inner)
	return p
}
