package arguments

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"

	"elektron/internal/fault"
)

// testApp is a small elektron. What its actions were called with goes to record: the command, the flags
// that are set, and the arguments.
func testApp(record *string) *cli.App {
	action := func(c *cli.Context) error {
		var b strings.Builder
		b.WriteString(c.Command.HelpName)
		names := c.FlagNames()
		for _, parent := range c.Lineage()[1:] {
			if parent.Command != nil && parent.Command.Name != "" {
				names = append(names, parent.LocalFlagNames()...)
			}
		}
		slices.Sort(names)
		for _, name := range slices.Compact(names) {
			value := c.Value(name)
			if list, ok := value.(cli.StringSlice); ok {
				value = list.Value()
			}
			fmt.Fprintf(&b, " %s=%v", name, value)
		}
		fmt.Fprintf(&b, " %q", c.Args().Slice())
		*record += b.String()
		return nil
	}
	platform := &cli.StringFlag{Name: "platform", Aliases: []string{"p"}}
	data := &cli.StringSliceFlag{Name: "data"}
	json := &cli.BoolFlag{Name: "json"}
	run := []cli.Flag{platform, data, &cli.IntFlag{Name: "steps"}, &cli.Float64Flag{Name: "rate"}, &cli.BoolFlag{Name: "dry-run"},
		&cli.StringFlag{Name: "out"}, &cli.StringSliceFlag{Name: "set"}, &cli.StringFlag{Name: "preset"}}
	return &cli.App{
		Name: "elektron", DefaultCommand: "pretrain", Writer: io.Discard, ErrWriter: io.Discard,
		Flags: []cli.Flag{&cli.StringFlag{Name: "log-level"}, &cli.BoolFlag{Name: "quiet"}},
		Commands: []*cli.Command{
			{Name: "pretrain", Action: action, Flags: run},
			{Name: "demo", Action: action, ArgsUsage: "CHECKPOINT TEXT", Flags: []cli.Flag{json, platform, &cli.StringFlag{Name: "http"}}},
			{Name: "glue", Aliases: []string{"g"}, Action: action, Flags: []cli.Flag{&cli.StringFlag{Name: "task", Required: true, EnvVars: []string{"TEST_TASK"}}, json}},
			{Name: "data", Flags: []cli.Flag{&cli.IntFlag{Name: "workers"}, &cli.StringFlag{Name: "cache"}}, Subcommands: []*cli.Command{
				{Name: "vocab", Action: action, Flags: []cli.Flag{data, &cli.IntFlag{Name: "size"}}},
				{Name: "build", Action: action, Flags: []cli.Flag{data, &cli.IntFlag{Name: "workers"}}},
				{Name: "inspect", Action: action, ArgsUsage: "SHARD", Flags: []cli.Flag{json}},
			}},
			{Name: "hidden", Hidden: true, Action: action},
		},
	}
}

