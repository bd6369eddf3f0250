package dialog

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"

	"github.com/emiago/sipgo/sip"

	"imp/internal/sip/header"
	"imp/internal/sip/stack"
)

// FromResponse makes the dialog that a response forms at the side that sent
// the request o (RFC 3261 section 12.1.2), which is what the caller has after a
// 2xx to INVITE. The CSeq of o is that of this side.
func FromResponse(o *stack.Outgoing, res *sip.Response) (*Dialog, error) {
	ends := make(map[string]header.Address)
	for _, name := range [...]string{"From", "To"} {
		v, ok, err := header.Single(res, name)
		if err == nil && !ok {
			err = fmt.Errorf("%s is missing", name)
		}
		if err != nil {
			return nil, err
		}
		if ends[name], err = header.ParseAddress(v); err != nil {
			return nil, fmt.Errorf("reading %s: %w", name, err)
		}
	}
	seq := res.CSeq()
	if seq == nil || res.CallID() == nil {
		return nil, fmt.Errorf("CSeq or Call-ID is missing")
	}
	d := &Dialog{local: seq.SeqNo}
	d.setEnds(ends["From"].URI, ends["From"].Tag(), ends["To"].URI, ends["To"].Tag(), res.CallID().Value())
	routes := header.List(res, "Record-Route")
	slices.Reverse(routes)
	if err := d.setRoutes(routes); err != nil {
		return nil, err
	}
	if err := d.setTarget(header.List(res, "Contact")); err != nil {
		return nil, err
	}
	if d.routed() || hostless(d.target) {
		d.flow = o.Target.Flow
	}
	return d, nil
}

// Ack renders the ACK to a 2xx to the INVITE with the number seq that was sent
// within the dialog or formed it (RFC 3261 section 13.2.2.4). fields are the
// credentials of the INVITE, rendered; body is the answer to an offer in the
// 2xx.
func (d *Dialog) Ack(seq uint32, fields, body []byte) *stack.Outgoing {
	local := d.local
	o := d.Request("ACK", fields, body)
	before, after, _ := bytes.Cut(o.Head, strconv.AppendUint([]byte("\r\nCSeq: "), uint64(d.local), 10))
	o.Head = slices.Concat(before, strconv.AppendUint([]byte("\r\nCSeq: "), uint64(seq), 10), after)
	d.local = local
	return o
}
