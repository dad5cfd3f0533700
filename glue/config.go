package glue

import (
	"elektron/internal/platform"
	"elektron/internal/settings"
	"elektron/trainer/optimizer"
)

// Config is everything that decides what `glue` does. Its yaml tags are the keys of --config and --set.
type Config struct {
	Finetune FinetuneConfig   `yaml:"finetune"`
	Squad    SquadConfig      `yaml:"squad"`
	Optim    optimizer.Config `yaml:"optim"`
	Sweep    SweepConfig      `yaml:"sweep"`
	Run      RunConfig        `yaml:"run"`
}

// FinetuneConfig is how a model is fine-tuned on a task. --task-config changes it for single tasks.
type FinetuneConfig struct {
	LR                float64 `yaml:"lr" doc:"peak learning rate; 0 takes that of the model's size: 3e-4 small, 1e-4 base, 5e-5 large"`
	Epochs            float64 `yaml:"epochs" doc:"passes over the training data, also parts of one; 0 takes the task's: 10 for RTE and STS-B, 2 for SQuAD, else 3"`
	BatchSize         int     `yaml:"batch_size" doc:"examples of a step"`
	Warmup            float64 `yaml:"warmup" doc:"share of the steps over which the learning rate rises; it falls to 0 from the first step on, as in the official code"`
	LayerDecay        float64 `yaml:"layer_decay" doc:"factor of the learning rate from a layer to the one below; 0 takes that of the model's size: 0.8 small and base, 0.9 large; 1 is none"`
	LayerDecayVariant string  `yaml:"layer_decay_variant" doc:"correct: the top layer has the factor once; official: twice, as in the published code" oneof:"correct,official"`
	Loss              string  `yaml:"loss" doc:"over a batch: mean, or sum as in the published code" oneof:"mean,sum"`
	Dropout           float64 `yaml:"dropout" doc:"of hidden states, attention probabilities and the head's input"`
	MaxSeqLen         int     `yaml:"max_seq_len" doc:"tokens of an example; longer ones are cut, the longer text of a pair first; 0 takes 128, for SQuAD 512, or what the model has positions for"`
	Shapes            int     `yaml:"shapes" doc:"sequence lengths that examples are padded to, at most; each is a program to compile"`
	DoubleUnordered   bool    `yaml:"double_unordered" doc:"train on both orders of a pair where the task is symmetric (MRPC, STS-B)"`
	EvalsPerEpoch     int     `yaml:"evals_per_epoch" doc:"evaluations on the dev set in an epoch; there is always one after the last step"`
	Choose            string  `yaml:"choose" doc:"weights that are kept of a run: those with the best dev score, or the last ones" oneof:"best,last"`
	InitFromTask      string  `yaml:"init_from_task" doc:"start from the best model of another task instead of the pre-trained one"`
	TrainRows         int     `yaml:"train_rows" doc:"train on so many examples only, drawn at random but always the same; 0 takes all"`
}

// SweepConfig is the grid of --sweep.
type SweepConfig struct {
	LR     []string `yaml:"lr" doc:"learning rates; empty takes three or four around the recipe's for the model's size"`
	Epochs []string `yaml:"epochs" doc:"numbers of epochs; empty takes 3 and 10"`
	Seeds  int      `yaml:"seeds" doc:"runs at each point of the grid"`
}

// RunConfig is what is run, on what device and where results go.
type RunConfig struct {
	Model       string   `yaml:"model" doc:"run folder, checkpoint, or folder in Hugging Face's layout"`
	Vocab       string   `yaml:"vocab" doc:"vocabulary file; empty takes the model's own"`
	FromScratch bool     `yaml:"from_scratch" doc:"random weights of the model's shape instead of its own, others for each seed"`
	DataDir     string   `yaml:"data_dir" doc:"folder of the tasks' folders, also gs://"`
	Tasks       []string `yaml:"tasks" doc:"names of tasks, all, and YAML files that describe own ones"`
	TaskConfig  string   `yaml:"task_config" doc:"YAML file with finetune keys by task, such as rte: {epochs: 20}"`
	Seeds       int      `yaml:"seeds" doc:"runs of each task"`
	Seed        int64    `yaml:"seed" doc:"seed of the first run: of head, data order and dropout"`
	Sweep       bool     `yaml:"sweep" doc:"search learning rate and epochs by dev score first"`
	Ensemble    int      `yaml:"ensemble" doc:"best runs by dev score whose mean output predicts the test set"`
	DType       string   `yaml:"dtype" doc:"type of matrix products; weights and sums are float32; auto is bf16 on TPU and GPU, f32 elsewhere" oneof:"auto,f32,bf16"`
	Platform    string   `yaml:"platform" doc:"device" oneof:"auto,cpu,gpu,tpu,go"`
	Plugin      string   `yaml:"plugin" doc:"path of a PJRT plugin to use instead of the pinned one"`
	Offline     bool     `yaml:"offline" doc:"never touch the network"`
	Out         string   `yaml:"out" doc:"output folder"`
}

