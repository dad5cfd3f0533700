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
		if err := s.set(weightSlot, i, w.Initialize(seed, s.Model.InitializerRange), s.device.Put); err != nil {
			return err
		}
		for _, moment := range []int{firstSlot, secondSlot} {
			if err := s.set(moment, i, make([]float32, w.Size()), s.device.Put); err != nil {
				return err
			}
		}
	}
	return nil
}

// set copies an array of the state to the devices, by Put or Share.
func (s *Step) set(slot, i int, values []float32, put func(*tensors.Tensor, int) (device.Array, error)) error {
	w := s.weights[i]
	array, err := put(tensors.FromFlatDataAndDimensions(values, w.Shape...), s.split(slot, w))
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
// suffix. On several hosts all processes must call it where the optimizer's state is split, as it is put together on the
// devices, an array at a time; process 0 gets the tensors, the others nil.
func (s *Step) Export() ([]checkpoint.Tensor, error) {
	list := make([]checkpoint.Tensor, 0, len(s.state))
	for i, array := range s.state {
		slot, w := i/len(s.weights), s.weights[i%len(s.weights)]
		values, err := s.floats(array, s.split(slot, w))
		if err != nil {
			return nil, fmt.Errorf("trainer: copying %s from the device: %w", w.Name+slotSuffix[slot], err)
		}
		list = append(list, checkpoint.Tensor{Name: w.Name + slotSuffix[slot], DType: "float32", Shape: w.Shape, Data: encodeFloats(values)})
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
	find, put := finder(list), s.device.Put
	if s.device.Processes > 1 {
		put = s.device.Share
	}
	s.state = make([]device.Array, slots*len(s.weights))
	for slot := range slots {
		for i, w := range s.weights {
			values := make([]float32, w.Size()) // on a process that does not lead they do not count
			if s.device.Process == 0 {
				t, err := find(w.Name+slotSuffix[slot], w.Shape)
				if err != nil {
					return err
				}
				values = decodeFloats(t.Data)
			}
			if err := s.set(slot, i, values, put); err != nil {
				return err
			}
		}
	}
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
