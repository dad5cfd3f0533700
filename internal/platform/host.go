package platform

import (
	"os"
	"path/filepath"
	"strings"

	"elektron/internal/fault"
)

// host looks for accelerators without loading anything. root is the root of the file system, so that
// tests can show it another machine.
type host struct {
	root string
}

// The ids under which Cloud TPU chips appear on the PCI bus. Google's vendor id alone would not do: its
// virtual network cards and disks carry it too.
const googleVendor = "0x1ae0"

var tpuChips = map[string]string{
	"0x0027": "v2 or v3", "0x005e": "v4", "0x0062": "v5p", "0x0063": "v5e", "0x006f": "v6e", "0x0076": "v7x",
}

// require returns nil where this machine has the hardware of a platform, else one clear sentence.
func (h host) require(platform string) error {
	switch {
	case platform == TPU && h.tpus() == 0:
		return fault.New(fault.Device, "--platform=tpu: this machine has no TPU (no /dev/accel* and no TPU on the PCI bus); run on a Cloud TPU VM, or use --platform=auto")
	case platform == GPU && h.gpus() == 0:
		return fault.New(fault.Device, "--platform=gpu: this machine has no NVIDIA GPU (no /dev/nvidia0 or /dev/dxg); install its driver, or use --platform=auto")
	}
	return nil
}

// tpus counts the TPU chips: those on the PCI bus, else, in a container that does not show the bus, the
// driver's device files.
func (h host) tpus() int {
	chips := 0
	vendors, _ := filepath.Glob(filepath.Join(h.root, "sys/bus/pci/devices/*/vendor"))
	for _, vendor := range vendors {
		if read(vendor) == googleVendor && tpuChips[read(filepath.Join(filepath.Dir(vendor), "device"))] != "" {
			chips++
		}
	}
	if chips > 0 {
		return chips
	}
	return h.count("dev/accel[0-9]*") + h.count("dev/accel/accel[0-9]*")
}

// gpus counts the NVIDIA GPUs; under WSL the one device file /dev/dxg stands for all.
func (h host) gpus() int {
	if n := h.count("dev/nvidia[0-9]*"); n > 0 {
		return n
	}
	return h.count("dev/dxg")
}

func (h host) count(pattern string) int {
	found, _ := filepath.Glob(filepath.Join(h.root, pattern))
	return len(found)
}

func read(path string) string {
	text, _ := os.ReadFile(path)
	return strings.TrimSpace(string(text))
}
