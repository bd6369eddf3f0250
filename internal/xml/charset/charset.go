// Package charset makes UTF-8 of documents in UTF-16, ISO-8859-1 and windows-1252 (XML 1.0, sections 4.3.3 and F).
//
// It is for files that people have. Servers take UTF-8 only and do without it.
package charset

import (
	"bytes"
	"encoding/binary"
	"errors"
	"regexp"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

var (
	errOdd       = errors.New("document is UTF-16 by its first bytes and ends amid a character")
	errSurrogate = errors.New("document is UTF-16 by its first bytes and has half of a surrogate pair")
	errUndefined = errors.New("document declares to be windows-1252 and has a byte that stands for nothing there")
)

// ToUTF8 returns the document in UTF-8, and its XML declaration says so. What is UTF-8 already, or in an encoding that
// this package does not know, is returned as it is, for the parser to judge.
func ToUTF8(doc []byte) ([]byte, error) {
	if order := utf16Order(doc); order != nil {
		utf, err := fromUTF16(doc, order)
		if err != nil {
			return nil, err
		}
		return redeclare(utf, "utf-16", "utf-16le", "utf-16be"), nil
	}
	switch declared(doc) {
	case "iso-8859-1", "latin1", "latin-1", "l1", "iso8859-1", "iso_8859-1", "iso-ir-100", "cp819", "ibm819":
		return redeclare(from8(doc, nil), declared(doc)), nil
	case "windows-1252", "cp1252":
		if undefined(doc) {
			return nil, errUndefined
		}
		return redeclare(from8(doc, &windows1252), declared(doc)), nil
	}
	return doc, nil
}

// utf16Order tells by a byte order mark, or by how "<" is written, that a document is UTF-16.
func utf16Order(doc []byte) binary.ByteOrder {
	switch {
	case len(doc) < 4 || doc[2] == 0 && doc[3] == 0: // UTF-32
	case doc[0] == 0xFF && doc[1] == 0xFE, doc[0] == '<' && doc[1] == 0:
		return binary.LittleEndian
	case doc[0] == 0xFE && doc[1] == 0xFF, doc[0] == 0 && doc[1] == '<':
		return binary.BigEndian
	}
	return nil
}

func fromUTF16(doc []byte, order binary.ByteOrder) ([]byte, error) {
	if len(doc)%2 != 0 {
		return nil, errOdd
	}
	utf := make([]byte, 0, len(doc))
	for i := 0; i < len(doc); i += 2 {
		r := rune(order.Uint16(doc[i:]))
		if utf16.IsSurrogate(r) {
			if i += 2; i == len(doc) {
				return nil, errSurrogate
			}
			if r = utf16.DecodeRune(r, rune(order.Uint16(doc[i:]))); r == utf8.RuneError {
				return nil, errSurrogate
			}
		}
		utf = utf8.AppendRune(utf, r)
	}
	return bytes.TrimPrefix(utf, []byte("\uFEFF")), nil
}

// declaration is an XML declaration up to the name of its encoding, which is the group.
var declaration = regexp.MustCompile(`^<\?xml[ \t\r\n][^>]*?[ \t\r\n]encoding[ \t\r\n]*=[ \t\r\n]*["']([A-Za-z][A-Za-z0-9._-]*)["']`)

// declared returns the encoding that a document in some extension of ASCII declares, in lower case.
func declared(doc []byte) string {
	head := doc[:min(len(doc), 1000)]
	if m := declaration.FindSubmatch(head); m != nil {
		return strings.ToLower(string(m[1]))
	}
	return ""
}

// redeclare writes UTF-8 in the XML declaration where one of the names stands.
func redeclare(utf []byte, names ...string) []byte {
	m := declaration.FindSubmatchIndex(utf[:min(len(utf), 1000)])
	if m == nil {
		return utf
	}
	for _, name := range names {
		if strings.EqualFold(string(utf[m[2]:m[3]]), name) {
			return append(append(append(make([]byte, 0, len(utf)), utf[:m[2]]...), "UTF-8"...), utf[m[3]:]...)
		}
	}
	return utf
}

// from8 decodes an encoding of one byte a character that is ISO-8859-1 but for the bytes from 0x80 to 0x9F.
func from8(doc []byte, upper *[32]rune) []byte {
	utf := make([]byte, 0, len(doc)+len(doc)/8)
	for _, c := range doc {
		r := rune(c)
		if upper != nil && c >= 0x80 && c < 0xA0 {
			r = upper[c-0x80]
		}
		utf = utf8.AppendRune(utf, r)
	}
	return utf
}

func undefined(doc []byte) bool {
	for _, c := range doc {
		if c >= 0x80 && c < 0xA0 && windows1252[c-0x80] == 0 {
			return true
		}
	}
	return false
}

// windows1252 has the characters from 0x80 to 0x9F, 0 where there is none.
var windows1252 = [32]rune{
	0x20AC, 0, 0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160, 0x2039, 0x0152, 0, 0x017D, 0,
	0, 0x2018, 0x2019, 0x201C, 0x201D, 0x2022, 0x2013, 0x2014, 0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0, 0x017E, 0x0178,
}
