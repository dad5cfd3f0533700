package trainer

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"reflect"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/janpfeifer/must"

	"elektron/dataset/wordpiece"
	"elektron/internal/device"
	"elektron/internal/fault"
	"elektron/internal/platform"
	"elektron/model"
)

// randomDemo is a small untrained model on the pure-Go backend that knows a few words.
func randomDemo(t *testing.T, edit func(*model.Config)) *Demo {
	t.Helper()
	words := strings.Fields("[PAD] [UNK] [CLS] [SEP] [MASK] amber resin under old trees moves ##s")
	c, _ := model.Preset("tiny")
	c.EmbeddingSize, c.HiddenSize, c.Layers, c.IntermediateSize, c.MaxPositions, c.VocabSize = 32, 32, 1, 64, 40, len(words)
	if edit != nil {
		edit(&c)
	}
	must.M(c.Validate())
	m := &Model{Path: "random", Config: c, Weights: map[string][]float32{}, Vocabulary: must.M1(wordpiece.NewVocabulary(words))}
	for _, w := range c.Weights() {
		m.Weights[w.Name] = w.Initialize(1, 0.2)
	}
	d := must.M1(NewDemo(t.Context(), m, device.Options{Platform: platform.Go}))
	t.Cleanup(d.Close)
	return d
}

// question posts a body and returns the answer's status and text.
func question(t *testing.T, url, body string) (status int, answer string) {
	t.Helper()
	r, err := http.Post(url, "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	return r.StatusCode, string(must.M1(io.ReadAll(r.Body)))
}

func ask(text string) string { return string(must.M1(json.Marshal(map[string]string{"text": text}))) }

// TestDemoServer: the endpoints say what --json prints, and the page loads nothing from elsewhere.
func TestDemoServer(t *testing.T) {
	d := randomDemo(t, nil)
	server := httptest.NewServer(must.M1(d.handler()))
	defer server.Close()
	text := "amber [MASK] under old <b>trees</b> [MASK]"
	want := demoResult{Model: "random", Text: text, Tokens: must.M1(d.Detect(t.Context(), text))}
	filled := demoResult{Model: "random", FillText: text}
	filled.FillIDs, filled.Fillings = must.M2(d.Fill(t.Context(), text))
	for path, want := range map[string]demoResult{"/detect": want, "/fill": filled} {
		var got demoResult
		status, answer := question(t, server.URL+path, ask(text))
		if must.M(json.Unmarshal([]byte(answer), &got)); status != 200 || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: status %d with %+v, want %+v", path, status, got, want)
		}
	}
	r := must.M1(http.Get(server.URL))
	defer r.Body.Close()
	page := string(must.M1(io.ReadAll(r.Body)))
	if r.StatusCode != 200 || !strings.Contains(page, "random, which reads at most 40 tokens") || !strings.Contains(page, "detects =  true , fills =  true ") {
		t.Errorf("status %d with the page\n%s", r.StatusCode, page)
	}
	if foreign := regexp.MustCompile(`(?i)https?://|@import|url\(|src\s*=|<script\s+\S`).FindString(page); foreign != "" {
		t.Errorf("the page holds %q", foreign)
	}
	if policy := r.Header.Get("Content-Security-Policy"); !strings.HasPrefix(policy, "default-src 'none'") {
		t.Errorf("content security policy %q", policy)
	}
}

