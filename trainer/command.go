package trainer

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/urfave/cli/v2"

	"elektron/model"
)

// namedFlags are the flags that set a configuration key each; every other key is set with --set.
var namedFlags = []struct {
	flag cli.Flag
	key  string
}{
	{&cli.StringFlag{Name: "preset", Usage: "model size: " + strings.Join(model.PresetNames(), ", ")}, "preset"},
	{&cli.StringFlag{Name: "recipe", Usage: "how it is trained: paper, lamb or lamb-two-phase"}, "recipe"},
	{&cli.StringFlag{Name: "platform", Usage: "device: auto, cpu, gpu, tpu or go (pure Go, no plugin)"}, "run.platform"},
	{&cli.StringFlag{Name: "plugin", Usage: "path of a PJRT plugin to use instead of the pinned one"}, "run.plugin"},
	{&cli.BoolFlag{Name: "offline", Usage: "never touch the network"}, "run.offline"},
	{&cli.StringSliceFlag{Name: "data", Usage: "text files, globs, folders, or a folder of shards (default: the Go installation's doc comments)"}, "data.paths"},
	{&cli.StringFlag{Name: "vocab", Usage: "vocabulary file (default: one is trained)"}, "data.vocab"},
	{&cli.StringFlag{Name: "out", Usage: "output folder"}, "run.out"},
	{&cli.StringFlag{Name: "devices", Usage: "on cpu: how many devices the processor poses as"}, "run.devices"},
	{&cli.StringFlag{Name: "steps-per-dispatch", Usage: "steps that the devices are given at once (default 16 on TPU and GPU, 1 elsewhere)"}, "run.steps_per_dispatch"},
	{&cli.StringFlag{Name: "steps", Usage: "training steps in all"}, "run.steps"},
	{&cli.StringFlag{Name: "batch-size", Usage: "examples of a step, over all devices"}, "data.batch_size"},
	{&cli.StringFlag{Name: "seq-len", Usage: "tokens of an example, 8 to 512"}, "data.seq_len"},
	{&cli.StringFlag{Name: "seed", Usage: "of weights, data order, masks, dropout and sampling"}, "run.seed"},
	{&cli.StringFlag{Name: "dtype", Usage: "type of matrix products: auto (bf16 on TPU and GPU, f32 elsewhere), f32 or bf16"}, "run.dtype"},
	{&cli.StringFlag{Name: "optimizer", Usage: "lamb or adam"}, "optim.name"},
	{&cli.StringFlag{Name: "encoder", Usage: "encoder architecture: " + strings.Join(model.EncoderNames(), ", ")}, "model.encoder"},
	{&cli.BoolFlag{Name: "remat", Usage: "compute layers again for the gradient instead of keeping them: less memory, a third more work"}, "run.remat"},
	{&cli.StringFlag{Name: "accumulate", Usage: "parts that a batch is computed in, one after the other: less memory, the same step"}, "run.accumulate"},
	{&cli.StringFlag{Name: "resume", Usage: "auto, never or must"}, "run.resume"},
}

// configFlags are the flags of every command that takes a whole configuration.
func configFlags() []cli.Flag {
	flags := []cli.Flag{
		&cli.StringFlag{Name: "config", Usage: "YAML file of configuration keys"},
		&cli.StringSliceFlag{Name: "set", Usage: "set any configuration key, as optim.lr=2e-3 (again for more; --print-config lists the keys)"},
	}
	for _, f := range namedFlags {
		flags = append(flags, f.flag)
	}
	return flags
}

// PretrainCommand is `elektron pretrain`, and what `elektron` alone does.
func PretrainCommand() *cli.Command {
	return &cli.Command{
		Name:  "pretrain",
		Usage: "pre-train a model (the default command)",
		Description: `Examples:
   elektron                                                 a small model on Go's own doc comments, in minutes
   elektron --preset small --data corpus/ --vocab vocab.txt --batch-size 64 --out run
   elektron --config run.yaml --set optim.lr=1e-3

Running the same command again goes on from the newest checkpoint of --out. So does naming that folder alone:
   elektron --out run --steps 4000
takes everything else from run/config.yaml, unless --config names another file.`,
		Flags: append(configFlags(),
			&cli.BoolFlag{Name: "dry-run", Usage: "check the configuration and print what would run; touch nothing"},
			&cli.BoolFlag{Name: "print-config", Usage: "print every key with its value and where it comes from"}),
		Action: func(c *cli.Context) error {
			config, s, err := configureRun(c)
			if err != nil {
				return err
			}
			if c.Bool("print-config") {
				return s.Write(c.App.Writer)
			}
			if c.Bool("dry-run") {
				return dryRun(c, config)
			}
			ctx, stop := UntilSignal(c.Context)
			defer stop()
			return Pretrain(ctx, config, s, c.App.ErrWriter, c.App.Writer)
		},
	}
}

// UntilSignal ends the context at the first SIGINT or SIGTERM; the second one kills the process as usual.
func UntilSignal(parent context.Context) (context.Context, func()) {
	ctx, stop := signal.NotifyContext(parent, os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	return ctx, stop
}

// dryRun says what a run would be, without touching device, network or disk.
func dryRun(c *cli.Context, config *Config) error {
	p, err := MakePlan(config, Speed{})
	if err != nil {
		return err
	}
	if err := p.WriteText(c.App.Writer); err != nil {
		return err
	}
	fmt.Fprintf(c.App.Writer, "output in %s\n", config.Run.Out)
	return nil
}

// BenchCommand is `elektron bench`.
func BenchCommand() *cli.Command {
	return &cli.Command{
		Name:  "bench",
		Usage: "time the full training step on random ids",
		Description: `Prints one JSON object. Times are wall-clock seconds of single steps after the first; first_step_s
holds tracing, compiling and one step.`,
		Flags: append(configFlags(), &cli.BoolFlag{Name: "json", Usage: "print one JSON object (always so)"}),
		Action: func(c *cli.Context) error {
			config, s, err := configure(c)
			if err != nil {
				return err
			}
			if strings.HasPrefix(s.Origin("run.steps"), "recipe") {
				config.Run.Steps = benchSteps
			}
			if config.Model.VocabSize == 0 {
				config.Model.VocabSize = bertVocabulary
			}
			result, err := Bench(c.Context, config)
			if err != nil {
				return err
			}
			return json.NewEncoder(c.App.Writer).Encode(result)
		},
	}
}
