package main

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// The layout in tables. A pattern is a folder of the repository ("dataset"; "." is the root), a folder with
// all below it ("dataset/..."), a file, or an import path of another module.

const module = "elektron"

// importRule says that packages of one part of the repository do not reach others, directly or through
// packages of the repository.
type importRule struct {
	from, except []string // the packages it is about
	not, but     []string // what they must not reach
	reason       string
}

var importRules = []importRule{
	{from: []string{"model/..."}, not: []string{"dataset/..."},
		reason: "the model is a function of arrays; where they come from is the trainer's business"},
	{from: []string{"model"}, not: []string{"model/..."}, but: []string{"model"},
		reason: "the model is graphs and shapes; what reads and writes files of models knows it, not the other way round"},
	{from: []string{"model/tf1/..."}, not: []string{"model/hf/..."},
		reason: "a file format knows the model, not the other formats"},
	{from: []string{"model/hf/..."}, not: []string{"model/tf1/..."},
		reason: "a file format knows the model, not the other formats"},
	{from: []string{"dataset/..."}, not: []string{"model/..."},
		reason: "data is prepared once for any model"},
	{from: []string{"dataset/..."}, not: []string{"github.com/gomlx/...", "internal/platform/..."},
		reason: "preparing data is bytes and integers: it runs where there is no device and no plugin"},
	{from: []string{"model/...", "dataset/..."}, not: []string{"trainer/...", "glue/..."},
		reason: "imports go one way: main, glue, trainer, then model and dataset"},
	{from: []string{"trainer/..."}, not: []string{"glue/..."},
		reason: "imports go one way: main, glue, trainer, then model and dataset"},
	{from: []string{"trainer/checkpoint/...", "trainer/track/..."}, not: []string{"github.com/gomlx/...", "model/...", "dataset/..."},
		reason: "files of a run are read and written without a device: inspect and report need no plugin"},
	{from: []string{"glue/squad"}, not: []string{".", "glue", "trainer/...", "model/...", "github.com/gomlx/...", "internal/platform/...", "internal/pjrt"},
		reason: "reading, cutting and measuring is bytes and numbers: the graphs and runs that use it are glue's"},
	{from: []string{"internal/..."}, except: []string{"internal/platform/...", "internal/arguments", "internal/device/..."},
		not: []string{".", "model/...", "dataset/...", "trainer/...", "glue/...", "internal/..."}, but: []string{"internal/fault"},
		reason: "internal packages are leaves: any part may use them"},
	{from: []string{"internal/platform/..."},
		not: []string{".", "model/...", "dataset/...", "trainer/...", "glue/...", "internal/..."}, but: []string{"internal/fault", "internal/platform/..."},
		reason: "a leaf of several packages: its test server may know it"},
	{from: []string{"internal/device/..."},
		not:    []string{".", "model/...", "dataset/...", "trainer/...", "glue/...", "internal/..."},
		but:    []string{"internal/fault", "internal/blob", "internal/platform", "internal/pjrt", "internal/stablehlo", "internal/hugepages", "internal/device"},
		reason: "it puts the leaves together that run a program: who finds the plugin, who drives it, who writes the text; what the program computes it does not know"},
	{from: []string{"internal/arguments"},
		not: []string{".", "model/...", "dataset/...", "trainer/...", "glue/...", "internal/..."}, but: []string{"internal/fault", "internal/settings"},
		reason: "a leaf, but for the one function that finds the nearest name"},
}

// fileRule says that something may stand in some files only.
type fileRule struct {
	what   string
	found  func(*source) []token.Pos
	only   []string // where it may stand
	reason string
}

var fileRules = []fileRule{
	{"a call of os.Exit", calls("os", "Exit"), []string{"main.go"},
		"the exit code is decided in one place, after everything was closed and saved"},
	{"a call of log.Fatal or log.Panic", calls("log", "Fatal", "Fatalf", "Fatalln", "Panic", "Panicf", "Panicln"), nil,
		"it ends the process without an error kind; return an error"},
	{"a call of klog.Fatal or klog.Exit", calls("k8s.io/klog/v2", "Fatal", "Fatalf", "Fatalln", "Exit", "Exitf", "Exitln"), nil,
		"it ends the process without an error kind; return an error"},
	{"an import of must", imports("github.com/janpfeifer/must"), []string{"main.go"},
		"it panics: never on user data, files or devices"},
	{"an import of C", imports("C"), []string{"internal/pjrt"},
		"a fault in C ends the process: plugins are reached through one package"},
	{"a dot import", dotImports("", "github.com/gomlx/gomlx/core/graph"), nil,
		"a reader must see where a name comes from"},
	{"a dot import of core/graph", dotImports("github.com/gomlx/gomlx/core/graph", ""),
		[]string{"model/...", "trainer", "trainer/optimizer", "glue"},
		"only files that build graphs read better with it"},
}

