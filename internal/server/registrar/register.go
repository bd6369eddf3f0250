package registrar

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"imp/internal/sip/header"
	"imp/internal/sip/stack"
	"imp/internal/store"
)

// Register answers REGISTER; Mount makes it the handler of that method.
func (r *Registrar) Register(ctx context.Context, m *stack.Request) *stack.Response {
	answer := r.register(ctx, m)
	if answer.Status == 200 {
		r.registered.Add(1)
	} else {
		r.refused.Add(1)
	}
	return answer
}

func (r *Registrar) register(ctx context.Context, m *stack.Request) *stack.Response {
	q, refusal := r.read(m)
	if refusal != nil {
		return refusal
	}
	if q.queried {
		rec, _, err := r.load(ctx, q.aor)
		if err != nil {
			return r.failed(err)
		}
		return r.listing(q, rec)
	}
	rec, refusal := r.update(ctx, q)
	if refusal != nil {
		return refusal
	}
	return r.listing(q, rec)
}

// attempts bounds how often a compare-and-swap is tried that others keep winning.
const attempts = 200

// update applies a REGISTER to the bindings of its address of record, all of it or nothing.
func (r *Registrar) update(ctx context.Context, q *request) (*record, *stack.Response) {
	write := stack.NewTag()
	var doubt bool
	for range attempts {
		rec, rev, err := r.load(ctx, q.aor)
		if err != nil {
			return nil, r.failed(err)
		}
		if doubt && rec.Write == write {
			r.flows.keep(q.flow, rec)
			return rec, nil // it had happened
		}
		if refusal := r.apply(q, rec); refusal != nil {
			return nil, refusal
		}
		r.flows.keep(q.flow, rec)
		err = r.save(ctx, rec, rev, write)
		switch {
		case err == nil:
			r.settle(q)
			return rec, nil
		case errors.Is(err, store.ErrUnknown):
			doubt = true
		case !errors.Is(err, store.ErrConflict):
			return nil, r.failed(err)
		}
		r.conflicts.Add(1)
	}
	return nil, refuse(500, "Too Many At Once")
}

// settle ends the new bindings with their flow where that has ended meanwhile.
func (r *Registrar) settle(q *request) {
	if q.direct && q.flow.Stream() && q.flow.Closed() {
		r.flowEnded(q.flow)
	}
}

func (r *Registrar) failed(err error) *stack.Response {
	r.cfg.Log.Error("the store did not take a registration", "error", err)
	if errors.Is(err, store.ErrUnavailable) {
		return refuse(503, "", stack.Field{Name: "Retry-After", Value: "10"})
	}
	return refuse(500, "")
}

// errOrder is the answer to a REGISTER that an earlier one has overtaken (RFC 3261 section 10.3 steps 6 and 7).
func errOrder() *stack.Response { return refuse(500, "CSeq Is Not Higher Than Before") }

// apply changes a record as a REGISTER says.
func (r *Registrar) apply(q *request, rec *record) *stack.Response {
	if q.all {
		for _, b := range rec.Bindings {
			if b.CallID == q.callID && q.cseq <= b.CSeq {
				return errOrder()
			}
		}
		rec.Bindings = nil
		return nil
	}
	for _, c := range q.contacts {
		i := rec.find(c)
		if i >= 0 {
			if b := rec.Bindings[i]; b.CallID == q.callID && q.cseq <= b.CSeq {
				return errOrder()
			}
		}
		if c.life <= 0 {
			if i >= 0 {
				rec.Bindings = slices.Delete(rec.Bindings, i, i+1)
			}
			continue
		}
		b := r.binding(q, c)
		r.device(q, rec, b)
		if i >= 0 {
			b.ID = rec.Bindings[i].ID
			rec.Bindings[i] = b
		} else {
			rec.Bindings = append(rec.Bindings, b)
		}
	}
	if len(rec.Bindings) > r.cfg.MaxContacts {
		return refuse(403, "Too Many Contacts")
	}
	return nil
}

