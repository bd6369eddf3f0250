package demo

import "testing"

// DEMO-003 in a comment does not count.
func TestDemo(t *testing.T) {
	t.Run("DEMO-001 by name", func(t *testing.T) {})
	for _, name := range []string{
		`DEMO-002 in a table 1/2`,
		"DEMO-008 DEMO-009 two rows",
		"SIDE-001",
		"OVER-001 is a document",
		"not first: DEMO-003",
		"DEMO-003-bis is another word",
		"RFC-123 has a prefix that no table has",
	} {
		t.Run(name, func(t *testing.T) {})
	}
}
