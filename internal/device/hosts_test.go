package device_test

import (
	"bytes"
	"math"
	"slices"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"
	"github.com/janpfeifer/must"

	"elektron/internal/device"
)

// TestSharedByDevices: what goes through the devices of all processes, on four that the processor poses as.
func TestSharedByDevices(t *testing.T) {
	d := several(t, 4)
	said := []int32{7, -3, math.MaxInt32}
	answers := must.M1(must.M1(d.Survey(said)).Answers())
	if len(answers) != 4 {
		t.Fatalf("%d answers of 4 devices", len(answers))
	}
	for _, a := range answers {
		if !slices.Equal(a, said) {
			t.Errorf("answered %v, want %v", a, said)
		}
	}
	values := []float32{1.5, float32(math.Copysign(0, -1)), math.SmallestNonzeroFloat32, math.MaxFloat32, float32(math.Inf(-1)), float32(math.NaN()), 0, -2}
	shared := must.M1(d.Share(tensors.FromFlatDataAndDimensions(values, 2, 4), device.Replicated))
	sameBits(t, "all of it", values, shared)
	split := must.M1(d.Share(tensors.FromFlatDataAndDimensions(values, 2, 4), 1))
	sameBits(t, "split", values, split)
	for on, part := range device.OnEach(split) {
		if len(part) != 4*2 {
			t.Errorf("device %d has %d bytes of a quarter of 8 numbers", on, len(part))
		}
	}
	whole := must.M1(d.Whole(split))
	sameBits(t, "put together", values, whole)
	for on, all := range device.OnEach(whole) {
		if len(all) != 4*8 || !bytes.Equal(all, device.OnEach(shared)[0]) {
			t.Errorf("device %d has %x of what was put together", on, all)
		}
	}
	device.CloseAll([]device.Array{shared, split, whole})
}

// sameBits compares an array with what it should hold, bit by bit.
func sameBits(t *testing.T, what string, want []float32, a device.Array) {
	t.Helper()
	for i, v := range must.M1(device.Floats(a)) {
		if math.Float32bits(v) != math.Float32bits(want[i]) {
			t.Errorf("%s: element %d is %x, want %x", what, i, math.Float32bits(v), math.Float32bits(want[i]))
		}
	}
}

// TestFeeding: the parts that the processes of several hosts send are together those of one process. The devices of the
// others are not there, so each process is played by an engine whose own devices are one of the four.
func TestFeeding(t *testing.T) {
	d := several(t, 4)
	numbers := make([]float32, 8*3)
	for i := range numbers {
		numbers[i] = float32(i)
	}
	for axis, dims := range [][]int{{8, 3}, {3, 8}} {
		for _, processes := range []int{1, 2, 4} {
			var parts []device.Array
			for process := range processes {
				a := must.M1(d.Played(process, processes).Put(tensors.FromFlatDataAndDimensions(numbers, dims...), axis))
				if _, err := a.Fetch(); (err == nil) != (processes == 1) {
					t.Errorf("%d processes: fetching what is on several hosts: %v", processes, err)
				}
				parts = append(parts, a)
			}
			whole := device.Joined(parts)
			if got := must.M1(device.Floats(whole)); !slices.Equal(got, numbers) {
				t.Errorf("%d processes, axis %d: %v", processes, axis, got)
			}
			whole.Close()
		}
	}
}
