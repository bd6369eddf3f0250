package tree

import (
	"errors"
	"strings"
	"testing"
)

// malformed documents, where they are refused and with what words.
var malformed = []struct {
	name, src, want string
	reason          error
}{
	{"nothing", "", "1:1: no root element", nil},
	{"white space only", " \n\t", "2:2: no root element", nil},
	{"comment only", "<!-- -->", "1:9: no root element", nil},
	{"plain text", "hello", "1:1: found 'h' outside the root element", nil},
	{"text before the root", "\n x<a/>", "2:2: found 'x' outside", nil},
	{"text behind the root", "<a/>\nx", "2:1: found 'x' outside", nil},
	{"reference behind the root", "<a/>&#32;", "1:5: found '&' outside", nil},
	{"CDATA behind the root", "<a/><![CDATA[]]>", "1:5: found a CDATA section outside", nil},
	{"CDATA before the root", "<![CDATA[ ]]><a/>", "1:1: found a CDATA section outside", nil},
	{"two roots", "<a/>\n<b/>", "2:1: second root element <b>", nil},
	{"end tag first", "</a>", "1:1: end tag </a> outside", nil},
	{"end tag too many", "<a></a></a>", "1:8: end tag </a> outside", nil},
	{"root not closed", "<a><b/>\n", "2:1: document ends inside element <a> of 1:1, expected </a>", nil},
	{"NUL behind the root", "<a/>\x00", "1:5: found U+0000", nil},
	{"NUL at the end of text", "<a>x\x00", "1:5: found U+0000", nil},

	{"lone <", "<", "1:2: found the end of the document, expected an element name", nil},
	{"space before the name", "< a/>", "1:2: found ' ', expected an element name", nil},
	{"< in text", "<a>1 < 2</a>", "1:7: found ' ', expected an element name; a plain '<' is written", nil},
	{"digit starts a name", "<1a/>", "1:2: found '1'", nil},
	{"middle dot starts a name", "<\u00B7a/>", "1:2: found '·' (U+00B7)", nil},
	{"multiplication sign in a name", "<a\u00D7/>", "1:3: found '×' (U+00D7) in tag", nil},
	{"Greek question mark in a name", "<a\u037E/>", "1:3: found '\u037E' (U+037E) in tag", nil},
	{"combining accent starts a local name", "<a xmlns:p='u'><p:\u0301b/></a>", "1:19: found '\u0301' (U+0301)", nil},
	{"colon first", "<:a/>", "1:2: found ':'", nil},
	{"colon last", "<a:/>", "1:4: found '/'", nil},
	{"two colons", "<a:b:c xmlns:a='u'/>", "1:5: found ':' in tag <a:b:c>", nil},
	{"digit behind the colon", "<a:1 xmlns:a='u'/>", "1:4: found '1'", nil},
	{"tag not closed", "<a", "1:3: found the end of the document in tag <a>", nil},
	{"tag in a tag", "<a <b/>", "1:4: found '<', expected an attribute name, '>' or \"/>\"", nil},
	{"slash not at the end", "<a / >", "1:5: found ' ' after '/' in tag <a>", nil},
	{"wrong end tag", "<r>\n <é><b></é></r>", "2:8: found end tag </é>, expected </b> for the element of 2:5", nil},
	{"longer end tag", "<a></ab>", "1:4: found end tag </ab>, expected </a>", nil},
	{"shorter end tag", "<ab></a>", "1:5: found end tag </a>, expected </ab>", nil},
	{"end tag with another prefix", "<p:a xmlns:p='u' xmlns:q='u'></q:a>", "1:30: found end tag </q:a>, expected </p:a>", nil},
	{"end tag with a colon more", "<p></p:a>", "1:4: found end tag </p:a>, expected </p>", nil},
	{"attribute in an end tag", "<a></a b='1'>", "1:8: found 'b' in end tag </a>", nil},
	{"end tag not closed", "<a></a", "1:7: found the end of the document in end tag </a>", nil},

	{"attribute without value", "<a b/>", "1:5: found '/' after attribute name b, expected '='", nil},
	{"attribute without quotes", "<a b=1/>", "1:6: found '1' as the value of attribute b", nil},
	{"attribute not closed", "<a b='1/>", "1:10: found the end of the document in the value of attribute b", nil},
	{"other quote", "<a b='1\"/>", "1:11: found the end of the document in the value", nil},
	{"no space between attributes", "<a b='1'c='2'/>", "1:9: found 'c' in tag <a>, expected white space", nil},
	{"no space before an attribute", "<a b='1'\"/>", "1:9: found '\"' in tag <a>", nil},
	{"< in a value", "<a b='x<y'/>", "1:8: found '<' in the value of attribute b", nil},
	{"control character in a value", "<a b='\x1f'/>", "1:7: found U+001F, which is no character of XML, in the value of attribute b", nil},
	{"U+FFFE in a value", "<a b='x\uFFFE'/>", "1:8: found U+FFFE", nil},
	{"same attribute", "<a b='1' c='2' b='3'/>", "1:16: attribute b stands twice", nil},
	{"same expanded name", "<a xmlns:p='u' xmlns:q='u' p:b='1' q:b='2'/>", "1:36: attribute q:b stands twice in one tag: p:b is of the same namespace", nil},
	{"same expanded name, declared later", "<a p:b='1' q:b='2' xmlns:p='u' xmlns:q='&#x75;'/>", "1:12: attribute q:b stands twice", nil},

	{"control character in text", "<a>\u00e4\x0b</a>", "1:5: found U+000B", nil},
	{"U+FFFF in text", "<a>\uFFFF</a>", "1:4: found U+FFFF", nil},
	{"]]> in text", "<a>x]]></a>", "1:5: found \"]]>\" in text", nil},
	{"]]> behind brackets", "<a>]]]]></a>", "1:6: found \"]]>\" in text", nil},
	{"lone ampersand", "<a>a & b</a>", "1:7: found ' ' after \"&\", expected an entity name", nil},
	{"reference without semicolon", "<a>&amp </a>", "1:8: found ' ' after \"&amp\", expected ';'", nil},
	{"undeclared entity", "<a>\n&nbsp;</a>", "2:1: entity &nbsp; is not declared", ErrEntity},
	{"undeclared entity in a value", "<a b='&LT;'/>", "1:7: entity &LT; is not declared", ErrEntity},
	{"character 0", "<a>&#0;</a>", "1:4: &#0; refers to no character", nil},
	{"control character by reference", "<a>&#x1F;</a>", "1:4: &#x1F; refers", nil},
	{"surrogate by reference", "<a>&#xD800;</a>", "1:4: &#xD800; refers", nil},
	{"U+FFFE by reference", "<a>&#65534;</a>", "1:4: &#65534; refers", nil},
	{"beyond Unicode", "<a>&#x110000;</a>", "1:4: &#x110000; refers", nil},
	{"far beyond Unicode", "<a>&#4294967361;</a>", "1:4: &#4294967361; refers", nil},
	{"hexadecimal without x", "<a>&#4A;</a>", "1:4: &#4A; refers", nil},
	{"capital X", "<a>&#X41;</a>", "1:4: &#X41; refers", nil},
	{"no digits", "<a>&#;</a>", "1:4: &#; refers", nil},
	{"no digits behind x", "<a>&#x;</a>", "1:4: &#x; refers", nil},
	{"character reference without semicolon", "<a>&#65</a>", "1:8: found '<' in a character reference", nil},

	{"two hyphens in a comment", "<a><!-- a -- b --></a>", "1:11: found \"--\" inside a comment", nil},
	{"three hyphens end a comment", "<a><!-- a ---></a>", "1:11: found \"--\" inside a comment", nil},
	{"short comment", "<!--->", "1:7: document ends inside the comment of 1:1", nil},
	{"comment not closed", "<a><!-- \n-", "2:2: document ends inside the comment of 1:4", nil},
	{"control character in a comment", "<a><!--\x00--></a>", "1:8: found U+0000", nil},
	{"CDATA not closed", "<a><![CDATA[ ]] </a>", "1:21: document ends inside the CDATA section of 1:4", nil},
	{"control character in CDATA", "<a><![CDATA[\x7f\x01]]></a>", "1:14: found U+0001", nil},
	{"lower-case cdata", "<a><![cdata[x]]></a>", "1:4: found \"<!\" that starts neither", nil},
	{"declaration in content", "<a><!ELEMENT a ANY></a>", "1:4: found \"<!\" that starts neither", nil},
	{"PI without target", "<a><? x?></a>", "1:6: found ' ' after \"<?\"", nil},
	{"PI target with a colon", "<a><?p:q x?></a>", "1:7: found ':' after processing instruction target p", nil},
	{"PI not closed", "<a><?p x></a>", "1:14: document ends inside the processing instruction of 1:4", nil},
	{"PI target xml", "<a><?xml version='1.0'?></a>", "1:4: found an XML declaration", nil},
	{"PI target XmL", "<?XmL x?><a/>", "1:3: processing instruction target XmL is reserved", nil},
	{"control character in a PI", "<?p \x02?><a/>", "1:5: found U+0002", nil},

	{"late XML declaration", "\n<?xml version='1.0'?><a/>", "2:1: found an XML declaration", nil},
	{"two XML declarations", "<?xml version='1.0'?><?xml version='1.0'?><a/>", "1:22: found an XML declaration", nil},
	{"XML declaration without version", "<?xml encoding='UTF-8'?><a/>", "1:7: found 'e' in the XML declaration, expected version", nil},
	{"XML declaration without anything", "<?xml?><a/>", "1:6: found '?' in the XML declaration, expected version", nil},
	{"version 2.0", "<?xml version='2.0'?><a/>", "1:16: XML version 2.0", nil},
	{"version 1", "<?xml version='1.'?><a/>", "1:16: XML version 1.", nil},
	{"version 1.0a", "<?xml version='1.0a'?><a/>", "1:16: XML version 1.0a", nil},
	{"version with a space", "<?xml version='1.0 '?><a/>", "1:19: found ' ' in the value of version", nil},
	{"wrong order", "<?xml version='1.0' standalone='yes' encoding='UTF-8'?><a/>", "1:38: found 'e' in the XML declaration", nil},
	{"no space before encoding", "<?xml version='1.0'encoding='UTF-8'?><a/>", "1:20: found 'e' in the XML declaration", nil},
	{"standalone maybe", "<?xml version='1.0' standalone='maybe'?><a/>", "1:33: standalone is \"maybe\"", nil},
	{"unknown part", "<?xml version='1.0' lang='en'?><a/>", "1:21: found 'l' in the XML declaration", nil},
	{"XML declaration not closed", "<?xml version='1.0'>", "1:20: found '>' in the XML declaration", nil},
	{"encoding name with a space", "<?xml version='1.0' encoding='utf 8'?><a/>", "1:34: found ' ' in the value of encoding", nil},
	{"encoding name with a digit first", "<?xml version='1.0' encoding='8859'?><a/>", "1:31: \"8859\" is no name of an encoding", nil},

	{"declared Latin-1", "<?xml version='1.0' encoding='ISO-8859-1'?><a>\xe9</a>", "1:31: document declares to be ISO-8859-1", ErrEncoding},
	{"declared UTF-16 in ASCII", "<?xml version='1.0' encoding='UTF-16'?><a/>", "1:31: document declares to be UTF-16", ErrEncoding},
	{"declared Latin-1 behind a mark", "\uFEFF<?xml version='1.0' encoding='iso-8859-1'?><a/>", "1:31: document declares", ErrEncoding},
	{"declared US-ASCII behind a mark", "\uFEFF<?xml version='1.0' encoding='us-ascii'?><a/>", "1:31: document declares to be us-ascii but", ErrEncoding},
	{"declared US-ASCII with more", "<?xml version='1.0' encoding='US-ASCII'?>\n<a>caf\u00e9</a>", "2:7: byte 0xC3 in a document that declares to be US-ASCII", ErrEncoding},
	{"UTF-16 big endian", "\xFE\xFF\x00<\x00a\x00/\x00>", "1:1: document in UTF-16", ErrEncoding},
	{"UTF-16 little endian", "\xFF\xFE<\x00a\x00/\x00>\x00", "1:1: document in UTF-16", ErrEncoding},
	{"UTF-16 without mark", "\x00<\x00a\x00/\x00>", "1:1: document in UTF-16", ErrEncoding},
	{"UTF-16 little endian without mark", "<\x00a\x00/\x00>\x00", "1:1: document in UTF-16", ErrEncoding},
	{"UTF-32", "\xFF\xFE\x00\x00<\x00\x00\x00", "1:1: document in UTF-32", ErrEncoding},
	{"EBCDIC", "\x4C\x6F\xA7\x94", "1:1: document in EBCDIC", ErrEncoding},
	{"Latin-1 not declared", "<a>\u00e4\n\xe9</a>", "2:1: byte 0xE9 is not valid UTF-8", ErrUTF8},
	{"surrogate in UTF-8", "<a>\uFFFD\xED\xA0\x80</a>", "1:5: byte 0xED is not valid UTF-8", ErrUTF8},
	{"cut-off UTF-8", "<a/><!--\u00e4-->\xC3", "1:13: byte 0xC3 is not valid UTF-8", ErrUTF8},
	{"overlong UTF-8", "<a>\xC0\xBC</a>", "1:4: byte 0xC0", ErrUTF8},
	{"second mark", "\uFEFF\uFEFF<a/>", "1:1: found '\\ufeff' (U+FEFF) outside", nil},

	{"undeclared prefix", "<p:a/>", "1:2: prefix of p:a is not declared", ErrPrefix},
	{"undeclared prefix of an attribute", "<a p:b='1'/>", "1:4: prefix of p:b is not declared", ErrPrefix},
	{"prefix out of scope", "<a><b xmlns:p='u'/><p:c/></a>", "1:21: prefix of p:c is not declared", ErrPrefix},
	{"prefix out of scope behind content", "<a><b xmlns:p='u'><p:c/></b><p:c/></a>", "1:30: prefix of p:c is not declared", ErrPrefix},
	{"prefix undeclared", "<a xmlns:p='u'><b xmlns:p=''/></a>", "1:19: prefix p is declared with an empty namespace name", nil},
	{"prefix xml rebound", "<a xmlns:xml='u'/>", "1:4: prefix xml may not be bound to \"u\"", nil},
	{"xml namespace with another prefix", "<a xmlns:p='http://www.w3.org/XML/1998/namespace'/>", "1:4: namespace http://www.w3.org/XML/1998/namespace is reserved", nil},
	{"xml namespace as default", "<a xmlns='http://www.w3.org/XML/1998/&#110;amespace'/>", "1:4: namespace http://www.w3.org/XML/1998/namespace is reserved", nil},
	{"xmlns namespace", "<a xmlns:p='http://www.w3.org/2000/xmlns/'/>", "1:4: namespace http://www.w3.org/2000/xmlns/ is reserved", nil},
	{"prefix xmlns declared", "<a xmlns:xmlns='http://www.w3.org/2000/xmlns/'/>", "1:4: prefix xmlns may not be declared", nil},
	{"element with prefix xmlns", "<xmlns:a/>", "1:2: found xmlns:a, no element may have the prefix xmlns", nil},
	{"xmlns without prefix behind the colon", "<a xmlns:='u'/>", "1:10: found '='", nil},
	{"default namespace twice", "<a xmlns='u' xmlns='u'/>", "1:14: xmlns stands twice in one tag", nil},
	{"prefix declared twice", "<a xmlns:p='u' b='' xmlns:p='v'/>", "1:21: xmlns:p stands twice in one tag", nil},

	{"document type declaration", "<!DOCTYPE a><a/>", "1:1: found a document type declaration, which is refused", ErrDTD},
}

