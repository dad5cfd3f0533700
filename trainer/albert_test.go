package trainer

import (
	"context"
	"path/filepath"
	"testing"

	"elektron/trainer/track"
)

// TestPretrainALBERT trains with shared layers: the loss falls, and the run goes on from its checkpoint.
func TestPretrainALBERT(t *testing.T) {
	folder := t.TempDir()
	writeText(t, folder)
	c := pulseConfig(folder)
	c.Model.Encoder, c.Model.Layers, c.Model.InnerGroupNum = "albert", 2, 1
	for _, steps := range []int64{6, 24} {
		c.Run.Steps = steps
		if err := pretrain(context.Background(), c); err != nil {
			t.Fatal(err)
		}
	}
	var losses []float64
	metrics, err := track.ReadMetrics(filepath.Join(c.Run.Out, "metrics.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range metrics {
		if m.Split == track.Valid {
			losses = append(losses, m.Loss)
		}
	}
	if n := len(losses); n < 2 || losses[n-1] >= losses[0] {
		t.Errorf("validation losses %v do not fall", losses)
	}
}