func TestRun(t *testing.T) {
	cases := []struct{ line, want string }{
		{"", "elektron pretrain []"},
		{"--steps 5", "elektron pretrain steps=5 []"},
		{"--steps=5 --steps 6", "elektron pretrain steps=6 []"},
		{"-steps 5", "elektron pretrain steps=5 []"},
		{"-p cpu", "elektron pretrain p=cpu platform=cpu []"},
		{"--platform=cpu pretrain --steps 5", "elektron pretrain p=cpu platform=cpu steps=5 []"},
		{"pretrain --platform cpu", "elektron pretrain p=cpu platform=cpu []"},
		{"--steps 5 pretrain", "elektron pretrain steps=5 []"},
		{"--dry-run pretrain", "elektron pretrain dry-run=true []"},
		{"--dry-run=false --steps 5", "elektron pretrain dry-run=false steps=5 []"},
		{"pretrain --rate -5 --steps -3", "elektron pretrain rate=-5 steps=-3 []"},
		{"--out -", "elektron pretrain out=- []"},
		{"--out=", "elektron pretrain out= []"},
		{"--set a=1 --set b=--x", "elektron pretrain set=[a=1 b=--x] []"},
		{"--log-level debug", "elektron pretrain log-level=debug []"},
		{"pretrain --quiet --steps 5 --log-level debug", "elektron pretrain log-level=debug quiet=true steps=5 []"},

		// Values that are the names of commands.
		{"--out glue --steps 5", "elektron pretrain out=glue steps=5 []"},
		{"--out glue demo", "!unknown flag --out for `elektron demo`; it is a flag of `elektron pretrain`"},
		{"--out demo pretrain", "elektron pretrain out=demo []"},
		{"--platform data demo x", "elektron demo p=data platform=data [\"x\"]"},
		{"--data data data build", "elektron data build data=[data] []"},
		{"--data build data build --workers 2", "elektron data build data=[build] workers=2 []"},

		// Flags behind, between and before arguments.
		{"demo ckpt text --json", `elektron demo json=true ["ckpt" "text"]`},
		{"demo ckpt --json text --platform go", `elektron demo json=true p=go platform=go ["ckpt" "text"]`},
		{"--json demo ckpt", `elektron demo json=true ["ckpt"]`},
		{"--json --http=:8080 demo ckpt", `elektron demo http=:8080 json=true ["ckpt"]`},
		{"demo --json -- -x --json", `elektron demo json=true ["-x" "--json"]`},
		{"demo ckpt -- -x --json", `elektron demo ["ckpt" "-x" "--json"]`},
		{"demo -", `elektron demo ["-"]`},
		{"demo help", `elektron demo ["help"]`},
		{"demo h help", `elektron demo ["h" "help"]`},
		{"demo pretrain", `elektron demo ["pretrain"]`},
		{"demo --json json", `elektron demo json=true ["json"]`},
		{"demo --quiet quiet", `elektron demo quiet=true ["quiet"]`},

		// Two levels.
		{"data build --workers 2 --data x", "elektron data build data=[x] workers=2 []"},
		{"data --workers 2 build --data x", "elektron data build data=[x] workers=2 []"},
		{"--workers 2 data --data=x build", "elektron data build data=[x] workers=2 []"},
		{"--cache c data vocab --workers 3", "elektron data vocab cache=c workers=3 []"},
		{"data inspect a.shard --json", `elektron data inspect json=true ["a.shard"]`},
		{"g --task cola", "elektron glue task=cola []"},

		// Mistakes.
		{"--stpes 5", "!unknown flag --stpes for `elektron pretrain`; did you mean --steps?"},
		{"--stpes=5 --drry-run", "!unknown flag --stpes for `elektron pretrain`; did you mean --steps?\nunknown flag --drry-run for `elektron pretrain`; did you mean --dry-run?"},
		{"--jsn demo ckpt", "!unknown flag --jsn for `elektron demo`; did you mean --json?"},
		{"--stpes 5 demo", "!unknown flag --stpes for `elektron demo`; `elektron demo --help` lists them"},
		{"data build --wrokers 2", "!unknown flag --wrokers for `elektron data build`; did you mean --workers?"},
		{"demo --task cola", "!unknown flag --task for `elektron demo`; it is a flag of `elektron glue`"},
		{"--workers 5", "!unknown flag --workers for `elektron pretrain`; it is a flag of `elektron data`"},
		{"---steps 5", "!unknown flag ---steps for `elektron pretrain`; did you mean --steps?"},
		{"--=5", "!unknown flag -- for `elektron pretrain`"},
		{"--log-levle x", "!did you mean --log-level?"},
		{"pretain --steps 5", "!unknown command \"pretain\" for `elektron`; did you mean pretrain?"},
		{"xyzzy", "!unknown command \"xyzzy\" for `elektron`; `elektron --help` lists them"},
		{"hiden", "!unknown command \"hiden\""},
		{"data bulid", "!unknown command \"bulid\" for `elektron data`; did you mean build?"},
		{"--steps", "!the flag --steps needs a value"},
		{"--steps --out x", "!the flag --steps needs a value"},
		{"--steps pretrain", "!invalid value \"pretrain\" for --steps"},
		{"--steps five", "!invalid value \"five\" for --steps: parse error; see `elektron pretrain --help`"},
		{"data build --workers x", "!invalid value \"x\" for --workers: parse error; see `elektron data build --help`"},
		{"--dry-run=maybe", "!invalid boolean value \"maybe\" for -dry-run"},
		{"pretrain extra", "!unexpected argument \"extra\": `elektron pretrain` takes flags only"},
		{"-- extra", "!unexpected argument \"extra\": `elektron pretrain` takes flags only"},
		{"--dry-run false", "!unknown command \"false\" for `elektron`; `elektron --help` lists them; a switch takes its value behind =, as in --dry-run=false"},
		{"pretrain --data arguments.go check.go", "!unexpected argument \"check.go\": `elektron pretrain` takes flags only; if the shell made it from a pattern such as *.txt"},
		{"glue", "!`elektron glue` needs the flag --task"},
	}
	for _, c := range cases {
		t.Run(c.line, func(t *testing.T) {
			var got string
			app := testApp(&got)
			err := Run(context.Background(), app, append([]string{"elektron"}, strings.Fields(c.line)...))
			if want, isError := strings.CutPrefix(c.want, "!"); isError {
				if err == nil || !strings.Contains(err.Error(), want) || fault.ExitCode(err) != 2 {
					t.Errorf("got %q, error %v, exit code %d; want the error %q", got, err, fault.ExitCode(err), want)
				}
			} else if err != nil || got != c.want {
				t.Errorf("got %s, error %v; want %s", got, err, c.want)
			}
			if normal, err := Normalize(app, append([]string{"elektron"}, strings.Fields(c.line)...)); err == nil {
				if again, err := Normalize(app, normal); err != nil || !slices.Equal(normal, again) {
					t.Errorf("normalizing %q again gives %q, %v", normal, again, err)
				}
			}
			if app.DefaultCommand != "pretrain" {
				t.Error("the default command is lost")
			}
		})
	}
}

