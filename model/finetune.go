// Axes: B batch, S sequence, H hidden, C outputs.
package model

import (
	"slices"
	"strings"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"

	"elektron/internal/fault"
)

// nameClassifier is the head of fine-tuning: no name of Hugging Face's, whose head has two layers.
const nameClassifier = "classifier"

// Alone is what fine-tuning starts from: the encoder that would be the discriminator with its embeddings, without
// generator and heads, whatever they share. Tables with a residual become one, their sum, which is what the encoder
// reads. The weights are those of ClassifierWeights without the head. A weight that is missing or has another size is
// an error of kind fault.Data.
func (c *Config) Alone(weights map[string][]float32) (Config, map[string][]float32, error) {
	alone := *c
	alone.Objective, alone.Sharing, alone.Generator = ObjectiveELECTRA, SharingEmbeddings, Generator{Size: 1}
	t := c.discriminator()
	found := map[string][]float32{}
	for _, w := range alone.encoderWeights() {
		values := weights[w.Name]
		table, isTable := strings.CutSuffix(strings.TrimPrefix(w.Name, discriminatorPrefix), tableSuffix)
		if t.residual != "" && isTable && slices.Contains([]string{nameWord, namePosition, nameTokenType}, table) {
			values = sumOf(weights[t.tables+table+tableSuffix], weights[t.residual+table+residualSuffix])
		}
		if len(values) != w.Size() {
			return Config{}, nil, fault.New(fault.Data, "model: weight %s has %d numbers; the encoder needs %v", w.Name, len(values), w.Shape)
		}
		found[w.Name] = values
	}
	return alone, found, nil
}

// sumOf adds two arrays; it is nil where they differ in length.
func sumOf(a, b []float32) []float32 {
	if len(a) != len(b) {
		return nil
	}
	sum := make([]float32, len(a))
	for i := range a {
		sum[i] = a[i] + b[i]
	}
	return sum
}

// encoderWeights lists the embeddings and layers of the discriminator.
func (c *Config) encoderWeights() []Weight {
	t := c.discriminator()
	return append(embeddingWeights(c, []tower{t}), encoders[t.Kind].weights(t.layers, t.EncoderConfig)...)
}

// ClassifierWeights lists the weights of the encoder with a head of some outputs, which is drawn as the official
// code draws it: Glorot's uniform.
func (c *Config) ClassifierWeights(outputs int) []Weight {
	return append(c.encoderWeights(), linearWeights(nameClassifier, outputs, c.HiddenSize, InitGlorotUniform)...)
}

// Classify is the official head of fine-tuning: dropout and one linear layer on the last hidden state of [CLS],
// without a pooler: [B,C] float32. With a key in the context there is dropout.
func (c *Config) Classify(ctx *Context, in Text) *Node {
	hidden := SliceAxis(c.Hidden(ctx, in), 1, AxisElem(0)) // [B,1,H]
	first := Reshape(hidden, hidden.Shape().Dimensions[0], c.HiddenSize)
	return ConvertDType(ctx.linear(ctx.dropout(first, c.HiddenDropout, nameClassifier), nameClassifier), dtypes.Float32)
}

// CrossEntropy is the negative log-likelihood of labels [B] int32 under logits [B,C]: [B].
func CrossEntropy(logits, labels *Node) *Node {
	right := OneHot(labels, logits.Shape().Dimensions[1], logits.DType())
	return Sub(logSumExp(logits), ReduceSum(Mul(logits, right), -1))
}

// SquaredError is that of the only output [B,1] against targets [B]: [B].
func SquaredError(outputs, targets *Node) *Node {
	return Square(Sub(Squeeze(outputs, -1), targets))
}
