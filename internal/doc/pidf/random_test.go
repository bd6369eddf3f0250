package pidf

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"imp/internal/xml/tree"
)

// generator makes random documents, the same ones each time.
type generator struct {
	*rand.Rand
	ids int
}

func newGenerator(seed uint64) *generator { return &generator{Rand: rand.New(rand.NewPCG(seed, 1))} }

func pick[E any](g *generator, list []E) E { return list[g.IntN(len(list))] }

func (g *generator) often() bool  { return g.IntN(3) > 0 }
func (g *generator) seldom() bool { return g.IntN(4) == 0 }

func some[E any](g *generator, most int, one func() E) (list []E) {
	for range g.IntN(most + 1) {
		list = append(list, one())
	}
	return list
}

func maybe[E any](g *generator, one func() E) (e E) {
	if g.often() {
		e = one()
	}
	return e
}

func (g *generator) id() string {
	g.ids++
	return fmt.Sprintf("%s%d", pick(g, []string{"t", "_", "é", "p-1.", "ID"}), g.ids)
}

func (g *generator) words() string {
	return pick(g, []string{
		"at my desk", "a < b & c > d", `"quoted" 'twice'`, "žluťoučký kůň", "日本語 🐎", "line\nbreak", "tab\tin", "]]>", "<!-- -->", "&amp;", "x",
	})
}

func (g *generator) note() Note {
	return Note{pick(g, []string{"", "en", "pt-BR", "i-default", "zh-Hant-TW"}), g.words()}
}

func (g *generator) notes() []Note {
	list := some(g, 3, g.note)
	slices.SortFunc(list, func(a, b Note) int { return strings.Compare(a.Lang+a.Text, b.Lang+b.Text) })
	return slices.Compact(list)
}

func (g *generator) time() time.Time {
	zone := pick(g, []*time.Location{time.UTC, time.UTC, time.FixedZone("", 3600), time.FixedZone("", -5*3600-30*60)})
	return time.UnixMilli(1_700_000_000_000 + g.Int64N(100_000_000_000)).In(zone)
}

func (g *generator) uri() string {
	return pick(g, []string{
		"sip:alice@example.com", "sip:bob@192.0.2.1:5060;transport=tcp", "im:alice@example.com", "mailto:a%20b@example.com", "tel:+4912345",
		"https://example.com/a?b=c&d=e#f", "http://example.com/~alice/ž.png", "xmpp:alice@example.com",
	})
}

func (g *generator) raw() Raw {
	xml := pick(g, []string{
		`<x:a xmlns:x="urn:example:x"/>`,
		`<a xmlns="urn:example:y"><b c="d">text &amp; more</b><!-- kept --></a>`,
		`<x:a xmlns:x="urn:example:x" xmlns:dm="urn:example:other"><dm:b dm:c="1"/></x:a>`,
		`<y:z xmlns:y="http://example.com/ns"><n xmlns="">none</n><![CDATA[<raw>]]></y:z>`,
		`<rpid:new xmlns:rpid="urn:ietf:params:xml:ns:pidf:rpid"><rpid:part/></rpid:new>`,
		`<o:online xmlns:o="http://example.com/online" xmlns:q="urn:example:q" type="q:name"/>`,
	})
	t, err := tree.Parse([]byte(xml), tree.Options{})
	if err != nil {
		panic(err)
	}
	return rawOf(t.Root())
}

func (g *generator) strange() []Raw { return some(g, g.IntN(3), g.raw) }

func (g *generator) span() (s Span) {
	if g.seldom() {
		s.ID = g.id()
	}
	s.From = maybe(g, g.time)
	if g.seldom() {
		s.Until = g.time()
	}
	return s
}

// values picks different ones, unknown alone.
func (g *generator) values(list []string) []string {
	values := some(g, 3, func() string { return pick(g, list) })
	slices.Sort(values)
	values = slices.Compact(values)
	if slices.Contains(values, "unknown") {
		return []string{"unknown"}
	}
	return values
}

func (g *generator) enumeration(list []string) Enumeration {
	e := Enumeration{Span: g.span(), Notes: g.notes(), Values: g.values(list)}
	if !slices.Contains(e.Values, "unknown") {
		if len(e.Values) == 0 || g.seldom() {
			e.Other = []Note{g.note()}
		}
	}
	return e
}

func (g *generator) placeType() Enumeration {
	e := g.enumeration(placeTypeNames)
	if len(e.Values) > 0 {
		e.Other = nil
	}
	return e
}

