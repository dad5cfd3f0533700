package trainer

import (
	"encoding/binary"
	"math"
	"slices"

	"github.com/gomlx/gomlx/core/tensors"

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
func (s *Step) Initialize(seed uint32) {
	s.state = make([]*tensors.Tensor, slots*len(s.weights))
	for i, w := range s.weights {
		s.set(weightSlot, i, w.Initialize(seed, s.Model.InitializerRange))
		s.set(firstSlot, i, make([]float32, w.Size()))
		s.set(secondSlot, i, make([]float32, w.Size()))
	}
}

func (s *Step) set(slot, i int, values []float32) {
	s.state[slot*len(s.weights)+i] = tensors.FromFlatDataAndDimensions(values, s.weights[i].Shape...)
}

// Export copies the state to the host, as a checkpoint's tensors: weights under their names, moments with a
// suffix.
func (s *Step) Export() ([]checkpoint.Tensor, error) {
	list := make([]checkpoint.Tensor, 0, len(s.state))
	for i, t := range s.state {
		w := s.weights[i%len(s.weights)]
		values, err := tensors.CopyFlatData[float32](t)
		if err != nil {
			return nil, fault.Wrap(fault.Device, err, "trainer: copying %s from the device", w.Name)
		}
		list = append(list, checkpoint.Tensor{Name: w.Name + slotSuffix[i/len(s.weights)], DType: "float32",
			Shape: w.Shape, Data: encodeFloats(values)})
	}
	return list, nil
}

// Import sets the state from a checkpoint's tensors. An error (fault.Data) names what is missing or of
// another shape.
func (s *Step) Import(list []checkpoint.Tensor) error {
	byName := map[string]checkpoint.Tensor{}
	for _, t := range list {
		byName[t.Name] = t
	}
	s.state = make([]*tensors.Tensor, slots*len(s.weights))
	for slot := range slots {
		for i, w := range s.weights {
			name := w.Name + slotSuffix[slot]
			t, ok := byName[name]
			if !ok {
				return fault.New(fault.Data, "trainer: the checkpoint has no tensor %s; it belongs to another model", name)
			}
			if !slices.Equal(t.Shape, w.Shape) || t.DType != "float32" {
				return fault.New(fault.Data, "trainer: tensor %s is %s%v in the checkpoint and float32%v in the model", name, t.DType, t.Shape, w.Shape)
			}
			s.set(slot, i, decodeFloats(t.Data))
		}
	}
	return nil
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
