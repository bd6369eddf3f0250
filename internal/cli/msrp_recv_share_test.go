package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"imp/internal/doc/sdp"
	msrpfile "imp/internal/msrp/file"
)

// shareOf makes a directory with files of that many names beside one called wanted.
func shareOf(t *testing.T, others int) *msrpRecvOptions {
	dir := t.TempDir()
	for i := range others {
		writeShared(t, filepath.Join(dir, fmt.Sprint("other", i)), "other")
	}
	writeShared(t, filepath.Join(dir, "wanted"), "it is here")
	return &msrpRecvOptions{share: dir}
}

func writeShared(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestShareOfMany asks for a file by its name. What that takes must not grow with the directory: somebody may ask for many.
func TestShareOfMany(t *testing.T) {
	cost := func(o *msrpRecvOptions) float64 {
		return testing.AllocsPerRun(5, func() {
			source, _, err := o.choose(&sdp.File{Name: "wanted", Size: -1})
			if err != nil {
				t.Fatal(err)
			}
			source.Close()
		})
	}
	few, many := cost(shareOf(t, 1)), cost(shareOf(t, 400))
	if many > few+50 {
		t.Errorf("%.0f allocations, %.0f in a small directory", many, few)
	}
}

func TestShareGivesWhatIsThere(t *testing.T) {
	o := shareOf(t, 2)
	outside := filepath.Join(t.TempDir(), "outside")
	writeShared(t, outside, "not for others")
	if err := os.Symlink(outside, filepath.Join(o.share, "link")); err != nil {
		t.Skip("no symbolic links here: ", err)
	}
	if err := os.Mkdir(filepath.Join(o.share, "below"), 0o700); err != nil {
		t.Fatal(err)
	}
	writeShared(t, filepath.Join(o.share, "below", "wanted"), "in a directory")
	up, err := filepath.Rel(o.share, outside)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{".secret", "coming.part"} {
		writeShared(t, filepath.Join(o.share, name), "not whole")
	}
	for _, name := range []string{".secret", "coming.part", "link", outside, up, "below", "below/wanted", "./wanted", "wanted/", ".", "..", "/", "wanted\x00", "absent"} {
		if _, _, err := o.choose(&sdp.File{Name: name, Size: -1}); !errors.Is(err, msrpfile.ErrNoMatch) {
			t.Errorf("%q: %v", name, err)
		}
	}
	source, _, err := o.choose(&sdp.File{Size: int64(len("it is here"))})
	if err != nil || source.Name != "wanted" {
		t.Fatalf("by its size: %v", err)
	}
	source.Close()
	if _, _, err := o.choose(&sdp.File{Size: int64(len("other"))}); !errors.Is(err, msrpfile.ErrMany) {
		t.Errorf("two of a size: %v", err)
	}
}
