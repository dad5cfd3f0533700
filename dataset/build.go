package dataset

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
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
	// MaxValidTokens bounds the held-out split of large corpora.
	MaxValidTokens = 1 << 20
	// MinDuplicateBytes is the length from which a repeated sentence or paragraph is dropped. Shorter ones
	// (headings, "Yes.") are a part of their text wherever they stand.
	MinDuplicateBytes = 32
)

func (o BuildOptions) withDefaults() BuildOptions {
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
	return o
}

// text says how text is normalised: as the vocabulary's file states, cased where the user asks for it.
func (o BuildOptions) text() wordpiece.Options {
	text := o.Vocabulary.Options()
	text.Cased = text.Cased || o.Cased
	return text
}

// Build tokenises a corpus into a folder of shards: train/, valid/, vocab.txt, manifest.json, and report.json and
// lengths.png for people. Files are
// read and tokenised in parallel; the folder's bytes depend on text, vocabulary and options only. Documents and
// long sentences that came before are dropped and counted (and documents that resemble one, on request), and so are sentences without a token. The folder
// appears whole or not at all; one that is there already is left alone, which is an error. progress gets
// a line now and then; nil means silence.
func Build(ctx context.Context, text *corpus.Corpus, o BuildOptions, progress func(string)) (*Manifest, error) {
	o = o.withDefaults()
	if !(o.ValidShare > 0 && o.ValidShare < 1) {
		return nil, fault.New(fault.Usage, "dataset: held-out share %v is not between 0 and 1; the default is %v", o.ValidShare, DefaultValidShare)
	}
	if blob.IsRemote(o.Folder) {
		return buildRemote(ctx, text, o, progress)
	}
	temporary, err := beginFolder(o.Folder)
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(temporary) // after the rename there is nothing left of it
	m, err := buildInto(ctx, temporary, text, o, progress)
	if err != nil {
		return nil, err
	}
	if err := os.Rename(temporary, o.Folder); err != nil {
		return nil, fault.Wrap(fault.Storage, err, "dataset: the finished shards cannot get their place")
	}
	return m, nil
}

// beginFolder makes a hidden folder beside the one that is to be built.
func beginFolder(folder string) (temporary string, err error) {
	entries, err := os.ReadDir(folder)
	if err == nil && len(entries) == 0 {
		err = os.Remove(folder) // an empty folder may be replaced
	} else if err == nil {
		err = fault.New(fault.Usage, "dataset: %s: exists already and is not empty; name another folder, or remove it first", folder)
	} else if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	parent, name := filepath.Split(filepath.Clean(folder))
	if err == nil && parent != "" {
		err = os.MkdirAll(parent, 0o777)
	}
	if err == nil {
		temporary, err = os.MkdirTemp(filepath.Clean(parent), buildingPrefix(name))
	}
	return temporary, fault.Wrap(fault.Storage, err, "dataset: no place for the shards")
}

// buildingPrefix begins the names of unfinished builds of a folder.
func buildingPrefix(name string) string { return "." + name + ".building-" }

// buildInto writes everything into an empty folder, the manifest last.
func buildInto(ctx context.Context, folder string, text *corpus.Corpus, o BuildOptions, progress func(string)) (*Manifest, error) {
	if err := os.Chmod(folder, 0o755); err != nil { // MkdirTemp makes it private
		return nil, fault.Wrap(fault.Storage, err, "dataset: no place for the shards")
	}
	config := shard.Config{VocabularyHash: o.Vocabulary.Hash(), VocabularySize: o.Vocabulary.Size()}
	b := &builder{
		options: o, seen: newHashSet(o.DuplicateMemory),
		train: &splitWriter{folder: filepath.Join(folder, trainFolder), config: config, limit: o.ShardTokens},
		valid: &splitWriter{folder: filepath.Join(folder, validFolder), config: config, limit: o.ShardTokens},
	}
	defer b.abort()
	defer b.seen.close()
	if err := b.addAll(ctx, text, progress); err != nil {
		return nil, err
	}
	if err := text.NoText(); err != nil {
		return nil, err
	}
	if err := b.finish(); err != nil {
		return nil, err
	}
	if err := o.Vocabulary.Save(filepath.Join(folder, vocabularyFile)); err != nil {
		return nil, err
	}
	counts := text.Counts()
	b.report.Files, b.report.Bytes, b.report.InvalidBytes = counts.Files, counts.TextBytes, counts.InvalidBytes
	b.report.Warnings = counts.Warnings()
	if b.seen.generations > 0 {
		b.report.Warnings = append(b.report.Warnings, fmt.Sprintf(
			"duplicates that are further apart than %d different documents and paragraphs may have been kept; more memory finds them (--duplicate-memory)", b.seen.reach()))
	}
	m := &Manifest{
		Format: manifestFormat, Source: o.Source, Text: o.text(), Examples: text.HoldsTokens(), ValidShare: o.ValidShare,
		VocabularyHash: config.VocabularyHash, VocabularySize: config.VocabularySize,
		Train: b.train.written, Valid: b.valid.written, Report: b.report,
	}
	if err := m.writeReport(folder); err != nil {
		return nil, err
	}
	return m, m.write(folder)
}

