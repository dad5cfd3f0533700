package dataset

import (
	"fmt"
	"path/filepath"

	"elektron/dataset/corpus"
	"elektron/dataset/wordpiece"
	"elektron/internal/fault"

	"github.com/urfave/cli/v2"
)

// Command is `elektron data`: vocab, build, inspect and export. Results go to the app's Writer, progress to its
// ErrWriter.
func Command() *cli.Command {
	return &cli.Command{
		Name:  "data",
		Usage: "make a vocabulary or token shards, and look at examples",
		Subcommands: []*cli.Command{
			{
				Name:  "vocab",
				Usage: "train a WordPiece vocabulary on text",
				Flags: append(textFlags(),
					&cli.IntFlag{Name: "size", Value: DefaultVocabularySize, Usage: "tokens of the vocabulary (BERT: 30522)"},
					&cli.StringFlag{Name: "out", Value: "vocab.txt", Usage: "file to write, also gs://BUCKET/NAME"},
				),
				Action: runVocab,
			},
			{
				Name:  "build",
				Usage: "tokenise text once into a folder of shards, which --data takes later",
				Flags: append(textFlags(),
					&cli.StringFlag{Name: "vocab", Usage: "vocabulary file, also gs://BUCKET/NAME; without it one is trained on the text"},
					&cli.IntFlag{Name: "size", Value: DefaultVocabularySize, Usage: "tokens of a trained vocabulary"},
					&cli.StringFlag{Name: "out", Value: "shards", Usage: "folder to make, also gs://BUCKET/FOLDER"},
					&cli.BoolFlag{Name: "near-duplicates", Usage: "drop documents that resemble an earlier one, too (MinHash of runs of 5 tokens)"},
					&cli.Int64Flag{Name: "duplicate-memory", Value: DefaultDuplicateMemory >> 20, Usage: "MiB for the search for duplicates: 1 MiB looks back over 49,000 documents and paragraphs"},
					&cli.Float64Flag{Name: "valid-share", Value: DefaultValidShare, Usage: "share of the documents that is held out for validation"},
				),
				Action: runBuild,
			},
			{
				Name:      "inspect",
				Usage:     "show the examples of a folder of shards as text, with segments and masks, and statistics",
				ArgsUsage: "FOLDER[=WEIGHT]...",
				Flags: []cli.Flag{
					&cli.IntFlag{Name: "seq-len", Value: 128, Usage: "tokens in a row"},
					&cli.IntFlag{Name: "examples", Value: 4, Usage: "examples to show"},
					&cli.Int64Flag{Name: "step", Usage: "the step whose batch is shown"},
					&cli.Int64Flag{Name: "seed", Value: 42, Usage: "seed of order, segments and masks"},
					&cli.Float64Flag{Name: "mask-prob", Value: 0.15, Usage: "share of the tokens to predict"},
					&cli.BoolFlag{Name: "whole-word", Usage: "mask whole words"},
					&cli.BoolFlag{Name: "one-segment", Usage: "no second segments"},
					&cli.BoolFlag{Name: "valid", Usage: "show the held-out examples instead"},
					&cli.BoolFlag{Name: "skip-bad-shards", Usage: "leave damaged shards out, and count them, instead of stopping at them"},
				},
				Action: runInspect,
			},
			{
				Name:      "export",
				Usage:     "write the examples of a folder of shards as TFRecord files for the official ELECTRA code",
				ArgsUsage: "FOLDER[=WEIGHT]...",
				Flags: []cli.Flag{
					&cli.IntFlag{Name: "seq-len", Value: 128, Usage: "tokens in a row: the official code's max_seq_length"},
					&cli.Int64Flag{Name: "seed", Value: 42, Usage: "seed of order and segments"},
					&cli.BoolFlag{Name: "one-segment", Usage: "no second segments"},
					&cli.IntFlag{Name: "files", Value: 1, Usage: "files to spread the examples over"},
					&cli.StringFlag{Name: "out", Value: "tfrecords", Usage: "folder to make: the official code's --data-dir"},
					&cli.BoolFlag{Name: "skip-bad-shards", Usage: "leave damaged shards out, and count them, instead of stopping at them"},
				},
				Action: runExport,
			},
		},
	}
}

// textFlags are those of commands that read text.
func textFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringSliceFlag{Name: "data", Usage: "text files, globs or folders, also gs://BUCKET/NAME; default: the doc comments of the local Go installation"},
		&cli.StringFlag{Name: "text-field", Value: "text", Usage: "field of JSON Lines, column of Parquet that holds the text"},
		&cli.BoolFlag{Name: "document-per-file", Usage: "a text file is one document, whatever blank lines it has"},
		&cli.BoolFlag{Name: "cased", Usage: "keep upper case"},
		&cli.IntFlag{Name: "workers", Usage: "goroutines (default: one a core); the result does not depend on it"},
	}
}

// readText opens what --data names.
func readText(c *cli.Context) (*corpus.Corpus, error) {
	if c.NArg() > 0 {
		return nil, fault.New(fault.Usage, "dataset: unexpected argument %q; text is named with --data", c.Args().First())
	}
	return openText(c.Context, c.StringSlice("data"), corpus.Options{TextField: c.String("text-field"), DocumentPerFile: c.Bool("document-per-file")})
}

