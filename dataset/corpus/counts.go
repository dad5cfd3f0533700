package corpus

import (
	"fmt"
	"strings"

	"elektron/internal/fault"
)

// Counts is what reading found. Add up those of several corpora with Add.
type Counts struct {
	Files     int64
	Documents int64
	Sentences int64
	TextBytes int64 // of the sentences, after cleaning

	EmptyFiles     int64 // without a single document
	EmptyDocuments int64 // records whose text is empty or null
	SplitDocuments int64 // times that a document over Options.MaxDocument went on as a new one
	InvalidBytes   int64 // not UTF-8, each replaced by U+FFFD
	InvalidLines   int64 // lines with such bytes
	NULs           int64 // NUL bytes, dropped
	BOMs           int64 // byte order marks at the beginning of files, dropped
	CRLFLines      int64 // lines that ended in CR LF

	FirstInvalid string // file:line of the first bytes that are not UTF-8
}

// Add adds o to c.
func (c *Counts) Add(o Counts) {
	c.Files += o.Files
	c.Documents += o.Documents
	c.Sentences += o.Sentences
	c.TextBytes += o.TextBytes
	c.EmptyFiles += o.EmptyFiles
	c.EmptyDocuments += o.EmptyDocuments
	c.SplitDocuments += o.SplitDocuments
	c.InvalidBytes += o.InvalidBytes
	c.InvalidLines += o.InvalidLines
	c.NULs += o.NULs
	c.BOMs += o.BOMs
	c.CRLFLines += o.CRLFLines
	if c.FirstInvalid == "" {
		c.FirstInvalid = o.FirstInvalid
	}
}

// Warnings says in one sentence each what a user should know about the text: bytes replaced or dropped,
// documents split, files without text. Clean text gives none.
func (c Counts) Warnings() []string {
	var lines []string
	say := func(n int64, format string, args ...any) {
		if n > 0 {
			lines = append(lines, fmt.Sprintf(format, append([]any{n}, args...)...))
		}
	}
	say(c.InvalidBytes, "%d bytes in %d lines are not UTF-8 and were replaced by U+FFFD (first in %s)", c.InvalidLines, c.FirstInvalid)
	say(c.NULs, "%d NUL bytes were dropped")
	say(c.EmptyFiles, "%d files hold no text")
	say(c.EmptyDocuments, "%d records hold no text")
	say(c.SplitDocuments, "%d times a very long document was split; put blank lines between documents, if it is several")
	return lines
}

// Counts sums the latest pass over each file: after one complete reading it describes the corpus, however
// often it was read before.
func (c *Corpus) Counts() Counts {
	c.mu.Lock()
	defer c.mu.Unlock()
	var total Counts
	for _, counts := range c.counts {
		if counts != nil {
			total.Add(*counts)
		}
	}
	return total
}

func (c *Corpus) keep(index int, counts Counts) {
	if counts.Documents == 0 && !c.sparse {
		counts.EmptyFiles = 1
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counts[index] = &counts
}

// NoText is the error of a corpus in which the latest pass found no document at all. Call it after
// reading every file; Corpus.Documents does so itself.
func (c *Corpus) NoText() error {
	if c.Counts().Documents > 0 {
		return nil
	}
	hint := ""
	if w := c.Counts().Warnings(); len(w) > 0 {
		hint = " (" + strings.Join(w, "; ") + ")"
	}
	return fault.New(fault.Data, "corpus: %s: no text in %d files%s; name files that hold text", c.name, len(c.files), hint)
}
