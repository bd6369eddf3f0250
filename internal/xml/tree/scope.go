package tree

// few is how many strings are looked through one by one before a map takes over.
const few = 16

// scope resolves namespace prefixes while parsing: every prefix that occurs has a number, under which its present binding
// stands, and a stack of what bindings were before lets an end tag bring them back.
type scope struct {
	prefixes []prefix
	before   []binding
	byPrefix map[string]int32 // of prefixes, once they are many
	bySpace  map[string]int32 // of Tree.spaces, once they are many
}

// prefix is a prefix and its present binding.
type prefix struct {
	name    string
	space   int32 // undeclared when it is not bound
	element int32 // that declares it
}

// binding is what a prefix was bound to outside of the element that declares it anew.
type binding struct {
	prefix, space, element int32
}

const undeclared = -1

func (s scope) reset() scope {
	clear(s.prefixes)
	return scope{prefixes: s.prefixes[:0], before: s.before[:0]}
}
