package hf

import "strings"

// side is one of the two models of a pair, by the prefix of its weights' names.
type side string

const (
	discriminator side = "discriminator."
	generator     side = "generator."
)

// How names go on behind the side.
const (
	encoderPrefix  = "electra."
	embeddings     = "electra.embeddings."
	tableSuffix    = ".weight"
	residualSuffix = ".residual" // what gradient-disentangled sharing adds to the generator's table

	discriminatorHead = "discriminator_predictions.dense.weight"
	generatorHead     = "generator_predictions.dense.weight"
)

// albertHeads are the names of the generator's head in AlbertForMaskedLM. It is the same head.
var albertHeads = strings.NewReplacer(
	"generator_predictions.", "predictions.",
	"generator_lm_head.", "predictions.",
)

// tensorNames lists the names that a weight may have in a folder of one side, given its name behind the
// side's prefix. The first is the one to write; the second is that of a folder that holds the bare encoder.
func tensorNames(modelType, name string) []string {
	encoder, isEncoder := strings.CutPrefix(name, encoderPrefix)
	switch {
	case isEncoder:
		return []string{modelType + "." + encoder, encoder}
	case modelType == "albert":
		return []string{albertHeads.Replace(name)}
	}
	return []string{name}
}

// split cuts a weight's name into its side and the rest.
func split(weight string) (side, string) {
	for _, s := range []side{discriminator, generator} {
		if rest, ok := strings.CutPrefix(weight, string(s)); ok {
			return s, rest
		}
	}
	return discriminator, weight
}
