package xcap

import (
	"context"
	"crypto/sha256"
	"encoding/base64"

	"imp/internal/xcap/uri"
)

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
