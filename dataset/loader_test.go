package dataset

import (
	"context"
	"errors"
	"reflect"
	"runtime"
	"sync/atomic"
	"testing"
	"time"
)

func TestLoaderIsOrdered(t *testing.T) {
	d := testDataset(t, randomText(100, 10, 40), options(64))
	for _, o := range []LoaderOptions{{}, {Depth: 1, Workers: 1}, {Depth: 1, Workers: 9}, {Depth: 3, Workers: 8}, {First: 900_000, Workers: 4}, {RowStart: 1, RowEnd: 3}} {
		loader := NewLoader(d, o)
		for step := o.First; step < o.First+50; step++ {
			got, _, err := loader.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			want := d.newBatch()
			end := o.RowEnd
			if end == 0 {
				end = want.Size
			}
			if err := d.FillRows(want, step, o.RowStart, end); err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, want) {
				t.Fatalf("%+v: step %d: not the batch of that step", o, step)
			}
		}
		loader.Close()
	}
}

// No worker is left after Close, whether the batches were taken or not, and Next does not hang.
func TestLoaderClose(t *testing.T) {
	d := testDataset(t, randomText(100, 10, 40), options(64))
	before := runtime.NumGoroutine()
	for taken := range 5 {
		loader := NewLoader(d, LoaderOptions{Workers: 4})
		for range taken {
			if _, _, err := loader.Next(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		loader.Close()
		loader.Close()
		if _, _, err := loader.Next(t.Context()); err == nil {
			t.Error("a closed loader still makes batches")
		}
	}
	for range 100 { // a goroutine that has returned may still be counted for a moment
		if runtime.NumGoroutine() <= before {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("%d goroutines before, %d after Close", before, runtime.NumGoroutine())
}

// failing is a source that breaks after some reads.
type failing struct {
	*memory
	reads atomic.Int64
}

var errBroken = errors.New("broken block")

func (f *failing) AppendTokens(dst []int32, start, n int) ([]int32, error) {
	if f.reads.Add(1) > 10 {
		return dst, errBroken
	}
	return f.memory.AppendTokens(dst, start, n)
}

func TestLoaderPassesErrorsOn(t *testing.T) {
	d := testDataset(t, &failing{memory: randomText(100, 10, 40)}, options(64))
	loader := NewLoader(d, LoaderOptions{Workers: 1})
	defer loader.Close()
	for step := range 2 { // two batches of four rows can be read
		if _, _, err := loader.Next(t.Context()); err != nil {
			t.Fatalf("step %d: %v", step, err)
		}
	}
	for range 2 {
		if _, _, err := loader.Next(t.Context()); !errors.Is(err, errBroken) {
			t.Errorf("error %v, want %v", err, errBroken)
		}
	}
}

func TestLoaderStopsWaiting(t *testing.T) {
	loader := &Loader{slots: []chan loaded{make(chan loaded)}, stop: make(chan struct{})} // nothing ever comes
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := loader.Next(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want the context's", err)
	}
}

func BenchmarkLoader(b *testing.B) {
	o := BatchOptions{SeqLen: 128, BatchSize: 256, Seed: 42, MaskProb: 0.15}
	d := testDataset(b, randomText(2000, 20, 60), o)
	loader := NewLoader(d, LoaderOptions{})
	defer loader.Close()
	for b.Loop() {
		if _, _, err := loader.Next(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}
