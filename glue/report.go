package glue

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Markdown is results.md: the dev table beside published rows, then every metric, every run, the submission and
// the notes. Scores are in percent.
func (r *Results) Markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# GLUE: %s\n\n", escaped(r.Model))
	r.writeComparison(&b)
	r.writeStatistics(&b)
	r.writeSearch(&b)
	r.writeRuns(&b)
	if r.Submission != nil {
		fmt.Fprintf(&b, "## Test predictions\n\n%s\n", bullets(r.Submission.Summary()))
	}
	var notes []string
	for _, t := range r.Tasks {
		notes = append(notes, t.Notes...)
	}
	if len(notes) > 0 {
		fmt.Fprintf(&b, "## Notes\n\n%s\n", bullets(notes))
	}
	return b.String()
}

// compared is a column of the comparison: a task of published tables that was run.
type compared struct {
	title      string
	start      string // task from whose model runs started
	searched   bool   // rate and epochs by a grid search
	place      int    // among comparedTasks
	metric     Metric
	split      string
	statistics Statistics
	last       Statistics // of the last weights
	ensemble   *Ensemble
}

// comparedColumns are the tasks that published tables have and this run too.
func (r *Results) comparedColumns() []compared {
	var columns []compared
	for place, c := range comparedTasks {
		for _, t := range r.Tasks {
			split := Split{}
			if task, err := FindTask(t.Task); err == nil {
				split = task.SplitsOf(Dev)[0]
			}
			s, ok := t.Statistics[split.Name][c.metric]
			if t.Task == c.task && ok && s.Count > 0 {
				columns = append(columns, compared{c.title, t.Start, t.Search != nil, place, c.metric, split.Name, s, Summarize(t.lastRuns(), split.Name, c.metric), t.Ensemble})
			}
		}
	}
	return columns
}

// lastRuns are the runs as they would be had their last weights been taken.
func (t *TaskResult) lastRuns() []Run {
	runs := slices.Clone(t.Runs)
	for i := range runs {
		runs[i].Dev = map[string]Scores{t.Split: runs[i].Last}
	}
	return runs
}

// writeComparison writes the dev table. Averages are those of the columns that are there, in every row.
func (r *Results) writeComparison(b *strings.Builder) {
	columns := r.comparedColumns()
	if len(columns) == 0 {
		return
	}
	b.WriteString("## Dev sets, beside published results\n\n")
	head := []string{"Model"}
	counts := []int{}
	for _, c := range columns {
		from := ""
		if c.start != "" {
			from = "; from " + c.start
		}
		head = append(head, fmt.Sprintf("%s (%s%s)", c.title, c.metric.title(), from))
		counts = append(counts, c.statistics.Count)
	}
	average := fmt.Sprintf("Average of these %d", len(columns))
	if len(columns) == len(comparedTasks) {
		average = "Average"
	}
	table := markdownTable{head: append(head, average, "Which run", "Source")}
	name := "**" + escaped(r.Model) + "**"
	n := strconv.Itoa(slices.Min(counts))
	if slices.Max(counts) > slices.Min(counts) {
		n += " to " + strconv.Itoa(slices.Max(counts))
	}
	if slices.ContainsFunc(columns, func(c compared) bool { return c.searched }) {
		n += " at rate and epochs that were best on the dev set"
	}
	for _, row := range comparedRows(n, slices.Max(counts)) {
		values := make([]float64, len(columns))
		for i, c := range columns {
			values[i] = 100 * row.value(c.statistics)
		}
		table.addScores(name, values, twoDigits, row.noAverage, row.which, "here")
	}
	r.addLast(&table, name, n, columns)
	r.addEnsemble(&table, name, columns)
	addPublished(&table, columns)
	table.write(b)
	b.WriteString("Where runs keep the weights of their best dev score (finetune.choose best), the upper rows are a little too good; the one " +
		"after the last step is the official code's way to measure. ")
	b.WriteString("Published rows are the sources' own figures, and where only some tasks were run their average is that of the same columns. " +
		"Not all sources say which metric MRPC, QQP and STS-B have; the official ones are as in the heads of the columns.\n\n")
}