// Variants of layer-wise decay, losses and choices.
const (
	decayOfficial = "official"
	lossSum       = "sum"
	chooseBest    = "best"
)

// Defaults is ELECTRA's recipe (Clark et al., 2020, table 7): Adam with an epsilon of 1e-6, as the official code without
// bias correction, and no weight decay.
func Defaults() Config {
	return Config{
		Finetune: FinetuneConfig{BatchSize: 32, Warmup: 0.1, LayerDecayVariant: "correct", Loss: "mean", Dropout: 0.1,
			Shapes: DefaultShapes, DoubleUnordered: true, EvalsPerEpoch: 2, Choose: chooseBest},
		Squad: defaultSquad,
		Optim: optimizer.Config{Name: "adam", Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-6, ClipNorm: 1},
		Sweep: SweepConfig{Seeds: 1},
		Run:   RunConfig{Seeds: 1, Seed: 1, Ensemble: 1, DType: platform.AutoDType, Platform: platform.Auto, Out: "glue-results"},
	}
}

// Validate reports everything that is wrong, as one error of kind fault.Usage.
func (c *Config) Validate() error {
	var p settings.Problems
	r := &c.Run
	if r.Model == "" {
		p.Addf("run.model (--model) is empty; name a run folder, a checkpoint or a folder in Hugging Face's layout")
	}
	if r.Out == "" {
		p.Addf("run.out (--out) is empty; name a folder")
	}
	for _, least := range []struct {
		key   string
		value int
	}{{"run.seeds (--seeds)", r.Seeds}, {"run.ensemble (--ensemble)", r.Ensemble}, {"sweep.seeds", c.Sweep.Seeds}} {
		if least.value < 1 {
			p.Addf("%s is %d; it must be at least 1", least.key, least.value)
		}
	}
	if r.Seed < 0 || r.Seed+int64(max(r.Seeds, c.Sweep.Seeds)) > 1<<32 {
		p.Addf("run.seed is %d; seeds must lie between 0 and 2^32", r.Seed)
	}
	if r.Ensemble > r.Seeds {
		p.Addf("run.ensemble (--ensemble) is %d, but there are %d runs of a task; raise --seeds", r.Ensemble, r.Seeds)
	}
	p.Add(c.Optim.Validate())
	c.Finetune.check(&p, "finetune.")
	c.Squad.check(&p)
	_, err := c.Sweep.grid(0)
	p.Add(err)
	return p.Err()
}

// check reports what is wrong with the values; prefix begins the names of the keys.
func (f *FinetuneConfig) check(p *settings.Problems, prefix string) {
	check := func(ok bool, key string, value any, want string) {
		if !ok {
			p.Addf("%s%s is %v; %s", prefix, key, value, want)
		}
	}
	check(f.LR >= 0, "lr", f.LR, "it must not be negative")
	check(f.Epochs >= 0, "epochs", f.Epochs, "it must not be negative")
	check(f.BatchSize >= 1, "batch_size", f.BatchSize, "it must be at least 1")
	check(f.Warmup >= 0 && f.Warmup <= 1, "warmup", f.Warmup, "it is a share of the steps, from 0 to 1")
	check(f.LayerDecay >= 0 && f.LayerDecay <= 1, "layer_decay", f.LayerDecay, "it must lie between 0 and 1")
	check(f.Dropout >= 0 && f.Dropout < 1, "dropout", f.Dropout, "it must be in [0, 1)")
	check(f.MaxSeqLen == 0 || f.MaxSeqLen >= shortest, "max_seq_len", f.MaxSeqLen, "each text of a pair needs a token: at least 5")
	check(f.Shapes >= 1, "shapes", f.Shapes, "it must be at least 1")
	check(f.EvalsPerEpoch >= 1, "evals_per_epoch", f.EvalsPerEpoch, "it must be at least 1")
	check(f.TrainRows >= 0, "train_rows", f.TrainRows, "it must not be negative")
}
