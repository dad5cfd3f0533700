package device_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/janpfeifer/must"

	"elektron/internal/device"
	"elektron/internal/device/devicetest"
	"elektron/internal/fault"
	"elektron/internal/platform"
	"elektron/internal/stablehlo"
)

// descend is a step: weights [4], rows [8,4] and a rate; new weights and the mean of what the rows give.
func descend(in []*graph.Node) []*graph.Node {
	weights, rows, rate := in[0], in[1], in[2]
	loss := graph.ReduceAllMean(graph.Tanh(graph.Dot(rows, weights).General([]int{1}, nil, []int{0}, nil)))
	return []*graph.Node{graph.Sub(weights, graph.Mul(rate, graph.Gradient(loss, weights)[0])), loss}
}

func descent() device.Spec {
	return device.Spec{Name: "descent", Build: descend, Inputs: []stablehlo.Input{
		{Name: "weights", DType: dtypes.Float32, Dims: []int{4}, Aliased: new(0)},
		{Name: "rows", DType: dtypes.Float32, Dims: []int{8, 4}, Sharded: true}, {Name: "rate", DType: dtypes.Float32}}}
}

func counted(n int, dims ...int) *tensors.Tensor {
	values := make([]float32, n)
	for i := range values {
		values[i] = float32(i%7)/7 - 0.4
	}
	return tensors.FromFlatDataAndDimensions(values, dims...)
}

