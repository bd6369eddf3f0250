package xcapnotify

import (
	"imp/internal/doc/xcapdiff"
	"imp/internal/sip/event"
)

// render writes what there is to tell.
func (s *shot) render(p *Package, since event.Mark) []byte {
	d := xcapdiff.Document{Root: p.cfg.RootURI}
	room := p.room()
	for _, t := range s.documents {
		if s.full {
			d.Changes = append(d.Changes, xcapdiff.Change{Sel: t.sel, NewETag: t.etag})
			room -= len(t.sel) + 64
		}
	}
	for _, c := range s.told() {
		made := c.tell(s.mode, &room)
		d.Changes = append(d.Changes, made)
		room -= len(c.sel) + 96
	}
	for _, c := range s.components {
		if s.full && c.node.Missing || !s.full && c.changed <= since {
			continue
		}
		if c.attribute {
			d.Attributes = append(d.Attributes, c.node)
			room -= len(c.node.Value)
			continue
		}
		if room -= len(c.node.Content); room < 0 {
			c.node.Content = nil // it exists, and is not shown (RFC 5874 section 3)
		}
		d.Elements = append(d.Elements, c.node)
	}
	return d.Bytes()
}

// told are the changes to tell, in their order. But in xcap-patching those that were rendered in a notification that failed become one
// with what came since.
func (s *shot) told() []pending {
	if s.mode == xcapPatching {
		return s.changes
	}
	var list []pending
	at := map[string]int{}
	for _, c := range s.changes {
		i, ok := at[c.document.key]
		if !ok {
			at[c.document.key] = len(list)
			list = append(list, c)
			continue
		}
		list[i].change = &change{seq: c.seq, document: c.document, from: list[i].from, to: c.to}
	}
	told := list[:0]
	for _, c := range list {
		if c.from != nil || c.to != nil {
			told = append(told, c)
		}
	}
	return told
}

// tell makes the element of a change, with a patch when the mode has them, the change can be told by one, and there is room (RFC 5874
// figure 1).
func (c *pending) tell(m mode, room *int) xcapdiff.Change {
	made := xcapdiff.Change{Sel: c.sel}
	if c.from != nil {
		made.PreviousETag = c.from.etag
	}
	if c.to != nil {
		made.NewETag = c.to.etag
	}
	if c.from == nil || c.to == nil || m == noPatching || m == xcapPatching && !c.single {
		return made
	}
	if d := c.to.diff(c.from); d != nil && d.edits != nil && d.size <= *room {
		*room -= d.size
		made.Edits = d.edits
	}
	return made
}
