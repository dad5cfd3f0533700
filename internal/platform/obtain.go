package platform

import (
	"context"

	"elektron/internal/fault"
)

// Obtain finds the file of a platform's plugin, for whoever loads it without its hardware, as a compiler. It is the
// one that o.Plugin names, else the pinned one, which is installed where it is missing and the network is allowed.
//
// Errors are of kind Usage (auto or go, which have no plugin), Device (a plugin that is missing, damaged or unfit) or
// Storage (the plugin cache cannot be written).
func Obtain(ctx context.Context, o Options) (Plugin, error) {
	if err := o.prepare(); err != nil {
		return Plugin{}, err
	}
	if o.Platform == Auto || o.Platform == Go {
		return Plugin{}, fault.New(fault.Usage, "--platform: %q has no plugin of its own; name cpu, gpu or tpu", o.Platform)
	}
	if o.Plugin != "" {
		return named(o.Plugin)
	}
	p, err := o.store.pin(o.Platform)
	if err != nil {
		return Plugin{}, err
	}
	return o.store.obtain(ctx, p, o.Offline, o.Progress)
}

// named is the plugin that the user named. It is not held to a hash: naming it is the permission.
func named(path string) (Plugin, error) {
	if err := checkLibrary(path); err != nil {
		return Plugin{}, fault.New(fault.Device, "--plugin %s: %v", path, err)
	}
	hash, err := hashFile(path)
	if err != nil {
		return Plugin{}, fault.Wrap(fault.Device, err, "--plugin %s", path)
	}
	return Plugin{Path: path, Hash: hash}, nil
}
