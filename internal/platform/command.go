package platform

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"

	"elektron/internal/fault"

	"github.com/urfave/cli/v2"
)

// Command is `platform`: it shows the plugins and installs them.
func Command() *cli.Command {
	return &cli.Command{
		Name:  "platform",
		Usage: "show and install the plugins that run XLA on CPU, GPU and TPU",
		Description: "Plugins are kept in the user's cache directory. Each is pinned by version and SHA-256;\n" +
			"a file that differs is never loaded. That for GPUs brings NVIDIA's libraries: " + gpuSizes() + ".",
		Subcommands: []*cli.Command{
			{
				Name:   "list",
				Usage:  "show each platform: the hardware found, its plugin, version, hash and path",
				Action: func(c *cli.Context) error { return withStore(func(s *store) error { return s.list(c.App.Writer) }) },
			},
			{
				Name:      "install",
				Usage:     "fetch, check and install a platform's plugin, replacing a damaged one",
				ArgsUsage: "cpu|gpu|tpu",
				Action:    func(c *cli.Context) error { return withStore(func(s *store) error { return s.installCommand(c) }) },
			},
		},
	}
}

// gpuSizes says what the GPU plugin takes.
func gpuSizes() string {
	for _, p := range linuxPins {
		if p.platform == GPU {
			return megabytes(p.download()) + " to fetch, " + megabytes(p.disk()) + " of disk"
		}
	}
	return ""
}

func withStore(run func(*store) error) error {
	s, err := defaultStore()
	if err != nil {
		return err
	}
	return run(s)
}

// list writes one line a platform. Installed plugins are hashed in full. The size is that of the disk that they take.
func (s *store) list(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "PLATFORM\tDEVICES\tPLUGIN\tSIZE\tSTATE\tPATH")
	for _, platform := range []string{TPU, GPU, CPU} {
		p, err := s.pin(platform)
		if err != nil {
			fmt.Fprintf(table, "%s\t%s\tnone for %s/%s\t\t\t\n", platform, s.devices(platform), runtime.GOOS, runtime.GOARCH)
			continue
		}
		size := "?"
		if p.disk() > 0 {
			size = megabytes(p.disk())
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", platform, s.devices(platform), p, size, s.state(p), s.path(p))
	}
	fmt.Fprintf(table, "%s\t%s\tnone needed\t\tbuilt in\t\n", Go, s.devices(Go))
	if err := table.Flush(); err != nil {
		return fault.Wrap(fault.Storage, err, "platform list")
	}
	if requireXLA(CPU) != nil {
		fmt.Fprintln(w, "\nThis binary was built without cgo and can use only --platform=go.")
	}
	return nil
}

// devices says in a word or two what hardware of a platform this machine has.
func (s *store) devices(platform string) string {
	switch platform {
	case TPU:
		return quantity(s.host.tpus(), "chip")
	case GPU:
		if version := s.host.driver(); version != "" {
			return quantity(s.host.gpus(), "GPU") + ", driver " + version
		}
		return quantity(s.host.gpus(), "GPU")
	}
	return quantity(runtime.NumCPU(), "core")
}

// state says whether a plugin is installed and sound.
func (s *store) state(p pin) string {
	_, err := s.verify(p)
	var bad *damagedError
	switch {
	case err == nil && p.unpinned():
		return "installed, hash as installed"
	case err == nil:
		return "installed, hash ok"
	case errors.Is(err, fs.ErrNotExist) && p.download() > 0:
		return "not installed, " + megabytes(p.download()) + " to fetch"
	case errors.Is(err, fs.ErrNotExist):
		return "not installed"
	case errors.As(err, &bad):
		return "DAMAGED, hash wrong"
	}
	return "cannot be read"
}

func (s *store) installCommand(c *cli.Context) error {
	name := strings.ToLower(c.Args().First())
	if c.NArg() != 1 || !slices.Contains([]string{CPU, GPU, TPU}, name) {
		return fault.New(fault.Usage, "platform install: give one of cpu, gpu, tpu, not %q", strings.Join(c.Args().Slice(), " "))
	}
	p, err := s.pin(name)
	if err != nil {
		return err
	}
	if found, err := s.verify(p); err == nil {
		fmt.Fprintf(c.App.Writer, "%s is installed already, SHA-256 %s: %s\n", p, found.Hash, found.Path)
		return nil
	}
	if c.Bool("offline") {
		return fault.New(fault.Usage, "platform install %s: --offline forbids the network; leave it out", name)
	}
	installed, err := s.install(c.Context, p, func(text string) { fmt.Fprintln(c.App.ErrWriter, text) })
	if err != nil {
		return err
	}
	fmt.Fprintf(c.App.Writer, "installed %s, SHA-256 %s: %s\nnext: elektron --platform=%s\n", p, installed.Hash, installed.Path, name)
	if name == GPU {
		s.warnOfDriver(c.App.ErrWriter)
	}
	return nil
}

// pinnedCUDA is the major version of CUDA that the pinned plugin is built with.
const pinnedCUDA = 12

// warnOfDriver says what will keep the GPU plugin from running here. It may well be installed for another machine.
func (s *store) warnOfDriver(w io.Writer) {
	if err := s.host.checkDriver(pinnedCUDA); err != nil {
		fmt.Fprintln(w, "warning:", err)
	} else if s.host.gpus() == 0 {
		fmt.Fprintf(w, "warning: this machine has no NVIDIA GPU; where there is one, its driver must be %s or later\n", minimumDrivers[pinnedCUDA])
	}
}

// quantity is "2 cores", "1 core" or "none".
func quantity(n int, noun string) string {
	switch n {
	case 0:
		return "none"
	case 1:
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
