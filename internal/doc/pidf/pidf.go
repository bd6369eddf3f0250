// Package pidf implements the Presence Information Data Format (RFC 3863) with the presence data model (RFC 4479), RPID (RFC 4480), timed status
// (RFC 4481), CIPID (RFC 4482), user agent capabilities (RFC 5196) and the place types of RFC 4589: reading, checking, building, composing and
// showing presence documents. It knows nothing of SIP.
//
// There are two ways through the package. Document is the typed one, for what people see and clients build. Accept, Check, Compose and Advance
// work on the bytes that were published, because they run for every publication: what they do not know passes through them with its meaning kept.
package pidf

import (
	"sync"

	"imp/internal/xml/tree"
)

// MediaType is the type of the documents (RFC 3863 section 7).
const MediaType = "application/pidf+xml"

// The namespaces of the elements that this package knows.
const (
	Space             = "urn:ietf:params:xml:ns:pidf"
	DataModelSpace    = "urn:ietf:params:xml:ns:pidf:data-model"
	RPIDSpace         = "urn:ietf:params:xml:ns:pidf:rpid"
	TimedSpace        = "urn:ietf:params:xml:ns:pidf:timed-status"
	CIPIDSpace        = "urn:ietf:params:xml:ns:pidf:cipid"
	CapsSpace         = "urn:ietf:params:xml:ns:pidf:caps"
	LocationTypeSpace = "urn:ietf:params:xml:ns:location-type"
	diffSpace         = "urn:ietf:params:xml:ns:pidf-diff"
)

// Error tells where a document was refused and why.
type Error = tree.Error

// limits bound the work that a published document can cause: composition looks through the open elements, their declarations and their attributes.
// wide holds whatever is made of documents within the limits.
var (
	limits = tree.Options{Limits: tree.Limits{Depth: 100, Declarations: 100, Attributes: 64}}
	wide   = tree.Options{Limits: tree.Limits{Depth: 200, Declarations: 200, Attributes: 128}}
)

// maxName is the length that a namespace name may have to be repeated in what is written.
const maxName = 256

var trees = sync.Pool{New: func() any { return new(tree.Tree) }}

// maxKept is how large a document may be for its memory to be kept for the next one.
const maxKept = 1 << 16

func putTree(t *tree.Tree) {
	if len(t.Source()) <= maxKept {
		trees.Put(t)
	}
}

// space is a namespace that this package knows; elsewhere is any other, nowhere is none.
type space uint8

const (
	elsewhere space = iota
	nowhere
	inPIDF
	inDataModel
	inRPID
	inTimed
	inCIPID
	inCaps
	inLocationType
	spaces
)

var spaceNames = [spaces]string{
	inPIDF: Space, inDataModel: DataModelSpace, inRPID: RPIDSpace, inTimed: TimedSpace, inCIPID: CIPIDSpace, inCaps: CapsSpace,
	inLocationType: LocationTypeSpace,
}

// prefixes are those of everything that is written, with their colon. PIDF is the default namespace.
var prefixes = [spaces]string{
	inDataModel: "dm:", inRPID: "rpid:", inTimed: "ts:", inCIPID: "c:", inCaps: "caps:", inLocationType: "lt:",
}

func spaceOf(uri string) space {
	switch uri {
	case "":
		return nowhere
	case Space:
		return inPIDF
	case DataModelSpace:
		return inDataModel
	case RPIDSpace:
		return inRPID
	case TimedSpace:
		return inTimed
	case CIPIDSpace:
		return inCIPID
	case CapsSpace:
		return inCaps
	case LocationTypeSpace:
		return inLocationType
	}
	return elsewhere
}

func isPresence(root tree.Node) bool { return root.Is(Space, "presence") }

// isFull reports whether a root is that of RFC 5262 section 3.1, which holds what presence holds.
func isFull(root tree.Node) bool { return root.Is(diffSpace, "pidf-full") }
