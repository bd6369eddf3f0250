package pidf

import (
	"strconv"
	"strings"

	"imp/internal/xml/lexical"
	"imp/internal/xml/tree"
)

// Parse reads a document that Accept takes, and refuses others as Accept does. Beyond that it is lenient: any order is understood, values are taken
// from the places where RFCs have shown them in examples, and what is unknown is kept as it is.
func Parse(src []byte) (*Document, error) {
	t, err := tree.Parse(src, limits)
	if err != nil {
		return nil, err
	}
	if err := accept(t); err != nil {
		return nil, err
	}
	return read(t.Root()), nil
}

// Read makes of a document what a watcher can (RFC 4479 section 5): it refuses only what is not well-formed or has another root than presence or
// pidf-full (RFC 5262). An entity that is missing is empty; ids are taken as they are.
func Read(src []byte) (*Document, error) {
	t, err := tree.Parse(src, wide)
	if err != nil {
		return nil, err
	}
	if root := t.Root(); !isPresence(root) && !isFull(root) {
		return nil, lexical.ErrorAt(t, lexical.StartOf(root), "the root is {"+root.Space()+"}"+root.Local()+", not the presence of "+Space)
	}
	return read(t.Root()), nil
}

func read(root tree.Node) *Document {
	d := &Document{Entity: trim(attr(root, "entity"))}
	for n := range root.Elements() {
		switch {
		case n.Is(Space, "note"):
			d.Notes = appendNote(d.Notes, n)
		case kindOf(n) == tupleComponent:
			d.Tuples = append(d.Tuples, readTuple(n))
		case kindOf(n) == personComponent:
			d.Persons = append(d.Persons, readPerson(n))
		case kindOf(n) == deviceComponent:
			d.Devices = append(d.Devices, readDevice(n))
		case n.Space() != Space:
			d.Extensions = append(d.Extensions, rawOf(n))
		}
	}
	return d
}

func readTuple(n tree.Node) Tuple {
	t := Tuple{ID: trim(attr(n, "id"))}
	for c := range n.Elements() {
		switch {
		case c.Is(Space, "status"):
			t.readStatus(c)
		case c.Is(Space, "contact"):
			t.Contact.URI = trim(c.Text())
			t.Contact.Priority, _, _ = priority(attr(c, "priority"))
		case c.Is(Space, "note"):
			t.Notes = appendNote(t.Notes, c)
		case c.Is(Space, "timestamp"):
			t.Timestamp = readTime(c.Text())
		case c.Is(DataModelSpace, "deviceID"):
			t.DeviceIDs = append(t.DeviceIDs, trim(c.Text()))
		case isTimed(c) && !opaque(c):
			t.Timed = append(t.Timed, readTimed(c))
		case c.Is(CapsSpace, "servcaps") && !opaque(c):
			t.Caps = readCaps(c)
		case c.Space() == Space, opaque(c), !t.readRPID(c) && !t.Info.read(c):
			t.Extensions = append(t.Extensions, rawOf(c))
		}
	}
	return t
}

func (t *Tuple) readStatus(n tree.Node) {
	for c := range n.Elements() {
		switch basic := strings.ToLower(trim(c.Text())); {
		case c.Is(Space, "basic") && (basic == Open || basic == Closed):
			t.Basic = basic
		case c.Space() != Space:
			t.Status = append(t.Status, rawOf(c))
		}
	}
}

func (t *Tuple) readRPID(n tree.Node) bool {
	if n.Space() != RPIDSpace {
		return false
	}
	switch n.Local() {
	case "class":
		t.Class = collapse(n.Text())
	case "privacy":
		t.Privacy = append(t.Privacy, readPrivacy(n))
	case "status-icon":
		t.Icons = append(t.Icons, StatusIcon{readSpan(n), trim(n.Text())})
	case "user-input":
		t.UserInput = readInput(n)
	case "relationship":
		v := readValues(n, relationshipModel)
		t.Relation = &Relationship{Notes: v.Notes, Value: v.value(), Other: v.firstOther(), Raw: v.Raw}
	case "service-class":
		v := readValues(n, serviceClassModel)
		t.Service = &ServiceClass{Notes: v.Notes, Value: v.value(), Raw: v.Raw}
	default:
		return false
	}
	return true
}

