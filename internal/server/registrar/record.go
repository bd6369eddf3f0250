package registrar

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"imp/internal/sip/header"
	"imp/internal/store"
)

// record is what the store holds for one address of record.
type record struct {
	Write     string     `json:"w"` // of the write that made it, to recognise one whose outcome was unknown
	AOR       string     `json:"aor"`
	Bindings  []*binding `json:"b,omitempty"`
	Instances []instance `json:"i,omitempty"` // devices that have GRUUs, those seen last at the end
}

// instance is a device with a public GRUU, which stays valid when it is not registered (RFC 5627 section 5.3).
type instance struct {
	ID    string `json:"id"`
	Epoch string `json:"e,omitempty"` // in its temporary GRUUs; another one invalidates them
	Seen  int64  `json:"s"`           // Unix seconds of the last REGISTER
}

// binding is one contact. It is not changed once it is in a record.
type binding struct {
	ID        string   `json:"id"`
	URI       string   `json:"uri"`
	Params    string   `json:"p,omitempty"` // of Contact as they came, without those that the registrar sets
	Q         int      `json:"q"`           // in thousandths
	Instance  string   `json:"in,omitempty"`
	RegID     int      `json:"r,omitempty"` // 0: not an outbound registration
	CallID    string   `json:"c"`
	CSeq      uint32   `json:"n"`
	Path      []string `json:"path,omitempty"`
	Flow      []byte   `json:"f,omitempty"`  // over which it came, when nobody was in between
	Bound     bool     `json:"fb,omitempty"` // it lives no longer than the flow
	Prefer    bool     `json:"fp,omitempty"` // the flow is used while it lives
	Agent     string   `json:"ua,omitempty"`
	Received  string   `json:"from,omitempty"`
	Wall      int64    `json:"t"` // when it expires, Unix milliseconds
	Boot      string   `json:"bt,omitempty"`
	Mono      int64    `json:"m,omitempty"` // the same on the clock of the process that wrote it
	Refreshed int64    `json:"at"`          // Unix nanoseconds
}

// instanceMemory is how long a public GRUU is remembered that nobody registers.
const instanceMemory = 30 * 24 * time.Hour

// until sets when a binding expires. The process that sets it counts on its monotonic clock, so that a step of the wall
// clock neither ends nor prolongs it.
func (r *Registrar) until(b *binding, life time.Duration) {
	now := time.Now()
	b.Wall = now.Add(life).UnixMilli()
	b.Boot, b.Mono = r.boot, int64(now.Sub(r.start)+life)
	b.Refreshed = now.UnixNano()
}

// left is how long a binding still lives.
func (r *Registrar) left(b *binding) time.Duration {
	if b.Boot == r.boot {
		return time.Duration(b.Mono) - time.Since(r.start)
	}
	return time.Until(time.UnixMilli(b.Wall))
}

// live tells whether a binding can be used: it has not expired, and the flow that it is bound to is there.
func (r *Registrar) live(b *binding) bool {
	return r.left(b) > 0 && (!b.Bound || b.Flow == nil || r.stack == nil || r.stack.FlowOf(b.Flow) != nil)
}

// key is where the bindings of an address of record are.
func key(aor string) string { return store.Key(keyPrefix, aor) }

const keyPrefix = "reg"

// load reads a record; one that is not there is empty. Bindings that are dead are left out.
func (r *Registrar) load(ctx context.Context, aor string) (*record, store.Rev, error) {
	e, err := r.cfg.Store.Get(ctx, key(aor))
	switch {
	case errors.Is(err, store.ErrNotFound):
		return &record{AOR: aor}, 0, nil
	case err != nil:
		return nil, 0, err
	}
	rec, err := parseRecord(e.Value)
	if err != nil {
		return nil, 0, err
	}
	r.prune(rec)
	return rec, e.Rev, nil
}

func parseRecord(value []byte) (*record, error) {
	rec := new(record)
	if err := json.Unmarshal(value, rec); err != nil {
		return nil, fmt.Errorf("reading bindings: %w", err)
	}
	return rec, nil
}

// prune leaves out what is dead, and with the last contact of a device its temporary GRUUs (RFC 5627 section 5.3).
func (r *Registrar) prune(rec *record) {
	rec.Bindings = slices.DeleteFunc(rec.Bindings, func(b *binding) bool { return !r.live(b) })
	rec.forget()
	long := time.Now().Add(-instanceMemory).Unix()
	rec.Instances = slices.DeleteFunc(rec.Instances, func(i instance) bool { return i.Epoch == "" && i.Seen < long })
}

// forget invalidates the temporary GRUUs of devices without a contact.
func (rec *record) forget() {
	for i := range rec.Instances {
		in := &rec.Instances[i]
		if in.Epoch != "" && !slices.ContainsFunc(rec.Bindings, func(b *binding) bool { return b.Instance == in.ID }) {
			in.Epoch = ""
		}
	}
}

// life is how long a record is kept.
func (r *Registrar) life(rec *record) (ttl time.Duration) {
	for _, b := range rec.Bindings {
		ttl = max(ttl, r.left(b))
	}
	for _, i := range rec.Instances {
		ttl = max(ttl, time.Until(time.Unix(i.Seen, 0).Add(instanceMemory)))
	}
	return ttl
}

// save writes a record over the revision it was made from. ErrConflict says that it has to be made again.
func (r *Registrar) save(ctx context.Context, rec *record, rev store.Rev, write string) error {
	ttl := r.life(rec)
	if ttl <= 0 {
		if rev == 0 {
			return nil
		}
		err := r.cfg.Store.Delete(ctx, key(rec.AOR), rev)
		if errors.Is(err, store.ErrNotFound) {
			err = nil
		}
		return err
	}
	rec.Write = write
	value, err := json.Marshal(rec)
	if err != nil {
		return err
	}
	_, err = r.cfg.Store.Put(ctx, key(rec.AOR), value, rev, ttl)
	return err
}

// same tells whether a binding is for a contact URI (RFC 3261 section 10.3 step 7).
func (b *binding) same(u header.URI) bool {
	own, err := header.ParseURI(b.URI)
	return err == nil && own.Equal(u)
}
