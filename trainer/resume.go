package trainer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"time"

	"elektron/dataset"
	"elektron/dataset/corpus"
	"elektron/internal/blob"
	"elektron/internal/fault"
	"elektron/internal/settings"
	"elektron/trainer/checkpoint"
)

// checkpointMeta is what a checkpoint says beside its tensors.
type checkpointMeta struct {
	Config     Config  `json:"config"`
	Vocabulary string  `json:"vocabulary"`         // SHA-256 of the vocabulary; "" where an imported model came without
	Imported   bool    `json:"imported,omitempty"` // weights from elsewhere: no batch of this run has been seen
	ElapsedS   float64 `json:"elapsed_s"`
}

// savedRun is a checkpoint that a run may go on from.
type savedRun struct {
	path  string
	state *checkpoint.State
	meta  checkpointMeta
}

func parseSaved(state *checkpoint.State, path string) (*savedRun, error) {
	saved := &savedRun{path: path, state: state}
	if err := json.Unmarshal(state.Meta, &saved.meta); err != nil {
		return nil, fault.New(fault.Data, "trainer: %s: its description of the run is unreadable: %w", path, err)
	}
	return saved, nil
}

func (r *run) meta() ([]byte, error) {
	return json.Marshal(checkpointMeta{Config: r.config, Vocabulary: r.vocabulary.Hash(), ElapsedS: r.elapsed()})
}

// elapsed is the run's seconds over all sessions.
func (r *run) elapsed() float64 { return r.earlier + time.Since(r.began).Seconds() }

// fits checks that the configuration goes on with the same model on the same data.
func (s *savedRun) fits(c *Config, vocabulary string) error {
	before, now := s.meta.Config.frozen(s.state.Step), c.frozen(s.state.Step)
	var wrong []string
	for key, value := range now {
		if before[key] != value && !(s.meta.Imported && isOfBatches(key)) {
			wrong = append(wrong, fmt.Sprintf("%s is %s there and %s here", key, before[key], value))
		}
	}
	sort.Strings(wrong)
	if len(wrong) == 0 && s.meta.Vocabulary != "" && s.meta.Vocabulary != vocabulary {
		wrong = append(wrong, fmt.Sprintf("its vocabulary is another one of the same size (%.12s there, %.12s here)", s.meta.Vocabulary, vocabulary))
	}
	if len(wrong) == 0 {
		return nil
	}
	return fault.New(fault.Usage, "trainer: %s holds another run: %s; leave them out to go on, or give another --out to start anew", s.path, strings.Join(wrong, "; "))
}

// isOfBatches tells whether a frozen value is one of the batches, not of the model or its text.
func isOfBatches(key string) bool {
	return key != "the generator" && key != "data.cased" && !strings.HasPrefix(key, "model.")
}

// vocabularyFile is where a run keeps its vocabulary.
func vocabularyFile(out string) string { return filepath.Join(out, "vocab.txt") }

// dataOptions are the options of a phase's data; a run that goes on keeps its own vocabulary.
func dataOptions(c *Config, batch dataset.BatchOptions) dataset.Options {
	o := dataset.Options{Data: c.Data.Paths, Vocabulary: c.Data.Vocab, VocabularySize: c.Data.VocabSize, CacheDir: c.Data.Cache, Cased: c.Data.Cased,
		Text:          corpus.Options{TextField: c.Data.TextField, DocumentPerFile: c.Data.DocumentPerFile},
		SkipBadShards: c.Data.SkipBadShards, ValidShare: c.Data.ValidShare, Workers: c.Data.Workers, BatchOptions: batch}
	if own := vocabularyFile(c.Run.Out); o.Vocabulary == "" && exists(own) {
		o.Vocabulary = own
	}
	return o
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// writeConfig leaves the resolved configuration and the vocabulary in the output folder.
func (r *run) writeConfig(s *settings.Settings) error {
	if !r.leads() {
		return nil
	}
	if err := r.vocabulary.Save(vocabularyFile(r.config.Run.Out)); err != nil {
		return err
	}
	return writeSettings(r.config.Run.Out, s)
}

func writeSettings(folder string, s *settings.Settings) error {
	path := filepath.Join(folder, "config.yaml")
	var text bytes.Buffer
	if err := s.Write(&text); err != nil {
		return fault.Wrap(fault.Internal, err, "trainer: writing %s", path)
	}
	return fault.Wrap(fault.Storage, blob.WriteFile(path, text.Bytes()), "trainer: writing %s", path)
}