// TestDemoServerRefuses: what is wrong with a question is its sender's to know, in a sentence.
func TestDemoServerRefuses(t *testing.T) {
	server := httptest.NewServer(must.M1(randomDemo(t, nil).handler()))
	defer server.Close()
	bert := httptest.NewServer(must.M1(randomDemo(t, func(c *model.Config) { c.Objective = model.ObjectiveMLM }).handler()))
	defer bert.Close()
	for _, c := range []struct {
		name, url, body string
		status          int
		says            string
	}{
		{"longest text", server.URL + "/detect", ask(strings.Repeat("amber ", 38)), 200, `"tokens"`},
		{"longer text", server.URL + "/detect", ask(strings.Repeat("amber ", 39)), 400, "has 41 tokens and the model reads at most 40"},
		{"longer text to fill", server.URL + "/fill", ask("[MASK]" + strings.Repeat("amber ", 38)), 400, "at most 40"},
		{"empty text", server.URL + "/detect", ask(""), 400, "empty"},
		{"white space", server.URL + "/fill", ask(" \n"), 400, "empty"},
		{"no mask", server.URL + "/fill", ask("amber"), 400, "no [MASK]"},
		{"as many masks as fit", server.URL + "/fill", ask(strings.Repeat("[MASK]", 38)), 200, `"position":38`},
		{"no question", server.URL + "/detect", "", 400, "EOF"},
		{"no JSON", server.URL + "/detect", "text=amber", 400, "is not"},
		{"no text", server.URL + "/detect", "{}", 400, "no text"},
		{"null", server.URL + "/detect", "null", 400, "no text"},
		{"a number", server.URL + "/detect", `{"text":5}`, 400, "holds a number"},
		{"a list", server.URL + "/detect", `[1]`, 400, "holds a array"},
		{"unknown field", server.URL + "/detect", `{"text":"a","model":"b"}`, 400, "model"},
		{"two questions", server.URL + "/detect", ask("a") + ask("b"), 400, "more stands behind"},
		{"large", server.URL + "/detect", ask(strings.Repeat("a", largestBody)), 413, "larger than 65536 bytes"},
		{"elsewhere", server.URL + "/nope", ask("a"), 404, ""},
		{"masked language model", bert.URL + "/detect", ask("amber"), 404, "masked language model"},
		{"masked language model fills", bert.URL + "/fill", ask("amber [MASK]"), 200, `"position":2`},
	} {
		if status, answer := question(t, c.url, c.body); status != c.status || !strings.Contains(answer, c.says) {
			t.Errorf("%s: status %d with %s; want %d with %q", c.name, status, answer, c.status, c.says)
		}
	}
	r := must.M1(http.Get(server.URL + "/detect"))
	if r.Body.Close(); r.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("GET /detect: status %d", r.StatusCode)
	}
	foreign := must.M1(http.NewRequest("POST", server.URL+"/detect", strings.NewReader(ask("amber"))))
	foreign.Header.Set("Origin", "http://elsewhere.example")
	r = must.M1(http.DefaultClient.Do(foreign))
	if r.Body.Close(); r.StatusCode != http.StatusForbidden {
		t.Errorf("a question from another site's page: status %d", r.StatusCode)
	}
}

// TestDemoAtOnce asks many questions of all lengths at once: the answers are those of one after the other, to
// the bit, and there is one program a side and length.
func TestDemoAtOnce(t *testing.T) {
	d := randomDemo(t, nil)
	server := httptest.NewServer(must.M1(d.handler()))
	defer server.Close()
	texts := make([]string, 38)
	want := make([]string, 2*len(texts))
	for i := range texts {
		texts[i] = "[MASK]" + strings.Repeat(" trees", i)
		_, want[2*i] = question(t, server.URL+"/detect", ask(texts[i]))
		_, want[2*i+1] = question(t, server.URL+"/fill", ask(texts[i]))
	}
	var all sync.WaitGroup
	for range 3 {
		for i, text := range texts {
			for side, path := range []string{"/detect", "/fill"} {
				all.Go(func() {
					r, err := http.Post(server.URL+path, "application/json", strings.NewReader(ask(text)))
					if err != nil {
						t.Error(err)
						return
					}
					defer r.Body.Close()
					if answer, err := io.ReadAll(r.Body); err != nil || string(answer) != want[2*i+side] {
						t.Errorf("%s with %d tokens: %v %s, alone %s", path, i+3, err, answer, want[2*i+side])
					}
				})
			}
		}
	}
	all.Wait()
	for _, side := range []string{discriminator, generator} {
		for _, length := range []int{16, 32, 40} {
			if d.programs[program{side, length}] == nil {
				t.Errorf("no program of the %s for length %d", side, length)
			}
		}
	}
	if len(d.programs) != 6 {
		t.Errorf("%d programs, want 6", len(d.programs))
	}
}

