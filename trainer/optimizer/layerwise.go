package optimizer

import (
	"math"
	"regexp"
	"strconv"
	"strings"
)

var layerNumber = regexp.MustCompile(`layer[._](\d+)`)

// LayerwiseRate is the factor of the learning rate of a parameter in fine-tuning with layer-wise decay
// (ELECTRA, appendix B): decay to the power of the layers above. Embeddings lie below layer 0, heads above
// the last. official reproduces the published code, in which everything below the head lies one deeper.
func LayerwiseRate(name string, layers int, decay float64, official bool) float64 {
	head := layers + 1
	depth := head
	if m := layerNumber.FindStringSubmatch(name); m != nil {
		i, _ := strconv.Atoi(m[1])
		depth = i + 1
	} else if strings.Contains(name, "embeddings") {
		depth = 0
	}
	if official && depth < head {
		depth--
	}
	return math.Pow(decay, float64(head-depth))
}
