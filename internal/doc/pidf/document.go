package pidf

import (
	"slices"
	"time"
)

// Document is a presence document (RFC 3863 section 4.1.1) as the presence data model reads it (RFC 4479 section 5).
type Document struct {
	Entity     string // the URI of the presentity
	Tuples     []Tuple
	Notes      []Note // of the presentity; they are those of every person without own ones
	Persons    []Person
	Devices    []Device
	Extensions []Raw // elements of other namespaces
}

// The values of basic status (RFC 3863 section 4.1.4).
const (
	Open   = "open"
	Closed = "closed"
)

// Note is text for people. An empty Lang stands for i-default (RFC 4479 section 9).
type Note struct{ Lang, Text string }

// Tuple is an occurrence of a service (RFC 3863 section 4.1.2, RFC 4479 section 3.3).
type Tuple struct {
	ID         string
	Basic      string // Open, Closed or "" for not told
	Status     []Raw  // what else is in status
	Contact    Contact
	Notes      []Note
	Timestamp  time.Time // zero: not told
	DeviceIDs  []string  // URNs of the devices that take part
	Class      string
	Privacy    []Privacy
	Icons      []StatusIcon
	UserInput  *UserInput
	Relation   *Relationship // nil: the contact is the presentity's own
	Service    *ServiceClass // nil: electronic
	Info       ContactInfo   // of the person that the contact belongs to, if that is not the presentity
	Caps       *Capabilities
	Timed      []TimedStatus
	Extensions []Raw
}

// Person is an occurrence of the presentity's person (RFC 4479 section 3.2).
type Person struct {
	ID          string
	Notes       []Note
	Timestamp   time.Time
	Activities  []Enumeration
	Moods       []Enumeration
	Places      []PlaceIs
	PlaceTypes  []Enumeration
	Privacy     []Privacy
	Spheres     []Sphere
	Icons       []StatusIcon
	TimeOffsets []TimeOffset
	UserInput   *UserInput
	Class       string
	Info        ContactInfo
	Extensions  []Raw
}

// Device is an occurrence of a device (RFC 4479 section 3.4).
type Device struct {
	ID         string
	DeviceID   string // a URN
	Notes      []Note
	Timestamp  time.Time
	UserInput  *UserInput
	Class      string
	Caps       *Capabilities
	Extensions []Raw
}

// Contact is the URI of a service (RFC 3863 section 4.1.5).
type Contact struct {
	URI string
	// Priority is a decimal number from 0 to 1 with at most three decimals. It is empty, the lowest of all, when there is none or one out of range.
	Priority string
}

// Span qualifies an element of RPID (RFC 4480 section 3.1). Zero times are not told.
type Span struct {
	ID          string
	From, Until time.Time
}

// Covers reports whether the element is valid at a time.
func (s Span) Covers(t time.Time) bool {
	return (s.From.IsZero() || !s.From.After(t)) && (s.Until.IsZero() || s.Until.After(t))
}

// Enumeration is an element of RPID that holds values by their names: activities, mood and place-type (RFC 4480 sections 3.2, 3.5, 3.7).
type Enumeration struct {
	Span
	Notes  []Note
	Values []string // standard names, in the order of the document
	Other  []Note   // text for what no name stands for
	Raw    []Raw    // values of other namespaces
}

// Names are all values in words: standard names, text, and the local names of what is of other namespaces.
func (e *Enumeration) Names() []string {
	names := slices.Clone(e.Values)
	for _, o := range e.Other {
		names = append(names, o.Text)
	}
	for _, r := range e.Raw {
		names = append(names, r.Local)
	}
	return names
}

// PlaceIs tells how a place suits media (RFC 4480 section 3.6).
type PlaceIs struct {
	Span
	Notes              []Note
	Audio, Video, Text string // "" is not told
}

// Privacy tells what nobody nearby perceives (RFC 4480 section 3.8).
type Privacy struct {
	Span
	Notes  []Note
	Values []string // of audio, text and video, or unknown alone
	Raw    []Raw
}

// Sphere is the state and role of a person (RFC 4480 section 3.11).
type Sphere struct {
	Span
	Value string // home, work, unknown, or what a document says in text or by the name of an element of another namespace
	Raw   []Raw
}

// StatusIcon is the URI of an image (RFC 4480 section 3.12). A watcher that fetches it has to revalidate its copy on each notification.
type StatusIcon struct {
	Span
	URI string
}

