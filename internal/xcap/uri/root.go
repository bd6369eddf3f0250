package uri

import (
	"net/url"
	"slices"
	"strings"
)

// Root is the root of the resources of a server (RFC 4825 section 6.1): an HTTP URI, or only its path as a server knows it.
type Root struct {
	origin string // scheme://host, "" when only the path is known
	path   []string
}

// ParseRoot reads an http or https URI, or a path that begins with a slash. A slash at the end means nothing. It refuses, with an
// *Error, a query and a fragment.
func ParseRoot(s string) (Root, error) {
	if err := checkText(s); err != nil {
		err.Piece = RootPiece
		return Root{}, err
	}
	if strings.Contains(s, "?") {
		return Root{}, &Error{Malformed, RootPiece, s, "a root has no query"}
	}
	origin, path, err := splitOrigin(s)
	if err != nil {
		return Root{}, err
	}
	r := Root{origin: origin}
	for raw := range strings.SplitSeq(strings.Trim(path, "/"), "/") {
		if raw == "" && strings.Trim(path, "/") == "" {
			break
		}
		segment, err := decode(RootPiece, raw)
		if err != nil {
			return Root{}, err
		}
		if err := checkName(RootPiece, raw, segment); err != nil || segment == separator {
			return Root{}, &Error{Malformed, RootPiece, s, "a segment of its path is empty, of dots or ~~"}
		}
		r.path = append(r.path, segment)
	}
	return r, nil
}

// splitOrigin splits off scheme and host, in small letters and without a port that goes without saying.
func splitOrigin(s string) (origin, path string, err error) {
	if strings.HasPrefix(s, "/") {
		return "", s, nil
	}
	scheme, rest, found := strings.Cut(s, "://")
	scheme = strings.ToLower(scheme)
	if !found || scheme != "http" && scheme != "https" {
		return "", "", &Error{Malformed, RootPiece, s, "expected an http or https URI, or a path that begins with a slash"}
	}
	end := strings.IndexAny(rest, "/?")
	if end < 0 {
		end = len(rest)
	}
	host := rest[:end]
	if u, err := url.Parse("http://" + host); err != nil || u.Hostname() == "" || u.User != nil {
		return "", "", &Error{Malformed, RootPiece, s, "it has no host, or a user in it"}
	}
	host = strings.TrimSuffix(strings.ToLower(host), map[string]string{"http": ":80", "https": ":443"}[scheme])
	return scheme + "://" + host, rest[end:], nil
}

// String returns the root without a slash at its end.
func (r Root) String() string { return r.origin + r.Path() }

// Path returns the path of the root, which begins with a slash unless it is empty.
func (r Root) Path() string {
	var b []byte
	for _, s := range r.path {
		b = appendSegment(append(b, '/'), s)
	}
	return string(b)
}

// Join returns the URI of a resource: absolute, or when only the path of the root is known the path with its query.
func (r Root) Join(u *URI) string { return r.String() + "/" + u.String() }

// Parse reads a URI below the root: an absolute one, or the path with a query as in a request line. Scheme and host of an absolute
// one count only when the root has them. See Parse for the rest. The error is an *Error.
func (r Root) Parse(target string) (*URI, error) {
	p := parser{}
	return p.below(r, target)
}

func (p *parser) below(r Root, target string) (*URI, error) {
	if err := checkText(target); err != nil {
		return nil, err
	}
	origin, rest, err := splitOrigin(target)
	if err != nil {
		return nil, err
	}
	if origin != "" && r.origin != "" && origin != r.origin {
		return nil, &Error{Outside, RootPiece, target, "expected a URI below " + r.String()}
	}
	if !strings.HasPrefix(rest, "/") {
		rest = "/" + rest
	}
	for _, want := range r.path {
		end := strings.IndexAny(rest[1:], "/?") + 1
		if end == 0 {
			end = len(rest)
		}
		got, err := decode(RootPiece, rest[1:end])
		if err != nil {
			return nil, err
		}
		if got != want {
			return nil, &Error{Outside, RootPiece, target, "expected a URI below " + r.String()}
		}
		if rest = rest[end:]; !strings.HasPrefix(rest, "/") {
			return nil, &Error{NoResource, RootPiece, target, "this is the root itself, which is no resource"}
		}
	}
	if path, _, _ := strings.Cut(rest, "?"); path == "/" {
		return nil, &Error{NoResource, RootPiece, target, "this is the root itself, which is no resource"}
	}
	p.part(RootPiece, strings.TrimSuffix(target, rest), r.String(), "the root of the server")
	return p.parse(rest[1:])
}

// Equal reports whether two roots are one.
func (r Root) Equal(o Root) bool { return r.origin == o.origin && slices.Equal(r.path, o.path) }
