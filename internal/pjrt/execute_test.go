package pjrt_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"elektron/internal/fault"
	"elektron/internal/pjrt"
)

// aliased adds a batch to a state that lies in the same memory before and after.
const aliasedProgram = `module @update {
  func.func @main(%state: tensor<1024xf32> {tf.aliasing_output = 0 : i32}, %batch: tensor<1024xf32>) -> (tensor<1024xf32>, tensor<f32>) {
    %next = stablehlo.add %state, %batch : tensor<1024xf32>
    %zero = stablehlo.constant dense<0.0> : tensor<f32>
    %sum = stablehlo.reduce(%next init: %zero) applies stablehlo.add across dimensions = [0] : (tensor<1024xf32>, tensor<f32>) -> tensor<f32>
    return %next, %sum : tensor<1024xf32>, tensor<f32>
  }
}`

func filled(count int, value float32) []float32 { return slices.Repeat([]float32{value}, count) }

func TestDonation(t *testing.T) {
	c := cpu(t, 1)
	balanced(t)
	e := compile(t, c, aliasedProgram, pjrt.CompileOptions{})
	if m, err := e.Memory(); err != nil || m.Aliased != 4096 || m.Arguments != 8192 || m.Outputs < 4100 {
		t.Errorf("memory %+v, %v: the state is not aliased", m, err)
	}
	d := e.Devices()[0]
	batch := send(t, d, c, filled(1024, 2), 1024)

	kept := send(t, d, c, filled(1024, 1), 1024)
	outputs := execute(t, e, [][]*pjrt.Buffer{{kept, batch}})
	if kept.Deleted() || fetch(t, kept, 1024)[0] != 1 {
		t.Error("a state that was not donated was changed")
	}
	if got := fetch(t, outputs[0][0], 1024)[1023]; got != 3 {
		t.Errorf("without donation the next state is %v", got)
	}

	state := send(t, d, c, filled(1024, 1), 1024)
	for step := range 5 {
		outputs := execute(t, e, [][]*pjrt.Buffer{{state, batch}}, 0)
		if !state.Deleted() || batch.Deleted() {
			t.Fatal("the state was not given up, or the batch was")
		}
		_, err := state.Dims()
		wantError(t, err, fault.Internal, "donated")
		state = outputs[0][0]
		want := float32(1024 * (1 + 2*(step+1)))
		if sum := fetch(t, outputs[0][1], 1)[0]; sum != want {
			t.Errorf("step %d: sum %v, not %v", step, sum, want)
		}
	}
}

// loopProgram runs the private function @step once for each row of a stack of batches, as a loop on the device.
const loopProgram = `module @loop {
  func.func private @step(%state: tensor<8xf32>, %batch: tensor<8xf32>) -> (tensor<8xf32>, tensor<f32>) {
    %half = stablehlo.constant dense<0.5> : tensor<8xf32>
    %decayed = stablehlo.multiply %state, %half : tensor<8xf32>
    %next = stablehlo.add %decayed, %batch : tensor<8xf32>
    %zero = stablehlo.constant dense<0.0> : tensor<f32>
    %loss = stablehlo.reduce(%next init: %zero) applies stablehlo.add across dimensions = [0] : (tensor<8xf32>, tensor<f32>) -> tensor<f32>
    return %next, %loss : tensor<8xf32>, tensor<f32>
  }
  func.func @main(%state: tensor<8xf32> {tf.aliasing_output = 0 : i32}, %batches: tensor<6x8xf32>) -> (tensor<8xf32>, tensor<6xf32>) {
    %zero = stablehlo.constant dense<0> : tensor<i32>
    %one = stablehlo.constant dense<1> : tensor<i32>
    %steps = stablehlo.constant dense<6> : tensor<i32>
    %none = stablehlo.constant dense<0.0> : tensor<6xf32>
    %end:3 = stablehlo.while(%i = %zero, %s = %state, %losses = %none) : tensor<i32>, tensor<8xf32>, tensor<6xf32>
    cond {
      %more = stablehlo.compare LT, %i, %steps : (tensor<i32>, tensor<i32>) -> tensor<i1>
      stablehlo.return %more : tensor<i1>
    } do {
      %row = stablehlo.dynamic_slice %batches, %i, %zero, sizes = [1, 8] : (tensor<6x8xf32>, tensor<i32>, tensor<i32>) -> tensor<1x8xf32>
      %batch = stablehlo.reshape %row : (tensor<1x8xf32>) -> tensor<8xf32>
      %next, %loss = func.call @step(%s, %batch) : (tensor<8xf32>, tensor<8xf32>) -> (tensor<8xf32>, tensor<f32>)
      %one_loss = stablehlo.reshape %loss : (tensor<f32>) -> tensor<1xf32>
      %all = stablehlo.dynamic_update_slice %losses, %one_loss, %i : (tensor<6xf32>, tensor<1xf32>, tensor<i32>) -> tensor<6xf32>
      %j = stablehlo.add %i, %one : tensor<i32>
      stablehlo.return %j, %next, %all : tensor<i32>, tensor<8xf32>, tensor<6xf32>
    }
    return %end#1, %end#2 : tensor<8xf32>, tensor<6xf32>
  }
}`

