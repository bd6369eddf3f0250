package xcap

import (
	"context"

	"imp/internal/xcap/uri"
	"imp/internal/xcap/usage"
)

// directory lists the documents of the user of a URI.
func (s *Server) directory(ctx context.Context, u *uri.URI) (generated, error) {
	return newGenerated(usage.Directory(nil)), nil
}
