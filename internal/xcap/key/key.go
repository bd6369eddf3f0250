// Package key makes the keys that XCAP documents (RFC 4825) have in the store, and the values below them. Who evaluates documents,
// presence rules for example, watches them by prefix and needs nothing else of XCAP.
package key

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"imp/internal/doc/lists"
	"imp/internal/store"
	"imp/internal/xcap/uri"
)

// The first parts of keys.
const (
	documents = "xcap"
	claims    = "xcap-claim"
)

// Document returns the key of the document of a URI. Root names the XCAP root, such as its path; documents of different roots have
// nothing in common. The XUI is to be canonical, see uri.URI.Canonical.
func Document(root string, u *uri.URI) string {
	parts := append(make([]string, 0, 5+len(u.Document)), documents, root, u.AUID)
	if u.Global {
		parts = append(parts, "global")
	} else {
		parts = append(parts, "users", u.XUI)
	}
	return store.Key(append(parts, u.Document...)...)
}

// Root returns the prefix of all documents below a root.
func Root(root string) string { return store.Key(documents, root) }

// Usage returns the prefix of all documents of an application usage.
func Usage(root, auid string) string { return store.Key(documents, root, auid) }

// Users returns the prefix of the documents of all users in an application usage.
func Users(root, auid string) string { return store.Key(documents, root, auid, "users") }

// Home returns the prefix of the documents of a user in an application usage.
func Home(root, auid, xui string) string { return store.Key(documents, root, auid, "users", xui) }

// Global returns the prefix of the documents in the global tree of an application usage.
func Global(root, auid string) string { return store.Key(documents, root, auid, "global") }

// Claim returns the key under which the URI of a service belongs to one document, over all roots (RFC 4826 section 4.4.5). It holds
// the key of that document, see Document. URIs that are equal in their canonical form are one.
func Claim(service string) string { return store.Key(claims, lists.Canonical(service)) }

// Claims returns the prefix of all claims.
func Claims() string { return store.Key(claims) }

// Value is what the store holds of a document.
type Value struct {
	ETag string // without quotes, another one after each change
	Path string // of the document below the root, see uri.URI.Path: a key cannot always be read back
	// Previous is the ETag of the version that this one took the place of, "" when it created the document. A watch may
	// leave versions out; who needs every one sees by it that some are missing.
	Previous string
	Body     []byte
	Modified time.Time // of the change, in whole seconds; zero: not known
}

// What a value begins with. The first one has no time.
const (
	version      = 1
	versionTimed = 2
)

// Bytes writes the value for the store.
func (v Value) Bytes() []byte {
	dst := make([]byte, 0, 1+4*binary.MaxVarintLen32+len(v.ETag)+len(v.Path)+len(v.Previous)+len(v.Body))
	if v.Modified.IsZero() {
		dst = append(dst, version)
	} else {
		dst = binary.AppendVarint(append(dst, versionTimed), v.Modified.Unix())
	}
	for _, s := range []string{v.ETag, v.Path, v.Previous} {
		dst = append(binary.AppendUvarint(dst, uint64(len(s))), s...)
	}
	return append(dst, v.Body...)
}

var errShort = errors.New("read an XCAP document of the store: it ends too early")

// Parse reads a value of the store. The body is a part of src.
func Parse(src []byte) (Value, error) {
	var v Value
	if len(src) == 0 || src[0] != version && src[0] != versionTimed {
		return v, fmt.Errorf("read an XCAP document of the store: it begins neither with %d nor with %d", version, versionTimed)
	}
	rest := src[1:]
	if src[0] == versionTimed {
		seconds, n := binary.Varint(rest)
		if n <= 0 {
			return Value{}, errShort
		}
		v.Modified, rest = time.Unix(seconds, 0).UTC(), rest[n:]
	}
	for _, field := range []*string{&v.ETag, &v.Path, &v.Previous} {
		size, n := binary.Uvarint(rest)
		if n <= 0 || size > uint64(len(rest)-n) {
			return Value{}, errShort
		}
		*field = string(rest[n : n+int(size)])
		rest = rest[n+int(size):]
	}
	v.Body = rest
	return v, nil
}

// URI returns the URI of the document.
func (v Value) URI() (*uri.URI, error) { return uri.Parse(v.Path) }
