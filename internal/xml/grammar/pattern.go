package grammar

// op tells the patterns of RELAX NG apart.
type op int

const (
	opEmpty op = iota
	opNotAllowed
	opText
	opElement
	opAttribute
	opGroup
	opInterleave
	opChoice
	opOptional
	opZeroOrMore
	opOneOrMore
	opMixed
	opList
	opData
	opRef
)

// pattern is a pattern as it is written in a grammar file.
type pattern struct {
	op   op
	kids []*pattern
	name *nameClass // of elements and attributes
	ref  string
	data *simple // of opData
	file string
	line int
}

// classKind tells name classes apart.
type classKind int

const (
	className classKind = iota
	classSpace
	classAny
	classChoice
)

// nameClass is a set of names.
type nameClass struct {
	kind         classKind
	space, local string
	kids         []*nameClass // of a choice
	except       *nameClass
}

func (c *nameClass) contains(space, local string) bool {
	in := false
	switch c.kind {
	case className:
		return c.local == local && c.space == space
	case classSpace:
		in = c.space == space
	case classAny:
		in = true
	case classChoice:
		for _, k := range c.kids {
			if k.contains(space, local) {
				return true
			}
		}
	}
	return in && (c.except == nil || !c.except.contains(space, local))
}

// open reports whether the class has names that it does not list.
func (c *nameClass) open() bool {
	switch c.kind {
	case className:
		return false
	case classChoice:
		for _, k := range c.kids {
			if k.open() {
				return true
			}
		}
		return false
	}
	return true
}

// unlisted is a name that no grammar mentions.
const unlisted = "\x00"

// samples calls yield with names such that two classes have a name in common exactly when they have one of the samples
// of either in common.
func (c *nameClass) samples(yield func(space, local string)) {
	switch c.kind {
	case className:
		yield(c.space, c.local)
	case classSpace:
		yield(c.space, unlisted)
	case classAny:
		yield(unlisted, unlisted)
	}
	for _, k := range c.kids {
		k.samples(yield)
	}
	if c.except != nil {
		c.except.samples(yield)
	}
}

func (c *nameClass) overlaps(d *nameClass) bool {
	found := false
	probe := func(space, local string) {
		found = found || c.contains(space, local) && d.contains(space, local)
	}
	c.samples(probe)
	d.samples(probe)
	return found
}
