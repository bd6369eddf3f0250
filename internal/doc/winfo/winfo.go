// Package winfo implements the watcher information format (RFC 3858): reading, writing, checking and showing its documents, and the table that a subscriber
// keeps of them. It knows nothing of SIP.
package winfo

import (
	"errors"
	"strconv"
	"strings"

	"imp/internal/xml/lexical"
	"imp/internal/xml/tree"
)

// MediaType is the type of the documents (RFC 3858 section 7).
const MediaType = "application/watcherinfo+xml"

// Space is the namespace of the documents (RFC 3858 section 7).
const Space = "urn:ietf:params:xml:ns:watcherinfo"

// Error tells where a document was refused and why.
type Error = tree.Error

// limits bound what a document may ask of the reader; 4 MiB hold more than ten thousand watchers.
var limits = tree.Options{Limits: tree.Limits{Size: 4 << 20, Depth: 100, Declarations: 100, Attributes: 64}}

// Document is a watcher information document (RFC 3858 section 3).
type Document struct {
	Version uint32 `json:"version" doc:"number of the document in its subscription, from 0"`
	Full    bool   `json:"full" doc:"true: all watchers; false: those that changed"`
	Lists   []List `json:"lists" doc:"watchers, by resource and package"`
}

// List holds the watchers of a resource in an event package.
type List struct {
	Resource string    `json:"resource" doc:"URI of what is watched"`
	Package  string    `json:"package" doc:"event package, such as presence"`
	Watchers []Watcher `json:"watchers" doc:"the watchers"`
}

// Watcher is one subscription. Expires and Subscribed are nil when they are not told.
type Watcher struct {
	ID          string  `json:"id" doc:"names the subscription as long as it lasts"`
	URI         string  `json:"uri" doc:"identity of the watcher"`
	Status      Status  `json:"status" doc:"pending, active, waiting or terminated"`
	Event       Event   `json:"event" doc:"what led to the status"`
	DisplayName string  `json:"display_name,omitempty" doc:"name of the watcher"`
	Lang        string  `json:"lang,omitempty" doc:"language tag of the name"`
	Expires     *uint64 `json:"expires,omitempty" doc:"seconds until the subscription expires"`
	Subscribed  *uint64 `json:"subscribed,omitempty" doc:"seconds since the first SUBSCRIBE"`
}

// Status is the state of a subscription (RFC 3857 section 4.7.1).
type Status uint8

// The states of subscriptions.
const (
	Pending Status = iota
	Active
	Waiting
	Terminated
)

var statusNames = [...]string{Pending: "pending", Active: "active", Waiting: "waiting", Terminated: "terminated"}

// String returns the value of the attribute status.
func (s Status) String() string { return statusNames[min(int(s), len(statusNames)-1)] }

// MarshalText is for JSON. It never fails.
func (s Status) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what MarshalText writes and refuses other text.
func (s *Status) UnmarshalText(text []byte) error {
	i, ok := indexOf(statusNames[:], string(text))
	if !ok {
		return errors.New("reading a status: " + lexical.Clip(string(text)) + " is none of pending, active, waiting and terminated")
	}
	*s = Status(i)
	return nil
}

// Event is what led to a status (RFC 3857 section 4.7.1).
type Event uint8

// The events of subscriptions.
const (
	Subscribe Event = iota
	Approved
	Deactivated
	Probation
	Rejected
	Timeout
	Giveup
	NoResource
)

var eventNames = [...]string{
	Subscribe: "subscribe", Approved: "approved", Deactivated: "deactivated", Probation: "probation", Rejected: "rejected", Timeout: "timeout",
	Giveup: "giveup", NoResource: "noresource",
}

// String returns the value of the attribute event.
func (e Event) String() string { return eventNames[min(int(e), len(eventNames)-1)] }

// MarshalText is for JSON. It never fails.
func (e Event) MarshalText() ([]byte, error) { return []byte(e.String()), nil }

// UnmarshalText reads what MarshalText writes and refuses other text.
func (e *Event) UnmarshalText(text []byte) error {
	i, ok := indexOf(eventNames[:], string(text))
	if !ok {
		return errors.New("reading an event: " + lexical.Clip(string(text)) + " is no event of RFC 3857 section 4.7.1")
	}
	*e = Event(i)
	return nil
}

func indexOf(names []string, name string) (int, bool) {
	for i, n := range names {
		if n == name {
			return i, true
		}
	}
	return 0, false
}

// List returns the list of a resource in a package, nil when there is none.
func (d *Document) List(resource, pkg string) *List {
	for i := range d.Lists {
		if l := &d.Lists[i]; l.Resource == resource && l.Package == pkg {
			return l
		}
	}
	return nil
}

// Check reports what the schema cannot say (RFC 3858 section 3): an id that is no token, and watchers of the document that share one, which a subscriber
// could not tell apart. It returns the first of these, or nil.
func (d *Document) Check() error {
	ids := map[string]bool{}
	for _, l := range d.Lists {
		for _, w := range l.Watchers {
			where := "checking watcher " + strconv.Quote(lexical.Clip(w.ID)) + " of " + lexical.Clip(l.Resource) + ": "
			if w.ID == "" || strings.Trim(w.ID, tokenChars) != "" {
				return errors.New(where + "its id is no token; make it of letters and digits")
			}
			if ids[w.ID] {
				return errors.New(where + "its id stands twice; give it another")
			}
			ids[w.ID] = true
		}
	}
	return nil
}

// tokenChars are those of a token (RFC 3261 section 25.1).
const tokenChars = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-.!%*_+`'~"