func TestHelp(t *testing.T) {
	cases := []struct{ line, want string }{
		{"help", "[elektron --help]"},
		{"h", "[elektron --help]"},
		{"-h", "[elektron --help]"},
		{"--help --steps 5", "[elektron --help]"},
		{"--steps 5 --help", "[elektron --help]"},
		{"--unknown 5 --help", "[elektron --help]"},
		{"--help pretrain", "[elektron pretrain --help]"},
		{"pretrain -h", "[elektron pretrain --help]"},
		{"pretrain help", "[elektron pretrain --help]"},
		{"pretrain --steps --help", "[elektron pretrain --help]"},
		{"pretrain --steps 5 extra --help", "[elektron pretrain --help]"},
		{"help pretrain", "[elektron pretrain --help]"},
		{"glue --help", "[elektron glue --help]"},
		{"help data build", "[elektron data build --help]"},
		{"data help build", "[elektron data build --help]"},
		{"data build --help", "[elektron data build --help]"},
		{"data --workers 2 --help", "[elektron data --help]"},
		{"demo ckpt --help", "[elektron demo --help]"},
		{"demo ckpt -- --help", "[elektron demo -- ckpt --help]"},
		{"help pretain", "!unknown command \"pretain\" for `elektron`; did you mean pretrain?"},
		{"help data bulid", "!did you mean build?"},
	}
	for _, c := range cases {
		var ignored string
		got, err := Normalize(testApp(&ignored), append([]string{"elektron"}, strings.Fields(c.line)...))
		if want, isError := strings.CutPrefix(c.want, "!"); isError {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: got %v, %v; want the error %q", c.line, got, err, want)
			}
		} else if err != nil || fmt.Sprint(got) != c.want {
			t.Errorf("%s: got %v, %v; want %s", c.line, got, err, c.want)
		}
	}
}

// TestHelpShown checks that cli/v2 shows the help that Normalize asks for.
func TestHelpShown(t *testing.T) {
	for line, want := range map[string]string{
		"help":            "elektron [global options] command",
		"help pretrain":   "elektron pretrain [command options]",
		"data":            "elektron data [command options]",
		"help data build": "elektron data build [command options]",
		"demo -h":         "elektron demo [command options] CHECKPOINT TEXT",
	} {
		var ran string
		var shown bytes.Buffer
		app := testApp(&ran)
		app.Writer = &shown
		err := Run(context.Background(), app, append([]string{"elektron"}, strings.Fields(line)...))
		if err != nil || ran != "" || !strings.Contains(shown.String(), want) {
			t.Errorf("%s: error %v, ran %q; the help lacks %q:\n%s", line, err, ran, want, &shown)
		}
	}
}

func TestRunPassesErrorsOn(t *testing.T) {
	cause := fault.New(fault.Device, "lost")
	app := &cli.App{Name: "elektron", DefaultCommand: "a", Commands: []*cli.Command{
		{Name: "a", Action: func(*cli.Context) error { return cause }},
		{Name: "b", Action: func(*cli.Context) error { return cli.Exit("x", 3) }}, // ends the process unless prevented
		{Name: "c", Action: func(c *cli.Context) error { return c.Context.Err() }},
	}}
	if err := Run(context.Background(), app, nil); !errors.Is(err, cause) {
		t.Errorf("got %v", err)
	}
	if err := Run(context.Background(), app, []string{"elektron", "b"}); err == nil {
		t.Error("no error")
	}
	stopped, stop := context.WithCancel(context.Background())
	stop()
	if err := Run(stopped, app, []string{"elektron", "c"}); !errors.Is(err, context.Canceled) {
		t.Errorf("the context does not reach the action: %v", err)
	}
}

