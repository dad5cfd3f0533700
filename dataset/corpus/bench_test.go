package corpus

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
)

// BenchmarkRead measures bytes of text a second through each format on one core.
func BenchmarkRead(b *testing.B) {
	paragraph := strings.TrimSpace(strings.Repeat("A sentence of ordinary words that says nothing. ", 10))
	document := strings.Repeat(paragraph+"\n", 20)
	const documents = 1000
	record, err := json.Marshal(map[string]any{"id": "some identity", "text": document, "url": "https://example.org/page"})
	if err != nil {
		b.Fatal(err)
	}
	texts := make([]string, documents)
	for i := range texts {
		texts[i] = document
	}
	plain := strings.Repeat(document+"\n", documents)
	folder := put(b, map[string]string{
		"text.txt": plain, "text.txt.gz": gz(plain), "text.txt.zst": zst(b, plain),
		"lines.jsonl": strings.Repeat(string(record)+"\n", documents), "table.parquet": parquetFile(b, 100, texts...),
	})
	for _, name := range []string{"text.txt", "text.txt.gz", "text.txt.zst", "lines.jsonl", "table.parquet"} {
		corpus, err := Open(b.Context(), []string{filepath.Join(folder, name)}, Options{})
		if err != nil {
			b.Fatal(err)
		}
		b.Run(name, func(b *testing.B) {
			b.SetBytes(documents * 20 * int64(len(paragraph)))
			for b.Loop() {
				for _, err := range corpus.Documents(b.Context()) {
					if err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}
