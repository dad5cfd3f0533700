// Axes: B batch (or the part of it that is computed at a time), S sequence, K masked slots, H hidden, F
// feed-forward, N heads, E embedding, V vocabulary.
package trainer

import (
	"elektron/dataset"
	"elektron/model"
)

// PlanMemory is what a step keeps on a device that does all of it, in bytes. Weights, moments, gradients and
// batch are exact; activations are estimated (see activations). What a compiler pads, fuses or orders otherwise
// is not in it.
type PlanMemory struct {
	Weights          int64 `json:"weights"`
	Moments          int64 `json:"moments"`
	Gradients        int64 `json:"gradients"` // twice with accumulation: the sum and a part's
	Batch            int64 `json:"batch"`
	Activations      int64 `json:"activations"`       // without rematerialisation
	ActivationsRemat int64 `json:"activations_remat"` // with it
	Total            int64 `json:"total"`
	TotalRemat       int64 `json:"total_remat"`
}

const floatBytes = 4

func planMemory(c *Config, m *model.Config, p *phase) PlanMemory {
	b := p.batch
	slots := dataset.MaskedSlots(b.SeqLen, b.MaskProb)
	weights := floatBytes * int64(m.ParameterCount())
	memory := PlanMemory{Weights: weights, Moments: 2 * weights, Gradients: weights,
		Batch: 4 * int64(b.BatchSize) * int64(2*b.SeqLen+1+3*slots)}
	if p.parts > 1 {
		memory.Gradients *= 2
	}
	operand := int64(computeType(c.dtypeOn(c.Run.Platform)).Size())
	rows := int64(b.BatchSize / p.parts)
	memory.Activations = rows * activations(m, int64(b.SeqLen), int64(slots), operand, false)
	memory.ActivationsRemat = rows * activations(m, int64(b.SeqLen), int64(slots), operand, true)
	fixed := memory.Weights + memory.Moments + memory.Gradients + memory.Batch
	memory.Total, memory.TotalRemat = fixed+memory.Activations, fixed+memory.ActivationsRemat
	return memory
}

// activations estimates the bytes that one example keeps from forward to backward pass: what products and
// nonlinear functions need to be differentiated, each once. Operands of products take the compute type, the
// rest float32; noise is computed again. With rematerialisation a layer keeps its input, and one layer at a
// time the rest.
func activations(m *model.Config, S, K, operand int64, remat bool) int64 {
	E, V := int64(m.EmbeddingSize), int64(m.VocabSize)
	kept := 2 * K * V * floatBytes // the vocabulary's logits and their gradient
	towers := []model.EncoderConfig{m.GeneratorEncoder()}
	if m.Objective != model.ObjectiveMLM {
		discriminator := m.DiscriminatorEncoder()
		towers = append(towers, discriminator)
		kept += S * int64(discriminator.HiddenSize) * (operand + floatBytes) // its head
	}
	largest := int64(0)
	for _, e := range towers {
		input, inside := layerActivations(e, S, operand)
		layers := int64(e.Layers * e.InnerGroupNum)
		kept += 2*S*E*floatBytes + layers*input // the sum of embeddings, its LayerNorm, the layers' inputs
		if remat {
			largest = max(largest, inside)
		} else {
			kept += layers * inside
		}
	}
	return kept + largest
}

// layerActivations are the bytes of a layer's input and of what lies inside it, counted for BERT's.
func layerActivations(e model.EncoderConfig, S, operand int64) (input, inside int64) {
	H, F, N := int64(e.HiddenSize), int64(e.IntermediateSize), int64(e.Heads)
	input = S * H * operand
	inside = (5*S*H + S*F + N*S*S) * operand // query, key, value, context, normalised; activated; probabilities
	inside += (2*S*H + S*F) * floatBytes     // both sums before LayerNorm; before the activation
	return input, inside
}
