// Package pjrt runs and compiles StableHLO programs through the C ABI of any PJRT plugin (XLA for CPU, GPU,
// TPU). It is a thin binding that declares the ABI itself and offers what a training loop needs and go-xla
// lacks: donated and aliased state, asynchronous execution, saved executables, compilation for a TPU without
// one, key-value callbacks for programs over several hosts.
//
// Ownership: what a call returns (Client, Buffer, Event, Executable, Topology) belongs to the caller, who
// calls Close on it. Nothing is freed by the garbage collector, so that memory of the device is given back when
// the program says so; Live counts what is still open. The order of closing does not matter: a client goes when
// the last object made from it is closed. Close may be called twice; after it, methods return errors. An object
// may be used by several goroutines at once, but closing it, donating it or awaiting it is for one of them.
//
// Errors carry the plugin's own words as *Error and a fault.Kind: OutOfMemory where the device's memory is full,
// Usage for what the user named wrongly, Internal for a program or options that the compiler does not accept,
// else Device.
package pjrt

import (
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"unsafe"

	"elektron/internal/fault"
)

// entryPoint is the one function that every plugin exports.
const entryPoint = "GetPjrtApi"

// Plugin is a loaded plugin. It stays loaded until the process ends.
type Plugin struct {
	Path         string // absolute, symbolic links resolved
	Major, Minor int    // the version of the ABI that it was built with

	functions []uintptr
}

var (
	pluginsMutex sync.Mutex
	plugins      = map[*apiTable]*Plugin{}
)

// Load loads the plugin at a path and initialises it, once a process: a second call returns the same one.
//
// A file that is no plugin, a damaged one, or a plugin of an ABI that this package does not know is an error of
// kind Device. The plugin's code runs with the user's rights: whoever calls Load has checked where it comes from.
func Load(path string) (*Plugin, error) {
	resolved, err := filepath.Abs(path)
	if err == nil {
		resolved, err = filepath.EvalSymlinks(resolved)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault.New(fault.Device, "plugin %s: there is no such file; give the path of a PJRT plugin", path)
	}
	if err == nil {
		err = checkLibrary(resolved)
	}
	if err != nil {
		return nil, fault.New(fault.Device, "plugin %s: %w", path, err)
	}
	pluginsMutex.Lock()
	defer pluginsMutex.Unlock()
	table, err := entryTable(resolved)
	if err != nil {
		return nil, fault.New(fault.Device, "plugin %s cannot be loaded: %w", path, err)
	}
	if table == nil {
		return nil, fault.New(fault.Device, "plugin %s: %s returned nothing; the plugin is broken, use another", path, entryPoint)
	}
	if p := plugins[table]; p != nil {
		return p, nil
	}
	p, err := initialise(resolved, table)
	if err != nil {
		return nil, fault.Wrap(fault.Device, err, "plugin %s", path)
	}
	plugins[table] = p
	return p, nil
}

// compilerEnvironment is what LoadCompiler sets. The last two say nothing that matters to a named topology; without
// them libtpu prints warnings.
var compilerEnvironment = map[string]string{
	"TPU_SKIP_MDS_QUERY":         "1", // else libtpu waits for Google Cloud's metadata server
	"ALLOW_MULTIPLE_LIBTPU_LOAD": "1", // else it ends a second process that loads it
	"TPU_ACCELERATOR_TYPE":       "v5litepod-4",
	"TPU_WORKER_HOSTNAMES":       "localhost",
}

// LoadCompiler is Load for a plugin that is only to compile ahead of time, on a machine without its devices
// (Plugin.Topology). Before loading, it sets environment variables of this process and of those that it starts,
// where they are not set: TPU_SKIP_MDS_QUERY=1, ALLOW_MULTIPLE_LIBTPU_LOAD=1, TPU_ACCELERATOR_TYPE and
// TPU_WORKER_HOSTNAMES. All of them would be wrong for running on a TPU: a process that does so calls Load.
func LoadCompiler(path string) (*Plugin, error) {
	for name, value := range compilerEnvironment {
		if _, set := os.LookupEnv(name); !set {
			os.Setenv(name, value)
		}
	}
	return Load(path)
}

// initialise checks the version of a plugin's ABI and lets it set itself up.
func initialise(path string, table *apiTable) (*Plugin, error) {
	p := &Plugin{Path: path, Major: int(table.version.major), Minor: int(table.version.minor)}
	switch {
	case p.Major != abiMajor:
		return nil, fault.New(fault.Device, "it speaks PJRT API %s, this binary %d.x; use a plugin built for version %d",
			p.Version(), abiMajor, abiMajor)
	case p.Minor < abiMinor:
		return nil, fault.New(fault.Device, "it speaks PJRT API %s, this binary needs %d.%d or later; use a newer plugin",
			p.Version(), abiMajor, abiMinor)
	}
	known := (table.structSize - unsafe.Offsetof(table.functions)) / unsafe.Sizeof(table.functions[0])
	if table.structSize < unsafe.Offsetof(table.functions) || int(known) <= fnErrorGetCode.slot {
		return nil, fault.New(fault.Device, "its table of functions is %d bytes long; the plugin is broken, use another", table.structSize)
	}
	p.functions = clone(&table.functions[0], min(known, maxFunctions))
	return p, wrap(fault.Device, call(p, fnPluginInitialize, &head{}), "initialising it")
}

// Version is the version of the ABI that the plugin was built with, such as 0.116.
func (p *Plugin) Version() string { return fmt.Sprintf("%d.%d", p.Major, p.Minor) }

// Attributes are what the plugin says of itself, such as xla_version and stablehlo_current_version (a list).
// Values are string, int64, []int64, float32 or bool.
func (p *Plugin) Attributes() (map[string]any, error) {
	args := &pluginAttributesArgs{}
	if err := call(p, fnPluginAttributes, args); err != nil {
		return nil, wrap(fault.Device, err, "asking the plugin %s for its attributes", p.Path)
	}
	return values(args.list, args.count), nil
}

// checkLibrary looks at a file before it is loaded: the dynamic linker's words on a file that is no library are
// hard to read, one that is cut off could end the process, and one that is no plugin would run its initialisers.
// Only Linux's format is looked into; elsewhere the linker decides.
func checkLibrary(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return errors.New("this is no file; give the path of a PJRT plugin")
	}
	if runtime.GOOS != "linux" {
		return nil
	}
	library, err := elf.Open(path)
	if err != nil {
		return fmt.Errorf("this is no shared library, or one that is damaged or cut off: %w; give the path of a PJRT plugin", err)
	}
	defer library.Close()
	symbols, err := library.DynamicSymbols()
	if err != nil {
		return fmt.Errorf("its symbols cannot be read: %w; give the path of a PJRT plugin", err)
	}
	for _, s := range symbols {
		if s.Name == entryPoint && s.Section != elf.SHN_UNDEF {
			return nil
		}
	}
	return fmt.Errorf("this is no PJRT plugin: it does not export %s; give the path of one", entryPoint)
}