// comparedRow is one way to sum up runs.
type comparedRow struct {
	which     string
	value     func(Statistics) float64
	noAverage bool
}

// comparedRows are those of n runs, of which a task has most at the most. One run is its own median, mean and best.
func comparedRows(n string, most int) []comparedRow {
	median := comparedRow{"median of " + n, func(s Statistics) float64 { return s.Median }, false}
	if most == 1 {
		return []comparedRow{median}
	}
	return []comparedRow{
		median,
		{"mean of " + n, func(s Statistics) float64 { return s.Mean }, false},
		{"standard deviation of a run", func(s Statistics) float64 { return s.SD }, true},
		{"best of " + n + ", chosen on the dev set", func(s Statistics) float64 { return s.Best }, false},
	}
}

// addLast adds the row that may be compared with the official code's, if it is known.
func (r *Results) addLast(table *markdownTable, name, n string, columns []compared) {
	values := make([]float64, len(columns))
	for i, c := range columns {
		if c.last.Count == 0 {
			return
		}
		values[i] = 100 * c.last.Median
	}
	table.addScores(name, values, twoDigits, false, "median of "+n+", each after its last step", "here")
}

// addEnsemble adds a row if every task has an ensemble.
func (r *Results) addEnsemble(table *markdownTable, name string, columns []compared) {
	values := make([]float64, len(columns))
	members := []int{}
	for i, c := range columns {
		if c.ensemble == nil {
			return
		}
		members = append(members, len(c.ensemble.Seeds))
		values[i] = 100 * c.ensemble.Dev[c.split][c.metric]
	}
	table.addScores(name, values, twoDigits, false, fmt.Sprintf("ensemble of the best %d, chosen on the dev set", slices.Max(members)), "here")
}

func addPublished(table *markdownTable, columns []compared) {
	for _, p := range publishedRows {
		if p.scores == nil && len(columns) < len(comparedTasks) {
			continue // only its average over all tasks is known
		}
		if p.scores == nil {
			row := append([]string{p.model}, slices.Repeat([]string{"–"}, len(columns))...)
			table.rows = append(table.rows, append(row, asPublished(p.average), p.protocol, p.source))
			continue
		}
		values := make([]float64, len(columns))
		for i, c := range columns {
			values[i] = p.scores[c.place]
		}
		table.addScores(p.model, values, asPublished, false, p.protocol, p.source)
	}
}

// addScores adds a row with the mean of its scores.
func (t *markdownTable) addScores(name string, scores []float64, format func(float64) string, noAverage bool, which, source string) {
	row := []string{name}
	for _, x := range scores {
		row = append(row, format(x))
	}
	average := twoDigits(mean(scores))
	if noAverage {
		average = "–"
	}
	t.rows = append(t.rows, append(row, average, which, source))
}

func twoDigits(x float64) string { return strconv.FormatFloat(x, 'f', 2, 64) }

// asPublished shows the digits that there are, at least one behind the point.
func asPublished(x float64) string {
	text := strconv.FormatFloat(x, 'f', -1, 64)
	if !strings.Contains(text, ".") {
		text += ".0"
	}
	return text
}

// writeStatistics writes every metric of every dev split.
func (r *Results) writeStatistics(b *strings.Builder) {
	table := markdownTable{head: []string{"Task", "Dev split", "Metric", "Runs", "Median", "Mean", "SD", "Standard error", "Best (seed)", "Degenerate", "Failed"}}
	for _, t := range r.Tasks {
		for _, split := range t.Splits {
			for _, m := range t.Metrics {
				s := t.Statistics[split][m]
				sd, standardError := percent(s.SD), percent(s.StandardError)
				if s.Count < 2 {
					sd, standardError = "–", "–"
				}
				table.rows = append(table.rows, []string{escaped(t.Title), split, m.title(), strconv.Itoa(s.Count), percent(s.Median), percent(s.Mean), sd, standardError,
					fmt.Sprintf("%s (%d)", percent(s.Best), s.BestSeed), strconv.Itoa(s.Degenerate), strconv.Itoa(s.Failed)})
			}
		}
	}
	if len(table.rows) > 0 {
		b.WriteString("## Every metric\n\n")
		table.write(b)
	}
}

