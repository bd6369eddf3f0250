package file

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"unicode"
	"unicode/utf8"

	"imp/internal/doc/sdp"
)

// SinkConfig says where received files go.
type SinkConfig struct {
	Dir     string
	Force   bool  // an existing file is replaced; else the new one gets a name of its own
	MaxSize int64 // octets of one file; 0 = any
}

// Sink is a file being received: under the name with .part behind until all of it is there and right, open to nobody
// else. Finish or Abort it.
type Sink struct {
	cfg   SinkConfig
	f     *os.File // nil for one that only checks
	out   io.Writer
	part  string // path
	name  string
	want  *sdp.File
	sums  *digests
	n     int64 // octets of the whole file that are there
	limit int64 // octets that may come, negative = any
}

// Errors of sinks.
var (
	ErrTooLarge = errors.New("the file is larger than is taken")
	ErrMissing  = errors.New("the octets before the offered part are not here")
	ErrShort    = errors.New("the file is not complete")
	ErrLong     = errors.New("more came than was announced")
	ErrHash     = errors.New("the hash of the file is not the one that was announced")
	ErrBusy     = errors.New("a file of that name is just being received")
)

// SafeName makes a file name of one that a peer gave (RFC 5547 section 10): the last part of what may be a path on some
// system, without control characters and leading dots; names that a system reserves get an underscore.
func SafeName(name string) string {
	if i := strings.LastIndexAny(name, `/\`); i >= 0 {
		name = name[i+1:]
	}
	if len(name) >= 2 && name[1] == ':' { // C:x
		name = name[2:]
	}
	name = strings.Map(func(r rune) rune {
		switch {
		case r == utf8.RuneError || unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || unicode.Is(unicode.Zl, r) || unicode.Is(unicode.Zp, r):
			return -1
		case strings.ContainsRune(`<>:"|?*`, r):
			return '_'
		}
		return r
	}, name)
	name = strings.TrimRight(strings.TrimLeft(name, ". "), ". ")
	for len(name) > maxName {
		_, n := utf8.DecodeLastRuneInString(name)
		name = name[:len(name)-n]
	}
	stem, _, _ := strings.Cut(name, ".")
	switch upper := strings.ToUpper(stem); {
	case name == "":
		return "file"
	case upper == "CON" || upper == "PRN" || upper == "AUX" || upper == "NUL",
		len(upper) == 4 && (strings.HasPrefix(upper, "COM") || strings.HasPrefix(upper, "LPT")) && upper[3] >= '0' && upper[3] <= '9':
		return "_" + name
	}
	return name
}

// maxName leaves room for .part and a number in the 255 bytes that file systems have.
const maxName = 230

// Create begins to receive the file that a description names; a part of one goes behind what is here of it. Errors are
// ErrTooLarge, ErrMissing, ErrBusy, and those of the file system.
func Create(cfg SinkConfig, want *sdp.File) (*Sink, error) {
	if cfg.MaxSize > 0 && want.Size > cfg.MaxSize {
		return nil, ErrTooLarge
	}
	for n := 0; ; n++ {
		s, err := create(cfg, want, n)
		if !errors.Is(err, ErrBusy) || want.Range != nil && want.Range.Start > 1 || n == maxAlike {
			return s, err
		}
	}
}

// maxAlike bounds the files of one name that are received at one time.
const maxAlike = 64

// create begins to receive in the nth place for files of that name.
func create(cfg SinkConfig, want *sdp.File, n int) (*Sink, error) {
	s := &Sink{cfg: cfg, name: SafeName(want.Name), want: want, sums: newDigests(), limit: -1}
	s.part = filepath.Join(cfg.Dir, s.name+".part")
	if n > 0 {
		s.part = filepath.Join(cfg.Dir, fmt.Sprintf("%s (%d).part", s.name, n))
	}
	f, err := openPart(s.part, want.Range != nil && want.Range.Start > 1)
	if err != nil {
		return nil, err
	}
	s.f, s.out = f, f
	if err := s.prepare(); err != nil {
		_ = f.Close()
		return nil, err
	}
	return s, nil
}

// openPart makes the file of a transfer, or opens the one of an earlier one. What is there and was not made here is left
// alone: for a transfer that begins its place is taken, and one that goes on has no beginning.
func openPart(path string, goesOn bool) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if !errors.Is(err, os.ErrExist) {
		return f, err
	}
	info, err := os.Lstat(path)
	switch {
	case err == nil && ours(info):
		f, err = os.OpenFile(path, os.O_RDWR, 0)
		if errors.Is(err, os.ErrNotExist) {
			return nil, ErrBusy
		}
		return f, err
	case err != nil && !errors.Is(err, os.ErrNotExist):
		return nil, err
	case goesOn:
		return nil, ErrMissing
	}
	return nil, ErrBusy
}

// Through begins to check a file that is written to w as it comes. It keeps nothing, so it has no place for a part whose
// beginning came before: ErrMissing.
func Through(w io.Writer, want *sdp.File, most int64) (*Sink, error) {
	switch {
	case most > 0 && want.Size > most:
		return nil, ErrTooLarge
	case want.Range != nil && want.Range.Start > 1:
		return nil, ErrMissing
	}
	s := &Sink{cfg: SinkConfig{MaxSize: most}, out: w, name: SafeName(want.Name), want: want, sums: newDigests(), limit: -1}
	s.bound()
	return s, nil
}

