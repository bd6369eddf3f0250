package canon

// few is how many bindings are looked through one by one before a map takes over.
const few = 16

// scope holds the namespace bindings that the elements written so far and still open declare.
type scope struct {
	stack    []binding
	opened   []int            // length of stack when each open element started
	byPrefix map[string]int32 // last entry of stack by prefix, once there are many
}

type binding struct {
	prefix, uri string
	before      int32 // entry of the same prefix that this one hides, -1 when there is none; only with byPrefix
}

func (s *scope) enter() { s.opened = append(s.opened, len(s.stack)) }

func (s *scope) leave() {
	last := len(s.opened) - 1
	for i := len(s.stack) - 1; s.byPrefix != nil && i >= s.opened[last]; i-- {
		s.unindex(&s.stack[i])
	}
	s.stack, s.opened = s.stack[:s.opened[last]], s.opened[:last]
}

func (s *scope) unindex(b *binding) {
	if b.before < 0 {
		delete(s.byPrefix, b.prefix)
	} else {
		s.byPrefix[b.prefix] = b.before
	}
}

func (s *scope) bind(prefix, uri string) {
	s.stack = append(s.stack, binding{prefix: prefix, uri: uri})
	switch {
	case s.byPrefix != nil:
		s.index(len(s.stack) - 1)
	case len(s.stack) > few:
		s.byPrefix = make(map[string]int32)
		for i := range s.stack {
			s.index(i)
		}
	}
}

func (s *scope) index(i int) {
	b := &s.stack[i]
	b.before = -1
	if before, ok := s.byPrefix[b.prefix]; ok {
		b.before = before
	}
	s.byPrefix[b.prefix] = int32(i)
}

// lookup returns what a prefix is bound to, "" when it is not bound.
func (s *scope) lookup(prefix string) string {
	if s.byPrefix != nil {
		if i, ok := s.byPrefix[prefix]; ok {
			return s.stack[i].uri
		}
		return ""
	}
	for i := len(s.stack) - 1; i >= 0; i-- {
		if s.stack[i].prefix == prefix {
			return s.stack[i].uri
		}
	}
	return ""
}
