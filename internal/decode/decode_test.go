package decode

import (
	"bytes"
	"compress/flate"
	"compress/zlib"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// shown shows a part as text.
func shown(t *testing.T, p *Part) string {
	t.Helper()
	var b strings.Builder
	if err := p.WriteText(&b, Paint{}, nil); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func crlf(s string) []byte { return []byte(strings.ReplaceAll(s, "\n", "\r\n")) }

const pidf = `<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="sip:kim@lab.test"><tuple id="t1"><status><basic>open</basic></status></tuple></presence>`

const list = `--b1
Content-Type: application/rlmi+xml
Content-ID: <root@lab.test>

<list xmlns="urn:ietf:params:xml:ns:rlmi" uri="sip:friends@lab.test" version="1" fullState="true"/>
--b1
Content-Type: multipart/related;boundary=b2

--b2
Content-Type: application/pidf+xml

` + pidf + `
--b2--
--b1--
`

func sip(head, body string) []byte {
	return append(crlf("NOTIFY sip:bob@lab.test SIP/2.0\nv: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK1\nf: <sip:kim@lab.test>;tag=1\nt: <sip:bob@lab.test>;tag=2\ni: 1@lab.test\nCSeq: 1 NOTIFY\n"+head+"\n"), body...)
}

func TestDecode(t *testing.T) {
	var zlibbed, raw bytes.Buffer
	zw := zlib.NewWriter(&zlibbed)
	zw.Write([]byte(pidf))
	zw.Close()
	fw, _ := flate.NewWriter(&raw, 9)
	fw.Write([]byte(pidf))
	fw.Close()
	for _, c := range []struct {
		name     string
		src      []byte
		typ      string
		contains []string
		problem  string // "" = there is none
	}{
		{"SIP with a document", sip("c: application/pidf+xml\no: presence\n", pidf), "", []string{"NOTIFY sip:bob@lab.test SIP/2.0\n", "\nf: <sip:kim@lab.test>;tag=1  (From)\n", "\no: presence  (Event)\n", "\n  application/pidf+xml  pidf, 142 bytes\n", "\n          <basic>open</basic>\n"}, ""},
		{"a list in a list", sip("Content-Type: multipart/related;type=\"application/rlmi+xml\";boundary=b1\n", string(crlf(list))), "", []string{"multipart of 2 parts", "MIME part <root@lab.test>", "rlmi,", "multipart of 1 parts", "<basic>open"}, ""},
		{"deflate with the header of zlib", sip("Content-Type: application/pidf+xml\nContent-Encoding: deflate\n", zlibbed.String()), "", []string{"pidf, 142 bytes (deflate,", "<basic>open"}, ""},
		{"deflate without", sip("Content-Type: application/pidf+xml\ne: deflate\n", raw.String()), "", []string{"<basic>open"}, ""},
		{"a coding that is broken", sip("Content-Type: application/pidf+xml\nContent-Encoding: gzip\n", "none"), "", []string{"text, 4 bytes"}, "Content-Encoding gzip"},
		{"a folded field", sip("Subject: one\n two\n", ""), "", []string{"\nSubject: one two\n"}, ""},
		{"fields are missing", crlf("OPTIONS sip:a SIP/2.0\n\n"), "", nil, "there is no Via"},
		{"a header without an end", crlf("SIP/2.0 200 OK\nVia: x"), "", nil, "no empty line"},
		{"a line without a colon", sip("nonsense\n", ""), "", nil, `no colon: "nonsense"`},
		{"a field that is wrong", sip("Event: a b\n", ""), "", nil, "! Event: offset"},
		{"a CSeq of another method", crlf("NOTIFY sip:a SIP/2.0\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\nFrom: <sip:a>\nTo: <sip:a>\nCall-ID: 1\nCSeq: 1 NOTFY\n\n"), "", nil, "CSeq is of NOTFY, the request is NOTIFY"},
		{"a length that is too long", sip("Content-Length: 9\nContent-Type: text/plain\n", "abc"), "", nil, "Content-Length is 9, the body has 3 bytes"},
		{"a length that is too short", sip("l: 2\nContent-Type: text/plain\n", "abc"), "", []string{"\n    ab\n"}, "1 bytes stand behind the body"},
		{"a body of no type", sip("", "abc"), "", nil, "no Content-Type"},
		{"MSRP", crlf("MSRP a786hjs2 SEND\nTo-Path: msrp://b.lab.test:8888/9di4;tcp\nFrom-Path: msrp://a.lab.test:7777/eicc;tcp\nMessage-ID: 87652\nByte-Range: 1-11/11\nContent-Type: text/plain\n\nhey\nthere\n-------a786hjs2$\n"), "", []string{"MSRP a786hjs2 SEND  (the last chunk)", "Message-ID", "\n    hey\n    there\n"}, ""},
		{"a chunk of MSRP", crlf("MSRP dkei38sd SEND\nTo-Path: msrp://b;tcp\nFrom-Path: msrp://a;tcp\nMessage-ID: 4564\nByte-Range: 1-*/8\nContent-Type: text/xml\n\n<ab\n-------dkei38sd+\n"), "", []string{"(more chunks follow)", "text/xml  bytes 1-*/8  text, 3 bytes"}, ""},
		{"MSRP without a body", crlf("MSRP a 200 OK\nTo-Path: msrp://b;tcp\nFrom-Path: msrp://a;tcp\n-------a$\n"), "", []string{"MSRP a 200 OK"}, ""},
		{"MSRP without an end", crlf("MSRP a SEND\nTo-Path: msrp://b;tcp\n"), "", nil, "no end-line -------a"},
		{"CPIM", crlf("From: <sip:kim@lab.test>\nTo: <sip:bob@lab.test>\n\nContent-Type: text/plain\n\nhello\n"), "", []string{"CPIM message", "<sip:kim@lab.test>", "\n      hello\n"}, ""},
		{"SDP", crlf("v=0\no=- 1 1 IN IP4 127.0.0.1\ns=-\nt=0 0\nm=message 7394 TCP/MSRP *\na=path:msrp://a:7394/x;tcp\n"), "", []string{"session description", "\n  a=path:msrp://a:7394/x;tcp  (MSRP path (RFC 4975))\n"}, ""},
		{"SDP that lacks something", crlf("v=0\nwhat\n"), "", nil, "there is no line o="},
		{"XML of no known type", []byte("<a><b/></a>"), "", []string{"XML <a>, 11 bytes"}, ""},
		{"XML in the wrong namespace", []byte(`<presence xmlns="urn:x"/>`), "", nil, "wrong-namespace"},
		{"XML that is invalid", []byte(`<presence xmlns="urn:ietf:params:xml:ns:pidf"/>`), "", nil, "missing-attribute"},
		{"XML that is none", []byte("<a><b></a>"), "", []string{"<a><b></a>"}, "1:7"},
		{"UTF-16", []byte("\xff\xfe<\x00a\x00/\x00>\x00"), "", []string{"<a/>"}, ""},
		{"a type that is told", []byte("v=0 is no SDP here"), "text/plain", []string{"text/plain  text, 18 bytes", "v=0 is"}, ""},
		{"a type that is none", []byte("abc"), "a b", []string{"abc"}, "Content-Type"},
		{"bytes", []byte{0, 1, 0xff, 'A'}, "", []string{"4 bytes that are not text", "0000  00 01 ff 41 ", "...A"}, ""},
		{"a boundary that is missing", []byte("--x\r\n\r\nabc"), "multipart/mixed;boundary=x", []string{"abc"}, "the last boundary --x-- is missing"},
		{"HTTP", crlf("HTTP/1.1 409 Conflict\nContent-Type: application/xcap-error+xml\n\n<xcap-error xmlns=\"urn:ietf:params:xml:ns:xcap-error\"><cannot-insert/></xcap-error>"), "", []string{"HTTP/1.1 409 Conflict", "xcap-error, "}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := Decode(c.src, c.typ)
			got := shown(t, p)
			for _, want := range c.contains {
				if !strings.Contains(got, want) {
					t.Errorf("no %q in\n%s", want, got)
				}
			}
			if p.Faulty() != (c.problem != "") || !strings.Contains(got, c.problem) {
				t.Errorf("faulty: %v, want %q in\n%s", p.Faulty(), c.problem, got)
			}
		})
	}
}

func TestBounds(t *testing.T) {
	t.Run("parts in parts", func(t *testing.T) {
		var src string
		for b := range 20 {
			src += fmt.Sprintf("Content-Type: multipart/mixed;boundary=x%d.\r\n\r\n--x%[1]d.\r\n", b)
		}
		if got := shown(t, Decode([]byte(src), "")); !strings.Contains(got, "not taken apart") {
			t.Errorf("got\n%.2000s", got)
		}
	})
	t.Run("parts beside parts", func(t *testing.T) {
		p := Decode([]byte(strings.Repeat("--x\r\n\r\na\r\n", 500)), "multipart/mixed;boundary=x")
		if len(p.Parts) != maxParts || !p.Faulty() {
			t.Errorf("%d parts", len(p.Parts))
		}
	})
	t.Run("a bomb", func(t *testing.T) {
		var b bytes.Buffer
		w := zlib.NewWriter(&b)
		w.Write(make([]byte, 2*maxInflated))
		w.Close()
		if got := shown(t, Decode(sip("Content-Type: text/plain\nContent-Encoding: deflate\n", b.String()), "")); !strings.Contains(got, "more than 4194304 bytes") {
			t.Errorf("got\n%.2000s", got)
		}
	})
}

// TestVectors takes apart what the RFCs print; each has to be known for what it is.
func TestVectors(t *testing.T) {
	dir := filepath.Join("..", "..", "..", "shared", "vectors", "examples")
	files, _ := filepath.Glob(filepath.Join(dir, "*"))
	if len(files) == 0 {
		t.Skip("no shared vectors at ../shared/vectors")
	}
	kinds := map[string]Kind{".sip": SIP, ".xml": XML, ".msrp": MSRP, ".cpim": CPIM, ".sdp": SDP, ".multipart": Multipart}
	for _, f := range files {
		want, ok := kinds[filepath.Ext(f)]
		if !ok {
			continue
		}
		src, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		p := Decode(src, "")
		if p.Kind == MIME && len(p.Parts) == 1 { // with its header fields before it
			p = p.Parts[0]
		}
		if p.Kind != want {
			t.Errorf("%s is taken for %s", filepath.Base(f), p.Kind)
		}
	}
}

// FuzzDecode demands that everything is shown, and as JSON too.
func FuzzDecode(f *testing.F) {
	f.Add(sip("Content-Type: multipart/related;boundary=b1\n", list), "")
	f.Add(crlf("MSRP a SEND\nTo-Path: msrp://b;tcp\n\nx\n-------a+\n"), "")
	f.Add([]byte("v=0\r\n"), "application/sdp")
	f.Add([]byte("From: <sip:a>\r\nTo: <sip:b>\r\n\r\nContent-Type: text/plain\r\n\r\nx"), "message/cpim")
	f.Fuzz(func(t *testing.T, src []byte, typ string) {
		p := Decode(src, typ)
		if shown(t, p) == "" {
			t.Fatal("nothing is shown")
		}
		if _, err := json.Marshal(p); err != nil {
			t.Fatal(err)
		}
	})
}
