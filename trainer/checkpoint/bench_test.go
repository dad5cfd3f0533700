package checkpoint

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
)

// bigState has the tensor sizes of a BERT-like state with two moments: a word table and many matrices.
func bigState(bytes int) *State {
	state := &State{Step: 1}
	random := rand.NewChaCha8([32]byte{})
	for i := 0; bytes > 0; i++ {
		size := 9 << 20
		if i%50 == 0 {
			size = 90 << 20
		}
		size = min(size, bytes)
		data := make([]byte, size)
		random.Read(data)
		state.Tensors = append(state.Tensors, Tensor{fmt.Sprintf("layer.%d.weight", i), "float32", []int{size / 4}, data})
		bytes -= size
	}
	return state
}

const benchmarkSize = 1536 << 20 // bytes; parameters and two moments of a base-size model's discriminator

func BenchmarkSave(b *testing.B) {
	state, dir := bigState(benchmarkSize), b.TempDir()
	b.SetBytes(benchmarkSize)
	for b.Loop() {
		if _, err := Save(context.Background(), dir, state); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRead(b *testing.B) {
	path, err := Save(context.Background(), b.TempDir(), bigState(benchmarkSize))
	if err != nil {
		b.Fatal(err)
	}
	b.Run("Load", func(b *testing.B) {
		b.SetBytes(benchmarkSize)
		for b.Loop() {
			if _, err := Load(path); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("Verify", func(b *testing.B) {
		b.SetBytes(benchmarkSize)
		for b.Loop() {
			if _, err := Verify(path); err != nil {
				b.Fatal(err)
			}
		}
	})
}