func runVocab(c *cli.Context) error {
	text, err := readText(c)
	if err != nil {
		return err
	}
	v, err := trainReported(c, text)
	if err != nil {
		return err
	}
	if err := saveVocabulary(c.Context, c.String("out"), v); err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.App.Writer, "%s: %d tokens, hash %s\n", c.String("out"), v.Size(), v.Hash())
	return err
}

// trainReported trains a vocabulary and says so.
func trainReported(c *cli.Context, text *corpus.Corpus) (*wordpiece.Vocabulary, error) {
	say := func(line string) { fmt.Fprintln(c.App.ErrWriter, line) }
	return trainVocabulary(c.Context, text, c.Int("size"), c.Bool("cased"), c.Int("workers"), say)
}

func runBuild(c *cli.Context) error {
	text, err := readText(c)
	if err != nil {
		return err
	}
	var v *wordpiece.Vocabulary
	if c.String("vocab") != "" {
		v, err = LoadVocabulary(c.Context, c.String("vocab"))
	} else {
		v, err = trainReported(c, text)
	}
	if err != nil {
		return err
	}
	o := BuildOptions{
		Folder: c.String("out"), Vocabulary: v, Cased: c.Bool("cased"), Workers: c.Int("workers"), ValidShare: c.Float64("valid-share"),
		NearDuplicates: c.Bool("near-duplicates"), DuplicateMemory: c.Int64("duplicate-memory") << 20,
	}
	m, err := Build(c.Context, text, o, func(line string) { fmt.Fprintln(c.App.ErrWriter, line) })
	if err != nil {
		return err
	}
	return m.Describe(c.App.Writer, o.Folder)
}

// openArguments opens the folders of shards that a command's arguments name. Close what it gives.
func openArguments(c *cli.Context, o Options) (*Prepared, error) {
	if c.NArg() == 0 {
		return nil, fault.New(fault.Usage, "dataset: %s takes a folder of shards; for example: data %[1]s shards", c.Command.Name)
	}
	if err := o.validate(); err != nil {
		return nil, err
	}
	say := func(line string) { fmt.Fprintln(c.App.ErrWriter, line) }
	sources, _, err := sourcesOf(c.Args().Slice())
	if err == nil {
		err = fetchShards(c.Context, sources, "", say)
	}
	if err != nil {
		return nil, err
	}
	return openFolders(c.Context, sources, o, say)
}

// runExport writes the training examples; the held-out ones stay held out.
func runExport(c *cli.Context) error {
	p, err := openArguments(c, Options{SkipBadShards: c.Bool("skip-bad-shards"), BatchOptions: BatchOptions{
		SeqLen: c.Int("seq-len"), BatchSize: 1, Seed: c.Int64("seed"), MaskProb: 0.15, OneSegment: c.Bool("one-segment"), // masks are not written
	}})
	if err != nil {
		return err
	}
	defer p.Close() // only read from
	out := c.String("out")
	if err := p.Train.Export(c.Context, out, p.Vocabulary, c.Int("files")); err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.App.Writer, "%s: %d examples of %d tokens in %d files\n", filepath.Join(out, recordsFolder), p.Train.Examples(), c.Int("seq-len"), c.Int("files"))
	return err
}

func runInspect(c *cli.Context) error {
	o := Options{SkipBadShards: c.Bool("skip-bad-shards"), BatchOptions: BatchOptions{
		SeqLen: c.Int("seq-len"), BatchSize: max(1, c.Int("examples")), Seed: c.Int64("seed"),
		MaskProb: c.Float64("mask-prob"), WholeWord: c.Bool("whole-word"), OneSegment: c.Bool("one-segment"),
	}}
	if c.Int64("step") < 0 {
		return fault.New(fault.Usage, "dataset: step %d; steps count from 0", c.Int64("step"))
	}
	p, err := openArguments(c, o)
	if err != nil {
		return err
	}
	defer p.Close() // only read from
	for _, from := range p.Sources {
		if err := from.Manifest.Describe(c.App.Writer, from.Folder); err != nil {
			return err
		}
	}
	if len(p.Skipped) > 0 {
		fmt.Fprintf(c.App.Writer, "left out: %d damaged shards\n", len(p.Skipped))
	}
	d, split := p.Train, TrainFolder
	if c.Bool("valid") {
		d, split = p.Valid, ValidFolder
	}
	fmt.Fprintf(c.App.Writer, "\nexamples of %s at sequence length %d\n%v\n", split, o.SeqLen, d.Statistics())
	return d.show(c, p.Vocabulary, c.Int64("step"), c.Int("examples"))
}

// show prints the first rows of a step's batch.
func (d *Dataset) show(c *cli.Context, v *wordpiece.Vocabulary, step int64, rows int) error {
	if rows <= 0 {
		return nil
	}
	b, err := d.Batch(step)
	if err != nil {
		return err
	}
	fmt.Fprintf(c.App.Writer, "\nstep %d (%s)\n", step, maskLegend)
	for row := range rows {
		d.writeRow(c.App.Writer, v, b, row)
	}
	return nil
}
