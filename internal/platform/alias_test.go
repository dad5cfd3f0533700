package platform

import (
	"os"
	"path/filepath"
	"testing"

	"elektron/internal/fault"
)

func TestPathSays(t *testing.T) {
	cases := map[string]string{
		"/a/libtpu.so":                      TPU,
		"/home/CPU-lab/libtpu.so":           CPU,
		"/a/pjrt_c_api_cpu_plugin.so":       CPU,
		"/opt/nvidia/plugin.so":             GPU,
		"/a/xla_cuda_plugin.so":             GPU,
		"/home/cpu-lab/xla_cuda_plugin.so":  "",
		"/a,b/pjrt_c_api_cpu_plugin.so":     "",
		"/home/me/.cache/tpu/libtpu.so":     TPU,
		"/nvidia/pjrt_c_api_cpu_plugin.so":  "",
		"/x/elektron-12/t/some_plugin.so":   TPU,
		"/x/elektron-12/cuda/xla_plugin.so": GPU,
	}
	for path, want := range cases {
		if got := pathSays(path); got != want {
			t.Errorf("%s: taken for %q, want %q", path, got, want)
		}
	}
}

func TestAlias(t *testing.T) {
	for _, c := range []struct{ platform, folder, file string }{
		{TPU, "cpu-lab", "libtpu.so"},
		{TPU, "a,b", "libtpu.so"},
		{GPU, "cpu-lab", "xla_cuda_plugin.so"},
		{CPU, "neutral", "plugin.so"},
		{CPU, "nvidia", "cpu_plugin.so"},
	} {
		plugin := filepath.Join(t.TempDir(), c.folder, c.file)
		if err := os.MkdirAll(filepath.Dir(plugin), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(plugin, content, 0o644); err != nil {
			t.Fatal(err)
		}
		path, remove, err := aliasFor(c.platform, plugin)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(path); err != nil || len(got) != len(content) || pathSays(path) != c.platform {
			t.Errorf("%s plugin %s: alias %s reads %d bytes (%v) and is taken for %q", c.platform, plugin, path, len(got), err, pathSays(path))
		}
		remove()
		if _, err := os.Stat(path); err == nil {
			t.Errorf("the alias %s was not removed", path)
		}
		if _, err := os.Stat(plugin); err != nil {
			t.Errorf("the plugin itself is gone: %v", err)
		}
	}
}

func TestAliasRefusesMisnamedFile(t *testing.T) {
	_, _, err := aliasFor(TPU, "/a/pjrt_c_api_cpu_plugin.so")
	expect(t, err, fault.Device, "/a/pjrt_c_api_cpu_plugin.so", "rename")
}
