package track

import (
	"bytes"
	"fmt"
	"math"
	"regexp"
	"strings"
	"testing"
)

func consoleLine(step int64, split string) Metrics {
	m := Unknown(step)
	m.Split, m.Loss, m.MLMLoss, m.RTDLoss, m.RTDAUC = split, 31.25, 6.0912, 0.481, 0.64
	m.LearningRate, m.TokensPerS = 0.001, 12345.6
	return m
}

func TestConsoleWithoutTerminal(t *testing.T) {
	var out bytes.Buffer
	c := NewConsole(&out, 1000, 0)
	c.Step(5)
	c.Log(consoleLine(10, ""))
	c.Log(consoleLine(10, Valid))
	unknownAUC := consoleLine(20, "")
	unknownAUC.RTDAUC = math.NaN()
	c.Log(unknownAUC)
	c.Note("saved %s", "step-\x1b[2J00000020\nnext")
	c.Finish()
	want := []string{
		`^step 10/1000  (eta \d\S*  )?loss 31\.25  mlm 6\.091  rtd 0\.481  auc 0\.640  lr 1\.00e-03  12346 tokens/s$`,
		`^step 10/1000  valid  loss 31\.25  mlm 6\.091  rtd 0\.481  auc 0\.640$`,
		`^step 20/1000  (eta \d\S*  )?loss 31\.25  mlm 6\.091  rtd 0\.481  lr`,
		"^saved step-\uFFFD\\[2J00000020 next$",
	}
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	if len(lines) != len(want) {
		t.Fatalf("%d lines: %q", len(lines), lines)
	}
	for i, line := range lines {
		if !regexp.MustCompile(want[i]).MatchString(line) {
			t.Errorf("line %q does not match %s", line, want[i])
		}
	}
}

var escapes = regexp.MustCompile("\x1b\\[[0-9]*[A-Za-z]")

func TestConsoleOnTerminal(t *testing.T) {
	for _, columns := range []int{20, 80, 200} {
		var out bytes.Buffer
		c := NewConsole(&out, 50, 0)
		c.showBar(func() int { return columns })
		for step := int64(1); step <= 50; step++ {
			c.shown = c.shown.Add(-drawInterval)
			c.Step(step)
			if step%10 == 0 {
				c.Log(consoleLine(step, ""))
			}
		}
		c.Note("done")
		c.Finish()
		text := escapes.ReplaceAllString(out.String(), "")
		if !strings.Contains(text, "100% "+strings.Repeat("━", barWidth)) || !strings.HasSuffix(text, "\ndone\n") {
			t.Errorf("%d columns: ends with %q", columns, text[max(0, len(text)-200):])
		}
		for _, drawn := range strings.FieldsFunc(text, func(r rune) bool { return r == '\r' || r == '\n' }) {
			if length := len([]rune(drawn)); length > max(columns, 50) {
				t.Errorf("%d columns: a line of %d: %q", columns, length, drawn)
			}
		}
		if got := strings.Contains(text, "tokens/s"); got != (columns == 200) {
			t.Errorf("%d columns: tokens/s shown: %v", columns, got)
		}
	}
}

func TestNoteGoesAboveTheBar(t *testing.T) {
	var out bytes.Buffer
	c := NewConsole(&out, 50, 0)
	c.showBar(func() int { return 80 })
	c.Step(10)
	out.Reset()
	c.Note("saved")
	clear, note, bar := strings.Index(out.String(), "\x1b[2K\r"), strings.Index(out.String(), "saved\n"), strings.Index(out.String(), "━")
	if clear != 0 || note < clear || bar < note {
		t.Errorf("drawn as %q", out.String())
	}
}

func TestEstimate(t *testing.T) {
	c := NewConsole(&bytes.Buffer{}, 100, 40)
	if _, known := c.remaining(40); known {
		t.Error("an estimate before the first step")
	}
	c.Step(41)
	c.firstTime = c.firstTime.Add(-10e9)
	if left, known := c.remaining(51); !known || fmt.Sprint(left) != "49s" {
		t.Errorf("10 steps took 10 s, 49 are left: %v", left)
	}
	if _, known := c.remaining(100); known {
		t.Error("an estimate after the last step")
	}
}
