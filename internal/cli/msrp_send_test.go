package cli

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"imp/internal/cli/kit"
	msrpfile "imp/internal/msrp/file"
)

// TestProgressBar gives the first bytes at once: they are in a buffer, and tell no rate.
func TestProgressBar(t *testing.T) {
	var out bytes.Buffer
	now := time.Now()
	k := kit.New(kit.Streams{Out: new(bytes.Buffer), Err: &out, ErrTTY: true})
	k.Now = func() time.Time { return now }
	o := &msrpSendOptions{kit: k}
	p := o.progress(&msrpfile.Source{Name: "huge"}, 1<<40)
	p.at(1 << 38)
	if out.Len() != 0 {
		t.Errorf("at the first byte there is %q", out.String())
	}
	now = now.Add(barEvery)
	p.at(1<<38 + 1)
	if !strings.Contains(out.String(), "huge") {
		t.Errorf("later there is %q", out.String())
	}
}
