package trainer

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"elektron/internal/fault"
)

// Limits of the demo's server.
const (
	largestBody   = 64 << 10         // bytes of a question
	longestWait   = 60 * time.Second // for the device, while others compute
	longestAnswer = 5 * time.Minute  // all in all; compiling a program is the longest part
	stopGrace     = 10 * time.Second // for answers under way when the server is stopped
)

//go:embed demo_page.html
var demoPageText string

var demoPage = template.Must(template.New("demo").Parse(demoPageText))

// listenDemo opens the address of --http: HOST:PORT, :PORT or PORT. Without a host it is the loopback, which
// no other machine reaches. Errors have kind fault.Usage.
func listenDemo(address string) (net.Listener, error) {
	if _, err := strconv.ParseUint(address, 10, 16); err == nil {
		address = ":" + address
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil || port == "" {
		return nil, fault.New(fault.Usage, "demo: --http %q is no address; give HOST:PORT, such as 127.0.0.1:8080, or a port", address)
	}
	if host == "" {
		host = "127.0.0.1"
	}
	listener, err := net.Listen("tcp", net.JoinHostPort(host, port))
	if err != nil {
		return nil, fault.New(fault.Usage, "demo: --http: %w; give another address or port (port 0 takes a free one)", err)
	}
	return listener, nil
}

// serve answers on listener until ctx ends; then it lets the answers under way finish. It says on say where
// the page is.
func (d *Demo) serve(ctx context.Context, listener net.Listener, say io.Writer) error {
	handler, err := d.handler()
	if err != nil {
		listener.Close()
		return err
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 15 * time.Second,
		WriteTimeout: longestAnswer, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10,
		BaseContext: func(net.Listener) context.Context { return ctx }} // who waits for the device waits no longer
	fmt.Fprintf(say, "serving %s at http://%s/ (Ctrl-C ends it)\n", d.model.Path, listener.Addr())
	if ip := listener.Addr().(*net.TCPAddr).IP; !ip.IsLoopback() {
		fmt.Fprintln(say, "warning: whoever reaches this machine over the network can use it")
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return fault.New(fault.Storage, "demo: serving on %s: %w", listener.Addr(), err)
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopGrace)
	defer cancel()
	if err := server.Shutdown(grace); err != nil {
		return fault.Wrap(fault.Storage, server.Close(), "demo: stopping")
	}
	return nil
}

// handler answers GET / with the page, POST /detect and POST /fill with what --json prints. A question is
// {"text": "..."}; what is wrong with one is told as {"error": "..."}. Pages of other sites may not ask.
func (d *Demo) handler() (http.Handler, error) {
	page, err := d.page()
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", "default-src 'none'; connect-src 'self'; img-src data:; style-src 'unsafe-inline'; "+
			"script-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
		w.Write(page)
	})
	mux.HandleFunc("POST /detect", d.answer(discriminator, func(ctx context.Context, text string, r *demoResult) (err error) {
		r.Text = text
		r.Tokens, err = d.Detect(ctx, text)
		return err
	}))
	mux.HandleFunc("POST /fill", d.answer(generator, func(ctx context.Context, text string, r *demoResult) (err error) {
		r.FillText = text
		r.FillIDs, r.Fillings, err = d.Fill(ctx, text)
		return err
	}))
	own := http.NewCrossOriginProtection().Handler(mux)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "no-store")
		own.ServeHTTP(w, r)
	}), nil
}

// page is the one page.
func (d *Demo) page() ([]byte, error) {
	var page bytes.Buffer
	err := demoPage.Execute(&page, map[string]any{"Model": d.model.Path, "MaxTokens": d.model.Config.MaxPositions,
		"MaxBytes": largestBody / 2, "Detects": d.lacks(discriminator) == nil, "Fills": d.lacks(generator) == nil})
	return page.Bytes(), fault.Wrap(fault.Internal, err, "demo: making the page")
}

// answer handles questions to one side of the model; ask puts what it says into a result.
func (d *Demo) answer(side string, ask func(context.Context, string, *demoResult) error) http.HandlerFunc {
	return func(w http.ResponseWriter, request *http.Request) {
		if err := d.lacks(side); err != nil {
			refuse(w, http.StatusNotFound, err)
			return
		}
		text, status, err := readQuestion(w, request)
		if err != nil {
			refuse(w, status, err)
			return
		}
		ctx, cancel := context.WithTimeout(request.Context(), longestWait)
		defer cancel()
		result := demoResult{Model: d.model.Path, Step: d.model.Step}
		if err := ask(ctx, text, &result); err != nil {
			refuse(w, statusOf(err), err)
			return
		}
		reply(w, http.StatusOK, result)
	}
}

// readQuestion reads {"text": "..."}; with an error comes its status.
func readQuestion(w http.ResponseWriter, request *http.Request) (text string, status int, err error) {
	var question struct {
		Text *string `json:"text"`
	}
	decoder := json.NewDecoder(http.MaxBytesReader(w, request.Body, largestBody))
	decoder.DisallowUnknownFields()
	err = decoder.Decode(&question)
	if err == nil && decoder.Decode(new(json.RawMessage)) != io.EOF {
		err = errors.New("more stands behind it")
	}
	var large *http.MaxBytesError
	var other *json.UnmarshalTypeError
	switch {
	case errors.As(err, &large):
		return "", http.StatusRequestEntityTooLarge, fmt.Errorf("the question is larger than %d bytes; shorten it", large.Limit)
	case errors.As(err, &other):
		return "", http.StatusBadRequest, fmt.Errorf(`the question is not {"text": "..."} but holds a %s`, other.Value)
	case err != nil:
		return "", http.StatusBadRequest, fmt.Errorf(`the question is not {"text": "..."}: %w`, err)
	case question.Text == nil:
		return "", http.StatusBadRequest, errors.New(`the question has no text; send {"text": "..."}`)
	}
	return *question.Text, 0, nil
}

func statusOf(err error) int {
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return http.StatusServiceUnavailable
	case fault.KindOf(err) == fault.Usage:
		return http.StatusBadRequest
	}
	return http.StatusInternalServerError
}

func refuse(w http.ResponseWriter, status int, err error) {
	reply(w, status, map[string]string{"error": strings.TrimPrefix(err.Error(), "demo: ")})
}

func reply(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(value) // an error is the reader's gone
}
