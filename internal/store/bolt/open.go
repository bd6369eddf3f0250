package bolt

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

// The errors of [Open] besides those of the file system, to be compared with
// [errors.Is].
var (
	// ErrInUse: another process, or another Store, has the file open.
	ErrInUse = errors.New("the file is in use by another process")
	// ErrForeign: the file is not one of this package, or of a later version.
	ErrForeign = errors.New("the file is not a store of this program")
	// ErrDamaged: the file is a store, but what it holds is damaged.
	ErrDamaged = errors.New("the file is damaged")
)

// DefaultMaxSize is the greatest size of the file unless it is told otherwise:
// 16 GiB.
const DefaultMaxSize = 16 << 30

const (
	// format is the version of what the file holds.
	format = "1"
	// lockWait is how long Open waits for a process that is about to leave.
	lockWait = time.Second
	// mapSize is how much address space is taken at first: until the file is
	// that large it need not be mapped anew, which waits for all readers.
	mapSize = 256 << 20
	// growBy is the step in which the file grows.
	growBy = 4 << 20
	// reserve is how far deletion and expiry may go beyond the greatest size:
	// they write anew what stays in a page.
	reserve = 16 << 20
)

// Config is what a store can be told.
type Config struct {
	// MaxSize is the greatest size of the file in bytes; a Put beyond it is
	// refused with store.ErrUnavailable. Deletion and expiry may take 16 MiB
	// more. 0 is DefaultMaxSize.
	MaxSize int64

	noSync bool // leaves out the waiting for the disk, for tests of everything else
}

// Open opens the store in the file at path, making the file (mode 0600) and its
// directory (0700) when they are missing. It reads the whole file to see that
// it is sound, and waits a second for another process that has it open.
//
// Errors: ErrInUse, ErrForeign, ErrDamaged, or one of the file system. Nothing
// is written to a file that is refused.
func Open(path string, cfg Config) (*Store, error) {
	s, err := open(path, cfg)
	if err != nil {
		return nil, fmt.Errorf("opening the store %s: %w", path, err)
	}
	go newCommitter(s).run()
	return s, nil
}

func open(path string, cfg Config) (s *Store, err error) {
	if err := makeDir(filepath.Dir(path)); err != nil {
		return nil, err
	}
	s = &Store{
		requests: make(chan *request, queueSize),
		stop:     make(chan struct{}),
		ended:    make(chan struct{}),
	}
	s.free.New = func() any { return &request{done: make(chan struct{}, 1)} }
	if err := s.openFile(path, cfg); err != nil {
		s.abandon()
		return nil, err
	}
	if err := s.inspect(); err != nil {
		s.abandon()
		return nil, err
	}
	err = os.Chmod(path, 0o600)
	if err == nil {
		err = syncDir(filepath.Dir(path))
	}
	if err != nil {
		s.abandon()
		return nil, err
	}
	return s, nil
}

// makeDir makes dir, if need be, for this user alone.
func makeDir(dir string) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return syncDir(filepath.Dir(dir))
}

// syncDir makes the names in dir outlive a loss of power.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// abandon closes what openFile has opened, also when bbolt panicked half-way.
func (s *Store) abandon() {
	if s.db != nil {
		s.db.Close()
	} else if s.file != nil {
		unlock(s.file)
		s.file.Close()
	}
}

func (s *Store) openFile(path string, cfg Config) (err error) {
	if cfg.MaxSize == 0 {
		cfg.MaxSize = DefaultMaxSize
	}
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer recovered(&err)
	s.db, err = bbolt.Open(path, 0o600, &bbolt.Options{
		Timeout:         lockWait,
		FreelistType:    bbolt.FreelistMapType,
		InitialMmapSize: mapSize,
		MaxSize:         int(cfg.MaxSize),
		NoSync:          cfg.noSync,
		NoStatistics:    true,
		OpenFile: func(name string, flag int, mode os.FileMode) (*os.File, error) {
			f, err := os.OpenFile(name, flag, mode)
			s.file = f
			return f, err
		},
	})
	switch {
	case err == nil:
		s.db.AllocSize = growBy
		s.maxSize = int(cfg.MaxSize)
		return nil
	case errors.Is(err, berrors.ErrTimeout):
		return ErrInUse
	case errors.Is(err, berrors.ErrChecksum):
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	case errors.Is(err, berrors.ErrInvalid), errors.Is(err, berrors.ErrVersionMismatch):
		return fmt.Errorf("%w: %w", ErrForeign, err)
	case s.file != nil && !isPathError(err):
		return fmt.Errorf("%w: %w", ErrForeign, err) // too small to be one
	}
	return err
}

func isPathError(err error) bool {
	var p *os.PathError
	return errors.As(err, &p)
}

