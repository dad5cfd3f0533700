// Package track carries a run's metrics to where people look at them: metrics.jsonl, TensorBoard event files, the terminal and
// report.html. What is written is plain data; nothing here is state that training depends on.
package track

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
)

// Valid is the Split of a validation line.
const Valid = "valid"

// Metrics is one line of metrics.jsonl: one training step (its speeds are over the interval since the last line), or one validation pass. A value
// that is not known or not finite is NaN here and null in JSON. Accuracies, precision, recall and AUC lie in 0 to 1 and leave padding out.
type Metrics struct {
	Step  int64  // steps done
	Split string // "" for training, [Valid] for validation

	Loss            float64 // weighted sum of the two below
	MLMLoss         float64 // generator's cross-entropy at masked positions, nats
	RTDLoss         float64 // discriminator's binary cross-entropy at every position, nats
	MLMAccuracy     float64 // generator's most likely token is the original one
	SampledAccuracy float64 // generator's sampled token is the original one
	RTDAccuracy     float64
	RTDPrecision    float64 // of the tokens called replaced, those that are
	RTDRecall       float64 // of the replaced tokens, those called so
	RTDAUC          float64

	// Only on training lines.
	LearningRate     float64
	GradNorm         float64 // global norm before clipping
	TokensPerS       float64
	ExamplesPerS     float64
	MFU              float64 // model FLOPs utilisation, 0 to 1
	DataWaitFraction float64 // of the time, what was spent waiting for batches

	ElapsedS float64 // seconds of training, earlier sessions of the run included
}

// A field is one value of Metrics with everything that the outputs need to know about it.
type field struct {
	key      string // in metrics.jsonl
	group    string // of charts and TensorBoard tags
	title    string // in the report
	training bool   // absent from validation lines
	digits   int    // significant digits written; 0 for all
	value    func(*Metrics) *float64
}

// fields are in the order of metrics.jsonl.
var fields = []field{
	{"loss", "losses", "Total loss", false, 0, func(m *Metrics) *float64 { return &m.Loss }},
	{"mlm_loss", "losses", "MLM loss", false, 0, func(m *Metrics) *float64 { return &m.MLMLoss }},
	{"rtd_loss", "losses", "RTD loss", false, 0, func(m *Metrics) *float64 { return &m.RTDLoss }},
	{"mlm_accuracy", "generator", "MLM accuracy", false, 0, func(m *Metrics) *float64 { return &m.MLMAccuracy }},
	{"sampled_accuracy", "generator", "Sampled accuracy", false, 0, func(m *Metrics) *float64 { return &m.SampledAccuracy }},
	{"rtd_accuracy", "discriminator", "RTD accuracy", false, 0, func(m *Metrics) *float64 { return &m.RTDAccuracy }},
	{"rtd_precision", "discriminator", "RTD precision", false, 0, func(m *Metrics) *float64 { return &m.RTDPrecision }},
	{"rtd_recall", "discriminator", "RTD recall", false, 0, func(m *Metrics) *float64 { return &m.RTDRecall }},
	{"rtd_auc", "discriminator", "RTD AUC", false, 0, func(m *Metrics) *float64 { return &m.RTDAUC }},
	{"learning_rate", "optimizer", "Learning rate", true, 0, func(m *Metrics) *float64 { return &m.LearningRate }},
	{"grad_norm", "optimizer", "Gradient norm", true, 0, func(m *Metrics) *float64 { return &m.GradNorm }},
	{"tokens_per_s", "speed", "Tokens per second", true, 5, func(m *Metrics) *float64 { return &m.TokensPerS }},
	{"examples_per_s", "speed", "Examples per second", true, 5, func(m *Metrics) *float64 { return &m.ExamplesPerS }},
	{"mfu", "speed", "Model FLOPs utilisation", true, 4, func(m *Metrics) *float64 { return &m.MFU }},
	{"data_wait_fraction", "speed", "Waiting for data", true, 4, func(m *Metrics) *float64 { return &m.DataWaitFraction }},
	{"elapsed_s", "time", "Elapsed seconds", false, 7, func(m *Metrics) *float64 { return &m.ElapsedS }},
}

// Unknown is a line without any value.
func Unknown(step int64) Metrics {
	m := Metrics{Step: step}
	for _, f := range fields {
		*f.value(&m) = math.NaN()
	}
	return m
}

// MarshalJSON writes one object without line breaks. Values that come from the device as float32 are written with as few digits
// as name that float32; times and speeds are rounded.
func (m Metrics) MarshalJSON() ([]byte, error) {
	line := strconv.AppendInt([]byte(`{"step":`), m.Step, 10)
	if m.Split != "" {
		split, err := json.Marshal(Printable(m.Split))
		if err != nil {
			return nil, err
		}
		line = append(append(line, `,"split":`...), split...)
	}
	for _, f := range fields {
		if f.training && m.Split != "" {
			continue
		}
		line = append(append(append(line, `,"`...), f.key...), `":`...)
		line = appendNumber(line, *f.value(&m), f.digits)
	}
	return append(line, '}'), nil
}

func appendNumber(line []byte, value float64, digits int) []byte {
	if math.IsNaN(value) || math.IsInf(value, 0) {
		return append(line, "null"...)
	}
	if digits > 0 {
		value, _ = strconv.ParseFloat(strconv.FormatFloat(value, 'g', digits, 64), 64)
	}
	bits := 64
	if float64(float32(value)) == value {
		bits = 32
	}
	format := byte('f')
	if size := math.Abs(value); size != 0 && (size < 1e-4 || size >= 1e15) {
		format = 'e'
	}
	return strconv.AppendFloat(line, value, format, -1, bits)
}

// UnmarshalJSON reads what MarshalJSON writes. Absent and null values become NaN; unknown keys are left alone.
func (m *Metrics) UnmarshalJSON(text []byte) error {
	var values map[string]json.RawMessage
	if err := json.Unmarshal(text, &values); err != nil {
		return err
	}
	if values["step"] == nil {
		return fmt.Errorf("no step")
	}
	*m = Unknown(0)
	if err := json.Unmarshal(values["step"], &m.Step); err != nil {
		return fmt.Errorf("step: %w", err)
	}
	if split := values["split"]; split != nil {
		if err := json.Unmarshal(split, &m.Split); err != nil {
			return fmt.Errorf("split: %w", err)
		}
	}
	for _, f := range fields {
		raw := values[f.key]
		if raw == nil || bytes.Equal(raw, []byte("null")) {
			continue
		}
		if err := json.Unmarshal(raw, f.value(m)); err != nil {
			return fmt.Errorf("%s: %w", f.key, err)
		}
	}
	return nil
}
