// Package rlmi implements the resource list meta-information format (RFC 4662 section 5): reading, writing, checking and showing its documents, the table
// that a subscriber keeps of one list, and the multipart bodies that they come in (section 5.1). It knows nothing of SIP.
package rlmi

import (
	"errors"

	"imp/internal/xml/lexical"
	"imp/internal/xml/tree"
)

// MediaType is the type of the documents (RFC 4662 section 8.2).
const MediaType = "application/rlmi+xml"

// Space is the namespace of the documents (RFC 4662 section 8.3).
const Space = "urn:ietf:params:xml:ns:rlmi"

// Error tells where a document was refused and why.
type Error = tree.Error

// limits bound what a document may ask of the reader; 4 MiB hold more than ten thousand resources.
var limits = tree.Options{Limits: tree.Limits{Size: 4 << 20, Depth: 100, Declarations: 100, Attributes: 64}}

// List is a document (RFC 4662 section 5.2).
type List struct {
	URI       string     `json:"uri" doc:"URI of the list"`
	Version   uint32     `json:"version" doc:"number of the document in its subscription, from 0"`
	FullState bool       `json:"full" doc:"true: all resources; false: those that changed"`
	CID       string     `json:"cid,omitempty" doc:"Content-ID of a part about the list itself, without angle brackets"`
	Names     []Name     `json:"names,omitempty" doc:"names of the list"`
	Resources []Resource `json:"resources" doc:"members of the list"`
}

// Name is text for people. An empty Lang is not told.
type Name struct {
	Text string `json:"text" doc:"the text"`
	Lang string `json:"lang,omitempty" doc:"language tag"`
}

// Resource is a member of a list (RFC 4662 section 5.3). It has no instance as long as nothing is known of it.
type Resource struct {
	URI       string     `json:"uri" doc:"URI of the resource"`
	Names     []Name     `json:"names,omitempty" doc:"names of the resource"`
	Instances []Instance `json:"instances,omitempty" doc:"subscriptions to the resource"`
}

// Instance is one subscription to a resource (RFC 4662 section 5.5).
type Instance struct {
	ID     string `json:"id" doc:"unique in the resource"`
	State  State  `json:"state" doc:"active, pending or terminated"`
	Reason string `json:"reason,omitempty" doc:"why it is terminated; no action follows from it"`
	CID    string `json:"cid,omitempty" doc:"Content-ID of the part with its state, without angle brackets"`
}

// State is that of a subscription to a resource (RFC 4662 section 5.5).
type State uint8

// The states of instances.
const (
	Pending State = iota
	Active
	Terminated
)

var stateNames = [...]string{Pending: "pending", Active: "active", Terminated: "terminated"}

// String returns the value of the attribute state.
func (s State) String() string { return stateNames[min(int(s), len(stateNames)-1)] }

// MarshalText is for JSON. It never fails.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what MarshalText writes and refuses other text.
func (s *State) UnmarshalText(text []byte) error {
	for i, n := range stateNames {
		if n == string(text) {
			*s = State(i)
			return nil
		}
	}
	return errors.New("reading a state: " + lexical.Clip(string(text)) + " is none of pending, active and terminated")
}

// CIDs returns the Content-IDs that the document refers to, in its order. Each names a part of the same multipart body (RFC 4662 section 5.2).
func (l *List) CIDs() []string {
	var ids []string
	add := func(id string) {
		if id != "" {
			ids = append(ids, id)
		}
	}
	add(l.CID)
	for i := range l.Resources {
		for _, in := range l.Resources[i].Instances {
			add(in.CID)
		}
	}
	return ids
}

// Check reports what the schema cannot say (RFC 4662 section 5.5): instances that share an id within their resource, that are active without a cid, or
// terminated without a reason, and resources that stand twice. It returns nil when all is well, else the first of these.
func (l *List) Check() error {
	uris := make(map[string]bool, len(l.Resources))
	for i := range l.Resources {
		r := &l.Resources[i]
		if uris[r.URI] {
			return errors.New("checking a list: resource " + lexical.Clip(r.URI) + " stands twice; merge its instances")
		}
		uris[r.URI] = true
		if err := r.check(); err != nil {
			return err
		}
	}
	return nil
}

func (r *Resource) check() error {
	ids := make(map[string]bool, len(r.Instances))
	for _, in := range r.Instances {
		where := "checking instance " + lexical.Clip(in.ID) + " of " + lexical.Clip(r.URI) + ": "
		switch {
		case ids[in.ID]:
			return errors.New(where + "its id stands twice; give it another")
		case in.State == Active && in.CID == "":
			return errors.New(where + "it is active and has no cid; name the part with its state")
		case in.State == Terminated && in.Reason == "":
			return errors.New(where + "it is terminated and has no reason; give one")
		}
		ids[in.ID] = true
	}
	return nil
}
