package dataset

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"os"
	"runtime"
	"slices"
	"time"

	"elektron/dataset/corpus"
	"elektron/dataset/shard"
	"elektron/dataset/wordpiece"
	"elektron/internal/blob"
	"elektron/internal/fault"
)

// BuildOptions says how text becomes shards.
type BuildOptions struct {
	Folder      string // to be made, here or in a bucket; its parent is made too
	Vocabulary  *wordpiece.Vocabulary
	Cased       bool    // keep upper case, for a cased vocab.txt; a tokenizer.json says so itself
	Workers     int     // goroutines that tokenise; 0 means one a core. The shards do not depend on it
	ValidShare  float64 // share of the documents that is held out; 0 means DefaultValidShare
	ShardTokens int     // tokens after which a shard is full; 0 means 16 Mi
	Source      string  // fingerprint of the files, kept in the manifest

	NearDuplicates  bool  // drop documents that resemble an earlier one, too (see nearduplicate.go)
	DuplicateMemory int64 // bytes at most for what the search for duplicates remembers; 0 means DefaultDuplicateMemory
}

// Defaults of BuildOptions and constants of a build.
const (
	DefaultValidShare  = 0.01
	defaultShardTokens = 16 << 20

	// DefaultDuplicateMemory is enough for the latest 12.6 million different documents and long paragraphs, about
	// 6 GB of text; where there are more, what is older is forgotten.
	DefaultDuplicateMemory = 256 << 20
	// MinDuplicateBytes is the length from which a repeated sentence or paragraph is dropped. Shorter ones
	// (headings, "Yes.") are a part of their text wherever they stand.
	MinDuplicateBytes = 32
)

// Resolved fills in the defaults. Options that cannot be right are a fault.Usage error.
func (o BuildOptions) Resolved() (BuildOptions, error) {
	if o.Workers <= 0 {
		o.Workers = runtime.GOMAXPROCS(0)
	}
	if o.ValidShare == 0 {
		o.ValidShare = DefaultValidShare
	}
	if o.DuplicateMemory <= 0 {
		o.DuplicateMemory = DefaultDuplicateMemory
	}
	if o.ShardTokens <= 0 {
		o.ShardTokens = defaultShardTokens
	}
	if !(o.ValidShare > 0 && o.ValidShare < 1) {
		return o, fault.New(fault.Usage, "dataset: held-out share %v is not between 0 and 1; the default is %v", o.ValidShare, DefaultValidShare)
	}
	return o, nil
}

// text says how text is normalised: as the vocabulary's file states, cased where the user asks for it.
func (o BuildOptions) text() wordpiece.Options {
	text := o.Vocabulary.Options()
	text.Cased = text.Cased || o.Cased
	return text
}

// Build tokenises a corpus into a folder of shards: train/, valid/, vocab.txt, manifest.json, and report.json and
// lengths.png for people. Files are read and tokenised in parallel; the folder's bytes depend on text, vocabulary and
// options only. Documents and long sentences that came before are dropped and counted (and documents that resemble
// one, on request), and so are sentences without a token. The folder appears whole or not at all; one that is there
// already is left alone, which is an error. progress gets a line now and then; nil means silence.
func Build(ctx context.Context, text *corpus.Corpus, o BuildOptions, progress func(string)) (*Manifest, error) {
	o, err := o.Resolved()
	if err != nil {
		return nil, err
	}
	folder, err := BeginFolder(ctx, o.Folder)
	if err != nil {
		return nil, err
	}
	defer folder.Abandon(ctx)
	m, err := buildInto(ctx, folder.Work, text, o, progress)
	if err != nil {
		return nil, err
	}
	return m, folder.Publish()
}

// buildInto writes everything into an empty folder, the manifest last. For a bucket all of it is made here first.
func buildInto(ctx context.Context, folder string, text *corpus.Corpus, o BuildOptions, progress func(string)) (*Manifest, error) {
	if blob.IsRemote(folder) {
		temporary, err := os.MkdirTemp("", "elektron-shards-")
		if err != nil {
			return nil, fault.Wrap(fault.Storage, err, "dataset: no place for the shards")
		}
		defer os.RemoveAll(temporary) // copied by then
		m, err := buildInto(ctx, temporary, text, o, progress)
		if err != nil {
			return nil, err
		}
		return m, upload(ctx, folder, temporary)
	}
	config := shard.Config{VocabularyHash: o.Vocabulary.Hash(), VocabularySize: o.Vocabulary.Size()}
	b := &builder{
		options: o, seen: newHashSet(o.DuplicateMemory), held: NewHeldOut(o.ValidShare), waiting: map[uint64]waiting{},
		train: &splitWriter{folder: folder, split: TrainFolder, config: config, limit: o.ShardTokens},
		valid: &splitWriter{folder: folder, split: ValidFolder, config: config, limit: o.ShardTokens},
	}
	defer b.abort()
	defer b.seen.close()
	if err := b.addAll(ctx, text, progress); err != nil {
		return nil, err
	}
	if err := text.NoText(); err != nil {
		return nil, err
	}
	if err := b.finish(ctx); err != nil {
		return nil, err
	}
	b.report.AddCounts(text.Counts())
	if b.seen.generations > 0 {
		b.report.Warnings = append(b.report.Warnings, fmt.Sprintf(
			"duplicates that are further apart than %d different documents and paragraphs may have been kept; more memory finds them (--duplicate-memory)", b.seen.reach()))
	}
	m := NewManifest(o, text.HoldsTokens(), b.train.written, b.valid.written, b.report)
	return m, m.Write(ctx, folder, o.Vocabulary)
}

