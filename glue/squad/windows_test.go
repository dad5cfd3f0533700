package squad

import (
	"bufio"
	"compress/gzip"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"elektron/dataset/wordpiece"
	"elektron/internal/fault"
	"elektron/internal/testdata"
)

// uncased is a tokenizer that knows single letters, also behind "##", some words and some punctuation.
func uncased(t testing.TB) *wordpiece.Tokenizer {
	t.Helper()
	tokens := wordpiece.SpecialTokens()
	for c := 'a'; c <= 'z'; c++ {
		tokens = append(tokens, string(c), "##"+string(c))
	}
	for c := '0'; c <= '9'; c++ {
		tokens = append(tokens, string(c), "##"+string(c))
	}
	tokens = append(tokens, "amber", "fossil", "##ised", "tree", "resin", "(", ")", ".", ",", "—", "€", "’", "[", "]", "θ", "##α", "日", "本", "ᄒ", "##ᅡ", "##ᆫ")
	v, err := wordpiece.NewVocabulary(tokens)
	if err != nil {
		t.Fatal(err)
	}
	return wordpiece.New(v, wordpiece.Options{})
}

// spelt shows tokens with the parts of the text that they stand for.
func spelt(tokenizer *wordpiece.Tokenizer, text string) string {
	t := Tokenize(tokenizer, text)
	var parts []string
	for i, id := range t.IDs {
		parts = append(parts, tokenizer.Vocabulary().Token(id)+"="+text[t.Start[i]:t.End[i]])
	}
	return strings.Join(parts, " ")
}

