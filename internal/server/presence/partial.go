package presence

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"sync"

	"imp/internal/doc/pidf"
	"imp/internal/doc/pidfdiff"
	"imp/internal/sip/event"
	"imp/internal/xml/patch"
)

// changes is the body that tells a watcher who has the document had what it is
// now (RFC 5263 section 4.4): the full state when he has none, or when that is
// shorter. It has no type when nothing changed.
func changes(had, now []byte) (event.Body, error) {
	doc, at, err := pidfdiff.Unnumbered(had, now)
	if err != nil || doc == nil {
		return event.Body{}, err
	}
	return event.Body{Type: pidfdiff.MediaType, Bytes: doc, NumberAt: at, NumberFrom: 1, NumberDelivered: true}, nil
}

// history holds the documents that watchers were told of a presentity and whose
// changes they will be told, as far as these are to be small: the last few, for
// whom an older one was told gets a full state. Documents that are equal are one,
// whoever sees them by whatever rules.
type history struct {
	mu   sync.Mutex
	last event.Mark // given to the latest document
	now  event.Mark // version of the presentity
	past []past     // in the order of their marks
	size int        // bytes of all
}

// history is that of the presentity, made for the first watcher who needs one.
func (p *presentity) history() *history {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.told == nil {
		p.told = &history{}
	}
	return p.told
}

type past struct {
	mark event.Mark
	sum  [sha256.Size]byte
	doc  []byte
	used event.Mark // version of the presentity at which it was needed last
}

// What a presentity remembers at most: documents that were not needed in so many
// versions go, and, beyond so many bytes, those that were not needed longest.
const (
	rememberedVersions = 8
	rememberedBytes    = 1 << 20
)

// keep gives the mark of a document that is the current one of some watchers, and
// has been since a version of the presentity.
func (h *history) keep(doc []byte, version event.Mark) event.Mark {
	sum := sha256.Sum256(doc)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now = max(h.now, version)
	for i := range h.past {
		if p := &h.past[i]; p.sum == sum {
			p.used = h.now
			return p.mark
		}
	}
	h.past = slices.DeleteFunc(h.past, func(p past) bool {
		old := p.used+rememberedVersions < h.now
		if old {
			h.size -= len(p.doc)
		}
		return old
	})
	for h.size+len(doc) > rememberedBytes && len(h.past) > 1 {
		h.forget()
	}
	h.last++
	h.size += len(doc)
	h.past = append(h.past, past{h.last, sum, bytes.Clone(doc), h.now})
	return h.last
}

// forget drops the document that was not needed for longest.
func (h *history) forget() {
	oldest := 0
	for i := range h.past {
		if h.past[i].used < h.past[oldest].used {
			oldest = i
		}
	}
	h.size -= len(h.past[oldest].doc)
	h.past = slices.Delete(h.past, oldest, oldest+1)
}

// get gives the document with a mark, if it is still known.
func (h *history) get(mark event.Mark) ([]byte, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	p := h.find(mark)
	if p == nil {
		return nil, false
	}
	p.used = h.now
	return p.doc, true
}

func (h *history) find(mark event.Mark) *past {
	i, found := slices.BinarySearchFunc(h.past, mark, func(p past, m event.Mark) int { return int(p.mark) - int(m) })
	if !found {
		return nil
	}
	return &h.past[i]
}

// name names a document for ever, "" when it is forgotten.
func (h *history) name(mark event.Mark) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	if p := h.find(mark); p != nil {
		return hex.EncodeToString(p.sum[:])
	}
	return ""
}

// checkPartial accepts a partial publication (RFC 5264 section 4.3): of a full
// state the presence document in it, of changes what they make of the one that is
// published.
func checkPartial(body []byte) (event.Doc, error) {
	d, err := pidfdiff.Parse(body)
	if err != nil {
		return event.Doc{}, unpatched(err)
	}
	if !d.Full {
		return event.Doc{Change: func(state event.Doc) (event.Doc, error) { return change(state, d) }}, nil
	}
	doc, err := pidfdiff.Presence(body)
	if err == nil {
		err = pidf.Accept(doc)
	}
	return event.Doc{Type: mediaType, Body: doc}, err
}

// change applies changes to what is published. They must not make a document
// invalid that was not.
func change(state event.Doc, d *pidfdiff.Document) (event.Doc, error) {
	doc, err := d.Apply(state.Body, nil)
	if err != nil {
		return event.Doc{}, unpatched(err)
	}
	check := pidf.Accept
	if pidf.Check(state.Body) == nil {
		check = pidf.Check
	}
	return event.Doc{Type: mediaType, Body: doc}, check(doc)
}

// unpatched is the answer to changes that cannot be applied, with the diagnosis
// of RFC 5261 section 5.
func unpatched(err error) error {
	var wrong *patch.Error
	if !errors.As(err, &wrong) {
		return err
	}
	return &event.Refusal{Status: 400, Warning: wrong.Error(), Type: patch.TypeError, Body: wrong.Append(nil)}
}
