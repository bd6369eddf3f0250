package pidf

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"imp/internal/xml/lexical"
)

// State is what somebody publishes of a presentity, in plain values. New sorts it into a document. Text that no value stands for is written
// other:TEXT where RFC 4480 has an other.
type State struct {
	Entity    string    // URI of the presentity
	Timestamp time.Time // of the change, written into every part; zero: none
	Notes     []Note    // of the tuple if there is one, else of the person, else of the presentity

	// The service. Any of these but Basic needs Basic.
	TupleID      string // default t1
	Basic        string // Open or Closed
	Contact      string // URI
	Priority     string // of the contact
	Relationship string // of the owner of the contact to the presentity; self is not written
	ServiceClass string
	Capabilities *Capabilities
	Timed        []TimedStatus

	// The person.
	PersonID                          string // default p1
	Activities, Mood, PlaceType       []string
	PlaceAudio, PlaceVideo, PlaceText string
	Privacy                           []string
	Sphere                            string
	StatusIcon                        string // URI
	TimeOffset                        *int   // minutes east of UTC
	TimeZone                          string // describes TimeOffset
	From, Until                       time.Time
	Info                              ContactInfo // of the tuple if Relationship names somebody else

	// The device. It gets an element of its own if there is Mobility, or no service that could refer to it.
	DeviceID        string // URN
	DeviceElementID string // default d1
	Mobility        string // fixed or mobile

	Class         string        // of every part
	UserInput     string        // active or idle, of the service, else the device, else the person
	IdleThreshold time.Duration // whole seconds
	LastInput     time.Time
}

// Values lists the values that a field of State takes, by the name of its element. It is nil for elements that take others.
func Values(element string) []string {
	withOther := func(list []string) []string { return append(slices.Clone(list), "other:TEXT") }
	switch element {
	case "basic":
		return []string{Open, Closed}
	case "activities":
		all := withOther(activityNames)
		return slices.Insert(all, slices.Index(all, "meal"), "lunch")
	case "mood":
		return withOther(moodNames)
	case "place-type":
		return withOther(placeTypeNames)
	case "relationship":
		return withOther(relationshipNames)
	case "place-audio":
		return slices.Clone(audioPlaces)
	case "place-video":
		return slices.Clone(videoPlaces)
	case "place-text":
		return slices.Clone(textPlaces)
	case "privacy":
		return slices.Clone(privacyNames)
	case "sphere":
		return slices.Clone(sphereNames)
	case "service-class":
		return slices.Clone(serviceClassNames)
	case "user-input":
		return []string{"active", "idle"}
	case "mobility":
		return slices.Clone(mobilityNames)
	}
	return slices.Clone(capsSupport[element])
}

// New makes a document of a state. The error says which value cannot be published and which ones can.
func New(s State) (*Document, error) {
	b := builder{State: s}
	b.check()
	if b.err != nil {
		return nil, b.err
	}
	d := &Document{Entity: trim(s.Entity)}
	if s.Basic != "" {
		d.Tuples = []Tuple{b.tuple()}
	}
	if p := b.person(len(d.Tuples) == 0); p != nil {
		d.Persons = []Person{*p}
	}
	if s.DeviceID != "" && (s.Mobility != "" || s.Basic == "") {
		d.Devices = []Device{b.device()}
	}
	switch {
	case len(d.Tuples) > 0:
		d.Tuples[0].Notes = s.Notes
	case len(d.Persons) > 0:
		d.Persons[0].Notes = s.Notes
	default:
		d.Notes = s.Notes
	}
	return d, b.err
}

// builder keeps the first error.
type builder struct {
	State
	err error
}

func (b *builder) fail(format string, args ...any) {
	if b.err == nil {
		b.err = fmt.Errorf(format, args...)
	}
}

