package glue

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/janpfeifer/must"

	"elektron/dataset/wordpiece"
	"elektron/internal/device/devicetest"
	"elektron/internal/platform"
	"elektron/internal/testdata"
	"elektron/model"
)

// BenchmarkFineTune trains `small` with random weights on SST-2 in batches of 32 on XLA's CPU platform: tokens that are
// no padding a second, without compilation. Its peer is scripts/reference/finetune_speed.py.
//
//	go test ./glue -run xxx -bench FineTune -benchtime 40x
func BenchmarkFineTune(b *testing.B) {
	folder := testdata.Data(b)
	device := devicetest.Open(b, platform.CPU)
	v := must.M1(wordpiece.Load(filepath.Join(folder, "vocab", "vocab.txt")))
	small, _ := model.Preset("small")
	small.VocabSize = v.Size()
	c := newClassifier(device, programOptions{model: small, optimizer: Defaults().Optim, outputs: 2, layerDecay: 0.8, compute: dtypes.Float32})
	task := must.M1(FindTask("sst2"))
	for _, shapes := range []int{DefaultShapes, 1} {
		b.Run(fmt.Sprintf("shapes=%d", shapes), func(b *testing.B) {
			f := Defaults().Finetune
			f.Shapes, f.TrainRows = shapes, 32*2000
			j := &job{task: task, source: must.M1(Locate(b.Context(), filepath.Join(folder, "glue"), task)), recipe: f.resolved(task, &small)}
			data := must.M1(prepare(b.Context(), j, wordpiece.New(v, wordpiece.Options{})))
			must.M(c.start(nil, 1))
			defer c.release()
			tried := map[int]bool{}
			for batch := range data.train.Epoch(1, 0) { // compiles
				if !tried[batch.SeqLen] {
					tried[batch.SeqLen] = true
					must.M1(c.step(batch, 1, 0, 1e-4))
				}
			}
			tokens, step := 0, int64(0)
			next := (&attempt{data: data, run: Run{Seed: 2}}).batches()
			b.ResetTimer()
			for batch := range next {
				must.M1(c.step(batch, 1, step, 1e-4))
				for row := range batch.Rows {
					tokens += int(batch.Lengths[row])
				}
				if step++; step == int64(b.N) {
					break
				}
			}
			b.ReportMetric(float64(tokens)/b.Elapsed().Seconds(), "tokens/s")
		})
	}
}
