package checkpoint

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"testing"
)

// testState is a small state whose every byte follows from the step, so that a test can tell which step it got.
func testState(step int64) *State {
	weights := make([]byte, 0, 4*21)
	for i := range 21 {
		weights = binary.LittleEndian.AppendUint32(weights, math.Float32bits(float32(step)+float32(i)/8))
	}
	return &State{
		Step: step,
		Meta: json.RawMessage(`{"preset":"tiny","note":"<a> & é"}`),
		Tensors: []Tensor{
			{Name: "electra.embeddings.word_embeddings.weight", DType: "float32", Shape: []int{7, 3}, Data: weights},
			{Name: "step", DType: "int64", Shape: []int{}, Data: binary.LittleEndian.AppendUint64(nil, uint64(step))},
			{Name: "bias", DType: "bfloat16", Shape: []int{5}, Data: bytes.Repeat([]byte{byte(step), 0x3f}, 5)},
		},
	}
}

func mustSave(t *testing.T, dir string, state *State) string {
	t.Helper()
	path, err := Save(context.Background(), dir, state)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func TestRoundTrip(t *testing.T) {
	large := bytes.Repeat([]byte("0123456789abcdef"), (3*chunkSize+32)/16)
	cases := map[string]*State{
		"several types":         testState(12000),
		"no tensors, no meta":   {Step: 0, Tensors: []Tensor{}},
		"more than one chunk":   {Step: 1, Tensors: []Tensor{{"a", "uint32", []int{len(large) / 4}, large}, {"b", "float16", []int{1}, []byte{1, 2}}}},
		"more than 8 digits":    {Step: 123456789012, Tensors: []Tensor{{"a", "float64", []int{}, make([]byte, 8)}}},
		"meta is not an object": {Step: 3, Meta: json.RawMessage(`["x",1.50]`), Tensors: []Tensor{}},
	}
	for name, state := range cases {
		dir := filepath.Join(t.TempDir(), "run", "checkpoints")
		saved := mustSave(t, dir, state)
		got, path, warnings, err := Restore(dir)
		if err != nil || path != saved || len(warnings) != 0 {
			t.Errorf("%s: path %q, warnings %q, error %v", name, path, warnings, err)
			continue
		}
		if !reflect.DeepEqual(got, state) {
			t.Errorf("%s: restored %+v, saved %+v", name, got, state)
		}
		if m, err := Verify(saved); err != nil || m.Step != state.Step {
			t.Errorf("%s: verify: %v", name, err)
		}
	}
}

func TestRestoreWithoutCheckpoints(t *testing.T) {
	empty := t.TempDir()
	os.MkdirAll(filepath.Join(empty, ".tmp-step-00000001"), 0o755)
	os.MkdirAll(filepath.Join(empty, "step-1"), 0o755)
	os.WriteFile(filepath.Join(empty, "step-00000001"), nil, 0o644)
	for _, dir := range []string{empty, filepath.Join(empty, "nothing")} {
		if _, _, _, err := Restore(dir); !errors.Is(err, ErrNone) {
			t.Errorf("Restore(%s) = %v, want ErrNone", dir, err)
		}
	}
}
