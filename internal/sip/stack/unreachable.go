package stack

import (
	"bytes"
	"errors"
	"fmt"
	"syscall"
)

// own is an error of writing as far as it may be about what was to be written: nothing local refuses a connection to a
// socket without one, so that datagram is as good as lost, and will be sent again.
func (u *socket) own(err error) error {
	if errors.Is(err, syscall.ECONNREFUSED) {
		return nil
	}
	return err
}

var errUnreachable = errors.New("nobody takes datagrams there")

// refused ends the transaction of a request that came back as not deliverable, as far as it is quoted (RFC 3261 18.4).
// Only who has seen the request knows its branch.
func (u *socket) refused(quoted []byte, cause error) {
	b, ok := quotedBranch(quoted)
	if !ok {
		return
	}
	c := u.s.client
	c.mu.Lock()
	tx := c.table[b]
	c.mu.Unlock()
	if tx != nil && tx.socket == u {
		u.s.fail(tx, fmt.Errorf("sending to %s: %w: %w", tx.to, errUnreachable, cause))
	}
}

// quotedBranch finds the branch of ours in the beginning of a request as appendRequest writes it.
func quotedBranch(b []byte) (branch, bool) {
	_, rest, ok := bytes.Cut(b, lineEnd)
	if !ok || bytes.HasPrefix(b, []byte("SIP/")) {
		return branch{}, false
	}
	line, _, whole := bytes.Cut(rest, lineEnd)
	_, value, ok := bytes.Cut(line, []byte(";branch="))
	if !ok || !whole || !bytes.HasPrefix(line, []byte("Via: ")) {
		return branch{}, false
	}
	value, _, _ = bytes.Cut(value, []byte(";"))
	return parseBranch(value)
}
