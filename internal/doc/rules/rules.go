// Package rules implements common policy (RFC 4745) with the presence authorization rules (RFC 5025): reading, writing and showing rulesets, and what
// they permit a watcher. It knows nothing of XCAP and SIP, and it filters no documents.
package rules

import (
	"errors"
	"strings"

	"imp/internal/xml/lexical"
	"imp/internal/xml/tree"
)

// MediaType is the type of the documents (RFC 4745 section 15.3).
const MediaType = "application/auth-policy+xml"

// AUID is the application usage of the documents (RFC 5025 section 9.1).
const AUID = "pres-rules"

// The namespaces that this package knows (RFC 4745 section 15.1, RFC 5025 section 11.2).
const (
	Space         = "urn:ietf:params:xml:ns:common-policy"
	PresenceSpace = "urn:ietf:params:xml:ns:pres-rules"
)

// Error tells where a document was refused and why.
type Error = tree.Error

// limits bound what a document may ask of the reader.
var limits = tree.Options{Limits: tree.Limits{Size: 4 << 20, Depth: 100, Declarations: 100, Attributes: 64}}

// Ruleset is a document (RFC 4745 section 6). The order of rules has no meaning.
type Ruleset struct {
	Rules []Rule `json:"rules" doc:"the rules; their order has no meaning"`
}

// Rule grants its permissions to those for whom all of its conditions are true.
type Rule struct {
	ID         string      `json:"id" doc:"unique in the document"`
	Conditions []Condition `json:"conditions,omitempty" doc:"all have to be true; none: always"`
	Permissions
	Actions         []Raw `json:"other_actions,omitempty" doc:"actions that imp does not know"`
	Transformations []Raw `json:"other_transformations,omitempty" doc:"transformations that imp does not know"`
}

// Condition is one of the four: the first that is not nil or empty counts. The zero Condition is never true.
type Condition struct {
	Identity []Identity `json:"identity,omitempty" doc:"the watcher is one of these"`
	Sphere   string     `json:"sphere,omitempty" doc:"the sphere of the presentity is one of these, divided by blanks"`
	Validity []Period   `json:"validity,omitempty" doc:"it is in one of these"`
	Unknown  *Raw       `json:"unknown,omitempty" doc:"a condition that imp does not know; never true"`
}

// Identity stands for one user, or with Many for those of a domain or all. One that Unknown is in is never true.
type Identity struct {
	One     string   `json:"one,omitempty" doc:"URI of a user"`
	Many    bool     `json:"many,omitempty" doc:"all authenticated users, of the domain if there is one"`
	Domain  string   `json:"domain,omitempty" doc:"domain of the users"`
	Except  []Except `json:"except,omitempty" doc:"users who are not meant"`
	Unknown []Raw    `json:"unknown,omitempty" doc:"what imp does not know in it; never true"`
}

// Except takes users out: one by the URI, or those of a domain.
type Except struct {
	ID     string `json:"id,omitempty" doc:"URI of a user"`
	Domain string `json:"domain,omitempty" doc:"domain of users"`
}

// Period is a time span in the form of xs:dateTime: From is in it, Until is not.
type Period struct {
	From  string `json:"from" doc:"begin"`
	Until string `json:"until" doc:"end"`
}

// Permissions are what a rule grants (RFC 5025 sections 3.2 and 3.3), or what several do together. The zero Permissions grant nothing.
type Permissions struct {
	Handling          Handling    `json:"sub_handling,omitempty" doc:"what becomes of the subscription"`
	Services          *Selection  `json:"services,omitempty" doc:"tuples that are shown"`
	Persons           *Selection  `json:"persons,omitempty" doc:"persons that are shown"`
	Devices           *Selection  `json:"devices,omitempty" doc:"devices that are shown"`
	Provide           Provide     `json:"provide,omitempty" doc:"elements that are shown"`
	UserInput         UserInput   `json:"user_input,omitempty" doc:"how much of user-input is shown"`
	UnknownAttributes []Attribute `json:"unknown_attributes,omitempty" doc:"elements of other namespaces that are shown"`
	AllAttributes     bool        `json:"all_attributes,omitempty" doc:"all elements of what is shown"`
}

// Handling is what becomes of a subscription (RFC 5025 section 3.2.1). The greater one wins; Unset counts as Block.
type Handling uint8

// The values of sub-handling.
const (
	Unset Handling = iota
	Block
	Confirm
	PoliteBlock
	Allow
)

var handlingNames = []string{"", "block", "confirm", "polite-block", "allow"}

