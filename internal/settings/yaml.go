package settings

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"elektron/internal/fault"
)

// maxYAML bounds a configuration file, in bytes; anything larger is not one.
const maxYAML = 1 << 20

// LoadYAML applies the values of a YAML file as layer File. It is strict: see ReadYAML. A file that cannot
// be read gives an error of kind fault.Storage.
func (s *Settings) LoadYAML(path string) error {
	return load(path, func(file io.Reader) error { return s.ReadYAML(filepath.Base(path), file) })
}

// LoadWritten applies what Write left in an earlier session as layer Written, except for some keys. A value's
// origin is then the path and, in brackets, what its origin was in that session. It is as strict as LoadYAML.
func (s *Settings) LoadWritten(path string, except ...string) error {
	return load(path, func(file io.Reader) error {
		reading := yamlReading{settings: s, layer: Written, name: path, except: except}
		return reading.read(file)
	})
}

func load(path string, read func(io.Reader) error) error {
	file, err := os.Open(path)
	if err != nil {
		return fault.Wrap(fault.Storage, err, "configuration")
	}
	defer file.Close()
	return read(file)
}

// ReadYAML applies YAML text as layer File; name stands for it in origins and messages. Unknown and
// repeated keys, aliases, custom tags, more than one document and more than 1 MiB of text are errors of
// kind fault.Usage that name the line; all problems are reported together. No text at all is no values.
func (s *Settings) ReadYAML(name string, r io.Reader) error {
	reading := yamlReading{settings: s, layer: File, name: name}
	return reading.read(r)
}

// parseDocument parses text that must hold one document; nil stands for an empty one.
func parseDocument(text []byte) (*yaml.Node, error) {
	if len(text) > maxYAML {
		return nil, fmt.Errorf("more than %d bytes: this is no configuration file", maxYAML)
	}
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	var document, second yaml.Node
	if err := decoder.Decode(&document); errors.Is(err, io.EOF) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	if err := decoder.Decode(&second); err == nil {
		return nil, fmt.Errorf("line %d: a second document begins; keep one", second.Line)
	} else if !errors.Is(err, io.EOF) {
		return nil, err
	}
	return document.Content[0], nil
}

// yamlReading is one reading of a file as a layer.
type yamlReading struct {
	settings *Settings
	layer    Layer
	name     string
	except   []string       // keys to pass over
	seen     map[string]int // key -> line
	problems Problems
}

// writtenOrigin is the file's name and the origin that Write left beside the value. An origin that goes back
// through sessions of the same run stays the first one's.
func writtenOrigin(name string, value *yaml.Node) string {
	earlier := strings.TrimPrefix(value.LineComment, "# ")
	if _, first, again := strings.Cut(earlier, filepath.Base(name)+" ("); again {
		earlier = strings.TrimSuffix(first, ")")
	}
	if earlier == "" {
		return name
	}
	return fmt.Sprintf("%s (%s)", name, earlier)
}

func (y *yamlReading) read(r io.Reader) error {
	text, err := io.ReadAll(io.LimitReader(r, maxYAML+1))
	if err != nil {
		return fault.Wrap(fault.Storage, err, "configuration: %s", y.name)
	}
	y.seen = map[string]int{}
	root, err := parseDocument(text)
	switch {
	case err != nil:
		y.problems.Addf("%s: %s", y.name, strings.TrimPrefix(err.Error(), "yaml: "))
	case root != nil:
		y.section("", root)
	}
	return y.problems.Err()
}

func (y *yamlReading) addf(node *yaml.Node, format string, args ...any) {
	y.problems.Addf("%s: %s", y.at(node), fmt.Sprintf(format, args...))
}

func (y *yamlReading) at(node *yaml.Node) string { return fmt.Sprintf("%s:%d", y.name, node.Line) }

