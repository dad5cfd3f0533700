package dataset

import (
	"encoding/json"
	"fmt"
	"image/color"
	"math/bits"
	"os"
	"path/filepath"
	"strconv"

	"elektron/internal/fault"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
)

// What a build writes for people, beside the manifest.
const (
	reportFile  = "report.json"
	lengthsFile = "lengths.png"
)

// Lengths counts lengths in tokens by powers of two: place i holds those from 2^i to 2^(i+1)-1.
type Lengths []int64

// add counts one length of at least 1.
func (l *Lengths) add(n int) {
	place := bits.Len(uint(n)) - 1
	for len(*l) <= place {
		*l = append(*l, 0)
	}
	(*l)[place]++
}

// merge adds the counts of o.
func (l *Lengths) merge(o Lengths) {
	for place, n := range o {
		if place == len(*l) {
			*l = append(*l, 0)
		}
		(*l)[place] += n
	}
}

// writeReport writes report.json and lengths.png into a folder.
func (m *Manifest) writeReport(folder string) error {
	r := m.Report
	kept := max(1, m.Train.Documents+m.Valid.Documents)
	data, err := json.MarshalIndent(struct {
		Report
		UnknownRate           float64 `json:"unknown_rate"`            // of the kept tokens
		DuplicateDocumentRate float64 `json:"duplicate_document_rate"` // of the documents
		DuplicateSentenceRate float64 `json:"duplicate_sentence_rate"` // of the sentences
		TokensPerDocument     float64 `json:"tokens_per_document"`
		Train                 Split   `json:"train"`
		Valid                 Split   `json:"valid"`
	}{
		r, r.UnknownRate(), share(r.DuplicateDocuments, r.Documents), share(r.DuplicateSentences, r.Sentences), share(r.Tokens, kept), m.Train, m.Valid,
	}, "", "  ")
	if err != nil {
		return fault.Wrap(fault.Internal, err, "dataset: report")
	}
	if err := os.WriteFile(filepath.Join(folder, reportFile), append(data, '\n'), 0o644); err != nil {
		return fault.Wrap(fault.Storage, err, "dataset: writing the report")
	}
	return r.drawLengths(filepath.Join(folder, lengthsFile))
}

func share(part, whole int64) float64 { return float64(part) / float64(max(1, whole)) }

// drawLengths draws the two histograms of lengths side by side.
func (r Report) drawLengths(path string) error {
	const width, height = 10 * vg.Inch, 4 * vg.Inch
	canvas := vgimg.NewWith(vgimg.UseWH(width, height), vgimg.UseDPI(96))
	panels := []struct {
		title   string
		lengths Lengths
	}{{"Documents", r.DocumentLengths}, {"Sentences or paragraphs", r.SentenceLengths}}
	tiles := draw.Tiles{Rows: 1, Cols: len(panels), PadX: 16, PadTop: 10, PadBottom: 10, PadLeft: 10, PadRight: 16}
	for i, panel := range panels {
		p, err := panel.lengths.plot(panel.title)
		if err != nil {
			return fault.Wrap(fault.Internal, err, "dataset: drawing %s", lengthsFile)
		}
		p.Draw(tiles.At(draw.New(canvas), i, 0))
	}
	f, err := os.Create(path)
	if err != nil {
		return fault.Wrap(fault.Storage, err, "dataset: writing the report")
	}
	defer f.Close() // a second time after success, which does nothing
	if _, err := (vgimg.PngCanvas{Canvas: canvas}).WriteTo(f); err != nil {
		return fault.Wrap(fault.Storage, err, "dataset: writing the report")
	}
	return fault.Wrap(fault.Storage, f.Close(), "dataset: writing the report")
}

// plot is one histogram as shares: a bar for each power of two.
func (l Lengths) plot(title string) (*plot.Plot, error) {
	p := plot.New()
	total := int64(0)
	for _, n := range l {
		total += n
	}
	p.Title.Text = fmt.Sprintf("%s: %d", title, total)
	p.X.Label.Text, p.Y.Label.Text = "tokens, at least", "share in %"
	values, labels := plotter.Values{}, []string{}
	for place, n := range l {
		values = append(values, 100*share(n, total))
		labels = append(labels, shortNumber(1<<place))
	}
	bars, err := plotter.NewBarChart(values, vg.Points(min(24, 280/float64(max(1, len(l))))))
	if err != nil {
		return nil, err
	}
	bars.Color, bars.LineStyle.Width = color.RGBA{R: 0xb8, G: 0x73, B: 0x1a, A: 0xff}, 0
	grid := plotter.NewGrid()
	grid.Vertical.Width = 0
	p.Add(grid, bars)
	p.NominalX(labels...)
	p.X.Min, p.X.Max = -0.5, float64(len(l))-0.5 // room for the bars, which stand around their places
	p.Y.Min, p.Y.Max = 0, 1.05*p.Y.Max
	return p, nil
}

// shortNumber writes a power of two as 512, 4K or 2M.
func shortNumber(n int) string {
	for _, unit := range []string{"", "K", "M", "G"} {
		if n < 1024 {
			return strconv.Itoa(n) + unit
		}
		n /= 1024
	}
	return strconv.Itoa(n) + "T"
}
