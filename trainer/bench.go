package trainer

import (
	"context"
	"math/rand/v2"
	"sort"
	"time"

	"elektron/dataset"
	"elektron/internal/device"
	"elektron/model"
)

const benchSteps = 5

// BenchResult is what `bench` prints. Times are wall-clock seconds.
type BenchResult struct {
	Platform    string    `json:"platform"`
	Device      string    `json:"device"`
	Devices     int       `json:"devices"`
	Preset      string    `json:"preset"`
	BatchSize   int       `json:"batch_size"`
	SeqLen      int       `json:"seq_len"`
	DType       string    `json:"dtype"`
	Optimizer   string    `json:"optimizer"`
	StepMin     float64   `json:"step_s_min"`
	StepMedian  float64   `json:"step_s_median"`
	TokensPerS  float64   `json:"tokens_per_s"` // by the median step
	FirstStep   float64   `json:"first_step_s"` // tracing, compiling and one step
	Compile     float64   `json:"compile_s"`    // the first step less a median one
	MaxRSS      int64     `json:"max_rss_mb"`
	MFU         float64   `json:"mfu"` // 0 where the device's peak is not known
	Params      int       `json:"params"`
	FLOPs       float64   `json:"flops_per_step"`
	FirstLoss   float64   `json:"first_loss"` // of the fresh model: near ln V + 50 ln 2
	Loss        float64   `json:"loss"`       // of the last step
	StepSeconds []float64 `json:"step_seconds"`
}

// Bench times the training step of a configuration on random ids, without a data pipeline.
func Bench(ctx context.Context, c *Config) (*BenchResult, error) {
	device, err := device.Open(ctx, c.deviceOptions(nil))
	if err != nil {
		return nil, err
	}
	defer device.Close()
	step, err := NewStep(device, c.stepOptions(device.Platform))
	if err != nil {
		return nil, err
	}
	defer step.Close()
	if err := step.Initialize(uint32(c.Run.Seed)); err != nil {
		return nil, err
	}
	batch := randomBatch(c)
	times := make([]float64, 0, c.Run.Steps)
	result := &BenchResult{Platform: device.Platform, Device: device.Description, Devices: device.Count, Preset: c.Preset,
		BatchSize: c.Data.BatchSize, SeqLen: c.Data.SeqLen, DType: c.dtypeOn(device.Platform), Optimizer: c.Optim.Name,
		Params: c.Model.ParameterCount(), FLOPs: stepFLOPs(c, &c.Model)}
	for t := range c.Run.Steps + 1 {
		began := time.Now()
		r, err := step.Train(batch, Control{Seed: uint32(c.Run.Seed), Step: t, LearningRate: c.Optim.LR, DiscriminatorWeight: c.Model.DiscriminatorWeight})
		if err != nil {
			return nil, err
		}
		seconds := time.Since(began).Seconds()
		result.Loss = totalLoss(&c.Model, &r.Statistics, c.Model.DiscriminatorWeight)
		if t == 0 {
			result.FirstStep, result.FirstLoss = seconds, result.Loss
		} else {
			times = append(times, seconds)
		}
	}
	result.StepSeconds = times
	sorted := append([]float64(nil), times...)
	sort.Float64s(sorted)
	result.StepMin, result.StepMedian = sorted[0], sorted[len(sorted)/2]
	result.TokensPerS = float64(c.Data.BatchSize*c.Data.SeqLen) / result.StepMedian
	result.Compile = result.FirstStep - result.StepMedian
	result.MaxRSS = maxRSS()
	return result, nil
}

// randomBatch is full of random ids above the special tokens, masked as real text is.
func randomBatch(c *Config) *dataset.Batch {
	B, S := c.Data.BatchSize, c.Data.SeqLen
	n := dataset.MaxPredictions(S, c.Data.MaskProb)
	K := dataset.MaskedSlots(S, c.Data.MaskProb)
	r := rand.New(rand.NewPCG(uint64(c.Run.Seed), 0))
	b := &dataset.Batch{Size: B, SeqLen: S, Masked: K, IDs: make([]int32, B*S), SegmentIDs: make([]int32, B*S), Lengths: make([]int32, B),
		MaskedPositions: make([]int32, B*K), MaskedInputs: make([]int32, B*K), MaskedWeights: make([]float32, B*K)}
	for i := range b.IDs {
		b.IDs[i] = int32(min(1000, c.Model.VocabSize/2) + r.IntN(c.Model.VocabSize/2))
	}
	for row := range B {
		b.Lengths[row] = int32(S)
		for k, position := range r.Perm(S)[:n] {
			b.MaskedPositions[row*K+k], b.MaskedInputs[row*K+k], b.MaskedWeights[row*K+k] = int32(position), int32(min(103, c.Model.VocabSize-1)), 1
		}
	}
	return b
}

// stepFLOPs is the useful work of one step.
func stepFLOPs(c *Config, m *model.Config) float64 {
	return float64(c.Data.BatchSize) * m.FLOPs(c.Data.SeqLen, dataset.MaxPredictions(c.Data.SeqLen, c.Data.MaskProb))
}