// source is a Go file of the repository.
type source struct {
	path string // from the root of the repository, with slashes
	text []byte
	file *ast.File
	fset *token.FileSet
}

func (s *source) folder() string { return path.Dir(s.path) }
func (s *source) isTest() bool   { return strings.HasSuffix(s.path, "_test.go") }
func (s *source) at(pos token.Pos) string {
	return fmt.Sprintf("%s:%d", s.path, s.fset.Position(pos).Line)
}

// sources parses all Go files of the module, whatever their build tags. Folders named testdata are left
// out, but not the package of that name.
func sources(t *testing.T) []*source {
	t.Helper()
	var found []*source
	err := filepath.WalkDir(".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		slashed := filepath.ToSlash(name)
		if entry.IsDir() {
			_, noModule := os.Stat(filepath.Join(name, "go.mod"))
			hidden := name != "." && (strings.HasPrefix(entry.Name(), ".") || strings.HasPrefix(entry.Name(), "_"))
			if hidden || name != "." && noModule == nil || entry.Name() == "testdata" && slashed != "internal/testdata" {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		s, err := parse(slashed, text)
		found = append(found, s)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func parse(name string, text []byte) (*source, error) {
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, name, text, parser.ParseComments|parser.SkipObjectResolution)
	return &source{path: name, text: text, file: file, fset: fset}, err
}

// matches says whether a folder, file or import path is one of the patterns.
func matches(name string, patterns []string) bool {
	for _, pattern := range patterns {
		tree, isTree := strings.CutSuffix(pattern, "/...")
		if name == pattern || isTree && (name == tree || strings.HasPrefix(name, tree+"/")) {
			return true
		}
	}
	return false
}

// importedName turns an import path into a folder, if it is of this repository.
func importedName(spec *ast.ImportSpec) string {
	name, err := strconv.Unquote(spec.Path.Value)
	if err != nil {
		return spec.Path.Value
	}
	if name == module {
		return "."
	}
	return strings.TrimPrefix(name, module+"/")
}

// graph maps each package's folder to what it imports, and the import to the place of the first such line.
func graph(files []*source) map[string]map[string]string {
	packages := map[string]map[string]string{}
	for _, s := range files {
		if s.isTest() {
			continue
		}
		if packages[s.folder()] == nil {
			packages[s.folder()] = map[string]string{}
		}
		for _, spec := range s.file.Imports {
			if name := importedName(spec); packages[s.folder()][name] == "" {
				packages[s.folder()][name] = s.at(spec.Pos())
			}
		}
	}
	return packages
}

// importProblems walks from every package and names the chain that leads to what it must not reach.
func importProblems(files []*source, rules []importRule) []string {
	packages := graph(files)
	var problems []string
	for _, rule := range rules {
		for _, from := range slices.Sorted(maps.Keys(packages)) {
			if !matches(from, rule.from) || matches(from, rule.except) {
				continue
			}
			problems = append(problems, reach(packages, rule, from)...)
		}
	}
	return problems
}

func reach(packages map[string]map[string]string, rule importRule, from string) []string {
	var problems []string
	seen := map[string]bool{from: true}
	var walk func(chain []string)
	walk = func(chain []string) {
		last := chain[len(chain)-1]
		for _, next := range slices.Sorted(maps.Keys(packages[last])) {
			if seen[next] {
				continue
			}
			seen[next] = true
			longer := append(slices.Clone(chain), next)
			if matches(next, rule.not) && !matches(next, rule.but) {
				problems = append(problems, fmt.Sprintf("%s: %s must not be: %s",
					packages[last][next], strings.Join(longer, " -> "), rule.reason))
				continue
			}
			walk(longer)
		}
	}
	walk([]string{from})
	return problems
}

// fileProblems looks for what may stand in some files only. Tests may do all of it.
func fileProblems(files []*source, rules []fileRule) []string {
	var problems []string
	for _, rule := range rules {
		for _, s := range files {
			if s.isTest() || matches(s.path, rule.only) || matches(s.folder(), rule.only) {
				continue
			}
			for _, pos := range rule.found(s) {
				problems = append(problems, fmt.Sprintf("%s: %s must not be here: %s", s.at(pos), rule.what, rule.reason))
			}
		}
	}
	return problems
}

// calls finds uses of functions of a package, under whatever name the file imports it.
func calls(pkg string, functions ...string) func(*source) []token.Pos {
	return func(s *source) []token.Pos {
		local := ""
		for _, spec := range s.file.Imports {
			if importedName(spec) == pkg {
				local = path.Base(strings.TrimSuffix(pkg, "/v2"))
				if spec.Name != nil {
					local = spec.Name.Name
				}
			}
		}
		var found []token.Pos
		ast.Inspect(s.file, func(n ast.Node) bool {
			selector, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if x, ok := selector.X.(*ast.Ident); ok && local != "" && x.Name == local && slices.Contains(functions, selector.Sel.Name) {
				found = append(found, n.Pos())
			}
			return true
		})
		return found
	}
}

func imports(pkg string) func(*source) []token.Pos {
	return func(s *source) []token.Pos {
		var found []token.Pos
		for _, spec := range s.file.Imports {
			if importedName(spec) == pkg {
				found = append(found, spec.Pos())
			}
		}
		return found
	}
}

// dotImports finds dot imports of one package, or with pkg empty of all but one.
func dotImports(pkg, except string) func(*source) []token.Pos {
	return func(s *source) []token.Pos {
		var found []token.Pos
		for _, spec := range s.file.Imports {
			name := importedName(spec)
			if spec.Name != nil && spec.Name.Name == "." && (name == pkg || pkg == "" && name != except) {
				found = append(found, spec.Pos())
			}
		}
		return found
	}
}

func TestLayout(t *testing.T) {
	files := sources(t)
	for _, problem := range append(importProblems(files, importRules), fileProblems(files, fileRules)...) {
		t.Error(problem)
	}
}

// tree parses files that are given in one text, a line "-- path --" before each.
func tree(t *testing.T, archive string) []*source {
	t.Helper()
	var files []*source
	for _, part := range strings.Split(archive, "-- ")[1:] {
		name, text, _ := strings.Cut(part, " --\n")
		s, err := parse(name, bytes.TrimSpace([]byte(text)))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, s)
	}
	return files
}

// TestLayoutRules plants a breach of each rule and one thing that is allowed.
func TestLayoutRules(t *testing.T) {
	imported := func(file, name string) string {
		return fmt.Sprintf("-- %s --\npackage x\nimport %s\n", file, name)
	}
	cases := []struct{ name, files, want string }{
		{"model to dataset", imported("model/a.go", `"elektron/dataset"`), "model/a.go:2: model -> dataset must not be"},
		{"model to a format", imported("model/a.go", `"elektron/model/hf"`), "model -> model/hf must not be"},
		{"a format to the model", imported("model/hf/a.go", `"elektron/model"`) + imported("model/b.go", `"fmt"`), ""},
		{"TensorFlow's format to Hugging Face's", imported("model/tf1/a.go", `"elektron/model/hf"`), "not the other formats"},
		{"Hugging Face's format to TensorFlow's", imported("model/hf/a.go", `"elektron/model/tf1"`), "not the other formats"},
		{"dataset to model", imported("dataset/shard/a.go", `"elektron/model/hf"`), "dataset/shard -> model/hf"},
		{"dataset to GoMLX", imported("dataset/a.go", `"github.com/gomlx/gomlx/core/tensors"`), "dataset -> github.com/gomlx"},
		{"dataset to GoMLX by way of another", imported("dataset/a.go", `"elektron/other"`) + imported("other/b.go", `"github.com/gomlx/compute"`),
			"other/b.go:2: dataset -> other -> github.com/gomlx/compute"},
		{"dataset to platform", imported("dataset/a.go", `"elektron/internal/platform"`), "dataset -> internal/platform"},
		{"a test of dataset may", imported("dataset/a_test.go", `"github.com/gomlx/compute"`), ""},
		{"model to trainer", imported("model/a.go", `"elektron/trainer"`), "one way"},
		{"trainer to glue", imported("trainer/a.go", `"elektron/glue"`), "one way"},
		{"glue to trainer", imported("glue/a.go", `"elektron/trainer"`), ""},
		{"checkpoint to GoMLX", imported("trainer/checkpoint/a.go", `"github.com/gomlx/gomlx/core/tensors"`), "without a device"},
		{"track to GoMLX", imported("trainer/track/a.go", `"github.com/gomlx/gomlx/core/tensors"`), "without a device"},
		{"optimizer to GoMLX", imported("trainer/optimizer/a.go", `"github.com/gomlx/gomlx/core/tensors"`), ""},
		{"SQuAD's files to GoMLX", imported("glue/squad/a.go", `"github.com/gomlx/gomlx/core/tensors"`), "glue/squad -> github.com/gomlx"},
		{"SQuAD's files to runs", imported("glue/squad/a.go", `"elektron/glue"`), "glue/squad -> glue must not be"},
		{"runs to SQuAD's files", imported("glue/a.go", `"elektron/glue/squad"`), ""},
		{"a leaf to the trainer", imported("internal/settings/a.go", `"elektron/trainer"`), "leaves"},
		{"a leaf to a leaf", imported("internal/settings/a.go", `"elektron/internal/arguments"`), "leaves"},
		{"a leaf to the errors", imported("internal/settings/a.go", `"elektron/internal/fault"`), ""},
		{"the devices to a plugin", imported("internal/device/a.go", `"elektron/internal/pjrt"`), ""},
		{"the devices to the model", imported("internal/device/a.go", `"elektron/model"`), "what the program computes it does not know"},
		{"a leaf to the devices", imported("internal/stablehlo/a.go", `"elektron/internal/device"`), "leaves"},
		{"platform to another leaf", imported("internal/platform/a.go", `"elektron/internal/settings"`), "leaf of several"},
		{"arguments to nearest names", imported("internal/arguments/a.go", `"elektron/internal/settings"`), ""},
		{"arguments to another leaf", imported("internal/arguments/a.go", `"elektron/internal/platform"`), "nearest name"},
		{"a cycle ends", imported("glue/a.go", `"elektron/trainer"`) + imported("trainer/b.go", `"elektron/trainer"`), ""},

		{"os.Exit", "-- glue/a.go --\npackage x\nimport \"os\"\nfunc f() { os.Exit(1) }", "glue/a.go:3: a call of os.Exit"},
		{"os.Exit by another name", "-- glue/a.go --\npackage x\nimport sys \"os\"\nvar f = sys.Exit", "a call of os.Exit"},
		{"os.Exit in main", "-- main.go --\npackage x\nimport \"os\"\nfunc f() { os.Exit(1) }", ""},
		{"another main.go", "-- scripts/main.go --\npackage x\nimport \"os\"\nfunc f() { os.Exit(1) }", "a call of os.Exit"},
		{"another Exit", "-- glue/a.go --\npackage x\nfunc f() { os.Exit(1) }", ""},
		{"log.Fatal", "-- main.go --\npackage x\nimport \"log\"\nfunc f() { log.Fatalf(\"\") }", "log.Fatal"},
		{"klog.Fatal", "-- main.go --\npackage x\nimport \"k8s.io/klog/v2\"\nfunc f() { klog.Fatalf(\"\") }", "klog.Fatal"},
		{"must", imported("trainer/a.go", `"github.com/janpfeifer/must"`), "an import of must"},
		{"must in main", imported("main.go", `"github.com/janpfeifer/must"`), ""},
		{"must in a test", imported("trainer/a_test.go", `"github.com/janpfeifer/must"`), ""},
		{"C", imported("trainer/a.go", `"C"`), "an import of C"},
		{"C in the binding", imported("internal/pjrt/a.go", `"C"`), ""},
		{"the binding to the platform", imported("internal/pjrt/a.go", `"elektron/internal/platform"`), "leaves"},
		{"dot import", imported("model/a.go", `. "fmt"`), "a dot import must not"},
		{"graphs in the model", imported("model/a.go", `. "github.com/gomlx/gomlx/core/graph"`), ""},
		{"graphs in the optimizer", imported("trainer/optimizer/a.go", `. "github.com/gomlx/gomlx/core/graph"`), ""},
		{"graphs elsewhere", imported("internal/platform/a.go", `. "github.com/gomlx/gomlx/core/graph"`), "a dot import of core/graph"},
	}
	for _, c := range cases {
		files := tree(t, c.files)
		problems := strings.Join(append(importProblems(files, importRules), fileProblems(files, fileRules)...), "\n")
		if (problems == "") != (c.want == "") || !strings.Contains(problems, c.want) {
			t.Errorf("%s: got %q, want %q", c.name, problems, c.want)
		}
	}
}
