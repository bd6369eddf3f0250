package pidf

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
	"time"
)

// View is a document as JSON shows it. Fields are only ever added. What a document does not tell is absent. Times are RFC 3339 in UTC with
// milliseconds. Elements of RPID that may stand several times are merged in the fields named after them; Qualified tells them apart.
type View struct {
	Entity     string          `json:"entity" doc:"URI of the presentity"`
	Basic      string          `json:"basic,omitempty" doc:"open if any tuple is open, else closed if any is closed"`
	Notes      []NoteView      `json:"notes,omitempty" doc:"notes of the presentity"`
	Tuples     []TupleView     `json:"tuples,omitempty" doc:"services"`
	Persons    []PersonView    `json:"persons,omitempty" doc:"occurrences of the person"`
	Devices    []DeviceView    `json:"devices,omitempty" doc:"devices"`
	Extensions []ExtensionView `json:"extensions,omitempty" doc:"elements that imp does not know"`
}

// NoteView is text in a language.
type NoteView struct {
	Text string `json:"text" doc:"the text"`
	Lang string `json:"lang,omitempty" doc:"language tag"`
}

// ExtensionView is an element that is not known.
type ExtensionView struct {
	Namespace string `json:"namespace" doc:"namespace name"`
	Name      string `json:"name" doc:"local name"`
	XML       string `json:"xml" doc:"the element with the namespace declarations that it needs"`
}

// TupleView is a service.
type TupleView struct {
	ID           string            `json:"id" doc:"occurrence id"`
	Basic        string            `json:"basic,omitempty" doc:"open or closed"`
	Contact      string            `json:"contact,omitempty" doc:"URI of the service"`
	Priority     *float64          `json:"priority,omitempty" doc:"priority of the contact, 0 to 1"`
	Notes        []NoteView        `json:"notes,omitempty" doc:"notes on the service"`
	Timestamp    string            `json:"timestamp,omitempty" doc:"time of the last change"`
	DeviceIDs    []string          `json:"device_ids,omitempty" doc:"URNs of the devices that take part"`
	Class        string            `json:"class,omitempty" doc:"class label"`
	Relationship string            `json:"relationship,omitempty" doc:"of the contact's owner to the presentity, in text where it is other; self when absent"`
	ServiceClass string            `json:"service_class,omitempty" doc:"electronic when absent"`
	Privacy      []string          `json:"privacy,omitempty" doc:"media that nobody nearby perceives"`
	StatusIcon   string            `json:"status_icon,omitempty" doc:"URI of an image"`
	UserInput    *InputView        `json:"user_input,omitempty" doc:"whether there is input"`
	Info         *InfoView         `json:"info,omitempty" doc:"contact information"`
	Capabilities *CapabilitiesView `json:"capabilities,omitempty" doc:"capabilities of the service"`
	Timed        []TimedView       `json:"timed_status,omitempty" doc:"status of other times"`
	Qualified    []QualifiedView   `json:"qualified,omitempty" doc:"elements with notes, validity or id"`
	Status       []ExtensionView   `json:"status_extensions,omitempty" doc:"what else is in status"`
	Extensions   []ExtensionView   `json:"extensions,omitempty" doc:"elements that imp does not know"`
}

// PersonView is the person.
type PersonView struct {
	ID         string          `json:"id" doc:"occurrence id"`
	Notes      []NoteView      `json:"notes,omitempty" doc:"own notes; without them those of the presentity apply"`
	Timestamp  string          `json:"timestamp,omitempty" doc:"time of the last change"`
	Activities []string        `json:"activities,omitempty" doc:"what the person does, in text where it is other"`
	Mood       []string        `json:"mood,omitempty" doc:"moods, in text where it is other"`
	PlaceIs    *PlaceView      `json:"place_is,omitempty" doc:"how the place suits media"`
	PlaceType  []string        `json:"place_type,omitempty" doc:"kind of place, in text where it is other"`
	Privacy    []string        `json:"privacy,omitempty" doc:"media that nobody nearby perceives"`
	Sphere     string          `json:"sphere,omitempty" doc:"home, work, unknown or a name of the presentity's own"`
	StatusIcon string          `json:"status_icon,omitempty" doc:"URI of an image"`
	TimeOffset *int            `json:"time_offset,omitempty" doc:"minutes east of UTC"`
	TimeZone   string          `json:"time_zone,omitempty" doc:"description of the offset"`
	UserInput  *InputView      `json:"user_input,omitempty" doc:"whether there is input"`
	Class      string          `json:"class,omitempty" doc:"class label"`
	Info       *InfoView       `json:"info,omitempty" doc:"contact information"`
	Qualified  []QualifiedView `json:"qualified,omitempty" doc:"elements with notes, validity or id"`
	Extensions []ExtensionView `json:"extensions,omitempty" doc:"elements that imp does not know"`
}

