package pidf

import "time"

// Capabilities are those of a service, or of a device with Descriptions, Mobility and Extensions alone (RFC 5196 sections 3.2 and 3.3). What is absent
// is not told.
type Capabilities struct {
	// Flags are the boolean elements by their names: application, audio, automata, control, data, isfocus, message, text, video.
	Flags        map[string]bool
	Descriptions []Note
	// Support holds the elements that list values by their names: actor, class, duplex, event-packages, extensions, methods, languages, schemes, and
	// mobility for a device.
	Support    map[string]Support
	Priorities []PriorityRange
	Types      []string // media types, in lower case
	Extensions []Raw
}

// Support lists what is supported and what is not. What a document has in both is supported (RFC 5196 section 4.1).
type Support struct{ Yes, No []string }

// PriorityRange is a range of call priorities (RFC 5196 section 3.2.15).
type PriorityRange struct {
	Supported bool
	Kind      string // equals, higherthan, lowerthan or range
	Min, Max  int    // inclusive; Min alone for higherthan, Max alone for lowerthan, both the same for equals
}

var (
	capsFlags   = []string{"application", "audio", "automata", "control", "data", "isfocus", "message", "text", "video"}
	capsSupport = map[string][]string{
		"actor": actorNames, "class": classNames, "duplex": duplexNames, "event-packages": eventPackageNames, "extensions": extensionNames,
		"methods": methodNames, "languages": nil, "schemes": nil, "mobility": mobilityNames,
	}
)

// capsToken is the element that holds a value of languages and schemes.
func capsToken(name string) string {
	switch name {
	case "languages":
		return "l"
	case "schemes":
		return "s"
	}
	return ""
}

// optionTag returns the SIP option tag that a name in extensions stands for: the schema has two that are spelled differently.
func optionTag(name string) string {
	switch name {
	case "rel100":
		return "100rel"
	case "hist-info":
		return "histinfo"
	}
	return name
}

// capsName is the name that stands for an option tag, or for any other value.
func capsName(value string) string {
	switch value {
	case "100rel":
		return "rel100"
	case "histinfo":
		return "hist-info"
	}
	return value
}

func seconds(n int) time.Duration { return time.Duration(n) * time.Second }
