package glue

import "slices"

// DefaultShapes is how many sequence lengths a task gets: each costs the compilation of a program.
const DefaultShapes = 3

// worthwhile is the share of the padded tokens that one more sequence length has to save.
const worthwhile = 0.03

// candidateLengths are the sequence lengths to choose from: steps of 16 up to 64, then of 32, in tokens. Shorter
// steps save little padding, and accelerators work on tiles of 8 and more rows anyway.
func candidateLengths(longest int) []int {
	lengths := []int{16}
	for last := 16; last < longest; {
		if last < 64 {
			last += 16
		} else {
			last += 32
		}
		lengths = append(lengths, last)
	}
	return lengths
}

// ChooseLengths chooses at most so many sequence lengths for some splits that padding each example to the next
// length takes the fewest tokens. The last length is at least that of the longest example, but not over maxLength,
// to which the examples were encoded. Fewer lengths are chosen where one more would hardly save anything.
func ChooseLengths(maxLength, most int, splits ...*Encoded) []int {
	longest := 1
	for _, e := range splits {
		for i := range e.Len() {
			longest = max(longest, e.Length(i))
		}
	}
	candidates := candidateLengths(longest)
	last := len(candidates) - 1
	candidates[last] = min(candidates[last], max(maxLength, longest))
	counts := make([]int, len(candidates)) // examples that need this length
	for _, e := range splits {
		for i := range e.Len() {
			place, _ := slices.BinarySearch(candidates, e.Length(i))
			counts[place]++
		}
	}
	best, lowest := []int(nil), 0
	for shapes := 1; shapes <= min(max(1, most), len(candidates)); shapes++ {
		chosen, tokens := cheapest(candidates, counts, shapes)
		if best == nil || float64(tokens) < (1-worthwhile)*float64(lowest) {
			best, lowest = chosen, tokens
		}
	}
	return best
}

// cheapest chooses exactly so many of the candidates, the last among them, with the fewest padded tokens: dynamic
// programming over the candidates up to which all examples have a length.
func cheapest(candidates, counts []int, shapes int) (chosen []int, tokens int) {
	n := len(candidates)
	cost := make([][]int, shapes) // [shape][candidate] tokens of all examples up to the candidate
	from := make([][]int, shapes) // the candidate before it in that choice
	for k := range cost {
		cost[k], from[k] = make([]int, n), make([]int, n)
		for j := range n {
			cost[k][j], from[k][j] = -1, -1
			between := counts[j]
			for i := j - 1; i >= -1; i-- {
				before := 0
				if i >= 0 && k > 0 {
					before = cost[k-1][i]
				}
				if (i < 0) == (k == 0) && before >= 0 {
					if total := before + between*candidates[j]; cost[k][j] < 0 || total < cost[k][j] {
						cost[k][j], from[k][j] = total, i
					}
				}
				if i >= 0 {
					between += counts[i]
				}
			}
		}
	}
	for k, j := shapes-1, n-1; k >= 0; k-- {
		chosen = append(chosen, candidates[j])
		j = from[k][j]
	}
	slices.Reverse(chosen)
	return chosen, cost[shapes-1][n-1]
}
