package glue

import (
	"slices"
	"strings"
	"testing"

	"elektron/internal/fault"
)

// TestTable: what the rest of the package takes for granted about every task.
func TestTable(t *testing.T) {
	submissions := []string{}
	for _, task := range Tasks() {
		roles := []Role{}
		names := []string{}
		for _, s := range task.Splits {
			roles, names = append(roles, s.Role), append(names, s.Name)
			if (s.Columns.B != "") != task.Pair() || (task.Parquet.B != "") != task.Pair() {
				t.Errorf("%s %s: second texts in some splits only", task.Name, s.Name)
			}
			if (s.Columns.Label != "") != (s.Role != Test) || (s.Columns.Index != "") != (s.Role == Test) || (s.Submission != "") != (s.Role == Test) {
				t.Errorf("%s %s: labels are for train and dev, indexes and submissions for test", task.Name, s.Name)
			}
			if s.Submission != "" {
				submissions = append(submissions, s.Submission)
			}
		}
		if !slices.IsSorted(roles) || len(slices.Compact(slices.Sorted(slices.Values(names)))) != len(names) {
			t.Errorf("%s: splits %v of roles %v", task.Name, names, roles)
		}
		for _, m := range task.Metrics {
			if (ofScores[m] != nil) != task.Regression() || (ofClasses[m] != nil) == task.Regression() {
				t.Errorf("%s: metric %s does not suit it", task.Name, m)
			}
		}
		if task.Model == "" && task.Epochs < 3 || len(task.Metrics) == 0 {
			t.Errorf("%s: %d epochs, metrics %v", task.Name, task.Epochs, task.Metrics)
		}
	}
	want := "CoLA.tsv SST-2.tsv MRPC.tsv STS-B.tsv QQP.tsv MNLI-m.tsv MNLI-mm.tsv QNLI.tsv RTE.tsv WNLI.tsv AX.tsv"
	if got := strings.Join(submissions, " "); got != want {
		t.Errorf("submissions %s, want %s", got, want)
	}
}

func TestParseTasks(t *testing.T) {
	own := writeFiles(t, map[string]string{"mine.yaml": ownTask, "same.yaml": "name: mine\n" + ownTask, "cola.yaml": ownTask})
	cases := []struct {
		names, want, problem string
	}{
		{"all", "cola sst2 mrpc stsb qqp mnli qnli rte wnli ax", ""},
		{"stsb,cola", "cola stsb", ""},
		{"SST-2,sst2,Cola,STS-B", "cola sst2 stsb", ""},
		{"rte," + own + "/mine.yaml", "rte mine", ""},
		{"", "", `no task ""`},
		{"mnlli", "", "did you mean mnli?"},
		{"colla,qnlli", "", "did you mean qnli?"},
		{"imdb", "", "tasks: cola sst2"},
		{"squad2,SQuAD,rte", "rte squad1 squad2", ""},
		{"squad3", "", "did you mean squad1?"},
		{own + "/mine.yaml," + own + "/same.yaml", "", "has a task mine already"},
		{own + "/cola.yaml", "", "name cola is that of a task of GLUE"},
		{own + "/absent.yaml", "", "no such file"},
	}
	for _, c := range cases {
		found, err := ParseTasks(strings.Split(c.names, ","))
		var names []string
		for _, task := range found {
			names = append(names, task.Name)
		}
		if got := strings.Join(names, " "); got != c.want {
			t.Errorf("%s: %s, want %s", c.names, got, c.want)
		}
		if (err != nil) != (c.problem != "") || err != nil && !strings.Contains(err.Error(), c.problem) {
			t.Errorf("%s: error %v, want %q", c.names, err, c.problem)
		}
	}
	if _, err := ParseTasks(nil); fault.KindOf(err) != fault.Usage {
		t.Errorf("no names: %v", err)
	}
}