func (b *builder) tuple() Tuple {
	t := Tuple{
		ID: orDefault(b.TupleID, "t1"), Basic: b.Basic, Contact: Contact{URI: trim(b.Contact)}, Timestamp: b.Timestamp, Class: b.Class,
		UserInput: b.input(), Caps: b.Capabilities, Timed: b.Timed,
	}
	t.Contact.Priority, _, _ = priority(b.Priority)
	if b.DeviceID != "" {
		t.DeviceIDs = []string{b.DeviceID}
	}
	if b.Relationship != "" && b.Relationship != "self" {
		e := b.enumeration([]string{b.Relationship})
		t.Relation = &Relationship{Value: e.value(), Other: e.firstOther()}
		t.Info = b.Info
	}
	if b.ServiceClass != "" {
		t.Service = &ServiceClass{Value: b.ServiceClass}
	}
	return t
}

// person returns what is told of the person, nil if that is nothing. last says that there is no service.
func (b *builder) person(last bool) *Person {
	span := Span{From: b.From, Until: b.Until}
	p := Person{ID: orDefault(b.PersonID, "p1"), Timestamp: b.Timestamp, Class: b.Class}
	told := p
	qualified := func(values []string) []Enumeration {
		if len(values) == 0 {
			return nil
		}
		e := b.enumeration(values)
		e.Span = span
		return []Enumeration{e}
	}
	p.Activities, p.Moods, p.PlaceTypes = qualified(b.Activities), qualified(b.Mood), qualified(b.PlaceType)
	if b.PlaceAudio+b.PlaceVideo+b.PlaceText != "" {
		p.Places = []PlaceIs{{Span: span, Audio: b.PlaceAudio, Video: b.PlaceVideo, Text: b.PlaceText}}
	}
	if len(b.Privacy) > 0 {
		p.Privacy = []Privacy{{Span: span, Values: b.Privacy}}
	}
	if b.Sphere != "" {
		p.Spheres = []Sphere{{Span: span, Value: b.Sphere}}
	}
	if b.StatusIcon != "" {
		p.Icons = []StatusIcon{{Span: span, URI: trim(b.StatusIcon)}}
	}
	if b.TimeOffset != nil {
		p.TimeOffsets = []TimeOffset{{Span: span, Minutes: *b.TimeOffset, Description: b.TimeZone}}
	}
	if last && b.DeviceID == "" {
		p.UserInput = b.input()
	}
	if b.Relationship == "" || b.Relationship == "self" {
		p.Info = b.Info
	}
	silent := len(p.Activities)+len(p.Moods)+len(p.PlaceTypes)+len(p.Places)+len(p.Privacy)+len(p.Spheres)+len(p.Icons)+len(p.TimeOffsets) == 0 &&
		p.UserInput == nil && p.Info.empty()
	if silent && (!last || told.Class == "" || b.DeviceID != "") {
		return nil
	}
	return &p
}

func (b *builder) device() Device {
	d := Device{ID: orDefault(b.DeviceElementID, "d1"), DeviceID: b.DeviceID, Timestamp: b.Timestamp, Class: b.Class}
	if b.Mobility != "" {
		d.Caps = &Capabilities{Support: map[string]Support{"mobility": {Yes: []string{b.Mobility}}}}
	}
	if b.Basic == "" {
		d.UserInput = b.input()
	}
	return d
}

func (b *builder) input() *UserInput {
	if b.UserInput == "" {
		return nil
	}
	return &UserInput{Idle: b.UserInput == "idle", Threshold: b.IdleThreshold, Last: b.LastInput}
}

func (b *builder) enumeration(values []string) (e Enumeration) {
	for _, value := range values {
		if text, ok := strings.CutPrefix(value, "other:"); ok {
			e.Other = append(e.Other, Note{Text: trim(text)})
		} else {
			e.Values = append(e.Values, value)
		}
	}
	return e
}

func orDefault(id, standard string) string {
	if id == "" {
		return standard
	}
	return id
}

func (i *ContactInfo) empty() bool {
	return i.Card+i.Homepage+i.Icon+i.Map+i.Sound == "" && len(i.Names) == 0
}

