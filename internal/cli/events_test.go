package cli

import (
	"regexp"
	"testing"
)

var snakeCase = regexp.MustCompile(`^[a-z][a-z0-9_]*(\[\])*(\.[a-z][a-z0-9_]*(\[\])*)*$`)

// TestEventsAreDocumented checks what imp-json(7) is made of: names in snake_case, event and time first, and a meaning for everything.
func TestEventsAreDocumented(t *testing.T) {
	k, _ := tree()
	for _, e := range k.Events() {
		fields := e.Fields()
		if len(fields) < 2 || fields[0].Name != "event" || fields[1].Name != "time" {
			t.Errorf("%s does not begin with event and time", e.Name)
		}
		if e.Meaning == "" {
			t.Errorf("%s: it is not said when it is printed", e.Name)
		}
		for _, f := range fields {
			if !snakeCase.MatchString(f.Name) {
				t.Errorf("%s: %s is not snake_case", e.Name, f.Name)
			}
			if f.Meaning == "" {
				t.Errorf("%s: %s has no doc tag", e.Name, f.Name)
			}
		}
	}
}
