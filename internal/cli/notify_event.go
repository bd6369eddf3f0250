package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"time"

	"imp/internal/cli/kit"
	"imp/internal/doc/pidf"
	"imp/internal/sip/event"
	"imp/internal/sip/header"
)

// notifyEvent is one NOTIFY as commands print it.
type notifyEvent struct {
	kit.Head
	Resource string   `json:"resource" doc:"the URI subscribed to"`
	Package  string   `json:"package" doc:"the event package"`
	State    string   `json:"state" doc:"the subscription's state: active, pending or terminated"`
	Reason   string   `json:"reason,omitempty" doc:"why it is terminated"`
	Expires  *int     `json:"expires,omitempty" doc:"seconds the subscription has left, when told"`
	ETag     string   `json:"etag,omitempty" doc:"the entity-tag of the state, when told"`
	BodyType string   `json:"body_type,omitempty" doc:"the media type of the body; absent without one"`
	Document any      `json:"document,omitempty" doc:"the body: the object of the event document for a presence document, else its text"`
	Selected []string `json:"selected,omitempty" doc:"what --select found in the body"`
	Seq      int      `json:"seq" doc:"counts the notifications of a subscription from 1"`

	body     []byte
	presence *pidf.Document
	wall     time.Time
	only     bool // with --select only what it found is shown
	once     bool // it answers a fetch, which always ends terminated
}

// newNotifyEvent takes a notification for resource; a body that is not what
// its type says is an error.
func newNotifyEvent(k *kit.Kit, resource, pkg string, n *event.Notification) (*notifyEvent, error) {
	e := &notifyEvent{Head: k.Head("notify"), Resource: resource, Package: pkg, State: n.State.State, Reason: n.State.Reason,
		BodyType: n.ContentType, Seq: n.Seq, body: n.Body, wall: k.Now()}
	if n.State.Expires >= 0 && e.State != "terminated" {
		e.Expires = &n.State.Expires
	}
	if v, ok, err := header.Single(n.Request, "SIP-ETag"); ok && err == nil {
		e.ETag = v
	}
	if n.Body == nil {
		e.BodyType = ""
		return e, nil
	}
	ct, err := header.ParseContentType(n.ContentType)
	if err != nil || ct.MediaType != "application/pidf+xml" {
		e.Document = string(n.Body)
		return e, nil
	}
	if e.presence, err = pidf.Read(n.Body); err != nil {
		return nil, kit.Fail(kit.ExitDocument, "reading the presence document of "+resource, err, "print it as it came with -o raw")
	}
	e.Document = e.presence
	return e, nil
}

// notifyKeys are the keys of --until for notifications.
func notifyKeys() []string {
	return append([]string{"resource", "package", "state", "reason", "body_type"}, pidf.FactKeys()...)
}

// Fact implements kit.Facts.
func (e *notifyEvent) Fact(key string) []string {
	one := func(s string) []string {
		if s == "" {
			return nil
		}
		return []string{s}
	}
	switch key {
	case "resource":
		return one(e.Resource)
	case "package":
		return one(e.Package)
	case "state":
		return one(e.State)
	case "reason":
		return one(e.Reason)
	case "body_type":
		return one(e.BodyType)
	}
	if e.presence == nil {
		return nil
	}
	return e.presence.Facts(key)
}

// XML implements kit.Facts.
func (e *notifyEvent) XML() []byte {
	if e.presence == nil && !looksLikeXML(e.BodyType) {
		return nil
	}
	return e.body
}

// Raw implements kit.Rawer.
func (e *notifyEvent) Raw() []byte { return e.body }

// Text implements kit.Texter.
func (e *notifyEvent) Text(w io.Writer, s *kit.Style) error {
	if e.only {
		for _, line := range e.Selected {
			if _, err := fmt.Fprintln(w, kit.Clean(line)); err != nil {
				return err
			}
		}
		return nil
	}
	if e.once && e.presence != nil {
		return e.presence.WriteText(w, e.wall, s.Zone)
	}
	state := s.Good(e.State)
	switch {
	case e.State == "terminated":
		state = s.Dim(e.State)
	case e.State != "active":
		state = s.Busy(e.State)
	}
	if e.Reason != "" {
		state += s.Dim(" (" + kit.CleanLine(e.Reason) + ")")
	}
	fmt.Fprintf(w, "%s %s %s\n", s.Dim(s.Time(e.wall, e.wall)), s.Name(kit.CleanLine(e.Resource)), state)
	switch {
	case e.presence != nil:
		return e.presence.WriteText(w, e.wall, s.Zone)
	case e.body != nil:
		_, err := fmt.Fprintln(w, kit.Clean(string(e.body)))
		return err
	}
	return nil
}

// looksLikeXML tells media types of XML documents (RFC 7303 section 4.2).
func looksLikeXML(mediaType string) bool {
	ct, err := header.ParseContentType(mediaType)
	if err != nil {
		return false
	}
	t := ct.MediaType
	return t == "application/xml" || t == "text/xml" || len(t) > 4 && t[len(t)-4:] == "+xml"
}

var _ json.Marshaler = (*pidf.Document)(nil)