// inspect sees that the file is a store and sound, and makes an empty one a
// store.
func (s *Store) inspect() error {
	empty := false
	err := s.view(func(tx *bbolt.Tx) error {
		if info, err := s.file.Stat(); err != nil || info.Size() < tx.Size() {
			return errors.Join(err, fmt.Errorf("%w: its end is missing", ErrDamaged))
		}
		if k, _ := tx.Cursor().First(); k == nil {
			empty = true
			return nil
		}
		meta := tx.Bucket(metaBucket)
		if meta == nil {
			return fmt.Errorf("%w: it is of another program that uses bbolt", ErrForeign)
		}
		if v := meta.Get([]byte("format")); string(v) != format {
			return fmt.Errorf("%w: it has format %.20q, this version knows %q", ErrForeign, v, format)
		}
		parts := 0
		err := tx.ForEach(func([]byte, *bbolt.Bucket) error { parts++; return nil })
		if err != nil || parts != 3 || tx.Bucket(entriesBucket) == nil || tx.Bucket(expiryBucket) == nil {
			return errors.Join(err, fmt.Errorf("%w: it has not the parts that it must have", ErrDamaged))
		}
		return inspectAll(tx)
	})
	if err != nil || !empty {
		return err
	}
	return s.db.Update(func(tx *bbolt.Tx) error {
		for _, name := range [][]byte{entriesBucket, expiryBucket} {
			if _, err := tx.CreateBucket(name); err != nil {
				return err
			}
		}
		meta, err := tx.CreateBucket(metaBucket)
		if err != nil {
			return err
		}
		return meta.Put([]byte("format"), []byte(format))
	})
}

// inspectAll reads every record, and then has bbolt account for every page: a
// wrong list of free pages would let good ones be overwritten.
func inspectAll(tx *bbolt.Tx) error {
	entries, expiry := tx.Bucket(entriesBucket), tx.Bucket(expiryBucket)
	slots, count := 0, uint64(0)
	err := inOrder(entries, func(k, raw []byte) error {
		count++
		r, err := decode(k, raw)
		if err == nil && r.slot != 0 {
			slots++
		}
		if err == nil && uint64(r.rev) > entries.Sequence() {
			err = fmt.Errorf("%w: the revision of %.200s is ahead of all", ErrDamaged, k)
		}
		return err
	})
	if err == nil && count != expiry.Sequence() {
		err = fmt.Errorf("%w: it holds %d entries and should hold %d", ErrDamaged, count, expiry.Sequence())
	}
	if err != nil {
		return err
	}
	err = inOrder(expiry, func(k, v []byte) error {
		slots--
		due, key := splitDue(k)
		r, found, err := lookup(entries, key)
		if err == nil && (v == nil || !found || r.slot != due) {
			slots = -1
		}
		return err
	})
	if err == nil && slots != 0 {
		err = fmt.Errorf("%w: the index of expiry does not fit the entries", ErrDamaged)
	}
	if err == nil {
		err = inspectPages(tx)
	}
	if err != nil {
		return err
	}
	for bad := range tx.Check(bbolt.WithKVStringer(noKeys{})) {
		if err == nil {
			err = fmt.Errorf("%w: %w", ErrDamaged, bad)
		}
	}
	return err
}

// noKeys has bbolt's check report no keys: damaged ones may end nowhere, and a
// fault there could not be caught.
type noKeys struct{}

func (noKeys) KeyToString([]byte) string   { return "?" }
func (noKeys) ValueToString([]byte) string { return "?" }

// inspectPages sees that no page in use says that it is longer than the file or
// reaches into a free one: bbolt's own check would count that far.
func inspectPages(tx *bbolt.Tx) error {
	end := int(tx.Size() / int64(tx.DB().Info().PageSize))
	used := 0 // pages that the one before claims
	for id := range end {
		p, err := tx.Page(id)
		if err != nil {
			return err
		}
		switch {
		case used > 0 && p.Type == "free", used == 0 && p.Type != "free" && p.OverflowCount >= end-id:
			return fmt.Errorf("%w: page %d is not what it must be", ErrDamaged, id)
		case used > 0:
			used--
		case p.Type != "free":
			used = p.OverflowCount
		}
	}
	return nil
}

// inOrder calls visit for all pairs of b and demands that their keys ascend, as
// damage may lead in circles, and that a search finds each, which goes by the
// keys of inner pages.
func inOrder(b *bbolt.Bucket, visit func(k, v []byte) error) error {
	var last []byte
	c := b.Cursor()
	for k, v := c.First(); k != nil; k, v = c.Next() {
		if last != nil && bytes.Compare(k, last) <= 0 {
			return fmt.Errorf("%w: keys out of order", ErrDamaged)
		}
		if len(k) > bbolt.MaxKeySize {
			return fmt.Errorf("%w: a key of %d bytes", ErrDamaged, len(k))
		}
		last = append(last[:0], k...)
		if b.Get(last) == nil {
			return fmt.Errorf("%w: the key %.200q cannot be found", ErrDamaged, last)
		}
		if err := visit(k, v); err != nil {
			return err
		}
	}
	return nil
}
