package xcap

import (
	"errors"
	"net/http"
	"strings"
)

// conditions are If-Match and If-None-Match of a request (RFC 9110 section 13.1).
type conditions struct {
	match, none tags
}

// tags is a list of entity tags.
type tags struct {
	given, any   bool
	strong, weak []string // without quotes
}

var errTags = errors.New("expected * or a list of entity tags in double quotes")

func readConditions(h http.Header) (c conditions, err error) {
	if c.match, err = readTags(h["If-Match"]); err != nil {
		return c, errors.New("If-Match: " + err.Error())
	}
	if c.none, err = readTags(h["If-None-Match"]); err != nil {
		return c, errors.New("If-None-Match: " + err.Error())
	}
	return c, nil
}

func readTags(values []string) (t tags, err error) {
	for _, v := range values {
		for {
			if v = strings.TrimLeft(v, " \t,"); v == "" {
				break
			}
			if t.given = true; v[0] == '*' {
				t.any = true
				v = v[1:]
			} else if v, err = t.read(v); err != nil {
				return t, err
			}
			if v = strings.TrimLeft(v, " \t"); v != "" && v[0] != ',' {
				return t, errTags
			}
		}
	}
	if t.any && len(t.strong)+len(t.weak) > 0 || len(values) > 0 && !t.given {
		return t, errTags
	}
	return t, nil
}

// read takes the first entity tag off v.
func (t *tags) read(v string) (rest string, err error) {
	v, weak := strings.CutPrefix(v, "W/")
	if v == "" || v[0] != '"' {
		return "", errTags
	}
	tag, rest, ended := strings.Cut(v[1:], `"`)
	if !ended || strings.ContainsFunc(tag, func(r rune) bool { return r <= ' ' || r == 0x7F }) {
		return "", errTags
	}
	if weak {
		t.weak = append(t.weak, tag)
	} else {
		t.strong = append(t.strong, tag)
	}
	return rest, nil
}

// has reports whether a tag is in the list; only the comparison of If-None-Match is weak (RFC 9110 section 8.8.3.2).
func (t *tags) has(tag string, weak bool) bool {
	return t.any || contains(t.strong, tag) || weak && contains(t.weak, tag)
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}

// check returns the status that answers a request because of its conditions, 0 when they hold. The tag is that of the document, ""
// when there is none.
func (c *conditions) check(tag string, read bool) int {
	switch {
	case c.match.given && (tag == "" || !c.match.has(tag, false)):
		return http.StatusPreconditionFailed
	case !c.none.given || tag == "" || !c.none.has(tag, true):
		return 0
	case read:
		return http.StatusNotModified
	}
	return http.StatusPreconditionFailed
}
