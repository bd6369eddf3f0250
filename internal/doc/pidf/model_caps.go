package pidf

// RFC 5196 section 6, with the name higherthan of its text in place of the schema's higherhan.
var (
	capsBool   = simple(inCaps, kindBoolean)
	capsString = simple(inCaps, kindString)

	descriptionModel = simple(inCaps, kindString, langAttrs...)

	servcapsModel = &model{space: inCaps, open: true, parts: []part{
		{name: "actor", model: support(actorNames)},
		{name: "application", model: capsBool},
		{name: "audio", model: capsBool},
		{name: "automata", model: capsBool},
		{name: "class", model: support(classNames)},
		{name: "control", model: capsBool},
		{name: "data", model: capsBool},
		{name: "description", model: descriptionModel, many: true},
		{name: "duplex", model: support(duplexNames)},
		{name: "event-packages", model: support(eventPackageNames)},
		{name: "extensions", model: support(extensionNames)},
		{name: "isfocus", model: capsBool},
		{name: "message", model: capsBool},
		{name: "methods", model: support(methodNames)},
		{name: "languages", model: tokens("l")},
		{name: "priority", model: priorities},
		{name: "schemes", model: tokens("s")},
		{name: "text", model: capsBool},
		{name: "type", model: capsString, many: true},
		{name: "video", model: capsBool},
		foreign,
	}}
	devcapsModel = &model{space: inCaps, open: true, parts: []part{
		{name: "description", model: descriptionModel, many: true},
		{name: "mobility", model: support(mobilityNames)},
		foreign,
	}}

	priorities = supportOf(&model{space: inCaps, misprints: map[string]string{"higherhan": "higherthan"}, parts: []part{
		{name: "equals", model: bounds("value"), many: true},
		{name: "higherthan", model: bounds("minvalue"), many: true},
		{name: "lowerthan", model: bounds("maxvalue"), many: true},
		{name: "range", model: bounds("minvalue", "maxvalue"), many: true},
		foreign,
	}})
)

// support is an element with the containers supported and notsupported, which hold elements of these names and then others.
func support(list []string) *model {
	return supportOf(&model{space: inCaps, parts: append(optional(capsString, list...), foreign)})
}

// tokens is one whose containers hold strings in elements of this name.
func tokens(name string) *model {
	return supportOf(&model{space: inCaps, parts: []part{{name: name, model: capsString, many: true, required: true}}})
}

func supportOf(container *model) *model {
	return &model{space: inCaps, parts: optional(container, "supported", "notsupported")}
}

func bounds(list ...string) *model {
	m := simple(inCaps, kindEmpty)
	for _, name := range list {
		m.attrs = append(m.attrs, attribute{name: name, kind: kindInteger, required: true})
	}
	return m
}
