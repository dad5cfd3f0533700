package device_test

import (
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
	values := []float32{1.5, float32(math.Copysign(0, -1)), math.SmallestNonzeroFloat32, math.MaxFloat32, float32(math.Inf(-1)), float32(math.NaN())}
	shared, err := d.Share([]*tensors.Tensor{tensors.FromFlatDataAndDimensions(values, 2, 3), tensors.FromScalar(float32(-2))})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range [][]float32{values, {-2}} {
		for on, got := range device.OnEach(shared[i]) {
			for j, v := range want {
				if bits := uint32(got[4*j]) | uint32(got[4*j+1])<<8 | uint32(got[4*j+2])<<16 | uint32(got[4*j+3])<<24; bits != math.Float32bits(v) {
					t.Errorf("array %d on device %d: element %d is %x, want %x", i, on, j, bits, math.Float32bits(v))
				}
			}
		}
	}
	device.CloseAll(shared)
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
