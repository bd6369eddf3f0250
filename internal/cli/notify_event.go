package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"imp/internal/cli/kit"
	"imp/internal/doc/pidf"
	"imp/internal/doc/rlmi"
	"imp/internal/sip/event"
	"imp/internal/sip/header"
)

// notifyEvent is one NOTIFY as commands print it.
type notifyEvent struct {
	kit.Head
	Resource string `json:"resource" doc:"the URI subscribed to, or one in the list that was"`
	List     string `json:"list,omitempty" doc:"of a list's resource: the list; its own line comes before"`
	Name     string `json:"name,omitempty" doc:"of a list's resource: its name for people"`
	Instance string `json:"instance,omitempty" doc:"of a list's resource of which there are several: which one"`
	Package  string `json:"package" doc:"the event package"`
	State    string `json:"state" doc:"the subscription's state: active, pending or terminated; of a list's resource also unknown"`
	Reason   string `json:"reason,omitempty" doc:"why it is terminated"`
	Expires  *int   `json:"expires,omitempty" doc:"seconds the subscription has left, when told"`
	ETag     string `json:"etag,omitempty" doc:"the entity-tag of the state, when told"`
	// Unchanged is RFC 5839, the intervals are RFC 6446.
	Unchanged   bool     `json:"unchanged,omitempty" doc:"true when the state still is the one with this etag, so that no body came"`
	MinInterval float64  `json:"min_interval,omitempty" doc:"seconds between two notifications at least, as the server grants"`
	MaxInterval float64  `json:"max_interval,omitempty" doc:"seconds until the next notification at most, as the server grants"`
	BodyType    string   `json:"body_type,omitempty" doc:"the media type of the body; absent without one"`
	Document    any      `json:"document,omitempty" doc:"the body: the object of the event document for a presence document, of a list its uri, version, full, names and resources, else its text"`
	Update      string   `json:"update,omitempty" doc:"of a partial document: full or partial, and document is what it led to; discarded or lost, when it did not fit what is known"`
	Version     *uint32  `json:"version,omitempty" doc:"number of a partial document"`
	Selected    []string `json:"selected,omitempty" doc:"what --select found in the body"`
	Seq         int      `json:"seq" doc:"counts the notifications of a subscription from 1"`

	body     []byte
	composed []byte // what a partial document led to
	presence *pidf.Document
	list     *rlmi.List     // of a list: what this notification tells
	members  []*notifyEvent // and its resources
	known    int            // resources in the list, as far as it is known
	missed   bool           // something of the list has not come
	inList   bool           // a list's body has its own in it
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
	rates, _ := event.ReadRates(n.State.Params)
	e.MinInterval, e.MaxInterval = interval(rates.Max), interval(rates.Min)
	if n.Body == nil {
		e.BodyType = ""
		return e, nil
	}
	if err := e.readBody(); err != nil {
		return nil, kit.Fail(kit.ExitDocument, "reading the presence document of "+resource, err, "print it as it came with -o raw")
	}
	return e, nil
}

// readBody reads the body as far as its type is known.
func (e *notifyEvent) readBody() (err error) {
	ct, err := header.ParseContentType(e.BodyType)
	if err != nil || ct.MediaType != pidf.MediaType {
		e.Document = string(e.body)
		return nil
	}
	if e.presence, err = pidf.Read(e.body); err == nil {
		e.Document = e.presence
	}
	return err
}

// interval is the time between two of what comes at a rate, to the
// millisecond; 0 for none.
func interval(rate float64) float64 {
	if rate <= 0 {
		return 0
	}
	return math.Round(1000/rate) / 1000
}

// untilValues are the keys of --until that have few values.
var untilValues = map[string][]string{
	"basic":      {"open", "closed"},
	"state":      {"active", "pending", "terminated"},
	"user_input": {"active", "idle"},
}

// checkUntil refuses a value that never comes: a watch would wait for ever.
func checkUntil(exprs []string) error {
	for _, expr := range exprs {
		key, value, _ := strings.Cut(strings.TrimSpace(expr), "=")
		key = strings.TrimSuffix(key, "!")
		values := untilValues[key]
		if values == nil || slices.Contains(values, value) {
			continue
		}
		return kit.Fail(kit.ExitUsage, fmt.Sprintf("reading --until %q", expr), fmt.Sprintf("there is no value %q", value),
			key+" is "+strings.Join(values, " or "))
	}
	return nil
}

// notifyKeys are the keys of --until for notifications.
func notifyKeys() []string {
	return append([]string{"resource", "list", "package", "state", "reason", "body_type"}, pidf.FactKeys()...)
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
	case "list":
		return one(e.List)
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
	switch {
	case e.composed != nil:
		return e.composed
	case e.Update != "" || e.presence == nil && !looksLikeXML(e.BodyType):
		return nil
	}
	return e.body
}

// Raw implements kit.Rawer.
func (e *notifyEvent) Raw() []byte {
	if e.inList {
		return nil
	}
	return e.body
}

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
	switch {
	case e.once && e.presence != nil:
		return e.presence.WriteText(w, e.wall, s.Zone)
	case e.once && e.list != nil:
		_, err := fmt.Fprintf(w, "%s  %s\n", s.Name(kit.CleanLine(e.Resource)), s.Dim(e.listTold()))
		return err
	case e.once && e.Unchanged:
		_, err := fmt.Fprintf(w, "%s  %s\n", s.Name(kit.CleanLine(e.Resource)), s.Dim("unchanged"))
		return err
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
	if e.Unchanged {
		state += s.Dim(" (unchanged)")
	}
	name := s.Name(kit.CleanLine(e.Resource))
	if e.Name != "" {
		name += " " + kit.CleanLine(e.Name)
	}
	if e.list != nil {
		state += "  " + s.Dim(e.listTold())
	}
	if e.Update == updatePartial || e.Update == updateDiscarded || e.Update == updateLost {
		state += s.Dim(" (" + e.Update + ")")
	}
	fmt.Fprintf(w, "%s %s %s\n", s.Dim(s.Time(e.wall, e.wall)), name, state)
	switch {
	case e.list != nil || e.Update != "" && e.presence == nil:
		return nil
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
