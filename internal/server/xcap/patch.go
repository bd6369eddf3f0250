package xcap

import (
	"errors"
	"net/http"

	"imp/internal/xml/patch"
	"imp/internal/xml/tree"
)

// patch answers PATCH of a document (RFC 5789) with operations of RFC 5261 in a document of RFC 7351.
func (s *Server) patch(q *request) answer {
	defer s.leaveLarge(q)
	body, refusal := s.takeBody(q, patch.TypeXMLPatch)
	if refusal != nil {
		return *refusal
	}
	if !q.isUTF8(body) {
		return refusePatch(&patch.Error{Condition: patch.InvalidCharacterSet, Index: -1, Err: errors.New("the Content-Type says that the body is no UTF-8")})
	}
	p, err := patch.Parse(body, tree.Options{Limits: s.limits})
	if err == nil && p.Vocabulary != patch.XMLPatch {
		err = &patch.Error{Condition: patch.InvalidDiffFormat, Index: -1, Err: errors.New("the root element is not patch of " + patch.SpaceXMLPatch)}
	}
	if err != nil {
		return refusePatch(err)
	}
	return s.change(q, func(old document) (edited, *answer) {
		if old.rev == 0 {
			a := missing("there is no such document")
			return edited{}, &a
		}
		t := s.tree()
		defer s.keep(t)
		if err := t.Parse(old.Body, tree.Options{}); err != nil {
			return edited{}, s.refuseEdit(q, err)
		}
		for i := range p.Changes {
			if err := p.Changes[i].Apply(t, nil); err != nil {
				a := refusePatch(err)
				return edited{}, &a
			}
		}
		return edited{body: t.Bytes()}, nil
	})
}

// refusePatch is the answer to a patch that is none, 400; that never can be applied, 422; or not to the document as it is, 409 (RFC
// 5789 section 2.2).
func refusePatch(err error) answer {
	if errors.Is(err, tree.ErrLimit) {
		return refuse(http.StatusRequestEntityTooLarge, err.Error())
	}
	var e *patch.Error
	if !errors.As(err, &e) {
		return refuse(http.StatusBadRequest, err.Error())
	}
	a := answer{status: http.StatusUnprocessableEntity, mediaType: patch.TypeError, body: e.Append(nil)}
	switch e.Condition {
	case patch.InvalidDiffFormat, patch.InvalidCharacterSet, patch.InvalidEntity:
		a.status = http.StatusBadRequest
	case patch.UnlocatedNode, patch.InvalidWhitespace:
		a.status = http.StatusConflict
	}
	return a
}
