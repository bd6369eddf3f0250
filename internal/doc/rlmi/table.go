package rlmi

// DefaultRows is how many resources a Table holds when its Limit is zero.
const DefaultRows = 10000

// Outcome tells what became of a document (RFC 4662 section 5.6).
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

// Table is what a subscriber knows of one list in one subscription; a nested list has a table of its own (RFC 4662 section 5.6). The zero Table is empty
// and ready for Apply. It must not be used by several goroutines at once.
type Table struct {
	// Limit is how many resources the table holds at most, so that a notifier cannot fill memory with partial documents; zero is DefaultRows.
	Limit int

	known   bool
	partial bool
	list    List
	byURI   map[string]int
}

// Apply takes a document into the table. A full one replaces the table; of a partial one each resource replaces the row of its URI, and others stay as
// they are (RFC 4662 sections 5.6.1 and 5.6.2). The table keeps the resources of the document, which must not be changed afterwards.
func (t *Table) Apply(l *List) Outcome {
	if t.known && l.Version <= t.list.Version {
		return Discarded
	}
	limit := t.Limit
	if limit <= 0 {
		limit = DefaultRows
	}
	missed := !l.FullState && (!t.known || l.Version-t.list.Version > 1)
	t.partial = missed || t.partial && !l.FullState
	rows := t.list.Resources
	if l.FullState {
		rows, t.byURI = nil, nil
	}
	names := l.Names
	if names == nil && !l.FullState {
		names = t.list.Names
	}
	if t.byURI == nil {
		t.byURI = make(map[string]int)
	}
	for _, r := range l.Resources {
		at, ok := t.byURI[r.URI]
		switch {
		case ok:
			rows[at] = r
		case len(rows) >= limit:
			t.partial = true
		default:
			t.byURI[r.URI] = len(rows)
			rows = append(rows, r)
		}
	}
	t.known = true
	t.list = List{URI: l.URI, Version: l.Version, FullState: true, CID: l.CID, Names: names, Resources: rows}
	if t.partial {
		return Incomplete
	}
	return Applied
}

// Complete reports whether a full document was applied and nothing was missed since.
func (t *Table) Complete() bool { return t.known && !t.partial }

// List returns the table as a full document of the version that was applied last. Resources are in the order in which they came; instances carry the cid
// of the document that told them last.
func (t *Table) List() *List {
	l := t.list
	l.FullState = true
	l.Resources = append([]Resource(nil), t.list.Resources...)
	return &l
}
