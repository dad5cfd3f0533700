// Axes: B batch, S sequence, H hidden.
package model

import (
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
)

// Names of the head that marks answers. The first one is Hugging Face's; it has no head like the others.
const (
	nameSpan           = "qa_outputs"
	nameNoAnswerHidden = "no_answer.dense"
	nameNoAnswer       = "no_answer.out_proj"
)

// noAnswerWidth is that of the published head's hidden layer.
const noAnswerWidth = 512

// SpanWeights lists the weights of the encoder with the head of Spans, drawn by Glorot's uniform.
func (c *Config) SpanWeights(noAnswer bool) []Weight {
	list := append(c.encoderWeights(), linearWeights(nameSpan, 2, c.HiddenSize, InitGlorotUniform)...)
	if noAnswer {
		list = append(list, linearWeights(nameNoAnswerHidden, noAnswerWidth, 2*c.HiddenSize, InitGlorotUniform)...)
		list = append(list, linearWeights(nameNoAnswer, 1, noAnswerWidth, InitGlorotUniform)...)
	}
	return list
}

// Spans is where the answer to a question stands, float32.
type Spans struct {
	Start, End *Node // [B,S] log-probability that the answer's first and last token stand there
	NoAnswer   *Node // [B] log-odds that there is no answer; nil without that part of the head
}

// Spans reads [CLS] question [SEP] context [SEP] with segment 1 from the context on. Begin and end are one linear layer's
// outputs (Devlin et al., "BERT", 2018, section 4.2), normalised over the context and [CLS], which stands for none; other
// positions have a log-probability near -1e9. Whether there is an answer is told as in ELECTRA's published code from
// [CLS] and the mean of the hidden states weighted by where the answer may begin, through a hidden layer of 512. That
// code lets the end depend on the begin, too; here it does not.
func (c *Config) Spans(ctx *Context, in Text, noAnswer bool) Spans {
	hidden := c.Hidden(ctx, in)
	B, S := in.IDs.Shape().Dimensions[0], in.IDs.Shape().Dimensions[1]
	both := ConvertDType(ctx.linear(hidden, nameSpan), dtypes.Float32) // [B,S,2]
	allowed := contextMask(in)
	spans := Spans{}
	for place, to := range []**Node{&spans.Start, &spans.End} {
		logits := Reshape(SliceAxis(both, 2, AxisElem(place)), B, S)
		logits = Where(allowed, logits, MulScalar(OnesLike(logits), -1e9))
		*to = Sub(logits, InsertAxes(logSumExp(logits), -1))
	}
	if noAnswer {
		first := Reshape(SliceAxis(hidden, 1, AxisElem(0)), B, c.HiddenSize)
		begin := ReduceSum(Mul(InsertAxes(Exp(spans.Start), -1), ConvertDType(hidden, dtypes.Float32)), 1) // [B,H]
		both := Concatenate([]*Node{ConvertDType(first, dtypes.Float32), begin}, -1)
		logits := ctx.linear(gelu(ctx.linear(both, nameNoAnswerHidden)), nameNoAnswer)
		spans.NoAnswer = Reshape(ConvertDType(logits, dtypes.Float32), B)
	}
	return spans
}

// contextMask is true at [CLS] and at the tokens of segment 1 but its last, [SEP]: [B,S].
func contextMask(in Text) *Node {
	positions := Iota(in.IDs.Graph(), shapes.Make(dtypes.Int32, 1, in.IDs.Shape().Dimensions[1]), 1)
	inside := LessThan(positions, InsertAxes(SubScalar(in.Lengths, 1), -1))
	second := Equal(in.SegmentIDs, OnesLike(in.SegmentIDs))
	return LogicalOr(LogicalAnd(inside, second), Equal(positions, ZerosLike(positions)))
}

// SpanLoss is the mean negative log-likelihood of the first and the last token of answers, [B] int32 each and 0, [CLS], for
// none; with a head for that, plus the cross-entropy of whether there is one times a weight: [B].
func SpanLoss(s Spans, starts, ends *Node, noAnswerWeight float64) *Node {
	pick := func(logProbabilities, places *Node) *Node {
		return ReduceSum(Mul(logProbabilities, OneHot(places, logProbabilities.Shape().Dimensions[1], dtypes.Float32)), -1)
	}
	loss := MulScalar(Add(pick(s.Start, starts), pick(s.End, ends)), -0.5)
	if s.NoAnswer == nil {
		return loss
	}
	none := ConvertDType(Equal(starts, ZerosLike(starts)), dtypes.Float32)
	return Add(loss, MulScalar(binaryCrossEntropy(s.NoAnswer, none), noAnswerWeight))
}
