package admin

import (
	"context"
	"time"
)

// Subscription is a live subscription as it is listed.
type Subscription struct {
	ID       string    `json:"id"`
	Package  string    `json:"package"`
	Resource string    `json:"resource"`
	Watcher  string    `json:"watcher"`
	State    string    `json:"state"`
	Reason   string    `json:"reason,omitempty"`
	Expires  time.Time `json:"expires"`
}

// Publication is a live publication as it is listed.
type Publication struct {
	ID        string    `json:"id"`
	ETag      string    `json:"etag"`
	Package   string    `json:"package"`
	Resource  string    `json:"resource"`
	BodyType  string    `json:"body_type"`
	Size      int       `json:"size"` // of the body, in bytes
	Published time.Time `json:"published"`
	Expires   time.Time `json:"expires"`
}

// Registration is a binding of an address of record to a contact as it is listed.
type Registration struct {
	ID        string    `json:"id"`
	AOR       string    `json:"aor"`
	Contact   string    `json:"contact"`
	Instance  string    `json:"instance,omitempty"`
	RegID     int       `json:"reg_id,omitempty"`
	Q         float64   `json:"q"`
	UserAgent string    `json:"user_agent,omitempty"`
	Received  string    `json:"received,omitempty"` // transport:host:port that it came from
	Expires   time.Time `json:"expires"`
}

// Session is a URI of an MSRP relay as it is listed. Bytes are those of bodies, out is what its client sent.
type Session struct {
	ID        string    `json:"id"`
	User      string    `json:"user"`
	Client    string    `json:"client"` // host:port of the next hop towards the client
	Relay     string    `json:"relay,omitempty"`
	Transport string    `json:"transport"`
	Remote    string    `json:"remote"`
	Sends     uint64    `json:"sends"`
	BytesOut  uint64    `json:"bytes_out"`
	BytesIn   uint64    `json:"bytes_in"`
	Reports   uint64    `json:"reports"`
	Failures  uint64    `json:"failures"`
	Expires   time.Time `json:"expires"`
}

// Relay are the figures of an MSRP relay: connections now, the others since its start.
type Relay struct {
	Connections, Sessions                    int
	Sends, Bytes, Reports, Failures, Refused uint64
}

// Query says which rows are wanted.
type Query struct {
	Resource string // the one whose rows are wanted; "": all
	After    string // the ID of the last row of the page before; "" begins
	Limit    int    // rows of the page, at least 1
}

// Lister gives the rows that come after one in the order of their IDs, at most as many as the query says, and whether
// there are more. It holds no lock when it returns.
type Lister[T any] func(ctx context.Context, q Query) (rows []T, more bool, err error)

// row tells the cursor of each kind of row.
type row interface{ cursor() string }

func (r Subscription) cursor() string { return r.ID }
func (r Publication) cursor() string  { return r.ID }
func (r Registration) cursor() string { return r.ID }
func (r Session) cursor() string      { return r.ID }

// Page is an answer of a list; Next is what After is to be for the next one, "" at the end.
type Page[T any] struct {
	Rows []T    `json:"rows"`
	Next string `json:"next,omitempty"`
}

// MaxRows bounds a page, and DefaultRows is its size when none is asked for.
const (
	MaxRows     = 10_000
	DefaultRows = 1000
)
