package cli

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"imp/internal/cli/kit"
	"imp/internal/doc/pidf"
)

// statusFlags are the flags that say what is published, for publish and pidf
// new.
type statusFlags struct {
	state                  pidf.State
	notes                  []string
	lang                   string
	timeOffset             string
	from, until, lastInput string
	idle                   kit.Duration
	displayName            string
	message                bool
	methods                []string
	names                  []string // of the flags, to tell whether any was given
	cmd                    *cobra.Command
}

// add adds the flags to a command.
func (f *statusFlags) add(cmd *cobra.Command) {
	before := map[string]bool{}
	f.cmd = cmd
	fs := cmd.Flags()
	fs.VisitAll(func(x *pflag.Flag) { before[x.Name] = true })
	s := &f.state
	fs.StringVar(&s.Basic, "basic", "", "whether messages get through: `open|closed`")
	fs.StringArrayVar(&f.notes, "note", nil, "`TEXT` for people, repeatable")
	fs.StringVar(&f.lang, "lang", "", "the `LANGUAGE` of notes and display name, such as en")
	fs.StringSliceVar(&s.Activities, "activity", nil, "what you do: away, busy, meeting …, other:TEXT; several with commas, `LIST`")
	fs.StringSliceVar(&s.Mood, "mood", nil, "how you feel: happy, sleepy …, other:TEXT; several with commas, `LIST`")
	fs.StringSliceVar(&s.PlaceType, "place-type", nil, "where you are: residence, office, train …, other:TEXT, `LIST`")
	fs.StringVar(&s.PlaceAudio, "place-audio", "", "how the place suits sound: `noisy|ok|quiet|unknown`")
	fs.StringVar(&s.PlaceVideo, "place-video", "", "how the place suits video: `toobright|ok|dark|unknown`")
	fs.StringVar(&s.PlaceText, "place-text", "", "how the place suits text: `uncomfortable|inappropriate|ok|unknown`")
	fs.StringSliceVar(&s.Privacy, "privacy", nil, "what nobody nearby perceives: audio, video, text, `LIST`")
	fs.StringVar(&s.Sphere, "sphere", "", "your role: `home|work|unknown`")
	fs.StringVar(&s.Class, "class", "", "a `TOKEN` that rules can name")
	fs.StringVar(&s.Contact, "contact", "", "the `URI` of the service; needs --basic")
	fs.StringVar(&s.Priority, "priority", "", "of the contact, `NUMBER` from 0 to 1")
	fs.StringVar(&s.Relationship, "relationship", "", "of the contact's owner to you: assistant, family …, `WORD`")
	fs.StringVar(&s.ServiceClass, "service-class", "", "the kind of service: electronic, postal …, `WORD`")
	fs.StringVar(&s.UserInput, "user-input", "", "whether somebody types: `active|idle`")
	fs.Var(&f.idle, "idle-threshold", "idle means no input for `DURATION`")
	fs.StringVar(&f.lastInput, "last-input", "", "`TIME` of the last input, RFC 3339")
	fs.StringVar(&f.timeOffset, "time-offset", "", "`MINUTES` east of UTC, or local")
	fs.StringVar(&s.StatusIcon, "status-icon", "", "`URI` of an image of the state")
	fs.StringVar(&f.displayName, "display-name", "", "`NAME` to show")
	fs.StringVar(&s.Info.Card, "card", "", "`URI` of a business card")
	fs.StringVar(&s.Info.Homepage, "homepage", "", "`URI` of a home page")
	fs.StringVar(&s.Info.Icon, "icon", "", "`URI` of an image of the person")
	fs.StringVar(&s.Info.Map, "map", "", "`URI` of a map")
	fs.StringVar(&s.Info.Sound, "sound", "", "`URI` of a sound")
	fs.StringVar(&s.DeviceID, "device-id", "", "`URN` of the device, such as urn:uuid:…")
	fs.StringVar(&f.from, "from-time", "", "the activities and so on hold from `TIME`, RFC 3339")
	fs.StringVar(&f.until, "until-time", "", "the activities and so on hold until `TIME`, RFC 3339")
	fs.StringSliceVar(&f.methods, "methods", nil, "SIP methods the service takes, `LIST`")
	fs.BoolVar(&f.message, "takes-messages", false, "the service takes instant messages")
	fs.VisitAll(func(x *pflag.Flag) {
		if !before[x.Name] {
			f.names = append(f.names, x.Name)
		}
	})
	kit.FlagGroup(fs, "What is said of the state", f.names...)
	for _, w := range statusWords {
		cmd.Long += "\n\n" + w.list()
		cmd.RegisterFlagCompletionFunc(w.flag, w.complete)
	}
}

// statusWord is a flag whose values are words of a list.
type statusWord struct{ flag, element, title string }

// statusWords are the flags with long lists; the help has them at its end.
var statusWords = []statusWord{
	{"activity", "activities", "Activities"}, {"mood", "mood", "Moods"}, {"place-type", "place-type", "Places"},
	{"privacy", "privacy", "Privacy"}, {"relationship", "relationship", "Relationships"}, {"service-class", "service-class", "Classes of services"},
}

// list names all words, in lines for the help.
func (w statusWord) list() string {
	var b strings.Builder
	b.WriteString(w.title + " (--" + w.flag + "):")
	width := b.Len()
	for i, word := range pidf.Values(w.element) {
		if i > 0 {
			b.WriteString(",")
			width++
		}
		if width+1+len(word) >= 80 {
			b.WriteString("\n")
			width = -1
		} else {
			b.WriteString(" ")
		}
		b.WriteString(word)
		width += 1 + len(word)
	}
	return b.String() + "."
}

