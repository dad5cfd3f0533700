package glue

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/janpfeifer/must"

	"elektron/internal/platform"
	"elektron/model"
	"elektron/model/hf/safetensors"
	"elektron/trainer"
	"elektron/trainer/checkpoint"
)

// toyModel leaves a run of a narrow model with random weights in a folder: two layers, and the letters as vocabulary.
func toyModel(t testing.TB, change func(*model.Config)) string {
	t.Helper()
	c := must.M1(trainer.Preset("tiny"))
	v := letters(t).Vocabulary()
	m := &c.Model
	m.VocabSize, m.HiddenSize, m.EmbeddingSize, m.IntermediateSize, m.MaxPositions = v.Size(), 32, 16, 32, 64
	if change != nil {
		change(m)
	}
	var list []checkpoint.Tensor
	for _, w := range m.Weights() {
		values := w.Initialize(1, 0.2)
		if strings.HasSuffix(w.Name, ".residual") { // zero in a fresh model
			w.Init = model.InitTruncatedNormal
			values = w.Initialize(1, 0.2)
		}
		list = append(list, checkpoint.Tensor{Name: w.Name, DType: "float32", Shape: w.Shape, Data: safetensors.FromFloat32s(w.Name, w.Shape, values).Data})
	}
	folder := t.TempDir()
	meta := must.M1(json.Marshal(map[string]any{"config": c, "vocabulary": v.Hash()}))
	must.M1(checkpoint.Save(context.Background(), filepath.Join(folder, "checkpoints"), &checkpoint.State{Step: 3, Meta: meta, Tensors: list}))
	must.M(v.Save(filepath.Join(folder, "vocab.txt")))
	return folder
}

// toyText is one of n different texts of several letters; those with an x have label 1, those with a y label 0.
func toyText(i int) (text string, label int) {
	label = i % 2
	text = strings.TrimSpace(words(i*7, 2+i%5)) // of a to w, see toySafe
	text = toySafe.Replace(text) + " " + string("yx"[label])
	if i%3 == 0 {
		text = string("yx"[label]) + " " + toySafe.Replace(strings.TrimSpace(words(i*5, 1+i%9)))
	}
	return text, label
}

var toySafe = strings.NewReplacer("x", "v", "y", "w")

// toyTask is the folder of a task of classification that a narrow model learns in a few steps: mine.yaml and its files.
func toyTask(t testing.TB, extra string) string {
	t.Helper()
	file := func(from, to int, labelled bool) string {
		var b strings.Builder
		for i := from; i < to; i++ {
			text, label := toyText(i)
			if labelled {
				fmt.Fprintf(&b, "%s\t%s\n", text, [2]string{"no", "yes"}[label])
			} else {
				fmt.Fprintf(&b, "%d\t%s\n", 1000+i, text)
			}
		}
		return b.String()
	}
	folder := writeFiles(t, map[string]string{
		"mine.yaml": "train: train.tsv\ndev: dev.tsv\ntest: test.tsv\nheader: false\ncolumns: {text: 0, label: 1}\ntest_columns: {text: 1, index: 0}\nlabels: [no, yes]\n" + extra,
		"train.tsv": file(0, 96, true), "dev.tsv": file(96, 126, true), "test.tsv": file(126, 150, false),
	})
	return filepath.Join(folder, "mine.yaml")
}

// toyConfig fine-tunes on the pure-Go backend, with a rate at which random weights learn.
func toyConfig(t testing.TB, model, task string) *Config {
	c := Defaults()
	c.Run.Model, c.Run.Tasks, c.Run.Out, c.Run.Platform = model, []string{task}, t.TempDir(), platform.Go
	c.Finetune.LR, c.Finetune.Epochs, c.Finetune.BatchSize, c.Finetune.LayerDecay, c.Finetune.Dropout = 5e-3, 6, 16, 1, 0
	c.Finetune.MaxSeqLen, c.Finetune.Shapes = 16, 2
	return &c
}

// fineTune runs to the end and returns what it left and said.
func fineTune(t testing.TB, c *Config) (*Results, string) {
	t.Helper()
	r, said, err := tryFineTune(t.Context(), c)
	if err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	return r, said
}

func tryFineTune(ctx context.Context, c *Config) (*Results, string, error) {
	var said bytes.Buffer
	if err := FineTune(ctx, c, nil, &said, &said); err != nil {
		return nil, said.String(), err
	}
	r, err := ReadResults(ctx, c.Run.Out)
	return r, said.String(), err
}