// check finds the first value that cannot be published.
func (b *builder) check() {
	if trim(b.Entity) == "" || !isAbsolute(trim(b.Entity)) {
		b.fail("entity %q is no URI: it has a scheme, as in sip:alice@example.com", b.Entity)
	}
	b.checkService()
	b.oneOf("basic", b.Basic)
	b.oneOf("relationship", b.Relationship)
	b.oneOf("service-class", b.ServiceClass)
	b.several("activities", b.Activities)
	b.several("mood", b.Mood)
	b.several("place-type", b.PlaceType)
	b.oneOf("place-audio", b.PlaceAudio)
	b.oneOf("place-video", b.PlaceVideo)
	b.oneOf("place-text", b.PlaceText)
	b.several("privacy", b.Privacy)
	b.oneOf("sphere", b.Sphere)
	b.oneOf("user-input", b.UserInput)
	b.oneOf("mobility", b.Mobility)
	b.checkIDs()
	b.checkURIs()
	b.checkTimes()
	b.checkCapabilities()
	for _, n := range append(slices.Clone(b.Notes), b.Info.Names...) {
		if n.Lang != "" && !lexical.IsLanguage(n.Lang) {
			b.fail("%q is no language tag, which looks like en or pt-BR", n.Lang)
		}
	}
}

func (b *builder) checkService() {
	if b.Basic == "" && (b.Contact != "" || b.Relationship != "" || b.ServiceClass != "" || b.Capabilities != nil || len(b.Timed) > 0 || b.TupleID != "") {
		b.fail("what belongs to a service needs its basic status: open or closed")
	}
	if b.Priority != "" {
		if _, _, ok := priority(b.Priority); !ok {
			b.fail("priority %q is no number from 0 to 1 with at most three decimals", b.Priority)
		}
		if b.Contact == "" {
			b.fail("a priority needs a contact")
		}
	}
	if slices.Contains([]string{"postal", "courier", "freight", "in-person"}, b.ServiceClass) && b.Contact != "" {
		b.fail("the service-class %s must not have a contact", b.ServiceClass)
	}
}

func (b *builder) oneOf(element, value string) {
	if value != "" {
		b.several(element, []string{value})
	}
}

func (b *builder) several(element string, values []string) {
	allowed := Values(element)
	for _, value := range values {
		text, other := strings.CutPrefix(value, "other:")
		switch {
		case other && trim(text) != "" && slices.Contains(allowed, "other:TEXT"):
		case value == "other:TEXT" || !slices.Contains(allowed, value):
			b.fail("%s %q is not one of %s", element, value, strings.Join(allowed, ", "))
		case value == "unknown" && len(values) > 1:
			b.fail("%s unknown does not go with other values", element)
		}
	}
}

func (b *builder) checkIDs() {
	seen := map[string]bool{}
	for _, id := range []string{orDefault(b.TupleID, "t1"), orDefault(b.PersonID, "p1"), orDefault(b.DeviceElementID, "d1")} {
		if !isNCName(id) {
			b.fail("id %q is no NCName: it begins with a letter or _ and goes on with letters, digits, '.', '-' and _", id)
		}
		if seen[id] {
			b.fail("id %q is given twice", id)
		}
		seen[id] = true
	}
}

func (b *builder) checkURIs() {
	for _, u := range [][2]string{
		{"contact", b.Contact}, {"status-icon", b.StatusIcon}, {"device id", b.DeviceID}, {"card", b.Info.Card}, {"homepage", b.Info.Homepage},
		{"icon", b.Info.Icon}, {"map", b.Info.Map}, {"sound", b.Info.Sound},
	} {
		uri, _, _ := strings.Cut(trim(u[1]), "#")
		if u[1] != "" && (!isAbsolute(uri) || !isURI(trim(u[1]))) {
			b.fail("%s %q is no absolute URI", u[0], u[1])
		}
	}
	if b.DeviceID != "" && !strings.HasPrefix(strings.ToLower(b.DeviceID), "urn:") {
		b.fail("device id %q is no URN, as urn:uuid:… is", b.DeviceID)
	}
	if b.Mobility != "" && b.DeviceID == "" {
		b.fail("mobility needs a device id")
	}
}