// complete offers the words for the last one of a list.
func (w statusWord) complete(cmd *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
	before := ""
	if _, several := cmd.Flags().Lookup(w.flag).Value.(pflag.SliceValue); several {
		before = typed[:strings.LastIndexByte(typed, ',')+1]
	}
	var list []string
	for _, word := range pidf.Values(w.element) {
		if other, ok := strings.CutSuffix(word, "TEXT"); ok {
			word = other
		}
		if strings.HasPrefix(before+word, typed) {
			list = append(list, before+word)
		}
	}
	return list, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
}

// known refuses words that are on no list, with the nearest one.
func (f *statusFlags) known() error {
	for _, w := range statusWords {
		flag := f.cmd.Flags().Lookup(w.flag)
		values := []string{flag.Value.String()}
		if list, ok := flag.Value.(pflag.SliceValue); ok {
			values = list.GetSlice()
		}
		allowed := pidf.Values(w.element)
		for _, v := range values {
			if v == "" || slices.Contains(allowed, v) && v != "other:TEXT" || strings.HasPrefix(v, "other:") && v != "other:TEXT" {
				continue
			}
			hint := f.cmd.CommandPath() + " --help lists them"
			if near := kit.Nearest(v, allowed); near != "" {
				hint = "did you mean " + near + "? " + hint
			}
			return kit.Fail(kit.ExitUsage, "reading --"+w.flag, fmt.Sprintf("%q is none of the %d words for it", v, len(allowed)), hint)
		}
	}
	return nil
}

// given tells whether any of the flags was given.
func (f *statusFlags) given(cmd *cobra.Command) bool {
	for _, name := range f.names {
		if cmd.Flags().Changed(name) {
			return true
		}
	}
	return false
}

// readable refuses values that a script hardly meant: empty ones, as of an
// unset variable, and text that XML cannot carry. A note may be empty.
func (f *statusFlags) readable() error {
	for _, name := range f.names {
		flag := f.cmd.Flags().Lookup(name)
		if !flag.Changed {
			continue
		}
		values := []string{flag.Value.String()}
		if list, ok := flag.Value.(pflag.SliceValue); ok {
			values = list.GetSlice()
		}
		if name != "note" && strings.Join(values, "") == "" {
			return kit.Fail(kit.ExitUsage, "reading --"+name, "it is empty", "leave the flag out when there is nothing to say")
		}
		for _, v := range values {
			if bad := strings.IndexFunc(v, notInXML); bad >= 0 {
				return kit.Fail(kit.ExitUsage, "reading --"+name, fmt.Sprintf("byte %d of %q is no character of a document", bad+1, v),
					"text is UTF-8 without control characters; iconv -t UTF-8 converts it")
			}
		}
	}
	return nil
}

// notInXML tells of what is neither UTF-8 nor a character of XML 1.0.
func notInXML(r rune) bool {
	return r == utf8.RuneError || r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0xFFFE || r == 0xFFFF
}

// build makes the document for entity; every part has the time now.
func (f *statusFlags) build(entity string, now time.Time) (*pidf.Document, error) {
	if err := f.readable(); err != nil {
		return nil, err
	}
	if err := f.known(); err != nil {
		return nil, err
	}
	s := f.state
	s.Entity, s.Timestamp = entity, now.UTC().Truncate(time.Millisecond)
	for _, n := range f.notes {
		s.Notes = append(s.Notes, pidf.Note{Lang: f.lang, Text: n})
	}
	if f.displayName != "" {
		s.Info.Names = []pidf.Note{{Lang: f.lang, Text: f.displayName}}
	}
	s.IdleThreshold = f.idle.Std()
	if err := f.times(&s); err != nil {
		return nil, err
	}
	if err := f.offset(&s, now); err != nil {
		return nil, err
	}
	if f.message || len(f.methods) > 0 {
		s.Capabilities = &pidf.Capabilities{}
		if f.message {
			s.Capabilities.Flags = map[string]bool{"message": true}
		}
		if len(f.methods) > 0 {
			s.Capabilities.Support = map[string]pidf.Support{"methods": {Yes: f.methods}}
		}
	}
	d, err := pidf.New(s)
	if err != nil {
		return nil, kit.Fail(kit.ExitUsage, "making the presence document", err, "see --help for what the flags take")
	}
	return d, nil
}

func (f *statusFlags) times(s *pidf.State) error {
	for _, t := range []struct {
		flag, text string
		to         *time.Time
	}{{"from-time", f.from, &s.From}, {"until-time", f.until, &s.Until}, {"last-input", f.lastInput, &s.LastInput}} {
		if t.text == "" {
			continue
		}
		var err error
		if *t.to, err = time.Parse(time.RFC3339, t.text); err != nil {
			return kit.Fail(kit.ExitUsage, "reading --"+t.flag, "it is no time: "+t.text, "write it like 2026-05-04T12:00:00Z")
		}
	}
	return nil
}

func (f *statusFlags) offset(s *pidf.State, now time.Time) error {
	switch {
	case f.timeOffset == "":
		return nil
	case strings.EqualFold(f.timeOffset, "local"):
		zone, seconds := now.Local().Zone()
		minutes := seconds / 60
		s.TimeOffset, s.TimeZone = &minutes, zone
		return nil
	}
	minutes, err := parseMinutes(f.timeOffset)
	if err != nil {
		return kit.Fail(kit.ExitUsage, "reading --time-offset", err, "write it like -300 or 60, or local")
	}
	s.TimeOffset = &minutes
	return nil
}
