package pidf

import (
	"sync"
	"time"

	"imp/internal/xml/tree"
)

// Input is one publication, or another source of what is known of a presentity, for Compose.
type Input struct {
	// Key names the source for all its life. For a publication that is not its entity-tag, which changes.
	Key string
	// Doc is a document that Accept has taken. One that is not well-formed is left out.
	Doc []byte
	// Published is when the state that the document tells was published. A refresh does not change it.
	Published time.Time
	// Qualified says that ids of this source are written with a suffix made of Key. Compose sets it when one of them collides with one of an earlier
	// input; given back to the next Compose, it keeps the ids as they are although the other source has gone.
	Qualified bool
}

// qualify returns the id that an id of the source is written as.
func (in *Input) qualify(id string) string {
	if in == nil {
		return id
	}
	return id + in.Suffix()
}

// Suffix is what ids of this source are written with, "" when they are not qualified: eight characters that are made of the key (FNV-1a).
func (in *Input) Suffix() string {
	if !in.Qualified {
		return ""
	}
	const alphabet = "abcdefghijklmnopqrstuvwxyz234567"
	const offset, prime = 14695981039346656037, 1099511628211
	sum := uint64(offset)
	for _, c := range []byte(in.Key) {
		sum = (sum ^ uint64(c)) * prime
	}
	var tag [8]byte
	for i := range tag {
		tag[i] = alphabet[sum>>(5*i)&31]
	}
	return "." + string(tag[:])
}

// Policy is what Compose does where RFC 4479 section 3.5 leaves it to the compositor. The zero Policy keeps what can be told apart and resolves the
// rest by age.
type Policy struct {
	// AllPersons keeps the persons of all inputs. Otherwise those of one input are kept: the one with the newest person that says anything. A
	// person is as old as its timestamp, but no younger than its publication; with equal age the later input counts.
	AllPersons bool
	// OnePerService keeps of several tuples with the same contact the newest, by the same measure. Otherwise they are occurrences of one service.
	OnePerService bool
}

// Compose merges what is known of a presentity into one document: the tuples of all inputs, then notes, persons, devices and other elements, in the
// order that the schemas demand, whatever the order was. The entity is the one given. There may be no input.
//
// Of several devices with one deviceID the newest is kept, as it is among persons (see Policy). Notes of the presentity that stand twice are written
// once. Elements whose until is past are left out (RFC 4480 section 3.1), and so is a timed-status that covers the present. What is unknown passes
// unchanged in meaning, unless it stands where the schemas have no place for it; what is known is written valid, or left out. The result has no white
// space between its elements.
//
// The inputs are to be in the order of their age, the oldest first: when ids collide, those of the later input are qualified (see Input). The time
// returned is the first one after now at which the same inputs make another document; it is zero when there is none.
func Compose(entity string, inputs []Input, now time.Time, policy Policy) ([]byte, time.Time) {
	c := composers.Get().(*composer)
	defer c.release()
	c.w.now = now
	for i := range inputs {
		c.read(&inputs[i])
	}
	c.resolve(policy)
	c.write()
	return c.w.document(entity), c.w.next
}

type composer struct {
	w     writer
	parts []piece
	docs  []document
}

// document is an input that has been read.
type document struct {
	input *Input
	tree  *tree.Tree
}

// piece is a tuple, person or device.
type piece struct {
	node tree.Node
	kind component
	doc  int
	id   string
	when time.Time
	gone bool // resolved away
}

var composers = sync.Pool{New: func() any { return new(composer) }}

func (c *composer) release() {
	for i := range c.docs {
		putTree(c.docs[i].tree)
	}
	clear(c.docs)
	clear(c.parts)
	c.docs, c.parts = c.docs[:0], c.parts[:0]
	if cap(c.w.buf) > maxKept || cap(c.parts) > maxKept/64 || cap(c.w.entries) > maxKept/64 {
		return
	}
	c.w.reset()
	composers.Put(c)
}

