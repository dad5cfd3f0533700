package glue

import (
	"strings"

	"github.com/urfave/cli/v2"

	"elektron/internal/settings"
	"elektron/trainer"
)

// namedFlags are the flags that set a configuration key each; every other key is set with --set.
var namedFlags = []struct {
	flag cli.Flag
	key  string
}{
	{&cli.StringFlag{Name: "model", Usage: "run folder, checkpoint, or folder in Hugging Face's layout"}, "run.model"},
	{&cli.StringFlag{Name: "vocab", Usage: "vocabulary file (default: the model's own)"}, "run.vocab"},
	{&cli.BoolFlag{Name: "from-scratch", Usage: "random weights of the model's shape, to see what pre-training is worth"}, "run.from_scratch"},
	{&cli.StringFlag{Name: "data-dir", Usage: "folder of the tasks' folders, as scripts/download_glue.sh makes it"}, "run.data_dir"},
	{&cli.StringSliceFlag{Name: "task", Usage: "tasks, with commas between them: " + strings.Join(append(taskNames(), "all (of these)"), ", ") + "; " + strings.Join(spanTaskNames(), ", ") + "; or a .yaml file that describes your own"}, "run.tasks"},
	{&cli.StringFlag{Name: "task-config", Usage: "YAML file with finetune keys by task, such as rte: {epochs: 20}"}, "run.task_config"},
	{&cli.StringFlag{Name: "seeds", Usage: "runs of each task"}, "run.seeds"},
	{&cli.StringFlag{Name: "seed", Usage: "seed of the first run"}, "run.seed"},
	{&cli.BoolFlag{Name: "sweep", Usage: "search learning rate and epochs by dev score first (keys sweep.lr, sweep.epochs)"}, "run.sweep"},
	{&cli.StringFlag{Name: "ensemble", Usage: "best runs whose mean output predicts the test set"}, "run.ensemble"},
	{&cli.StringFlag{Name: "init-from-task", Usage: "start MRPC, STS-B and RTE from the best model of this task (mnli)"}, "finetune.init_from_task"},
	{&cli.StringFlag{Name: "layer-decay-variant", Usage: "correct, or official with the published code's second power for the top layer"}, "finetune.layer_decay_variant"},
	{&cli.StringFlag{Name: "loss", Usage: "of a batch: mean, or sum as in the published code"}, "finetune.loss"},
	{&cli.StringFlag{Name: "max-seq-len", Usage: "tokens of an example; longer ones are cut"}, "finetune.max_seq_len"},
	{&cli.StringFlag{Name: "batch-size", Usage: "examples of a step"}, "finetune.batch_size"},
	{&cli.StringFlag{Name: "dtype", Usage: "type of matrix products: auto (bf16 on TPU and GPU, f32 elsewhere), f32 or bf16"}, "run.dtype"},
	{&cli.StringFlag{Name: "platform", Usage: "device: auto, cpu, gpu, tpu or go (pure Go, no plugin)"}, "run.platform"},
	{&cli.StringFlag{Name: "plugin", Usage: "path of a PJRT plugin to use instead of the pinned one"}, "run.plugin"},
	{&cli.BoolFlag{Name: "offline", Usage: "never touch the network"}, "run.offline"},
	{&cli.StringFlag{Name: "out", Usage: "output folder"}, "run.out"},
}

// Command is `elektron glue`.
func Command() *cli.Command {
	flags := []cli.Flag{
		&cli.StringFlag{Name: "config", Usage: "YAML file of configuration keys"},
		&cli.StringSliceFlag{Name: "set", Usage: "set any configuration key, as finetune.lr=1e-4 (again for more; --print-config lists the keys)"},
		&cli.BoolFlag{Name: "print-config", Usage: "print every key with its value and where it comes from"},
	}
	for _, f := range namedFlags {
		flags = append(flags, f.flag)
	}
	return &cli.Command{
		Name:  "glue",
		Usage: "fine-tune a model on GLUE, SQuAD or your own tasks, evaluate and predict",
		Description: `Writes results.json, results.md, plots, a file of predictions for each task and submission.zip, which the GLUE
server takes, into --out. Running the same command again leaves finished runs alone. Examples:
   elektron glue --model run --data-dir GLUE --task cola,sst2 --seeds 3 --out results
   elektron glue --model run --data-dir GLUE --task all --seeds 5 --out results
   elektron glue --model electra-small-discriminator --data-dir GLUE --task rte --sweep
   elektron glue --model run --task mine.yaml --set finetune.epochs=5`,
		Flags: flags,
		Action: func(c *cli.Context) error {
			config, s, err := configure(c)
			if err != nil {
				return err
			}
			if c.Bool("print-config") {
				return s.Write(c.App.Writer)
			}
			ctx, stop := trainer.UntilSignal(c.Context)
			defer stop()
			return FineTune(ctx, config, s, c.App.ErrWriter, c.App.Writer)
		},
	}
}

// configure resolves the layers: defaults, file, --set, named flags.
func configure(c *cli.Context) (*Config, *settings.Settings, error) {
	config := Defaults()
	s := settings.New(&config)
	var problems settings.Problems
	if path := c.String("config"); path != "" {
		problems.Add(s.LoadYAML(path))
	}
	problems.Add(s.Set(c.StringSlice("set")...))
	for _, f := range namedFlags {
		name := f.flag.Names()[0]
		if !c.IsSet(name) {
			continue
		}
		value := c.Value(name)
		if _, list := f.flag.(*cli.StringSliceFlag); list {
			value = c.StringSlice(name)
		}
		problems.Add(s.Apply(settings.Flag, "--"+name, map[string]any{f.key: value}))
	}
	return &config, s, problems.Err()
}
