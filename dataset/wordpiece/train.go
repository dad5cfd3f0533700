package wordpiece

import (
	"cmp"
	"context"
	"iter"
	"maps"
	"runtime"
	"slices"
	"sync"

	"elektron/internal/fault"
)

// TrainOptions say which vocabulary is trained.
type TrainOptions struct {
	// Size is the number of tokens, special tokens and single characters included. A small corpus may give fewer.
	Size int
	// MinFrequency is how often two pieces must follow each other to be joined. Default 2.
	MinFrequency int64
	// AlphabetLimit is the number of characters that are kept, the most frequent. Default 1,000.
	AlphabetLimit int
	// Workers is the number of goroutines that count words. It does not change the result. Default GOMAXPROCS.
	Workers int
	// Text says how the text is normalised. The vocabulary keeps it as its Options.
	Text Options
}

func (o TrainOptions) withDefaults() (TrainOptions, error) {
	if least := len(SpecialTokens()) + 1; o.Size < least {
		return o, fault.New(fault.Usage, "wordpiece: a vocabulary of %d tokens cannot be trained: it needs the %d special tokens and at least one more; ask for a larger size", o.Size, least-1)
	}
	if o.MinFrequency < 0 || o.AlphabetLimit < 0 || o.Workers < 0 {
		return o, fault.New(fault.Usage, "wordpiece: minimum frequency %d, alphabet limit %d and workers %d must not be negative", o.MinFrequency, o.AlphabetLimit, o.Workers)
	}
	o.MinFrequency = cmp.Or(o.MinFrequency, 2)
	o.AlphabetLimit = cmp.Or(o.AlphabetLimit, 1000)
	o.Workers = cmp.Or(o.Workers, runtime.GOMAXPROCS(0))
	return o, nil
}

// Train counts the words of texts and trains a WordPiece vocabulary as Hugging Face's WordPieceTrainer does:
// special tokens, characters, then the most frequent pair of neighbouring pieces joined, again and again. The
// result depends on the texts and options alone, not on the order or the workers. It has fewer than Size tokens where
// no pair is left that is frequent enough. An error among texts ends the training and is returned.
func Train(ctx context.Context, texts iter.Seq2[string, error], o TrainOptions) (*Vocabulary, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	counter, err := countWords(ctx, texts, o)
	if err != nil {
		return nil, err
	}
	return TrainCounted(ctx, counter, o)
}

// batchBytes is the text handed to a worker at a time.
const batchBytes = 256 << 10

// countWords spreads texts over the workers.
func countWords(ctx context.Context, texts iter.Seq2[string, error], o TrainOptions) (*Counter, error) {
	batches := make(chan []string, o.Workers)
	counters := make([]*Counter, o.Workers)
	var workers sync.WaitGroup
	for i := range counters {
		counters[i] = NewCounter(o.Text)
		workers.Go(func() {
			for batch := range batches {
				for _, text := range batch {
					counters[i].Add(text)
				}
			}
		})
	}
	err := sendBatches(ctx, texts, batches)
	close(batches)
	workers.Wait()
	if err != nil {
		return nil, err
	}
	for _, other := range counters[1:] {
		counters[0].Merge(other)
	}
	return counters[0], nil
}

func sendBatches(ctx context.Context, texts iter.Seq2[string, error], batches chan<- []string) error {
	var batch []string
	size := 0
	for text, err := range texts {
		if err != nil {
			return err
		}
		batch = append(batch, text)
		if size += len(text); size < batchBytes {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		batches <- batch
		batch, size = nil, 0
	}
	batches <- batch
	return ctx.Err()
}

// TrainCounted is Train for words that were counted already; o.Text must be the counter's options.
func TrainCounted(ctx context.Context, counter *Counter, o TrainOptions) (*Vocabulary, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	words := counter.Words()
	if len(words) == 0 {
		return nil, fault.New(fault.Data, "wordpiece: a vocabulary cannot be trained: the text has no words; give it a corpus with text")
	}
	m := newMerger(words, o)
	if err := m.run(ctx, o); err != nil {
		return nil, err
	}
	v, err := NewVocabulary(m.tokens)
	if err != nil {
		return nil, err
	}
	v.options = o.Text
	return v, nil
}

// alphabet returns the single-character tokens: the most frequent characters, as many as the limit and the room
// allow, in the order of their code points, then those of them that stand inside words, with ##.
func alphabet(words map[string]int64, limit, room int) []string {
	counts, inside := countRunes(words)
	byCount := slices.SortedFunc(maps.Keys(counts), func(a, b rune) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b))
	})
	var kept []rune
	for _, r := range byCount {
		if room--; inside[r] {
			room--
		}
		if len(kept) == limit || room < 0 {
			break
		}
		kept = append(kept, r)
	}
	slices.Sort(kept)
	tokens := make([]string, 0, 2*len(kept))
	for _, r := range kept {
		tokens = append(tokens, string(r))
	}
	for _, r := range kept {
		if inside[r] {
			tokens = append(tokens, ContinuationPrefix+string(r))
		}
	}
	return tokens
}