// several opens the processor as n devices, with a cache of its own.
func several(t *testing.T, n int) *device.Device {
	t.Helper()
	devicetest.Open(t, platform.CPU) // installs the plugin, or skips
	d, err := device.Open(t.Context(), device.Options{Platform: platform.CPU, Offline: true, Devices: n, Cache: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return d
}

// follow takes three steps and returns the weights and the losses.
func follow(t *testing.T, d *device.Device) (weights, losses []float32) {
	t.Helper()
	p, err := d.Compile(descent())
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	state := must.M1(d.Put(counted(4, 4), device.Replicated))
	for range 3 {
		outputs, err := p.Run([]device.Array{state}, counted(32, 8, 4), tensors.FromScalar(float32(0.5)))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := state.Fetch(); err == nil || fault.KindOf(err) != fault.Internal {
			t.Errorf("the donated weights can still be read: %v", err)
		}
		state = outputs[0]
		losses = append(losses, must.M1(device.Floats(outputs[1]))...)
		outputs[1].Close()
	}
	weights = must.M1(device.Floats(state))
	state.Close()
	return weights, losses
}

// TestSameOnAll: platforms and numbers of devices agree.
func TestSameOnAll(t *testing.T) {
	want, wantLosses := follow(t, devicetest.Open(t, platform.Go))
	if wantLosses[2] >= wantLosses[0] {
		t.Fatalf("the loss does not fall: %v", wantLosses)
	}
	for _, n := range []int{1, 2, 4} {
		d := several(t, n)
		if d.Count != n {
			t.Fatalf("%d devices, want %d", d.Count, n)
		}
		weights, losses := follow(t, d)
		if !near(weights, want) || !near(losses, wantLosses) {
			t.Errorf("%s: weights %v, losses %v, want %v, %v", d.Description, weights, losses, want, wantLosses)
		}
	}
}

func near(got, want []float32) bool {
	return slices.EqualFunc(got, want, func(a, b float32) bool { return a-b < 1e-6 && b-a < 1e-6 })
}

// TestLoop: steps in a loop on the devices are those of single runs, and rows of steps that were not run are 0.
func TestLoop(t *testing.T) {
	for _, n := range []int{1, 4} {
		d := several(t, n)
		want, wantLosses := follow(t, d)
		s := descent()
		s.Steps = 5
		p := must.M1(d.Compile(s))
		rows := make([]float32, 0, 5*32)
		for range 5 {
			rows = append(rows, must.M1(tensors.CopyFlatData[float32](counted(32, 8, 4)))...)
		}
		outputs := must.M1(p.Run([]device.Array{must.M1(d.Put(counted(4, 4), device.Replicated))}, tensors.FromFlatDataAndDimensions(rows, 5, 8, 4),
			tensors.FromFlatDataAndDimensions([]float32{0.5, 0.5, 0.5, 9, 9}, 5), tensors.FromScalar(int32(3))))
		weights, losses := must.M1(device.Floats(outputs[0])), must.M1(device.Floats(outputs[1]))
		if !slices.Equal(weights, want) || !slices.Equal(losses, append(wantLosses, 0, 0)) {
			t.Errorf("%d devices: weights %v, losses %v, want %v, %v and zeros", n, weights, losses, want, wantLosses)
		}
		device.CloseAll(outputs)
	}
}

// TestSplitArray: an array that is split comes back whole.
func TestSplitArray(t *testing.T) {
	d := several(t, 4)
	for _, axis := range []int{device.Replicated, 0, 1} {
		a := must.M1(d.Put(counted(8*12, 8, 12), axis))
		if got := must.M1(device.Floats(a)); !slices.Equal(got, must.M1(tensors.CopyFlatData[float32](counted(96, 8, 12)))) {
			t.Errorf("split along axis %d it comes back as %v", axis, got)
		}
		a.Close()
	}
}

// TestCache: a second compilation takes the program from disk; one that is damaged is replaced.
func TestCache(t *testing.T) {
	devicetest.Open(t, platform.CPU)
	folder := t.TempDir()
	only := func() string {
		t.Helper()
		files := must.M1(filepath.Glob(filepath.Join(folder, "*")))
		if len(files) != 1 {
			t.Fatalf("the cache holds %v, want one program", files)
		}
		return files[0]
	}
	run := func() []float32 {
		d := must.M1(device.Open(context.Background(), device.Options{Platform: platform.CPU, Offline: true, Cache: folder}))
		defer d.Close()
		weights, _ := follow(t, d)
		return weights
	}
	want := run()
	sound := must.M1(os.ReadFile(only()))
	before := must.M1(os.Stat(only()))
	if got := run(); !slices.Equal(got, want) {
		t.Errorf("from the cache: %v, want %v", got, want)
	}
	if after := must.M1(os.Stat(only())); !os.SameFile(before, after) {
		t.Error("a sound program was compiled again")
	}
	for name, damaged := range map[string][]byte{"cut off": sound[:len(sound)/2], "empty": nil, "changed": append(slices.Clone(sound[:len(sound)-1]), sound[len(sound)-1]^1)} {
		must.M(os.WriteFile(only(), damaged, 0o644))
		if got := run(); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
		if again := must.M1(os.ReadFile(only())); len(again) != len(sound) {
			t.Errorf("%s: the program has %d bytes afterwards, not %d", name, len(again), len(sound))
		}
	}
}

func TestOpenErrors(t *testing.T) {
	for _, c := range []struct {
		name    string
		options device.Options
		kind    fault.Kind
	}{
		{"negative devices", device.Options{Devices: -1}, fault.Usage},
		{"devices of pure Go", device.Options{Platform: platform.Go, Devices: 2}, fault.Usage},
		{"no such platform", device.Options{Platform: "npu"}, fault.Usage},
		{"no plugin", device.Options{Platform: platform.CPU, Plugin: "cpu.so"}, fault.Device},
	} {
		if d, err := device.Open(t.Context(), c.options); err == nil || fault.KindOf(err) != c.kind {
			d.Close()
			t.Errorf("%s: %v of kind %v, want kind %v", c.name, err, fault.KindOf(err), c.kind)
		}
	}
}

// TestRunErrors: what a program was not compiled for is refused before it runs, on every platform.
func TestRunErrors(t *testing.T) {
	for _, name := range []string{platform.Go, platform.CPU} {
		d := devicetest.Open(t, name)
		p := must.M1(d.Compile(descent()))
		state := must.M1(d.Put(counted(4, 4), device.Replicated))
		rate := tensors.FromScalar(float32(1))
		for what, values := range map[string][]*tensors.Tensor{
			"a value too few": {rate}, "rows of another shape": {counted(16, 4, 4), rate}, "rows of another type": {tensors.FromFlatDataAndDimensions(make([]int32, 32), 8, 4), rate},
		} {
			if _, err := p.Run([]device.Array{state}, values...); err == nil {
				t.Errorf("%s: %s is accepted", name, what)
			}
		}
		if _, err := p.Run([]device.Array{state}, counted(32, 8, 4), rate); err != nil {
			t.Errorf("%s: after refusals the state cannot be used: %v", name, err)
		}
		if _, err := p.Run([]device.Array{state}, counted(32, 8, 4), rate); err == nil {
			t.Errorf("%s: a donated array is accepted", name)
		}
	}
}