func TestTokenize(t *testing.T) {
	tokenizer := uncased(t)
	for _, c := range []struct{ name, text, want string }{
		{"nothing", " \t\n ", ""},
		{"words", "Amber,  FOSSILISED resin.", "amber=Amber ,=, fossil=FOSSIL ##ised=ISED resin=resin .=."},
		{"accents composed", "ré", "r=r ##e=é"},
		{"accents apart", "re\u0301s", "r=r ##e=e\u0301 ##s=s"},
		{"a soft hyphen", "tr\u00ADee", "tree=tr\u00ADee"},
		{"punctuation within", "€12—(a)", "€=€ ##1=1 ##2=2 —=— (=( a=a )=)"},
		{"a mark on punctuation", "(\u0301a", "(=(\u0301 a=a"},
		{"an unknown word", "a Ωx b", "a=a [UNK]=Ωx b=b"},
		{"ideographs", "日本", "日=日 本=本"},
		{"Hangul, whose syllables fall apart", "한", "ᄒ=한 ##ᅡ=한 ##ᆫ=한"},
		{"Greek", "Θα", "θ=Θ ##α=α"},
		{"a special token spelt out", "[SEP]", "[=[ s=S ##e=E ##p=P ]=]"},
		{"no-break space", "a\u00A0b", "a=a b=b"},
	} {
		if got := spelt(tokenizer, c.text); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// FuzzTokenize: the ids are those of the text in one piece, and the bytes are whole characters in order.
func FuzzTokenize(f *testing.F) {
	tokenizer := uncased(f)
	for _, text := range []string{amberContext, "re\u0301s 한 (a) \u0301 \u200b", "日本 Ωx"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		text = strings.ToValidUTF8(text, "?")
		got := Tokenize(tokenizer, text)
		if !strings.ContainsAny(text, "[") { // special tokens may be spelt out
			if want := fmt.Sprint(tokenizer.Encode(text)); fmt.Sprint(got.IDs) != want {
				t.Errorf("%q: %v, in one piece %s", text, got.IDs, want)
			}
		}
		for i := range got.IDs {
			if got.Start[i] >= got.End[i] || i > 0 && (got.Start[i] < got.Start[i-1] || got.End[i] < got.End[i-1]) || !utf8.ValidString(text[got.Start[i]:got.End[i]]) {
				t.Errorf("%q: token %d is %d to %d", text, i, got.Start[i], got.End[i])
			}
		}
	})
}

// TestCut: rows, strides and what each window learns.
func TestCut(t *testing.T) {
	// context: a b c d e f g h, one token each
	s := read(t, V2, `{"data":[{"paragraphs":[{"context":"a b c d e f g h","qas":[
		{"id":"0","question":"x y z","answers":[{"text":"e f","answer_start":8}]},
		{"id":"1","question":"x","answers":[]},
		{"id":"2","question":"x","answers":[{"text":"a b c d e f g h","answer_start":0}]},
		{"id":"3","question":"x","answers":[{"text":"q","answer_start":3}]},
		{"id":"4","question":"x","answers":[{"text":"q","answer_start":3},{"text":"h","answer_start":14}]}]}]}]}`)
	tokenizer := uncased(t)
	show := func(training bool, c Cutting) string {
		w, err := Cut(s, tokenizer, c, training)
		if err != nil {
			t.Fatal(err)
		}
		var lines []string
		for i, x := range w.List {
			var words []string
			for _, id := range w.AppendRow(nil, i) {
				words = append(words, strings.Trim(w.tokenizer.Vocabulary().Token(id), "[]"))
			}
			lines = append(lines, fmt.Sprintf("%d: %s, %d-%d", x.Question, strings.Join(words, " "), x.Start, x.End))
		}
		return fmt.Sprintf("%s; %d cut, %d left out", strings.Join(lines, "; "), w.QuestionsCut, w.Unlearnable)
	}
	for _, c := range []struct {
		training bool
		cutting  Cutting
		want     string
	}{
		{true, Cutting{MaxLength: 9, MaxQuestion: 2, Stride: 2}, "0: CLS x y SEP a b c d SEP, 0-0; 0: CLS x y SEP c d e f SEP, 6-7; 0: CLS x y SEP e f g h SEP, 4-5; " +
			"1: CLS x SEP a b c d e SEP, 0-0; 1: CLS x SEP c d e f g SEP, 0-0; 1: CLS x SEP e f g h SEP, 0-0; " +
			"4: CLS x SEP a b c d e SEP, 0-0; 4: CLS x SEP c d e f g SEP, 0-0; 4: CLS x SEP e f g h SEP, 6-6; 1 cut, 2 left out"},
		{true, Cutting{MaxLength: 20, MaxQuestion: 5, Stride: 3}, "0: CLS x y z SEP a b c d e f g h SEP, 9-10; 1: CLS x SEP a b c d e f g h SEP, 0-0; 2: CLS x SEP a b c d e f g h SEP, 3-10; " +
			"4: CLS x SEP a b c d e f g h SEP, 10-10; 0 cut, 1 left out"},
		{false, Cutting{MaxLength: 12, MaxQuestion: 1, Stride: 100}, "0: CLS x SEP a b c d e f g h SEP, 0-0; 1: CLS x SEP a b c d e f g h SEP, 0-0; 2: CLS x SEP a b c d e f g h SEP, 0-0; " +
			"3: CLS x SEP a b c d e f g h SEP, 0-0; 4: CLS x SEP a b c d e f g h SEP, 0-0; 1 cut, 0 left out"},
	} {
		if got := show(c.training, c.cutting); got != c.want {
			t.Errorf("%+v:\n%s\nwant\n%s", c.cutting, got, c.want)
		}
	}
	for _, c := range []Cutting{{MaxLength: 5, MaxQuestion: 2, Stride: 1}, {MaxLength: 9, MaxQuestion: 0, Stride: 1}, {MaxLength: 9, MaxQuestion: 2}} {
		if _, err := Cut(s, tokenizer, c, true); fault.KindOf(err) != fault.Usage {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

// TestWidest: each token counts in the window where it has most context on its shorter side.
func TestWidest(t *testing.T) {
	s := read(t, V1, oneQuestionAbout("a b c d e f g h", "e"))
	w, err := Cut(s, uncased(t), Cutting{MaxLength: 9, MaxQuestion: 1, Stride: 3}, false) // a b c d e; d e f g h
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(w.widest(0)); got != "[0 0 0 0 1 1 1 1]" { // d has one token behind it in the first, none before it in the second
		t.Errorf("%s", got)
	}
	if unknown, tokens := w.Unknown(); unknown != 0 || tokens != 8 {
		t.Errorf("%d unknown of %d", unknown, tokens)
	}
}

// oneQuestionAbout is a file with the question "x" about a context.
func oneQuestionAbout(context, answer string) string {
	return fmt.Sprintf(`{"data":[{"paragraphs":[{"context":%q,"qas":[{"id":"7","question":"x","answers":[{"text":%q,"answer_start":%d}]}]}]}]}`,
		context, answer, utf8.RuneCountInString(context[:strings.Index(context, answer)]))
}

// TestTokenizeCorpus: piece by piece, real text has the ids that it has in one piece.
func TestTokenizeCorpus(t *testing.T) {
	folder := testdata.Data(t)
	vocabulary, err := wordpiece.Load(filepath.Join(folder, "vocab", "vocab.txt"))
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(folder, "corpus", "wikipedia", "*.txt.gz"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	in, err := os.Open(files[0])
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	unzipped, err := gzip.NewReader(in)
	if err != nil {
		t.Fatal(err)
	}
	tokenizer, lines := wordpiece.New(vocabulary, wordpiece.Options{}), bufio.NewScanner(unzipped)
	lines.Buffer(nil, 1<<24)
	for lines.Scan() {
		text := strings.ReplaceAll(lines.Text(), "[", "(") // special tokens may be spelt out
		got := Tokenize(tokenizer, text)
		if !slices.Equal(got.IDs, tokenizer.Encode(text)) {
			t.Fatalf("%.200q has other ids", text)
		}
		for i, id := range got.IDs {
			word, part := strings.TrimPrefix(vocabulary.Token(id), "##"), text[got.Start[i]:got.End[i]]
			if isASCII(part) && id != vocabulary.UnknownID() && !strings.EqualFold(word, part) {
				t.Fatalf("%q stands for %q", word, part)
			}
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
}

func isASCII(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r >= utf8.RuneSelf })
}
