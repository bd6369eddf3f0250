package users

import (
	"bufio"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

const (
	// maxLine is the longest line of a file in bytes, maxNotes the number of
	// notes of each kind.
	maxLine  = 64 << 10
	maxNotes = 10
)

// entry is one user as given: with a password (byRealm), which is good in every
// realm served, or with a hash for one realm.
type entry struct {
	where, name, realm string
	// byRealm has the hashes of a password in the order of Config.Realms.
	byRealm []hashes
	alg     int
	ha1     string
}

var (
	errColon    = errors.New("want NAME:PASSWORD or NAME:REALM:HA1, and there is no colon")
	errName     = errors.New("the user name is empty, has a control character or is not UTF-8")
	errPassword = errors.New("the password is empty or not UTF-8")
	errRealm    = errors.New("the realm before the hash is empty")
)

// parse reads NAME:PASSWORD, or NAME:REALM:HA1 when what is behind the second
// colon is 32 or 64 hexadecimal digits: MD5 or SHA-256.
func (s *Source) parse(text string) (entry, error) {
	name, secret, ok := strings.Cut(text, ":")
	if !ok {
		return entry{}, errColon
	}
	name = norm.NFC.String(strings.TrimSpace(name))
	if name == "" || !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl) {
		return entry{}, errName
	}
	if realmName, hash, ok := strings.Cut(secret, ":"); ok && isHash(hash) {
		if realmName == "" {
			return entry{}, errRealm
		}
		e := entry{name: name, realm: realmName, alg: algSHA256, ha1: strings.ToLower(hash)}
		if len(hash) == 32 {
			e.alg = algMD5
		}
		return e, nil
	}
	if secret == "" || !utf8.ValidString(secret) {
		return entry{}, errPassword
	}
	return s.hash(name, norm.NFC.String(secret)), nil
}

// Password splits an entry into name and password. It is not ok for one with a
// hash, and for one that New refuses.
func Password(text string) (name, password string, ok bool) {
	e, err := (&Source{}).parse(text)
	if err != nil || e.ha1 != "" {
		return "", "", false
	}
	_, password, _ = strings.Cut(text, ":")
	return e.name, password, true
}

func isHash(s string) bool {
	return (len(s) == 32 || len(s) == 64) && strings.Trim(s, "0123456789abcdefABCDEF") == ""
}

// hash makes H(A1) of a password for all realms and algorithms.
func (s *Source) hash(name, password string) entry {
	e := entry{name: name, byRealm: make([]hashes, len(s.cfg.Realms))}
	for i, realmName := range s.cfg.Realms {
		for _, a := range s.cfg.Algorithms {
			alg := algorithm(a)
			e.byRealm[i][alg] = sum(alg, name+":"+realmName+":"+password)
		}
	}
	return e
}

// builder makes a set.
type builder struct {
	set *set
	// seen says where names were given: any says a name in whatever form, the
	// others a hash.
	seen map[given]string
	// foreign counts hashes by realms that are not served.
	foreign map[string]int
}

type given struct {
	name, realm string
	alg         int
}

func anyForm(name string) given { return given{name: name, alg: -1} }

// add takes an entry. A name has one password, or one hash for each realm and
// algorithm.
func (b *builder) add(s *Source, e entry) error {
	this := given{e.name, e.realm, e.alg}
	if e.byRealm != nil {
		this = anyForm(e.name)
	}
	for _, g := range [...]given{this, {name: e.name, alg: passwordForm}} {
		if where, ok := b.seen[g]; ok {
			return fmt.Errorf("user %q is there already (%s)", e.name, where)
		}
	}
	b.seen[this] = e.where
	if e.byRealm != nil {
		b.seen[given{name: e.name, alg: passwordForm}] = e.where
		for i, realmName := range s.cfg.Realms {
			b.put(realmName, e.name, e.byRealm[i])
		}
		return nil
	}
	if b.set.realms[e.realm] == nil {
		b.foreign[e.realm]++
		return nil
	}
	b.seen[anyForm(e.name)] = e.where
	h := b.set.realms[e.realm].users[e.name]
	h[e.alg] = e.ha1
	b.put(e.realm, e.name, h)
	return nil
}

const passwordForm = -2

// put writes the hashes of a user, and the hashes of the name with the same
// algorithms.
func (b *builder) put(realmName, name string, h hashes) {
	r := b.set.realms[realmName]
	r.users[name] = h
	for alg, ha1 := range h {
		if ha1 != "" {
			r.hashed[alg][sum(alg, name+":"+realmName)] = name
		}
	}
}

func (s *Source) readFile(b *builder) error {
	if info, err := os.Stat(s.cfg.File); err == nil && s.now.Load() != nil && !info.Mode().IsRegular() {
		return fmt.Errorf("reading users: %s is no regular file and can be read once only", s.cfg.File)
	}
	f, err := os.Open(s.cfg.File)
	if err != nil {
		return fmt.Errorf("reading users: %w", err)
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o077 != 0 {
		b.set.notes = append(b.set.notes, fmt.Sprintf("%s holds passwords and others may read it; use mode 0600", s.cfg.File))
	}
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, maxLine)
	n := 1
	for ; lines.Scan(); n++ {
		text := strings.TrimSuffix(lines.Text(), "\r")
		if n == 1 {
			text = strings.TrimPrefix(text, "\ufeff")
		}
		if start := strings.TrimSpace(text); start == "" || start[0] == '#' {
			continue
		}
		e, err := s.parse(text)
		if err == nil {
			e.where = fmt.Sprintf("%s:%d", s.cfg.File, n)
			err = b.add(s, e)
		}
		if err != nil {
			return fmt.Errorf("%s:%d: %w", s.cfg.File, n, err)
		}
	}
	if err := lines.Err(); errors.Is(err, bufio.ErrTooLong) {
		return fmt.Errorf("%s:%d: the line is longer than %d bytes", s.cfg.File, n, maxLine)
	} else if err != nil {
		return fmt.Errorf("%s:%d: %w", s.cfg.File, n, err)
	}
	return nil
}

// finish counts, and notes what is odd: hashes for realms that are not served,
// and users who cannot answer every algorithm, for clients take the first offer
// that they know.
func (b *builder) finish(s *Source) {
	names := map[string]bool{}
	var gaps []string
	for _, realmName := range slices.Sorted(maps.Keys(b.set.realms)) {
		for name, h := range b.set.realms[realmName].users {
			names[name] = true
			for _, a := range s.cfg.Algorithms {
				if h[algorithm(a)] == "" {
					gaps = append(gaps, fmt.Sprintf("user %q has no %s hash for realm %q: clients that choose %s are refused", name, a, realmName, a))
				}
			}
		}
	}
	b.set.count = len(names)
	slices.Sort(gaps)
	b.note(gaps)
	var foreign []string
	for _, realmName := range slices.Sorted(maps.Keys(b.foreign)) {
		foreign = append(foreign, fmt.Sprintf("%d hashes are for realm %q, which is not served", b.foreign[realmName], realmName))
	}
	b.note(foreign)
}

// note adds notes of one kind, the first few of them.
func (b *builder) note(notes []string) {
	more := len(notes) - maxNotes
	b.set.notes = append(b.set.notes, notes[:min(len(notes), maxNotes)]...)
	if more > 0 {
		b.set.notes = append(b.set.notes, fmt.Sprintf("and %d more of this kind", more))
	}
}
