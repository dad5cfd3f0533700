package platform

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
	"unicode"

	"github.com/gomlx/go-xla/installer"
)

// fetcher gets the archive of a pin into an empty folder and returns its path. It need not check it.
type fetcher struct {
	name  string
	fetch func(ctx context.Context, p pin, folder string) (archive string, err error)
}

// fetchersFor are the ways to fetch plugins for a system, the best one first.
func fetchersFor(goos, goarch string) []fetcher {
	if goos == "linux" && goarch == "amd64" {
		return []fetcher{{"pip", fetchPip}, {"the public package index", fetchIndex}}
	}
	return []fetcher{{"go-xla's releases", func(ctx context.Context, p pin, folder string) (string, error) {
		return fetchRelease(ctx, p, goos+"_"+goarch, folder)
	}}}
}

// fetchPip lets pip fetch the wheel: it knows the user's index, proxy and certificates.
func fetchPip(ctx context.Context, p pin, folder string) (string, error) {
	arguments := append([]string{"download", "--no-deps", "--only-binary=:all:", "--no-cache-dir", "--dest", folder}, p.pip...)
	if err := pip(ctx, folder, append(arguments, p.project+"=="+p.version)...); err != nil {
		return "", err
	}
	wheels, _ := filepath.Glob(filepath.Join(folder, "*.whl"))
	if len(wheels) != 1 {
		return "", fmt.Errorf("it left %d wheels instead of one", len(wheels))
	}
	return wheels[0], nil
}

// pip runs the pip of the user's python3. Its temporary files lie in a folder that is large enough and can be watched.
func pip(ctx context.Context, temporary string, arguments ...string) error {
	python, err := exec.LookPath("python3")
	if err != nil {
		return err
	}
	arguments = append([]string{"-m", "pip", "--quiet", "--no-input", "--disable-pip-version-check", "--retries=2"}, arguments...)
	command := exec.CommandContext(ctx, python, arguments...)
	var output bytes.Buffer
	command.Stdout, command.Stderr = &output, &output
	command.Env = append(os.Environ(), "TMPDIR="+temporary)
	command.WaitDelay = time.Second // python3 may be a wrapper whose child outlives it
	if err := command.Run(); err != nil {
		return fmt.Errorf("%w: %s", err, complaint(output.String()))
	}
	return nil
}

// complaint is the line of pip's output that says what went wrong, short enough for a sentence and
// without the control characters that pip colours it with.
func complaint(output string) string {
	output = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' {
			return -1
		}
		return r
	}, output)
	lines := strings.Split(strings.TrimSpace(output), "\n")
	line := lines[len(lines)-1]
	for _, l := range lines {
		if strings.HasPrefix(l, "ERROR:") {
			line = l
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
	url, err := await(ctx, func() (string, error) {
		info, err := installer.GetPipInfo(p.project)
		if err != nil {
			return "", err
		}
		for _, file := range info.Releases[p.version] {
			if file.Digests["sha256"] == p.archiveHash {
				return file.URL, nil
			}
		}
		return "", fmt.Errorf("no file of %s has the pinned SHA-256 %s", p, p.archiveHash)
	})
	if err != nil {
		return "", err
	}
	return download(ctx, url, filepath.Join(folder, "plugin.whl"), p.archiveSize)
}

// fetchRelease gets the CPU plugin for systems without a wheel from where go-xla's installer gets it.
func fetchRelease(ctx context.Context, p pin, system, folder string) (string, error) {
	url, err := await(ctx, func() (string, error) { return installer.CPUGetDownloadURL(system, p.version) })
	if err != nil {
		return "", err
	}
	return download(ctx, url, filepath.Join(folder, "plugin.tar.gz"), p.archiveSize)
}

// await runs a look-up of go-xla's installer, which takes no context: it is left behind when ctx ends.
func await(ctx context.Context, lookUp func() (string, error)) (string, error) {
	type answer struct {
		url string
		err error
	}
	answers := make(chan answer, 1)
	go func() {
		url, err := lookUp()
		answers <- answer{url, err}
	}()
	select {
	case <-ctx.Done():
		return "", ctx.Err()
	case a := <-answers:
		return a.url, a.err
	}
}

// attempts is how often a download is tried that breaks off without having come any further.
const attempts = 4

// download writes what lies at url to a file, at most limit bytes and one more, by which a longer file
// shows itself when it is hashed. A download that breaks off is gone on with where it stopped.
func download(ctx context.Context, url, target string, limit int64) (string, error) {
	file, err := os.Create(target)
	if err != nil {
		return "", err
	}
	defer file.Close()
	var offset int64
	for failed := 0; ; {
		n, again, err := downloadFrom(ctx, url, file, offset, limit+1-offset)
		offset += n
		if err == nil {
			return target, file.Close()
		}
		if n > 0 {
			failed = 0
		}
		if failed++; !again || failed == attempts {
			return "", err
		}
		select {
		case <-ctx.Done():
			return "", ctx.Err()
		case <-time.After(retryAfter << failed):
		}
	}
}

// retryAfter is doubled with every failure.
var retryAfter = time.Second

// downloadFrom appends what lies at url from an offset on, at most limit bytes, and reports how many it wrote and whether
// trying again may help.
func downloadFrom(ctx context.Context, url string, file *os.File, offset, limit int64) (n int64, again bool, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, false, err
	}
	if offset > 0 {
		request.Header.Set("Range", fmt.Sprintf("bytes=%d-", offset))
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, ctx.Err() == nil, err
	}
	defer response.Body.Close()
	switch code := response.StatusCode; {
	case offset == 0 && code == http.StatusOK, offset > 0 && code == http.StatusPartialContent:
	case code == http.StatusOK:
		return 0, false, fmt.Errorf("%s cannot go on with a download that broke off after %d bytes", request.URL.Host, offset)
	default:
		busy := code >= 500 || code == http.StatusTooManyRequests
		return 0, busy, fmt.Errorf("%s answered %s", request.URL.Host, response.Status)
	}
	body := &reader{response.Body, nil}
	n, err = io.Copy(file, io.LimitReader(body, limit))
	return n, body.err != nil && ctx.Err() == nil, err
}

// reader remembers why reading failed, to tell it from writing.
type reader struct {
	io.Reader
	err error
}

func (r *reader) Read(into []byte) (int, error) {
	n, err := r.Reader.Read(into)
	if err != nil && err != io.EOF {
		r.err = err
	}
	return n, err
}