// TimeOffset is the offset of the local time from UTC, east positive (RFC 4480 section 3.13).
type TimeOffset struct {
	Span
	Minutes     int
	Description string
}

// UserInput tells whether there is input (RFC 4480 section 3.14).
type UserInput struct {
	ID        string
	Idle      bool
	Threshold time.Duration // of idleness, in whole seconds; 0 is not told
	Last      time.Time     // zero: not told
}

// Relationship is that of the owner of a contact to the presentity (RFC 4480 section 3.9).
type Relationship struct {
	Notes []Note
	Value string // a standard name, other included
	Other Note   // the text of other
	Raw   []Raw
}

// ServiceClass is how a service delivers (RFC 4480 section 3.10).
type ServiceClass struct {
	Notes []Note
	Value string
	Raw   []Raw
}

// ContactInfo is what RFC 4482 section 3 tells of a person. All but the names are URIs.
type ContactInfo struct {
	Card, Homepage, Icon, Map, Sound string
	Names                            []Note // display-name, one for each language
}

// TimedStatus is a status of the past or the future (RFC 4481 section 3).
type TimedStatus struct {
	From, Until time.Time // Until is zero when it is open
	Basic       string
	Note        Note
	Extensions  []Raw
}

// Raw is an element that this package does not know, or must not understand in part (RFC 3863 section 4.2.3). XML is the element with all namespace
// declarations that it needs.
type Raw struct {
	Space, Local string
	XML          []byte
}

// Basic tells the status of the presentity as a whole: Open when any tuple is, else Closed when any tuple is, else "".
func (d *Document) Basic() string {
	basic := ""
	for i := range d.Tuples {
		switch d.Tuples[i].Basic {
		case Open:
			return Open
		case Closed:
			basic = Closed
		}
	}
	return basic
}

// NotesOf returns the notes of a person: its own, else those of the presentity (RFC 4479 section 5).
func (d *Document) NotesOf(p *Person) []Note {
	if len(p.Notes) > 0 {
		return p.Notes
	}
	return d.Notes
}

// Reachable returns the open tuples with a contact, those of higher priority first (RFC 3863 section 4.1.5).
func (d *Document) Reachable() []Tuple {
	var open []Tuple
	for _, t := range d.Tuples {
		if t.Basic == Open && t.Contact.URI != "" {
			open = append(open, t)
		}
	}
	slices.SortStableFunc(open, func(a, b Tuple) int { return b.Contact.rank() - a.Contact.rank() })
	return open
}

// rank orders contacts: one without priority comes after all others.
func (c Contact) rank() int {
	if _, thousandths, ok := priority(c.Priority); ok {
		return thousandths
	}
	return -1
}

// Newest returns the latest timestamp in the document, zero when there is none. A document whose newest timestamp is older than that of one seen
// before is outdated (RFC 3863 section 6).
func (d *Document) Newest() time.Time {
	var newest time.Time
	later := func(t time.Time) {
		if t.After(newest) {
			newest = t
		}
	}
	for i := range d.Tuples {
		later(d.Tuples[i].Timestamp)
	}
	for i := range d.Persons {
		later(d.Persons[i].Timestamp)
	}
	for i := range d.Devices {
		later(d.Devices[i].Timestamp)
	}
	return newest
}

// At returns the document without the elements of RPID that are valid at other times only.
func (d *Document) At(now time.Time) *Document {
	at := *d
	at.Tuples = slices.Clone(d.Tuples)
	for i := range at.Tuples {
		t := &at.Tuples[i]
		t.Privacy, t.Icons = covering(t.Privacy, now), covering(t.Icons, now)
	}
	at.Persons = slices.Clone(d.Persons)
	for i := range at.Persons {
		p := &at.Persons[i]
		p.Activities, p.Moods, p.PlaceTypes = covering(p.Activities, now), covering(p.Moods, now), covering(p.PlaceTypes, now)
		p.Places, p.Privacy, p.Spheres = covering(p.Places, now), covering(p.Privacy, now), covering(p.Spheres, now)
		p.Icons, p.TimeOffsets = covering(p.Icons, now), covering(p.TimeOffsets, now)
	}
	return &at
}

func covering[E interface{ Covers(time.Time) bool }](list []E, now time.Time) (kept []E) {
	for _, e := range list {
		if e.Covers(now) {
			kept = append(kept, e)
		}
	}
	return kept
}