// writeSearch writes what grid searches found.
func (r *Results) writeSearch(b *strings.Builder) {
	table := markdownTable{head: []string{"Task", "Learning rate", "Epochs", "Runs", "Mean dev score", "Chosen"}}
	for _, t := range r.Tasks {
		if t.Search == nil {
			continue
		}
		for _, p := range t.Search.Points {
			chosen := ""
			if p.Chosen {
				chosen = "yes"
			}
			table.rows = append(table.rows, []string{escaped(t.Title), number(p.LearningRate), number(p.Epochs), strconv.Itoa(p.Runs), percent(p.Mean), chosen})
		}
	}
	if len(table.rows) > 0 {
		b.WriteString("## Search of learning rate and epochs\n\n")
		table.write(b)
	}
}

// writeRuns writes every run, degenerate and failed ones too.
func (r *Results) writeRuns(b *strings.Builder) {
	table := markdownTable{head: []string{"Task", "Seed", "Learning rate", "Epochs", "Steps", "Best after", "Seconds", "Dev scores", "After the last step", "Remark"}}
	for _, t := range r.Tasks {
		for _, run := range t.Runs {
			remark := escaped(run.Failure)
			if run.Failure == "" && run.Degenerate {
				remark = "degenerate: the same output for every dev example"
			}
			table.rows = append(table.rows, []string{escaped(t.Title), strconv.FormatInt(run.Seed, 10), number(run.LearningRate), number(run.Epochs),
				number(float64(run.Steps)), number(float64(run.Chosen)), number(float64(int(run.Seconds + 0.5))), t.scoresOf(run.Dev), t.lastOf(run), remark})
		}
	}
	if len(table.rows) > 0 {
		b.WriteString("## Every run\n\n")
		table.write(b)
	}
}

// scoresOf lists scores in the order of the table of tasks; the split is named where there are several.
func (t *TaskResult) scoresOf(dev map[string]Scores) string {
	var parts []string
	for _, split := range t.Splits {
		for _, m := range t.Metrics {
			if score, ok := dev[split][m]; ok {
				part := m.title() + " " + percent(score)
				if len(t.Splits) > 1 {
					part = split + " " + part
				}
				parts = append(parts, part)
			}
		}
	}
	return strings.Join(parts, ", ")
}

// lastOf is the main metric of a run's last weights.
func (t *TaskResult) lastOf(run Run) string {
	if score, ok := run.Last[t.Metric]; ok {
		return percent(score)
	}
	return ""
}

// title is the metric's name as a reader knows it.
func (m Metric) title() string {
	switch m {
	case F1, ExactMatch:
		return strings.ToUpper(string(m))
	case Matthews, Pearson, Spearman:
		return strings.ToUpper(string(m[:1])) + string(m[1:])
	}
	if title, ok := spanTitles[m]; ok {
		return title
	}
	return string(m)
}

func percent(x float64) string { return twoDigits(100 * x) }

// number shows what is known of a number: nothing for 0.
func number(x float64) string {
	if x == 0 {
		return ""
	}
	return strconv.FormatFloat(x, 'g', -1, 64)
}

// markdownTable is a table; cells hold no unescaped bars.
type markdownTable struct {
	head []string
	rows [][]string
}

func (t *markdownTable) write(b *strings.Builder) {
	line := func(cells []string) { fmt.Fprintf(b, "| %s |\n", strings.Join(cells, " | ")) }
	line(t.head)
	line(slices.Repeat([]string{"---"}, len(t.head)))
	for _, row := range t.rows {
		line(row)
	}
	b.WriteString("\n")
}

// escaped keeps a text within its cell.
func escaped(text string) string {
	return strings.NewReplacer("|", `\|`, "\n", " ").Replace(text)
}

func bullets(lines []string) string {
	var b strings.Builder
	for _, line := range lines {
		fmt.Fprintf(&b, "- %s\n", line)
	}
	return b.String()
}
