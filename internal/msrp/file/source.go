// Package file implements the transfer of files of RFC 5547: what is offered of a file and what an answer says, which
// files a selector names, parts of files, and their hashes. Files are read and written as they come, in constant memory.
//
// Sessions and calls carry what this package describes; it knows neither.
package file

import (
	"bytes"
	"crypto/rand"
	"crypto/sha1" // the hash of the standard; it guards against accidents only (RFC 5547 section 6)
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"io"
	"mime"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"imp/internal/doc/sdp"
)

// OctetStream is the type of a file of which nothing more is known.
const OctetStream = "application/octet-stream"

// Source is a file to be sent. Close it.
type Source struct {
	Name     string // as the receiver gets it, without directories
	Type     string
	Size     int64 // octets; negative for a stream, whose end nobody knows
	Hashes   []sdp.Hash
	Modified time.Time

	at     io.ReaderAt // nil for a stream
	stream io.Reader
	close  func() error
}

// NewID makes a file-transfer-id: 32 characters that nobody can guess (RFC 5547 section 8.1).
func NewID() string {
	var b [24]byte
	_, _ = rand.Read(b[:])
	id := base64.RawURLEncoding.EncodeToString(b[:])
	return strings.Map(func(r rune) rune {
		if r == '_' {
			return '.' // both are in token; this one is in MSRP's ident too
		}
		return r
	}, id)
}

// digests are the hashes of a file: SHA-1, which everybody must have, and SHA-256 beside it (RFC 8873 section 4.8).
type digests struct{ sha1, sha256 hash.Hash }

func newDigests() *digests { return &digests{sha1.New(), sha256.New()} }

func (d *digests) Write(b []byte) (int, error) {
	_, _ = d.sha1.Write(b)
	return d.sha256.Write(b)
}

func (d *digests) sums() []sdp.Hash {
	return []sdp.Hash{{Algorithm: "sha-1", Sum: d.sha1.Sum(nil)}, {Algorithm: "sha-256", Sum: d.sha256.Sum(nil)}}
}

// Open opens a file to be sent, and reads it once for its hashes. The error is that of the file system, or ErrNotFile.
func Open(path string) (*Source, error) { return openWith(path, os.O_RDONLY) }

// OpenPlain is Open of a path that others chose: it follows no symbolic link at its end and waits for no pipe, whatever
// is there by now.
func OpenPlain(path string) (*Source, error) {
	return openWith(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK)
}

func openWith(path string, how int) (*Source, error) {
	f, err := os.OpenFile(path, how, 0)
	if err != nil {
		return nil, err
	}
	s, err := open(f)
	if err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	s.Name = filepath.Base(path)
	s.Type = typeOf(s.Name)
	return s, nil
}

// ErrNotFile is the error of a directory, device or pipe.
var ErrNotFile = errors.New("it is not a plain file")

func open(f *os.File) (*Source, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, ErrNotFile
	}
	d := newDigests()
	n, err := io.Copy(d, f)
	if err != nil {
		return nil, err
	}
	return &Source{Size: n, Hashes: d.sums(), Modified: info.ModTime(), at: f, close: f.Close}, nil
}

// Spool copies all of r to a temporary file, to learn size and hashes. The file is removed at once where the system
// lets it, else by Close.
func Spool(r io.Reader, name string) (*Source, error) {
	f, err := os.CreateTemp("", "msrp-*")
	if err != nil {
		return nil, err
	}
	removed := os.Remove(f.Name()) == nil
	end := func() error {
		err := f.Close()
		if !removed {
			_ = os.Remove(f.Name())
		}
		return err
	}
	d := newDigests()
	n, err := io.Copy(io.MultiWriter(f, d), r)
	if err != nil {
		_ = end()
		return nil, err
	}
	return &Source{Name: name, Type: typeOf(name), Size: n, Hashes: d.sums(), at: f, close: end}, nil
}

// Stream makes a file of what r gives, whose size and hashes are not told.
func Stream(r io.Reader, name string) *Source {
	return &Source{Name: name, Type: typeOf(name), Size: -1, stream: r, close: func() error { return nil }}
}

// Close lets go of the file.
func (s *Source) Close() error { return s.close() }

// typeOf guesses the type of a file from its name.
func typeOf(name string) string {
	t := mime.TypeByExtension(filepath.Ext(name))
	if t == "" {
		return OctetStream
	}
	return t
}

