package platform

import (
	"context"
	"errors"
)

// Choice is a platform and the plugin that drives it.
type Choice struct {
	Platform string // CPU, GPU, TPU or Go
	Plugin   Plugin // none for Go
	Origin   string // of the plugin, for people
	// Dispensable says that the platform was taken for want of a better one: where it cannot be opened, pure Go will do.
	Dispensable bool
}

// Choose finds the platform that o asks for and its plugin, which is installed if it is missing and the network is
// allowed. Nothing is opened yet.
//
// Errors are of kind Usage (no such platform), Device (no such hardware; a plugin that is missing, damaged or unfit) or
// Storage (the plugin cache cannot be written).
func Choose(ctx context.Context, o Options) (Choice, error) {
	if err := o.prepare(); err != nil {
		return Choice{}, err
	}
	if o.Plugin != "" {
		return chooseNamed(o)
	}
	switch o.Platform {
	case Go:
		return Choice{Platform: Go}, nil
	case Auto:
		return chooseAuto(ctx, o)
	}
	if err := o.store.host.require(o.Platform); err != nil {
		return Choice{}, err
	}
	return choosePinned(ctx, o)
}

// choosePinned takes o.Platform with the plugin that is pinned for it.
func choosePinned(ctx context.Context, o Options) (Choice, error) {
	if err := requireXLA(o.Platform); err != nil {
		return Choice{}, err
	}
	p, err := o.store.pin(o.Platform)
	if err != nil {
		return Choice{}, err
	}
	found, err := o.store.obtain(ctx, p, o.Offline, o.Progress)
	if err != nil {
		return Choice{}, err
	}
	return Choice{Platform: o.Platform, Plugin: found, Origin: p.String()}, nil
}

// chooseNamed takes the plugin that the user named.
func chooseNamed(o Options) (Choice, error) {
	if err := requireXLA(o.Platform); err != nil {
		return Choice{}, err
	}
	plugin, err := named(o.Plugin)
	if err != nil {
		return Choice{}, err
	}
	return Choice{Platform: o.Platform, Plugin: plugin, Origin: "from --plugin"}, nil
}

// chooseAuto takes the fastest platform that this machine has. Hardware that is there but cannot be used is an error,
// not a reason to train on something fifty times slower without a word.
func chooseAuto(ctx context.Context, o Options) (Choice, error) {
	if reason := requireXLA(CPU); reason != nil {
		WarnOfGo(o.Progress, reason)
		return Choice{Platform: Go}, nil
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
		return choosePinned(ctx, o)
	}
	o.Platform = CPU
	chosen, err := choosePinned(ctx, o)
	chosen.Dispensable = true
	var damaged *damagedError
	switch {
	case err == nil:
		return chosen, nil
	case ctx.Err() != nil, errors.As(err, &damaged):
		return Choice{}, err
	}
	WarnOfGo(o.Progress, err)
	return Choice{Platform: Go}, nil
}

// WarnOfGo says what it costs to go on in pure Go, and why it must be.
func WarnOfGo(progress func(string), reason error) {
	progress("warning: training on the pure-Go backend, about 12 to 50 times slower than XLA (GOEXPERIMENT=simd makes it about 12 times faster): " + reason.Error())
}
