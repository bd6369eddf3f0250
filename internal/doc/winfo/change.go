package winfo

// Change is what a document changes of one watcher.
type Change struct {
	Resource, Package string
	Watcher
	// Missed says that no document told how the watcher went: a full one does
	// not have it any more. Status is Terminated then, and Event that of before.
	Missed bool
}

// Changes returns what Apply would change if it were called with the document: watchers that are new, those of another state or name, and those that are
// gone. How much time they have left does not count.
func (t *Table) Changes(d *Document) (changes []Change) {
	if t.known && d.Version <= t.version {
		return nil
	}
	told := map[name]map[string]bool{}
	for i := range d.Lists {
		l := &d.Lists[i]
		key := name{l.Resource, l.Package}
		if told[key] == nil {
			told[key] = map[string]bool{}
		}
		for _, w := range l.Watchers {
			told[key][w.ID] = true
			before, ok := t.row(key, w.ID)
			switch {
			case !ok && w.Status == Terminated:
			case !ok || before.Status != w.Status || before.Event != w.Event || before.URI != w.URI || before.DisplayName != w.DisplayName:
				changes = append(changes, Change{Resource: l.Resource, Package: l.Package, Watcher: w})
			}
		}
	}
	if !d.Full {
		return changes
	}
	for _, l := range t.lists {
		for _, w := range l.watchers {
			if !told[l.name][w.ID] {
				w.Status, w.Expires = Terminated, nil
				changes = append(changes, Change{Resource: l.resource, Package: l.pkg, Watcher: w, Missed: true})
			}
		}
	}
	return changes
}

// row finds a watcher.
func (t *Table) row(key name, id string) (Watcher, bool) {
	l := t.byName[key]
	if l == nil {
		return Watcher{}, false
	}
	at, ok := l.byID[id]
	if !ok {
		return Watcher{}, false
	}
	return l.watchers[at], true
}
