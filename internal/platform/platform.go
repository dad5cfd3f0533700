// Package platform turns --platform into a plugin: it finds the hardware, and obtains and checks the PJRT plugin that
// drives it. internal/device opens it.
//
// A plugin is native code that runs with the user's rights. So only two kinds are ever loaded: one whose
// SHA-256 is pinned in this package (see pins.go), and one that the user names with --plugin.
package platform

import (
	"path/filepath"
	"slices"
	"strings"

	"elektron/internal/fault"
)

// The platforms, as --platform takes them.
const (
	Auto = "auto" // the first of TPU, GPU, CPU that this machine has; the pure-Go backend last
	CPU  = "cpu"  // XLA on the processor
	GPU  = "gpu"  // XLA on NVIDIA GPUs
	TPU  = "tpu"  // XLA on Cloud TPUs
	Go   = "go"   // GoMLX's pure-Go backend: no plugin, no C compiler, slow
)

// Names lists the values of --platform, in the order of the help text.
var Names = []string{Auto, CPU, GPU, TPU, Go}

// Options say which platform to take. The zero value means: auto, network allowed.
type Options struct {
	Platform string       // one of Names; empty means auto
	Plugin   string       // path of a PJRT plugin to use instead of the pinned one
	Offline  bool         // never touch the network
	Progress func(string) // told, in one line each, what takes long and what is lost; may be nil

	store *store // tests put their own plugin cache, fetchers and hardware here
}

// prepare fills in the plugin cache and all else that was left out.
func (o *Options) prepare() error {
	if o.store == nil {
		s, err := defaultStore()
		if err != nil {
			return err
		}
		o.store = s
	}
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	return o.check()
}

// check fills in what was left out and refuses what makes no sense.
func (o *Options) check() error {
	o.Platform = strings.ToLower(strings.TrimSpace(o.Platform))
	if o.Platform == "" {
		o.Platform = Auto
	}
	if !slices.Contains(Names, o.Platform) {
		return fault.New(fault.Usage, "--platform: %q is none of %s", o.Platform, strings.Join(Names, ", "))
	}
	if o.Plugin == "" {
		return nil
	}
	path, err := filepath.Abs(o.Plugin)
	if err != nil {
		return fault.Wrap(fault.Usage, err, "--plugin %s", o.Plugin)
	}
	o.Plugin = path
	return o.settlePluginPlatform()
}

// settlePluginPlatform decides what a plugin named with --plugin drives when --platform leaves it open.
func (o *Options) settlePluginPlatform() error {
	switch o.Platform {
	case Go:
		return fault.New(fault.Usage, "--plugin %s: the pure-Go platform takes no plugin; leave out --plugin or --platform=go", o.Plugin)
	case Auto:
		guess := platformOfName(filepath.Base(o.Plugin))
		if guess == "" {
			return fault.New(fault.Usage, "--plugin %s: its name does not tell what it drives; add --platform=cpu, gpu or tpu", o.Plugin)
		}
		o.Platform = guess
	}
	return nil
}

// platformOfName guesses a plugin's platform by its file name, empty if it says nothing.
func platformOfName(name string) string {
	name = strings.ToLower(name)
	for _, word := range []struct{ part, platform string }{
		{"tpu", TPU}, {"cuda", GPU}, {"nvidia", GPU}, {"gpu", GPU}, {"cpu", CPU},
	} {
		if strings.Contains(name, word.part) {
			return word.platform
		}
	}
	return ""
}

// IsProcessor tells whether a platform computes on the processor: it has no units for bfloat16 products.
func IsProcessor(on string) bool { return on == CPU || on == Go }

// AutoDType leaves the type of matrix products to the platform.
const AutoDType = "auto"

// DType is the type of matrix products that a configuration asks for, on a platform: f32 or bf16. AutoDType is bf16 where
// matrix units take it, on TPU and GPU.
func DType(configured, on string) string {
	if configured != AutoDType {
		return configured
	}
	if on == TPU || on == GPU {
		return "bf16"
	}
	return "f32"
}
