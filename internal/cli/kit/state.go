package kit

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// stateTip says where the state is, when it cannot be used.
const stateTip = "IMP_STATE, else XDG_STATE_HOME, says where state is kept; it must be writable"

// State keeps small JSON values between runs, such as the entity-tags of publications, one file a key under $IMP_STATE, else $XDG_STATE_HOME/imp. Only the user can read them.
type State struct{ dir string }

// State returns the user's state, or what $IMP_STATE has instead, as in a lab. Nothing is read or made yet.
func (k *Kit) State() *State {
	if dir := k.Env("IMP_STATE"); dir != "" {
		return &State{k.Path(dir)}
	}
	return &State{k.StateHome()}
}

// StateHome returns the directory of the user's own state, whatever $IMP_STATE says.
func (k *Kit) StateHome() string {
	dir := k.Env("XDG_STATE_HOME")
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(k.Env("HOME"), ".local", "state")
	}
	return filepath.Join(dir, "imp")
}

// Dir returns the directory of the state, for files that are not small values.
func (s *State) Dir() string { return s.dir }

// file returns the file of a key. A key is a path of words, "publish/sip:alice@example.com/presence": the last slash parts directory and file, and no word can leave the directory.
func (s *State) file(key string) string {
	parts := strings.Split(key, "/")
	for i, p := range parts {
		parts[i] = strings.ReplaceAll(url.QueryEscape(p), "%40", "@")
		if p == "" || strings.Trim(p, ".") == "" {
			parts[i] = strings.ReplaceAll(p, ".", "%2E") + "%"
		}
	}
	return filepath.Join(s.dir, filepath.Join(parts...)) + ".json"
}

// Get reads the value of the key into v and reports whether there is one. Errors have status 2.
func (s *State) Get(key string, v any) (bool, error) {
	name := s.file(key)
	data, err := os.ReadFile(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, Fail(ExitUsage, "reading state "+name, plainCause(err), stateTip)
	}
	if err := json.Unmarshal(data, v); err != nil {
		return false, Fail(ExitUsage, "reading state "+name, err, "delete the file if it is damaged")
	}
	return true, nil
}

// Put writes the value of the key; a reader sees the old value or the new one and nothing between. Errors have status 2.
func (s *State) Put(key string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return Fail(ExitBug, "writing state "+key, err, "")
	}
	return WriteFile(s.file(key), append(data, '\n'))
}

// Delete removes the key; it need not exist.
func (s *State) Delete(key string) error {
	name := s.file(key)
	if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Fail(ExitUsage, "deleting state "+name, plainCause(err), stateTip)
	}
	return nil
}

// lockPoll is the pause between two tries to get a lock that another process holds.
const lockPoll = 50 * time.Millisecond

// Lock keeps other processes out of the key until the returned function is called or the process ends; it waits while another process has it. Two cron jobs that read, act on and write
// the same key take the lock round all three. Errors have status 2, or 4 when ctx ends first.
func (s *State) Lock(ctx context.Context, key string) (unlock func(), err error) {
	name := strings.TrimSuffix(s.file(key), ".json") + ".lock"
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return nil, Fail(ExitUsage, "locking state "+name, plainCause(err), stateTip)
	}
	f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, Fail(ExitUsage, "locking state "+name, plainCause(err), stateTip)
	}
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch {
		case err == nil:
			return func() { f.Close() }, nil
		case !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR):
			f.Close()
			return nil, Fail(ExitUsage, "locking state "+name, err, stateTip)
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, Fail(ExitTimeout, "locking state "+name, ctx.Err(), "another imp process has it")
		case <-time.After(lockPoll):
		}
	}
}

// WriteFile writes a file that only the user can read, in one step: to a temporary file beside it, then renamed. Missing directories are made. Errors have status 2.
func WriteFile(name string, data []byte) error {
	dir := filepath.Dir(name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return Fail(ExitUsage, "writing "+name, plainCause(err), "the directory must be writable and have room")
	}
	f, err := os.CreateTemp(dir, "."+filepath.Base(name)+".*") // mode 0600
	if err != nil {
		return Fail(ExitUsage, "writing "+name, plainCause(err), "the directory must be writable and have room")
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		os.Remove(f.Name())
		return Fail(ExitUsage, "writing "+name, plainCause(err), "the directory must be writable and have room")
	}
	return nil
}
