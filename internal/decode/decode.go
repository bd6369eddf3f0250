// Package decode takes messages and documents of presence and messaging apart, for people and programs to look at: SIP (RFC 3261), MSRP (RFC 4975), HTTP,
// CPIM (RFC 3862), MIME multipart (RFC 2046), SDP (RFC 8866) and XML, one inside the other as they come.
//
// It shows what is there, right or wrong, and says what is wrong about it; it refuses nothing.
package decode

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"fmt"
	"io"
	"mime"
	"strings"
	"unicode/utf8"
)

// Limits of what is taken apart; what is beyond is shown as it is.
const (
	maxDepth    = 8       // parts in parts
	maxParts    = 100     // of one multipart
	maxInflated = 4 << 20 // bytes of a body after its Content-Encoding
)

// Kind says what a part is.
type Kind string

// The kinds of parts.
const (
	SIP       Kind = "sip"
	MSRP      Kind = "msrp"
	HTTP      Kind = "http"
	CPIM      Kind = "cpim"
	Multipart Kind = "multipart"
	MIME      Kind = "mime"
	SDP       Kind = "sdp"
	XML       Kind = "xml"
	Text      Kind = "text"
	Binary    Kind = "binary"
)

// Part is a message, a document, or a part of one.
type Part struct {
	Kind     Kind     `json:"kind" doc:"sip, msrp, http, cpim, multipart, mime, sdp, xml, text or binary"`
	Title    string   `json:"title" doc:"what it is, in a line"`
	Size     int      `json:"size" doc:"bytes"`
	Fields   []Field  `json:"fields,omitempty" doc:"header fields, or lines of SDP"`
	Content  string   `json:"content,omitempty" doc:"text, XML laid out, or other bytes in hexadecimal"`
	Problems []string `json:"problems,omitempty" doc:"what is wrong"`
	Parts    []*Part  `json:"parts,omitempty" doc:"what is in it"`
}

// Field is a header field, its name as written.
type Field struct {
	Name  string `json:"name" doc:"name as it is written"`
	Value string `json:"value" doc:"value, unfolded"`
	Note  string `json:"note,omitempty" doc:"what it means"`
}

// Decode takes src apart. contentType is what is known about it, "" for nothing.
func Decode(src []byte, contentType string) *Part { return decode(src, contentType, 0) }

func decode(src []byte, contentType string, depth int) *Part {
	if depth > maxDepth {
		p := plain(src)
		p.problem("not taken apart: more than %d parts in each other", maxDepth)
		return p
	}
	if contentType == "" {
		return sniff(src, depth)
	}
	media, params, err := mime.ParseMediaType(contentType)
	var p *Part
	switch {
	case err != nil:
		p = sniff(src, depth)
		p.problem("Content-Type %q: %v", contentType, err)
	case strings.HasPrefix(media, "multipart/"):
		p = multipart(src, params["boundary"], depth)
	case media == "message/cpim":
		p = decodeCPIM(src, depth)
	case media == "message/sip", media == "message/sipfrag", media == "message/http":
		p = sniff(src, depth)
	case media == "application/sdp":
		p = decodeSDP(src)
	case strings.HasSuffix(media, "+xml"), media == "text/xml", media == "application/xml":
		p = decodeXML(src)
	case utf8.Valid(src) && strings.HasPrefix(media, "text/"):
		p = plain(src)
	default:
		p = sniff(src, depth)
	}
	if p.Title = strings.TrimSpace(contentType + "  " + p.Title); err != nil {
		p.Title = contentType
	}
	return p
}

