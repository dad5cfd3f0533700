package hf

import "strings"

// side is one of the two models of a pair, by the prefix of its weights' names.
type side string

const (
	discriminator side = "discriminator."
	generator     side = "generator."
)

// embeddings is how the names of shared weights go on behind the side.
const embeddings = "electra.embeddings."

// albertHeads are the names of the generator's head in AlbertForMaskedLM. It is the same head.
var albertHeads = strings.NewReplacer(
	"generator_predictions.", "predictions.",
	"generator_lm_head.", "predictions.",
)

// tensorNames lists the names that a weight may have in a folder of one side, given its name behind the
// side's prefix. The first is the one to write; the second is that of a folder that holds the bare encoder.
func tensorNames(modelType, name string) []string {
	encoder, isEncoder := strings.CutPrefix(name, "electra.")
	switch {
	case isEncoder:
		return []string{modelType + "." + encoder, encoder}
	case modelType == "albert":
		return []string{albertHeads.Replace(name)}
	}
	return []string{name}
}