// builder takes the documents in the order of the text, so that what it decides does not depend on the
// workers: which ones are duplicates, which are held out, which shard they go to.
type builder struct {
	options BuildOptions
	report  Report
	seen    *hashSet // hashes of documents and long sentences, and of bands
	train   *splitWriter
	valid   *splitWriter

	held    *HeldOut
	waiting map[uint64]waiting // documents that may be held out, by their draw
}

// waiting is a document whose split is not known yet.
type waiting struct {
	Kept
	number int64 // of the document in the text
}

// progressInterval is the time between two lines of progress.
const progressInterval = 2 * time.Second

func (b *builder) addAll(ctx context.Context, text *corpus.Corpus, progress func(string)) error {
	last, bytes := time.Now(), 0
	for c, err := range tokenized(ctx, text, b.options) {
		if err != nil {
			return err
		}
		for _, d := range c.tokenized {
			if err := b.add(ctx, d); err != nil {
				return err
			}
		}
		bytes += c.bytes
		if progress != nil && time.Since(last) >= progressInterval {
			last = time.Now()
			progress(fmt.Sprintf("tokenising: file %d of %d, %.0f MB of text, %d tokens",
				c.documents[0].File+1, len(text.Files()), float64(bytes)/1e6, b.report.Tokens))
		}
	}
	return nil
}

// add drops what is to be dropped of a document and gives the rest its place.
func (b *builder) add(ctx context.Context, d Document) error {
	b.report.Documents++
	b.report.Sentences += int64(len(d.Sentences))
	draw := drawOf(d.Hash)
	if _, waits := b.waiting[draw]; b.seen.add(d.Hash) || waits { // what waits may be forgotten otherwise
		b.report.DuplicateDocuments++
		return nil
	}
	if b.resembles(d) {
		b.report.NearDuplicateDocuments++
		return nil
	}
	kept := b.report.Keep(d, func(i int) bool { return b.seen.add(d.Sentences[i].Hash) })
	if len(kept.Sentences) == 0 {
		return nil
	}
	b.waiting[draw] = waiting{kept, b.report.Documents}
	for _, free := range b.held.Add(Ticket{draw, kept.Tokens()}) {
		if err := b.train.write(ctx, b.waiting[free].Sentences); err != nil {
			return err
		}
		delete(b.waiting, free)
	}
	return nil
}

// resembles tells whether a document shares a band with an earlier one. All its bands are remembered, so that chains
// of documents that resemble each other leave only the first.
func (b *builder) resembles(d Document) (is bool) {
	for _, band := range d.Bands {
		if b.seen.add(band) {
			is = true
		}
	}
	return is
}

// finish places the documents that wait, in the order of the text.
func (b *builder) finish(ctx context.Context) error {
	if err := b.report.Enough(); err != nil {
		return err
	}
	rule := b.held.Rule()
	left := slices.SortedFunc(maps.Values(b.waiting), func(x, y waiting) int { return cmp.Compare(x.number, y.number) })
	for _, d := range left {
		train, valid := rule.Split(d.Kept)
		if err := b.train.write(ctx, train); err != nil {
			return err
		}
		if err := b.valid.write(ctx, valid); err != nil {
			return err
		}
	}
	if err := b.train.close(); err != nil {
		return err
	}
	return b.valid.close()
}

func (b *builder) abort() {
	b.train.abort()
	b.valid.abort()
}

// splitWriter writes the shards of one split, each up to a number of tokens.
type splitWriter struct {
	folder  string // of all shards
	split   string
	config  shard.Config
	limit   int
	current *shard.Writer // nil between shards
	written Split
}

// write appends a document. One without sentences is nothing.
func (w *splitWriter) write(ctx context.Context, sentences [][]int32) error {
	if len(sentences) == 0 {
		return nil
	}
	if w.current == nil {
		if err := w.begin(ctx); err != nil {
			return err
		}
	}
	if err := w.current.WriteDocument(sentences); err != nil {
		return err
	}
	w.written.Documents++
	w.written.Sentences += int64(len(sentences))
	for _, s := range sentences {
		w.written.Tokens += int64(len(s))
	}
	if w.current.NumTokens() >= w.limit {
		return w.close()
	}
	return nil
}

func (w *splitWriter) begin(ctx context.Context) (err error) {
	w.current, err = shard.Create(ctx, ShardPath(w.folder, w.split, w.written.Shards), w.config)
	w.written.Shards++
	return err
}

// close finishes the current shard.
func (w *splitWriter) close() error {
	if w.current == nil {
		return nil
	}
	err := w.current.Close()
	w.current = nil
	return err
}

func (w *splitWriter) abort() {
	if w.current != nil {
		w.current.Abort()
	}
}