// TestLoopOnDevice is several steps a dispatch: the state is carried and aliased, each step's loss comes out.
func TestLoopOnDevice(t *testing.T) {
	c := cpu(t, 1)
	balanced(t)
	e := compile(t, c, loopProgram, pjrt.CompileOptions{})
	if m, err := e.Memory(); err != nil || m.Aliased != 32 {
		t.Errorf("memory %+v, %v: the state of 32 bytes is not aliased", m, err)
	}
	state, batches, losses := filled(8, 1), make([]float32, 48), []float32{}
	for i := range batches {
		batches[i] = float32(i)
	}
	d := e.Devices()[0]
	outputs := execute(t, e, [][]*pjrt.Buffer{{send(t, d, c, state, 8), send(t, d, c, batches, 6, 8)}}, 0)
	for step := range 6 {
		loss := float32(0)
		for i := range state {
			state[i] = state[i]/2 + batches[step*8+i]
			loss += state[i]
		}
		losses = append(losses, loss)
	}
	if got := fetch(t, outputs[0][0], 8); !slices.Equal(got, state) {
		t.Errorf("state %v, not %v", got, state)
	}
	if got := fetch(t, outputs[0][1], 6); !slices.Equal(got, losses) {
		t.Errorf("losses %v, not %v", got, losses)
	}
}

// slowProgram squares a matrix many times over.
const slowProgram = `module @slow {
  func.func @main(%start: tensor<256x256xf32>) -> tensor<256x256xf32> {
    %zero = stablehlo.constant dense<0> : tensor<i32>
    %one = stablehlo.constant dense<1> : tensor<i32>
    %rounds = stablehlo.constant dense<1000> : tensor<i32>
    %end:2 = stablehlo.while(%i = %zero, %x = %start) : tensor<i32>, tensor<256x256xf32>
    cond {
      %more = stablehlo.compare LT, %i, %rounds : (tensor<i32>, tensor<i32>) -> tensor<i1>
      stablehlo.return %more : tensor<i1>
    } do {
      %square = stablehlo.dot %x, %x : (tensor<256x256xf32>, tensor<256x256xf32>) -> tensor<256x256xf32>
      %j = stablehlo.add %i, %one : tensor<i32>
      stablehlo.return %j, %square : tensor<i32>, tensor<256x256xf32>
    }
    return %end#1 : tensor<256x256xf32>
  }
}`

