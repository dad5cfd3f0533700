package track

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
)

// The drawing's size in its own units; the page scales it.
const (
	chartWidth, chartHeight     = 420.0, 210.0
	plotLeft, plotRight         = 46.0, chartWidth - 10
	plotTop, plotBottom         = 10.0, chartHeight - 24
	logarithmicFrom             = 50.0 // a gradient norm's range, largest over smallest, from which the axis is logarithmic
	smoothed                    = 40   // points from which training is also drawn smoothed
	maxChartPoints, maxSVGDigit = 400, 1
	largest                     = 1e30 // what is larger is as good as infinite and left out
)

// point is a step and a value; in JSON [step, value].
type point [2]float64

// chart is one value over the steps, drawn. Its exported fields are what the template shows.
type chart struct {
	Number             int
	Title              string
	TrainNow, ValidNow string // the latest values
	RawPath, TrainPath string // training as it was, and smoothed; only TrainPath if there are few points
	ValidPath          string
	ValidDots          []point // in the drawing's units
	XTicks, YTicks     []tick
	train, valid       []point
	steps, values      [2]float64 // what the axes span
	logarithmic        bool
}

// MarshalJSON gives the page's script the values.
func (c *chart) MarshalJSON() ([]byte, error) {
	return json.Marshal(map[string]any{"train": c.train, "valid": c.valid, "steps": c.steps})
}

// tick is a label at a place of an axis, in the drawing's units.
type tick struct {
	At    float64
	Label string
}

// newChart draws field f, or returns nil if it has no finite value.
func newChart(f field, train, valid []Metrics) *chart {
	c := &chart{Title: f.title, train: points(f, train), valid: points(f, valid)}
	if f.training {
		c.valid = []point{}
	}
	all := append(append([]point{}, c.train...), c.valid...)
	if len(all) == 0 || f.key == "mfu" && onlyZeros(all) {
		return nil
	}
	c.steps, c.values = [2]float64{0, extent(all, 0)[1]}, extent(all, 1)
	c.logarithmic = f.key == "grad_norm" && c.values[0] > 0 && c.values[1] > logarithmicFrom*c.values[0]
	c.makeTicks()
	c.TrainPath = c.path(c.train)
	if len(c.train) >= smoothed && f.key != "learning_rate" {
		c.RawPath, c.TrainPath = c.TrainPath, c.path(c.smooth(c.train))
	}
	c.ValidPath = c.path(c.valid)
	for _, p := range c.valid {
		c.ValidDots = append(c.ValidDots, point{c.x(p[0]), c.y(p[1])})
	}
	if n := len(c.train); n > 0 {
		c.TrainNow = short(c.train[n-1][1])
	}
	if n := len(c.valid); n > 0 {
		c.ValidNow = short(c.valid[n-1][1])
	}
	return c
}

// points are the finite values of a field, thinned to what a screen can show.
func points(f field, lines []Metrics) []point {
	stride := (len(lines) + maxChartPoints - 1) / maxChartPoints
	found := []point{}
	for i := range lines {
		value := *f.value(&lines[i])
		if finite(value) && math.Abs(value) < largest && (stride < 2 || (len(lines)-1-i)%stride == 0) {
			found = append(found, point{float64(lines[i].Step), value})
		}
	}
	return found
}

func onlyZeros(points []point) bool {
	for _, p := range points {
		if p[1] != 0 {
			return false
		}
	}
	return true
}

func extent(points []point, axis int) [2]float64 {
	low, high := math.Inf(1), math.Inf(-1)
	for _, p := range points {
		low, high = min(low, p[axis]), max(high, p[axis])
	}
	return [2]float64{low, high}
}

// makeTicks chooses round numbers and widens the range of values to them.
func (c *chart) makeTicks() {
	values := roundNumbers(c.values, 4)
	if c.logarithmic {
		values = decades(c.values)
	}
	c.values = [2]float64{min(c.values[0], values[0]), max(c.values[1], values[len(values)-1])}
	for _, value := range values {
		c.YTicks = append(c.YTicks, tick{c.y(value), short(value)})
	}
	for _, step := range roundNumbers(c.steps, 6) {
		if step >= c.steps[0] && step <= c.steps[1] && step == math.Trunc(step) {
			c.XTicks = append(c.XTicks, tick{c.x(step), short(step)})
		}
	}
}

// roundNumbers are about n multiples of 1, 2 or 5 times a power of ten that cover the range.
func roundNumbers(span [2]float64, n int) []float64 {
	low, high := span[0], span[1]
	if high-low < 1e-9*max(math.Abs(high), 1e-9) {
		margin := max(math.Abs(high)/2, 1e-9)
		low, high = low-margin, high+margin
	}
	unit := math.Pow(10, math.Floor(math.Log10((high-low)/float64(n))))
	for _, factor := range []float64{1, 2, 5, 10} {
		if (high-low)/(unit*factor) <= float64(n) {
			unit *= factor
			break
		}
	}
	var values []float64
	for k := math.Floor(low/unit + 1e-9); k <= math.Ceil(high/unit-1e-9); k++ {
		values = append(values, k*unit)
	}
	return values
}

// decades are the powers of ten that cover a positive range.
func decades(span [2]float64) (values []float64) {
	for e := math.Floor(math.Log10(span[0])); e <= math.Ceil(math.Log10(span[1])); e++ {
		values = append(values, math.Pow(10, e))
	}
	return values
}

func (c *chart) x(step float64) float64 {
	if c.steps[0] == c.steps[1] {
		return (plotLeft + plotRight) / 2
	}
	return plotLeft + (step-c.steps[0])/(c.steps[1]-c.steps[0])*(plotRight-plotLeft)
}

func (c *chart) y(value float64) float64 {
	low, high := c.values[0], c.values[1]
	if c.logarithmic {
		value, low, high = math.Log(value), math.Log(low), math.Log(high)
	}
	return plotBottom - (value-low)/(high-low)*(plotBottom-plotTop)
}

func (c *chart) path(points []point) string {
	var d strings.Builder
	for i, p := range points {
		command := "L"
		if i == 0 {
			command = "M"
		}
		fmt.Fprintf(&d, "%s%.*f %.*f", command, maxSVGDigit, c.x(p[0]), maxSVGDigit, c.y(p[1]))
	}
	return d.String()
}

// smooth is the mean over a window of an eighth of the points, centred, so that it does not lag behind; towards the
// ends the window shrinks. On a logarithmic axis it is the geometric mean.
func (c *chart) smooth(points []point) []point {
	result := make([]point, len(points))
	reach := len(points) / 16
	for i, p := range points {
		around := max(reach/3, min(reach, i, len(points)-1-i))
		window := points[max(0, i-around):min(len(points), i+around+1)]
		sum := 0.0
		for _, q := range window {
			if c.logarithmic {
				q[1] = math.Log(q[1])
			}
			sum += q[1]
		}
		mean := sum / float64(len(window))
		if c.logarithmic {
			mean = math.Exp(mean)
		}
		result[i] = point{p[0], mean}
	}
	return result
}
