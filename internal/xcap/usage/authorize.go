package usage

import "imp/internal/xcap/uri"

// Audience tells who may do something.
type Audience uint8

// The audiences.
const (
	Nobody Audience = iota
	Trusted
	Owner // of the home directory
	Users // whoever has authenticated
	Everybody
)

// Requester is who asks.
type Requester struct {
	XUI     string // canonical, "" when not authenticated
	Trusted bool   // an element such as a resource list server
}

// Answer is what becomes of a request.
type Answer uint8

// The answers.
const (
	Allow     Answer = iota
	Challenge        // 401: who is allowed has to authenticate first
	Forbid           // 403
	Missing          // 404: there is never a document of this name
	ReadOnly         // 405: nobody writes what the server makes
)

// Authorize decides on a request for a document or what is in it (RFC 4825 section 5.7): users read and write their own documents,
// those who have authenticated read global ones, trusted elements read everything and write global documents that can be written.
// Usages restrict or widen that: the index of rls-services is for trusted elements (RFC 4826 section 4.4.9), icons are for everybody.
// The XUI of the URI is to be canonical. Documents that cannot be are missing when read, and when written left to Check.
func (u *Usage) Authorize(d *uri.URI, who Requester, write bool) Answer {
	audience, place := u.audience(d, write), u.place(d)
	switch {
	case audience.has(d, who), !write && who.Trusted && who.XUI != "":
	case who.XUI == "":
		return Challenge
	default:
		return Forbid
	}
	switch {
	case place == Nowhere && !write:
		return Missing
	case place == Generated && write:
		return ReadOnly
	}
	return Allow
}

func (u *Usage) audience(d *uri.URI, write bool) Audience {
	switch {
	case d.Global && write:
		return u.write
	case d.Global:
		return u.global
	case write || u.open == nil:
		return Owner
	}
	return u.open(d)
}

// has reports whether somebody belongs to the audience.
func (a Audience) has(d *uri.URI, who Requester) bool {
	switch a {
	case Everybody:
		return true
	case Users:
		return who.XUI != ""
	case Owner:
		return who.XUI != "" && !d.Global && who.XUI == d.XUI
	case Trusted:
		return who.Trusted && who.XUI != ""
	}
	return false
}