// bound says how many octets may come, and which is the first.
func (s *Sink) bound() (start int64) {
	start = 1
	stop := s.want.Size
	if r := s.want.Range; r != nil {
		start = r.Start
		if r.Stop > 0 {
			stop = r.Stop
		}
	}
	if stop >= 0 {
		s.limit = stop
	}
	if s.cfg.MaxSize > 0 && (s.limit < 0 || s.limit > s.cfg.MaxSize) {
		s.limit = s.cfg.MaxSize
	}
	return start
}

// prepare takes over what is here of the file, and locks it.
func (s *Sink) prepare() error {
	if !lock(s.f) {
		return ErrBusy
	}
	info, err := s.f.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return ErrNotFile
	}
	// Between opening and locking it may have got its own name, under which it is complete.
	if named, err := os.Lstat(s.part); err != nil || !os.SameFile(info, named) {
		return ErrBusy
	}
	start := s.bound()
	if info.Size() < start-1 {
		if info.Size() == 0 {
			_ = os.Remove(s.part)
		}
		return ErrMissing
	}
	if err := s.f.Truncate(start - 1); err != nil {
		return err
	}
	if _, err := io.Copy(s.sums, io.NewSectionReader(s.f, 0, start-1)); err != nil {
		return err
	}
	s.n = start - 1
	_, err = s.f.Seek(s.n, io.SeekStart)
	return err
}

// Write takes octets in their order. ErrLong and ErrTooLarge are for what is more than was announced, or than is taken.
func (s *Sink) Write(b []byte) (int, error) {
	if s.limit >= 0 && s.n+int64(len(b)) > s.limit {
		if s.limit == s.cfg.MaxSize && s.want.Size != s.limit {
			return 0, ErrTooLarge
		}
		return 0, ErrLong
	}
	n, err := s.out.Write(b)
	_, _ = s.sums.Write(b[:n])
	s.n += int64(n)
	return n, err
}

// Octets is how many octets of the file are here.
func (s *Sink) Octets() int64 { return s.n }

// Name is the name that the file is going to have unless another one has it.
func (s *Sink) Name() string { return s.name }

// Finish checks what came against the description (RFC 5547 section 8.3.1), and gives the file its name. A file that is
// not right is removed, one that is not complete stays, to be resumed. So does a part that ends before the end of the
// file; complete is false then.
func (s *Sink) Finish() (path string, complete bool, err error) {
	if s.f == nil {
		return "", true, s.check()
	}
	defer s.f.Close()
	if err := s.check(); err != nil {
		if !errors.Is(err, ErrShort) {
			_ = os.Remove(s.part)
		}
		return "", false, err
	}
	if r := s.want.Range; r != nil && r.Stop > 0 && s.n < s.want.Size {
		return s.part, false, s.f.Sync()
	}
	if err := s.f.Sync(); err != nil {
		return "", false, err
	}
	path, err = s.publish()
	return path, err == nil, err
}

func (s *Sink) check() error {
	stop := s.want.Size
	if r := s.want.Range; r != nil && r.Stop > 0 {
		stop = r.Stop
	}
	switch {
	case stop >= 0 && s.n < stop:
		return fmt.Errorf("%w: %d of %d octets came", ErrShort, s.n, stop)
	case s.want.Size >= 0 && s.n < s.want.Size:
		return nil // a part: there is nothing to compare its hash with
	}
	for _, want := range s.want.Hashes {
		for _, have := range s.sums.sums() {
			if want.Algorithm == have.Algorithm && !bytes.Equal(want.Sum, have.Sum) {
				return ErrHash
			}
		}
	}
	return nil
}

// publish gives the file its name: one of its own, unless an existing file is to be replaced.
func (s *Sink) publish() (string, error) {
	path := filepath.Join(s.cfg.Dir, s.name)
	if s.cfg.Force {
		return path, os.Rename(s.part, path)
	}
	ext := filepath.Ext(s.name)
	stem := strings.TrimSuffix(s.name, ext)
	for n := 1; n < 10_000; n++ {
		// A link fails where there is something; a rename would replace it.
		err := os.Link(s.part, path)
		if err == nil {
			return path, os.Remove(s.part)
		}
		if !errors.Is(err, os.ErrExist) {
			return path, s.exclusively(path, err)
		}
		path = filepath.Join(s.cfg.Dir, fmt.Sprintf("%s (%d)%s", stem, n, ext))
	}
	return "", fmt.Errorf("there are too many files called %s", s.name)
}

// exclusively is publish for file systems without links.
func (s *Sink) exclusively(path string, cause error) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return cause
	}
	_ = f.Close()
	return os.Rename(s.part, path)
}

// Hashes are those of what is here.
func (s *Sink) Hashes() []sdp.Hash { return s.sums.sums() }

// Abort ends the reception. What is here of the file stays, to be resumed, when keep says so.
func (s *Sink) Abort(keep bool) error {
	if s.f == nil {
		return nil
	}
	if !keep || s.n == 0 {
		_ = os.Remove(s.part)
	}
	return s.f.Close()
}
