package kit

import (
	"errors"
	"time"
)

// Duration is a flag value that takes bare seconds (10, 0.5) or the form of Go (1m30s). It is never negative.
type Duration time.Duration

// ParseDuration reads bare seconds or the form of Go. The error follows the value in a message: "x" is no duration.
func ParseDuration(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if err != nil {
		d, err = time.ParseDuration(s + "s")
	}
	if err != nil {
		return 0, errors.New("is no duration: give seconds or a form like 1m30s")
	}
	if d < 0 {
		return 0, errors.New("is negative")
	}
	return d, nil
}

// Set implements pflag.Value.
func (d *Duration) Set(s string) error {
	v, err := ParseDuration(s)
	if err == nil {
		*d = Duration(v)
	}
	return err
}

// String implements pflag.Value.
func (d *Duration) String() string { return time.Duration(*d).String() }

// Type implements pflag.Value.
func (d *Duration) Type() string { return "duration" }

// Std returns the value as the standard library's type.
func (d Duration) Std() time.Duration { return time.Duration(d) }