// sniff tells from how src begins what it is.
func sniff(src []byte, depth int) *Part {
	start := bytes.TrimLeft(src, "\r\n")
	first, _, _ := bytes.Cut(start, []byte("\n"))
	first = bytes.TrimRight(first, "\r")
	switch {
	case bytes.HasPrefix(first, []byte("SIP/2.0 ")), bytes.HasSuffix(first, []byte(" SIP/2.0")):
		return decodeSIP(start, depth)
	case bytes.HasPrefix(first, []byte("MSRP ")):
		return decodeMSRP(start, depth)
	case bytes.HasPrefix(first, []byte("HTTP/1.")), bytes.HasSuffix(first, []byte(" HTTP/1.1")), bytes.HasSuffix(first, []byte(" HTTP/1.0")):
		return decodeHTTP(start, depth)
	case bytes.HasPrefix(bytes.TrimLeft(src, " \t\r\n"), []byte("<")), bytes.HasPrefix(src, []byte("\xef\xbb\xbf<")),
		bytes.HasPrefix(src, []byte("\xff\xfe<")), bytes.HasPrefix(src, []byte("\xfe\xff\x00<")):
		return decodeXML(src)
	case bytes.HasPrefix(first, []byte("v=0")):
		return decodeSDP(src)
	case bytes.HasPrefix(first, []byte("--")) && len(first) > 2 && bytes.Count(src, first) > 1:
		return multipart(src, string(bytes.TrimRight(first[2:], " \t")), depth)
	case looksLikeCPIM(src):
		return decodeCPIM(src, depth)
	case hasPrefixFold(first, "content-") && bytes.IndexByte(first, ':') > 0:
		return decodeMIME(src, depth)
	}
	return plain(src)
}

func hasPrefixFold(s []byte, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(string(s[:len(prefix)]), prefix)
}

// plain is what nothing is known about.
func plain(src []byte) *Part {
	if utf8.Valid(src) && !bytes.ContainsRune(src, 0) {
		return &Part{Kind: Text, Title: fmt.Sprintf("text, %d bytes", len(src)), Size: len(src), Content: string(src)}
	}
	return &Part{Kind: Binary, Title: fmt.Sprintf("%d bytes that are not text", len(src)), Size: len(src), Content: dump(src)}
}

// maxDump is how many bytes are shown in hexadecimal.
const maxDump = 512

// dump shows bytes in hexadecimal and as ASCII, 16 a line.
func dump(src []byte) string {
	var b strings.Builder
	for at := 0; at < len(src) && at < maxDump; at += 16 {
		line := src[at:min(at+16, len(src))]
		fmt.Fprintf(&b, "%04x  %-47s  ", at, fmt.Sprintf("% x", line))
		for _, c := range line {
			if c < 0x20 || c > 0x7e {
				c = '.'
			}
			b.WriteByte(c)
		}
		b.WriteByte('\n')
	}
	if len(src) > maxDump {
		fmt.Fprintf(&b, "… %d bytes more\n", len(src)-maxDump)
	}
	return b.String()
}

func (p *Part) problem(format string, args ...any) {
	p.Problems = append(p.Problems, fmt.Sprintf(format, args...))
}

// body adds what a body is, after undoing its Content-Encoding.
func (p *Part) body(src []byte, contentType, encoding string, depth int) {
	if len(src) == 0 {
		return
	}
	inner := src
	if encoding = strings.ToLower(strings.TrimSpace(encoding)); encoding != "" && encoding != "identity" {
		var err error
		if inner, err = inflate(src, encoding); err != nil {
			p.problem("Content-Encoding %s: %v", encoding, err)
			p.Parts = append(p.Parts, plain(src))
			return
		}
	}
	part := decode(inner, contentType, depth+1)
	if encoding != "" && encoding != "identity" {
		part.Title += fmt.Sprintf(" (%s, %d bytes on the wire)", encoding, len(src))
	}
	p.Parts = append(p.Parts, part)
}

// inflate undoes a content coding. What is called deflate comes with the header of zlib and without it.
func inflate(src []byte, encoding string) ([]byte, error) {
	var r io.ReadCloser
	var err error
	switch encoding {
	case "gzip", "x-gzip":
		r, err = gzip.NewReader(bytes.NewReader(src))
	case "deflate":
		if r, err = zlib.NewReader(bytes.NewReader(src)); err != nil {
			r, err = flate.NewReader(bytes.NewReader(src)), nil
		}
	default:
		return nil, fmt.Errorf("unknown to imp")
	}
	if err != nil {
		return nil, err
	}
	defer r.Close()
	out, err := io.ReadAll(io.LimitReader(r, maxInflated+1))
	if err == nil && len(out) > maxInflated {
		err = fmt.Errorf("more than %d bytes", maxInflated)
	}
	return out, err
}
