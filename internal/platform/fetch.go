package platform

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/gomlx/go-xla/installer"
)

// fetcher gets the wheel of a pin into an empty folder and returns its path. It need not check it.
type fetcher struct {
	name  string
	fetch func(ctx context.Context, p pin, folder string) (wheel string, err error)
}

// fetchPip lets pip fetch the wheel: it knows the user's index, proxy and certificates.
func fetchPip(ctx context.Context, p pin, folder string) (string, error) {
	python, err := exec.LookPath("python3")
	if err != nil {
		return "", err
	}
	arguments := []string{"-m", "pip", "download", "--quiet", "--no-input", "--disable-pip-version-check", "--retries=2",
		"--no-deps", "--only-binary=:all:", "--dest", folder}
	arguments = append(append(arguments, p.pip...), p.project+"=="+p.version)
	command := exec.CommandContext(ctx, python, arguments...)
	var output bytes.Buffer
	command.Stdout, command.Stderr = &output, &output
	if err := command.Run(); err != nil {
		return "", fmt.Errorf("%s: %w: %s", python, err, lastLine(output.String()))
	}
	wheels, _ := filepath.Glob(filepath.Join(folder, "*.whl"))
	if len(wheels) != 1 {
		return "", fmt.Errorf("pip left %d wheels instead of one", len(wheels))
	}
	return wheels[0], nil
}

// lastLine is the line of a program's output that says what went wrong, short enough for a sentence.
func lastLine(output string) string {
	lines := strings.Split(strings.TrimSpace(output), "\n")
	line := strings.TrimSpace(lines[len(lines)-1])
	for _, l := range lines {
		if strings.Contains(l, "ERROR") {
			line = strings.TrimSpace(l)
		}
	}
	const limit = 300
	if runes := []rune(line); len(runes) > limit {
		line = string(runes[:limit]) + "…"
	}
	return line
}

// fetchIndex is for machines without pip: go-xla's installer asks the public index where the wheel with
// the pinned hash lies, and it is fetched from there.
func fetchIndex(ctx context.Context, p pin, folder string) (string, error) {
	url, err := wheelURL(ctx, p)
	if err != nil {
		return "", err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s answered %s", request.URL.Host, response.Status)
	}
	wheel := filepath.Join(folder, "plugin.whl")
	file, err := os.Create(wheel)
	if err != nil {
		return "", err
	}
	_, err = io.Copy(file, io.LimitReader(response.Body, p.wheelSize+1))
	return wheel, errors.Join(err, file.Close())
}

// wheelURL finds the wheel with the pinned hash among the files of its release. go-xla's look-up takes no
// context, so it is left behind when ctx ends.
func wheelURL(ctx context.Context, p pin) (string, error) {
	type answer struct {
		info *installer.PipPackageInfo
		err  error
	}
	answers := make(chan answer, 1)
	go func() {
		info, err := installer.GetPipInfo(p.project)
		answers <- answer{info, err}
	}()
	select {
	case <-ctx.Done():
		return "", ctx.Err()
	case a := <-answers:
		if a.err != nil {
			return "", a.err
		}
		for _, file := range a.info.Releases[p.version] {
			if file.Digests["sha256"] == p.wheelHash {
				return file.URL, nil
			}
		}
		return "", fmt.Errorf("the index has no file of %s with the pinned SHA-256 %s", p, p.wheelHash)
	}
}