// TestDemoPadding: what a token is told does not depend on the length of its program.
func TestDemoPadding(t *testing.T) {
	long := randomDemo(t, nil)
	short := randomDemo(t, func(c *model.Config) { c.MaxPositions = 7 })
	table := "discriminator.electra.embeddings.position_embeddings.weight"
	copy(short.model.Weights[table], long.model.Weights[table])
	short = must.M1(NewDemo(t.Context(), short.model, device.Options{Platform: platform.Go}))
	defer short.Close()
	a, b := must.M1(long.Detect(t.Context(), "amber resin under old trees")), must.M1(short.Detect(t.Context(), "amber resin under old trees"))
	if len(a) != 7 || long.programLength(7) != 16 || short.programLength(7) != 7 {
		t.Fatalf("%d tokens in programs of %d and %d", len(a), long.programLength(7), short.programLength(7))
	}
	for i := range a {
		if d := a[i].Logit - b[i].Logit; !(d < 1e-5 && d > -1e-5) {
			t.Errorf("token %d: logit %g in 16 positions, %g in 7", i, a[i].Logit, b[i].Logit)
		}
	}
}

// TestDemoStops: when the server is stopped, who waits for the device is told so, and the address is free again.
func TestDemoStops(t *testing.T) {
	d := randomDemo(t, nil)
	listener := must.M1(listenDemo("0"))
	address := listener.Addr().String()
	ctx, stop := context.WithCancel(t.Context())
	var said bytes.Buffer
	ended := make(chan error, 1)
	go func() { ended <- d.serve(ctx, listener, &said) }()
	if status, answer := question(t, "http://"+address+"/detect", ask("amber")); status != 200 {
		t.Fatalf("status %d with %s", status, answer)
	}
	if _, err := listenDemo(address); fault.ExitCode(err) != 2 || !strings.Contains(err.Error(), "in use") {
		t.Errorf("the same address again: %v", err)
	}
	d.turn <- struct{}{} // the device is busy
	// The server says 100 when it comes to the body: from then on the question is one under way.
	trace := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{Got100Continue: stop})
	waits := must.M1(http.NewRequestWithContext(trace, "POST", "http://"+address+"/detect", strings.NewReader(ask("amber"))))
	waits.Header.Set("Expect", "100-continue")
	r := must.M1((&http.Transport{ExpectContinueTimeout: time.Minute}).RoundTrip(waits))
	defer r.Body.Close()
	if answer := string(must.M1(io.ReadAll(r.Body))); r.StatusCode != 503 || !strings.Contains(answer, "device was not free") {
		t.Errorf("a question that waits is told %d %s", r.StatusCode, answer)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	d.end()
	must.M(must.M1(listenDemo(address)).Close())
	if !strings.Contains(said.String(), "http://"+address+"/") || strings.Contains(said.String(), "warning") {
		t.Errorf("the terminal shows %q", &said)
	}
}

func TestDemoAddress(t *testing.T) {
	for address, want := range map[string]string{"0": "127.0.0.1", ":0": "127.0.0.1", "127.0.0.1:0": "127.0.0.1", "localhost:0": "", "0.0.0.0:0": "",
		"": "is no address", "localhost": "is no address", "1:2:3": "is no address", "127.0.0.1:": "is no address", "127.0.0.1:99999": "port",
		"127.0.0.1:word": "port", "203.0.113.1:0": "another address"} {
		listener, err := listenDemo(address)
		if err != nil {
			if fault.ExitCode(err) != 2 || want == "" || !strings.Contains(err.Error(), want) {
				t.Errorf("%q: %v, want %q", address, err, want)
			}
			continue
		}
		if host := listener.Addr().String(); !strings.HasPrefix(host, want) {
			t.Errorf("%q listens on %s, want %s", address, host, want)
		}
		listener.Close()
	}
}
