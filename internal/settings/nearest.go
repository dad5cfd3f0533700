package settings

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Nearest returns the candidate that name was probably meant to be, or "" if none is near. A candidate is
// near if at most a third of its letters are wrong (missing, extra, other, or swapped with a neighbour;
// case does not count), or if name is one of its parts: "lr" for "optim.lr", "batch" for "batch-size".
// Among equals the first in alphabetical order is taken.
func Nearest(name string, candidates []string) string {
	name = strings.ToLower(name)
	sorted := slices.Sorted(slices.Values(candidates))
	best, bestDistance := "", -1
	for _, candidate := range sorted {
		longest := max(utf8.RuneCountInString(name), utf8.RuneCountInString(candidate))
		shortest := min(utf8.RuneCountInString(name), utf8.RuneCountInString(candidate))
		limit := (longest + 1) / 3
		if longest-shortest > limit {
			continue // also keeps a hostile, very long name cheap
		}
		if d := distance(name, strings.ToLower(candidate)); d <= limit && (bestDistance < 0 || d < bestDistance) {
			best, bestDistance = candidate, d
		}
	}
	if bestDistance >= 0 {
		return best
	}
	return containing(name, sorted)
}

// containing returns the shortest candidate of which name is a part.
func containing(name string, candidates []string) string {
	best := ""
	for _, candidate := range candidates {
		parts := strings.FieldsFunc(strings.ToLower(candidate), func(r rune) bool { return strings.ContainsRune("._- ", r) })
		if slices.Contains(parts, name) && (best == "" || len(candidate) < len(best)) {
			best = candidate
		}
	}
	return best
}

// DidYouMean makes the end of a message from what Nearest found: "; did you mean X?", or nothing.
func DidYouMean(hint string) string {
	if hint == "" {
		return ""
	}
	return "; did you mean " + hint + "?"
}

// distance is the Damerau-Levenshtein distance in its restricted form (optimal string alignment): the
// fewest insertions, deletions, replacements and swaps of neighbours that turn a into b, where no letter
// is changed twice.
func distance(a, b string) int {
	x, y := []rune(a), []rune(b)
	before, previous, row := make([]int, len(y)+1), make([]int, len(y)+1), make([]int, len(y)+1)
	for j := range row {
		row[j] = j
	}
	for i := range x {
		before, previous, row = previous, row, before
		row[0] = i + 1
		for j := range y {
			cost := 1
			if x[i] == y[j] {
				cost = 0
			}
			row[j+1] = min(previous[j+1]+1, row[j]+1, previous[j]+cost)
			if i > 0 && j > 0 && x[i] == y[j-1] && x[i-1] == y[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
	}
	return row[len(y)]
}

// clip keeps hostile text from flooding a message or steering the terminal.
func clip(text string) string {
	const most = 120
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	return printable(text)
}

// printable replaces what is not printable, line breaks too.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, text)
}

// cutLast splits a dotted name before its last part.
func cutLast(name string) (section, last string, found bool) {
	i := strings.LastIndexByte(name, '.')
	if i < 0 {
		return "", name, false
	}
	return name[:i], name[i+1:], true
}
