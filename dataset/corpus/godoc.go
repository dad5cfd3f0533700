package corpus

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"unicode"

	"elektron/internal/blob"
	"elektron/internal/fault"
)

// shortestParagraph is the number of bytes from which a paragraph of a comment counts: shorter ones are
// mostly headings, notes to a line and lists of names.
const shortestParagraph = 120

// GoDoc is the English text that every Go installation brings along: the comments of the Go files below
// goroot/src, one document a file, a paragraph a sentence. An empty goroot is the installation that built
// or runs this program. Left out are testdata and generated files, and in the others indented lines (code,
// lists), licences, directives, and paragraphs that are short or not prose. Go 1.26 gives about 7 MB.
func GoDoc(goroot string) (*Corpus, error) {
	if goroot == "" {
		goroot = installation()
	}
	source := filepath.Join(goroot, "src")
	c := &Corpus{name: source, options: Options{}.withDefaults(), sparse: true}
	info, err := os.Stat(source)
	if goroot == "" || err != nil || !info.IsDir() {
		return nil, fault.New(fault.Usage, "corpus: no Go source text on this machine (looked in GOROOT %q); pass --data with your own text files", goroot)
	}
	err = walk(source, nil, func(path string, info fs.FileInfo) {
		if strings.HasSuffix(path, ".go") && !strings.Contains(path[len(source):], string(filepath.Separator)+"testdata"+string(filepath.Separator)) {
			c.files = append(c.files, File{Path: path, Size: info.Size(), Modified: info.ModTime(), corpus: c, read: readGo, open: blob.Open})
		}
	})
	if err != nil {
		return nil, fault.Wrap(fault.Storage, err, "corpus: Go source text cannot be read")
	}
	if len(c.files) == 0 {
		return nil, fault.New(fault.Usage, "corpus: %s: no Go file in it; pass --data with your own text files", source)
	}
	c.sort()
	c.counts = make([]*Counts, len(c.files))
	return c, nil
}

// installation finds GOROOT: what the go command on this machine says, else what the program was built
// with. It is empty where neither exists.
func installation() string {
	if root := os.Getenv("GOROOT"); root != "" {
		return root
	}
	if out, err := exec.Command("go", "env", "GOROOT").Output(); err == nil && len(out) > 1 {
		return strings.TrimSpace(string(out))
	}
	return runtime.GOROOT()
}

// readGo makes one document of the comments of a Go file. A syntax error costs only what follows it.
func readGo(p *pass) error {
	stream, err := p.stream()
	if err != nil {
		return err
	}
	defer stream.Close()
	var source bytes.Buffer
	source.Grow(int(p.file.Size) + bytes.MinRead)
	if _, err := source.ReadFrom(stream); err != nil {
		return p.readError(0, err)
	}
	positions := token.NewFileSet()
	parse := func(mode parser.Mode) *ast.File { // of a file with syntax errors, what could be parsed
		file, _ := parser.ParseFile(positions, p.file.Path, source.Bytes(), mode|parser.ParseComments|parser.SkipObjectResolution)
		return file
	}
	if ast.IsGenerated(parse(parser.PackageClauseOnly)) { // a third of all bytes
		return nil
	}
	file := parse(0)
	var d document
	for _, group := range file.Comments {
		text := group.Text()
		if group.End() < file.Package && strings.Contains(text, "Copyright") {
			continue
		}
		line := positions.Position(group.Pos()).Line
		for _, paragraph := range paragraphs(text) {
			if err := d.add(p, line, p.clean(line, []byte(paragraph))); err != nil {
				return err
			}
		}
	}
	return d.end(p)
}

// paragraphs gives the prose of a comment, each paragraph on one line. Blank and indented lines separate.
func paragraphs(comment string) (result []string) {
	var lines []string
	end := func() {
		if p := strings.Join(lines, " "); len(p) >= shortestParagraph && isProse(p) {
			result = append(result, p)
		}
		lines = lines[:0]
	}
	for line := range strings.SplitSeq(comment, "\n") {
		if line == "" || line[0] == ' ' || line[0] == '\t' {
			end()
		} else {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	end()
	return result
}

// isProse tells sentences from disabled code, tables and rules: at least 85 of 100 characters are letters
// or spaces. Licences do not count as prose.
func isProse(paragraph string) bool {
	if strings.Contains(paragraph, "Copyright") || strings.Contains(paragraph, "SPDX-License") {
		return false
	}
	words, all := 0, 0
	for _, r := range paragraph {
		all++
		if r == ' ' || unicode.IsLetter(r) {
			words++
		}
	}
	return words*100 >= all*85
}
