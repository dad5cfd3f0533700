package trainer

import (
	"bytes"
	"context"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/janpfeifer/must"

	"elektron/internal/device"
	"elektron/internal/fault"
	"elektron/internal/platform"
	"elektron/internal/testdata"
	"elektron/model/hf/safetensors"
	"elektron/trainer/checkpoint"
	"elektron/trainer/optimizer"
)

func demoOf(t *testing.T, path string) *Demo {
	t.Helper()
	d := must.M1(NewDemo(context.Background(), must.M1(LoadModel(path, "")), device.Options{Platform: platform.Go}))
	t.Cleanup(d.Close)
	return d
}

// TestDemo asks a run and its export, which must say the same.
func TestDemo(t *testing.T) {
	c, exported := trained(t, "bert")
	own, other := demoOf(t, c.Run.Out), demoOf(t, exported)
	text := "amber resin \x1b[31m under old trees"
	a, b := must.M1(own.Detect(t.Context(), text)), must.M1(other.Detect(t.Context(), text))
	if len(a) < 7 || len(a) != len(b) || a[0].Token != "[CLS]" || !a[0].Special || a[1].Special {
		t.Fatalf("tokens %+v and %+v", a, b)
	}
	for i := range a {
		if a[i] != b[i] || !(a[i].Probability > 0 && a[i].Probability < 1) {
			t.Errorf("token %d: %+v of the run, %+v of the export", i, a[i], b[i])
		}
	}
	ids, fillings, err := own.Fill(t.Context(), "amber [MASK] under [MASK] trees")
	if must.M(err); ids[fillings[0].Position] != ids[fillings[1].Position] || len(fillings) != 2 || len(fillings[0].Candidates) != candidates || fillings[0].Position >= fillings[1].Position {
		t.Fatalf("fillings %+v", fillings)
	}
	for _, f := range fillings {
		for i, candidate := range f.Candidates {
			if i > 0 && candidate.Probability > f.Candidates[i-1].Probability || !(candidate.Probability > 0 && candidate.Probability < 1) {
				t.Errorf("candidates %+v", f.Candidates)
			}
		}
	}
}

// TestGoldenDemo holds Detect's and Fill's graphs against the golden logits: the same computation without the
// task around it.
func TestGoldenDemo(t *testing.T) {
	folder := filepath.Join(testdata.Parity(t), "electra")
	m := must.M1(LoadModel(filepath.Join(folder, "discriminator"), ""))
	whole := must.M1(LoadModel(folder, ""))
	d := must.M1(newDemo(whole, must.M1(device.Open(t.Context(), device.Options{Platform: platform.Go}))))
	defer d.Close()
	kase := must.M1(safetensors.Read(filepath.Join(folder, "case.safetensors")))
	ints := func(name string) []int32 { return must.M1(kase.Tensor(name).Int32s()) }
	floats := func(name string) []float32 { return must.M1(kase.Tensor(name).Float32s()) }
	B, S := kase.Tensor("input_ids").Shape[0], kase.Tensor("input_ids").Shape[1]
	K, V := kase.Tensor("masked_positions").Shape[1], whole.Config.VocabSize
	compare := func(what string, got, want []float32) {
		for i := range want {
			if !(math.Abs(float64(got[i]-want[i])) <= 1e-4) {
				t.Fatalf("%s: logit %d is %g, want %g", what, i, got[i], want[i])
			}
		}
	}
	for row := range B {
		n := 0
		for _, keep := range ints("attention_mask")[row*S : (row+1)*S] {
			n += int(keep)
		}
		segments := ints("token_type_ids")[row*S : row*S+n]
		compare("discriminator", must.M1(d.detect(ints("discriminator_input_ids")[row*S:row*S+n], segments)), floats("discriminator_logits")[row*S:row*S+n])
		positions := ints("masked_positions")[row*K : (row+1)*K]
		used := 0
		for used < K && floats("masked_weights")[row*K+used] > 0 {
			used++
		}
		logits := must.M1(d.fill(ints("generator_input_ids")[row*S:row*S+n], segments, positions[:used]))
		compare("generator", logits, floats("generator_logits")[row*K*V:(row*K+used)*V])
	}
	if _, err := NewDemo(context.Background(), m, device.Options{Platform: platform.Go}); fault.ExitCode(err) != 2 || !strings.Contains(err.Error(), "--vocab") {
		t.Errorf("without a vocabulary: %v", err)
	}
}

// TestDemoText: what reaches a terminal is shaded or plain, and holds no control characters of the input.
func TestDemoText(t *testing.T) {
	r := demoResult{Tokens: []Judgement{{Token: "[CLS]", Special: true, Probability: 0.9}, {Token: "am", Probability: 0.04},
		{Token: "##ber", Probability: 0.55}, {Token: "\x1b[2J", Probability: 1}, {Token: "[SEP]", Special: true}},
		Fillings: []Filling{{Position: 3, Candidates: []Candidate{{Token: "resin", Probability: 0.25}}}}}
	var plain, shaded bytes.Buffer
	must.M(r.write(&plain, false))
	must.M(r.write(&shaded, true))
	if strings.Contains(plain.String(), "\x1b") || strings.Contains(shaded.String(), "\x1b[2J") {
		t.Errorf("control characters in %q, %q", &plain, &shaded)
	}
	for _, part := range []string{"  4.0 %", " 55.0 %", "100.0 %  ##########", "[MASK] at token 3", " 25.0 %  resin"} {
		if !strings.Contains(plain.String(), part) {
			t.Errorf("%q is not in %q", part, &plain)
		}
	}
	if want := "am\x1b[30;48;5;226mber\x1b[0m \x1b[30;48;5;196m"; !strings.HasPrefix(shaded.String(), want) {
		t.Errorf("shaded text %q, want it to begin with %q", &shaded, want)
	}
	if shades(&plain) {
		t.Error("a buffer is taken for a terminal")
	}
}

