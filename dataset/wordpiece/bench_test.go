//go:build unix

package wordpiece

import (
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"elektron/internal/testdata"
)

// benchmarkText returns the paragraphs of the Wikipedia corpus and their bytes.
func benchmarkText(b *testing.B) (texts []string, size int64) {
	files, _ := filepath.Glob(filepath.Join(testdata.Data(b), "corpus", "wikipedia", "*.gz"))
	if len(files) == 0 {
		b.Skip("no corpus/wikipedia/*.gz")
	}
	for _, file := range files {
		compressed, err := os.ReadFile(file)
		if err != nil {
			b.Fatal(err)
		}
		r, err := gzip.NewReader(bytes.NewReader(compressed))
		if err != nil {
			b.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			b.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			texts = append(texts, line)
			size += int64(len(line))
		}
	}
	return texts, size
}

func benchmarkVocabulary(b *testing.B) *Vocabulary {
	v, err := Load(filepath.Join(testdata.Data(b), "vocab", "vocab.txt"))
	if err != nil {
		b.Fatal(err)
	}
	return v
}

// cpuSeconds is the processor time that the process has used. On a busy machine it says what wall time does not.
func cpuSeconds(b *testing.B) float64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano()).Seconds()
}

// reportCPU reports the text read a second of processor time since start.
func reportCPU(b *testing.B, size int64, start float64) {
	b.ReportMetric(float64(size)*float64(b.N)/1e6/(cpuSeconds(b)-start), "MB/cpu-s")
}

// BenchmarkEncode is one goroutine on Wikipedia: MB/s of text and allocations a pass over all of it.
func BenchmarkEncode(b *testing.B) {
	for _, c := range []struct {
		name    string
		options Options
	}{{"uncased", Options{}}, {"cased", Options{Cased: true}}} {
		b.Run(c.name, func(b *testing.B) {
			texts, size := benchmarkText(b)
			t := New(benchmarkVocabulary(b), c.options)
			ids := make([]int32, 0, 1<<16)
			b.SetBytes(size)
			b.ReportAllocs()
			defer reportCPU(b, size, cpuSeconds(b))
			for b.Loop() {
				for _, text := range texts {
					ids = t.AppendEncode(ids[:0], text)
				}
			}
		})
	}
}

// BenchmarkEncodeCyrillic is Wikipedia with Cyrillic letters in place of Latin ones, each word two bytes a letter.
func BenchmarkEncodeCyrillic(b *testing.B) {
	texts, _ := benchmarkText(b)
	texts, size := texts[:len(texts)/4], int64(0)
	for i, text := range texts {
		texts[i] = strings.Map(func(r rune) rune {
			switch {
			case 'a' <= r && r <= 'z':
				return r - 'a' + 'а'
			case 'A' <= r && r <= 'Z':
				return r - 'A' + 'А'
			}
			return r
		}, text)
		size += int64(len(texts[i]))
	}
	t := New(train(b, TrainOptions{Size: 30000}, texts...), Options{})
	ids := make([]int32, 0, 1<<16)
	b.SetBytes(size)
	b.ReportAllocs()
	defer reportCPU(b, size, cpuSeconds(b))
	for b.Loop() {
		for _, text := range texts {
			ids = t.AppendEncode(ids[:0], text)
		}
	}
}

// BenchmarkNew is the cost of making a tokenizer for BERT's vocabulary.
func BenchmarkNew(b *testing.B) {
	v := benchmarkVocabulary(b)
	b.ReportAllocs()
	for b.Loop() {
		New(v, Options{})
	}
}

// BenchmarkTrain counts Wikipedia and trains vocabularies of it.
func BenchmarkTrain(b *testing.B) {
	for _, c := range []struct {
		name string
		size int
	}{{"4096", 4096}, {"30522", 30522}} {
		b.Run(c.name, func(b *testing.B) {
			texts, size := benchmarkText(b)
			b.SetBytes(size)
			b.ReportAllocs()
			defer reportCPU(b, size, cpuSeconds(b))
			for b.Loop() {
				v, err := Train(context.Background(), sequence(texts...), TrainOptions{Size: c.size})
				if err != nil || v.Size() != c.size {
					b.Fatal(v, err)
				}
			}
		})
	}
}
