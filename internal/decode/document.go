package decode

import (
	"bytes"
	"fmt"
	"strings"

	"imp/internal/xml/charset"
	"imp/internal/xml/format"
	"imp/internal/xml/grammar"
	"imp/internal/xml/tree"
)

func decodeXML(src []byte) *Part {
	p := &Part{Kind: XML, Title: fmt.Sprintf("XML, %d bytes", len(src)), Size: len(src), Content: string(src)}
	utf, err := charset.ToUTF8(src)
	if err != nil {
		p.problem("%v", err)
		return p
	}
	t, err := tree.Parse(utf, tree.Options{AllowDTD: true})
	if err != nil {
		p.problem("%v", err)
		p.Content = plain(utf).Content
		return p
	}
	p.Content = string(format.Append(nil, t, format.Options{}))
	root := t.Root()
	g, ok := grammar.For(root.Space(), root.Local())
	if !ok {
		p.Title = fmt.Sprintf("XML <%s>, %d bytes", root.Name(), len(src))
		if problem, wrong := grammar.Misplaced(root); wrong {
			p.problem("%d:%d: %s: %s", problem.Line, problem.Col, problem.Rule, problem.Text)
		}
		return p
	}
	p.Title = fmt.Sprintf("%s, %d bytes", g.Name(), len(src))
	for _, problem := range append(g.Check(t), g.Lint(t)...) {
		p.problem("%d:%d: %s: %s", problem.Line, problem.Col, problem.Rule, problem.Text)
	}
	return p
}

// meanings are the lines of SDP (RFC 8866 section 5).
var meanings = map[byte]string{'v': "version", 'o': "origin", 's': "session name", 'i': "information", 'u': "URI", 'e': "email", 'p': "phone", 'c': "connection",
	'b': "bandwidth", 't': "time", 'r': "repeat", 'z': "time zones", 'k': "key", 'a': "attribute", 'm': "media"}

// attributes are those of MSRP and of what it needs.
var attributes = map[string]string{
	"path": "MSRP path (RFC 4975)", "accept-types": "types taken (RFC 4975)", "accept-wrapped-types": "types taken in CPIM (RFC 4975)", "max-size": "largest message (RFC 4975)",
	"setup": "who connects (RFC 4145)", "connection": "new or existing (RFC 4145)", "fingerprint": "certificate (RFC 8122)", "msrp-cema": "middleboxes allowed (RFC 6714)",
	"file-selector": "file (RFC 5547)", "file-transfer-id": "transfer (RFC 5547)", "file-disposition": "what the file is for (RFC 5547)", "file-date": "dates of the file (RFC 5547)",
	"file-range": "part of the file (RFC 5547)", "file-icon": "preview (RFC 5547)", "chatroom": "what the room can do (RFC 7701)",
}

func decodeSDP(src []byte) *Part {
	p := &Part{Kind: SDP, Title: "session description", Size: len(src)}
	for line := range bytes.Lines(src) {
		text := strings.TrimRight(string(line), "\r\n")
		if len(text) < 2 || text[1] != '=' || meanings[text[0]] == "" {
			if text != "" {
				p.problem("this is no line of SDP: %q", clip(text))
			}
			continue
		}
		note := meanings[text[0]]
		if text[0] == 'a' {
			name, _, _ := strings.Cut(text[2:], ":")
			if known := attributes[name]; known != "" {
				note = known
			}
		}
		p.Fields = append(p.Fields, Field{Name: text[:1], Value: text[2:], Note: note})
	}
	for _, need := range []string{"v", "o", "s", "t"} {
		if p.get(need, false) == "" {
			p.problem("there is no line %s=", need)
		}
	}
	return p
}