// TestAsynchronous: an execution of about a second is handed over and still under way when Execute returns; its
// output can be sent on already.
func TestAsynchronous(t *testing.T) {
	c := cpu(t, 1)
	balanced(t)
	e := compile(t, c, slowProgram, pjrt.CompileOptions{})
	identity := make([]float32, 256*256)
	for i := range 256 {
		identity[i*257] = 1
	}
	x := send(t, e.Devices()[0], c, identity, 256, 256)
	first, done, err := e.Execute([][]*pjrt.Buffer{{x}})
	if err != nil {
		t.Fatal(err)
	}
	defer first[0][0].Close()
	if ready, err := done.Ready(); ready || err != nil {
		t.Errorf("Execute waited for the device: ready %v, %v", ready, err)
	}
	second, doneToo, err := e.Execute(first)
	if err != nil {
		t.Fatal(err)
	}
	defer second[0][0].Close()
	made, err := second[0][0].Done()
	if err != nil {
		t.Fatal(err)
	}
	if err := doneToo.Await(); err != nil {
		t.Fatal(err)
	}
	for what, event := range map[string]*pjrt.Event{"the first execution": done, "the second's output": made, "what was awaited": doneToo} {
		if ready, err := event.Ready(); !ready || err != nil {
			t.Errorf("%s is not done: %v", what, err)
		}
		if err := event.Await(); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		event.Close()
	}
	if got := fetch(t, second[0][0], 256*256); !slices.Equal(got, identity) {
		t.Error("the identity squared is another matrix")
	}
}

// TestAsynchronousCopies: copies to and from the host that are awaited later.
func TestAsynchronousCopies(t *testing.T) {
	c := cpu(t, 1)
	balanced(t)
	numbers, back := make([]float32, 1<<20), make([]float32, 1<<20)
	for i := range numbers {
		numbers[i] = float32(i)
	}
	b, sent, err := c.BufferFromHostAsync(pjrt.Bytes(numbers), pjrt.F32, []int{1 << 10, 1 << 10}, c.AddressableDevices()[0])
	if err != nil {
		t.Fatal(err)
	}
	received, err := b.ToHostAsync(pjrt.Bytes(back))
	if err != nil {
		t.Fatal(err)
	}
	b.Close()
	received.Close() // waits
	if err := sent.Await(); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(numbers, back) {
		t.Error("other numbers came back")
	}
}

// TestShapes sends arrays of odd shapes there and back.
func TestShapes(t *testing.T) {
	c := cpu(t, 1)
	balanced(t)
	for _, dims := range [][]int{{}, {1}, {0}, {3, 0, 2}, {2, 3, 4}, {1, 1, 5, 1}} {
		count := 1
		for _, d := range dims {
			count *= d
		}
		numbers := make([]int32, count)
		for i := range numbers {
			numbers[i] = int32(i) - 2
		}
		b, err := c.BufferFromHost(pjrt.Bytes(numbers), pjrt.S32, dims, c.AddressableDevices()[0])
		if err != nil {
			t.Fatal(err)
		}
		if got, err := b.Dims(); err != nil || !slices.Equal(got, dims) {
			t.Errorf("dims %v became %v, %v", dims, got, err)
		}
		back := make([]int32, count)
		if err := b.ToHost(pjrt.Bytes(back)); err != nil || !slices.Equal(back, numbers) {
			t.Errorf("dims %v: %v became %v, %v", dims, numbers, back, err)
		}
		b.Close()
		b.Close()
		wantError(t, b.ToHost(pjrt.Bytes(back)), fault.Internal, "closed")
	}
}

