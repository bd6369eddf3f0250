package cli

import (
	"context"
	"errors"

	"imp/internal/doc/pidfdiff"
	"imp/internal/sip/event"
)

// updateWhole is a document of the type that all servers take.
const updateWhole = "whole"

// publishPartial publishes a presence document by what changed since the last one
// (RFC 5264 section 4.2). Where the server cannot apply that it gets all, and
// where it takes no partial documents the document itself.
func (p *publication) publishPartial(ctx context.Context, d event.Doc) (event.Published, error) {
	var had []byte
	if p.saved.Document != "" && p.Tag() == p.saved.ETag {
		had = []byte(p.saved.Document)
	}
	state, _, err := pidfdiff.Publication(nil, d.Body)
	if err != nil {
		return event.Published{}, err
	}
	sent, full, err := pidfdiff.Publication(had, d.Body)
	if err != nil {
		sent, full = state, true // of another presentity
	}
	whole := event.Doc{Type: pidfdiff.MediaType, Body: state}
	if !full {
		got, err := p.PublishChange(ctx, event.Doc{Type: pidfdiff.MediaType, Body: sent}, whole)
		switch {
		case err == nil && got.Operation == event.OpModify:
			p.update = updatePartial
			return got, nil
		case err == nil:
			p.update = updateFull
			return got, nil
		case !isStatus(err, 400) && !isStatus(err, 415):
			return got, err
		}
	}
	p.update = updateFull
	got, err := p.send(ctx, whole)
	if isStatus(err, 415) {
		p.kit.Note("the server takes whole documents only")
		p.update = updateWhole
		return p.send(ctx, d)
	}
	return got, err
}

// send publishes a document; what somebody else made is not made anew.
func (p *publication) send(ctx context.Context, d event.Doc) (event.Published, error) {
	if p.modify != "" && p.key == "" {
		return p.Modify(ctx, d)
	}
	return p.Publish(ctx, d)
}

func isStatus(err error, status int) bool {
	var refused *event.ResponseError
	return errors.As(err, &refused) && refused.Status == status
}
