package rls

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"imp/internal/doc/rlmi"
	"imp/internal/sip/event"
	"imp/internal/sip/header"
)

// view is what one watcher sees of a list. It is private: each member shows
// what he lets this watcher see. The documents of members are rendered once by
// the notifier for all who may see the same.
type view struct {
	s        *Server
	pkg      string
	id       string // of the subscription
	watcher  string
	service  string // canonical URI
	accept   header.Accept
	brought  bool // by the SUBSCRIBE, so that it never changes
	fetch    bool
	followed map[string]bool // keys of documents, guarded by Server.mu
	parent   *member         // of a list in a list; nil: the list that is subscribed to
	total    atomic.Int64    // members, with those of the lists in it

	updating sync.Mutex // resolving and making members, one at a time

	mu       sync.Mutex
	duration time.Duration
	closed   bool
	mark     event.Mark // counts changes
	shape    event.Mark // of the last change of who is in the list
	title    []rlmi.Name
	members  []*member // in the order of the list
	serial   int       // of members, for Content-IDs
	version  uint32    // of the next document of a list in a list
	sum      [4]uint64 // of the hashes of all members
}

// update makes the list one of these members: those that are new are watched,
// others not any more. v.updating is held.
func (v *view) update(ctx context.Context, uri string, title []rlmi.Name, entries []entry) {
	v.mu.Lock()
	if v.closed {
		v.mu.Unlock()
		return
	}
	old := make(map[string]*member, len(v.members))
	for _, m := range v.members {
		old[m.uri] = m
	}
	v.root().total.Add(int64(len(entries) - len(v.members)))
	members := make([]*member, len(entries))
	var fresh []*member
	same := len(v.members) == len(entries) && equal(v.title, title) && v.mark > 0
	for i, e := range entries {
		m := old[e.uri]
		if m == nil {
			v.serial++
			m = &member{v: v, uri: e.uri, names: e.names, serial: v.serial}
			fresh = append(fresh, m)
			v.add(m)
		} else if delete(old, e.uri); !equal(m.names, e.names) {
			v.remove(m)
			m.names = e.names
			v.add(m)
			same = false
		}
		members[i] = m
		same = same && v.members[i] == m
	}
	if same { // another document, the same list
		v.mu.Unlock()
		return
	}
	v.members, v.title = members, title
	v.mark++
	v.shape = v.mark
	for _, m := range old {
		m.gone = true
		v.remove(m)
	}
	v.mu.Unlock()
	for _, m := range old {
		m.close()
	}
	budget := v.budget()
	for _, m := range fresh {
		m.start(ctx, &budget)
	}
	v.report()
}

func equal(a, b []rlmi.Name) bool {
	return len(a) == len(b) && (len(a) == 0 || a[0] == b[0])
}

// refresh has the members live as long as the list will, and asks again for
// those who were not to be had.
func (v *view) refresh(ctx context.Context, d time.Duration) {
	v.updating.Lock()
	defer v.updating.Unlock()
	v.mu.Lock()
	v.duration = d
	members := v.members
	v.mu.Unlock()
	budget := v.budget()
	for _, m := range members {
		m.extend(ctx, d, &budget)
	}
}

// Key implements event.View.
func (v *view) Key() string { return "" }

// Close implements event.View.
func (v *view) Close(string) {
	v.mu.Lock()
	v.closed = true
	members := v.members
	v.members = nil
	v.root().total.Add(int64(-len(members)))
	for _, m := range members {
		m.gone = true
	}
	v.mu.Unlock()
	v.s.followOnly(v, nil)
	for _, m := range members {
		m.close()
	}
}

// over tells whether the view was closed.
func (v *view) over() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.closed
}

// State implements event.DeltaView: equal names are equal lists, whatever the
// order of their members.
func (v *view) State(event.Mark) string {
	v.mu.Lock()
	defer v.mu.Unlock()
	b := append([]byte(v.service), 0)
	for _, n := range v.title {
		b = append(append(append(append(b, n.Text...), 0), n.Lang...), 0)
	}
	for _, n := range v.sum {
		b = binary.LittleEndian.AppendUint64(b, n)
	}
	return hex.EncodeToString(b)
}

// add counts a member, as it is now, into the sum; remove takes it off.
func (v *view) add(m *member) {
	m.hash()
	for i := range v.sum {
		v.sum[i] += binary.LittleEndian.Uint64(m.sum[8*i:])
	}
}

func (v *view) remove(m *member) {
	for i := range v.sum {
		v.sum[i] -= binary.LittleEndian.Uint64(m.sum[8*i:])
	}
}

// set gives a member another state and reports whether that is one.
func (v *view) set(m *member, to state) bool {
	v.mu.Lock()
	if m.gone || v.closed || m.state.same(to) {
		v.mu.Unlock()
		return false
	}
	v.remove(m)
	m.state = to
	v.add(m)
	v.mark++
	m.changed = v.mark
	v.mu.Unlock()
	v.report()
	return true
}

// boundary separates the parts of bodies. It is always the same, since it counts
// for entity-tags, unless it occurs in one of them.
const boundary = "imp-resource-list"

// Render implements event.View: full state, or what has changed since a version
// (RFC 4662 section 5.2). The notifier writes the version of the document, from 0.
func (v *view) Render(since event.Mark) (event.Body, event.Mark, error) {
	v.mu.Lock()
	full := since == 0 || since < v.shape
	mark := v.mark
	if !full && since == mark {
		v.mu.Unlock()
		return event.Body{}, since, nil
	}
	b := &rlmi.Body{List: &rlmi.List{URI: v.service, FullState: full}}
	if full {
		b.List.Names = v.title
	}
	room, late := v.s.cfg.MaxBody, false
	for _, m := range v.members {
		if !full && m.changed <= since {
			continue
		}
		if room -= m.size(); room < 0 && len(b.Parts) > 0 {
			late = true
			m.changed = mark + 1 // it comes with the next one
			if full {
				b.List.Resources = append(b.List.Resources, rlmi.Resource{URI: m.uri, Names: m.names})
			}
			continue
		}
		m.tell(b)
	}
	if late {
		v.mark = mark + 1
	}
	v.mu.Unlock()
	if late {
		v.s.notifier.Touch(v.id)
	}
	return body(b, mark)
}

// body writes the body of a NOTIFY.
func body(b *rlmi.Body, mark event.Mark) (event.Body, event.Mark, error) {
	mime, size := boundary, 1024+160*len(b.List.Resources)
	for i := range b.Parts {
		size += 256 + len(b.Parts[i].Content) // lists in the list grow
	}
	src, at, err := b.AppendNumbered(make([]byte, 0, size), mime)
	if err != nil { // the boundary occurs in a part
		sum := sha256.New()
		for i := range b.Parts {
			sum.Write(b.Parts[i].Content)
		}
		mime += "-" + hex.EncodeToString(sum.Sum(nil)[:12])
		if src, at, err = b.AppendNumbered(nil, mime); err != nil {
			return event.Body{}, 0, err
		}
	}
	return event.Body{Type: b.ContentType(mime), Bytes: src, NumberAt: at}, mark, nil
}

// contentID names the part with a state of a member, unlike any before it.
func (m *member) contentID() string {
	return strconv.Itoa(m.serial) + "." + strconv.FormatUint(uint64(m.changed), 10) + "@" + boundary + ".invalid"
}