// TestMisuse: what a caller gets wrong is an error, and leaves the arguments as they were.
func TestMisuse(t *testing.T) {
	c, other := cpu(t, 1), cpu(t, 2)
	balanced(t)
	e := compile(t, c, addProgram, pjrt.CompileOptions{})
	d := e.Devices()[0]
	a, b := send(t, d, c, []float32{1, 2, 3}, 3), send(t, d, c, []float32{1, 2, 3}, 3)
	long := send(t, d, c, []float32{1, 2, 3, 4}, 4)
	foreign := send(t, other.AddressableDevices()[0], other, []float32{1, 2, 3}, 3)
	closed := send(t, d, c, []float32{1, 2, 3}, 3)
	closed.Close()
	run := func(donate []int, args ...[]*pjrt.Buffer) error {
		_, _, err := e.Execute(args, donate...)
		return err
	}
	wantError(t, run(nil), fault.Internal, "arguments for 0 devices given, it runs on 1")
	wantError(t, run(nil, []*pjrt.Buffer{a, b}, []*pjrt.Buffer{a, b}), fault.Internal, "arguments for 2 devices")
	wantError(t, run(nil, []*pjrt.Buffer{a, closed}), fault.Internal, "argument 1 on device 0 is closed")
	wantError(t, run(nil, []*pjrt.Buffer{a, nil}), fault.Internal, "argument 1")
	wantError(t, run(nil, []*pjrt.Buffer{foreign, b}), fault.Internal, "argument 0", "another client")
	wantError(t, run([]int{2}, []*pjrt.Buffer{a, b}), fault.Internal, "argument 2 of 2 cannot be donated")
	wantError(t, run([]int{1, 1}, []*pjrt.Buffer{a, b}), fault.Internal, "twice")
	wantError(t, run(nil, []*pjrt.Buffer{a}), fault.Device, "running add", "PJRT_LoadedExecutable_Execute", "INVALID_ARGUMENT")
	wantError(t, run([]int{0}, []*pjrt.Buffer{a, long}), fault.Device, "running add")
	if a.Deleted() || b.Deleted() {
		t.Error("a refused execution took an argument")
	}
	execute(t, e, [][]*pjrt.Buffer{{a, b}})

	_, err := c.BufferFromHost(make([]byte, 11), pjrt.F32, []int{3}, d)
	wantError(t, err, fault.Internal, "f32[3]", "11 bytes given, 12 needed")
	_, err = c.BufferFromHost(make([]byte, 12), pjrt.F32, []int{3}, other.AddressableDevices()[0])
	wantError(t, err, fault.Internal, "no device that this client addresses")
	_, _, err = c.BufferFromHostAsync(make([]byte, 12), pjrt.Invalid, []int{3}, d)
	wantError(t, err, fault.Internal, "invalid[3]")
	wantError(t, a.ToHost(make([]byte, 16)), fault.Internal, "room for 16 bytes given, 12 needed")
	e.Close()
	wantError(t, run(nil, []*pjrt.Buffer{a, b}), fault.Internal, "closed")
	_, err = e.Memory()
	wantError(t, err, fault.Internal, "closed")
}

// TestNoLeak runs a donated step 10,000 times, with a copy to the device and one back in each.
func TestNoLeak(t *testing.T) {
	c := cpu(t, 1)
	balanced(t)
	e := compile(t, c, aliasedProgram, pjrt.CompileOptions{})
	d := e.Devices()[0]
	state := send(t, d, c, filled(1024, 0), 1024)
	defer func() { state.Close() }()
	batch, loss, steps := filled(1024, 1), make([]float32, 1), 10000
	before := pjrt.Live()
	for range steps {
		b, err := c.BufferFromHost(pjrt.Bytes(batch), pjrt.F32, []int{1024}, d)
		if err != nil {
			t.Fatal(err)
		}
		outputs, done, err := e.Execute([][]*pjrt.Buffer{{state, b}}, 0, 1)
		if err != nil {
			t.Fatal(err)
		}
		state = outputs[0][0]
		if err := outputs[0][1].ToHost(pjrt.Bytes(loss)); err != nil {
			t.Fatal(err)
		}
		outputs[0][1].Close()
		done.Close()
	}
	if after := pjrt.Live(); after != before {
		t.Errorf("open objects %+v, before %+v", after, before)
	}
	if want := float32(1024 * steps); loss[0] != want {
		t.Errorf("the last sum is %v, not %v", loss[0], want)
	}
}