// find looks for the binding of a contact: by device and reg-id where there is one (RFC 5626 section 6), else by URI.
func (rec *record) find(c contact) int {
	return slices.IndexFunc(rec.Bindings, func(b *binding) bool {
		if c.regID > 0 {
			return b.RegID == c.regID && b.Instance == c.instance
		}
		return b.same(c.parsed)
	})
}

// device remembers the device of a new binding. When its last REGISTER had another Call-ID it has begun anew, and its
// temporary GRUUs are invalid from now on (RFC 5627 section 5.1).
func (r *Registrar) device(q *request, rec *record, b *binding) {
	if b.Instance == "" {
		return
	}
	var last *binding
	for _, o := range rec.Bindings {
		if o.Instance == b.Instance && (b.RegID == 0 || o.RegID == b.RegID) && (last == nil || o.Refreshed > last.Refreshed) {
			last = o
		}
	}
	i := slices.IndexFunc(rec.Instances, func(i instance) bool { return i.ID == b.Instance })
	in := instance{ID: b.Instance}
	if i >= 0 {
		in = rec.Instances[i]
		rec.Instances = slices.Delete(rec.Instances, i, i+1)
	}
	if in.Epoch == "" || last != nil && last.CallID != q.callID {
		in.Epoch = newEpoch()
	}
	in.Seen = time.Now().Unix()
	rec.Instances = append(rec.Instances, in)
	if n := len(rec.Instances) - 2*r.cfg.MaxContacts; n > 0 {
		rec.Instances = slices.Delete(rec.Instances, 0, n)
	}
}

// listing is the 200 with all bindings there are (RFC 3261 section 10.3 step 8).
func (r *Registrar) listing(q *request, rec *record) *stack.Response {
	var fields []stack.Field
	for _, b := range rec.Bindings {
		fields = append(fields, stack.Field{Name: "Contact", Value: r.contactValue(q, rec, b)})
	}
	fields = append(fields, stack.Field{Name: "Date", Value: time.Now().UTC().Format(http.TimeFormat)})
	if len(q.path) > 0 && !q.queried {
		fields = append(fields, stack.Field{Name: "Path", Value: strings.Join(q.path, ", ")})
	}
	if q.granted {
		fields = append(fields, stack.Field{Name: "Require", Value: "outbound"})
		if r.cfg.FlowTimer > 0 && q.direct {
			fields = append(fields, stack.Field{Name: "Flow-Timer", Value: strconv.Itoa(int(r.cfg.FlowTimer / time.Second))})
		}
	}
	return stack.Answer(200, append(fields, stack.Field{Name: "Supported", Value: "path, outbound"})...)
}

// contactValue is one Contact of a 200.
func (r *Registrar) contactValue(q *request, rec *record, b *binding) string {
	var s strings.Builder
	fmt.Fprintf(&s, "<%s>", b.URI)
	if b.Q < 1000 {
		fmt.Fprintf(&s, ";q=%d.%03d", b.Q/1000, b.Q%1000)
	}
	if b.Instance != "" {
		s.WriteString(";+sip.instance=" + header.QuoteString("<"+b.Instance+">"))
	}
	if b.RegID > 0 {
		fmt.Fprintf(&s, ";reg-id=%d", b.RegID)
	}
	if b.Instance != "" && q.gruu {
		scheme, _, _ := strings.Cut(b.URI, ":") // a GRUU has that of the contact (RFC 5630 section 5.2.1)
		scheme = strings.ToLower(scheme)
		s.WriteString(";pub-gruu=" + header.QuoteString(publicGRUU(scheme, rec.AOR, b.Instance)))
		if epoch := rec.epoch(b.Instance); epoch != "" {
			s.WriteString(";temp-gruu=" + header.QuoteString(r.gruus.temporary(scheme, rec.AOR, epoch)))
		}
	}
	left := (r.left(b) + time.Second - 1) / time.Second
	fmt.Fprintf(&s, "%s;expires=%d", b.Params, max(left, 0))
	return s.String()
}
