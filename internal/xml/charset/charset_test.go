package charset

import (
	"bytes"
	"encoding/binary"
	"testing"
	"unicode/utf16"

	"imp/internal/xml/tree"
)

func utf16Of(order binary.AppendByteOrder, s string) []byte {
	var b []byte
	for _, u := range utf16.Encode([]rune(s)) {
		b = order.AppendUint16(b, u)
	}
	return b
}

func TestToUTF8(t *testing.T) {
	for name, c := range map[string]struct {
		doc  []byte
		want string
	}{
		"UTF-8":                   {[]byte("<a>\u00e9</a>"), "<a>\u00e9</a>"},
		"UTF-8 declared":          {[]byte("<?xml version='1.0' encoding='UTF-8'?><a>\u00e9</a>"), "<?xml version='1.0' encoding='UTF-8'?><a>\u00e9</a>"},
		"unknown":                 {[]byte("<?xml version='1.0' encoding='EBCDIC'?><a>\xe9</a>"), "<?xml version='1.0' encoding='EBCDIC'?><a>\xe9</a>"},
		"Latin-1":                 {[]byte("<?xml version='1.0' encoding='ISO-8859-1'?><a>\xe9\x80</a>"), "<?xml version='1.0' encoding='UTF-8'?><a>\u00e9\u0080</a>"},
		"Latin-1 in small":        {[]byte("<?xml version = \"1.0\"\n encoding = \"latin1\" standalone='yes'?><a/>"), "<?xml version = \"1.0\"\n encoding = \"UTF-8\" standalone='yes'?><a/>"},
		"windows-1252":            {[]byte("<?xml version='1.0' encoding='windows-1252'?><a>\x80\x93\xe9</a>"), "<?xml version='1.0' encoding='UTF-8'?><a>\u20ac\u201c\u00e9</a>"},
		"UTF-16LE with mark":      {utf16Of(binary.LittleEndian, "\uFEFF<?xml version='1.0' encoding='utf-16'?><a>\u00e9\U0001F600</a>"), "<?xml version='1.0' encoding='UTF-8'?><a>\u00e9\U0001F600</a>"},
		"UTF-16BE with mark":      {utf16Of(binary.BigEndian, "\uFEFF<a>\u00e9</a>"), "<a>\u00e9</a>"},
		"UTF-16LE without mark":   {utf16Of(binary.LittleEndian, "<?xml version='1.0' encoding='UTF-16LE'?><a/>"), "<?xml version='1.0' encoding='UTF-8'?><a/>"},
		"UTF-16BE without mark":   {utf16Of(binary.BigEndian, "<a/>"), "<a/>"},
		"UTF-16 with a false one": {utf16Of(binary.BigEndian, "<?xml version='1.0' encoding='iso-8859-1'?><a/>"), "<?xml version='1.0' encoding='iso-8859-1'?><a/>"},
		"declared in the content": {[]byte("<a><?xml version='1.0' encoding='iso-8859-1'?></a>"), "<a><?xml version='1.0' encoding='iso-8859-1'?></a>"},
		"nothing":                 {nil, ""},
	} {
		got, err := ToUTF8(c.doc)
		if err != nil || string(got) != c.want {
			t.Errorf("%s: got %q, %v, want %q", name, got, err, c.want)
		}
	}
	for name, c := range map[string]struct {
		doc  []byte
		want error
	}{
		"odd":            {append(utf16Of(binary.LittleEndian, "\uFEFF<a/>"), 0), errOdd},
		"half a pair":    {[]byte("\xFE\xFF\x00<\xD8\x00\x00a"), errSurrogate},
		"half at end":    {[]byte("\xFE\xFF\x00<\xD8\x00"), errSurrogate},
		"second half":    {[]byte("\xFE\xFF\x00<\xDC\x00\xD8\x00"), errSurrogate},
		"undefined byte": {[]byte("<?xml version='1.0' encoding='cp1252'?><a>\x81</a>"), errUndefined},
	} {
		if got, err := ToUTF8(c.doc); err != c.want {
			t.Errorf("%s: got %q, %v, want %v", name, got, err, c.want)
		}
	}
}

func FuzzToUTF8(f *testing.F) {
	f.Add([]byte("<?xml version='1.0' encoding='ISO-8859-1'?><a>\xe9</a>"))
	f.Add(utf16Of(binary.BigEndian, "\uFEFF<a>\u00e9\U0001F600</a>"))
	f.Add([]byte("<a/>"))
	f.Fuzz(func(t *testing.T, doc []byte) {
		utf, err := ToUTF8(doc)
		if err != nil {
			return
		}
		if _, err := tree.Parse(doc, tree.Options{}); err == nil && !bytes.Equal(doc, utf) && !bytes.Contains(bytes.ToLower(doc), []byte("encoding")) {
			t.Fatalf("%q is UTF-8 and became %q", doc, utf)
		}
		again, err := ToUTF8(utf)
		if _, parses := tree.Parse(utf, tree.Options{}); parses == nil && (err != nil || !bytes.Equal(again, utf)) {
			t.Fatalf("%q became %q and then %q, %v", doc, utf, again, err)
		}
	})
}