// TestClosingOrder: a client closed first lives until its buffers and programs are closed.
func TestClosingOrder(t *testing.T) {
	plugin := cpuPlugin(t)
	before := pjrt.Live()
	c, err := plugin.NewClient(pjrt.ClientOptions{Options: pjrt.Options{"cpu_device_count": 1}})
	if err != nil {
		t.Fatal(err)
	}
	e, err := c.Compile(addProgram, pjrt.CompileOptions{})
	if err != nil {
		t.Fatal(err)
	}
	b, err := c.BufferFromHost(pjrt.Bytes([]float32{1, 2, 3}), pjrt.F32, []int{3}, e.Devices()[0])
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	c.Close()
	_, err = c.Compile(addProgram, pjrt.CompileOptions{})
	wantError(t, err, fault.Internal, "closed")
	outputs, done, err := e.Execute([][]*pjrt.Buffer{{b, b}})
	if err != nil {
		t.Fatal(err)
	}
	e.Close()
	b.Close()
	if got := fetch(t, outputs[0][0], 3); fmt.Sprint(got) != "[2 4 6]" {
		t.Errorf("sum %v", got)
	}
	if pjrt.Live() == before {
		t.Error("the client went before its buffer")
	}
	outputs[0][0].Close()
	done.Close()
	if after := pjrt.Live(); after != before {
		t.Errorf("open objects %+v, before %+v", after, before)
	}
}

// TestDeviceOutOfMemory: what does not fit is an error of its own kind, whether Execute, the event or the output
// says so, and the client goes on.
func TestDeviceOutOfMemory(t *testing.T) {
	c := cpu(t, 1)
	balanced(t)
	e := compile(t, c, `module @huge {
  func.func @main(%x: tensor<f32>) -> tensor<5000000x5000000xf32> {
    %all = stablehlo.broadcast_in_dim %x, dims = [] : (tensor<f32>) -> tensor<5000000x5000000xf32>
    return %all : tensor<5000000x5000000xf32>
  }
}`, pjrt.CompileOptions{})
	outputs, done, err := e.Execute([][]*pjrt.Buffer{{send(t, e.Devices()[0], c, []float32{1})}})
	if err == nil {
		err = done.Await()
		outputs[0][0].Close()
	}
	wantError(t, err, fault.OutOfMemory, "running huge", "RESOURCE_EXHAUSTED")
	sum := compile(t, c, addProgram, pjrt.CompileOptions{})
	a := send(t, sum.Devices()[0], c, []float32{1, 2, 3}, 3)
	execute(t, sum, [][]*pjrt.Buffer{{a, a}})
}

// TestConcurrent: one program, run and read by several goroutines at once.
func TestConcurrent(t *testing.T) {
	c := cpu(t, 1)
	balanced(t)
	e := compile(t, c, addProgram, pjrt.CompileOptions{})
	shared := send(t, e.Devices()[0], c, []float32{1, 2, 3}, 3)
	var group sync.WaitGroup
	for n := range 4 {
		group.Go(func() {
			for range 100 {
				own, err := c.BufferFromHost(pjrt.Bytes(filled(3, float32(n))), pjrt.F32, []int{3}, e.Devices()[0])
				if err != nil {
					t.Error(err)
					return
				}
				outputs, done, err := e.Execute([][]*pjrt.Buffer{{shared, own}}, 1)
				if err != nil {
					t.Error(err)
					return
				}
				got := make([]float32, 3)
				if err := outputs[0][0].ToHost(pjrt.Bytes(got)); err != nil || got[2] != 3+float32(n) {
					t.Errorf("goroutine %d: %v, %v", n, got, err)
				}
				outputs[0][0].Close()
				done.Close()
			}
		})
	}
	group.Wait()
}
