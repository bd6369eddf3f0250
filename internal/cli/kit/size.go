package kit

import (
	"errors"
	"math"
	"strconv"
	"strings"
)

// Bytes is a number of bytes as the value of a flag: 65536, 64k, 10M, 2G or 64KiB, with powers of 1024.
type Bytes int64

// ParseBytes reads one. The error follows the value in a message: "x" is no size.
func ParseBytes(s string) (Bytes, error) {
	digits := strings.TrimRight(s, "kKmMgGtTiBb")
	shift, ok := map[string]uint{"": 0, "k": 10, "m": 20, "g": 30, "t": 40}[strings.TrimSuffix(strings.ToLower(s[len(digits):]), "ib")]
	n, err := strconv.ParseInt(digits, 10, 64)
	switch {
	case errors.Is(err, strconv.ErrRange), err == nil && ok && n > math.MaxInt64>>shift:
		return 0, errors.New("is too large")
	case err != nil, !ok, strings.EqualFold(s[len(digits):], "ib"):
		return 0, errors.New("is no size: give bytes, or a form like 64k or 10M")
	case n < 0:
		return 0, errors.New("is negative")
	}
	return Bytes(n << shift), nil
}

// Set implements pflag.Value.
func (b *Bytes) Set(s string) error {
	v, err := ParseBytes(s)
	if err == nil {
		*b = v
	}
	return err
}

// String implements pflag.Value.
func (b *Bytes) String() string { return strconv.FormatInt(int64(*b), 10) }

// Type implements pflag.Value.
func (b *Bytes) Type() string { return "bytes" }
