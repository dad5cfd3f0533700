package trainer

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"github.com/gomlx/gomlx/core/tensors"

	"elektron/internal/device"
	"elektron/internal/fault"
	"elektron/trainer/checkpoint"
	"elektron/trainer/optimizer"
)

// slotSuffix is what a checkpoint's tensor has behind a weight's name.
var slotSuffix = [optimizer.Slots]string{"", "#first_moment", "#second_moment"}

// Initialize sets fresh weights, drawn from the seed, and zero moments.
func (s *Step) Initialize(seed uint32) error {
	return s.fill(s.device.Put, func(slot optimizer.Slot, i int) ([]float32, error) {
		if slot == optimizer.Values {
			return s.weights[i].Initialize(seed, s.Model.InitializerRange), nil
		}
		return make([]float32, s.weights[i].Size()), nil
	})
}

// fill puts the state on the devices, by Put or Share: the numbers of each weight in each slot.
func (s *Step) fill(put func(*tensors.Tensor, int) (device.Array, error), numbers func(optimizer.Slot, int) ([]float32, error)) error {
	device.CloseAll(s.state)
	s.state = make([]device.Array, len(s.layout.Arrays))
	for i, a := range s.layout.Arrays {
		values, err := s.layout.Join(a, numbers)
		if err != nil {
			return err
		}
		if s.state[i], err = put(tensors.FromFlatDataAndDimensions(values, a.Shape...), s.split(a)); err != nil {
			return fmt.Errorf("trainer: copying %s to the device: %w", s.nameOf(a), err)
		}
	}
	return nil
}

// Export copies the state to the host, as a checkpoint's tensors: weights under their names, moments with a
// suffix. On several hosts all processes must call it where the optimizer's state is split, as it is put together on the
// devices, an array at a time; process 0 gets the tensors, the others nil.
func (s *Step) Export() ([]checkpoint.Tensor, error) {
	n := len(s.weights)
	list := make([]checkpoint.Tensor, int(optimizer.Slots)*n)
	for i, a := range s.layout.Arrays {
		values, err := s.floats(s.state[i], s.split(a))
		if err != nil {
			return nil, fmt.Errorf("trainer: copying %s from the device: %w", s.nameOf(a), err)
		}
		if values == nil {
			continue
		}
		for at, part := range s.layout.Cut(a, values) {
			w := s.weights[a.Of[at]]
			list[int(a.Slot)*n+a.Of[at]] = checkpoint.Tensor{Name: w.Name + slotSuffix[a.Slot], DType: "float32", Shape: w.Shape, Data: encodeFloats(part)}
		}
	}
	if s.device.Process > 0 {
		return nil, nil
	}
	return list, nil
}

// floats fetches an array of the state; processes that do not lead take part in putting it together, and get nil.
func (s *Step) floats(array device.Array, split int) ([]float32, error) {
	if s.device.Processes > 1 && split != device.Replicated {
		whole, err := s.device.Whole(array)
		if err != nil {
			return nil, err
		}
		defer whole.Close()
		array = whole
	}
	if s.device.Process > 0 {
		return nil, nil
	}
	return device.Floats(array)
}

// Import sets the state from a checkpoint's tensors. An error (fault.Data) names what is missing or of
// another shape. On several hosts all processes must call it, and it is process 0 whose tensors count.
func (s *Step) Import(list []checkpoint.Tensor) error {
	put := s.device.Put
	if s.device.Processes > 1 {
		put = s.device.Share
	}
	find := finder(list)
	return s.fill(put, func(slot optimizer.Slot, i int) ([]float32, error) {
		w := s.weights[i]
		if s.device.Process > 0 {
			return make([]float32, w.Size()), nil
		}
		t, err := find(w.Name+slotSuffix[slot], w.Shape)
		return decodeFloats(t.Data), err
	})
}

// finder finds a checkpoint's tensors by name.
func finder(list []checkpoint.Tensor) func(name string, shape []int) (checkpoint.Tensor, error) {
	byName := map[string]checkpoint.Tensor{}
	for _, t := range list {
		byName[t.Name] = t
	}
	return func(name string, shape []int) (checkpoint.Tensor, error) {
		t, ok := byName[name]
		if !ok {
			return t, fault.New(fault.Data, "trainer: the checkpoint has no tensor %s; it belongs to another model", name)
		}
		if !slices.Equal(t.Shape, shape) || t.DType != "float32" {
			return t, fault.New(fault.Data, "trainer: tensor %s is %s%v in the checkpoint and float32%v in the model", name, t.DType, t.Shape, shape)
		}
		return t, nil
	}
}

func encodeFloats(values []float32) []byte {
	data := make([]byte, 4*len(values))
	for i, v := range values {
		binary.LittleEndian.PutUint32(data[4*i:], math.Float32bits(v))
	}
	return data
}

func decodeFloats(data []byte) []float32 {
	values := make([]float32, len(data)/4)
	for i := range values {
		values[i] = math.Float32frombits(binary.LittleEndian.Uint32(data[4*i:]))
	}
	return values
}
