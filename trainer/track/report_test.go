package track

import (
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// logRun logs a made-up run of 2,400 steps with ten validations.
func logRun(t *testing.T, tracker Tracker) {
	t.Helper()
	random := rand.New(rand.NewPCG(1, 2))
	for step := int64(10); step <= 2400; step += 10 {
		done := float64(step) / 2400
		m := Metrics{Step: step, ElapsedS: float64(step) * 0.085, LearningRate: 1e-3 * min(done*10, 1-done)}
		for _, f := range fields[:9] {
			*f.value(&m) = 0.1 + 0.3*done + 0.02*random.NormFloat64()
		}
		m.MLMLoss = 6 + 2.3*math.Exp(-6*done) + 0.1*random.NormFloat64()
		m.Loss = m.MLMLoss + 50*m.RTDLoss
		m.GradNorm = 3 * math.Exp(random.NormFloat64()-5*done)
		m.TokensPerS, m.ExamplesPerS = 25000+500*random.NormFloat64(), 390+8*random.NormFloat64()
		m.DataWaitFraction = 0.001 * random.Float64()
		lines := []Metrics{m}
		if step%240 == 0 {
			m.Split = Valid
			lines = append(lines, m)
		}
		for _, line := range lines {
			if err := tracker.Log(line); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := tracker.Finish(); err != nil {
		t.Fatal(err)
	}
}

func TestReport(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "report.html")
	hostile := "</script><script>alert(1)</script>\x1b[31m\x00\u202e"
	logRun(t, NewReport(path, Run{Title: "run <b>" + hostile, Facts: []Fact{{"Data" + hostile, hostile}}}, nil))
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	page := string(text)
	for _, want := range []string{"2,400", "MLM loss", "RTD AUC", "Learning rate", "Gradient norm", "Tokens per second", `class="valid-line"`,
		`class="raw-line"`, "prefers-color-scheme: dark", "3m 24s", "&lt;b&gt;", ">0.01<"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	for _, never := range []string{"alert(1)</script>", "<b>", "\x1b", "\x00", "\u202e", "NaN", "Inf", "http:", "https:", "src=", "@import", "Model FLOPs utilisation"} {
		if strings.Contains(page, never) {
			t.Errorf("the page has %q", never)
		}
	}
	if n := strings.Count(page, `data-chart="`); n != 14 {
		t.Errorf("%d charts, want one for each of 14 values", n)
	}
	if n := strings.Count(page, "<tr>"); n != 11 {
		t.Errorf("%d table rows, want a head and 10 validations", n)
	}
	insideDrawing(t, page)
	if children, _ := os.ReadDir(dir); len(children) != 1 {
		t.Errorf("files left beside the page: %v", children)
	}
}

// insideDrawing checks that every line's points lie in the drawing.
func insideDrawing(t *testing.T, page string) {
	t.Helper()
	for _, path := range regexp.MustCompile(` d="([^"]*)"`).FindAllStringSubmatch(page, -1) {
		if !regexp.MustCompile(`^M[0-9.]+ [0-9.]+(L[0-9.]+ [0-9.]+)*$`).MatchString(path[1]) {
			t.Errorf("path %.60q leaves the drawing or is no path", path[1])
		}
	}
}

func TestReportOfOddRuns(t *testing.T) {
	with := func(step int64, split string, value float64) Metrics {
		m := Unknown(step)
		m.Split = split
		for _, f := range fields {
			*f.value(&m) = value
		}
		return m
	}
	cases := map[string][]Metrics{
		"nothing":               nil,
		"nothing known":         {Unknown(1), Unknown(2)},
		"one line":              {with(1, "", 0.5)},
		"one validation":        {with(0, Valid, 0.5)},
		"constant":              {with(1, "", 3), with(2, "", 3), with(3, "", 3)},
		"zeros":                 {with(1, "", 0), with(2, "", 0)},
		"huge and tiny":         {with(1, "", 1e300), with(2, "", 1e-300), with(3, "", 1e29), with(4, "", -1e29)},
		"smallest numbers":      {with(1, "", 5e-324), with(2, "", 1e-323)},
		"not finite":            {with(1, "", math.Inf(1)), with(2, "", math.NaN()), with(3, "", math.Inf(-1))},
		"large, close together": {with(1, "", 1e15), with(2, "", 1e15+1)},
		"large step":            {with(math.MaxInt64-1, "", 1), with(math.MaxInt64, "", 2)},
	}
	for name, lines := range cases {
		path := filepath.Join(t.TempDir(), "report.html")
		if err := NewReport(path, Run{Title: name}, lines).Finish(); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		page, _ := os.ReadFile(path)
		insideDrawing(t, string(page))
		if empty := strings.Contains(string(page), "No metrics yet"); empty != (strings.HasPrefix(name, "not")) {
			t.Errorf("%s: says that there are no metrics: %v", name, empty)
		}
		if strings.Contains(string(page), "NaN") {
			t.Errorf("%s: NaN on the page", name)
		}
	}
}

func TestReportStaysSmall(t *testing.T) {
	r := NewReport(filepath.Join(t.TempDir(), "report.html"), Run{}, nil)
	for step := int64(1); step <= 20000; step++ {
		m := Unknown(step)
		m.Loss = float64(step)
		r.add(m)
	}
	if len(r.train) >= 2*maxPoints {
		t.Errorf("%d points kept", len(r.train))
	}
	for i, m := range r.train {
		if m.Loss > float64(m.Step) || i > 0 && m.Loss <= r.train[i-1].Loss {
			t.Fatalf("point %d: step %d has %v", i, m.Step, m.Loss)
		}
	}
	if last := r.train[len(r.train)-1]; last.Step < 19990 {
		t.Errorf("the last point is step %d", last.Step)
	}
}

func TestNumbers(t *testing.T) {
	cases := []struct{ got, want string }{
		{short(0), "0"}, {short(31.2345), "31.23"}, {short(0.0005), "5e-4"}, {short(-0.00025), "-2.5e-4"}, {short(25170), "25.17k"},
		{short(2500000), "2.5M"}, {short(3e9), "3G"}, {short(math.NaN()), "–"}, {short(1e-12), "1e-12"}, {short(0.02), "0.02"},
		{fixed(0.5), "0.5000"}, {fixed(math.Inf(1)), "–"}, {withSeparators(7), "7"}, {withSeparators(1234567), "1,234,567"},
		{withSeparators(-123456), "-123,456"}, {duration(12.34), "12.3s"}, {duration(245), "4m 05s"}, {duration(11520), "3h 12m"}, {duration(math.NaN()), "–"},
	}
	for _, c := range cases {
		if c.got != c.want {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}
}
