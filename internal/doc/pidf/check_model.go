package pidf

import (
	"strconv"
	"strings"

	"imp/internal/xml/lexical"
	"imp/internal/xml/tree"
)

const schemaInstance = "http://www.w3.org/2001/XMLSchema-instance"

// quote shows a value in a message: printable, and not much of a long one.
func quote(s string) string {
	if len(s) > 40 {
		s = strings.ToValidUTF8(s[:40], "") + "…"
	}
	return strconv.QuoteToGraphic(s)
}

// checker compares a document with the models.
type checker struct {
	t   *tree.Tree
	ids *idSet
}

func check(t *tree.Tree) *Error {
	ids := idSets.Get().(*idSet)
	defer idSets.Put(ids)
	ids.reset()
	c := checker{t, ids}
	return c.element(t.Root(), presenceModel)
}

func (c *checker) fail(n tree.Node, msg string) *Error {
	return lexical.ErrorAt(c.t, lexical.StartOf(n), msg)
}

func (c *checker) element(n tree.Node, m *model) *Error {
	if err := c.attributes(n, m); err != nil {
		return err
	}
	if m.content == kindParts {
		return c.parts(n, m)
	}
	for ch := n.FirstChild(); ch.Valid(); ch = ch.NextSibling() {
		if ch.Kind() == tree.Element {
			return c.fail(ch, ch.Local()+" is not allowed in "+n.Local()+", which holds text")
		}
	}
	if why := m.content.refuses(n.Text()); why != "" {
		return c.fail(n, n.Local()+" is "+quote(n.Text())+", not "+why)
	}
	return nil
}

// parts checks the order and the number of the elements in n.
func (c *checker) parts(n tree.Node, m *model) *Error {
	at, count := 0, 0 // the part and how many elements of it there were
	var total, strangers int
	var alone tree.Node
	seen := onceSeen{}
	for ch := n.FirstChild(); ch.Valid(); ch = ch.NextSibling() {
		if ch.Kind() == tree.Text && !ch.Blank() {
			return c.fail(ch, "text is not allowed in "+n.Local())
		}
		if ch.Kind() != tree.Element {
			continue
		}
		in, local := spaceOf(ch.Space()), m.spelled(ch.Local())
		i, child := m.find(in, local, ch.Space())
		for ; i > at; at, count = at+1, 0 {
			if m.parts[at].required && count == 0 {
				return c.fail(ch, m.parts[at].label()+" is missing before "+ch.Local()+" in "+n.Local())
			}
		}
		if i < at || count > 0 && !m.parts[at].many && !m.parts[at].any {
			return c.fail(ch, ch.Local()+" is not allowed here in "+n.Local()+m.expected(at, count))
		}
		count++
		if i >= m.values {
			total++
			if in == m.space && local == m.alone {
				alone = ch
			}
			if in != m.space {
				strangers++
			}
		}
		if m.component && seen.again(in, local, ch) {
			return c.fail(ch, ch.Local()+" stands twice in "+n.Local())
		}
		if err := c.child(ch, child); err != nil {
			return err
		}
	}
	for ; at < len(m.parts); at, count = at+1, 0 {
		if m.parts[at].required && count == 0 {
			return c.fail(n, m.parts[at].label()+" is missing in "+n.Local())
		}
	}
	if m.filled && total == 0 {
		return c.fail(n, n.Local()+" holds nothing")
	}
	if alone.Valid() && total > 1 {
		return c.fail(alone, m.alone+" does not stand together with others in "+n.Local())
	}
	if m.single && total > 1 && strangers < total {
		return c.fail(n, n.Local()+" has more than one value")
	}
	return nil
}

// child checks an element by its model, or what is known inside of an unknown one.
func (c *checker) child(n tree.Node, m *model) *Error {
	if m == nil {
		return c.stranger(n)
	}
	return c.element(n, m)
}

