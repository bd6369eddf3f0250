package event

import (
	"crypto/sha256"
	"encoding/hex"

	"imp/internal/sip/header"
	"imp/internal/sip/stack"
)

// entityTag names a version of an entity (RFC 5839 section 4): a hash over all
// that makes it, so that it can be made again at any time, by any process, and
// costs as little to keep as to make. Zero is none.
type entityTag [12]byte

// noEntity is the tag of what a NOTIFY tells that shows no state.
var noEntity = entityTagOf(&Body{}, "")

// stateName is what a view says of the full state of version m, "" when its
// body is that.
func stateName(v View, m Mark) string {
	if d, ok := v.(DeltaView); ok {
		return d.State(m)
	}
	return ""
}

// entityTagOf makes the tag of a body, once for a rendering.
func entityTagOf(b *Body, name string) entityTag {
	state, kind := b.Bytes, byte('b')
	if name != "" {
		state, kind = []byte(name), 's'
	}
	content := sha256.Sum256(state)
	var room [256]byte
	all := append(append(room[:0], kind), content[:]...)
	all = append(all, b.Type...)
	for _, f := range b.Fields {
		all = append(append(append(append(all, 0), f.Name...), 0), f.Value...)
	}
	sum := sha256.Sum256(all)
	return entityTag(sum[:])
}

// appendTag renders the tag of a subscription with the id of its Event, which
// belongs to the entity.
func appendTag(b []byte, t entityTag, id string) []byte {
	b = hex.AppendEncode(b, t[:])
	if id != "" {
		b = append(append(b, '.'), id...)
	}
	return b
}

// condition is the Suppress-If-Match of a SUBSCRIBE (RFC 5839 section 5.2).
type condition struct {
	given  bool
	always bool      // *
	tag    entityTag // zero when this server never made such a tag
}

// readCondition reads Suppress-If-Match for a subscription with the given
// Event id. Tags compare byte for byte, so only what appendTag makes is one.
func readCondition(r *stack.Request, id string) (condition, *stack.Response) {
	v, ok, err := header.Single(r.Request, "Suppress-If-Match")
	if err != nil {
		return condition{}, badRequest(err)
	}
	if !ok {
		return condition{}, nil
	}
	if v, err = header.ParseETag(v); err != nil {
		return condition{}, badRequest(err)
	}
	c := condition{given: true, always: v == "*"}
	const digits = 2 * len(c.tag)
	var tag entityTag
	if len(v) < digits {
		return c, nil
	}
	if _, err := hex.Decode(tag[:], []byte(v[:digits])); err == nil && string(appendTag(nil, tag, id)) == v {
		c.tag = tag
	}
	return c, nil
}

// holds tells whether a condition is true of what a subscription in the given
// state shows with view. alone says that nobody else knows the view.
func (c condition) holds(s *subscription, view View, alone bool, state State) bool {
	switch {
	case c.always || !c.given:
		return c.given
	case state == Pending:
		return c.tag == noEntity
	}
	r := s.resource
	s.shard.lock()
	generation := r.generation
	s.shard.unlock()
	if alone {
		s = nil
	}
	out, err := r.render(s, view, 0, generation)
	return err == nil && out.tag == c.tag
}
