package header

import "testing"

func TestContentDisposition(t *testing.T) {
	for s, want := range map[string]struct {
		kind     string
		optional bool
	}{
		"render": {"render", false}, " Session ; handling=optional": {"session", true}, `recipient-list;HANDLING="OPTIONAL"`: {"recipient-list", true}, "x;handling=required": {"x", false},
	} {
		d, err := ParseContentDisposition(s)
		if err != nil || d.Type != want.kind || d.Optional() != want.optional {
			t.Errorf("%s: %+v, %v", s, d, err)
		}
	}
	for _, s := range []string{"", ";handling=optional", "a b", "render;", "render, session"} {
		if d, err := ParseContentDisposition(s); err == nil {
			t.Errorf("%s is taken as %+v", s, d)
		}
	}
}
