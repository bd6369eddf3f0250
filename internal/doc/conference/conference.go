// Package conference implements conference-info documents (RFC 4575): who is in a conference and how. A Document is what a focus writes, a Roster what a
// subscriber knows after full and partial documents.
package conference

import (
	"strconv"
	"time"

	"imp/internal/xml/grammar"
	"imp/internal/xml/lexical"
	"imp/internal/xml/tree"
)

// MediaType is the type of the documents (RFC 4575 section 7.2).
const MediaType = "application/conference-info+xml"

// Space is the namespace of the documents (RFC 4575 section 7.3).
const Space = "urn:ietf:params:xml:ns:conference-info"

// Error tells where a document was refused and why.
type Error = tree.Error

var limits = tree.Options{Limits: tree.Limits{Size: 4 << 20, Depth: 64, Declarations: 64, Attributes: 64}}

// State says how complete an element is (RFC 4575 section 4.4).
type State string

// The states of elements. An element without the attribute is Full.
const (
	Full    State = "full"
	Partial State = "partial"
	Deleted State = "deleted"
)

// Document is a conference-info document (RFC 4575 section 5.2). Elements that a Document has no field for are kept by a Roster only.
type Document struct {
	Entity      string       `json:"entity" doc:"URI of the conference"`
	State       State        `json:"state" doc:"full, partial or deleted"`
	Version     uint32       `json:"version" doc:"rises with each change"`
	Description *Description `json:"description,omitempty" doc:"what the conference is about"`
	Host        *Host        `json:"host,omitempty" doc:"who runs it"`
	Status      *Status      `json:"status,omitempty" doc:"how it stands"`
	Users       *Users       `json:"users,omitempty" doc:"who takes part"`
}

// Description tells about the conference as a whole (RFC 4575 section 5.3).
type Description struct {
	Display      string   `json:"display_text,omitempty" doc:"name for people"`
	Subject      string   `json:"subject,omitempty" doc:"subject"`
	FreeText     string   `json:"free_text,omitempty" doc:"more about it"`
	Keywords     []string `json:"keywords,omitempty" doc:"keywords"`
	URIs         []Entry  `json:"conf_uris,omitempty" doc:"ways to take part"`
	ServiceURIs  []Entry  `json:"service_uris,omitempty" doc:"web page, recording and the like"`
	MaximumUsers *uint32  `json:"maximum_user_count,omitempty" doc:"how many may take part"`
	Media        []Medium `json:"available_media,omitempty" doc:"media of the conference"`
}

// Entry is a URI with what it is for (RFC 4575 section 5.3.1).
type Entry struct {
	URI     string `json:"uri" doc:"URI"`
	Display string `json:"display_text,omitempty" doc:"name for people"`
	Purpose string `json:"purpose,omitempty" doc:"what it is for"`
}

// Host tells who runs the conference (RFC 4575 section 5.4).
type Host struct {
	Display string  `json:"display_text,omitempty" doc:"name for people"`
	WebPage string  `json:"web_page,omitempty" doc:"URI of a page"`
	URIs    []Entry `json:"uris,omitempty" doc:"ways to reach the host"`
}

// Status is the state of the whole conference (RFC 4575 section 5.5).
type Status struct {
	UserCount *uint32 `json:"user_count,omitempty" doc:"how many take part, with those not shown"`
	Active    *bool   `json:"active,omitempty" doc:"whether media flow"`
	Locked    *bool   `json:"locked,omitempty" doc:"whether nobody else may come"`
}

// Users are those who take part (RFC 4575 section 5.6).
type Users struct {
	State State  `json:"state" doc:"full, partial or deleted"`
	Users []User `json:"users" doc:"one for each participant"`
}

// User is a participant (RFC 4575 section 5.6).
type User struct {
	Entity    string     `json:"entity" doc:"URI of the user"`
	State     State      `json:"state" doc:"full, partial or deleted"`
	Display   string     `json:"display_text,omitempty" doc:"name for people"`
	AORs      []Entry    `json:"associated_aors,omitempty" doc:"other URIs of the user"`
	Roles     []string   `json:"roles,omitempty" doc:"roles"`
	Languages []string   `json:"languages,omitempty" doc:"languages"`
	Focus     string     `json:"cascaded_focus,omitempty" doc:"URI of a conference that takes part as this user"`
	Endpoints []Endpoint `json:"endpoints,omitempty" doc:"the user's devices"`
}