// String returns the value of sub-handling, "block" where there is none.
func (h Handling) String() string {
	if h == Unset || int(h) >= len(handlingNames) {
		return handlingNames[Block]
	}
	return handlingNames[h]
}

// MarshalText is for JSON. It never fails.
func (h Handling) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText reads a value of sub-handling and refuses other text.
func (h *Handling) UnmarshalText(text []byte) error {
	for i, n := range handlingNames[1:] {
		if n == string(text) {
			*h = Handling(i + 1)
			return nil
		}
	}
	return errors.New("reading sub-handling: " + lexical.Clip(string(text)) + " is none of block, confirm, polite-block and allow")
}

// UserInput is how much of user-input is shown (RFC 5025 section 3.3.2.12). The greater one wins.
type UserInput uint8

// The values of provide-user-input.
const (
	NoInput UserInput = iota
	Bare
	Thresholds
	Full
)

var inputNames = []string{"false", "bare", "thresholds", "full"}

// String returns the value of provide-user-input.
func (u UserInput) String() string { return inputNames[min(int(u), len(inputNames)-1)] }

// MarshalText is for JSON. It never fails.
func (u UserInput) MarshalText() ([]byte, error) { return []byte(u.String()), nil }

// UnmarshalText reads a value of provide-user-input and refuses other text.
func (u *UserInput) UnmarshalText(text []byte) error {
	for i, n := range inputNames {
		if n == string(text) {
			*u = UserInput(i)
			return nil
		}
	}
	return errors.New("reading provide-user-input: " + lexical.Clip(string(text)) + " is none of " + strings.Join(inputNames, ", "))
}

// Provide is a set of the boolean permissions of RFC 5025 section 3.3.2.
type Provide uint16

// The boolean permissions, each named after the element that it shows.
const (
	Activities Provide = 1 << iota
	Class
	DeviceID
	Mood
	Note
	PlaceIs
	PlaceType
	Privacy
	Relationship
	Sphere
	StatusIcon
	TimeOffset
)

// provideNames are the elements behind "provide-", by bit.
var provideNames = []string{
	"activities", "class", "deviceID", "mood", "note", "place-is", "place-type", "privacy", "relationship", "sphere", "status-icon", "time-offset",
}

// Has reports whether all of some permissions are in the set.
func (p Provide) Has(some Provide) bool { return p&some == some }

// Names returns the names of the elements that are shown.
func (p Provide) Names() []string {
	var names []string
	for i, n := range provideNames {
		if p.Has(1 << i) {
			names = append(names, n)
		}
	}
	return names
}

// MarshalText is for JSON: the names, divided by blanks. It never fails.
func (p Provide) MarshalText() ([]byte, error) { return []byte(strings.Join(p.Names(), " ")), nil }

// UnmarshalText reads what MarshalText writes and refuses other names.
func (p *Provide) UnmarshalText(text []byte) error {
	var set Provide
	for _, name := range strings.Fields(string(text)) {
		bit := provide(name)
		if bit == 0 {
			return errors.New("reading permissions: " + lexical.Clip(name) + " is none of " + strings.Join(provideNames, ", "))
		}
		set |= bit
	}
	*p = set
	return nil
}

// provide returns the permission for an element, 0 when there is none.
func provide(name string) Provide {
	for i, n := range provideNames {
		if n == name {
			return 1 << i
		}
	}
	return 0
}

// Selection is a set of tuples, persons or devices (RFC 5025 section 3.3.1). What does not apply to a component is empty.
type Selection struct {
	All           bool     `json:"all,omitempty" doc:"all of them"`
	Classes       []string `json:"classes,omitempty" doc:"those of a class"`
	OccurrenceIDs []string `json:"occurrence_ids,omitempty" doc:"those with an id"`
	DeviceIDs     []string `json:"device_ids,omitempty" doc:"devices, by their URNs"`
	URIs          []string `json:"service_uris,omitempty" doc:"services, by their URIs"`
	Schemes       []string `json:"service_uri_schemes,omitempty" doc:"services, by the schemes of their URIs"`
	Unknown       []Raw    `json:"unknown,omitempty" doc:"what imp does not know; selects nothing"`
}

// Attribute names an element of another namespace (RFC 5025 section 3.3.2.14).
type Attribute struct {
	Name string `json:"name" doc:"local name"`
	NS   string `json:"namespace" doc:"namespace name"`
}

// Raw is an element of another namespace, as it was read. XML has all namespace declarations that it needs.
type Raw struct {
	Space string `json:"namespace" doc:"namespace name"`
	Local string `json:"name" doc:"local name"`
	XML   string `json:"xml" doc:"the element with the namespace declarations that it needs"`
}
