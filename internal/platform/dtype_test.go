package platform

import "testing"

// TestDType: what is configured counts; auto is narrow where matrix units are.
func TestDType(t *testing.T) {
	for on, auto := range map[string]string{TPU: "bf16", GPU: "bf16", CPU: "f32", Go: "f32"} {
		for configured, want := range map[string]string{AutoDType: auto, "f32": "f32", "bf16": "bf16"} {
			if got := DType(configured, on); got != want {
				t.Errorf("%s on %s is %s, want %s", configured, on, got, want)
			}
		}
	}
}
