package trainer

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/urfave/cli/v2"
	"golang.org/x/term"

	"elektron/dataset/wordpiece"
	"elektron/internal/device"
	"elektron/internal/fault"
	"elektron/internal/platform"
	"elektron/trainer/track"
)

// demoResult is what `demo --json` prints.
type demoResult struct {
	Model    string      `json:"model"`
	Step     int64       `json:"step"`
	Text     string      `json:"text,omitempty"`
	Tokens   []Judgement `json:"tokens,omitempty"`
	FillText string      `json:"fill_text,omitempty"`
	FillIDs  []int32     `json:"fill_ids,omitempty"`
	Fillings []Filling   `json:"fillings,omitempty"`
}

// DemoCommand is `elektron demo`.
func DemoCommand() *cli.Command {
	return &cli.Command{
		Name:      "demo",
		Usage:     "show which words of a sentence look replaced, or fill its masks",
		ArgsUsage: "RUN|CHECKPOINT [TEXT]",
		Description: `The discriminator's probability of having been replaced, a token; on a terminal the text is shaded by it.
--fill asks the generator. An exported folder will do for a run. --http answers both on a page. Examples:
   elektron demo run "the chef ate the meal"
   elektron demo run --fill "the [MASK] cooked the meal"
   elektron demo run --http 127.0.0.1:8080`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "fill", Usage: "text with [MASK] in it, for the generator to fill"},
			&cli.StringFlag{Name: "http", Usage: "serve a page on HOST:PORT until Ctrl-C; without a host, for this machine only"},
			&cli.StringFlag{Name: "vocab", Usage: "vocabulary file (default: the run's own)"},
			&cli.StringFlag{Name: "platform", Value: platform.Go, Usage: "device: auto, cpu, gpu, tpu or go (pure Go: no time to compile)"},
			&cli.StringFlag{Name: "plugin", Usage: "path of a PJRT plugin to use instead of the pinned one"},
			&cli.BoolFlag{Name: "offline", Usage: "never touch the network"},
			&cli.BoolFlag{Name: "json", Usage: "print one JSON object"},
		},
		Action: func(c *cli.Context) error {
			switch serves := c.IsSet("http"); {
			case serves && (c.NArg() != 1 || c.IsSet("fill") || c.Bool("json")):
				return fault.New(fault.Usage, "demo: with --http give a run or checkpoint and no text; the page asks for it")
			case serves:
				return runDemoServer(c)
			case c.NArg() < 1 || c.NArg() > 2 || c.NArg() == 1 && !c.IsSet("fill"):
				return fault.New(fault.Usage, "demo: %d arguments; want a run or checkpoint, and a text, --fill TEXT or --http ADDRESS", c.NArg())
			}
			result, err := runDemo(c)
			if err != nil {
				return err
			}
			if c.Bool("json") {
				return fault.Wrap(fault.Storage, json.NewEncoder(c.App.Writer).Encode(result), "demo")
			}
			return result.write(c.App.Writer, shades(c.App.Writer))
		},
	}
}

// openDemo loads the model that the command names and opens its device.
func openDemo(c *cli.Context) (*Demo, error) {
	m, err := loadForCommand(c, c.Args().First())
	if err != nil {
		return nil, err
	}
	return NewDemo(c.Context, m, device.Options{Platform: c.String("platform"), Plugin: c.String("plugin"), Offline: c.Bool("offline")})
}

func runDemo(c *cli.Context) (*demoResult, error) {
	d, err := openDemo(c)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	r := &demoResult{Model: d.model.Path, Step: d.model.Step, Text: c.Args().Get(1), FillText: c.String("fill")}
	if c.NArg() == 2 {
		if r.Tokens, err = d.Detect(c.Context, r.Text); err != nil {
			return nil, err
		}
	}
	if c.IsSet("fill") {
		r.FillIDs, r.Fillings, err = d.Fill(c.Context, r.FillText)
	}
	return r, err
}

func runDemoServer(c *cli.Context) error {
	listener, err := listenDemo(c.String("http"))
	if err != nil {
		return err
	}
	defer listener.Close()
	d, err := openDemo(c)
	if err != nil {
		return err
	}
	defer d.Close()
	ctx, stop := UntilSignal(c.Context)
	defer stop()
	return d.serve(ctx, listener, c.App.Writer)
}

// shades tells whether colours may be written: on a terminal, unless NO_COLOR is set (no-color.org).
func shades(w io.Writer) bool {
	file, ok := w.(*os.File)
	return ok && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" && term.IsTerminal(int(file.Fd()))
}

func (r *demoResult) write(w io.Writer, shaded bool) error {
	var b strings.Builder
	if len(r.Tokens) > 0 {
		writeJudgements(&b, r.Tokens, shaded)
	}
	for _, f := range r.Fillings {
		fmt.Fprintf(&b, "%s at token %d\n", wordpiece.MaskToken, f.Position)
		for _, c := range f.Candidates {
			fmt.Fprintf(&b, "  %5.1f %%  %s\n", 100*c.Probability, track.Printable(c.Token))
		}
	}
	_, err := io.WriteString(w, b.String())
	return fault.Wrap(fault.Storage, err, "demo")
}

// writeJudgements writes the text with each token shaded, where that is possible, and then a line a token.
func writeJudgements(b *strings.Builder, list []Judgement, shaded bool) {
	text := list[1 : len(list)-1] // without [CLS] and [SEP]
	if shaded {
		for i, j := range text {
			token, continues := strings.CutPrefix(track.Printable(j.Token), wordpiece.ContinuationPrefix)
			if i > 0 && !continues {
				b.WriteByte(' ')
			}
			if !j.Special {
				token = shade(token, j.Probability)
			}
			b.WriteString(token)
		}
		b.WriteString("\n\n")
	}
	for _, j := range text {
		if j.Special { // never replaced in training: there is nothing to say
			fmt.Fprintf(b, "%5s    %-10s %s\n", "-", "", j.Token)
			continue
		}
		fmt.Fprintf(b, "%5.1f %%  %-10s %s\n", 100*j.Probability, strings.Repeat("#", int(10*j.Probability+0.5)), track.Printable(j.Token))
	}
}

// shade puts text on a background from none over yellow to red, in the 6x6x6 colours that every terminal has.
func shade(text string, probability float64) string {
	level := int(10 * probability) // 0 is white, 5 yellow, 10 red
	if level <= 0 {
		return text
	}
	green, blue := 5-max(0, level-5), max(0, 5-level)
	return fmt.Sprintf("\x1b[30;48;5;%dm%s\x1b[0m", 16+36*5+6*green+blue, text)
}
