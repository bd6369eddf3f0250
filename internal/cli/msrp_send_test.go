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
	p := o.progress(&msrpfile.Source{Name: "huge"}, 0, 1<<40)
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

// TestProgressResumed looks at a file of which a part was sent before: what is shown is of the whole.
func TestProgressResumed(t *testing.T) {
	var out, shown bytes.Buffer
	k := kit.New(kit.Streams{Out: &out, Err: &shown})
	k.Output = kit.OutputJSON
	o := &msrpSendOptions{kit: k}
	o.progress(&msrpfile.Source{Name: "rest"}, 700, 300).at(300)
	if s := out.String(); !strings.Contains(s, `"sent":1000,"size":1000`) {
		t.Errorf("got %s", s)
	}
	k = kit.New(kit.Streams{Out: &out, Err: &shown, ErrTTY: true})
	o = &msrpSendOptions{kit: k}
	o.progress(&msrpfile.Source{Name: "rest"}, 700, 300)
	if s := shown.String(); !strings.Contains(s, "70%") {
		t.Errorf("got %q", s)
	}
}
