package optimizer

import (
	"math"
	"regexp"
	"strconv"
	"strings"
)

var (
	layerNumber = regexp.MustCompile(`layer[._](\d+)`)             // BERT, modern; layer_0 is TF's way
	groupNumber = regexp.MustCompile(`albert_layer_groups\.(\d+)`) // ALBERT
)

// LayerwiseRate is the factor of the learning rate of a parameter in fine-tuning with layer-wise decay
// (ELECTRA, appendix B): decay to the power of the layers above. Embeddings, and their projection, lie below
// layer 0; what an encoder ends with (final_norm) belongs to its last layer, as BERT's last LayerNorm does;
// heads lie above that. official reproduces the published code, in which everything below the head lies one
// deeper.
//
// groups is the number of ALBERT's layer groups, of no account elsewhere. A group's weights are used at
// several depths and have one rate, that of the topmost: decay keeps low layers close to what they were, and
// these are high layers as well. With one group, as is usual, the encoder is trained at nearly the head's
// rate; by its lowest use it would hardly be trained at all.
func LayerwiseRate(name string, layers, groups int, decay float64, official bool) float64 {
	head := layers + 1
	depth := depthOf(name, layers, groups)
	if official && depth < head {
		depth--
	}
	return math.Pow(decay, float64(head-depth))
}

// depthOf is 0 for embeddings, i+1 for layer i and layers+1 for heads.
func depthOf(name string, layers, groups int) int {
	if i, ok := numberIn(name, layerNumber); ok {
		return i + 1
	}
	if group, ok := numberIn(name, groupNumber); ok {
		return (group + 1) * layers / max(1, groups) // layer i has group i·groups/layers
	}
	switch {
	case strings.Contains(name, "embedding"): // embeddings, embeddings_project, embedding_hidden_mapping_in
		return 0
	case strings.Contains(name, "encoder."):
		return layers
	}
	return layers + 1
}

func numberIn(name string, pattern *regexp.Regexp) (int, bool) {
	m := pattern.FindStringSubmatch(name)
	if m == nil {
		return 0, false
	}
	n, err := strconv.Atoi(m[1])
	return n, err == nil
}
