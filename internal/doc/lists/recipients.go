package lists

import (
	"errors"
	"strings"

	"imp/internal/xml/lexical"
)

// AnonymousURI stands in a history for recipients who are not told (RFC 5364 section 4).
const AnonymousURI = "sip:anonymous@anonymous.invalid"

// The Content-Disposition of lists (RFC 5364 section 7): of those who are to get a request, and of those who have got it.
const (
	RecipientList        = "recipient-list"
	RecipientListHistory = "recipient-list-history"
)

// Role is the role of a recipient: that of Copy, BCC when none is told (RFC 5364 section 4).
func (it *Item) Role() Copy {
	if it.Copy == "" {
		return BCC
	}
	return it.Copy
}

// Recipients is how many recipients the item stands for: Count, 1 when that is not told (RFC 5364 section 4).
func (it *Item) Recipients() uint64 {
	if it.Count == nil {
		return 1
	}
	return *it.Count
}

// Recipient is somebody who is to get a request.
type Recipient struct {
	URI       string `json:"uri" doc:"URI of the recipient, with header fields as the sender gave it"`
	Role      Copy   `json:"role" doc:"to, cc or bcc"`
	Anonymous bool   `json:"anonymous,omitempty" doc:"the URI is not shown to other recipients"`
}

// Recipients unites the entries of lists (RFC 5363 section 4.1), in their order: one of equal URIs, by the comparison of their scheme, in the highest of its
// roles, to before cc before bcc (RFC 5364 section 4), and anonymous if any of them is. References are left out (RFC 5365 section 7).
func Recipients(docs ...*Document) []Recipient {
	var all []Recipient
	var seen index
	visit := func(it *Item) bool {
		if it.Kind != Entry {
			return true
		}
		at, old := seen.add(it.URI, len(all))
		if !old {
			all = append(all, Recipient{it.URI, it.Role(), it.Anonymize})
			return true
		}
		r := &all[at]
		r.Anonymous = r.Anonymous || it.Anonymize
		if rank[it.Role()] > rank[r.Role] {
			r.Role = it.Role()
		}
		return true
	}
	for _, d := range docs {
		for i := range d.Lists {
			d.Lists[i].Walk(visit)
		}
	}
	return all
}

var rank = map[Copy]int{BCC: 1, CC: 2, To: 3}

// History makes the list that recipients are shown of each other (RFC 5364 sections 4 and 6), without header fields of URIs: those in the role to, then cc,
// in each the anonymous ones as one entry with their number. Those in the role bcc are not in it, but for the recipient that the list is for: its URI, or ""
// for a list that is the same for all.
func History(all []Recipient, recipient string) *Document {
	l := List{}
	for _, role := range []Copy{To, CC} {
		anonymous := uint64(0)
		for _, r := range all {
			switch {
			case r.Role == role && r.Anonymous:
				anonymous++
			case r.Role == role:
				l.Items = append(l.Items, Item{URI: bare(r.URI), Copy: role})
			}
		}
		if anonymous > 0 {
			l.Items = append(l.Items, Item{URI: AnonymousURI, Copy: role, Count: &anonymous})
		}
	}
	for _, r := range all {
		if r.Role == BCC && recipient != "" && r.URI == recipient {
			l.Items = append(l.Items, Item{URI: bare(r.URI), Copy: BCC})
		}
	}
	return &Document{Lists: []List{l}}
}

// bare takes the header fields off a SIP URI.
func bare(uri string) string {
	uri, _ = cutHeaders(uri)
	return uri
}

// cutHeaders cuts a SIP URI behind its parameters, a question mark of the user part left alone.
func cutHeaders(uri string) (before, headers string) {
	if !Subscribable(uri) {
		return uri, ""
	}
	host := max(strings.IndexByte(uri, '@'), 0)
	before, headers, _ = strings.Cut(uri[host:], "?")
	return uri[:host] + before, headers
}

// CheckRecipients reports what a list of recipients that is sent has no use for: lists in lists and references (RFC 5363 section 4.1), URIs that stand twice,
// and the header field body in a URI (RFC 5365 section 6). It returns the first of these, or nil.
func (d *Document) CheckRecipients() (err error) {
	var seen index
	n := 0
	check := func(it *Item) bool {
		n++
		where := "checking recipients: " + it.Kind.String() + " " + lexical.Clip(it.URI)
		switch {
		case it.Kind != Entry:
			err = errors.New(where + ": only entries are sent; write the members out")
		case hasBody(it.URI):
			err = errors.New(where + ": the header field body is not allowed; send it as the message")
		default:
			if _, old := seen.add(it.URI, n); old {
				err = errors.New(where + ": it stands twice; leave one out")
			}
		}
		return err == nil
	}
	for i := range d.Lists {
		if !d.Lists[i].Walk(check) {
			return err
		}
	}
	return nil
}

// hasBody reports whether a URI has the header field body.
func hasBody(uri string) bool {
	_, headers := cutHeaders(uri)
	for h := range strings.SplitSeq(headers, "&") {
		name, _, _ := strings.Cut(h, "=")
		if strings.EqualFold(lexical.Unescape(name, marks), "body") {
			return true
		}
	}
	return false
}
