package pidf

import "imp/internal/xml/tree"

// kind is what the text of an element or the value of an attribute has to be; kindParts is an element that holds elements.
type kind uint8

const (
	kindParts kind = iota
	kindEmpty
	kindString
	kindURI
	kindToken
	kindBasic
	kindInput
	kindDateTime
	kindBoolean
	kindInteger
	kindPositive
	kindPriority
	kindID
	kindLang
	kindSpace
)

// model is what the schemas say of an element. The tables below are the grammar by which documents are checked and put right.
type model struct {
	space   space // of the schema that describes the element
	content kind
	parts   []part // in the order of the schema
	attrs   []attribute
	open    bool // takes any further attribute
	filled  bool // holds at least one element, whatever it is

	component bool   // tuple, person, device: most elements of RPID and CIPID stand in it once
	values    int    // the part from which on the value stands, notes before it; 0: the element is no enumeration
	alone     string // the value that gives way to any other beside it
	single    bool   // one value, or any number of elements from other namespaces
	choices   map[string]*model
	choice    space // the namespace that the choices are in
	other     bool  // a value that is none of the choices can be kept in other
	misprints map[string]string
}

// part is a place in a content model: one named element, one of several, or with any those of other namespaces.
type part struct {
	name     string
	model    *model
	names    map[string]*model
	any      bool
	required bool
	many     bool
}

type attribute struct {
	space    string
	name     string
	kind     kind
	required bool
}

var (
	idAttr    = attribute{name: "id", kind: kindID}
	langAttrs = []attribute{{space: tree.XMLSpace, name: "lang", kind: kindLang}}
	spanAttrs = []attribute{{name: "from", kind: kindDateTime}, {name: "until", kind: kindDateTime}, idAttr}
	mustID    = []attribute{{name: "id", kind: kindID, required: true}}

	foreign = part{any: true, many: true}
)

func simple(in space, k kind, attrs ...attribute) *model {
	return &model{space: in, content: k, attrs: attrs}
}

func names(list []string, m *model) map[string]*model {
	all := make(map[string]*model, len(list)+1)
	for _, name := range list {
		all[name] = m
	}
	return all
}

// optional are elements that stand in this order, each at most once.
func optional(m *model, list ...string) []part {
	parts := make([]part, 0, len(list)+1)
	for _, name := range list {
		parts = append(parts, part{name: name, model: m})
	}
	return parts
}

// RFC 3863 section 4.4.
var (
	noteModel      = simple(inPIDF, kindString, langAttrs...)
	timestampModel = simple(inPIDF, kindDateTime)
	basicModel     = simple(inPIDF, kindBasic)
	statusModel    = &model{space: inPIDF, filled: true, parts: []part{{name: "basic", model: basicModel}, foreign}}
	contactModel   = simple(inPIDF, kindURI, attribute{name: "priority", kind: kindPriority})

	tupleModel = &model{space: inPIDF, component: true, attrs: mustID, parts: []part{
		{name: "status", model: statusModel, required: true},
		foreign,
		{name: "contact", model: contactModel},
		{name: "note", model: noteModel, many: true},
		{name: "timestamp", model: timestampModel},
	}}
	presenceModel = &model{space: inPIDF, attrs: []attribute{{name: "entity", kind: kindURI, required: true}}, parts: []part{
		{name: "tuple", model: tupleModel, many: true},
		{name: "note", model: noteModel, many: true},
		foreign,
	}}
)

// RFC 4479 section 5.1.
var (
	dmNoteModel      = simple(inDataModel, kindString, langAttrs...)
	dmTimestampModel = simple(inDataModel, kindDateTime)
	deviceIDModel    = simple(inDataModel, kindURI)

	personModel = &model{space: inDataModel, component: true, attrs: mustID, parts: []part{
		foreign,
		{name: "note", model: dmNoteModel, many: true},
		{name: "timestamp", model: dmTimestampModel},
	}}
	deviceModel = &model{space: inDataModel, component: true, attrs: mustID, parts: []part{
		foreign,
		{name: "deviceID", model: deviceIDModel, required: true},
		{name: "note", model: dmNoteModel, many: true},
		{name: "timestamp", model: dmTimestampModel},
	}}
)

