//go:build cgo

package pjrt_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"elektron/internal/fault"
	"elektron/internal/pjrt"
	"elektron/internal/pjrt/hlo"
)

// tpuCompiler is the libtpu that `platform install tpu` has put into the plugin cache.
func tpuCompiler(t *testing.T) *pjrt.Plugin {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Skip(err)
	}
	found, _ := filepath.Glob(filepath.Join(cache, "elektron", "plugins", "tpu-*", "libtpu.so"))
	if len(found) == 0 {
		t.Skip("libtpu is not installed; `elektron platform install tpu` fetches it")
	}
	plugin, err := pjrt.LoadCompiler(found[len(found)-1])
	if err != nil {
		t.Fatal(err)
	}
	return plugin
}

func topology(t *testing.T, name string) *pjrt.Topology {
	t.Helper()
	topology, err := tpuCompiler(t).Topology(name, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(topology.Close)
	return topology
}

func TestTopologies(t *testing.T) {
	plugin := tpuCompiler(t)
	balanced(t)
	for _, c := range []struct {
		name, kind     string
		devices, hosts int
	}{
		{"v2:2x2", "TPU v2", 8, 1}, {"v3:2x2", "TPU v3", 8, 1}, {"v4:2x2x4", "TPU v4", 32, 4}, {"v5e:1x1", "TPU v5 lite", 1, 1}, {"v5e:2x2", "TPU v5 lite", 4, 1},
		{"v5e:4x4", "TPU v5 lite", 16, 4}, {"v5p:2x2x1", "TPU v5", 4, 1}, {"v6e:2x2", "TPU v6 lite", 4, 1},
	} {
		topology := topology(t, c.name)
		hosts := map[int]bool{}
		for _, d := range topology.Devices {
			hosts[d.ProcessIndex] = true
			if coordinates, ok := d.Attributes["coords"].([]int64); d.Kind != c.kind || !ok || len(coordinates) != 3 {
				t.Errorf("%s has the device %+v", c.name, d)
			}
		}
		attributes, err := topology.Attributes()
		if memory, ok := attributes["device_memory_bytes_limit"].(int64); err != nil || !ok || memory < 1<<30 {
			t.Errorf("%s: attributes %v, %v", c.name, attributes, err)
		}
		if len(topology.Devices) != c.devices || len(hosts) != c.hosts || topology.PlatformName != "tpu" || topology.PlatformVersion == "" {
			t.Errorf("%s: %d devices of %d hosts, %s %q", c.name, len(topology.Devices), len(hosts), topology.PlatformName, topology.PlatformVersion)
		}
		topology.Close()
		_, err = topology.Compile(addProgram, pjrt.CompileOptions{})
		wantError(t, err, fault.Internal, "closed")
	}
	for _, name := range []string{"v5litepod-4", "v99:2x2", "v5e:3x3", "v5e:0x2", ""} {
		_, err := plugin.Topology(name, nil)
		wantError(t, err, fault.Usage, name)
	}
}

// tpuProgram takes 5 steps in a loop: a weight that each device holds is multiplied with its part of the rows, and
// changed by the sum over all.
const tpuProgram = `module @tpu {
  sdy.mesh @mesh = <["data"=4]>
  func.func private @step(%weight: tensor<1024x1024xf32>, %rows: tensor<512x1024xf32>) -> (tensor<1024x1024xf32>, tensor<f32>) {
    %dense = stablehlo.dot %rows, %weight : (tensor<512x1024xf32>, tensor<1024x1024xf32>) -> tensor<512x1024xf32> loc("layer_0/dense")
    %active = stablehlo.tanh %dense : tensor<512x1024xf32>
    %gradient = stablehlo.dot_general %rows, %active, contracting_dims = [0] x [0] : (tensor<512x1024xf32>, tensor<512x1024xf32>) -> tensor<1024x1024xf32>
    %next = stablehlo.subtract %weight, %gradient : tensor<1024x1024xf32>
    %zero = stablehlo.constant dense<0.0> : tensor<f32>
    %loss = stablehlo.reduce(%active init: %zero) applies stablehlo.add across dimensions = [0, 1] : (tensor<512x1024xf32>, tensor<f32>) -> tensor<f32>
    return %next, %loss : tensor<1024x1024xf32>, tensor<f32>
  }
  func.func @main(%weight: tensor<1024x1024xf32> {tf.aliasing_output = 0 : i32, sdy.sharding = #sdy.sharding<@mesh, [{}, {}]>},
                  %batches: tensor<5x512x1024xf32> {sdy.sharding = #sdy.sharding<@mesh, [{}, {"data"}, {}]>}) -> (tensor<1024x1024xf32>, tensor<5xf32>) {
    %zero = stablehlo.constant dense<0> : tensor<i32>
    %one = stablehlo.constant dense<1> : tensor<i32>
    %steps = stablehlo.constant dense<5> : tensor<i32>
    %none = stablehlo.constant dense<0.0> : tensor<5xf32>
    %end:3 = stablehlo.while(%i = %zero, %w = %weight, %losses = %none) : tensor<i32>, tensor<1024x1024xf32>, tensor<5xf32>
    cond {
      %more = stablehlo.compare LT, %i, %steps : (tensor<i32>, tensor<i32>) -> tensor<i1>
      stablehlo.return %more : tensor<i1>
    } do {
      %slice = stablehlo.dynamic_slice %batches, %i, %zero, %zero, sizes = [1, 512, 1024] : (tensor<5x512x1024xf32>, tensor<i32>, tensor<i32>, tensor<i32>) -> tensor<1x512x1024xf32>
      %rows = stablehlo.reshape %slice : (tensor<1x512x1024xf32>) -> tensor<512x1024xf32>
      %next, %loss = func.call @step(%w, %rows) : (tensor<1024x1024xf32>, tensor<512x1024xf32>) -> (tensor<1024x1024xf32>, tensor<f32>)
      %one_loss = stablehlo.reshape %loss : (tensor<f32>) -> tensor<1xf32>
      %all = stablehlo.dynamic_update_slice %losses, %one_loss, %i : (tensor<5xf32>, tensor<1xf32>, tensor<i32>) -> tensor<5xf32>
      %j = stablehlo.add %i, %one : tensor<i32>
      stablehlo.return %j, %next, %all : tensor<i32>, tensor<1024x1024xf32>, tensor<5xf32>
    }
    return %end#1, %end#2 : tensor<1024x1024xf32>, tensor<5xf32>
  }
}`

// TestCompileForTPU compiles ahead of time for a slice that is not there, and reads what the compiler made of it.
func TestCompileForTPU(t *testing.T) {
	topology := topology(t, "v5e:2x2")
	balanced(t)
	e, err := topology.Compile(tpuProgram, pjrt.CompileOptions{NumPartitions: 4, SPMD: true, Shardy: true, DeviceAssignment: []int{0, 1, 2, 3}})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	memory, err := e.Memory()
	if err != nil || memory.Aliased != 4<<20 || memory.Arguments < memory.Aliased+5*128*1024*4 || memory.Peak == 0 {
		t.Errorf("memory %+v, %v", memory, err)
	}
	costs, err := e.CostAnalysis()
	if err != nil || costs["flops"] < 1e8 || costs["bytes accessed"] < 1e6 {
		t.Errorf("cost analysis %v, %v", costs, err)
	}
	if serialized, err := e.Serialize(); err != nil || len(serialized) < 1000 {
		t.Errorf("serialized to %d bytes, %v", len(serialized), err)
	}
	code, format, err := e.OptimizedProgram()
	if err != nil || format != "hlo_with_config" {
		t.Fatalf("format %q, %v", format, err)
	}
	module, err := hlo.Parse(code)
	if err != nil {
		t.Fatal(err)
	}
	checkTPUProgram(t, module)
}

// checkTPUProgram: the loop's five rounds are counted, products have cycles and gradients are reduced over devices.
func checkTPUProgram(t *testing.T, module *hlo.Module) {
	t.Helper()
	loops, reduced, cycles, places := 0, false, map[int64]int64{}, ""
	for _, cost := range module.Costs() {
		cycles[cost.Runs] += cost.Cycles
		places += cost.OpName + " "
		switch cost.Opcode {
		case "while":
			loops++
			if cost.TripCount != 5 {
				t.Errorf("the loop goes round %d times, not 5", cost.TripCount)
			}
		case "all-reduce", "all-reduce-start":
			reduced = reduced || cost.Runs == 5 && cost.Shape.Arrays()[0].Size() >= 1<<20
		}
	}
	if loops != 1 || len(module.UnknownLoops()) != 0 || !reduced {
		t.Errorf("%d loops, all-reduce of the gradient in the loop: %v", loops, reduced)
	}
	if cycles[5] < 5*1000 || cycles[5]%5 != 0 || len(cycles) != 2 {
		t.Errorf("estimated cycles by the number of runs: %v", cycles)
	}
	if !strings.Contains(places, "layer_0/dense") {
		t.Errorf("no instruction says where in the model it comes from: %s", places)
	}
}

// TestCompileForTPUErrors: a program that does not fit is out of memory; a bad one is the program's fault; and
// opening the devices that are not there is an error in libtpu's words.
func TestCompileForTPUErrors(t *testing.T) {
	topology := topology(t, "v5e:1x1")
	plugin := tpuCompiler(t)
	balanced(t)
	_, err := topology.Compile(strings.ReplaceAll(addProgram, "3xf32", "100000x100000xf32"), pjrt.CompileOptions{})
	wantError(t, err, fault.OutOfMemory, "compiling for v5e:1x1", "RESOURCE_EXHAUSTED", "HBM")
	_, err = topology.Compile("module @x { nonsense }", pjrt.CompileOptions{})
	wantError(t, err, fault.Internal, "nonsense")
	if client, err := plugin.NewClient(pjrt.ClientOptions{}); err == nil {
		client.Close() // the tests run on a TPU
	} else {
		wantError(t, err, fault.Device, "opening the devices", "PJRT_Client_Create")
	}
}
