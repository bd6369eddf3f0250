package sdp

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
)

// Check tells why a line cannot be accepted: what an MSRP line must have, and what one about a file must (RFC 4975
// sections 8.2 and 8.6, RFC 5547 section 6).
func (m *Media) Check() error {
	switch {
	case !m.IsMSRP():
		return fmt.Errorf("%s over %s is not known here", m.Kind, m.Protocol)
	case m.Path == "":
		return errors.New("path is missing")
	case len(m.AcceptTypes) == 0:
		return errors.New("accept-types is missing")
	case m.File != nil:
		return m.File.Check()
	}
	return nil
}

// Accepts tells whether a media type is taken as the type of a message (RFC 4975 section 8.6).
func (m *Media) Accepts(mediaType string) bool { return accepts(m.AcceptTypes, mediaType) }

// AcceptsWrapped tells whether a media type is taken inside a container that is taken.
func (m *Media) AcceptsWrapped(mediaType string) bool {
	return accepts(m.AcceptTypes, mediaType) || accepts(m.WrappedTypes, mediaType)
}

func accepts(list []string, mediaType string) bool {
	mediaType, _, _ = strings.Cut(strings.ToLower(mediaType), ";")
	mediaType = strings.TrimSpace(mediaType)
	kind, _, _ := strings.Cut(mediaType, "/")
	for _, t := range list {
		if t == "*" || t == mediaType || t == kind+"/*" {
			return true
		}
	}
	return false
}

// Answer begins the answer to an offer: every line in its place, and refused (RFC 3264 section 6). What is accepted
// replaces its line. id names the session of the answerer, and host is its address.
func (d *Description) Answer(id uint64, host string) *Description {
	a := &Description{ID: id, Version: 1, Origin: host, Host: host}
	for _, m := range d.Media {
		a.Media = append(a.Media, m.Refusal(host))
	}
	return a
}

// Refusal is a line that is refused, or ended: port 0; of a file, selector and id stay (RFC 5547 sections 8.3 and 8.4).
func (m *Media) Refusal(host string) *Media {
	r := &Media{Kind: m.Kind, Protocol: m.Protocol, Formats: m.Formats, Host: host}
	if m.File != nil {
		r.File = m.File.mirror()
	}
	return r
}

// mirror keeps what names the transfer.
func (f *File) mirror() *File {
	return &File{Name: f.Name, Size: f.Size, Type: f.Type, Hashes: f.Hashes, Capability: f.Capability, ID: f.ID}
}

// ToReceive is what the answer says of a file that will be received: name, type, size and id of the offer, and its
// range (RFC 5547 section 8.3.1).
func (f *File) ToReceive() *File {
	a := f.mirror()
	a.Hashes, a.Range = nil, f.Range
	if a.Name == "" && a.Size < 0 && a.Type == "" {
		a.Hashes = f.Hashes // one selector is needed
	}
	return a
}

// Accepted tells whether an answer takes the offered file: the port is not 0, and a range that was offered is there
// again, which tells that the peer knows ranges (RFC 5547 section 8.3.1).
func (m *Media) Accepted(offer *Media) error {
	switch {
	case m.Port == 0:
		return ErrRefused
	case offer.File == nil:
		return nil
	case m.File == nil || m.File.ID == "":
		return errors.New("the answer does not name the file: the peer does not know file transfer")
	case m.File.ID != offer.File.ID:
		return errors.New("the answer names another file transfer")
	case offer.File.Range != nil && (m.File.Range == nil || *m.File.Range != *offer.File.Range):
		return ErrRange
	}
	return nil
}

// Errors of answers.
var (
	ErrRefused = errors.New("the peer refuses it (port 0)")
	ErrRange   = errors.New("the peer does not take a part of a file")
)

// Match pairs the lines of an answer with those of its offer: there are as many, of the same kinds.
func (d *Description) Match(offer *Description) error {
	if len(d.Media) != len(offer.Media) {
		return fmt.Errorf("the answer has %d m-lines, and the offer %d", len(d.Media), len(offer.Media))
	}
	for i, m := range d.Media {
		if o := offer.Media[i]; m.Kind != o.Kind || m.Port != 0 && m.Protocol != o.Protocol {
			return fmt.Errorf("m-line %d of the answer is %s over %s, and was offered as %s over %s", i+1, m.Kind, m.Protocol, o.Kind, o.Protocol)
		}
	}
	return nil
}

// After gives the description the session of the one that it follows, and the next version if something has changed
// (RFC 3264 section 8): unchanged, the o-line stays.
func (d *Description) After(last *Description) {
	d.User, d.ID, d.Origin, d.Version = last.User, last.ID, last.Origin, last.Version
	if !bytes.Equal(d.Bytes(), last.Bytes()) {
		d.Version++
	}
}

// Capabilities is the body of an answer to OPTIONS of an agent that takes messages of these types, and files (RFC 5547
// section 8.5).
func Capabilities(host string, types []string) *Description {
	return &Description{ID: 1, Version: 1, Origin: host, Host: host, Media: []*Media{{Kind: "message", Protocol: "TCP/MSRP", Formats: "*", Host: host,
		AcceptTypes: types, File: &File{Size: -1, Capability: true}}}}
}