// RFC 4480 section 5.1.
var (
	rpidEmpty = simple(inRPID, kindEmpty)
	rpidNotes = part{name: "note", model: rpidNoteModel, many: true}

	rpidNoteModel = simple(inRPID, kindString, langAttrs...)

	activitiesModel = enumeration(model{
		alone: "unknown", other: true, open: true, attrs: spanAttrs, misprints: map[string]string{"lunch": "meal"},
	}, activityNames, part{many: true, any: true})
	moodModel         = enumeration(model{alone: "unknown", other: true, open: true, attrs: spanAttrs}, moodNames, part{many: true, any: true, required: true})
	relationshipModel = enumeration(model{single: true, other: true}, relationshipNames, part{many: true, any: true})
	serviceClassModel = enumeration(model{single: true}, serviceClassNames, part{many: true, any: true, required: true})

	sphereModel = choiceOf(model{single: true, open: true, attrs: spanAttrs}, sphereNames, part{many: true, any: true})

	placeTypeModel = &model{
		space: inRPID, values: 1, alone: "other", open: true, attrs: spanAttrs,
		parts:   []part{rpidNotes, {names: map[string]*model{"other": rpidNoteModel}, any: true, many: true, required: true}},
		choices: names(placeTypeNames, rpidEmpty), choice: inLocationType, other: true,
	}
	placeIsModel = &model{space: inRPID, open: true, attrs: spanAttrs, parts: []part{
		rpidNotes,
		{name: "audio", model: choiceOf(model{single: true}, audioPlaces, part{required: true})},
		{name: "video", model: choiceOf(model{single: true}, videoPlaces, part{required: true})},
		{name: "text", model: choiceOf(model{single: true}, textPlaces, part{required: true})},
	}}
	privacyModel = &model{
		space: inRPID, values: 1, alone: "unknown", open: true, attrs: spanAttrs,
		parts:   append(append([]part{rpidNotes}, optional(rpidEmpty, "unknown", "audio", "text", "video")...), foreign),
		choices: names(privacyNames, rpidEmpty), choice: inRPID,
	}
	statusIconModel = &model{space: inRPID, content: kindURI, open: true, attrs: spanAttrs}
	timeOffsetModel = &model{space: inRPID, content: kindInteger, open: true, attrs: append([]attribute{{name: "description", kind: kindString}}, spanAttrs...)}
	userInputModel  = &model{space: inRPID, content: kindInput, open: true, attrs: []attribute{
		{name: "idle-threshold", kind: kindPositive}, {name: "last-input", kind: kindDateTime}, idAttr,
	}}
)

// enumeration is a choice behind notes, with other among the choices where it carries text.
func enumeration(m model, list []string, value part) *model {
	e := choiceOf(m, list, value)
	if e.other {
		e.parts[0].names["other"] = rpidNoteModel
	}
	e.parts = append([]part{rpidNotes}, e.parts...)
	e.values = 1
	return e
}

// choiceOf is an element of RPID with one of the listed elements, which are empty.
func choiceOf(m model, list []string, value part) *model {
	m.space, m.choice = inRPID, inRPID
	m.choices = names(list, rpidEmpty)
	value.names = m.choices
	m.parts = []part{value}
	return &m
}

// RFC 4481 section 5. Its children basic and note have the types of RFC 3863.
var timedStatusModel = &model{
	space: inTimed,
	attrs: []attribute{{name: "from", kind: kindDateTime, required: true}, {name: "until", kind: kindDateTime}},
	parts: []part{
		{name: "basic", model: simple(inTimed, kindBasic)},
		{name: "note", model: simple(inTimed, kindString, langAttrs...)},
		foreign,
	},
}