// spans makes several of an element tell their times, so that they may stand together.
func spans[E any](g *generator, list []E, span func(*E) *Span) []E {
	for i := range list {
		if s := span(&list[i]); i > 0 && s.From.IsZero() {
			s.From = g.time()
		}
	}
	return list
}

func (g *generator) privacy() []Privacy {
	return spans(g, some(g, 2, func() Privacy {
		p := Privacy{Span: g.span(), Notes: g.notes(), Values: g.values([]string{"audio", "text", "video", "unknown"})}
		if !slices.Contains(p.Values, "unknown") {
			p.Raw = slices.DeleteFunc(g.strange(), func(r Raw) bool { return r.Space == RPIDSpace })
		}
		return p
	}), func(p *Privacy) *Span { return &p.Span })
}

func (g *generator) icons() []StatusIcon {
	return spans(g, some(g, 2, func() StatusIcon { return StatusIcon{g.span(), g.uri()} }), func(s *StatusIcon) *Span { return &s.Span })
}

func (g *generator) input() *UserInput {
	if g.often() {
		return nil
	}
	return &UserInput{Idle: g.seldom(), Threshold: seconds(g.IntN(3) * 300), Last: maybe(g, g.time)}
}

func (g *generator) info() (i ContactInfo) {
	for _, name := range []string{"card", "homepage", "icon", "map", "sound"} {
		if g.seldom() {
			*i.field(name) = g.uri()
		}
	}
	if g.seldom() {
		i.Names = []Note{{"", "Alice"}, {"ko", "앨리스"}}
	}
	return i
}

func (g *generator) capabilities() *Capabilities {
	if g.often() {
		return nil
	}
	c := &Capabilities{Descriptions: g.notes(), Extensions: g.strange()}
	for _, flag := range g.values(capsFlags) {
		set(&c.Flags, flag, g.often())
	}
	for _, name := range g.values([]string{"actor", "class", "duplex", "event-packages", "extensions", "methods"}) {
		list := capsSupport[name]
		s := Support{Yes: []string{optionTag(list[0])}}
		if g.often() {
			s.No = []string{optionTag(list[len(list)-1])}
		}
		set(&c.Support, name, s)
	}
	if g.seldom() {
		set(&c.Support, "languages", Support{Yes: []string{"en", "cs"}})
		c.Priorities = []PriorityRange{{true, "equals", 3, 3}, {true, "higherthan", 2, 0}, {true, "range", 1, 9}, {false, "lowerthan", 0, 7}}
		c.Types = []string{"text/plain", "message/cpim"}
	}
	return c
}

func (g *generator) tuple() Tuple {
	t := Tuple{
		ID: g.id(), Basic: pick(g, []string{Open, Closed}), Status: g.strange(), Notes: g.notes(), Timestamp: maybe(g, g.time), Class: pick(g, []string{"", "work"}),
		Privacy: g.privacy(), Icons: g.icons(), UserInput: g.input(), Info: g.info(), Caps: g.capabilities(), Extensions: g.strange(),
		DeviceIDs: some(g, 2, func() string { return fmt.Sprintf("urn:uuid:%d", g.IntN(100)) }),
	}
	if g.often() {
		t.Contact = Contact{g.uri(), pick(g, []string{"", "0", "0.5", "0.725", "1", "1.000"})}
	}
	if g.seldom() {
		t.Relation = &Relationship{Notes: g.notes(), Value: pick(g, relationshipNames)}
	}
	if g.seldom() {
		t.Relation = &Relationship{Value: "other", Other: g.note()}
	}
	if g.seldom() {
		t.Service = &ServiceClass{Notes: g.notes(), Value: pick(g, serviceClassNames)}
	}
	t.Timed = some(g, 2, func() TimedStatus {
		return TimedStatus{From: g.time(), Until: maybe(g, g.time), Basic: pick(g, []string{"", Open, Closed}), Note: maybe(g, g.note), Extensions: g.strange()}
	})
	return t
}

