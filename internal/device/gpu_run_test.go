package device_test

import (
	"math"
	"testing"

	"elektron/internal/device"
	"elektron/internal/device/devicetest"
	"elektron/internal/platform"
)

// T4: where there is an NVIDIA GPU with the plugin installed, it goes the way that the pure-Go platform goes.
func TestGPUFollows(t *testing.T) {
	gpu := devicetest.Open(t, platform.GPU)
	want, wantLosses := follow(t, devicetest.Open(t, platform.Go))
	got, losses := follow(t, gpu)
	for i := range want {
		if math.Abs(float64(got[i]-want[i])) > 1e-5 {
			t.Errorf("weights %v, on the pure-Go platform %v", got, want)
			break
		}
	}
	for i := range wantLosses {
		if math.Abs(float64(losses[i]-wantLosses[i])) > 1e-5 {
			t.Errorf("losses %v, on the pure-Go platform %v", losses, wantLosses)
			break
		}
	}
	t.Log(gpu.Description)
}

// Half of a GPU's memory, taken when it is needed, is enough for a small program.
func TestGPUMemory(t *testing.T) {
	devicetest.Open(t, platform.GPU) // or skips
	d, err := device.Open(t.Context(), device.Options{Platform: platform.GPU, Offline: true,
		GPU: device.GPUOptions{MemoryFraction: 0.5, OnDemand: true}})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	follow(t, d)
}
