package kit

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// choice is a flag value out of a fixed list.
type choice struct {
	value *string
	of    []string
}

// Choice returns a flag value that takes one of the given words.
func Choice(value *string, of ...string) pflag.Value { return &choice{value, of} }

func (c *choice) String() string { return *c.value }
func (c *choice) Type() string   { return strings.Join(c.of, "|") }

func (c *choice) Set(s string) error {
	if !slices.Contains(c.of, s) {
		return fmt.Errorf("must be %s", or(c.of))
	}
	*c.value = s
	return nil
}

// given is a flag value that is not empty: an empty one, as of a variable that is not set, would silently mean the default.
type given struct{ value *string }

func (g given) String() string {
	if g.value == nil {
		return ""
	}
	return *g.value
}

func (g given) Type() string { return "string" }

func (g given) Set(s string) error {
	if s == "" {
		return errors.New("is empty: leave the flag out to have what the account says")
	}
	*g.value = s
	return nil
}

// timeoutFlag is --timeout, which remembers that it was given.
type timeoutFlag struct {
	*Duration
	given *bool
}

func (t timeoutFlag) Set(s string) error {
	*t.given = true
	return t.Duration.Set(s)
}

// flagNames lists the long flags that a command takes.
func flagNames(cmd *cobra.Command) (names []string) {
	add := func(f *pflag.Flag) {
		if !f.Hidden {
			names = append(names, f.Name)
		}
	}
	cmd.Flags().VisitAll(add)
	cmd.InheritedFlags().VisitAll(add)
	return names
}

// or joins words as "a, b or c".
func or(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// Nearest returns the candidate that the word was probably meant to be, or "".
func Nearest(word string, candidates []string) string {
	best, bound := "", min(len(word)/3+2, max(len(word)-1, 1))
	for _, c := range candidates {
		if len(word) > 1 && strings.HasPrefix(c, word) {
			return c
		}
		if d := distance(strings.ToLower(word), strings.ToLower(c)); d < bound {
			best, bound = c, d
		}
	}
	return best
}

// distance counts the bytes to insert, delete, replace or swap with a neighbour to get from a to b.
func distance(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
