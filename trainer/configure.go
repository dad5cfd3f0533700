package trainer

import (
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"elektron/internal/settings"
	"elektron/trainer/checkpoint"
)

// configure resolves the layers: defaults, preset and recipe, file, --set, named flags. Preset and recipe may
// be named by the flag or in the file.
func configure(c *cli.Context) (*Config, *settings.Settings, error) {
	return resolve(c, func(*Config, *settings.Settings) error { return nil })
}

// configureRun is configure for a run. One that lies in the output folder goes on as it was configured: what
// it wrote down is a layer above the preset. A --config takes its place.
func configureRun(c *cli.Context) (*Config, *settings.Settings, error) {
	if c.String("config") != "" {
		return configure(c)
	}
	return resolve(c, goOn)
}

// resolve applies the layers; earlier may add one when all that the command line says is known.
func resolve(c *cli.Context, earlier func(*Config, *settings.Settings) error) (*Config, *settings.Settings, error) {
	config := defaults()
	s := settings.New(&config)
	var problems settings.Problems
	if path := c.String("config"); path != "" {
		problems.Add(s.LoadYAML(path))
	}
	problems.Add(s.Set(c.StringSlice("set")...))
	for _, f := range namedFlags {
		if name := f.flag.Names()[0]; c.IsSet(name) {
			problems.Add(s.Apply(settings.Flag, "--"+name, map[string]any{f.key: flagValue(c, f.flag)}))
		}
	}
	problems.Add(earlier(&config, s))
	if err := problems.Err(); err != nil {
		return nil, nil, err
	}
	if err := applyPreset(&config, s); err != nil {
		return nil, nil, err
	}
	return &config, s, config.Validate()
}

func flagValue(c *cli.Context, flag cli.Flag) any {
	name := flag.Names()[0]
	if _, list := flag.(*cli.StringSliceFlag); list {
		return c.StringSlice(name)
	}
	return c.Value(name)
}

// goOn applies the configuration of the run in run.out, if one lies there that has come to a checkpoint. A
// preset or recipe that is named and is not that run's stands for all its values: the run's are then left
// aside, and what contradicts its checkpoint is refused when that is read.
func goOn(config *Config, s *settings.Settings) error {
	path := configFile(config.Run.Out)
	saved, err := checkpoint.List(checkpointFolder(config.Run.Out))
	if err != nil || len(saved) == 0 || !exists(path) {
		return nil // a folder that cannot be read is refused when it is locked
	}
	earlier := defaults()
	written := settings.New(&earlier)
	if err := written.LoadWritten(path); err != nil {
		return err
	}
	if s.Origin("preset") != "default" && config.Preset != earlier.Preset || s.Origin("recipe") != "default" && config.Recipe != earlier.Recipe {
		return nil
	}
	except := []string{"run.out", "run.resume"} // the run lies where it was found; resume is about one session
	if s.Origin("run.steps") != "default" && config.Run.Steps != earlier.Run.Steps {
		for _, key := range []string{"optim.warmup_steps", "phase2.steps", "phase2.warmup_steps"} {
			if strings.Contains(written.Origin(key), "(recipe ") { // in proportion to the steps then: now to these
				except = append(except, key)
			}
		}
	}
	return s.LoadWritten(path, except...)
}

// configFile is where a run keeps its resolved configuration.
func configFile(out string) string { return filepath.Join(out, "config.yaml") }
