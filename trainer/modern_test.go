package trainer

import (
	"context"
	"path/filepath"
	"testing"

	"elektron/trainer/track"
)

// TestPretrainModern trains modern encoders: the loss falls, and the run goes on from its checkpoint.
func TestPretrainModern(t *testing.T) {
	folder := t.TempDir()
	writeText(t, folder)
	c := pulseConfig(folder)
	c.Model.Encoder, c.Model.Layers = "modern", 2
	for _, steps := range []int64{6, 24} {
		c.Run.Steps = steps
		if err := pretrain(context.Background(), c); err != nil {
			t.Fatal(err)
		}
	}
	metrics, err := track.ReadMetrics(filepath.Join(c.Run.Out, "metrics.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	var losses []float64
	for _, m := range metrics {
		if m.Split == track.Valid {
			losses = append(losses, m.MLMLoss)
		}
	}
	if n := len(losses); n < 2 || losses[n-1] >= losses[0] {
		t.Errorf("validation losses %v do not fall", losses)
	}
}
