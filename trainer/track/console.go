package track

import (
	"fmt"
	"io"
	"math"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"elektron/internal/fault"
)

// Console shows a run to whoever is watching: a progress bar on a terminal, elsewhere one line for each line of metrics.
// It is used by one goroutine.
type Console struct {
	out       io.Writer
	total     int64
	bar       *progressbar.ProgressBar // nil when out is no terminal, and after the last step
	columns   func() int               // of the terminal
	shown     time.Time                // when the bar was last drawn
	latest    Metrics                  // of training; NaN where nothing is known yet
	firstStep int64                    // with firstTime, where the estimate of the remaining time begins
	firstTime time.Time
}

// NewConsole writes to out (standard error, as a rule) about a run of total steps that goes on after the given step.
func NewConsole(out io.Writer, total, step int64) *Console {
	c := &Console{out: out, total: total, latest: Unknown(step)}
	file, ok := out.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return c
	}
	c.showBar(func() int {
		if columns, _, err := term.GetSize(int(file.Fd())); err == nil && columns > 0 {
			return columns
		}
		return 80
	})
	return c
}

const (
	barWidth     = 16                     // columns
	besideBar    = 10                     // columns of the line that are neither bar nor text
	drawInterval = 100 * time.Millisecond // at most one drawing in this time
)

func (c *Console) showBar(columns func() int) {
	if c.total < 1 {
		return
	}
	c.columns = columns
	c.bar = progressbar.NewOptions64(c.total,
		progressbar.OptionSetWriter(c.out), progressbar.OptionUseANSICodes(true), progressbar.OptionSetWidth(barWidth),
		progressbar.OptionSetPredictTime(false), progressbar.OptionSetElapsedTime(false), progressbar.OptionShowDescriptionAtLineEnd(),
		progressbar.OptionSetTheme(progressbar.Theme{Saucer: "━", SaucerHead: "━", SaucerPadding: "╌"}))
}

// Step says that a step is done, between two lines of metrics. It moves the bar.
func (c *Console) Step(step int64) {
	if c.firstTime.IsZero() { // the first step's compilation says nothing about the others
		c.firstStep, c.firstTime = step, time.Now()
	}
	if c.bar == nil || step < c.total && time.Since(c.shown) < drawInterval {
		return
	}
	c.shown = time.Now()
	c.bar.Describe(fit(c.summary(c.latest, step), c.columns()-barWidth-besideBar))
	c.bar.Set64(min(step, c.total))
}

// Log shows one line of metrics.
func (c *Console) Log(m Metrics) error {
	if m.Split == "" {
		c.latest = m
		c.Step(m.Step)
		if c.bar != nil {
			return nil
		}
	}
	return c.line(strings.Join(c.summary(m, m.Step), "  "))
}

// Note prints one line of text, above the bar if there is one. Control characters in it are made harmless.
func (c *Console) Note(format string, args ...any) error {
	return c.line(Printable(fmt.Sprintf(format, args...)))
}

func (c *Console) line(text string) error {
	if c.bar != nil && c.bar.IsFinished() {
		c.endBar()
	}
	if c.bar != nil {
		c.bar.Clear()
	}
	_, err := fmt.Fprintln(c.out, text)
	if c.bar != nil {
		c.bar.RenderBlank()
	}
	return fault.Wrap(fault.Storage, err, "track: cannot write to the terminal")
}

// endBar leaves the bar as it is and goes on below it, without one.
func (c *Console) endBar() {
	fmt.Fprintln(c.out)
	c.bar = nil
}

// Finish ends the bar's line.
func (c *Console) Finish() error {
	if c.bar != nil {
		c.endBar()
	}
	return nil
}

// summary is what a person wants to see, the most wanted first.
func (c *Console) summary(m Metrics, step int64) []string {
	parts := []string{fmt.Sprintf("step %d/%d", step, c.total)}
	if m.Split != "" {
		parts = append(parts, Printable(m.Split))
	} else if left, ok := c.remaining(step); ok {
		parts = append(parts, "eta "+left.String())
	}
	add := func(format string, value float64) {
		if !math.IsNaN(value) {
			parts = append(parts, fmt.Sprintf(format, value))
		}
	}
	add("loss %.4g", m.Loss)
	add("mlm %.4g", m.MLMLoss)
	add("rtd %.4g", m.RTDLoss)
	add("auc %.3f", m.RTDAUC)
	if m.Split == "" {
		add("lr %.2e", m.LearningRate)
		add("%.0f tokens/s", m.TokensPerS)
	}
	return parts
}

// remaining estimates the time to the end from the steps of this session.
func (c *Console) remaining(step int64) (time.Duration, bool) {
	done := step - c.firstStep
	if done < 1 {
		return 0, false
	}
	each := time.Since(c.firstTime) / time.Duration(done)
	left := each * time.Duration(c.total-step)
	return left.Round(time.Second), left > 0
}

// fit joins as many parts as a line has room for.
func fit(parts []string, columns int) string {
	text := parts[0]
	for _, part := range parts[1:] {
		if utf8.RuneCountInString(text)+2+utf8.RuneCountInString(part) > columns {
			break
		}
		text += "  " + part
	}
	return text
}
