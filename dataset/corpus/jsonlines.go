package corpus

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"slices"
	"strings"
)

// readJSONLines reads an object a line, each a document. The newlines of its text separate sentences.
func readJSONLines(p *pass) error {
	stream, err := p.stream()
	if err != nil {
		return err
	}
	defer stream.Close()
	in, err := p.newLines(stream)
	if err != nil {
		return err
	}
	for {
		line, err := in.next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		text, err := p.field(in.number, line)
		if err != nil {
			return err
		}
		if err := p.emitText(in.number, text); err != nil {
			return err
		}
	}
}

// field takes the text out of one JSON object. A null counts as empty.
func (p *pass) field(number int, line []byte) (string, error) {
	if text, ok := fastField(line, p.options.TextField); ok {
		return text, nil
	}
	if line[0] == '[' {
		return "", p.bad(":%d: a JSON array; JSON Lines has one object a line (jq -c '.[]' makes it so)", number)
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal(line, &object); err != nil {
		return "", p.bad(":%d: not a JSON object on one line (%w); mend or remove the line", number, err)
	}
	raw, ok := object[p.options.TextField]
	if !ok {
		return "", p.bad(":%d: no field %q in this object (it has %s); name the one that holds the text with --text-field", number, p.options.TextField, fieldNames(object))
	}
	var text *string
	if err := json.Unmarshal(raw, &text); err != nil {
		return "", p.bad(":%d: field %q holds no string; name the one that holds the text with --text-field", number, p.options.TextField)
	}
	if text == nil {
		return "", nil
	}
	return *text, nil
}

// emitText emits a record's text as a document, split into sentences at newlines, and as several documents
// where it is longer than Options.MaxDocument.
func (p *pass) emitText(line int, text string) error {
	if strings.IndexByte(text, 0) >= 0 {
		p.counts.NULs += int64(strings.Count(text, "\x00"))
		text = strings.ReplaceAll(text, "\x00", "")
	}
	var sentences []string
	size := 0
	for s := range strings.SplitSeq(text, "\n") {
		if s = strings.TrimSpace(s); s == "" {
			continue
		}
		if size > 0 && size+len(s) > p.options.MaxDocument {
			p.counts.SplitDocuments++
			if err := p.emit(line, sentences); err != nil {
				return err
			}
			sentences, size = nil, 0
		}
		sentences = append(sentences, s)
		size += len(s)
	}
	return p.emit(line, sentences)
}

// fieldNames lists an object's fields for a message.
func fieldNames(object map[string]json.RawMessage) string {
	if len(object) == 0 {
		return "none"
	}
	names := slices.Sorted(maps.Keys(object))
	if len(names) > 10 {
		names = append(names[:10], "…")
	}
	return strings.Join(names, ", ")
}
