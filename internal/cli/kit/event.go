package kit

import (
	"encoding"
	"encoding/json"
	"reflect"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// Event is an entry of the table of events in imp-json(7).
type Event struct {
	Name    string
	Meaning string
	Command *cobra.Command // that emits it; nil = every command
	sample  any
}

// Field is a field of an event.
type Field struct {
	Name     string // as in the JSON, with the names of the objects around it: "document.tuples[].id"
	Type     string // string, number, boolean, object, list of …, time, or JSON for a type that writes itself
	Optional bool   // absent when empty
	Meaning  string
}

// Emits announces that the command prints the event: its name, when it is printed, and a value of the struct that is given to Emit, whose doc tags say what the fields mean.
func (k *Kit) Emits(cmd *cobra.Command, name, meaning string, sample any) {
	k.events = append(k.events, Event{Name: name, Meaning: meaning, Command: cmd, sample: sample})
}

// Events returns the announced events, by name and then by command.
func (k *Kit) Events() []Event {
	all := append([]Event{{Name: "error", Meaning: "a command failed (on stderr)", sample: ErrorEvent{}}}, k.events...)
	slices.SortStableFunc(all, func(a, b Event) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// is reports whether the type, or what it points to, is that of the event's sample.
func (e *Event) is(typ reflect.Type) bool {
	return typ != nil && indirect(typ) == indirect(reflect.TypeOf(e.sample))
}

// Fields lists the fields of the event in the order in which they are printed.
func (e *Event) Fields() []Field {
	return fieldsOf(indirect(reflect.TypeOf(e.sample)), "", nil)
}

func fieldsOf(typ reflect.Type, prefix string, within []reflect.Type) (list []Field) {
	if typ == nil || typ.Kind() != reflect.Struct || slices.Contains(within, typ) {
		return nil
	}
	within = append(within, typ)
	for i := range typ.NumField() {
		f := typ.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous && name == "" {
			list = append(list, fieldsOf(indirect(f.Type), prefix, within)...)
			continue
		}
		if !f.IsExported() || name == "-" {
			continue
		}
		if name == "" {
			name = f.Name
		}
		kind, inner, suffix := kindOf(f.Type)
		list = append(list, Field{Name: prefix + name, Type: kind, Optional: strings.Contains(options, "omitempty") || strings.Contains(options, "omitzero"), Meaning: f.Tag.Get("doc")})
		if inner != nil {
			list = append(list, fieldsOf(inner, prefix+name+suffix+".", within)...)
		}
	}
	return list
}

// kindOf names the JSON type of a Go type; inner is the struct in it, if any.
func kindOf(typ reflect.Type) (kind string, inner reflect.Type, suffix string) {
	typ = indirect(typ)
	switch typ {
	case reflect.TypeFor[Time]():
		return "time", nil, ""
	case reflect.TypeFor[Duration]():
		return "number", nil, ""
	}
	switch {
	case typ.Kind() == reflect.Interface:
	case reflect.PointerTo(typ).Implements(reflect.TypeFor[json.Marshaler]()):
		return "JSON", nil, ""
	case reflect.PointerTo(typ).Implements(reflect.TypeFor[encoding.TextMarshaler]()):
		return "string", nil, ""
	}
	switch typ.Kind() {
	case reflect.Bool:
		return "boolean", nil, ""
	case reflect.String:
		return "string", nil, ""
	case reflect.Slice, reflect.Array:
		if typ.Elem().Kind() == reflect.Uint8 {
			return "string", nil, ""
		}
		of, inner, suffix := kindOf(typ.Elem())
		return "list of " + of, inner, "[]" + suffix
	case reflect.Struct:
		return "object", typ, ""
	case reflect.Map, reflect.Interface:
		return "object", nil, ""
	}
	return "number", nil, ""
}

func indirect(typ reflect.Type) reflect.Type {
	for typ != nil && typ.Kind() == reflect.Pointer {
		typ = typ.Elem()
	}
	return typ
}
