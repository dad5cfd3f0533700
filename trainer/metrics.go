package trainer

import (
	"fmt"
	"io"
	"math"
	"path/filepath"
	"strings"
	"time"

	"elektron/dataset"
	"elektron/model"
	"elektron/trainer/track"
)

// lossMetrics derives a line's losses and accuracies from a batch's sums; weight is the discriminator's.
func (r *run) lossMetrics(s *model.Statistics, weight float64) track.Metrics {
	nan := math.NaN()
	m := track.Metrics{
		Step: r.done, MLMLoss: s.MLMLoss / s.MaskedTokens, RTDLoss: s.RTDLoss / s.Tokens,
		MLMAccuracy: s.MLMCorrect / s.MaskedTokens, SampledAccuracy: s.SampledCorrect / s.MaskedTokens,
		RTDAccuracy: s.Correct / s.Tokens, RTDPrecision: s.TruePositives / s.PredictedPositives,
		RTDRecall: s.TruePositives / s.Positives, RTDAUC: s.AUC(),
		LearningRate: nan, GradNorm: nan, TokensPerS: nan, ExamplesPerS: nan, MFU: nan, DataWaitFraction: nan,
		ElapsedS: r.elapsed(),
	}
	m.Loss = totalLoss(&r.config.Model, s, weight)
	return m
}

// totalLoss is the weighted sum of a batch's mean losses; weight is the discriminator's.
func totalLoss(c *model.Config, s *model.Statistics, weight float64) float64 {
	loss := c.GeneratorWeight * s.MLMLoss / s.MaskedTokens
	if c.Objective != model.ObjectiveMLM {
		loss += weight * s.RTDLoss / s.Tokens
	}
	return loss
}

// trainingMetrics is a line about one step; its speeds are over the interval since the last line.
func (r *run) trainingMetrics(result Result, rate float64, speed *stopwatch) track.Metrics {
	m := r.lossMetrics(&result.Statistics, r.config.discriminatorWeight(r.done-1))
	m.LearningRate, m.GradNorm = rate, result.GradNorm
	seconds := speed.seconds()
	m.TokensPerS, m.ExamplesPerS = speed.tokens/seconds, speed.examples/seconds
	m.DataWaitFraction = speed.waited.Seconds() / seconds
	return m
}

// stopwatch measures the speed of an interval of steps. The first step, which compiles, and pauses for
// validation and checkpoints do not count.
type stopwatch struct {
	began            time.Time
	waited           time.Duration
	tokens, examples float64
	warm             bool
}

func newStopwatch() *stopwatch { return &stopwatch{began: time.Now()} }

// add counts a batch of which this process has one of so many shares; the others' have as many tokens, more or less.
func (s *stopwatch) add(b *dataset.Batch, shares int) {
	if !s.warm {
		s.warm, s.began = true, time.Now()
		return
	}
	for _, n := range b.Lengths {
		s.tokens += float64(n) * float64(shares)
	}
	s.examples += float64(b.Size)
}

// wait adds time that was spent waiting for data.
func (s *stopwatch) wait(waited time.Duration) { s.waited += waited }

func (s *stopwatch) exclude(pause time.Duration) { s.began = s.began.Add(pause) }

func (s *stopwatch) seconds() float64 { return time.Since(s.began).Seconds() }

func (s *stopwatch) reset() { *s = stopwatch{began: time.Now(), warm: s.warm} }

// openTrackers opens everything that follows the run, at the step it goes on from.
func (r *run) openTrackers(progress io.Writer) (err error) {
	c := &r.config.Run
	r.console = track.NewConsole(progress, c.Steps, r.done)
	if !r.leads() {
		r.trackers = track.All{r.console}
		return nil
	}
	if r.folder, err = track.OpenFolder(c.Out, r.done, track.Run{Title: "elektron: " + c.Out, Facts: r.facts()}); err != nil {
		return err
	}
	r.trackers = track.All{r.folder, r.console}
	return nil
}

// facts describe the run for the banner and the report.
func (r *run) facts() []track.Fact {
	c, data := &r.config, r.phase.data.Train
	facts := []track.Fact{
		{Name: "model", Value: fmt.Sprintf("%s: %s parameters (%s, vocabulary %d)", c.Preset, millions(c.Model.ParameterCount()), towers(&c.Model), c.Model.VocabSize)},
		{Name: "device", Value: r.device.Description},
		{Name: "data", Value: fmt.Sprintf("%s, %s tokens, %d examples of %d", r.source(), millions(int(data.Tokens())), data.Examples(), data.Options().SeqLen)},
	}
	phases := c.phases()
	facts = append(facts, track.Fact{Name: "training", Value: fmt.Sprintf("%s, %v, %s, seed %d (from recipe %s)", c.Optim.Name, &phases[0], c.dtypeOn(r.device.Platform), c.Run.Seed, c.Recipe)})
	for _, p := range phases[1:] {
		facts = append(facts, track.Fact{Name: "phase 2", Value: p.String()})
	}
	return facts
}

