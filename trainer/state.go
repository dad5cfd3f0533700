package trainer

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/tensors"

	"elektron/internal/device"
	"elektron/internal/fault"
	"elektron/trainer/checkpoint"
)

// Slots of the state, in the order in which they lie there.
const (
	weightSlot = iota
	firstSlot
	secondSlot
	slots
)

var slotSuffix = [slots]string{"", "#first_moment", "#second_moment"}

// Initialize sets fresh weights, drawn from the seed, and zero moments.
func (s *Step) Initialize(seed uint32) error {
	s.state = make([]device.Array, slots*len(s.weights))
	for i, w := range s.weights {
		if err := s.set(weightSlot, i, w.Initialize(seed, s.Model.InitializerRange)); err != nil {
			return err
		}
		for _, moment := range []int{firstSlot, secondSlot} {
			if err := s.set(moment, i, make([]float32, w.Size())); err != nil {
				return err
			}
		}
	}
	return nil
}

// set copies an array of the state to the devices.
func (s *Step) set(slot, i int, values []float32) error {
	w := s.weights[i]
	array, err := s.device.Put(tensors.FromFlatDataAndDimensions(values, w.Shape...), s.split(slot, w))
	if err != nil {
		return fmt.Errorf("trainer: copying %s to the device: %w", w.Name+slotSuffix[slot], err)
	}
	at := slot*len(s.weights) + i
	if s.state[at] != nil {
		s.state[at].Close()
	}
	s.state[at] = array
	return nil
}

// Export copies the state to the host, as a checkpoint's tensors: weights under their names, moments with a
// suffix.
func (s *Step) Export() ([]checkpoint.Tensor, error) {
	list := make([]checkpoint.Tensor, 0, len(s.state))
	for i, array := range s.state {
		w := s.weights[i%len(s.weights)]
		values, err := device.Floats(array)
		if err != nil {
			return nil, fmt.Errorf("trainer: copying %s from the device: %w", w.Name, err)
		}
		list = append(list, checkpoint.Tensor{Name: w.Name + slotSuffix[i/len(s.weights)], DType: "float32",
			Shape: w.Shape, Data: encodeFloats(values)})
	}
	return list, nil
}

// Import sets the state from a checkpoint's tensors. An error (fault.Data) names what is missing or of
// another shape. On several hosts all processes must call it, and it is process 0 whose tensors count.
func (s *Step) Import(list []checkpoint.Tensor) error {
	if s.device.Processes > 1 {
		return s.share(list)
	}
	find := finder(list)
	s.state = make([]device.Array, slots*len(s.weights))
	for slot := range slots {
		for i, w := range s.weights {
			t, err := find(w.Name+slotSuffix[slot], w.Shape)
			if err != nil {
				return err
			}
			if err := s.set(slot, i, decodeFloats(t.Data)); err != nil {
				return err
			}
		}
	}
	return nil
}

// share sets the state of all processes from process 0's tensors, a slot at a time.
func (s *Step) share(list []checkpoint.Tensor) error {
	find := finder(list)
	var state []device.Array
	for slot := range slots {
		values := make([]*tensors.Tensor, len(s.weights))
		for i, w := range s.weights {
			if s.device.Process > 0 { // what it holds does not count
				values[i] = tensors.FromShape(shapes.Make(dtypes.Float32, w.Shape...))
				continue
			}
			t, err := find(w.Name+slotSuffix[slot], w.Shape)
			if err != nil {
				return err
			}
			values[i] = tensors.FromFlatDataAndDimensions(decodeFloats(t.Data), w.Shape...)
		}
		arrays, err := s.device.Share(values)
		if err != nil {
			return fmt.Errorf("trainer: sharing the state with all hosts: %w", err)
		}
		state = append(state, arrays...)
	}
	s.state = state
	return nil
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
