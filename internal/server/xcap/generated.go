package xcap

import (
	"context"
	"crypto/sha256"
	"encoding/base64"

	"imp/internal/xcap/key"
	"imp/internal/xcap/uri"
	"imp/internal/xcap/usage"
)

// auidDirectory is the usage that has a list of the documents of each user.
const auidDirectory = "org.openmobilealliance.xcap-directory"

// generated is a document that the server makes.
type generated struct {
	body []byte
	etag string
}

// newGenerated gives a document an entity tag that follows from what it holds.
func newGenerated(body []byte) generated {
	sum := sha256.Sum256(body)
	return generated{body, base64.RawURLEncoding.EncodeToString(sum[:12])}
}

// generate makes the document of a URI whose place in its usage is usage.Generated.
func (s *Server) generate(ctx context.Context, u *uri.URI) (generated, error) {
	switch u.AUID {
	case "xcap-caps":
		return s.caps, nil
	case auidServices:
		return s.index.document(ctx)
	}
	return s.directory(ctx, u)
}

// generatedIndex is the URI of the global index of services.
var generatedIndex = uri.URI{AUID: auidServices, Global: true, Document: []string{"index"}}

// Generated are the URIs of the documents that the server makes in the global trees, and in the homes of a user.
func (s *Server) Generated(xui string) []*uri.URI {
	index := generatedIndex
	return []*uri.URI{&index, {AUID: "xcap-caps", Global: true, Document: []string{"index"}},
		{AUID: auidDirectory, XUI: xui, Document: []string{"directory.xml"}}}
}

// Generate returns the entity-tag and the body of a document that the server makes, as GET does, "" and nil when there is none. The
// URI is canonical. The error is that of the store, or of ctx.
func (s *Server) Generate(ctx context.Context, u *uri.URI) (etag string, body []byte, err error) {
	app, ok := usage.For(u.AUID)
	if !ok || app.Place(u) != usage.Generated || !u.Global && !s.exists(u.XUI) {
		return "", nil, nil
	}
	g, err := s.generate(ctx, u)
	return g.etag, g.body, err
}

// Sources are the prefixes of the keys of documents that a document is made of when it is asked for: the directory of a user. The index
// is a view, and of it Regenerated is told.
func (s *Server) Sources(u *uri.URI) (prefixes []string) {
	if u.AUID != auidDirectory {
		return nil
	}
	for _, app := range usage.All() {
		prefixes = append(prefixes, key.Home(s.root.Path(), app.AUID, u.XUI))
	}
	return prefixes
}
