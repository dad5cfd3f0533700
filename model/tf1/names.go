package tf1

import (
	"regexp"
	"strings"
)

// The official code names its variables by scopes: electra/ holds the discriminator's encoder and the
// embeddings (of both, unless they are untied), generator/ the generator's encoder, discriminator_predictions/
// and generator_predictions/ the heads. Released checkpoints hold these and no more; those of a run also have
// global_step and, below each variable, the moments of Adam.
const (
	stepName     = "global_step"
	firstMoment  = "/adam_m"
	secondMoment = "/adam_v"

	discriminatorScope = "electra/"
	generatorScope     = "generator/"
	discriminatorHead  = "discriminator_predictions/"
	generatorHead      = "generator_predictions/"
)

// scopes turns the beginning of a weight's name into scopes; the rest of the name follows.
var scopes = []struct{ weight, variable string }{
	{"discriminator.electra.", discriminatorScope},
	{"generator.electra.", generatorScope},
	{"discriminator.discriminator_predictions.dense_prediction.", discriminatorHead + "dense_1/"},
	{"discriminator.discriminator_predictions.", discriminatorHead},
	{"generator.generator_predictions.", generatorHead},
	{"generator.generator_lm_head.bias", generatorHead + "output_bias"},
}

var layerNumber = regexp.MustCompile(`\blayer\.(\d+)\.`)

// variableName is the variable that holds a weight of elektron, and whether it lies transposed there: dense
// layers multiply from the left, with a kernel [in, out].
func variableName(weight string) (name string, transposed bool) {
	for _, scope := range scopes {
		if rest, ok := strings.CutPrefix(weight, scope.weight); ok {
			name = scope.variable + layerNumber.ReplaceAllString(rest, "layer_$1.")
			break
		}
	}
	name = strings.ReplaceAll(name, ".", "/")
	owner, isWeight := strings.CutSuffix(name, "/weight")
	switch {
	case isWeight && strings.HasSuffix(owner, "_embeddings"):
		return owner, false
	case isWeight && strings.HasSuffix(owner, "/LayerNorm"):
		return owner + "/gamma", false
	case isWeight:
		return owner + "/kernel", true
	case strings.HasSuffix(name, "/LayerNorm/bias"):
		return strings.TrimSuffix(name, "bias") + "beta", false
	}
	return name, false
}