func TestDemoNotFinite(t *testing.T) {
	c, _ := trained(t, "bert")
	m := must.M1(LoadModel(c.Run.Out, ""))
	m.Weights["discriminator.discriminator_predictions.dense.weight"][0] = float32(math.NaN())
	d := must.M1(NewDemo(context.Background(), m, device.Options{Platform: platform.Go}))
	defer d.Close()
	if _, err := d.Detect(t.Context(), "amber"); fault.ExitCode(err) != 65 || !strings.Contains(err.Error(), "not finite") {
		t.Errorf("with a NaN among the weights: %v", err)
	}
}

// TestInspect counts what a run's checkpoint holds, and finds a change of one number.
func TestInspect(t *testing.T) {
	c, _ := trained(t, "bert")
	i := must.M1(Inspect(c.Run.Out))
	model := must.M1(LoadModel(c.Run.Out, "")).Config
	if i.Step != 6 || i.Parameters != int64(model.ParameterCount()) || i.Bytes != 12*i.Parameters || i.NotFinite != 0 || len(i.Tensors) != 3*len(model.Weights()) {
		t.Errorf("step %d, %d parameters, %d bytes, %d not finite", i.Step, i.Parameters, i.Bytes, i.NotFinite)
	}
	if i.Config["model.hidden_size"] != "32" || i.Config["run.steps"] != "6" {
		t.Errorf("configuration %v", i.Config)
	}
	state := must.M1(checkpoint.Load(i.Path))
	must.M1(json.Marshal(i))
	state.Step = 9
	bias := slotTensor(state, "generator.generator_lm_head.bias")
	values := decodeFloats(bias.Data)
	values[0], values[1] = values[0]+3, float32(math.Inf(1))
	bias.Data = encodeFloats(values)
	changed := must.M1(Inspect(must.M1(checkpoint.Save(context.Background(), checkpointFolder(t.TempDir()), state))))
	if changed.NotFinite != 1 || changed.Step != 9 {
		t.Errorf("%d numbers are not finite, want 1; step %d", changed.NotFinite, changed.Step)
	}
	if same := Compare(i, i); len(same.Differ) > 0 || same.Equal != len(i.Tensors) || len(same.Config) > 0 {
		t.Errorf("a checkpoint differs from itself: %+v", same)
	}
	d := Compare(i, changed)
	if len(d.Differ) != 1 || d.Differ[0].Name != bias.Name || d.Equal != len(i.Tensors)-1 || d.Steps != [2]int64{6, 9} {
		t.Errorf("difference %+v", d)
	}
	must.M1(json.Marshal(d))
	var text bytes.Buffer
	must.M(changed.write(&text))
	must.M(d.write(&text))
	for _, part := range []string{"step        9 of 6", "1 numbers are not finite", "generator.generator_lm_head.bias", "1 are not"} {
		if !strings.Contains(text.String(), part) {
			t.Errorf("%q is not in\n%s", part, &text)
		}
	}
}

// TestInspectExport compares a run with its export, and finds the newest good checkpoint with a warning.
func TestInspectExport(t *testing.T) {
	c, exported := trained(t, "bert")
	run, folder := must.M1(Inspect(c.Run.Out)), must.M1(Inspect(exported))
	d := Compare(folder, run)
	if weights := len(run.Tensors) / int(optimizer.Slots); d.Equal != weights || len(d.Differ) > 0 || len(folder.Tensors) != weights || folder.Vocabulary != run.Vocabulary {
		t.Errorf("%d of %d weights are equal, %v are not", d.Equal, weights, d.Differ)
	}
	for _, change := range d.Config {
		if !strings.HasPrefix(change.Key, "model.") {
			t.Errorf("%s is compared with a folder that does not tell it", change.Key)
		}
	}
	path := must.M1(checkpoint.Save(context.Background(), checkpointFolder(c.Run.Out), &checkpoint.State{Step: 7}))
	must.M(os.Truncate(filepath.Join(path, "manifest.json"), 10))
	said := must.M1(commandLine("inspect", c.Run.Out))
	if !strings.Contains(said, "warning: ") || !strings.Contains(said, "step        6 of 6") {
		t.Errorf("with a damaged newer checkpoint inspect says %q", said)
	}
}

func slotTensor(state *checkpoint.State, name string) *checkpoint.Tensor {
	for i := range state.Tensors {
		if state.Tensors[i].Name == name {
			return &state.Tensors[i]
		}
	}
	return nil
}

// TestInspectForged: a configuration that no version wrote is an error.
func TestInspectForged(t *testing.T) {
	folder := checkpointFolder(t.TempDir())
	for meta, says := range map[string]string{
		`{"config":{"Preset":"enormous"}}`: "enormous",
		`{"config":{"Run":{"Steps":"x"}}}`: "unreadable",
		`[]`:                               "unreadable",
		`null`:                             "",
	} {
		path := must.M1(checkpoint.Save(context.Background(), folder, &checkpoint.State{Meta: json.RawMessage(meta)}))
		if _, err := Inspect(path); fault.ExitCode(err) != 65 || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", meta, err)
		}
		if _, err := LoadModel(path, ""); fault.ExitCode(err) != 65 {
			t.Errorf("%s: %v", meta, err)
		}
	}
}
