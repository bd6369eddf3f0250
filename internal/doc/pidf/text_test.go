package pidf

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func show(t *testing.T, d *Document, in *time.Location) string {
	t.Helper()
	var b strings.Builder
	if err := d.WriteText(&b, noon, in); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestWriteText(t *testing.T) {
	d, err := New(full())
	if err != nil {
		t.Fatal(err)
	}
	d.Notes = []Note{{"", "Back on Monday"}}
	d.Tuples[0].Extensions = []Raw{{"urn:example:x", "a", nil}}
	d.Tuples[0].Timed[0].From = noon.Add(24 * time.Hour)
	want := `sip:alice@example.com  open
  note: Back on Monday
  tuple  imp-1  open  sip:alice@192.0.2.1  priority 0.8  since 13:00:00
    note: At lunch [en]
    service: electronic
    class: private
    input: idle  after 10m0s  last 12:00:00
    capabilities: message
    methods: MESSAGE
    at another time:  closed  from 2026-11-23 13:00:00
    devices: urn:uuid:d27459b7-8213-4395-aa77-ed859a3e5b3a
    extension: a  urn:example:x
  person  alice  since 13:00:00
    activities: lunch, gardening  from 13:00:00 until 15:00:00
    mood: in_love  from 13:00:00 until 15:00:00
    place: audio=noisy, video=ok, text=ok  from 13:00:00 until 15:00:00
    place type: restaurant  from 13:00:00 until 15:00:00
    privacy: text  from 13:00:00 until 15:00:00
    sphere: home  from 13:00:00 until 15:00:00
    time: UTC-05:00, America/New_York  from 13:00:00 until 15:00:00
    class: private
    status icon: https://example.com/i.png  from 13:00:00 until 15:00:00
    name: Alice
    card: https://example.com/c
    homepage: https://example.com/
    icon: https://example.com/i
    map: https://example.com/m
    sound: https://example.com/s
  device  phone  urn:uuid:d27459b7-8213-4395-aa77-ed859a3e5b3a  since 13:00:00
    class: private
    mobility: mobile
`
	if diff := cmp.Diff(want, show(t, d, time.FixedZone("", 3600))); diff != "" {
		t.Error(diff)
	}
	t.Run("PDF-030 nothing is shown for what is not told", func(t *testing.T) {
		if got := show(t, &Document{Entity: alice, Persons: []Person{{ID: "p"}}}, nil); got != alice+"\n  person  p\n" {
			t.Errorf("got %q", got)
		}
	})
	t.Run("half hours west of UTC", func(t *testing.T) {
		d := &Document{Persons: []Person{{TimeOffsets: []TimeOffset{{Minutes: -30}, {Minutes: 345}}}}}
		if got := show(t, d, nil); !strings.Contains(got, "UTC-00:30\n") || !strings.Contains(got, "UTC+05:45\n") {
			t.Errorf("got %q", got)
		}
	})
	t.Run("no control character comes through", func(t *testing.T) {
		nasty := "a\x1b[2J\u009b\u202e\u2028\u200b\u2066b\tc\r\nd\x00\x7f\xff"
		raw := []Raw{{nasty, nasty, nil}}
		n := []Note{{nasty, nasty}}
		e := []Enumeration{{Notes: n, Values: []string{nasty}, Other: n}}
		info := ContactInfo{Card: nasty, Names: n}
		d := &Document{
			Entity: nasty, Notes: n, Extensions: raw,
			Tuples: []Tuple{{
				ID: nasty, Contact: Contact{nasty, nasty}, Notes: n, Class: nasty, DeviceIDs: []string{nasty}, Status: raw, Info: info, Timed: []TimedStatus{{Note: n[0]}},
				Relation: &Relationship{Value: nasty}, Service: &ServiceClass{Value: nasty}, Icons: []StatusIcon{{URI: nasty}}, Privacy: []Privacy{{Values: []string{nasty}}},
				Caps: &Capabilities{Descriptions: n, Types: []string{nasty}, Support: map[string]Support{nasty: {Yes: []string{nasty}}}, Flags: map[string]bool{nasty: true}},
			}},
			Persons: []Person{{
				ID: nasty, Notes: n, Activities: e, Moods: e, Spheres: []Sphere{{Value: nasty}}, TimeOffsets: []TimeOffset{{Description: nasty}}, Extensions: raw,
				Places: []PlaceIs{{Audio: nasty}},
			}},
			Devices: []Device{{ID: nasty, DeviceID: nasty, Notes: n, Class: nasty}},
		}
		for _, r := range show(t, d, nil) {
			if r != '\n' && (r < ' ' || r >= 0x7F && r <= 0x9F || r >= 0x2028 && r <= 0x202E || r >= 0x200B && r <= 0x200F || r >= 0x2066 && r <= 0x2069) {
				t.Fatalf("%U comes through", r)
			}
		}
	})
	t.Run("the error of the writer is told", func(t *testing.T) {
		if err := d.WriteText(failing{}, noon, nil); !errors.Is(err, errFull) {
			t.Errorf("got %v", err)
		}
	})
}

var errFull = errors.New("full")

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, errFull }
