// Package settings fills a typed configuration from its layers: the defaults in code, a preset, what an
// earlier session wrote down, a YAML file, --set key=value and named flags. The configuration struct is the schema: every field with a yaml
// tag is a key, keys of nested structs are joined by dots (optim.lr), and each value remembers where it
// came from.
package settings

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// Layer ranks where a value comes from. A value of a higher layer is never replaced by one of a lower
// layer, in whatever order they are applied, so a preset may be named by the very file that overrides it.
// Within one layer the last value wins.
type Layer int

// The layers, lowest first.
const (
	Default  Layer = iota // what the struct held when New saw it
	Preset                // a named set of values in code
	Written               // the file that Write left in an earlier session
	File                  // --config run.yaml
	Override              // --set key=value
	Flag                  // a named flag
)

// Settings is a view of a configuration struct that knows its keys and the origin of each value.
type Settings struct {
	keys     []*key // in the order of the struct
	byName   map[string]*key
	sections map[string]bool
}

// key is one field of the struct.
type key struct {
	name    string
	doc     string
	choices []string // the values of the field's oneof tag; nil allows any
	field   reflect.Value
	initial string // the default, as YAML
	layer   Layer
	origin  string
}

// Key describes one key of a configuration, for listings.
type Key struct {
	Name    string   // dotted: optim.lr
	Type    string   // bool, int, float, string, list or duration
	Doc     string   // the field's doc tag
	Choices []string // the allowed values, from the field's oneof tag; empty if any will do
	Default string   // as YAML
	Value   string   // as YAML
	Origin  string   // where Value comes from
}

// New makes Settings over cfg, a pointer to a struct that holds the defaults. Fields may be structs
// (sections), string, bool, integers, floats, []string and time.Duration, or types defined from these.
// Tags: yaml:"name" (needed; "-" leaves the field out, ",inline" joins a struct's keys to its parent's),
// doc:"one line for listings", oneof:"a,b,c".
//
// A struct outside these rules is a mistake in the program: New panics.
func New(cfg any) *Settings {
	v := reflect.ValueOf(cfg)
	if v.Kind() != reflect.Pointer || v.IsNil() || v.Elem().Kind() != reflect.Struct {
		panic(fmt.Sprintf("settings: want a pointer to a struct, got %T", cfg))
	}
	s := &Settings{byName: map[string]*key{}, sections: map[string]bool{}}
	s.addFields("", v.Elem())
	return s
}

func (s *Settings) addFields(prefix string, v reflect.Value) {
	for i := range v.NumField() {
		field := v.Type().Field(i)
		tag, tagged := field.Tag.Lookup("yaml")
		if tag == "-" || !field.IsExported() && !field.Anonymous {
			continue
		}
		name, options, _ := strings.Cut(tag, ",")
		isSection := field.Type.Kind() == reflect.Struct
		switch {
		case isSection && options == "inline":
			s.addFields(prefix, v.Field(i))
		case !tagged || name == "" || strings.Contains(name, "."):
			panic(fmt.Sprintf("settings: field %s of %s needs a yaml tag with a name without dots", field.Name, v.Type()))
		case isSection:
			if s.sections[prefix+name] || s.byName[prefix+name] != nil {
				panic(fmt.Sprintf("settings: two fields are named %s", prefix+name))
			}
			s.sections[prefix+name] = true
			s.addFields(prefix+name+".", v.Field(i))
		default:
			s.addKey(prefix+name, field, v.Field(i))
		}
	}
}

func (s *Settings) addKey(name string, field reflect.StructField, v reflect.Value) {
	k := &key{name: name, doc: field.Tag.Get("doc"), field: v, layer: Default, origin: "default"}
	if choices := field.Tag.Get("oneof"); choices != "" {
		k.choices = strings.Split(choices, ",")
	}
	if typeName(v.Type()) == "" {
		panic(fmt.Sprintf("settings: %s has the type %s, which is not supported", name, v.Type()))
	}
	if s.byName[name] != nil || s.sections[name] {
		panic(fmt.Sprintf("settings: two fields are named %s", name))
	}
	if err := k.check(v); err != nil {
		panic(fmt.Sprintf("settings: the default of %s: %v", name, err))
	}
	k.initial = format(v)
	s.keys = append(s.keys, k)
	s.byName[name] = k
}

// Apply sets the values of a layer, by dotted keys; origin says where they come from ("preset small",
// "--steps"). Values are text, as --set would take it, or of the field's own kind. The error is of kind
// fault.Usage and names every problem; the values without one are set.
func (s *Settings) Apply(layer Layer, origin string, values map[string]any) error {
	var problems Problems
	for _, name := range slices.Sorted(maps.Keys(values)) {
		problems.Add(s.assign(layer, origin, name, fromGo(values[name])))
	}
	return problems.Err()
}