// towers names a model's encoders with their layers and widths.
func towers(m *model.Config) string {
	if m.Objective == model.ObjectiveMLM {
		return fmt.Sprintf("a masked language model %d×%d", m.Layers, m.HiddenSize)
	}
	g := m.GeneratorEncoder()
	return fmt.Sprintf("generator %d×%d, discriminator %d×%d", g.Layers, g.HiddenSize, m.Layers, m.HiddenSize)
}

func (r *run) source() string {
	if len(r.config.Data.Paths) == 0 {
		return "doc comments of the Go installation"
	}
	return strings.Join(r.config.Data.Paths, ", ")
}

func millions(n int) string {
	if n >= 1_000_000 {
		return fmt.Sprintf("%.1f M", float64(n)/1e6)
	}
	return fmt.Sprintf("%.0f k", float64(n)/1e3)
}

// banner opens the run on the terminal.
func (r *run) banner(w io.Writer, resumed bool) {
	fmt.Fprintln(w, "elektron: pre-training ELECTRA")
	for _, f := range r.facts() {
		fmt.Fprintf(w, "  %-7s %s\n", f.Name, track.Printable(f.Value))
	}
	from := "from scratch"
	if resumed {
		from = fmt.Sprintf("going on from step %d", r.done)
	}
	fmt.Fprintf(w, "  %-7s %s, %s\n", "output", track.Printable(r.config.Run.Out), from)
}

// summary ends the run: what was reached, where it lies, what to do next.
func (r *run) summary(w io.Writer) error {
	out := r.config.Run.Out
	err := r.trackers.Finish()
	r.trackers = nil
	if err != nil || !r.leads() {
		return err
	}
	history, err := track.ReadMetrics(filepath.Join(out, "metrics.jsonl"))
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "\ndone: all %d steps, %s in this session\n", r.config.Run.Steps, time.Since(r.began).Round(time.Second))
	if first, last := validations(history); last != nil {
		fmt.Fprintf(w, "held-out: mlm_loss %.3f -> %.3f (%+.3f nats)", first.MLMLoss, last.MLMLoss, last.MLMLoss-first.MLMLoss)
		if r.config.Model.Objective != model.ObjectiveMLM {
			fmt.Fprintf(w, ", rtd_loss %.4f -> %.4f, rtd_auc %.3f -> %.3f", first.RTDLoss, last.RTDLoss, first.RTDAUC, last.RTDAUC)
		}
		fmt.Fprintln(w, r.lengths())
	}
	fmt.Fprintf(w, "checkpoint: %s\n", filepath.Join(checkpointFolder(out), fmt.Sprintf("step-%08d", r.done)))
	fmt.Fprintf(w, "metrics:    %s\nreport:     %s\n", filepath.Join(out, "metrics.jsonl"), filepath.Join(out, "report.html"))
	r.next(w)
	return nil
}

// lengths says that the first and the last validation of a run in two phases do not quite compare.
func (r *run) lengths() string {
	phases := r.config.phases()
	if len(phases) == 1 {
		return ""
	}
	return fmt.Sprintf("; first on examples of %d tokens, last on %d", phases[0].batch.SeqLen, phases[1].batch.SeqLen)
}

// validations are the first and the last one of a run, nil where there is none.
func validations(history []track.Metrics) (first, last *track.Metrics) {
	for i := range history {
		if history[i].Split == track.Valid {
			last = &history[i]
			if first == nil {
				first = last
			}
		}
	}
	return first, last
}

func (r *run) next(w io.Writer) {
	out, more := r.config.Run.Out, fmt.Sprintf("--steps %d", 2*r.config.Run.Steps)
	if second := r.config.Phase2.Steps; second > 0 { // a first phase that is over stays as long as it was
		more = fmt.Sprintf("--steps %d --set phase2.steps=%d", r.config.Run.Steps+second, 2*second)
	}
	fmt.Fprintf(w, "next: --out %s %s goes on from here; tensorboard --logdir %s shows the curves\n", out, more, filepath.Join(out, "tb"))
	fmt.Fprintf(w, "next: --preset small --data FOLDER --out OTHER trains ELECTRA-small on your own text\n")
}
