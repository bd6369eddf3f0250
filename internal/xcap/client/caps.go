package client

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"imp/internal/xcap/uri"
	"imp/internal/xcap/usage"
	"imp/internal/xml/lexical"
	"imp/internal/xml/tree"
)

// Caps are the capabilities of a server (RFC 4825 section 12).
type Caps struct {
	AUIDs      []string
	Extensions []string
	Namespaces []string
}

const (
	capsSpace      = "urn:ietf:params:xml:ns:xcap-caps"
	directoryAUID  = "org.openmobilealliance.xcap-directory"
	directorySpace = "urn:oma:xml:xdm:xcap-directory"
)

// Caps reads the capabilities of the server.
func (c *Client) Caps(ctx context.Context) (*Caps, error) {
	u := &uri.URI{AUID: "xcap-caps", Global: true, Document: []string{"index"}}
	a, err := c.Get(ctx, u, Condition{})
	if err != nil {
		return nil, err
	}
	return ParseCaps(a.Body)
}

// ParseCaps reads an xcap-caps document. What is not known in it is passed over. The error is a *tree.Error when it is not
// well-formed, else one that is ErrContent.
func ParseCaps(src []byte) (*Caps, error) {
	t, err := tree.Parse(src, tree.Options{})
	if err != nil {
		return nil, err
	}
	root := t.Root()
	if !root.Is(capsSpace, "xcap-caps") {
		return nil, fmt.Errorf("%w: <%s> is no xcap-caps document", ErrContent, lexical.Clip(root.Name()))
	}
	return &Caps{AUIDs: texts(root, "auids", "auid"), Extensions: texts(root, "extensions", "extension"),
		Namespaces: texts(root, "namespaces", "namespace")}, nil
}

func texts(root tree.Node, list, item string) (all []string) {
	for n := range root.Element(capsSpace, list).Elements() {
		if n.Is(capsSpace, item) {
			all = append(all, lexical.Trim(n.Text()))
		}
	}
	return all
}

// Entry is a document of a user.
type Entry struct {
	URI      *uri.URI
	ETag     string    // without quotes, "" when it is not told
	Modified time.Time // zero when it is not told
	Size     int       // bytes, -1 when that is not told
}

// List returns the documents of a user: those of the server's directory (OMA xcap-directory), and on a server without one
// the documents that are there under the usual names, for each application usage of its capabilities, or each that is known
// when it tells none.
func (c *Client) List(ctx context.Context, xui string) ([]Entry, error) {
	u := &uri.URI{AUID: directoryAUID, XUI: xui, Document: []string{"directory.xml"}}
	a, err := c.Get(ctx, u, Condition{})
	switch Status(err) {
	case 0:
		if err != nil {
			return nil, err
		}
		return c.parseDirectory(a.Body)
	case 400, 404, 405, 501:
		return c.probe(ctx, xui)
	}
	return nil, err
}

// parseDirectory reads a directory. Documents that are not below the root, and those that are told again, are passed over.
func (c *Client) parseDirectory(src []byte) ([]Entry, error) {
	t, err := tree.Parse(src, tree.Options{})
	if err != nil {
		return nil, err
	}
	if !t.Root().Is(directorySpace, "xcap-directory") {
		return nil, fmt.Errorf("%w: <%s> is no xcap-directory document", ErrContent, lexical.Clip(t.Root().Name()))
	}
	var all []Entry
	seen := map[string]bool{}
	for folder := range t.Root().Elements() {
		for n := range folder.Elements() {
			where, _ := n.Attr("", "uri")
			u, err := c.below(where)
			if !n.Is(directorySpace, "entry") || err != nil || len(u.Steps) > 0 || seen[u.Path()] {
				continue
			}
			seen[u.Path()] = true
			all = append(all, entry(n, u))
		}
	}
	return all, nil
}

// below reads the URI of a document in a directory: absolute, or below the root.
func (c *Client) below(s string) (*uri.URI, error) {
	if strings.HasPrefix(s, "/") || strings.Contains(s, "://") {
		return c.cfg.Root.Parse(s)
	}
	return uri.Parse(s)
}

func entry(n tree.Node, u *uri.URI) Entry {
	e := Entry{URI: u, Size: -1}
	e.ETag, _ = n.Attr("", "etag")
	e.ETag = strings.Trim(e.ETag, `"`)
	if s, ok := n.Attr("", "last-modified"); ok {
		e.Modified, _ = time.Parse(time.RFC3339, s)
	}
	if s, ok := n.Attr("", "size"); ok {
		if size, err := strconv.Atoi(s); err == nil {
			e.Size = size
		}
	}
	return e
}

// usualNames are what documents are called where it is not index alone.
var usualNames = map[string][]string{
	"xcap-caps":                               nil,
	directoryAUID:                             nil,
	"org.openmobilealliance.pres-rules":       {"index", "pres-rules"},
	"org.openmobilealliance.pres-content":     {"oma_status-icon/rcs_status_icon", "oma_status-icon/index"},
	"org.openmobilealliance.group-usage-list": {"index", "oma_group-usage-list"},
}

// probe asks for the documents that a user may have.
func (c *Client) probe(ctx context.Context, xui string) ([]Entry, error) {
	auids, err := c.offered(ctx)
	if err != nil {
		return nil, err
	}
	var all []Entry
	for _, auid := range auids {
		names, known := usualNames[auid]
		if !known {
			names = []string{"index"}
		}
		for _, name := range names {
			u := &uri.URI{AUID: auid, XUI: xui, Document: strings.Split(name, "/")}
			e, err := c.look(ctx, u)
			switch Status(err) {
			case 0:
				if err != nil {
					return nil, err
				}
				all = append(all, e)
			case 401:
				return nil, err
			}
		}
	}
	return all, nil
}

// offered returns the application usages of the server, or those that are known.
func (c *Client) offered(ctx context.Context) (auids []string, err error) {
	caps, err := c.Caps(ctx)
	switch status := Status(err); {
	case err == nil:
		return caps.AUIDs, nil
	case status == 0, status == 401:
		return nil, err
	}
	for _, u := range usage.All() {
		auids = append(auids, u.AUID)
	}
	return auids, nil
}

// look asks whether a document is there, by HEAD or where the server has none by GET.
func (c *Client) look(ctx context.Context, u *uri.URI) (Entry, error) {
	a, err := c.Head(ctx, u, Condition{})
	if s := Status(err); s == 405 || s == 501 || s == 400 {
		a, err = c.Get(ctx, u, Condition{})
	}
	if err != nil {
		return Entry{}, err
	}
	e := Entry{URI: u, ETag: a.ETag, Size: len(a.Body)}
	if n, err := strconv.Atoi(a.Header.Get("Content-Length")); err == nil && len(a.Body) == 0 {
		e.Size = n
	}
	return e, nil
}
