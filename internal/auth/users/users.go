// Package users holds who may come in by digest authentication: names with
// H(A1) as RFC 7616 section 3.4.2 defines it, read from a file and from single
// entries. Passwords are hashed when they are read and not kept (section 5.2).
package users

import (
	"crypto/md5"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"slices"
	"sync/atomic"
)

// Config says where users come from. Realms is needed.
type Config struct {
	// Realms are the realms that passwords are good for.
	Realms []string
	// Algorithms are those that passwords are hashed with, by their registered
	// names MD5, SHA-256 and SHA-512-256; default SHA-256 and MD5.
	Algorithms []string
	// Entries are of the form NAME:PASSWORD or NAME:REALM:HA1.
	Entries []string
	// File, if not empty, is a file with an entry on each line.
	File string
}

// Source is a set of users. Its methods may be called concurrently, also with
// Reload.
type Source struct {
	cfg     Config
	entries []entry
	now     atomic.Pointer[set]
}

// set is what one reading gave. It is not changed afterwards.
type set struct {
	realms map[string]*realm
	count  int
	notes  []string
}

// realm has the users of one realm: H(A1) by name, and names by H(name:realm).
type realm struct {
	users  map[string]hashes
	hashed [numAlgorithms]map[string]string
}

// hashes has H(A1) in hexadecimal digits by algorithm; empty where only a hash
// of another algorithm is known.
type hashes [numAlgorithms]string

const (
	algMD5 = iota
	algSHA256
	algSHA512256
	numAlgorithms
)

var algorithmNames = [numAlgorithms]string{"MD5", "SHA-256", "SHA-512-256"}

func algorithm(name string) int { return slices.Index(algorithmNames[:], name) }

func sum(alg int, s string) string {
	switch alg {
	case algMD5:
		h := md5.Sum([]byte(s))
		return hex.EncodeToString(h[:])
	case algSHA256:
		h := sha256.Sum256([]byte(s))
		return hex.EncodeToString(h[:])
	default:
		h := sha512.Sum512_256([]byte(s))
		return hex.EncodeToString(h[:])
	}
}

// New reads the users for the first time. Errors of a file carry file:line;
// none of them shows a password.
func New(cfg Config) (*Source, error) {
	if len(cfg.Realms) == 0 {
		return nil, fmt.Errorf("reading users: no realm given")
	}
	if len(cfg.Algorithms) == 0 {
		cfg.Algorithms = []string{algorithmNames[algSHA256], algorithmNames[algMD5]}
	}
	s := &Source{cfg: cfg}
	for _, a := range cfg.Algorithms {
		if algorithm(a) < 0 {
			return nil, fmt.Errorf("reading users: unknown algorithm %q; known are %q", a, algorithmNames)
		}
	}
	for i, text := range cfg.Entries {
		e, err := s.parse(text)
		if err != nil {
			return nil, fmt.Errorf("user %d: %w", i+1, err)
		}
		e.where = fmt.Sprintf("user %d", i+1)
		s.entries = append(s.entries, e)
	}
	s.cfg.Entries = nil
	return s, s.Reload()
}

// Reload reads the file again and takes its users in one step; after an error
// the old ones stay.
func (s *Source) Reload() error {
	b := &builder{set: &set{realms: map[string]*realm{}}, seen: map[given]string{}, foreign: map[string]int{}}
	for _, name := range s.cfg.Realms {
		r := &realm{users: map[string]hashes{}}
		for i := range r.hashed {
			r.hashed[i] = map[string]string{}
		}
		b.set.realms[name] = r
	}
	for _, e := range s.entries {
		if err := b.add(s, e); err != nil {
			return err
		}
	}
	if s.cfg.File != "" {
		if err := s.readFile(b); err != nil {
			return err
		}
	}
	b.finish(s)
	s.now.Store(b.set)
	return nil
}

// HA1 gives H(A1) of a user in hexadecimal digits. It is not ok for an unknown
// user, and for one that only a hash of another algorithm is known of.
func (s *Source) HA1(algorithmName, realmName, name string) (ha1 string, ok bool) {
	alg := algorithm(algorithmName)
	r := s.now.Load().realms[realmName]
	if alg < 0 || r == nil {
		return "", false
	}
	ha1 = r.users[name][alg]
	return ha1, ha1 != ""
}

// NameOf finds the user whose H(name:realm) is hash (RFC 7616 section 3.4.4).
func (s *Source) NameOf(algorithmName, realmName, hash string) (name string, ok bool) {
	alg := algorithm(algorithmName)
	r := s.now.Load().realms[realmName]
	if alg < 0 || r == nil {
		return "", false
	}
	name, ok = r.hashed[alg][hash]
	return name, ok
}

// Len is the number of users, each counted once.
func (s *Source) Len() int { return s.now.Load().count }

// Has reports whether there is a user of that name in the realm.
func (s *Source) Has(realmName, name string) bool {
	r := s.now.Load().realms[realmName]
	if r == nil {
		return false
	}
	_, ok := r.users[name]
	return ok
}

// Notes are what the last reading found odd, for a log: a file that others may
// read, realms that are not served, users who cannot use what is offered.
func (s *Source) Notes() []string { return s.now.Load().notes }
