package pjrt_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"elektron/internal/device/devicetest"
	"elektron/internal/fault"
	"elektron/internal/pjrt"
	"elektron/internal/platform"
)

// The tests run on XLA's CPU plugin, one client for each number of virtual devices.

var clients struct {
	sync.Mutex
	byDevices map[int]*pjrt.Client
}

func cpuPlugin(t testing.TB) *pjrt.Plugin {
	t.Helper()
	plugin, err := pjrt.Load(devicetest.Open(t, platform.CPU).PluginPath)
	if err != nil {
		t.Fatal(err)
	}
	return plugin
}

// cpu is a client of so many devices, opened once.
func cpu(t testing.TB, devices int) *pjrt.Client {
	t.Helper()
	plugin := cpuPlugin(t)
	clients.Lock()
	defer clients.Unlock()
	if c := clients.byDevices[devices]; c != nil {
		return c
	}
	c, err := plugin.NewClient(pjrt.ClientOptions{Options: pjrt.Options{"cpu_device_count": devices}})
	if err != nil {
		t.Fatal(err)
	}
	if clients.byDevices == nil {
		clients.byDevices = map[int]*pjrt.Client{}
	}
	clients.byDevices[devices] = c
	return c
}

func compile(t testing.TB, c *pjrt.Client, program string, o pjrt.CompileOptions) *pjrt.LoadedExecutable {
	t.Helper()
	e, err := c.Compile(program, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return e
}

// send puts numbers on a device.
func send(t testing.TB, d *pjrt.Device, c *pjrt.Client, numbers []float32, dims ...int) *pjrt.Buffer {
	t.Helper()
	b, err := c.BufferFromHost(pjrt.Bytes(numbers), pjrt.F32, dims, d)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

// fetch reads a buffer of so many numbers back.
func fetch(t testing.TB, b *pjrt.Buffer, count int) []float32 {
	t.Helper()
	numbers := make([]float32, count)
	if err := b.ToHost(pjrt.Bytes(numbers)); err != nil {
		t.Fatal(err)
	}
	return numbers
}

// execute runs a program to its end.
func execute(t testing.TB, e *pjrt.LoadedExecutable, args [][]*pjrt.Buffer, donate ...int) [][]*pjrt.Buffer {
	t.Helper()
	outputs, done, err := e.Execute(args, donate...)
	if err != nil {
		t.Fatal(err)
	}
	for _, list := range outputs {
		for _, b := range list {
			t.Cleanup(b.Close)
		}
	}
	if err := done.Await(); err != nil {
		t.Fatal(err)
	}
	return outputs
}

// balanced fails the test if it leaves anything open.
func balanced(t *testing.T) {
	t.Helper()
	before := pjrt.Live()
	t.Cleanup(func() {
		if after := pjrt.Live(); after != before {
			t.Errorf("open objects: %+v, before the test %+v", after, before)
		}
	})
}

const addProgram = `module @add {
  func.func @main(%a: tensor<3xf32>, %b: tensor<3xf32>) -> tensor<3xf32> {
    %sum = stablehlo.add %a, %b : tensor<3xf32>
    return %sum : tensor<3xf32>
  }
}`

func TestAdd(t *testing.T) {
	c := cpu(t, 1)
	balanced(t)
	e := compile(t, c, addProgram, pjrt.CompileOptions{})
	d := e.Devices()[0]
	a, b := send(t, d, c, []float32{1, 2, 3}, 3), send(t, d, c, []float32{10, 20, 30}, 3)
	outputs := execute(t, e, [][]*pjrt.Buffer{{a, b}})
	if got := fetch(t, outputs[0][0], 3); !slices.Equal(got, []float32{11, 22, 33}) {
		t.Errorf("sum is %v", got)
	}
	if a.Deleted() || b.Deleted() {
		t.Error("an argument that was not donated is gone")
	}
	if e.Name != "add" || e.NumReplicas != 1 || e.NumPartitions != 1 || fmt.Sprint(e.Outputs) != "[f32[3]]" {
		t.Errorf("the program is %s, %d replicas, %d partitions, outputs %v", e.Name, e.NumReplicas, e.NumPartitions, e.Outputs)
	}
	if kind := e.Outputs[0].MemoryKind; kind == "" {
		t.Error("the output has no memory kind")
	}
	checkMetadata(t, outputs[0][0], d)
	memory, err := e.Memory()
	if err != nil || memory.Arguments != 24 || memory.Outputs != 12 || memory.Aliased != 0 {
		t.Errorf("memory %+v, %v", memory, err)
	}
}

func checkMetadata(t *testing.T, b *pjrt.Buffer, d *pjrt.Device) {
	t.Helper()
	kind, err := b.ElementType()
	if err != nil || kind != pjrt.F32 {
		t.Errorf("type %s, %v", kind, err)
	}
	dims, err := b.Dims()
	if err != nil || !slices.Equal(dims, []int{3}) {
		t.Errorf("dims %v, %v", dims, err)
	}
	if at, err := b.Device(); err != nil || at != d {
		t.Errorf("device %v, %v", at, err)
	}
	if size, err := b.DeviceSize(); err != nil || size != 12 {
		t.Errorf("size %d, %v", size, err)
	}
}

// wantError checks an error's kind and that it says certain words.
func wantError(t *testing.T, err error, kind fault.Kind, words ...string) {
	t.Helper()
	if err == nil {
		t.Fatal("no error")
	}
	if fault.KindOf(err) != kind {
		t.Errorf("%v is of kind %d, not %d", err, fault.KindOf(err), kind)
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%q does not say %q", err, word)
		}
	}
}
