package load

import (
	"bytes"
	"encoding/xml"
	"strings"
	"time"
)

// The mark of a document: the run, its number and its time, at fixed places.
const (
	markName   = "imp-bench-"
	numberSize = 12
	timeSize   = 16
)

// document renders a presence document of at least size bytes, and tells where
// in it number and time are to be written.
func document(uri, id string, size int) ([]byte, int) {
	var b bytes.Buffer
	b.WriteString(`<?xml version="1.0" encoding="UTF-8"?>` + "\n" + `<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="`)
	_ = xml.EscapeText(&b, []byte(uri)) // a Buffer takes everything
	b.WriteString(`"><tuple id="bench"><status><basic>open</basic></status><note>` + markName + id + "-")
	at := b.Len()
	b.WriteString(strings.Repeat("0", numberSize) + "-" + strings.Repeat("0", timeSize))
	const end = "</note></tuple></presence>\n"
	if pad := size - b.Len() - len(end); pad > 0 {
		b.WriteString(" " + strings.Repeat("x", max(pad-1, 0)))
	}
	b.WriteString(end)
	return b.Bytes(), at
}

// writeMark writes a number and a time with leading zeros.
func writeMark(b []byte, number uint64, sent time.Duration) {
	writeDigits(b[:numberSize], number)
	writeDigits(b[numberSize+1:numberSize+1+timeSize], uint64(sent))
}

func writeDigits(b []byte, v uint64) {
	for i := len(b) - 1; i >= 0; i-- {
		b[i] = byte('0' + v%10)
		v /= 10
	}
}

// readMark finds the mark of a run in a body.
func readMark(body []byte, id string) (number uint64, sent time.Duration, ok bool) {
	at := bytes.Index(body, []byte(markName))
	if at < 0 {
		return 0, 0, false
	}
	b, ok := bytes.CutPrefix(body[at+len(markName):], []byte(id))
	if !ok || len(b) < 1+numberSize+1+timeSize {
		return 0, 0, false
	}
	number, ok = readDigits(b[1 : 1+numberSize])
	nanos, fine := readDigits(b[2+numberSize : 2+numberSize+timeSize])
	return number, time.Duration(nanos), ok && fine
}

func readDigits(b []byte) (v uint64, ok bool) {
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		v = v*10 + uint64(c-'0')
	}
	return v, true
}
