package dataset

import (
	"context"
	"fmt"
	"iter"
	"runtime"

	"elektron/dataset/corpus"
	"elektron/dataset/wordpiece"
	"elektron/internal/fault"
)

// vocabularyText is how much text a vocabulary is trained on. The different words, which are all in memory, become ever
// more with the text (half a million in 256 MiB of Wikipedia's kind); the vocabulary hardly changes.
const vocabularyText = 256 << 20

// trainVocabulary trains a vocabulary on a text or, where it is long, on a share of its paragraphs.
func trainVocabulary(ctx context.Context, text *corpus.Corpus, size int, cased bool, workers int, progress func(string)) (*wordpiece.Vocabulary, error) {
	if text.HoldsTokens() {
		return nil, fault.New(fault.Usage, "dataset: TFRecord files hold token ids, of which no vocabulary can be trained; name with --vocab the one that they were made with")
	}
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	share := min(1, vocabularyText/float64(text.TextSize()))
	on := ""
	if share < 1 {
		on = fmt.Sprintf("%.3g %% of the paragraphs of ", 100*share)
	}
	progress(fmt.Sprintf("training a vocabulary of %d tokens on %s%d files (%.1f MB)", size, on, len(text.Files()), float64(text.Size())/1e6))
	return wordpiece.Train(ctx, sampled(sentencesOf(ctx, text, workers), share), wordpiece.TrainOptions{
		Size: size, Workers: workers, Text: wordpiece.Options{Cased: cased},
	})
}

// sampled leaves a share of the sentences, which their text decides, so that it does not depend on their order.
func sampled(sentences iter.Seq2[string, error], share float64) iter.Seq2[string, error] {
	if share >= 1 {
		return sentences
	}
	return func(yield func(string, error) bool) {
		for s, err := range sentences {
			if err == nil && float64(textHash(s)) >= share*0x1p64 {
				continue
			}
			if !yield(s, err) {
				return
			}
		}
	}
}
