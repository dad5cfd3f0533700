package trainer

import (
	"encoding/json"
	"os"

	"elektron/internal/fault"
)

// WriteProgram writes the training step of phase 1 as StableHLO text, as it is compiled for a TPU or GPU, and beside it
// path.json, its signature. Of a step in several parts there are two programs; the second one goes to path.apply. It
// is written for a number of devices, over which the batch is split.
func (p *Plan) WriteProgram(c *Config, path string, devices int) error {
	on := c.planPlatform()
	options := c.stepOptions(on)
	options.Model.VocabSize = p.VocabSize
	programs, err := options.Programs(c.phases()[0].shape(), c.tracedFor(on, devices))
	if err != nil {
		return err
	}
	for i, program := range programs {
		name := path
		if i > 0 {
			name += ".apply"
		}
		signature, err := json.MarshalIndent(program.Program, "", "  ")
		if err != nil {
			return fault.Wrap(fault.Internal, err, "plan: --program")
		}
		if err := os.WriteFile(name, []byte(program.Text), 0o644); err != nil {
			return fault.Wrap(fault.Storage, err, "plan: --program")
		}
		if err := os.WriteFile(name+".json", append(signature, '\n'), 0o644); err != nil {
			return fault.Wrap(fault.Storage, err, "plan: --program")
		}
	}
	return nil
}