// DeviceView is a device.
type DeviceView struct {
	ID           string            `json:"id" doc:"occurrence id"`
	DeviceID     string            `json:"device_id,omitempty" doc:"URN of the device"`
	Notes        []NoteView        `json:"notes,omitempty" doc:"notes on the device"`
	Timestamp    string            `json:"timestamp,omitempty" doc:"time of the last change"`
	UserInput    *InputView        `json:"user_input,omitempty" doc:"whether there is input"`
	Class        string            `json:"class,omitempty" doc:"class label"`
	Capabilities *CapabilitiesView `json:"capabilities,omitempty" doc:"capabilities of the device"`
	Extensions   []ExtensionView   `json:"extensions,omitempty" doc:"elements that imp does not know"`
}

// PlaceView tells how a place suits media.
type PlaceView struct {
	Audio string `json:"audio,omitempty" doc:"noisy, ok, quiet or unknown"`
	Video string `json:"video,omitempty" doc:"toobright, ok, dark or unknown"`
	Text  string `json:"text,omitempty" doc:"uncomfortable, inappropriate, ok or unknown"`
}

// InputView tells whether there is input.
type InputView struct {
	State     string `json:"state" doc:"active or idle"`
	Threshold int    `json:"idle_threshold,omitempty" doc:"seconds without input that make idle"`
	Last      string `json:"last_input,omitempty" doc:"time of the last input"`
}

// InfoView is contact information; all but the names are URIs.
type InfoView struct {
	Names    []NoteView `json:"display_names,omitempty" doc:"names to show"`
	Card     string     `json:"card,omitempty" doc:"business card"`
	Homepage string     `json:"homepage,omitempty" doc:"general information"`
	Icon     string     `json:"icon,omitempty" doc:"image of the person"`
	Map      string     `json:"map,omitempty" doc:"map"`
	Sound    string     `json:"sound,omitempty" doc:"sound"`
}

// TimedView is a status of another time.
type TimedView struct {
	From       string          `json:"from" doc:"when it begins"`
	Until      string          `json:"until,omitempty" doc:"when it ends"`
	Basic      string          `json:"basic,omitempty" doc:"open or closed"`
	Note       *NoteView       `json:"note,omitempty" doc:"note on it"`
	Extensions []ExtensionView `json:"extensions,omitempty" doc:"elements that imp does not know"`
}

// QualifiedView is an element of RPID that has more to it than its value.
type QualifiedView struct {
	Element string     `json:"element" doc:"activities, mood, place_is, place_type, privacy, relationship, service_class, sphere, status_icon or time_offset"`
	Values  []string   `json:"values,omitempty" doc:"its values"`
	Notes   []NoteView `json:"notes,omitempty" doc:"notes on it"`
	From    string     `json:"from,omitempty" doc:"when it became so"`
	Until   string     `json:"until,omitempty" doc:"until when it is expected to be so"`
	ID      string     `json:"id,omitempty" doc:"id of the element"`
}

// CapabilitiesView tells what is supported.
type CapabilitiesView struct {
	Flags        map[string]bool        `json:"flags,omitempty" doc:"application, audio, automata, control, data, isfocus, message, text, video"`
	Descriptions []NoteView             `json:"descriptions,omitempty" doc:"the service in words"`
	Supported    map[string][]string    `json:"supported,omitempty" doc:"values of actor, class, duplex, event_packages, extensions, languages, methods, mobility, schemes"`
	NotSupported map[string][]string    `json:"not_supported,omitempty" doc:"the same for what is not supported"`
	Priorities   []CapabilitiesPriority `json:"priorities,omitempty" doc:"call priorities"`
	Types        []string               `json:"types,omitempty" doc:"media types"`
	Extensions   []ExtensionView        `json:"extensions,omitempty" doc:"elements that imp does not know"`
}

// CapabilitiesPriority is a range of call priorities.
type CapabilitiesPriority struct {
	Supported bool `json:"supported" doc:"whether the range is supported"`
	Min       *int `json:"min,omitempty" doc:"lowest value"`
	Max       *int `json:"max,omitempty" doc:"highest value"`
}

