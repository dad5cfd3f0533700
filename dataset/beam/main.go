// Command beam is `data build` for a corpus that is too large for one machine: the same folder of shards, built by Apache
// Beam on a cluster (Dataflow, Flink, Spark) or, to try it, in this process (prism).
//
//	cd dataset/beam && go run . build --data TEXT --vocab vocab.txt --out shards --runner prism
//
// pipeline.go is the pipeline as a whole; encode.go, repeats.go and write.go are its steps, elements.go what travels
// between them. What a step does to a document is package dataset's, so both builders keep and drop the same text.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"elektron/dataset"
	"elektron/dataset/corpus"
	"elektron/internal/blob"
	"elektron/internal/fault"

	"github.com/apache/beam/sdks/v2/go/pkg/beam"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/options/jobopts"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/runners"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/x/beamx"
)

// Runners by their names: those of a job service that runs somewhere, and all.
var (
	served = []string{"flink", "spark", "universal"}
	names  = append([]string{"prism", "direct", "dataflow"}, served...)
)

// arguments are what the user asks for.
type arguments struct {
	data       []string
	vocabulary string
	out        string
	text       corpus.Options
	settings   settings // what the flags say of it
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "build" { // a runner starts its workers with flags alone
		os.Args = append(os.Args[:1], os.Args[2:]...)
	}
	a := flags(flag.CommandLine)
	*runners.Runner = "prism" // the default
	flag.Parse()
	beam.Init() // in a worker it does not return
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := build(ctx, a, flag.Args(), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "elektron:", err)
		os.Exit(fault.ExitCode(err))
	}
}

// flags defines the flags beside Beam's own.
func flags(set *flag.FlagSet) *arguments {
	a := &arguments{}
	set.Func("data", "text `files`, globs or folders, also gs://BUCKET/NAME; several times, if needed", func(value string) error {
		a.data = append(a.data, value)
		return nil
	})
	set.StringVar(&a.vocabulary, "vocab", "", "vocabulary `file`, also gs://BUCKET/NAME ('elektron data vocab' trains one)")
	set.StringVar(&a.out, "out", "", "`folder` to make, also gs://BUCKET/FOLDER")
	set.StringVar(&a.text.TextField, "text-field", "text", "field of JSON Lines, column of Parquet that holds the text")
	set.BoolVar(&a.text.DocumentPerFile, "document-per-file", false, "a text file is one document, whatever blank lines it has")
	set.BoolVar(&a.settings.Cased, "cased", false, "keep upper case")
	set.BoolVar(&a.settings.NearDuplicates, "near-duplicates", false, "drop documents that resemble an earlier one, too")
	set.Float64Var(&a.settings.ValidShare, "valid-share", dataset.DefaultValidShare, "share of the documents that is held out for validation")
	return a
}

// build runs the pipeline and prints what it made.
func build(ctx context.Context, a *arguments, rest []string, out io.Writer) error {
	if err := a.check(rest); err != nil {
		return err
	}
	text, err := corpus.Open(ctx, a.data, a.text)
	if err != nil {
		return err
	}
	vocabulary, err := blob.ReadFile(ctx, a.vocabulary)
	if err != nil {
		return err
	}
	folder, err := dataset.BeginFolder(ctx, a.out)
	if err != nil {
		return err
	}
	defer folder.Abandon(ctx)
	a.settings.Text, a.settings.VocabularyName, a.settings.Folder = a.text, a.vocabulary, folder.Work
	p, err := newPipeline(text, vocabulary, a.settings)
	if err != nil {
		return err
	}
	if err := beamx.Run(ctx, p); err != nil {
		return explain(ctx, err)
	}
	if err := folder.Publish(); err != nil {
		return err
	}
	m, err := dataset.ReadManifest(ctx, a.out)
	if fault.KindOf(err) == fault.Data && blob.IsRemote(a.out) { // --async, --dry_run
		_, err := fmt.Fprintf(out, "the runner did not wait for the job: %s is complete when it holds manifest.json\n", a.out)
		return err
	}
	if err != nil {
		return err
	}
	return m.Describe(out, a.out)
}

// check refuses arguments that cannot be right.
func (a *arguments) check(rest []string) error {
	for _, required := range []struct{ flag, value string }{{"data", strings.Join(a.data, "")}, {"vocab", a.vocabulary}, {"out", a.out}} {
		if required.value == "" {
			return fault.New(fault.Usage, "beam: --%s is missing; for example: build --data 'text/*.txt' --vocab vocab.txt --out shards", required.flag)
		}
	}
	if len(rest) > 0 {
		return fault.New(fault.Usage, "beam: unexpected argument %q; text is named with --data", rest[0])
	}
	if !slices.Contains(names, *runners.Runner) {
		return fault.New(fault.Usage, "beam: no runner %q; choose one of %s", *runners.Runner, strings.Join(names, ", "))
	}
	if slices.Contains(served, *runners.Runner) && *jobopts.Endpoint == "" {
		return fault.New(fault.Usage, "beam: --runner %s needs the address of its job service: --endpoint HOST:PORT", *runners.Runner)
	}
	elsewhere := *jobopts.Async || *runners.Runner == "dataflow"
	for _, name := range append([]string{a.out}, a.data...) {
		if elsewhere && !blob.IsRemote(name) {
			return fault.New(fault.Usage, "beam: %s: the job's machines do not see this one's files; name a place in a bucket (gs://)", name)
		}
	}
	return nil
}
