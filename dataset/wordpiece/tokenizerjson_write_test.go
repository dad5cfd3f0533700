package wordpiece

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/janpfeifer/must"

	"elektron/internal/fault"
)

// TestSaveHF reads back what it wrote, with awkward tokens and every option.
func TestSaveHF(t *testing.T) {
	v, err := Parse("tokenizer.json", []byte(tokenizerJSON))
	if err != nil {
		t.Fatal(err)
	}
	awkward := must.M1(NewVocabulary(append(v.Tokens(), `"`, `\`, "&", "é", "\u2028", "##>")))
	for _, vocabulary := range []*Vocabulary{v, awkward} {
		for _, o := range []Options{{}, {Cased: true}, {Accents: KeepAccents}, {Cased: true, Accents: StripAccents}} {
			folder := t.TempDir()
			must.M(vocabulary.SaveHF(folder, o, 128))
			got := must.M1(Load(filepath.Join(folder, "tokenizer.json")))
			if !slices.Equal(got.Tokens(), vocabulary.Tokens()) || got.Options() != o {
				t.Errorf("%+v: got %q with %+v", o, got.Tokens(), got.Options())
			}
			text := "AB<ent>a<en[CLS] É&>"
			if got, want := New(got, o).Encode(text), New(vocabulary, o).Encode(text); !slices.Equal(got, want) {
				t.Errorf("%+v: ids %v, want %v", o, got, want)
			}
			if got := must.M1(Load(filepath.Join(folder, "vocab.txt"))); got.Hash() != vocabulary.Hash() {
				t.Errorf("vocab.txt holds other tokens: %q", got.Tokens())
			}
			var config struct {
				Lower     *bool `json:"do_lower_case"`
				MaxLength int   `json:"model_max_length"`
			}
			must.M(json.Unmarshal(must.M1(os.ReadFile(filepath.Join(folder, "tokenizer_config.json"))), &config))
			if config.Lower == nil || *config.Lower == o.Cased || config.MaxLength != 128 {
				t.Errorf("%+v: tokenizer_config.json says %+v", o, config)
			}
		}
	}
	if err := v.SaveHF(filepath.Join(t.TempDir(), "none"), Options{}, 1); fault.KindOf(err) != fault.Storage {
		t.Errorf("into a folder that is not there: %v", err)
	}
}