func readPerson(n tree.Node) Person {
	p := Person{ID: trim(attr(n, "id"))}
	for c := range n.Elements() {
		switch {
		case c.Is(DataModelSpace, "note"), c.Is(Space, "note"):
			p.Notes = appendNote(p.Notes, c)
		case c.Is(DataModelSpace, "timestamp"), c.Is(Space, "timestamp"):
			p.Timestamp = readTime(c.Text())
		case opaque(c), !p.readRPID(c) && !p.Info.read(c):
			p.Extensions = append(p.Extensions, rawOf(c))
		}
	}
	return p
}

func (p *Person) readRPID(n tree.Node) bool {
	if n.Space() != RPIDSpace {
		return false
	}
	switch n.Local() {
	case "activities":
		p.Activities = append(p.Activities, readValues(n, activitiesModel))
	case "mood":
		p.Moods = append(p.Moods, readValues(n, moodModel))
	case "place-is":
		p.Places = append(p.Places, readPlace(n))
	case "place-type":
		p.PlaceTypes = append(p.PlaceTypes, readValues(n, placeTypeModel))
	case "privacy":
		p.Privacy = append(p.Privacy, readPrivacy(n))
	case "sphere":
		p.Spheres = append(p.Spheres, readSphere(n))
	case "status-icon":
		p.Icons = append(p.Icons, StatusIcon{readSpan(n), trim(n.Text())})
	case "time-offset":
		if minutes, err := strconv.Atoi(trim(n.Text())); err == nil {
			p.TimeOffsets = append(p.TimeOffsets, TimeOffset{readSpan(n), minutes, attr(n, "description")})
		}
	case "user-input":
		p.UserInput = readInput(n)
	case "class":
		p.Class = collapse(n.Text())
	default:
		return false
	}
	return true
}

func readDevice(n tree.Node) Device {
	d := Device{ID: trim(attr(n, "id"))}
	for c := range n.Elements() {
		switch {
		case c.Is(DataModelSpace, "note"), c.Is(Space, "note"):
			d.Notes = appendNote(d.Notes, c)
		case c.Is(DataModelSpace, "timestamp"), c.Is(Space, "timestamp"):
			d.Timestamp = readTime(c.Text())
		case c.Is(DataModelSpace, "deviceID"):
			d.DeviceID = trim(c.Text())
		case opaque(c):
			d.Extensions = append(d.Extensions, rawOf(c))
		case c.Is(RPIDSpace, "user-input"):
			d.UserInput = readInput(c)
		case c.Is(RPIDSpace, "class"):
			d.Class = collapse(c.Text())
		case c.Is(CapsSpace, "devcaps"):
			d.Caps = readCaps(c)
		default:
			d.Extensions = append(d.Extensions, rawOf(c))
		}
	}
	return d
}

// opaque reports whether an element must be treated as unknown because one in it that is unknown must be understood (RFC 3863 section 4.2.3).
func opaque(n tree.Node) bool {
	for c := n.FirstChild(); c.Valid(); c = c.NextSibling() {
		if c.Kind() != tree.Element {
			continue
		}
		must, _ := c.Attr(Space, "mustUnderstand")
		unknown := spaceOf(c.Space()) == elsewhere || c.Space() == ""
		if unknown && (trim(must) == "1" || trim(must) == "true") || opaque(c) {
			return true
		}
	}
	return false
}

// rawOf takes an element out of its document.
func rawOf(n tree.Node) Raw {
	w := writer{bare: true}
	w.stranger(n, true)
	return Raw{n.Space(), n.Local(), w.buf}
}
