package rules

import (
	"errors"
	"slices"
	"strings"

	"imp/internal/xml/lexical"
)

// Everything is what shows a whole document to an allowed watcher: all components with all that is in them.
func Everything() Permissions {
	return Permissions{Handling: Allow, Services: &Selection{All: true}, Persons: &Selection{All: true}, Devices: &Selection{All: true}, AllAttributes: true}
}

// Items names what the transformations grant, in words that AddItem reads: components such as "services" and "persons:class=work", elements such as
// "note", "user-input:bare" and "{urn:x}name", and "attributes" for all of them. What a rule has of others' transformations is not in it.
func (p *Permissions) Items() []string {
	var items []string
	component := func(name string, s *Selection) {
		switch {
		case s == nil:
		case s.All:
			items = append(items, name)
		default:
			for _, key := range selectors {
				for _, value := range *s.list(key) {
					items = append(items, name+":"+key+"="+value)
				}
			}
		}
	}
	component("services", p.Services)
	component("persons", p.Persons)
	component("devices", p.Devices)
	if p.AllAttributes {
		return append(items, "attributes")
	}
	items = append(items, p.Provide.Names()...)
	if p.UserInput != NoInput {
		items = append(items, "user-input:"+p.UserInput.String())
	}
	for _, a := range p.UnknownAttributes {
		items = append(items, "{"+a.NS+"}"+a.Name)
	}
	return items
}

// selectors are the words for the ways to select.
var selectors = []string{"class", "id", "device", "uri", "scheme"}

// list returns the values of a way to select.
func (s *Selection) list(selector string) *[]string {
	return map[string]*[]string{"class": &s.Classes, "id": &s.OccurrenceIDs, "device": &s.DeviceIDs, "uri": &s.URIs, "scheme": &s.Schemes}[selector]
}

// AddItem grants what an item names, see Items. The error tells which there are.
func (p *Permissions) AddItem(item string) error {
	item = strings.TrimSpace(item)
	name, arg, selected := strings.Cut(item, ":")
	switch {
	case strings.HasPrefix(item, "{"):
		ns, local, ok := strings.Cut(item[1:], "}")
		if !ok || local == "" {
			return errors.New(lexical.Clip(item) + " is no {NAMESPACE}NAME")
		}
		p.UnknownAttributes = append(p.UnknownAttributes, Attribute{Name: local, NS: ns})
		return nil
	case name == "services":
		return selectItem(&p.Services, item, arg, selected, "class", "id", "uri", "scheme")
	case name == "persons":
		return selectItem(&p.Persons, item, arg, selected, "class", "id")
	case name == "devices":
		return selectItem(&p.Devices, item, arg, selected, "class", "id", "device")
	case item == "attributes":
		p.AllAttributes = true
		return nil
	case item == "user-input":
		p.UserInput = Full
		return nil
	case name == "user-input":
		return p.UserInput.UnmarshalText([]byte(arg))
	}
	bit := provide(item)
	if bit == 0 {
		return errors.New(lexical.Clip(item) + " is none of services, persons, devices, attributes, user-input, " + strings.Join(provideNames, ", ") + " and {NAMESPACE}NAME")
	}
	p.Provide |= bit
	return nil
}

// selectItem adds a selector to a component.
func selectItem(s **Selection, item, arg string, selected bool, keys ...string) error {
	if *s == nil {
		*s = &Selection{}
	}
	if !selected {
		(*s).All = true
		return nil
	}
	key, value, _ := strings.Cut(arg, "=")
	if !slices.Contains(keys, key) || value == "" {
		return errors.New(lexical.Clip(item) + " selects by none of " + strings.Join(keys, ", ") + "; write it like services:class=work")
	}
	list := (*s).list(key)
	*list = append(*list, value)
	return nil
}