// Endpoint is a device of a user (RFC 4575 section 5.7).
type Endpoint struct {
	Entity        string      `json:"entity,omitempty" doc:"Contact or GRUU"`
	State         State       `json:"state" doc:"full, partial or deleted"`
	Display       string      `json:"display_text,omitempty" doc:"name for people"`
	Referred      *Execution  `json:"referred,omitempty" doc:"who brought it in"`
	Status        string      `json:"status,omitempty" doc:"connected, on-hold …"`
	Joining       string      `json:"joining_method,omitempty" doc:"dialed-in, dialed-out, focus-owner"`
	JoiningInfo   *Execution  `json:"joining_info,omitempty" doc:"when and why it came"`
	Disconnection string      `json:"disconnection_method,omitempty" doc:"departed, booted, failed, busy"`
	LeavingInfo   *Execution  `json:"disconnection_info,omitempty" doc:"when and why it left"`
	Media         []Medium    `json:"media,omitempty" doc:"its media"`
	Call          *Identifier `json:"call_info,omitempty" doc:"its dialog"`
}

// Execution tells when, why and by whom something was done (RFC 4575 section 5.3.1).
type Execution struct {
	When   time.Time `json:"when,omitzero" doc:"when"`
	Reason string    `json:"reason,omitempty" doc:"why, in the form of RFC 3326"`
	By     string    `json:"by,omitempty" doc:"URI of who did it"`
}

// Medium is a media stream of a conference, known by its label, or of an endpoint, known by its id (RFC 4575 sections 5.3.4 and 5.8).
type Medium struct {
	ID      string `json:"id,omitempty" doc:"of an endpoint's"`
	Label   string `json:"label,omitempty" doc:"the same for all participants"`
	Display string `json:"display_text,omitempty" doc:"name for people"`
	Type    string `json:"type,omitempty" doc:"name of the medium in SDP"`
	Source  string `json:"src_id,omitempty" doc:"SSRC"`
	Status  string `json:"status,omitempty" doc:"sendrecv, sendonly, recvonly or inactive, as the participant sees it"`
}

// Identifier is the dialog of an endpoint (RFC 4575 section 5.7.9).
type Identifier struct {
	Display string `json:"display_text,omitempty" doc:"name for people"`
	CallID  string `json:"call_id" doc:"Call-ID"`
	FromTag string `json:"from_tag" doc:"tag of From"`
	ToTag   string `json:"to_tag" doc:"tag of To"`
}

// Parse reads a document. It refuses, with an *Error, what is not well-formed and what the grammar refuses. What is of other namespaces is ignored.
func Parse(src []byte) (*Document, error) {
	t, err := open(src)
	if err != nil {
		return nil, err
	}
	root := t.Root()
	d := &Document{Entity: attr(root, "entity"), State: stateOf(root), Version: version(root)}
	for n := range own(root) {
		switch n.Local() {
		case "conference-description":
			d.Description = readDescription(n)
		case "host-info":
			d.Host = &Host{Display: text(n, "display-text"), WebPage: text(n, "web-page"), URIs: entries(child(n, "uris"))}
		case "conference-state":
			d.Status = &Status{number(n, "user-count"), boolean(n, "active"), boolean(n, "locked")}
		case "users":
			d.Users = &Users{State: stateOf(n)}
			for u := range own(n) {
				d.Users.Users = append(d.Users.Users, readUser(u))
			}
		}
	}
	return d, nil
}

func open(src []byte) (*tree.Tree, error) {
	t, err := tree.Parse(src, limits)
	if err != nil {
		return nil, err
	}
	if err := lexical.WantRoot(t, Space, "conference-info"); err != nil {
		return nil, err
	}
	g, _ := grammar.ByName("conference-info")
	if err := g.Validate(t); err != nil {
		return nil, err
	}
	return t, nil
}

// own iterates over the child elements of the namespace.
func own(n tree.Node) func(yield func(tree.Node) bool) {
	return func(yield func(tree.Node) bool) {
		for c := range n.Elements() {
			if c.Space() == Space && !yield(c) {
				return
			}
		}
	}
}

func child(n tree.Node, name string) tree.Node { return n.Element(Space, name) }

func attr(n tree.Node, name string) string {
	v, _ := n.Attr("", name)
	return lexical.Trim(v)
}

func text(n tree.Node, name string) string { return lexical.Trim(child(n, name).Text()) }

func stateOf(n tree.Node) State {
	if s := attr(n, "state"); s != "" {
		return State(s)
	}
	return Full
}

// version is 0 where there is none; the grammar has seen that it is of 32 bits.
func version(root tree.Node) uint32 {
	v, _ := strconv.ParseUint(attr(root, "version"), 10, 32)
	return uint32(v)
}

func number(n tree.Node, name string) *uint32 {
	v, err := strconv.ParseUint(text(n, name), 10, 32)
	if err != nil {
		return nil
	}
	u := uint32(v)
	return &u
}

func boolean(n tree.Node, name string) *bool {
	c := child(n, name)
	if !c.Valid() {
		return nil
	}
	v := lexical.Trim(c.Text())
	b := v == "true" || v == "1"
	return &b
}
