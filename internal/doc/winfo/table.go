package winfo

// DefaultRows is how many watchers a Table holds when its Limit is zero.
const DefaultRows = 10000

// Outcome tells what became of a document (RFC 3858 section 4).
type Outcome uint8

const (
	// Discarded: the document is not newer than the table; nothing was changed.
	Discarded Outcome = iota
	// Applied: the table is what the notifier has.
	Applied
	// Incomplete: the document was applied, but the table lacks something: a document before this one was missed, the first one was partial, or the
	// limit was reached. A refresh brings the full state.
	Incomplete
)

// Table is what a subscriber knows of one watcher information subscription (RFC 3858 section 4). The zero Table is empty and ready for Apply. It must
// not be used by several goroutines at once.
type Table struct {
	// Limit is how many watchers the table holds at most, so that a notifier cannot fill memory with partial documents; zero is DefaultRows.
	Limit int

	known   bool
	partial bool
	version uint32
	lists   []*list
	byName  map[name]*list
	rows    int
}

type name struct{ resource, pkg string }

type list struct {
	name
	watchers []Watcher
	byID     map[string]int
}

// Apply takes a document into the table by the rules of RFC 3858 section 4. A full one replaces the table, of a partial one each watcher replaces the
// row of its id. Watchers that are terminated have no row afterwards.
func (t *Table) Apply(d *Document) Outcome {
	if t.known && d.Version <= t.version {
		return Discarded
	}
	missed := !d.Full && (!t.known || d.Version-t.version > 1)
	if d.Full {
		t.lists, t.byName, t.rows, t.partial = nil, nil, 0, false
	}
	t.partial = t.partial || missed
	t.known, t.version = true, d.Version
	for i := range d.Lists {
		t.update(&d.Lists[i])
	}
	if t.partial {
		return Incomplete
	}
	return Applied
}

// update merges a list of a document.
func (t *Table) update(from *List) {
	limit := t.Limit
	if limit <= 0 {
		limit = DefaultRows
	}
	key := name{from.Resource, from.Package}
	l := t.byName[key]
	if l == nil {
		if len(t.lists) >= limit {
			t.partial = true
			return
		}
		l = &list{name: key, byID: map[string]int{}}
		if t.byName == nil {
			t.byName = map[name]*list{}
		}
		t.byName[key] = l
		t.lists = append(t.lists, l)
	}
	ended := false
	for _, w := range from.Watchers {
		at, ok := l.byID[w.ID]
		switch {
		case ok:
			l.watchers[at] = w
			ended = ended || w.Status == Terminated
		case w.Status == Terminated:
		case t.rows >= limit:
			t.partial = true
		default:
			l.byID[w.ID] = len(l.watchers)
			l.watchers = append(l.watchers, w)
			t.rows++
		}
	}
	if ended {
		t.rows -= l.sweep()
	}
}

// sweep drops the rows of terminated watchers and returns how many these were.
func (l *list) sweep() int {
	before, kept := len(l.watchers), l.watchers[:0]
	clear(l.byID)
	for _, w := range l.watchers {
		if w.Status != Terminated {
			l.byID[w.ID] = len(kept)
			kept = append(kept, w)
		}
	}
	clear(l.watchers[len(kept):])
	l.watchers = kept
	return before - len(kept)
}

// Complete reports whether a full document was applied and nothing was missed since.
func (t *Table) Complete() bool { return t.known && !t.partial }

// Document returns the table as a full document of the version that was applied last. Lists and watchers are in the order in which they came.
func (t *Table) Document() *Document {
	d := &Document{Version: t.version, Full: true}
	for _, l := range t.lists {
		d.Lists = append(d.Lists, List{l.resource, l.pkg, append([]Watcher(nil), l.watchers...)})
	}
	return d
}