// section reads a mapping whose keys all begin with prefix. It descends into known sections only, so its
// depth is that of the configuration struct, whatever the file holds.
func (y *yamlReading) section(prefix string, node *yaml.Node) {
	if node.Kind == yaml.ScalarNode && node.ShortTag() == "!!null" {
		return // a section whose keys are all commented out
	}
	if node.Kind != yaml.MappingNode {
		where := strings.TrimSuffix(prefix, ".")
		if where == "" {
			where = "the document"
		}
		y.addf(node, "%s: want keys with values, got %s", where, kindName(node))
		return
	}
	for i := 0; i+1 < len(node.Content); i += 2 {
		y.entry(prefix, node.Content[i], node.Content[i+1])
	}
}

func (y *yamlReading) entry(prefix string, key, value *yaml.Node) {
	if key.Kind != yaml.ScalarNode {
		y.addf(key, "want a key, got %s", kindName(key))
		return
	}
	name := prefix + key.Value
	if line, repeated := y.seen[name]; repeated {
		y.addf(key, "%s was set on line %d already; keep one", clip(name), line)
		return
	}
	y.seen[name] = key.Line
	if y.settings.sections[name] {
		y.section(name+".", value)
		return
	}
	if y.settings.byName[name] == nil {
		y.addf(key, "%s", y.settings.unknown(name))
		return
	}
	parsed, err := rawValue(value)
	if err != nil {
		y.addf(value, "%s: %v", name, err)
		return
	}
	if slices.Contains(y.except, name) {
		return
	}
	y.problems.Add(y.settings.assign(y.layer, y.at(key), name, parsed))
	if k := y.settings.byName[name]; k.layer == Written {
		k.origin = writtenOrigin(y.name, value)
	}
}

// rawValue reads a scalar or a list of scalars.
func rawValue(node *yaml.Node) (raw, error) {
	if node.Kind != yaml.SequenceNode {
		text, err := scalarText(node)
		return raw{items: []string{text}}, err
	}
	list := raw{items: []string{}, list: true}
	for _, item := range node.Content {
		text, err := scalarText(item)
		if err != nil {
			return raw{}, err
		}
		list.items = append(list.items, text)
	}
	return list, nil
}

func scalarText(node *yaml.Node) (string, error) {
	if node.Kind != yaml.ScalarNode {
		return "", fmt.Errorf("want a value, got %s", kindName(node))
	}
	switch tag := node.ShortTag(); tag {
	case "!!str", "!!int", "!!float", "!!bool", "!!timestamp", "!!merge":
		return node.Value, nil
	case "!!null":
		return "", errors.New(`there is no value; write "" for an empty text, [] for an empty list, or remove the line`)
	case "!!binary":
		data, err := base64.StdEncoding.DecodeString(node.Value)
		if err != nil {
			return "", fmt.Errorf("the base64 after !!binary is wrong: %w", err)
		}
		return string(data), nil
	default:
		return "", fmt.Errorf("the tag %s is not supported; remove it", clip(tag))
	}
}

func kindName(node *yaml.Node) string {
	switch node.Kind {
	case yaml.MappingNode:
		return "keys with values"
	case yaml.SequenceNode:
		return "a list"
	case yaml.AliasNode:
		return "an alias (*), which is not supported: write the value out"
	}
	return "the value " + clip(node.Value)
}

// Write writes all keys with their values as YAML, the origin of each behind it as a comment. ReadYAML
// reads it back to an equal configuration.
func (s *Settings) Write(w io.Writer) error {
	var b strings.Builder
	open := "" // the section whose head was written last
	for _, k := range s.keys {
		section, name, _ := cutLast(k.name)
		writeHeads(&b, open, section)
		open = section
		fmt.Fprintf(&b, "%s%s: %s  # %s\n", indentation(k.name), name, format(k.field), printable(k.origin))
	}
	_, err := io.WriteString(w, b.String())
	return fault.Wrap(fault.Storage, err, "configuration")
}

// writeHeads writes the names of the sections that lead to section and are not open yet.
func writeHeads(b *strings.Builder, open, section string) {
	if section == "" || strings.HasPrefix(open+".", section+".") {
		return
	}
	parent, name, _ := cutLast(section)
	writeHeads(b, open, parent)
	fmt.Fprintf(b, "%s%s:\n", indentation(section), name)
}

func indentation(name string) string { return strings.Repeat("  ", strings.Count(name, ".")) }
