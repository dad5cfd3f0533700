package glue

import (
	"bytes"
	"context"
	"fmt"
	"image/color"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"

	"elektron/internal/fault"
)

var (
	amber = color.RGBA{R: 0xb8, G: 0x73, B: 0x1a, A: 0xff}
	grey  = color.RGBA{R: 0x60, G: 0x60, B: 0x60, A: 0xff}
	red   = color.RGBA{R: 0xc0, G: 0x20, B: 0x20, A: 0xff}
)

// draw writes the plots for which there is something to show.
func (r *Results) draw(ctx context.Context, folder string) error {
	scored := slices.DeleteFunc(slices.Clone(r.Tasks), func(t *TaskResult) bool { return t.Split == "" })
	if len(scored) > 0 {
		p, err := scoresPlot(scored)
		if err == nil {
			err = writePNG(ctx, join(folder, ScoresPlot), [][]*plot.Plot{{p}}, vg.Length(max(4, 2+len(scored)))*vg.Inch, 4*vg.Inch)
		}
		if err != nil {
			return fault.Wrap(fault.Internal, err, "glue: drawing %s", ScoresPlot)
		}
	}
	var panels [][]*plot.Plot
	for _, t := range r.Tasks {
		row, err := curvePlots(t)
		if err != nil {
			return fault.Wrap(fault.Internal, err, "glue: drawing %s", CurvesPlot)
		}
		if row != nil {
			panels = append(panels, row)
		}
	}
	if len(panels) == 0 {
		return nil
	}
	return writePNG(ctx, join(folder, CurvesPlot), panels, 10*vg.Inch, vg.Length(len(panels))*3*vg.Inch)
}

// scoresPlot shows each run's score: a column of dots a task, in the order of the runs, and a bar at the median.
// Degenerate runs are crosses.
func scoresPlot(tasks []*TaskResult) (*plot.Plot, error) {
	p := plot.New()
	p.Title.Text, p.Y.Label.Text = "Dev score by seed", "score in %"
	grid := plotter.NewGrid()
	grid.Vertical.Width = 0
	p.Add(grid)
	var names []string
	for i, t := range tasks {
		names = append(names, fmt.Sprintf("%s\n%s", t.Title, t.Metric.title()))
		var sound, degenerate plotter.XYs
		for k, run := range t.Runs {
			score, ok := run.Dev[t.Split][t.Metric]
			if !ok {
				continue
			}
			dot := plotter.XY{X: float64(i) + 0.5*(float64(k)+0.5)/float64(len(t.Runs)) - 0.25, Y: 100 * score}
			if run.Degenerate {
				degenerate = append(degenerate, dot)
			} else {
				sound = append(sound, dot)
			}
		}
		median := 100 * t.Statistics[t.Split][t.Metric].Median
		bar, err := plotter.NewLine(plotter.XYs{{X: float64(i) - 0.35, Y: median}, {X: float64(i) + 0.35, Y: median}})
		if err != nil {
			return nil, err
		}
		bar.Color = grey
		p.Add(bar)
		if err := addDots(p, sound, amber, draw.CircleGlyph{}); err != nil {
			return nil, err
		}
		if err := addDots(p, degenerate, red, draw.CrossGlyph{}); err != nil {
			return nil, err
		}
	}
	p.NominalX(names...)
	p.X.Min, p.X.Max = -0.5, float64(len(tasks))-0.5
	margin := 0.05*(p.Y.Max-p.Y.Min) + 1
	p.Y.Min, p.Y.Max = p.Y.Min-margin, p.Y.Max+margin
	return p, nil
}

func addDots(p *plot.Plot, dots plotter.XYs, c color.Color, shape draw.GlyphDrawer) error {
	if len(dots) == 0 {
		return nil
	}
	scatter, err := plotter.NewScatter(dots)
	if err != nil {
		return err
	}
	scatter.GlyphStyle = draw.GlyphStyle{Color: c, Radius: vg.Points(3.5), Shape: shape}
	p.Add(scatter)
	return nil
}

// manyPoints make a line of their own, without dots.
const manyPoints = 20

// curvePlots are two panels of a task, training loss and dev score, a line a run; none without curves.
func curvePlots(t *TaskResult) ([]*plot.Plot, error) {
	var row []*plot.Plot
	drawn := false
	for _, panel := range []struct {
		title string
		scale float64
		curve func(Run) []Point
	}{
		{t.Title + ": training loss", 1, func(r Run) []Point { return r.Loss }},
		{t.Title + ": " + t.Metric.title() + " on " + t.Split + ", %", 100, func(r Run) []Point { return r.Curve }},
	} {
		p := plot.New()
		p.Title.Text, p.X.Label.Text = panel.title, "step"
		p.Add(plotter.NewGrid())
		for i, run := range t.Runs {
			points := panel.curve(run)
			if len(points) == 0 {
				continue
			}
			xys := make(plotter.XYs, len(points))
			for k, point := range points {
				xys[k] = plotter.XY{X: float64(point.Step), Y: panel.scale * point.Value}
			}
			line, dots, err := plotter.NewLinePoints(xys)
			if err != nil {
				return nil, err
			}
			line.Color = shade(i, len(t.Runs))
			dots.GlyphStyle = draw.GlyphStyle{Color: line.Color, Radius: vg.Points(2), Shape: draw.CircleGlyph{}}
			p.Add(line)
			if len(points) < manyPoints {
				p.Add(dots)
			}
			drawn = true
		}
		row = append(row, p)
	}
	if !drawn {
		return nil, nil
	}
	return row, nil
}

// shade gives run i of n a colour between amber and grey.
func shade(i, n int) color.Color {
	mix := func(a, b uint8) uint8 { return uint8((int(a)*(n-1-i) + int(b)*i) / max(1, n-1)) }
	return color.RGBA{R: mix(amber.R, grey.R), G: mix(amber.G, grey.G), B: mix(amber.B, grey.B), A: 0xff}
}

// writePNG draws rows of plots into one picture.
func writePNG(ctx context.Context, path string, rows [][]*plot.Plot, width, height vg.Length) error {
	canvas := vgimg.NewWith(vgimg.UseWH(width, height), vgimg.UseDPI(96))
	tiles := draw.Tiles{Rows: len(rows), Cols: len(rows[0]), PadX: 16, PadY: 10, PadTop: 10, PadBottom: 10, PadLeft: 10, PadRight: 16}
	for y, row := range rows {
		for x, p := range row {
			p.Draw(tiles.At(draw.New(canvas), x, y))
		}
	}
	var out bytes.Buffer
	if _, err := (vgimg.PngCanvas{Canvas: canvas}).WriteTo(&out); err != nil {
		return fault.Wrap(fault.Internal, err, "glue: drawing")
	}
	return writeFile(ctx, path, out.Bytes())
}
