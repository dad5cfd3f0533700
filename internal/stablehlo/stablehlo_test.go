//go:build cgo

package stablehlo

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"

	"elektron/internal/fault"
)

func init() { FollowGradients() }

// score and descend stand for a model: a loss, and an update by its gradient.
func score(weight, rows *graph.Node) *graph.Node {
	return graph.ReduceAllSum(graph.Tanh(graph.Dot(rows, weight).General([]int{1}, nil, []int{0}, nil)))
}

func descend(in []*graph.Node) []*graph.Node {
	loss := score(in[0], in[1])
	return []*graph.Node{graph.Sub(in[0], graph.Gradient(loss, in[0])[0]), loss}
}

func inputs() []Input {
	return []Input{{Name: "layer.weight", DType: dtypes.Float32, Dims: []int{8, 4}, Aliased: new(0)},
		{Name: "rows", DType: dtypes.Float32, Dims: []int{16, 8}, Sharded: true}}
}

func TestTrace(t *testing.T) {
	p, err := Trace("descent", Options{Devices: 4, Places: true}, inputs(), descend)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"module @descent", `sdy.mesh @mesh = <["data"=4]>`, "tf.aliasing_output = 0 : i32", `#sdy.sharding<@mesh, [{"data"}, {}]>`,
		`loc("score")`, `loc("backward/score")`, "%layer_weight: tensor<8x4xf32>",
	} {
		if !strings.Contains(p.Text, want) {
			t.Errorf("%s is not in the text", want)
		}
	}
	forward, backward := 0, 0
	for line := range strings.Lines(p.Text) {
		if strings.Contains(line, "stablehlo.dot_general") || strings.HasPrefix(line, "    } : ") {
			forward += strings.Count(line, `loc("score")`)
			backward += strings.Count(line, `loc("backward/score")`)
		}
	}
	if forward != 1 || backward != 2 { // GoMLX derives by both factors
		t.Errorf("%d products are of the score and %d of its gradient, want 1 and 2", forward, backward)
	}
	signature, err := json.Marshal(p)
	want := `{"name":"descent","devices":4,"inputs":[{"type":"float32","name":"layer.weight","dims":[8,4],"aliased_output":0},` +
		`{"type":"float32","name":"rows","dims":[16,8],"sharded":true}],"outputs":[{"type":"float32","dims":[8,4]},{"type":"float32","dims":[]}]}`
	if err != nil || string(signature) != want {
		t.Errorf("signature %s, %v, want\n%s", signature, err, want)
	}
	if p.Inputs[1].Bytes() != 16*8*4 || p.Outputs[1].Bytes() != 4 {
		t.Errorf("inputs take %d bytes, outputs %d", p.Inputs[1].Bytes(), p.Outputs[1].Bytes())
	}
	if !strings.Contains(p.Text, "loc(") {
		t.Error("the text has no places")
	}
	if bare, err := Trace("descent", Options{Devices: 4}, inputs(), descend); err != nil || strings.Contains(bare.Text, "loc(") {
		t.Errorf("without places the text still has some, or %v", err)
	}
	again, err := Trace("descent", Options{Devices: 4, Places: true}, inputs(), descend)
	if err != nil || again.Text != p.Text {
		t.Errorf("traced twice, the text differs: %v", err)
	}
	one, err := Trace("descent", Options{Devices: 1, Places: true}, inputs(), descend)
	if err != nil || strings.Contains(one.Text, "sdy.") {
		t.Errorf("the program for one device is sharded: %v", err)
	}
}

func TestTraceRefusals(t *testing.T) {
	for _, c := range []struct {
		name    string
		devices int
		change  func([]Input)
		build   func([]*graph.Node) []*graph.Node
		kind    fault.Kind
		says    string
	}{
		{"rows that the devices do not divide", 3, func([]Input) {}, descend, fault.Usage, "cannot be split over 3 devices"},
		{"an alias of another shape", 1, func(in []Input) { in[0].Aliased = new(1) }, descend, fault.Internal, "cannot be output 1"},
		{"two aliases of an output", 1, func(in []Input) { in[1].Aliased = new(0) }, descend, fault.Internal, "which another may have"},
		{"an alias of no output", 1, func(in []Input) { in[0].Aliased = new(2) }, descend, fault.Internal, "output 2 of 2"},
		{"a builder that panics", 1, func([]Input) {}, func([]*graph.Node) []*graph.Node { panic("no such weight") }, fault.Internal, "no such weight"},
	} {
		list := inputs()
		c.change(list)
		if _, err := Trace("descent", Options{Devices: c.devices, Places: true}, list, c.build); err == nil || fault.KindOf(err) != c.kind || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want kind %v and %q", c.name, err, c.kind, c.says)
		}
	}
}

func TestFunctionName(t *testing.T) {
	for name, want := range map[string]string{
		"model.(*Context).layers":               "layers",
		"model.bert.encode.func1":               "encode",
		"model.(*Config).Forward.func2.1":       "Forward",
		"trainer/optimizer.Config.Apply":        "Apply",
		"trainer.(*Step).buildTrain-fm":         "buildTrain",
		"internal/stablehlo.score":              "score",
		"trainer.StepOptions.TrainProgram.func": "TrainProgram",
	} {
		if got := functionName(name); got != want {
			t.Errorf("%s is called %s, want %s", name, got, want)
		}
	}
}