func (b *builder) checkTimes() {
	for _, t := range []time.Time{b.Timestamp, b.From, b.Until, b.LastInput} {
		if !t.IsZero() && !writable(t) {
			b.fail("the time %v cannot be written", t)
		}
	}
	spanned := len(b.Activities)+len(b.Mood)+len(b.PlaceType)+len(b.Privacy) > 0 || b.PlaceAudio+b.PlaceVideo+b.PlaceText+b.Sphere+b.StatusIcon != "" ||
		b.TimeOffset != nil
	if !spanned && !(b.From.IsZero() && b.Until.IsZero()) {
		b.fail("from and until qualify activities, mood, place, privacy, sphere, status-icon and time-offset, and there is none")
	}
	if !b.From.IsZero() && !b.Until.IsZero() && !b.From.Before(b.Until) {
		b.fail("from %s is not before until %s", formatTime(b.From), formatTime(b.Until))
	}
	if b.TimeOffset != nil && (*b.TimeOffset < -840 || *b.TimeOffset > 840) {
		b.fail("time-offset %d is not between -840 and 840 minutes", *b.TimeOffset)
	}
	if b.UserInput == "" && (b.IdleThreshold != 0 || !b.LastInput.IsZero()) {
		b.fail("idle threshold and last input need user-input: active or idle")
	}
	if b.IdleThreshold < 0 || b.IdleThreshold%time.Second != 0 || b.IdleThreshold > 1e9*time.Second-1 {
		b.fail("idle threshold %v is not in whole seconds", b.IdleThreshold)
	}
	for i := range b.Timed {
		if err := b.Timed[i].check(b.Timestamp); err != nil {
			b.fail("timed status: %w", err)
		}
	}
}

// check tells whether the interval is wholly past or future at the time of the tuple (RFC 4481 section 3).
func (t *TimedStatus) check(now time.Time) error {
	switch {
	case t.From.IsZero():
		return errors.New("from is missing")
	case t.Basic != "" && t.Basic != Open && t.Basic != Closed:
		return fmt.Errorf("basic %q is not one of open, closed", t.Basic)
	case !t.Until.IsZero() && !t.From.Before(t.Until):
		return errors.New("from is not before until")
	case !now.IsZero() && !t.From.After(now) && (t.Until.IsZero() || t.Until.After(now)):
		return errors.New("the time now is in it, so it is the status itself")
	}
	return nil
}

func (b *builder) checkCapabilities() {
	if b.Capabilities == nil {
		return
	}
	for _, name := range sorted(b.Capabilities.Flags) {
		if !slices.Contains(capsFlags, name) {
			b.fail("capability %q is not one of %s", name, strings.Join(capsFlags, ", "))
		}
	}
	for _, name := range sorted(b.Capabilities.Support) {
		s := b.Capabilities.Support[name]
		allowed, known := capsSupport[name]
		if !known || name == "mobility" {
			b.fail("capability %q is not one of actor, class, duplex, event-packages, extensions, languages, methods, schemes", name)
		}
		for _, value := range append(slices.Clone(s.Yes), s.No...) {
			if allowed != nil && !slices.Contains(allowed, capsName(value)) {
				b.fail("%s %q is not one of %s", name, value, strings.Join(allowed, ", "))
			}
		}
	}
	for _, media := range b.Capabilities.Types {
		if main, sub, ok := strings.Cut(media, "/"); !ok || main == "" || sub == "" || strings.ToLower(media) != media || strings.ContainsAny(media, blanks) {
			b.fail("type %q is not of the form type/subtype in lower case", media)
		}
	}
}
