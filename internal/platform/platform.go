// Package platform turns --platform into a GoMLX backend: it finds the hardware, obtains and checks the
// PJRT plugin that drives it, and opens it.
//
// A plugin is native code that runs with the user's rights. So only two kinds are ever loaded: one whose
// SHA-256 is pinned in this package (see pins.go), and one that the user names with --plugin.
package platform

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"elektron/internal/fault"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/gobackend"
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

// Options says which device to open. The zero value means: auto, one device on a CPU, network allowed.
type Options struct {
	Platform string       // one of Names; empty means auto
	Plugin   string       // path of a PJRT plugin to use instead of the pinned one
	Offline  bool         // never touch the network
	Devices  int          // XLA CPU only: how many devices the processor poses as; 0 means 1
	Progress func(string) // told, in one line each, what takes long and what is lost; may be nil

	store *store // tests put their own plugin cache, fetchers and hardware here
}

// Device is an open backend and what is known of it. Close releases it.
type Device struct {
	Backend     compute.Backend
	Platform    string // CPU, GPU, TPU or Go: what auto came to
	Description string // for people, one line
	PluginPath  string // absolute; empty for Go
	PluginHash  string // SHA-256 in hex: the pinned one, or for --plugin that of the file; empty for Go
	NumDevices  int

	release func()
}

// Close releases the device's memory; buffers and executables made from Backend are invalid afterwards.
func (d *Device) Close() {
	if d == nil || d.release == nil {
		return
	}
	d.release()
	d.release = nil
}

// Open opens the platform that o asks for, installing the pinned CPU or TPU plugin first where it is
// missing and the network is allowed.
//
// Errors are of kind Usage (no such platform), Device (no such hardware; a plugin that is missing, damaged
// or unfit) or Storage (the plugin cache cannot be written).
func Open(ctx context.Context, o Options) (*Device, error) {
	if err := o.prepare(); err != nil {
		return nil, err
	}
	if o.Plugin != "" {
		return openNamed(o)
	}
	switch o.Platform {
	case Go:
		return openGo()
	case Auto:
		return openAuto(ctx, o)
	}
	if err := o.store.host.require(o.Platform); err != nil {
		return nil, err
	}
	return openPinned(ctx, o)
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
	if o.Devices < 0 {
		return fault.New(fault.Usage, "--platform: cannot open %d devices; give 1 or more", o.Devices)
	}
	if o.Devices == 0 {
		o.Devices = 1
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

// openGo opens the pure-Go backend, which needs nothing.
func openGo() (*Device, error) {
	// Run in parallel, the operations of a large graph can wait for each other's workers for ever.
	backend, err := gobackend.New("ops_sequential")
	if err != nil {
		return nil, fault.Wrap(fault.Device, err, "opening the pure-Go backend")
	}
	return &Device{
		Backend: backend, Platform: Go, NumDevices: 1,
		Description: "pure Go, 1 device (no XLA)",
		release:     backend.Finalize,
	}, nil
}

// openPinned opens o.Platform with the plugin that is pinned for it.
func openPinned(ctx context.Context, o Options) (*Device, error) {
	if err := requireXLA(o.Platform); err != nil {
		return nil, err
	}
	p, err := o.store.pin(o.Platform)
	if err != nil {
		return nil, err
	}
	found, err := o.store.obtain(ctx, p, o.Offline, o.Progress)
	if err != nil {
		return nil, err
	}
	return load(o, found, p.String())
}

// openNamed opens the plugin that the user named.
func openNamed(o Options) (*Device, error) {
	if err := requireXLA(o.Platform); err != nil {
		return nil, err
	}
	plugin, err := named(o.Plugin)
	if err != nil {
		return nil, err
	}
	return load(o, plugin, "from --plugin")
}

// load hands a plugin to XLA and describes what it opened.
func load(o Options, plugin Plugin, origin string) (*Device, error) {
	path, forget, err := aliasFor(o.Platform, plugin.Path)
	if err != nil {
		return nil, err
	}
	d := &Device{Platform: o.Platform, PluginPath: plugin.Path, PluginHash: plugin.Hash}
	err = fault.Catch(fmt.Sprintf("opening the %s plugin %s", strings.ToUpper(o.Platform), plugin.Path), func() error {
		d.Backend, err = openXLA(o.Platform, path, o.Devices)
		return err
	})
	if err != nil {
		forget()
		return nil, fault.Wrap(fault.Device, err, "platform")
	}
	d.NumDevices = d.Backend.NumDevices()
	d.Description = fmt.Sprintf("XLA %s, %s, plugin %s", strings.ToUpper(o.Platform), quantity(d.NumDevices, "device"), origin)
	d.release = func() { d.Backend.Finalize(); forget() }
	return d, nil
}
