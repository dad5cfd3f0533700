package track

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"html/template"
	"math"
	"time"

	"elektron/internal/blob"
	"elektron/internal/fault"
)

// Run is what the report says about a run beside its metrics.
type Run struct {
	Title string
	Facts []Fact // in the order shown: preset, parameters, platform, data, …
}

// Fact is a name and its value, as text.
type Fact struct{ Name, Value string }

// Report keeps report.html up to date: one self-contained page, written whole at each validation and at the end.
type Report struct {
	path         string
	run          Run
	train, valid []Metrics
	latest       Metrics // of training
}

// maxPoints bounds the report's memory and size: twice as many training lines are merged in pairs.
const maxPoints = 1500

// NewReport will write the report to path. The history is what an earlier session of the run logged, up to the step it
// was resumed from.
func NewReport(path string, run Run, history []Metrics) *Report {
	r := &Report{path: path, run: run}
	for _, m := range history {
		r.add(m)
	}
	return r
}

// Log takes one line and, after a validation, writes the page.
func (r *Report) Log(m Metrics) error {
	r.add(m)
	if m.Split == Valid {
		return r.write()
	}
	return nil
}

// Finish writes the page.
func (r *Report) Finish() error { return r.write() }

func (r *Report) add(m Metrics) {
	lines := &r.train
	if m.Split != "" {
		lines = &r.valid
	} else {
		r.latest = m
	}
	*lines = append(*lines, m)
	if len(*lines) >= 2*maxPoints {
		*lines = halve(*lines)
	}
}

// halve merges neighbours into their means, in place.
func halve(lines []Metrics) []Metrics {
	half := lines[:len(lines)/2]
	for i := range half {
		a, b := lines[2*i], lines[2*i+1]
		for _, f := range fields {
			if mean := (*f.value(&a) + *f.value(&b)) / 2; finite(mean) {
				*f.value(&b) = mean
			}
		}
		half[i] = b
	}
	return half
}

func finite(value float64) bool { return !math.IsNaN(value) && !math.IsInf(value, 0) }

//go:embed report.gohtml
var pageText string

var pageTemplate = template.Must(template.New("report").Parse(pageText))

// page is what the template shows.
type page struct {
	Title    string
	Written  string
	Facts    []Fact
	Tiles    []tile
	Sections []section
	Columns  []string
	Rows     [][]string // of validations, latest first
	Data     template.JS
}

type section struct {
	Title  string
	Charts []*chart
}

func (r *Report) write() error {
	p, err := r.page()
	if err != nil {
		return err
	}
	var out bytes.Buffer
	if err := pageTemplate.Execute(&out, p); err != nil {
		return fault.Wrap(fault.Internal, err, "track: report")
	}
	err = blob.WriteFile(r.path, out.Bytes())
	return fault.Wrap(fault.Storage, err, "track: cannot write %s", r.path)
}

// sections are the page's parts and the groups of fields in each.
var sections = []struct {
	title  string
	groups []string
}{
	{"Losses", []string{"losses"}},
	{"Accuracy", []string{"discriminator", "generator"}},
	{"Optimizer and speed", []string{"optimizer", "speed"}},
}

func (r *Report) page() (*page, error) {
	p := &page{Title: Printable(r.run.Title), Written: time.Now().Format("2006-01-02 15:04:05 MST"), Tiles: r.tiles()}
	for _, fact := range r.run.Facts {
		p.Facts = append(p.Facts, Fact{Printable(fact.Name), Printable(fact.Value)})
	}
	data := []*chart{}
	for _, s := range sections {
		shown := section{Title: s.title, Charts: r.charts(s.groups)}
		for _, c := range shown.Charts {
			c.Number = len(data)
			data = append(data, c)
		}
		if len(shown.Charts) > 0 {
			p.Sections = append(p.Sections, shown)
		}
	}
	p.Columns, p.Rows = validationTable(r.valid)
	text, err := json.Marshal(data)
	p.Data = template.JS(text) // numbers only, and json.Marshal escapes <, > and &
	return p, fault.Wrap(fault.Internal, err, "track: report")
}

func (r *Report) charts(groups []string) (charts []*chart) {
	for _, group := range groups {
		for _, f := range fields {
			if f.group != group {
				continue
			}
			if c := newChart(f, r.train, r.valid); c != nil {
				charts = append(charts, c)
			}
		}
	}
	return charts
}

const maxRows = 50

// validationTable lists the latest validations, the last one first.
func validationTable(valid []Metrics) (columns []string, rows [][]string) {
	columns = []string{"Step"}
	for _, f := range fields {
		if !f.training && f.group != "time" {
			columns = append(columns, f.title)
		}
	}
	for i := len(valid) - 1; i >= max(0, len(valid)-maxRows); i-- {
		row := []string{withSeparators(valid[i].Step)}
		for _, f := range fields {
			if !f.training && f.group != "time" {
				row = append(row, fixed(*f.value(&valid[i])))
			}
		}
		rows = append(rows, row)
	}
	return columns, rows
}