// stranger looks for known elements and attributes in an element that the schemas do not know.
func (c *checker) stranger(n tree.Node) *Error {
	if uri := n.Space(); uri != "" && !isAbsolute(uri) {
		return c.fail(n, "the namespace "+quote(uri)+" of "+n.Local()+" is no absolute URI without fragment")
	}
	for a := range n.Attrs() {
		if err := c.further(a); err != nil {
			return err
		}
	}
	for ch := n.FirstChild(); ch.Valid(); ch = ch.NextSibling() {
		if ch.Kind() == tree.Element {
			if err := c.child(ch, global(spaceOf(ch.Space()), ch.Local())); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *checker) attributes(n tree.Node, m *model) *Error {
	for i := range m.attrs {
		if want := &m.attrs[i]; want.required && !n.Attribute(want.space, want.name).Valid() {
			return c.fail(n, n.Local()+" has no "+want.name)
		}
	}
	for a := range n.Attrs() {
		known := m.attribute(a)
		switch {
		case known != nil && known.kind == kindID:
			if err := c.ids.claim(c.t, a); err != nil {
				return err
			}
		case known != nil:
			if why := known.kind.refuses(a.Value()); why != "" {
				return c.failAttr(a, a.Name()+" is "+quote(a.Value())+", not "+why)
			}
		case m.unspanned(a):
			return c.failAttr(a, n.Local()+" must not be qualified with "+a.Local())
		case m.open, a.Space() == schemaInstance:
			if err := c.further(a); err != nil {
				return err
			}
		default:
			return c.failAttr(a, "the attribute "+a.Name()+" is not allowed on "+n.Local())
		}
	}
	return nil
}

func (c *checker) failAttr(a tree.Attr, msg string) *Error {
	start, _ := a.Range()
	return lexical.ErrorAt(c.t, start, msg)
}

func (m *model) attribute(a tree.Attr) *attribute {
	for i := range m.attrs {
		if m.attrs[i].name == a.Local() && m.attrs[i].space == a.Space() {
			return &m.attrs[i]
		}
	}
	return nil
}

// further checks an attribute that may stand anywhere.
func (c *checker) further(a tree.Attr) *Error {
	k := attributeKind(a)
	if k == kindID {
		return c.ids.claim(c.t, a)
	}
	if why := k.refuses(a.Value()); why != "" {
		return c.failAttr(a, a.Name()+" is "+quote(a.Value())+", not "+why)
	}
	if uri := a.Space(); uri != "" && !isAbsolute(uri) {
		return c.failAttr(a, "the namespace "+quote(uri)+" of "+a.Name()+" is no absolute URI without fragment")
	}
	return nil
}

// attributeKind is what the value of an attribute has to be on an element that leaves its attributes open.
func attributeKind(a tree.Attr) kind {
	switch {
	case a.Space() == Space && a.Local() == "mustUnderstand":
		return kindBoolean
	case a.Space() != tree.XMLSpace:
		return kindString
	case a.Local() == "lang":
		return kindLang
	case a.Local() == "base":
		return kindURI
	case a.Local() == "id":
		return kindID
	case a.Local() == "space":
		return kindSpace
	}
	return kindString
}

// refuses says what a value should be, "" when it is that.
func (k kind) refuses(s string) string {
	switch k {
	case kindEmpty:
		return unless(s == "", "empty")
	case kindURI:
		return unless(isURI(trim(s)), "a URI")
	case kindBasic:
		return unless(s == "open" || s == "closed", "open or closed")
	case kindInput:
		return unless(s == "active" || s == "idle", "active or idle")
	case kindDateTime:
		_, exact, ok := parseTime(trim(s))
		return unless(ok && exact, "a time of RFC 3339 with capital T and Z")
	case kindBoolean:
		return unless(isBoolean(trim(s)), "true or false")
	case kindInteger:
		return unless(isInteger(trim(s)), "an integer of at most nine digits")
	case kindPositive:
		return unless(isPositive(trim(s)), "a positive integer")
	case kindPriority:
		_, _, ok := priority(s)
		return unless(ok, "a number from 0 to 1 with at most three decimals")
	case kindLang:
		return unless(trim(s) == "" || lexical.IsLanguage(trim(s)), "a language tag")
	case kindSpace:
		return unless(trim(s) == "default" || trim(s) == "preserve", "default or preserve")
	}
	return ""
}

func unless(ok bool, want string) string {
	if ok {
		return ""
	}
	return want
}

// expected lists what could stand at a part of which count elements have been seen.
func (m *model) expected(at, count int) string {
	var list []string
	for i := at; i < len(m.parts); i++ {
		p := &m.parts[i]
		if i > at || count == 0 || p.many || p.any {
			list = append(list, p.label())
		}
		if p.required && (i > at || count == 0) {
			break
		}
	}
	if len(list) == 0 {
		return "; nothing may follow"
	}
	return "; expected " + strings.Join(list, ", ")
}

func (p *part) label() string {
	switch {
	case p.name != "":
		return p.name
	case len(p.names) > 4:
		return "a value"
	case len(p.names) > 0:
		return "one of " + strings.Join(sorted(p.names), ", ")
	}
	return "an element of another namespace"
}

// onceSeen remembers the elements of a component that stand once.
type onceSeen struct {
	bits  uint32
	langs []string
}

// again reports whether an element that stands once was seen before. from and until tell occurrences apart, xml:lang tells display-names apart.
func (s *onceSeen) again(in space, local string, n tree.Node) bool {
	bit := once(in, local)
	if bit == 0 || spanned(in, local) && (hasTime(n, "from") || hasTime(n, "until")) {
		return false
	}
	if in == inCIPID && local == "display-name" {
		lang := langOf(n)
		if lang != "" && !lexical.IsLanguage(lang) {
			lang = ""
		}
		for _, other := range s.langs {
			if strings.EqualFold(other, lang) {
				return true
			}
		}
		s.langs = append(s.langs, lang)
		return len(s.langs) > maxLanguages
	}
	again := s.bits&bit != 0
	s.bits |= bit
	return again
}

func hasTime(n tree.Node, name string) bool {
	_, ok := kindDateTime.fix(attr(n, name))
	return ok
}

// maxLanguages bounds the display-names of a component.
const maxLanguages = 64

// langOf returns the language of an element, which it may have from one around it.
func langOf(n tree.Node) string {
	for ; n.Kind() == tree.Element; n = n.Parent() {
		if lang, ok := n.Attr(tree.XMLSpace, "lang"); ok {
			return trim(lang)
		}
	}
	return ""
}
