package corpus

import (
	"bytes"
	"io"
)

// readText reads a sentence or paragraph a line. Blank lines end a document, unless a file is one document.
func readText(p *pass) error {
	stream, err := p.stream()
	if err != nil {
		return err
	}
	defer stream.Close()
	in, err := p.newLines(stream)
	if err != nil {
		return err
	}
	var d document
	for {
		line, err := in.next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		line = bytes.TrimSpace(line)
		if len(line) > 0 {
			err = d.add(p, in.number, line)
		} else if !p.options.DocumentPerFile {
			err = d.end(p)
		}
		if err != nil {
			return err
		}
	}
	return d.end(p)
}

// document collects sentences in one piece of memory, so that a document costs two allocations.
type document struct {
	line int // of the first sentence
	text []byte
	ends []int // of the sentences in text
}

// add appends a sentence. A document that would become longer than Options.MaxDocument is emitted first.
func (d *document) add(p *pass, line int, sentence []byte) error {
	if len(d.text) > 0 && len(d.text)+len(sentence) > p.options.MaxDocument {
		p.counts.SplitDocuments++
		if err := d.end(p); err != nil {
			return err
		}
	}
	if len(d.ends) == 0 {
		d.line = line
	}
	d.text = append(d.text, sentence...)
	d.ends = append(d.ends, len(d.text))
	return nil
}

// end emits the document, where there is one, and begins the next.
func (d *document) end(p *pass) error {
	if len(d.ends) == 0 {
		return nil
	}
	text := string(d.text)
	sentences := make([]string, len(d.ends))
	start := 0
	for i, end := range d.ends {
		sentences[i], start = text[start:end], end
	}
	d.text, d.ends = d.text[:0], d.ends[:0]
	return p.emit(d.line, sentences)
}