// Offer describes the file in an offer to send it (RFC 5547 section 8.2.1), under a new id. part is nil for the whole
// file; the hash is of the whole one in any case.
func (s *Source) Offer(part *sdp.Range) *sdp.File {
	return &sdp.File{Name: s.Name, Type: s.Type, Size: s.Size, Hashes: s.Hashes, ID: NewID(), Modified: s.Modified, Range: part,
		Disposition: "attachment"}
}

// Part gives what is to be sent of the file: all of it, or exactly the octets of a range (RFC 5547 section 8.7). size is
// negative when it is not known. A stream can be read once, and from its beginning only.
func (s *Source) Part(part *sdp.Range) (body io.Reader, size int64, err error) {
	if s.at == nil {
		if part != nil && *part != (sdp.Range{Start: 1}) {
			return nil, 0, errors.New("a stream has no parts")
		}
		return s.stream, -1, nil
	}
	start, stop := int64(1), s.Size
	if part != nil {
		start = part.Start
		if part.Stop > 0 {
			stop = part.Stop
		}
	}
	if start > s.Size+1 || stop > s.Size {
		return nil, 0, fmt.Errorf("the file has %d octets, and not those of %s", s.Size, part)
	}
	size = stop - start + 1
	return io.NewSectionReader(s.at, start-1, size), size, nil
}

// Matches tells whether a selector names this file: all that it says must be so (RFC 5547 section 8.3.2). A hash of
// another algorithm than ours says nothing.
func (s *Source) Matches(f *sdp.File) bool {
	switch {
	case f.Name != "" && f.Name != s.Name,
		f.Size >= 0 && f.Size != s.Size,
		f.Type != "" && !sameType(f.Type, s.Type):
		return false
	}
	for _, want := range f.Hashes {
		for _, have := range s.Hashes {
			if want.Algorithm == have.Algorithm && !bytes.Equal(want.Sum, have.Sum) {
				return false
			}
		}
	}
	return true
}

func sameType(a, b string) bool {
	a, _, _ = strings.Cut(a, ";")
	b, _, _ = strings.Cut(b, ";")
	return strings.EqualFold(strings.TrimSpace(a), strings.TrimSpace(b))
}

// Pull describes a file in an offer to receive it (RFC 5547 section 8.2.2): the selectors of f, under a new id, and the
// part. It is an error when there is no selector.
func Pull(f sdp.File, part *sdp.Range) (*sdp.File, error) {
	p := &sdp.File{Name: f.Name, Type: f.Type, Size: f.Size, Hashes: f.Hashes, ID: NewID(), Range: part}
	return p, p.Check()
}

// Errors of Choose.
var (
	ErrNoMatch = errors.New("there is no such file")
	ErrMany    = errors.New("there are several such files")
)

// Choose finds the one file that an offer to receive names, and describes it for the answer: its hash over the whole
// file, type and id, and the range of the offer (RFC 5547 section 8.3.2). A file that has another hash is not meant.
func Choose(offer *sdp.File, files []*Source) (*Source, *sdp.File, error) {
	var found *Source
	for _, s := range files {
		if !s.Matches(offer) {
			continue
		}
		if found != nil {
			return nil, nil, ErrMany
		}
		found = s
	}
	if found == nil {
		return nil, nil, ErrNoMatch
	}
	if _, _, err := found.Part(offer.Range); err != nil {
		return nil, nil, err
	}
	return found, &sdp.File{Type: found.Type, Size: -1, Hashes: found.Hashes, ID: offer.ID, Range: offer.Range}, nil
}

// Disposition is the Content-Disposition of the message that carries a file (RFC 5547 section 6, RFC 2183): it says the
// same as the description.
func Disposition(f *sdp.File) string {
	params := map[string]string{}
	if f.Name != "" {
		params["filename"] = f.Name
	}
	if f.Size >= 0 {
		params["size"] = fmt.Sprint(f.Size)
	}
	for name, at := range map[string]time.Time{"creation-date": f.Created, "modification-date": f.Modified, "read-date": f.Read} {
		if !at.IsZero() {
			params[name] = at.Format("Mon, 02 Jan 2006 15:04:05 -0700")
		}
	}
	kind := f.Disposition
	if kind == "" {
		kind = "render"
	}
	return mime.FormatMediaType(kind, params)
}
