package dataset

import (
	"runtime"
	"testing"
	"time"
)

// BenchmarkLoaderWait is training with a step of 50 ms on one core: the share of the time that it waits for data.
func BenchmarkLoaderWait(b *testing.B) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	d := testDataset(b, randomText(2000, 20, 60), BatchOptions{SeqLen: 128, BatchSize: 256, Seed: 42, MaskProb: 0.15})
	loader := NewLoader(d, LoaderOptions{})
	defer loader.Close()
	waited := time.Duration(0)
	for b.Loop() {
		_, wait, err := loader.Next(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		waited += wait
		time.Sleep(50 * time.Millisecond)
	}
	b.ReportMetric(waited.Seconds()/b.Elapsed().Seconds(), "data_wait_fraction")
}