// builder takes the documents in the order of the text, so that what it decides does not depend on the
// workers: which ones are duplicates, which are held out, which shard they go to.
type builder struct {
	options BuildOptions
	report  Report
	seen    *hashSet // hashes of documents and long sentences, and of bands
	train   *splitWriter
	valid   *splitWriter

	spare placed // the document with the smallest draw so far, which waits for finish
}

// placed is a document on its way to a split.
type placed struct {
	sentences [][]int32
	tokens    int
	draw      uint64 // from its text
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
			if err := b.add(d); err != nil {
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
func (b *builder) add(d document) error {
	b.report.Documents++
	b.report.Sentences += int64(len(d.sentences))
	if b.seen.add(d.hash) {
		b.report.DuplicateDocuments++
		return nil
	}
	if b.resembles(d) {
		b.report.NearDuplicateDocuments++
		return nil
	}
	kept, tokens := make([][]int32, 0, len(d.sentences)), 0
	for _, s := range d.sentences {
		switch {
		case len(s.ids) == 0:
			b.report.EmptySentences++
		case s.bytes >= MinDuplicateBytes && b.seen.add(s.hash):
			b.report.DuplicateSentences++
		default:
			kept = append(kept, s.ids)
			b.report.SentenceLengths.add(len(s.ids))
			tokens += len(s.ids)
			b.report.UnknownTokens += int64(s.unknown)
		}
	}
	if tokens == 0 {
		b.report.EmptyDocuments++
		return nil
	}
	b.report.Tokens += int64(tokens)
	b.report.DocumentLengths.add(tokens)
	next := placed{kept, tokens, hash(0, 0, siteSplit, d.hash)}
	if b.spare.tokens == 0 || next.draw < b.spare.draw {
		next, b.spare = b.spare, next
	}
	return b.place(next)
}

// resembles tells whether a document shares a band with an earlier one. All its bands are remembered, so that chains
// of documents that resemble each other leave only the first.
func (b *builder) resembles(d document) (is bool) {
	for _, band := range d.bands {
		if b.seen.add(band) {
			is = true
		}
	}
	return is
}

// isHeldOut tells whether a document is to be held out: its draw is below the share, and there is room.
// Draws depend on the text of the document alone, so neither other files nor another order of them
// move it from one side to the other.
func (b *builder) isHeldOut(d placed) bool {
	return float64(d.draw) < b.options.ValidShare*0x1p64 && b.valid.written.Tokens+int64(d.tokens) <= MaxValidTokens
}

func (b *builder) place(d placed) error {
	if b.isHeldOut(d) {
		return b.valid.write(d.sentences)
	}
	return b.train.write(d.sentences)
}

// minValidTokens is what the held-out split has at least, where the corpus has twice as many.
const minValidTokens = 1024

// finish places the spare document, which makes sure that neither split is empty. Where no document was drawn
// it is held out: all of it or, where it is long, its end, so that training keeps at least half of the
// text and a corpus of one document can be split as well.
func (b *builder) finish() error {
	if b.report.Tokens < 2 {
		return fault.New(fault.Data, "dataset: the text has %d tokens after normalisation and without duplicates, too few for one example; add more text", b.report.Tokens)
	}
	held := 0
	switch total := float64(b.report.Tokens); {
	case b.isHeldOut(b.spare) && b.train.written.Tokens > 0:
		held = b.spare.tokens
	case b.valid.written.Tokens == 0:
		held = int(min(max(b.options.ValidShare*total, minValidTokens), MaxValidTokens, total/2))
	}
	head, tail := splitTail(b.spare.sentences, held)
	if err := b.train.write(head); err != nil {
		return err
	}
	if err := b.valid.write(tail); err != nil {
		return err
	}
	if err := b.train.close(); err != nil {
		return err
	}
	return b.valid.close()
}

// splitTail cuts the last n tokens, or all, off a document.
func splitTail(sentences [][]int32, n int) (head, tail [][]int32) {
	i := len(sentences)
	for i > 0 && n >= len(sentences[i-1]) {
		i--
		n -= len(sentences[i])
	}
	if i == 0 || n == 0 {
		return sentences[:i], sentences[i:]
	}
	last := sentences[i-1]
	cut := len(last) - n
	head = append(append(head, sentences[:i-1]...), last[:cut])
	return head, append(append(tail, last[cut:]), sentences[i:]...)
}

func (b *builder) abort() {
	b.train.abort()
	b.valid.abort()
}

// splitWriter writes the shards of one split, each up to a number of tokens.
type splitWriter struct {
	folder  string
	config  shard.Config
	limit   int
	current *shard.Writer // nil between shards
	written Split
}

// write appends a document. One without sentences is nothing.
func (w *splitWriter) write(sentences [][]int32) error {
	if len(sentences) == 0 {
		return nil
	}
	if w.current == nil {
		if err := w.begin(); err != nil {
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

func (w *splitWriter) begin() (err error) {
	if err := os.MkdirAll(w.folder, 0o777); err != nil {
		return fault.Wrap(fault.Storage, err, "dataset: no place for the shards")
	}
	w.current, err = shard.Create(filepath.Join(w.folder, fmt.Sprintf("%05d%s", w.written.Shards, shard.Extension)), w.config)
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
