package trainer

import (
	"encoding/json"
	"fmt"

	"github.com/urfave/cli/v2"

	"elektron/internal/fault"
	"elektron/internal/platform"
)

// PlanCommand is `elektron plan`.
func PlanCommand() *cli.Command {
	return &cli.Command{
		Name:  "plan",
		Usage: "tell a run's parameters, FLOPs, memory and hours, without a device; compile for a TPU or GPU without one",
		Description: `Parameters by part, useful FLOPs, tokens and memory of every phase, and hours at a speed that you give.
Nothing is downloaded, read or written but a --vocab file, whose size counts. Examples:
   elektron plan --preset base --recipe lamb-two-phase
   elektron plan --preset small --tokens-per-s 50000
   elektron plan --preset large --mfu 0.4 --peak-tflops 1576 --json

With --topology the training step is compiled for that TPU, ahead of time and without one (a minute or several; the
compiler, 205 MB, is fetched once): whether it fits and which batch does, cycles, time, tokens a second, MFU, the
costliest operations. Known: ` + knownTopologies + `.
   elektron plan --preset small --batch-size 128 --topology v5e:2x2
For GPUs, one or several as in h100:8, it is whether the step fits and which batch does, where the GPU's plugin is
installed (elektron platform install gpu). Known: ` + knownGPUs + `.`,
		Flags: append(configFlags(),
			&cli.Float64Flag{Name: "tokens-per-s", Usage: "speed: tokens a second over all devices"},
			&cli.Float64Flag{Name: "mfu", Usage: "speed: share of the devices' peak that useful FLOPs take, 0 to 1"},
			&cli.Float64Flag{Name: "peak-tflops", Usage: "peak of all devices together, in 1e12 FLOPs a second (197 for one TPU v5e)"},
			&cli.StringFlag{Name: "topology", Usage: "TPU slice or GPUs to compile for, such as v5e:2x2 or h100"},
			&cli.StringFlag{Name: "program", Usage: "file for the step's StableHLO text; its signature goes to FILE.json"},
			&cli.StringFlag{Name: "hlo", Usage: "with --topology: file for the compiled program, an HLO proto"},
			&cli.BoolFlag{Name: "json", Usage: "print one JSON object"}),
		Action: runPlan,
	}
}

func runPlan(c *cli.Context) error {
	if err := checkPlanFlags(c); err != nil {
		return err
	}
	config, _, err := configure(c)
	if err != nil {
		return err
	}
	if c.IsSet("topology") {
		config.Run.Platform = platform.TPU
		if _, _, known := gpuOf(c.String("topology")); known {
			config.Run.Platform = platform.GPU
		}
	}
	p, err := MakePlan(config, Speed{TokensPerS: c.Float64("tokens-per-s"), MFU: c.Float64("mfu"), PeakFLOPs: 1e12 * c.Float64("peak-tflops")})
	if err != nil {
		return err
	}
	if c.IsSet("topology") {
		o := TopologyOptions{Name: c.String("topology"), HLO: c.String("hlo"), Progress: func(text string) { fmt.Fprintln(c.App.ErrWriter, text) }}
		if err := p.AddTopology(c.Context, config, o); err != nil {
			return err
		}
	}
	if path := c.String("program"); path != "" {
		devices := 1
		if p.Topology != nil {
			devices = p.Topology.Devices
		}
		if err := p.WriteProgram(config, path, devices); err != nil {
			return err
		}
	}
	if c.Bool("json") {
		return json.NewEncoder(c.App.Writer).Encode(p)
	}
	return p.WriteText(c.App.Writer)
}

// checkPlanFlags refuses flags that mean nothing, alone or together.
func checkPlanFlags(c *cli.Context) error {
	for _, name := range []string{"tokens-per-s", "mfu", "peak-tflops"} {
		if !c.IsSet(name) {
			continue
		}
		if !(c.Float64(name) > 0) {
			return fault.New(fault.Usage, "plan: --%s is %g; it must be positive", name, c.Float64(name))
		}
		if c.IsSet("topology") {
			return fault.New(fault.Usage, "plan: --topology gives the speed; leave out --%s", name)
		}
	}
	if c.IsSet("hlo") && !c.IsSet("topology") {
		return fault.New(fault.Usage, "plan: --hlo writes what the compiler makes; name what it compiles for with --topology v5e:2x2")
	}
	return nil
}
