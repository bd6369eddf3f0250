package grammar

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// simple is the type of a value: a data type with its restrictions, a list, or a choice of such.
type simple struct {
	base     *datatype
	values   []string         // if not empty, the value is one of them
	patterns []*regexp.Regexp // all match
	min, max *int64
	minLen   int
	maxLen   int // 0 is no bound

	list   *simple // of items between white space
	least  int     // of items
	most   int     // of items, 0 is no bound
	choice []*simple
}

// anyText is the type of values that may be anything.
var anyText = &simple{base: builtin("", "string")}

func (s *simple) restrict(name, value string) error {
	n, numeric := strconv.ParseInt(value, 10, 64)
	if name != "pattern" && numeric != nil {
		return fmt.Errorf("%s: %q is no number", name, value)
	}
	switch name {
	case "pattern":
		re, err := regexp.Compile("^(?:" + value + ")$")
		if err != nil {
			return err
		}
		s.patterns = append(s.patterns, re)
	case "minInclusive":
		s.min = &n
	case "maxInclusive":
		s.max = &n
	case "length":
		s.minLen, s.maxLen = int(n), int(n)
	case "minLength":
		s.minLen = int(n)
	case "maxLength":
		s.maxLen = int(n)
	default:
		return errors.New("unknown parameter " + name)
	}
	return nil
}

// free reports whether every value is good, so that it need not be read.
func (s *simple) free() bool {
	return s.base != nil && s.base.free && s.values == nil && s.patterns == nil && s.minLen == 0 && s.maxLen == 0
}

// accepts reports whether value is of the type.
func (s *simple) accepts(value string) bool {
	switch {
	case s.choice != nil:
		return slices.ContainsFunc(s.choice, func(c *simple) bool { return c.accepts(value) })
	case s.list != nil:
		return s.acceptsList(value)
	}
	if s.base.collapse {
		value = collapse(value)
	}
	if s.values != nil {
		return slices.Contains(s.values, value)
	}
	if !s.base.valid(value) {
		return false
	}
	for _, re := range s.patterns {
		if !re.MatchString(value) {
			return false
		}
	}
	return s.inRange(value)
}

func (s *simple) inRange(value string) bool {
	if s.min != nil || s.max != nil {
		n, err := strconv.ParseInt(strings.TrimPrefix(value, "+"), 10, 64)
		if err != nil || s.min != nil && n < *s.min || s.max != nil && n > *s.max {
			return false
		}
	}
	if s.minLen > 0 || s.maxLen > 0 {
		n := len([]rune(value))
		return n >= s.minLen && (s.maxLen == 0 || n <= s.maxLen)
	}
	return true
}

func (s *simple) acceptsList(value string) bool {
	n := 0
	for item := range strings.FieldsFuncSeq(value, isSpace) {
		if n++; !s.list.accepts(item) {
			return false
		}
	}
	return n >= s.least && (s.most == 0 || n <= s.most)
}

// describe says what is accepted, for messages.
func (s *simple) describe() string {
	switch {
	case s.choice != nil:
		var parts []string
		for _, c := range s.choice {
			parts = append(parts, c.describe())
		}
		return orList(parts)
	case s.list != nil:
		return "a list of items, each " + s.list.describe()
	case s.values != nil:
		return orList(quoteAll(s.values))
	}
	what := s.base.what
	switch {
	case s.min != nil && s.max != nil:
		what += fmt.Sprintf(" between %d and %d", *s.min, *s.max)
	case s.min != nil:
		what += fmt.Sprintf(" of at least %d", *s.min)
	case s.max != nil:
		what += fmt.Sprintf(" of at most %d", *s.max)
	}
	switch {
	case s.minLen > 0 && s.minLen == s.maxLen:
		what += fmt.Sprintf(" of %d characters", s.minLen)
	case s.minLen > 0:
		what += fmt.Sprintf(" of at least %d characters", s.minLen)
	case s.maxLen > 0:
		what += fmt.Sprintf(" of at most %d characters", s.maxLen)
	}
	for _, re := range s.patterns {
		what += " like " + strings.TrimSuffix(strings.TrimPrefix(re.String(), "^(?:"), ")$")
	}
	return what
}

// isID reports whether values of the type are IDs, which are unique in a document.
func (s *simple) isID() bool { return s.base != nil && s.base.id }

func quoteAll(values []string) []string {
	var quoted []string
	for _, v := range values {
		if v == "" {
			v = "nothing"
		}
		quoted = append(quoted, v)
	}
	return quoted
}

// orList writes a, b or c, and of a long list only the beginning.
func orList(parts []string) string {
	const most = 10
	switch {
	case len(parts) == 0:
		return "nothing"
	case len(parts) == 1:
		return parts[0]
	case len(parts) > most:
		return fmt.Sprintf("%s or one of %d more", strings.Join(parts[:most-2], ", "), len(parts)-most+2)
	}
	return strings.Join(parts[:len(parts)-1], ", ") + " or " + parts[len(parts)-1]
}

func isSpace(r rune) bool { return r == ' ' || r == '\t' || r == '\n' || r == '\r' }

// collapse does what XML Schema calls white space collapse; most values have nothing to collapse.
func collapse(s string) string {
	space := true
	for i := 0; i < len(s); i++ {
		now := isSpace(rune(s[i]))
		if now && (space || s[i] != ' ') {
			return strings.Join(strings.FieldsFunc(s, isSpace), " ")
		}
		space = now
	}
	if space && s != "" {
		return s[:len(s)-1]
	}
	return s
}