// MarshalJSON implements json.Marshaler with the fields of View.
func (d Document) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(d.View())
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// View returns the document as JSON shows it.
func (d *Document) View() View {
	v := View{Entity: d.Entity, Basic: d.Basic(), Notes: noteViews(d.Notes), Extensions: extensionViews(d.Extensions)}
	for i := range d.Tuples {
		v.Tuples = append(v.Tuples, d.Tuples[i].view())
	}
	for i := range d.Persons {
		v.Persons = append(v.Persons, d.Persons[i].view())
	}
	for i := range d.Devices {
		v.Devices = append(v.Devices, d.Devices[i].view())
	}
	return v
}

func (t *Tuple) view() TupleView {
	v := TupleView{
		ID: t.ID, Basic: t.Basic, Contact: t.Contact.URI, Notes: noteViews(t.Notes), Timestamp: jsonTime(t.Timestamp), DeviceIDs: t.DeviceIDs,
		Class: t.Class, UserInput: t.UserInput.view(), Info: t.Info.view(), Capabilities: t.Caps.view(),
		Status: extensionViews(t.Status), Extensions: extensionViews(t.Extensions),
	}
	if p, err := strconv.ParseFloat(t.Contact.Priority, 64); err == nil && !math.IsNaN(p) && !math.IsInf(p, 0) {
		v.Priority = &p
	}
	var q qualified
	if r := t.Relation; r != nil {
		v.Relationship = r.name()
		q.add("relationship", []string{v.Relationship}, r.Notes, Span{})
	}
	if s := t.Service; s != nil {
		v.ServiceClass = s.Value
		q.add("service_class", []string{s.Value}, s.Notes, Span{})
	}
	v.Privacy = q.privacy(t.Privacy)
	v.StatusIcon = q.icons(t.Icons)
	for i := range t.Timed {
		v.Timed = append(v.Timed, t.Timed[i].view())
	}
	v.Qualified = q
	return v
}

// name is the relationship in a word, or in text where it is other.
func (r *Relationship) name() string {
	if r.Value == "other" && r.Other.Text != "" {
		return r.Other.Text
	}
	return r.Value
}

func (p *Person) view() PersonView {
	v := PersonView{
		ID: p.ID, Notes: noteViews(p.Notes), Timestamp: jsonTime(p.Timestamp), UserInput: p.UserInput.view(), Class: p.Class, Info: p.Info.view(),
		Extensions: extensionViews(p.Extensions),
	}
	var q qualified
	v.Activities = q.enumerations("activities", p.Activities)
	v.Mood = q.enumerations("mood", p.Moods)
	for _, place := range p.Places {
		if v.PlaceIs == nil {
			v.PlaceIs = &PlaceView{place.Audio, place.Video, place.Text}
		}
		q.add("place_is", place.words(), place.Notes, place.Span)
	}
	v.PlaceType = q.enumerations("place_type", p.PlaceTypes)
	v.Privacy = q.privacy(p.Privacy)
	for _, s := range p.Spheres {
		v.Sphere = orDefault(v.Sphere, s.Value)
		q.add("sphere", []string{s.Value}, nil, s.Span)
	}
	v.StatusIcon = q.icons(p.Icons)
	for _, o := range p.TimeOffsets {
		if v.TimeOffset == nil {
			v.TimeOffset, v.TimeZone = &o.Minutes, o.Description
		}
		q.add("time_offset", []string{strconv.Itoa(o.Minutes)}, nil, o.Span)
	}
	v.Qualified = q
	return v
}

func (d *Device) view() DeviceView {
	return DeviceView{
		ID: d.ID, DeviceID: d.DeviceID, Notes: noteViews(d.Notes), Timestamp: jsonTime(d.Timestamp), UserInput: d.UserInput.view(), Class: d.Class,
		Capabilities: d.Caps.view(), Extensions: extensionViews(d.Extensions),
	}
}

// words are what is told of the place, each medium before its value.
func (p *PlaceIs) words() (list []string) {
	for _, medium := range [...][2]string{{"audio", p.Audio}, {"video", p.Video}, {"text", p.Text}} {
		if medium[1] != "" {
			list = append(list, medium[0]+"="+medium[1])
		}
	}
	return list
}

func jsonTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05.000Z")
}