func TestNormalizeLeavesAlone(t *testing.T) {
	var ignored string
	app := testApp(&ignored)
	app.EnableBashCompletion = true
	args := []string{"elektron", "--st", "--generate-bash-completion"}
	if got, err := Normalize(app, args); err != nil || !slices.Equal(got, args) {
		t.Errorf("completion: got %v, %v", got, err)
	}
	args = []string{"elektron", "demo", "a b", "", "--json"}
	before := slices.Clone(args)
	got, err := Normalize(app, args)
	if want := []string{"elektron", "demo", "--json", "a b", ""}; err != nil || !slices.Equal(got, want) || !slices.Equal(args, before) {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
	app.DefaultCommand = ""
	if got, err := Normalize(app, []string{"elektron", "--quiet"}); err != nil || !slices.Equal(got, []string{"elektron", "--quiet"}) {
		t.Errorf("without a default command: got %q, %v", got, err)
	}
	versioned := &cli.App{Name: "elektron", Version: "1", DefaultCommand: "a", Commands: []*cli.Command{{Name: "a"}}}
	if got, err := Normalize(versioned, []string{"elektron", "a", "-v"}); err != nil || !slices.Equal(got, []string{"elektron", "-v", "a"}) {
		t.Errorf("version: got %q, %v", got, err)
	}
}

func TestRequiredFromEnvironment(t *testing.T) {
	t.Setenv("TEST_TASK", "rte")
	var got string
	if err := Run(context.Background(), testApp(&got), []string{"elektron", "glue"}); err != nil || got != "elektron glue task=rte []" {
		t.Errorf("got %s, %v", got, err)
	}
}

func TestPatternHint(t *testing.T) {
	file := filepath.Join(t.TempDir(), "b.txt")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	var ignored string
	_, err := Normalize(testApp(&ignored), []string{"elektron", "--data", "a.txt", file})
	if err == nil || !strings.Contains(err.Error(), "put the pattern in quotes") {
		t.Errorf("got %v", err)
	}
}

// TestNormalizeAnyLine builds command lines at random and checks that each is refused with a usage error,
// asks for help, or keeps every word, is stable, and is one that cli/v2 takes.
func TestNormalizeAnyLine(t *testing.T) {
	tokens := strings.Fields("--steps --steps=5 --json --dry-run --data --workers --quiet --log-level -p --help --bad --bad=1 -- - -5 5 x " +
		"pretrain demo data build inspect help h glue --task")
	random := rand.New(rand.NewPCG(1, 2))
	accepted := 0
	for range 4000 {
		line := []string{"elektron"}
		for range random.IntN(7) {
			line = append(line, tokens[random.IntN(len(tokens))])
		}
		var ran string
		normal, err := Normalize(testApp(&ran), line)
		if err != nil {
			if fault.ExitCode(err) != 2 {
				t.Fatalf("%q: exit code %d: %v", line, fault.ExitCode(err), err)
			}
			continue
		}
		if normal[len(normal)-1] == "--help" && !slices.Contains(normal, "--") {
			continue
		}
		accepted++
		again, err := Normalize(testApp(&ran), normal)
		if err != nil || !slices.Equal(again, normal) {
			t.Fatalf("%q: normal %q, again %q, %v", line, normal, again, err)
		}
		if !slices.Equal(sortedWords(line), sortedWords(normal)) {
			t.Fatalf("%q: words were lost or added: %q", line, normal)
		}
		if err := Run(context.Background(), testApp(&ran), line); err != nil && !strings.HasPrefix(err.Error(), "invalid value") {
			t.Fatalf("%q: cli/v2 refuses %q: %v", line, normal, err)
		}
	}
	if accepted < 400 {
		t.Errorf("only %d lines were accepted: the test shows little", accepted)
	}
}

// sortedWords leaves out what Normalize may add.
func sortedWords(line []string) []string {
	words := slices.DeleteFunc(slices.Clone(line), func(w string) bool { return w == "--" || w == "pretrain" })
	slices.Sort(words)
	return words
}