// write writes everything in the order of the schemas.
func (c *composer) write() {
	c.components(tupleComponent)
	c.notes()
	c.components(personComponent)
	c.components(deviceComponent)
	c.extensions()
}

// read parses an input and settles the ids of its components.
func (c *composer) read(in *Input) {
	t := trees.Get().(*tree.Tree)
	if t.Parse(in.Doc, wide) != nil || !isPresence(t.Root()) && !isFull(t.Root()) {
		putTree(t)
		return
	}
	c.docs = append(c.docs, document{in, t})
	first := len(c.parts)
	for n := t.Root().FirstChild(); n.Valid(); n = n.NextSibling() {
		if kind := kindOf(n); kind != notComponent {
			c.parts = append(c.parts, piece{node: n, kind: kind, doc: len(c.docs) - 1, id: ncName(trim(attr(n, "id")))})
		}
	}
	for i := first; i < len(c.parts) && !in.Qualified; i++ {
		in.Qualified = c.taken(c.parts[i].id)
	}
	for i := first; i < len(c.parts); i++ {
		c.parts[i].id = c.w.unique(in.qualify(c.parts[i].id))
	}
}

// taken reports whether an id belongs to an earlier input.
func (c *composer) taken(id string) bool { return c.w.ids.has(id) }

func (c *composer) components(kind component) {
	for i := range c.parts {
		p := &c.parts[i]
		if p.kind != kind || p.gone {
			continue
		}
		m := kind.model()
		c.w.input = c.docs[p.doc].input
		c.w.child(&entry{node: p.node, model: m, in: m.space, local: p.node.Local(), id: p.id})
	}
}

// notes writes those of the presentity, each once.
func (c *composer) notes() {
	var written [maxNotes][2]int
	n := 0
	for _, d := range c.docs {
		for note := d.tree.Root().FirstChild(); note.Valid(); note = note.NextSibling() {
			if !note.Is(Space, "note") || trim(note.Text()) == "" {
				continue
			}
			start := len(c.w.buf)
			c.w.child(&entry{node: note, model: noteModel, in: inPIDF, local: "note"})
			if c.w.repeats(written[:n], start) {
				c.w.buf = c.w.buf[:start]
			} else if n < maxNotes {
				written[n] = [2]int{start, len(c.w.buf)}
				n++
			}
		}
	}
}

// extensions writes what else stands in the documents.
func (c *composer) extensions() {
	for _, d := range c.docs {
		c.w.input = d.input
		for n := d.tree.Root().FirstChild(); n.Valid(); n = n.NextSibling() {
			in := spaceOf(n.Space())
			if n.Kind() != tree.Element || kindOf(n) != notComponent || in == inPIDF || in == nowhere || isTimed(n) {
				continue
			}
			c.w.child(&entry{node: n, model: global(in, n.Local()), in: in, local: n.Local()})
		}
	}
}

// document puts the root around what has been written.
func (w *writer) document(entity string) []byte {
	const declaration = `<?xml version="1.0" encoding="UTF-8"?>` + "\n"
	out := make([]byte, 0, len(declaration)+len(w.buf)+len(entity)+384)
	out = append(out, declaration...)
	out = append(out, `<presence xmlns="`+Space+`"`...)
	for i, used := range w.used {
		if used && prefixes[i] != "" {
			out = append(append(out, " xmlns:"...), prefixes[i][:len(prefixes[i])-1]...)
			out = append(append(append(out, `="`...), spaceNames[i]...), '"')
		}
	}
	out = append(appendEscaped(append(out, ` entity="`...), entity, true), '"')
	if len(w.buf) == 0 {
		return append(out, "/>\n"...)
	}
	out = append(append(out, '>'), w.buf...)
	if w.indent {
		out = append(out, '\n')
	}
	return append(out, "</presence>\n"...)
}