func (g *generator) person() Person {
	p := Person{
		ID: g.id(), Notes: g.notes(), Timestamp: maybe(g, g.time), Privacy: g.privacy(), Icons: g.icons(), UserInput: g.input(),
		Class: pick(g, []string{"", "private"}), Info: g.info(), Extensions: g.strange(),
	}
	ofEnumeration := func(e *Enumeration) *Span { return &e.Span }
	p.Activities = spans(g, some(g, 2, func() Enumeration { return g.enumeration(activityNames) }), ofEnumeration)
	p.Moods = spans(g, some(g, 2, func() Enumeration { return g.enumeration(moodNames) }), ofEnumeration)
	p.PlaceTypes = spans(g, some(g, 2, g.placeType), ofEnumeration)
	p.Places = spans(g, some(g, 2, func() PlaceIs {
		return PlaceIs{g.span(), g.notes(), pick(g, audioPlaces), pick(g, videoPlaces), pick(g, textPlaces)}
	}), func(p *PlaceIs) *Span { return &p.Span })
	p.Spheres = spans(g, some(g, 2, func() Sphere { return Sphere{Span: g.span(), Value: pick(g, sphereNames)} }), func(s *Sphere) *Span { return &s.Span })
	p.TimeOffsets = spans(g, some(g, 2, func() TimeOffset {
		return TimeOffset{g.span(), g.IntN(1680) - 840, pick(g, []string{"", "Europe/Prague"})}
	}), func(o *TimeOffset) *Span { return &o.Span })
	return p
}

func (g *generator) device() Device {
	d := Device{
		ID: g.id(), DeviceID: fmt.Sprintf("urn:uuid:%d", g.IntN(100)), Notes: g.notes(), Timestamp: maybe(g, g.time), UserInput: g.input(),
		Class: pick(g, []string{"", "mobile"}), Extensions: g.strange(),
	}
	if g.seldom() {
		d.Caps = &Capabilities{Descriptions: g.notes(), Support: map[string]Support{"mobility": {Yes: []string{"mobile"}, No: []string{"fixed"}}}}
	}
	return d
}

func (g *generator) document() *Document {
	return &Document{
		Entity: "sip:alice@example.com", Tuples: some(g, 3, g.tuple), Notes: g.notes(), Persons: some(g, 2, g.person), Devices: some(g, 2, g.device),
		Extensions: g.strange(),
	}
}

// mutate writes a document anew with elements moved, lost, doubled and invented, and values damaged.
func (g *generator) mutate(src []byte) []byte {
	t, err := tree.Parse(src, tree.Options{})
	if err != nil {
		panic(err)
	}
	var b bytes.Buffer
	root := t.Root()
	start, _ := root.Range()
	inner, end := root.Inner()
	b.Write(src[start:inner])
	g.content(&b, root)
	b.Write(src[end:])
	return b.Bytes()
}

const strangers = `<rpid:new/>|<dm:note>n</dm:note>|<note>n</note>|<x:a/>|<n xmlns=""/>|<rpid:activities><rpid:lunch/></rpid:activities>|text|<status/>|` +
	`<rpid:unknown/>|<rpid:other>o</rpid:other>|<timestamp>2026-11-22t10:00:00</timestamp>|<dm:person id="q"/>|<c:icon>a b</c:icon>|<contact>sip:a</contact>|` +
	`<bad xmlns="relative"/>|<basic>open</basic>|<rpid:sphere>home</rpid:sphere>|<lt:office/>|<caps:FOO/>|<x:w><rpid:mood/></x:w>|<dm:deviceID>urn:x</dm:deviceID>`

func (g *generator) content(b *bytes.Buffer, n tree.Node) {
	var children []tree.Node
	for c := range n.Children() {
		children = append(children, c)
	}
	if g.IntN(10) == 0 && len(children) > 1 {
		g.Shuffle(len(children), func(i, j int) { children[i], children[j] = children[j], children[i] })
	}
	for _, c := range children {
		times := 1
		switch g.IntN(60) {
		case 0:
			times = 0
		case 1:
			times = 2
		case 2:
			b.WriteString(pick(g, strings.Split(strangers, "|")))
		}
		for range times {
			g.child(b, c)
		}
	}
}

func (g *generator) child(b *bytes.Buffer, n tree.Node) {
	if n.Kind() == tree.Text && g.IntN(30) == 0 {
		b.WriteString(pick(g, []string{"", " open ", "OPEN", "x y", "2026-11-22T10:00:00", "-", "%", "1.5", "idle"}))
		return
	}
	if n.Kind() != tree.Element {
		b.Write(n.Bytes())
		return
	}
	b.WriteString("<" + n.Name())
	for d := range n.Decls() {
		start, end := d.Range()
		b.WriteByte(' ')
		b.Write(n.Tree().Source()[start:end])
	}
	for a := range n.Attrs() {
		switch g.IntN(40) {
		case 0:
		case 1:
			b.WriteString(" " + a.Name() + `="` + pick(g, []string{"", "1", "a b", "2026-11-22T10:00:00", "t1", "en-"}) + `"`)
		default:
			start, end := a.Range()
			b.WriteByte(' ')
			b.Write(n.Tree().Source()[start:end])
		}
	}
	b.WriteByte('>')
	g.content(b, n)
	b.WriteString("</" + n.Name() + ">")
}
