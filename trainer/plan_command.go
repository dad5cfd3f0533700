package trainer

import (
	"encoding/json"

	"github.com/urfave/cli/v2"

	"elektron/internal/fault"
)

// PlanCommand is `elektron plan`.
func PlanCommand() *cli.Command {
	return &cli.Command{
		Name:  "plan",
		Usage: "tell a run's parameters, FLOPs, memory and hours, without a device",
		Description: `Parameters by part, useful FLOPs, tokens and memory of every phase, and hours at a speed that you give.
Nothing is downloaded, read or written but a --vocab file, whose size counts. Examples:
   elektron plan --preset base --recipe lamb-two-phase
   elektron plan --preset small --tokens-per-s 50000
   elektron plan --preset large --mfu 0.4 --peak-tflops 1576 --json`,
		Flags: append(configFlags(),
			&cli.Float64Flag{Name: "tokens-per-s", Usage: "speed: tokens a second over all devices"},
			&cli.Float64Flag{Name: "mfu", Usage: "speed: share of the devices' peak that useful FLOPs take, 0 to 1"},
			&cli.Float64Flag{Name: "peak-tflops", Usage: "peak of all devices together, in 1e12 FLOPs a second (197 for one TPU v5e)"},
			&cli.StringFlag{Name: "topology", Usage: "TPU slice to compile for (not there yet)"},
			&cli.BoolFlag{Name: "json", Usage: "print one JSON object"}),
		Action: runPlan,
	}
}

func runPlan(c *cli.Context) error {
	if c.IsSet("topology") {
		return fault.New(fault.Usage, "plan: --topology %s: compiling for a TPU is not there yet; leave it out for parameters, FLOPs, memory and hours", c.String("topology"))
	}
	for _, name := range []string{"tokens-per-s", "mfu", "peak-tflops"} {
		if c.IsSet(name) && !(c.Float64(name) > 0) {
			return fault.New(fault.Usage, "plan: --%s is %g; it must be positive", name, c.Float64(name))
		}
	}
	config, _, err := configure(c)
	if err != nil {
		return err
	}
	p, err := MakePlan(config, Speed{TokensPerS: c.Float64("tokens-per-s"), MFU: c.Float64("mfu"), PeakFLOPs: 1e12 * c.Float64("peak-tflops")})
	if err != nil {
		return err
	}
	if c.Bool("json") {
		return json.NewEncoder(c.App.Writer).Encode(p)
	}
	return p.WriteText(c.App.Writer)
}
