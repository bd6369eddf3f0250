package pidf

import (
	"bytes"
	"time"

	"imp/internal/xml/lexical"
	"imp/internal/xml/tree"
)

// Advance returns next with timestamps that are new where a tuple, person or device has changed since the document prev, because a presentity never
// tells two states with one timestamp (RFC 3863 section 4.1.7). Both documents come from Compose for the same presentity. What publishers say stays
// as long as it does not contradict that: a timestamp that has stood still or gone back while its component changed becomes now, or a millisecond
// later than the one before; that one stays as long as the component does. Without anything to do, or without prev, next itself is returned.
func Advance(prev, next []byte, now time.Time) []byte {
	if len(prev) == 0 || bytes.Equal(prev, next) {
		return next
	}
	before, after := trees.Get().(*tree.Tree), trees.Get().(*tree.Tree)
	defer putTree(before)
	defer putTree(after)
	if before.Parse(prev, wide) != nil || after.Parse(next, wide) != nil {
		return next
	}
	old := stampsOf(before)
	var out []byte
	done := 0
	for n := after.Root().FirstChild(); n.Valid(); n = n.NextSibling() {
		s, ok := stampOf(n)
		if !ok {
			continue
		}
		if was, found := old.find(attr(n, "id")); found {
			if form := s.after(was, now); form != "" {
				start, end := s.text.Range()
				out = append(append(out, next[done:start]...), form...)
				done = end
			}
		}
	}
	if done == 0 {
		return next
	}
	return append(out, next[done:]...)
}

// stamp is a component with its timestamp.
type stamp struct {
	node, text tree.Node
	time       time.Time
}

func stampOf(n tree.Node) (stamp, bool) {
	if kindOf(n) == notComponent {
		return stamp{}, false
	}
	text := n.Element(n.Space(), "timestamp").FirstChild()
	t := readTime(text.Text())
	return stamp{n, text, t}, !t.IsZero()
}

// after returns the timestamp that s needs behind was, "" when its own will do.
func (s stamp) after(was stamp, now time.Time) string {
	if s.rest(was) {
		if was.time.After(s.time) {
			return was.text.Text()
		}
		return ""
	}
	if s.time.After(was.time) {
		return ""
	}
	now = now.UTC().Truncate(time.Millisecond)
	if !now.After(was.time) {
		now = was.time.UTC().Truncate(time.Millisecond).Add(time.Millisecond)
	}
	if !writable(now) {
		return ""
	}
	return formatTime(now)
}

// rest reports whether the components are the same but for their timestamps.
func (s stamp) rest(was stamp) bool {
	a, b := s.node.Bytes(), was.node.Bytes()
	aStart, aEnd := s.within()
	bStart, bEnd := was.within()
	return bytes.Equal(a[:aStart], b[:bStart]) && bytes.Equal(a[aEnd:], b[bEnd:])
}

// within is where the text of the timestamp stands in its component.
func (s stamp) within() (start, end int) {
	base := lexical.StartOf(s.node)
	start, end = s.text.Range()
	return start - base, end - base
}

// stamps are the components of a document by their ids.
type stamps struct {
	few  []stamp
	many map[string]stamp
}

func stampsOf(t *tree.Tree) (all stamps) {
	for n := t.Root().FirstChild(); n.Valid(); n = n.NextSibling() {
		s, ok := stampOf(n)
		switch {
		case !ok:
		case len(all.few) < fewIDs:
			all.few = append(all.few, s)
		default:
			if all.many == nil {
				all.many = make(map[string]stamp)
			}
			all.many[attr(n, "id")] = s
		}
	}
	return all
}

func (all stamps) find(id string) (stamp, bool) {
	for _, s := range all.few {
		if attr(s.node, "id") == id {
			return s, true
		}
	}
	s, ok := all.many[id]
	return s, ok
}
