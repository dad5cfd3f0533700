package track

import (
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

// chart is one value over the steps, drawn. Its exported fields are the template's; those with a JSON name are read by the page's script.
type chart struct {
	Number      int        `json:"-"`
	Title       string     `json:"-"`
	TrainNow    string     `json:"-"`
	ValidNow    string     `json:"-"`
	RawPath     string     `json:"-"` // training as it was
	TrainPath   string     `json:"-"` // training, smoothed if there are many points
	ValidPath   string     `json:"-"`
	ValidDots   []point    `json:"-"` // in the drawing's units
	XTicks      []tick     `json:"-"`
	YTicks      []tick     `json:"-"`
	Train       []point    `json:"train"`
	Valid       []point    `json:"valid"`
	Steps       [2]float64 `json:"steps"`
	Range       [2]float64 `json:"range"`
	Logarithmic bool       `json:"log"`
}

// tick is a label at a place of an axis, in the drawing's units.
type tick struct {
	At    float64
	Label string
}

// newChart draws field f, or returns nil if it has no finite value.
func newChart(f field, train, valid []Metrics) *chart {
	c := &chart{Title: f.title, Train: points(f, train), Valid: points(f, valid)}
	if f.training {
		c.Valid = []point{}
	}
	all := append(append([]point{}, c.Train...), c.Valid...)
	if len(all) == 0 || f.key == "mfu" && onlyZeros(all) {
		return nil
	}
	c.Steps, c.Range = [2]float64{0, extent(all, 0)[1]}, extent(all, 1)
	c.Logarithmic = f.key == "grad_norm" && c.Range[0] > 0 && c.Range[1] > logarithmicFrom*c.Range[0]
	c.makeTicks()
	c.TrainPath = c.path(c.Train)
	if len(c.Train) >= smoothed && f.key != "learning_rate" {
		c.RawPath, c.TrainPath = c.TrainPath, c.path(smooth(c.Train))
	}
	c.ValidPath = c.path(c.Valid)
	for _, p := range c.Valid {
		c.ValidDots = append(c.ValidDots, point{c.x(p[0]), c.y(p[1])})
	}
	if n := len(c.Train); n > 0 {
		c.TrainNow = short(c.Train[n-1][1])
	}
	if n := len(c.Valid); n > 0 {
		c.ValidNow = short(c.Valid[n-1][1])
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
	values := roundNumbers(c.Range, 4)
	if c.Logarithmic {
		values = decades(c.Range)
	}
	c.Range = [2]float64{min(c.Range[0], values[0]), max(c.Range[1], values[len(values)-1])}
	for _, value := range values {
		c.YTicks = append(c.YTicks, tick{c.y(value), short(value)})
	}
	for _, step := range roundNumbers(c.Steps, 6) {
		if step >= c.Steps[0] && step <= c.Steps[1] && step == math.Trunc(step) {
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
	if c.Steps[0] == c.Steps[1] {
		return (plotLeft + plotRight) / 2
	}
	return plotLeft + (step-c.Steps[0])/(c.Steps[1]-c.Steps[0])*(plotRight-plotLeft)
}

func (c *chart) y(value float64) float64 {
	low, high := c.Range[0], c.Range[1]
	if c.Logarithmic {
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
// ends the window shrinks.
func smooth(points []point) []point {
	result := make([]point, len(points))
	reach := len(points) / 16
	for i, p := range points {
		around := max(reach/3, min(reach, i, len(points)-1-i))
		window := points[max(0, i-around):min(len(points), i+around+1)]
		sum := 0.0
		for _, q := range window {
			sum += q[1]
		}
		result[i] = point{p[0], sum / float64(len(window))}
	}
	return result
}
