package event

import (
	"crypto/rand"
	"encoding/base32"
	"encoding/binary"
	"errors"
	"strconv"
	"strings"
	"time"

	"imp/internal/store"
)

// Publication is one live publication: a chain of entity-tags with its state.
type Publication struct {
	ID        string // the part of the entity-tag that stays
	Type      string // media type of Body
	Body      []byte // shared with the store, read-only
	Published time.Time
	Expires   time.Time

	seq     uint64 // counts the successes of the chain
	writeID uint64 // marks the write that made this value
}

// Tag is the current entity-tag of the publication. It contains the id, so
// that one key is read to find it, and a number that never repeats in the
// chain (RFC 3903 section 6 step 6).
func (p *Publication) Tag() string {
	return p.ID + "-" + strconv.FormatUint(p.seq, 36)
}

// splitTag gives the publication's id that tag contains, "" when this server
// never made such a tag.
func splitTag(tag string) string {
	id, seq, ok := strings.Cut(tag, "-")
	if !ok || len(id) != publicationIDLen || seq == "" {
		return ""
	}
	return id
}

var idEncoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

const publicationIDLen = 16

// newPublicationID makes 80 unguessable bits.
func newPublicationID() string {
	var b [10]byte
	rand.Read(b[:])
	return idEncoding.EncodeToString(b[:])
}

func newWriteID() uint64 {
	var b [8]byte
	rand.Read(b[:])
	return binary.BigEndian.Uint64(b[:])
}

// publicationKey is where a publication is stored.
func publicationKey(resource, event, id string) string {
	return store.Key("pub", resource, event, id)
}

const valueVersion = 2

// fixedLen is the length of what stands before the numbers of any length in the
// stored form.
const fixedLen = 1 + 2*8

// encode gives the stored form: version, write id, time of publication, as
// varints sequence number and length of the type, type, body.
func (p *Publication) encode() []byte {
	var room [fixedLen + 2*binary.MaxVarintLen64]byte
	b := append(room[:0], valueVersion)
	b = binary.BigEndian.AppendUint64(b, p.writeID)
	b = binary.BigEndian.AppendUint64(b, uint64(p.Published.UnixNano()))
	b = binary.AppendUvarint(b, p.seq)
	b = binary.AppendUvarint(b, uint64(len(p.Type)))
	stored := make([]byte, 0, len(b)+len(p.Type)+len(p.Body)) // as long as it must be: there may be many
	return append(append(append(stored, b...), p.Type...), p.Body...)
}

var errStoredForm = errors.New("stored publication is not in a form this version reads")

// decodePublication reads what encode wrote; Body shares the entry's value.
func decodePublication(id string, e store.Entry) (Publication, error) {
	b := e.Value
	if len(b) < fixedLen || b[0] != valueVersion {
		return Publication{}, errStoredForm
	}
	rest := b[fixedLen:]
	seq, size := binary.Uvarint(rest)
	if size <= 0 {
		return Publication{}, errStoredForm
	}
	rest = rest[size:]
	n, size := binary.Uvarint(rest)
	if size <= 0 || n > uint64(len(rest)-size) {
		return Publication{}, errStoredForm
	}
	body := rest[size+int(n):]
	return Publication{
		ID:        id,
		seq:       seq,
		writeID:   binary.BigEndian.Uint64(b[1:]),
		Published: time.Unix(0, int64(binary.BigEndian.Uint64(b[9:]))),
		Type:      string(rest[size : size+int(n)]),
		Body:      body[:len(body):len(body)],
		Expires:   e.Expires,
	}, nil
}
