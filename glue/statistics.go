package glue

import (
	"cmp"
	"math"
	"slices"
)

// Run is one fine-tuning of a model on a task, with one seed.
type Run struct {
	Task         string            `json:"task"`
	Seed         int64             `json:"seed"`
	LearningRate float64           `json:"learning_rate,omitempty"` // the highest
	Epochs       float64           `json:"epochs,omitempty"`
	Steps        int               `json:"steps,omitempty"`
	Chosen       int               `json:"chosen,omitempty"` // steps after which the weights were taken
	Seconds      float64           `json:"seconds,omitempty"`
	TokensPerS   float64           `json:"tokens_per_s,omitempty"` // tokens but padding that steps took a second, without compilation
	Dev          map[string]Scores `json:"dev"`                    // by dev split, of the weights that were taken
	Last         Scores            `json:"last,omitempty"`         // on the first dev split, of the last weights
	Degenerate   bool              `json:"degenerate"`             // the model puts out the same for all dev examples
	Failure      string            `json:"failure,omitempty"`      // why there are no scores
	Loss         []Point           `json:"loss,omitempty"`         // training loss
	Curve        []Point           `json:"curve,omitempty"`        // the task's main metric on its first dev split
}

// Point is a value of a learning curve.
type Point struct {
	Step  int     `json:"step"`
	Value float64 `json:"value"`
}

// Statistics are those of one metric on one dev split over runs. Degenerate runs count like others; runs that failed
// have no score, and are only counted as such.
type Statistics struct {
	Count         int     `json:"count"` // runs with a score
	Median        float64 `json:"median"`
	Mean          float64 `json:"mean"`
	SD            float64 `json:"sd"`             // standard deviation of a run, from n-1; 0 for one run
	StandardError float64 `json:"standard_error"` // of the mean: SD / sqrt(n); 0 for one run
	Best          float64 `json:"best"`
	BestSeed      int64   `json:"best_seed"`
	Degenerate    int     `json:"degenerate"` // of the runs with a score
	Failed        int     `json:"failed"`     // runs without one
}

// Summarize gives the statistics of runs of one task.
func Summarize(runs []Run, split string, m Metric) Statistics {
	var s Statistics
	var scores []float64
	for _, r := range runs {
		score, ok := r.Dev[split][m]
		if !ok {
			s.Failed++
			continue
		}
		if r.Degenerate {
			s.Degenerate++
		}
		if len(scores) == 0 || score > s.Best {
			s.Best, s.BestSeed = score, r.Seed
		}
		scores = append(scores, score)
	}
	if s.Count = len(scores); s.Count == 0 {
		return s
	}
	s.Mean = mean(scores)
	square := 0.0
	for _, x := range scores {
		square += (x - s.Mean) * (x - s.Mean)
	}
	if s.Count > 1 {
		s.SD = math.Sqrt(square / float64(s.Count-1))
		s.StandardError = s.SD / math.Sqrt(float64(s.Count))
	}
	slices.Sort(scores)
	s.Median = (scores[(s.Count-1)/2] + scores[s.Count/2]) / 2
	return s
}

// BestRuns gives the best k runs of a task by its main metric on a dev split, the best first; of equals the one that
// comes first. Runs without that score are never among them.
func BestRuns(runs []Run, split string, m Metric, k int) []Run {
	scored := slices.DeleteFunc(slices.Clone(runs), func(r Run) bool {
		_, ok := r.Dev[split][m]
		return !ok
	})
	slices.SortStableFunc(scored, func(a, b Run) int { return cmp.Compare(b.Dev[split][m], a.Dev[split][m]) })
	return scored[:min(max(0, k), len(scored))]
}

// MainSplit is the dev split by which runs of the task are compared: the first one that any of them was measured on;
// "" if there is none.
func MainSplit(t *Task, runs []Run) string {
	for _, split := range t.SplitsOf(Dev) {
		if slices.ContainsFunc(runs, func(r Run) bool { return len(r.Dev[split.Name]) > 0 }) {
			return split.Name
		}
	}
	return ""
}
