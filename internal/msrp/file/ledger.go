package file

import (
	"bytes"
	"sync"

	"imp/internal/doc/sdp"
)

// Verdict is what the description of a file asks for, compared with those that came before (RFC 5547 section 8.1,
// figure 3).
type Verdict int

// Verdicts.
const (
	New      Verdict = iota // another file: a new transfer
	Known                   // the same transfer again: nothing starts, nobody is asked, and it is answered all the same
	Again                   // the same file under a new id: the transfer before is given up, and this one begins
	Conflict                // another file under a known id: an error, the line is answered with port 0
)

// Ledger remembers the transfers of one call. Its methods may be called concurrently.
type Ledger struct {
	mu    sync.Mutex
	files map[string]*sdp.File
	order []string
}

// maxLedger bounds what a call remembers.
const maxLedger = 1024

// Judge compares and remembers. of is the id of the transfer before, for Again.
func (l *Ledger) Judge(f *sdp.File) (v Verdict, of string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if before := l.files[f.ID]; before != nil {
		if sameFile(before, f) {
			return Known, f.ID
		}
		return Conflict, f.ID
	}
	for i := len(l.order) - 1; i >= 0; i-- {
		if id := l.order[i]; sameFile(l.files[id], f) {
			v, of = Again, id
			break
		}
	}
	if l.files == nil {
		l.files = make(map[string]*sdp.File)
	}
	if len(l.order) == maxLedger {
		delete(l.files, l.order[0])
		l.order = l.order[1:]
	}
	l.files[f.ID] = f
	l.order = append(l.order, f.ID)
	return v, of
}

// sameFile compares the selectors.
func sameFile(a, b *sdp.File) bool {
	if a.Name != b.Name || a.Size != b.Size || a.Type != b.Type || len(a.Hashes) != len(b.Hashes) {
		return false
	}
	for i, h := range a.Hashes {
		if o := b.Hashes[i]; h.Algorithm != o.Algorithm || !bytes.Equal(h.Sum, o.Sum) {
			return false
		}
	}
	return true
}
