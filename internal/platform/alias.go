package platform

import (
	"os"
	"path/filepath"
	"strings"

	"elektron/internal/fault"
)

// aliasFor gives a path of the plugin by which go-xla takes it for what it is, and a function that removes
// what was made for that. go-xla searches the whole path for "cpu" (then buffers are shared with the
// host), "cuda" and "nvidia" (then it uses cuDNN), and cuts its configuration at commas: a TPU plugin
// in a home folder called "cpu-lab" would fail in strange ways.
//
// The link is to the folder, not to the file: CUDA plugins find their libraries relative to where they lie.
func aliasFor(platform, plugin string) (path string, remove func(), err error) {
	remove = func() {}
	if pathSays(plugin) == platform {
		return plugin, remove, nil
	}
	name := filepath.Base(plugin)
	word := map[string]string{CPU: "cpu", GPU: "cuda", TPU: "t"}[platform]
	if pathSays(filepath.Join("/", word, name)) != platform {
		return "", remove, fault.New(fault.Device,
			"platform: the file name of the plugin %s says that it is not for %s; rename it, or choose another --platform", plugin, platform)
	}
	for _, base := range []string{os.TempDir(), "/tmp", "/var/tmp"} {
		folder, err := os.MkdirTemp(base, "elektron-")
		if err != nil {
			continue
		}
		remove = func() { os.RemoveAll(folder) }
		link := filepath.Join(folder, word)
		path = filepath.Join(link, name)
		if pathSays(path) == platform && os.Symlink(filepath.Dir(plugin), link) == nil {
			return path, remove, nil
		}
		remove()
	}
	return "", func() {}, fault.New(fault.Device,
		"platform: the path of the plugin %s would be taken for another platform's, and no link to it could be made in the temporary folder; move it to a path without cpu, cuda, nvidia or a comma", plugin)
}

// pathSays is what go-xla takes a plugin at this path for: CPU, GPU, TPU for anything else, or empty for
// a path that it cannot use.
func pathSays(path string) string {
	upper := strings.ToUpper(path)
	cpu := strings.Contains(upper, "CPU")
	gpu := strings.Contains(upper, "CUDA") || strings.Contains(upper, "NVIDIA")
	switch {
	case cpu && gpu, strings.Contains(path, ","):
		return ""
	case cpu:
		return CPU
	case gpu:
		return GPU
	}
	return TPU
}