func TestMalformed(t *testing.T) {
	for _, test := range malformed {
		t.Run(test.name, func(t *testing.T) { refused(t, test.src, Options{}, test.want, test.reason) })
	}
}

// refused checks that a document is refused with a message that starts with want, for that reason and no other.
func refused(t *testing.T, src string, opt Options, want string, reason error) {
	t.Helper()
	_, err := Parse([]byte(src), opt)
	if err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Fatalf("%.200q: got %v, expected %s", src, err, want)
	}
	for _, r := range []error{ErrEncoding, ErrUTF8, ErrDTD, ErrEntity, ErrPrefix, ErrLimit} {
		if errors.Is(err, r) != (r == reason) {
			t.Errorf("%v: Is(%v) is %v", err, r, errors.Is(err, r))
		}
	}
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("%T is no *Error", err)
	}
	if line, col := position(src, e.Offset); line != e.Line || col != e.Col {
		t.Errorf("%v: offset %d is %d:%d", err, e.Offset, line, col)
	}
}

func TestMalformedWithDTD(t *testing.T) {
	for _, test := range []struct {
		name, src, want string
		reason          error
	}{
		{"inside the root", "<a><!DOCTYPE a></a>", "1:4: found a document type declaration inside", nil},
		{"behind the root", "<a/><!DOCTYPE a>", "1:5: found a document type declaration behind", nil},
		{"twice", "<!DOCTYPE a><!DOCTYPE a><a/>", "1:13: second document type declaration", nil},
		{"no space", "<!DOCTYPEa><a/>", "1:10: found 'a' after <!DOCTYPE, expected white space", nil},
		{"no name", "<!DOCTYPE ><a/>", "1:11: found '>', expected the name", nil},
		{"garbage behind the name", "<!DOCTYPE a b><a/>", "1:13: found 'b' in the document type declaration, expected '>'", nil},
		{"unquoted identifier", "<!DOCTYPE a SYSTEM b><a/>", "1:20: found 'b' in the document type declaration, expected a quoted", nil},
		{"no system identifier", "<!DOCTYPE a PUBLIC 'b'><a/>", "1:23: found '>' after PUBLIC", nil},
		{"bad public identifier", "<!DOCTYPE a PUBLIC 'b{' 'c'><a/>", "1:22: found '{' in a public identifier", nil},
		{"identifier not closed", "<!DOCTYPE a SYSTEM 'b><a/>", "1:27: document ends inside quotes", nil},
		{"subset not closed", "<!DOCTYPE a [ <!ELEMENT a ANY> <a/>", "1:32: found '<' in the document type declaration, expected ']'", nil},
		{"declaration not closed", "<!DOCTYPE a [<!ELEMENT a ANY ]><a/>", "1:32: found '<' in the document type declaration", nil},
		{"quotes in a declaration not closed", "<!DOCTYPE a [<!ENTITY e \"> ]><a/>", "1:34: document ends inside quotes", nil},
		{"comment not closed", "<!DOCTYPE a [<!-- ]><a/>", "1:25: document ends inside the comment of 1:14", nil},
		{"bad comment", "<!DOCTYPE a [<!-- -- -->]><a/>", "1:19: found \"--\" inside a comment", nil},
		{"XML declaration in the subset", "<!DOCTYPE a [<?xml version='1.0'?>]><a/>", "1:14: found an XML declaration", nil},
		{"bad parameter entity", "<!DOCTYPE a [%b]><a/>", "1:16: found ']' in a reference to a parameter entity", nil},
		{"control character", "<!DOCTYPE a [<!ENTITY e '\x01'>]><a/>", "1:26: found U+0001", nil},
		{"entity as namespace name", "<!DOCTYPE a><a xmlns='&ns;'/>", "1:23: namespace name &ns; refers to an entity", ErrEntity},
		{"no DTD", "<a>&e;</a>", "1:4: entity &e; is not declared", ErrEntity},
		{"entity not closed", "<!DOCTYPE a><a>&b </a>", "1:18: found ' ' after \"&b\"", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			refused(t, test.src, Options{AllowDTD: true}, test.want, test.reason)
		})
	}
}

// TestMessagesAreBounded makes sure that a long name from a document does not fill a log.
func TestMessagesAreBounded(t *testing.T) {
	long := strings.Repeat("ä", 100_000)
	for _, src := range []string{"<" + long + "></b>", "<a>&" + long + ";</a>", "<a " + long + "/>", "<a></" + long + ">", "<" + long + ":a/>"} {
		if _, err := Parse([]byte(src), Options{}); err == nil || len(err.Error()) > 400 {
			t.Errorf("%.20q: message of %d bytes", src, len(err.Error()))
		}
	}
}
