package glue

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"elektron/internal/fault"
	"elektron/internal/settings"
	"elektron/trainer/track"
)

// writeTerminal shows the results in short, and where the files are.
func (r *Results) writeTerminal(w io.Writer, folder string) error {
	var b strings.Builder
	table := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "task\tdev split\tmetric\truns\tmedian\tmean\tSD\tbest\tremark")
	for _, t := range r.Tasks {
		for _, split := range t.Splits {
			for _, m := range t.Metrics {
				s := t.Statistics[split][m]
				fmt.Fprintf(table, "%s\t%s\t%s\t%d\t%s\t%s\t%s\t%s\t%s\n", t.Title, split, m.title(), s.Count, percent(s.Median), percent(s.Mean), percent(s.SD), percent(s.Best), t.remark(&s))
			}
		}
		if len(t.Splits) == 0 {
			fmt.Fprintf(table, "%s\t\t%s\t0\t\t\t\t\tall %d runs failed\n", t.Title, t.Metric.title(), len(t.Runs))
		}
	}
	if err := table.Flush(); err != nil {
		return fault.Wrap(fault.Internal, err, "glue")
	}
	if r.Submission != nil {
		for _, line := range r.Submission.Summary() {
			fmt.Fprintln(&b, track.Printable(line))
		}
	}
	fmt.Fprintf(&b, "results: %s\n", track.Printable(join(folder, ResultsText)))
	_, err := io.WriteString(w, b.String())
	return fault.Wrap(fault.Storage, err, "glue")
}

// remark says what the numbers hide.
func (t *TaskResult) remark(s *Statistics) string {
	var parts []string
	if s.Degenerate > 0 {
		parts = append(parts, fmt.Sprintf("%d degenerate", s.Degenerate))
	}
	if s.Failed > 0 {
		parts = append(parts, fmt.Sprintf("%d failed", s.Failed))
	}
	if t.Start != "" {
		parts = append(parts, "started from "+t.Start)
	}
	return strings.Join(parts, ", ")
}

// writeSettings leaves the resolved configuration in the output folder.
func writeSettings(ctx context.Context, path string, s *settings.Settings) error {
	var text bytes.Buffer
	if err := s.Write(&text); err != nil {
		return err
	}
	return writeFile(ctx, path, text.Bytes())
}
