package xcap

import (
	"context"

	"imp/internal/xcap/key"
	"imp/internal/xcap/uri"
	"imp/internal/xcap/usage"
)

// directory lists the documents in the home of a URI, over all application usages, as org.openmobilealliance.xcap-directory has them.
func (s *Server) directory(ctx context.Context, u *uri.URI) (generated, error) {
	var entries []usage.Entry
	for _, app := range usage.All() {
		for e, err := range s.cfg.Store.Scan(ctx, key.Home(s.root.Path(), app.AUID, u.XUI)) {
			if err != nil {
				return generated{}, err
			}
			v, err := key.Parse(e.Value)
			if err != nil {
				return generated{}, err
			}
			d, err := v.URI()
			if err != nil {
				return generated{}, err
			}
			entries = append(entries, usage.Entry{AUID: app.AUID, URI: s.root.Join(d), ETag: v.ETag, Size: len(v.Body), Modified: v.Modified})
		}
	}
	return newGenerated(usage.Directory(entries)), nil
}
