package pjrt

import (
	"strconv"
	"strings"
	"sync/atomic"

	"elektron/internal/fault"
)

// Topology describes devices that need not be there, to compile for them ahead of time.
type Topology struct {
	Name            string
	PlatformName    string
	PlatformVersion string
	Devices         []DeviceDescription // of all hosts

	plugin     *Plugin
	handle     handle
	references atomic.Int64
	closed     atomic.Bool
}

// Topology makes a topology by its name, such as v5e:2x2 for libtpu. A name that the plugin does not know is an
// error of kind Usage. Load the plugin with LoadCompiler where the devices are not there.
func (p *Plugin) Topology(name string, o Options) (*Topology, error) {
	if err := checkTopologyName(name); err != nil {
		return nil, err
	}
	var pins pinner
	defer pins.Unpin()
	args := &topologyCreateArgs{name: pins.text(name), nameSize: uintptr(len(name))}
	var err error
	if args.options, args.numOptions, err = o.encode(&pins); err != nil {
		return nil, err
	}
	if err := call(p, fnTopologyCreate, args); err != nil {
		kind := fault.Device
		if code := CodeOf(err); code == InvalidArgument || code == NotFound {
			kind = fault.Usage
		}
		return nil, wrap(kind, err, "topology %q", name)
	}
	t := &Topology{Name: name, plugin: p, handle: args.topology}
	t.references.Store(1)
	live.topologies.Add(1)
	if err := t.describe(); err != nil {
		t.Close()
		return nil, wrap(fault.Device, err, "topology %q", name)
	}
	return t, nil
}

// maxTopology is more chips than any slice has; a topology of many more would take all memory.
const maxTopology = 1 << 16

// checkTopologyName refuses names that plugins do not survive: libtpu divides by the lengths of the axes. It takes
// an empty name for the oldest of TPUs, which is never what was meant.
func checkTopologyName(name string) error {
	chips := 1
	for length := range strings.SplitSeq(name[strings.LastIndexAny(name, ":=_")+1:], "x") {
		n, err := strconv.Atoi(length)
		if err != nil {
			n = 1 // no length: the plugin says so in its own words
		}
		chips *= min(max(n, 0), maxTopology+1)
		chips = min(chips, maxTopology+1)
	}
	if name == "" || chips == 0 || chips > maxTopology {
		return fault.New(fault.Usage, "topology %q: give a kind of device and how many there are along each axis, each at least 1 and at most %d together, such as v5e:2x2",
			name, maxTopology)
	}
	return nil
}

func (t *Topology) describe() (err error) {
	if t.PlatformName, err = t.plugin.text(fnTopologyPlatformName, t.handle); err != nil {
		return err
	}
	if t.PlatformVersion, err = t.plugin.text(fnTopologyPlatformVersion, t.handle); err != nil {
		return err
	}
	descriptions, err := t.plugin.list(fnTopologyDevices, t.handle)
	if err != nil {
		return err
	}
	for _, h := range descriptions {
		d, err := t.plugin.describeDevice(h)
		if err != nil {
			return err
		}
		t.Devices = append(t.Devices, d)
	}
	return nil
}

// Attributes are what the plugin says of the topology.
func (t *Topology) Attributes() (map[string]any, error) {
	if err := t.check(); err != nil {
		return nil, err
	}
	args := &namedListArgs{object: t.handle}
	if err := call(t.plugin, fnTopologyAttributes, args); err != nil {
		return nil, wrap(fault.Device, err, "asking for the attributes of topology %q", t.Name)
	}
	return values(args.list, args.count), nil
}

func (t *Topology) check() error {
	if t.closed.Load() {
		return fault.New(fault.Internal, "the PJRT topology %q is closed", t.Name)
	}
	return nil
}

// Close frees it once what was compiled for it is closed too.
func (t *Topology) Close() {
	if !t.closed.Swap(true) {
		t.unref()
	}
}

func (t *Topology) unref() {
	if t.references.Add(-1) == 0 {
		t.plugin.destroy(fnTopologyDestroy, t.handle)
		live.topologies.Add(-1)
	}
}