// displayNameModel takes xml:lang as the text of RFC 4482 section 3.2 says, although the schema in section 5 forgets it.
var displayNameModel = simple(inCIPID, kindString, langAttrs...)

// globals are the elements that the schemas know wherever they stand.
var globals = [spaces]map[string]*model{
	inPIDF:      {"presence": presenceModel},
	inDataModel: {"person": personModel, "device": deviceModel, "deviceID": deviceIDModel},
	inRPID: {
		"activities": activitiesModel, "class": simple(inRPID, kindToken), "mood": moodModel, "place-is": placeIsModel,
		"place-type": placeTypeModel, "privacy": privacyModel, "relationship": relationshipModel, "service-class": serviceClassModel,
		"sphere": sphereModel, "status-icon": statusIconModel, "time-offset": timeOffsetModel, "user-input": userInputModel,
	},
	inTimed: {"timed-status": timedStatusModel},
	inCIPID: {
		"card": simple(inCIPID, kindURI), "display-name": displayNameModel, "homepage": simple(inCIPID, kindURI),
		"icon": simple(inCIPID, kindURI), "map": simple(inCIPID, kindURI), "sound": simple(inCIPID, kindURI),
	},
	inCaps: {"servcaps": servcapsModel, "devcaps": devcapsModel},
}

func global(in space, local string) *model { return globals[in][local] }

// spelled returns the name that the schema has for an element: it forgets lunch, which is a meal, and it prints higherhan for higherthan.
func (m *model) spelled(local string) string {
	if m.misprints != nil {
		if name, ok := m.misprints[local]; ok {
			return name
		}
	}
	return local
}

// find returns the part of the model that an element belongs to and its own model, -1 when there is no place for it. The model is nil for elements
// of other namespaces that the schemas do not know. The name is to be spelled as spelled does.
func (m *model) find(in space, local, uri string) (int, *model) {
	for i := range m.parts {
		p := &m.parts[i]
		switch {
		case in == m.space && p.model != nil && p.name == local:
			return i, p.model
		case in == m.space && p.names[local] != nil:
			return i, p.names[local]
		case p.any && in != m.space && in != nowhere && isAbsolute(uri) && !m.bars(in, local):
			return i, global(in, local)
		}
	}
	return -1, nil
}

// bars reports whether an element must not stand here although the schemas cannot say so: timed-status in status or within itself (RFC 4481 section
// 3), PIDF elements in person and device (RFC 4479 section 3.7).
func (m *model) bars(in space, local string) bool {
	if in == inTimed {
		return m != tupleModel && local == "timed-status"
	}
	return in == inPIDF && (m == personModel || m == deviceModel)
}

// once returns a bit for elements that stand at most once in a component unless from or until tells two apart (RFC 4480 section 3.1, RFC 4482
// section 3), 0 for others. display-name is one of them, but may stand once for each language.
func once(in space, local string) uint32 {
	const ofRPID, ofCIPID = 0, 16
	list, base := onceRPID[:], ofRPID
	switch in {
	case inRPID:
	case inCIPID:
		list, base = onceCIPID[:], ofCIPID
	default:
		return 0
	}
	for i, name := range list {
		if name == local {
			return 1 << (base + i)
		}
	}
	return 0
}

// spanned reports whether a global element takes from and until (RFC 4480 section 3.1, table 1).
func spanned(in space, local string) bool {
	m := global(in, local)
	return in == inRPID && m != nil && m.open && m != userInputModel
}

// unspanned reports whether a is from or until on an element of RPID that must not have them (RFC 4480 section 3.14), but is open for any other.
func (m *model) unspanned(a tree.Attr) bool {
	return m == userInputModel && a.Space() == "" && (a.Local() == "from" || a.Local() == "until")
}

var (
	onceRPID = [...]string{
		"activities", "class", "mood", "place-is", "place-type", "privacy", "relationship", "service-class", "sphere", "status-icon",
		"time-offset", "user-input",
	}
	onceCIPID = [...]string{"card", "homepage", "icon", "map", "sound", "display-name"}
)
