package grammar

import (
	"fmt"
	"strings"
)

// tokenKind tells the tokens of the compact syntax apart. Punctuation is a kind of its own for each character.
type tokenKind int

const (
	tokenEnd tokenKind = iota
	tokenWord
	tokenQuotedWord // \word, which is never a keyword
	tokenPrefixed   // prefix:local
	tokenSpace      // prefix:*
	tokenLiteral
	tokenAssign // =, |= or &=
	tokenPunct
)

type token struct {
	kind tokenKind
	text string
	line int
}

// lexer splits a grammar file into tokens; comments and white space are between them.
type lexer struct {
	file, src string
	at, line  int
}

// syntaxError is why a grammar file cannot be compiled. It is a mistake in a file of this package.
type syntaxError struct {
	file string
	line int
	text string
}

func (e *syntaxError) Error() string { return fmt.Sprintf("%s:%d: %s", e.file, e.line, e.text) }

func (l *lexer) skip() {
	for l.at < len(l.src) {
		switch c := l.src[l.at]; {
		case c == '\n':
			l.line++
			l.at++
		case c == ' ' || c == '\t' || c == '\r':
			l.at++
		case c == '#':
			end := strings.IndexByte(l.src[l.at:], '\n')
			if end < 0 {
				end = len(l.src) - l.at
			}
			l.at += end
		default:
			return
		}
	}
}

func wordStart(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c >= 0x80
}

func wordByte(c byte) bool {
	return wordStart(c) || c >= '0' && c <= '9' || c == '-' || c == '.'
}

func (l *lexer) word() string {
	start := l.at
	for l.at < len(l.src) && wordByte(l.src[l.at]) {
		l.at++
	}
	return l.src[start:l.at]
}

func (l *lexer) next() (token, error) {
	l.skip()
	t := token{line: l.line}
	if l.at == len(l.src) {
		return t, nil
	}
	c := l.src[l.at]
	rest := l.src[l.at:]
	switch {
	case wordStart(c):
		return l.name(t), nil
	case c == '\\' && len(rest) > 1 && wordStart(rest[1]):
		l.at++
		t.kind, t.text = tokenQuotedWord, l.word()
		return t, nil
	case c == '"' || c == '\'':
		end := strings.IndexByte(rest[1:], c)
		if end < 0 || strings.Contains(rest[1:1+end], "\n") {
			return t, &syntaxError{l.file, l.line, "literal without its end"}
		}
		t.kind, t.text = tokenLiteral, rest[1:1+end]
		l.at += end + 2
		return t, nil
	case strings.HasPrefix(rest, "|=") || strings.HasPrefix(rest, "&="):
		t.kind, t.text = tokenAssign, rest[:2]
	case c == '=':
		t.kind, t.text = tokenAssign, "="
	case strings.IndexByte("{}(),|&?*+-~", c) >= 0:
		t.kind, t.text = tokenPunct, rest[:1]
	default:
		return t, &syntaxError{l.file, l.line, fmt.Sprintf("unexpected %q", c)}
	}
	l.at += len(t.text)
	return t, nil
}

// name reads what begins as a word: the word, prefix:local or prefix:*.
func (l *lexer) name(t token) token {
	t.kind, t.text = tokenWord, l.word()
	rest := l.src[l.at:]
	switch {
	case strings.HasPrefix(rest, ":*"):
		t.kind = tokenSpace
		l.at += 2
	case len(rest) > 1 && rest[0] == ':' && wordStart(rest[1]):
		l.at++
		t.kind, t.text = tokenPrefixed, t.text+":"+l.word()
	}
	return t
}
