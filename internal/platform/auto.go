package platform

import (
	"context"
	"errors"
)

// openAuto takes the fastest platform that this machine has. Hardware that is there but cannot be opened
// is an error, not a reason to train on something fifty times slower without a word.
func openAuto(ctx context.Context, o Options) (*Device, error) {
	if reason := requireXLA(CPU); reason != nil {
		return fallBack(o, reason)
	}
	for _, name := range []string{TPU, GPU} {
		if o.store.host.require(name) != nil {
			continue
		}
		if name == GPU && !o.store.has(GPU) {
			o.Progress("warning: this machine has an NVIDIA GPU, but its plugin is not installed: run `elektron platform install gpu` to use it. Going on with the CPU.")
			continue
		}
		o.Platform = name
		return openPinned(ctx, o)
	}
	o.Platform = CPU
	device, err := openPinned(ctx, o)
	var damaged *damagedError
	switch {
	case err == nil:
		return device, nil
	case ctx.Err() != nil, errors.As(err, &damaged):
		return nil, err
	}
	return fallBack(o, err)
}

// fallBack opens the pure-Go backend and says what that costs.
func fallBack(o Options, reason error) (*Device, error) {
	o.Progress("warning: training on the pure-Go backend, about 12 to 50 times slower than XLA (GOEXPERIMENT=simd makes it about 12 times faster): " + reason.Error())
	return openGo()
}