// Set applies assignments of --set: "optim.lr=2e-3". A list's items are separated by commas. The error is
// of kind fault.Usage and names every problem; the values without one are set.
func (s *Settings) Set(assignments ...string) error {
	var problems Problems
	for _, assignment := range assignments {
		name, text, ok := strings.Cut(assignment, "=")
		if !ok {
			problems.Addf("--set %s: want key=value, such as --set %s", clip(assignment), s.example(name))
			continue
		}
		problems.Add(s.assign(Override, "--set", strings.TrimSpace(name), raw{items: []string{text}}))
	}
	return problems.Err()
}

// example is an assignment to show to somebody who wrote only name.
func (s *Settings) example(name string) string {
	if k := s.byName[name]; k != nil {
		return name + "=" + k.initial
	}
	if hint := s.nearest(name); hint != "" {
		return hint + "=" + s.byName[hint].initial
	}
	return "key=value"
}

// assign parses value for the key and stores it unless a higher layer has set the key.
func (s *Settings) assign(layer Layer, origin, name string, value raw) error {
	k := s.byName[name]
	if k == nil {
		return fmt.Errorf("%s: %s", origin, s.unknown(name))
	}
	if layer >= Override && isList(k.field.Type()) {
		value = splitAtCommas(value)
	}
	parsed, err := value.parse(k.field.Type())
	if err == nil {
		err = k.check(parsed)
	}
	if err != nil {
		return fmt.Errorf("%s: %s: %w", origin, name, err)
	}
	if layer >= k.layer {
		k.field.Set(parsed)
		k.layer, k.origin = layer, origin
	}
	return nil
}

// check holds v against the field's oneof tag.
func (k *key) check(v reflect.Value) error {
	if err := checkFinite(v); err != nil || k.choices == nil {
		return err
	}
	texts := []string{fmt.Sprint(v)}
	if isList(v.Type()) {
		texts = v.Convert(reflect.TypeFor[[]string]()).Interface().([]string)
	}
	for _, text := range texts {
		if !slices.Contains(k.choices, text) {
			return fmt.Errorf("%q is not one of %s%s", clip(text), strings.Join(k.choices, ", "), DidYouMean(Nearest(text, k.choices)))
		}
	}
	return nil
}

// unknown says that there is no such key, and which one may have been meant.
func (s *Settings) unknown(name string) string {
	if s.sections[name] {
		return fmt.Sprintf("%s is a section, not a key; its keys are %s", name, strings.Join(s.keysBelow(name), ", "))
	}
	message := fmt.Sprintf("unknown key %s", clip(name))
	if hint := s.nearest(name); hint != "" {
		return message + DidYouMean(hint)
	}
	section, _, nested := cutLast(name)
	if nested && s.sections[section] {
		return fmt.Sprintf("%s; the keys of %s are %s", message, section, strings.Join(s.keysBelow(section), ", "))
	}
	return message
}

func (s *Settings) nearest(name string) string {
	return Nearest(name, slices.Collect(maps.Keys(s.byName)))
}

func (s *Settings) keysBelow(section string) []string {
	var names []string
	for _, k := range s.keys {
		if strings.HasPrefix(k.name, section+".") {
			names = append(names, k.name)
		}
	}
	return names
}

// Origin says where the value of a key comes from: "default", the origin given to Apply, "--set", or
// "run.yaml:12". It is empty for an unknown key.
func (s *Settings) Origin(name string) string {
	if k := s.byName[name]; k != nil {
		return k.origin
	}
	return ""
}

// Keys describes all keys in the order of the struct.
func (s *Settings) Keys() []Key {
	keys := make([]Key, len(s.keys))
	for i, k := range s.keys {
		keys[i] = Key{Name: k.name, Type: typeName(k.field.Type()), Doc: k.doc, Choices: slices.Clone(k.choices),
			Default: k.initial, Value: format(k.field), Origin: k.origin}
	}
	return keys
}

// Change is a key whose value differs between two configurations.
type Change struct {
	Key      string
	Old, New string // as YAML
}

// String shows the change as "optim.lr: 0.002 -> 0.001".
func (c Change) String() string { return fmt.Sprintf("%s: %s -> %s", c.Key, c.Old, c.New) }

// Diff lists the keys whose values differ, in the order of the struct. An empty list equals a nil one.
func Diff[T any](before, after *T) []Change {
	a, b := New(before), New(after)
	var changes []Change
	for i, k := range a.keys {
		if old, now := k.initial, b.keys[i].initial; old != now {
			changes = append(changes, Change{Key: k.name, Old: old, New: now})
		}
	}
	return changes
}
