// Package lists implements resource lists and RLS services (RFC 4826) with the copy control attributes of RFC 5364: reading, writing, checking,
// flattening, expanding and showing their documents, the recipients that they name, and what these are shown of each other. It fetches nothing and knows
// nothing of XCAP and SIP.
package lists

import (
	"errors"
	"strings"

	"imp/internal/xml/lexical"
	"imp/internal/xml/tree"
)

// The types of the documents (RFC 4826 section 8.2).
const (
	MediaType         = "application/resource-lists+xml"
	ServicesMediaType = "application/rls-services+xml"
)

// The namespaces that this package knows (RFC 4826 section 8.3, RFC 5364 section 8).
const (
	Space            = "urn:ietf:params:xml:ns:resource-lists"
	ServicesSpace    = "urn:ietf:params:xml:ns:rls-services"
	CopyControlSpace = "urn:ietf:params:xml:ns:copycontrol"
)

// Error tells where a document was refused and why.
type Error = tree.Error

// limits bound what a document may ask of the reader; 4 MiB hold more than ten thousand entries.
var limits = tree.Options{Limits: tree.Limits{Size: 4 << 20, Depth: 100, Declarations: 100, Attributes: 64}}

// Document is a resource-lists document (RFC 4826 section 3.1).
type Document struct {
	Lists []List `json:"lists" doc:"the lists"`
}

// List is a list of resources (RFC 4826 section 3.1).
type List struct {
	Name       string `json:"name,omitempty" doc:"name, unique among the lists beside it"`
	Display    *Name  `json:"display_name,omitempty" doc:"name for people"`
	Items      []Item `json:"items,omitempty" doc:"what is in the list, in its order"`
	Attrs      []Attr `json:"attributes,omitempty" doc:"attributes of other namespaces"`
	Extensions []Raw  `json:"extensions,omitempty" doc:"elements that imp does not know"`
}

// Item is what stands in a list.
type Item struct {
	Kind       Kind    `json:"kind" doc:"entry, list, entry-ref or external"`
	URI        string  `json:"uri,omitempty" doc:"of the resource, of what a reference leads to: relative to the XCAP root, or of an external list"`
	List       *List   `json:"list,omitempty" doc:"the nested list"`
	Display    *Name   `json:"display_name,omitempty" doc:"name for people"`
	Copy       Copy    `json:"copy_control,omitempty" doc:"to, cc or bcc"`
	Anonymize  bool    `json:"anonymize,omitempty" doc:"the URI is not shown to other recipients"`
	Count      *uint64 `json:"count,omitempty" doc:"how many anonymous recipients the entry stands for"`
	Attrs      []Attr  `json:"attributes,omitempty" doc:"other attributes of other namespaces"`
	Extensions []Raw   `json:"extensions,omitempty" doc:"elements that imp does not know"`
}

// Kind tells items apart.
type Kind uint8

// The kinds of items. Of a Nested one only List has a meaning.
const (
	Entry Kind = iota
	Nested
	EntryRef
	External
)

var kindNames = [...]string{Entry: "entry", Nested: "list", EntryRef: "entry-ref", External: "external"}

// uriNames are the attributes that hold the URIs of items.
var uriNames = [...]string{Entry: "uri", Nested: "name", EntryRef: "ref", External: "anchor"}

// String returns the name of the element.
func (k Kind) String() string { return kindNames[min(int(k), len(kindNames)-1)] }

// MarshalText is for JSON. It never fails.
func (k Kind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText reads what MarshalText writes and refuses other text.
func (k *Kind) UnmarshalText(text []byte) error {
	for i, n := range kindNames {
		if n == string(text) {
			*k = Kind(i)
			return nil
		}
	}
	return errors.New("reading a kind: " + lexical.Clip(string(text)) + " is none of entry, list, entry-ref and external")
}

// Copy tells in which role a recipient gets a request (RFC 5364 section 3). It is empty when that is not told.
type Copy string

// The roles of recipients.
const (
	To  Copy = "to"
	CC  Copy = "cc"
	BCC Copy = "bcc"
)

// Name is text for people. An empty Lang is not told.
type Name struct {
	Text string `json:"text" doc:"the text"`
	Lang string `json:"lang,omitempty" doc:"language tag"`
}

// Attr is an attribute of another namespace, as it was read.
type Attr struct {
	Space string `json:"namespace" doc:"namespace name"`
	Local string `json:"name" doc:"local name"`
	Value string `json:"value" doc:"the value"`
}

// Raw is an element of another namespace, as it was read. XML has all namespace declarations that it needs.
type Raw struct {
	Space string `json:"namespace" doc:"namespace name"`
	Local string `json:"name" doc:"local name"`
	XML   string `json:"xml" doc:"the element with the namespace declarations that it needs"`
}

// Services is an rls-services document (RFC 4826 section 4.1).
type Services struct {
	Services []Service `json:"services" doc:"the services"`
}

// Service is a URI that can be subscribed to for the state of a list. It has either List or ResourceList.
type Service struct {
	URI          string `json:"uri" doc:"URI of the service"`
	ResourceList string `json:"resource_list,omitempty" doc:"URI of a list in an XCAP document"`
	List         *List  `json:"list,omitempty" doc:"the list itself"`
	// Packages are the event packages; nil stands for any, an empty slice for none.
	Packages   []string `json:"packages" doc:"event packages, null for any"`
	Attrs      []Attr   `json:"attributes,omitempty" doc:"attributes of other namespaces"`
	Extensions []Raw    `json:"extensions,omitempty" doc:"elements that imp does not know"`
}

// Allows reports whether the service can be subscribed to in an event package (RFC 4826 section 4.5).
func (s *Service) Allows(pkg string) bool {
	for _, p := range s.Packages {
		if p == pkg {
			return true
		}
	}
	return s.Packages == nil
}

// Walk visits the items of the list and of the lists in it in document order, nested lists before their items, until visit returns false. It reports
// whether it went to the end.
func (l *List) Walk(visit func(*Item) bool) bool {
	for i := range l.Items {
		it := &l.Items[i]
		if !visit(it) || it.List != nil && !it.List.Walk(visit) {
			return false
		}
	}
	return true
}

// Flatten makes one list of the list and those in it (RFC 4826 section 4.5): each entry that can be subscribed to, once by its URI as a string, and the
// references that remain to be resolved, both in document order.
func (l *List) Flatten() (entries, references []*Item) {
	seen := map[string]bool{}
	l.Walk(func(it *Item) bool {
		switch {
		case it.Kind == EntryRef || it.Kind == External:
			references = append(references, it)
		case it.Kind == Entry && Subscribable(it.URI) && !seen[it.URI]:
			seen[it.URI] = true
			entries = append(entries, it)
		}
		return true
	})
	return entries, references
}

// Subscribable reports whether the scheme of a URI is one that can be subscribed to: sip, sips or pres.
func Subscribable(uri string) bool {
	scheme, _, ok := strings.Cut(uri, ":")
	return ok && (strings.EqualFold(scheme, "sip") || strings.EqualFold(scheme, "sips") || strings.EqualFold(scheme, "pres"))
}
