package corpus

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"strings"
	"testing"
	"unicode/utf8"

	"elektron/internal/fault"
)

// fuzzReader feeds any bytes to a format: documents must be clean, errors of a kind, nothing may panic.
func fuzzReader(f *testing.F, name string) {
	corpus, err := Open(f.Context(), []string{put(f, map[string]string{name: "x"})}, Options{MaxLine: 1 << 12, MaxDocument: 1 << 10})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		corpus.files[0].Size = int64(len(data))
		corpus.files[0].open = func(context.Context, string) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil }
		for d, err := range corpus.files[0].Documents(t.Context()) {
			if err != nil {
				if fault.KindOf(err) != fault.Data {
					t.Errorf("kind %v of %v", fault.KindOf(err), err)
				}
				continue
			}
			if len(d.Sentences) == 0 || d.Line < 1 {
				t.Errorf("document %+v", d)
			}
			for _, s := range d.Sentences {
				if s == "" || strings.TrimSpace(s) != s || !utf8.ValidString(s) || strings.ContainsAny(s, "\n\x00") {
					t.Errorf("sentence %q", s)
				}
			}
		}
	})
}

func FuzzText(f *testing.F) {
	f.Add([]byte("one\r\ntwo\n\n\xff\xfe\x00three"))
	f.Add([]byte("\xef\xbb\xbf\n\n"))
	fuzzReader(f, "a.txt")
}

func FuzzJSONLines(f *testing.F) {
	f.Add([]byte("{\"text\":\"one\\ntwo\"}\n{\"text\":null}\n"))
	f.Add([]byte("{\"text\":\"\\ud800\\u0000\"}"))
	f.Add([]byte("[1]\n{}"))
	fuzzReader(f, "a.jsonl")
}

// FuzzJSONField: what the fast way accepts, encoding/json reads as the same text.
func FuzzJSONField(f *testing.F) {
	for _, line := range []string{
		`{"text":"one"}`, ` { "id" : -1.5e3 , "text" : "a\\\"b\n\u00e9\ud83d\ude00\ud800x" , "more" : [ {"text":[]}, "}" , null ] } `,
		`{"text":"one","text":"two"}`, `{"te\u0078t":"one"}`, `{"text":"one",}`, `{"text":"one"}}`, `{"a":01,"text":"one"}`,
		`{"text":"\u+123"}`, `{"a":{,"text":"one"}`, `{"a":1 2,"text":"one"}`, `{"text":"\`, `{"":"","text":""}`, `{"a","text":"one"}`,
	} {
		f.Add([]byte(line))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		if !utf8.Valid(line) {
			return // lines are repaired before
		}
		text, ok := fastField(line, "text")
		var object map[string]json.RawMessage
		var want *string
		err := json.Unmarshal(line, &object)
		if err == nil {
			err = json.Unmarshal(object["text"], &want)
		}
		if ok && (err != nil || want == nil || *want != text) {
			t.Errorf("%q: %q, encoding/json: %v", line, text, err)
		}
		if plain := err == nil && want != nil && !bytes.ContainsRune(line, '\\') && bytes.Count(line, []byte(`"text"`)) == 1; plain && !ok {
			t.Errorf("%q: not read the fast way", line)
		}
	})
}
