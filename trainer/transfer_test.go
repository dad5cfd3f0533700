package trainer

import (
	"bytes"
	"context"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/janpfeifer/must"
	"github.com/urfave/cli/v2"

	"elektron/internal/arguments"
	"elektron/internal/fault"
)

// TestTransferCommands runs export, import, inspect and demo from the command line, one on what the other left.
func TestTransferCommands(t *testing.T) {
	c, _ := trained(t, "bert")
	folder := t.TempDir()
	in := func(name string) string { return filepath.Join(folder, name) }
	run := func(args ...string) (string, error) {
		app := &cli.App{Name: "elektron", Commands: []*cli.Command{ExportCommand(), ImportCommand(), InspectCommand(), DemoCommand()}}
		out := &bytes.Buffer{}
		app.Writer, app.ErrWriter = out, out
		err := arguments.Run(context.Background(), app, append([]string{"elektron"}, args...))
		return out.String(), err
	}
	for _, step := range []struct {
		args string
		code int
		says string
	}{
		{"export " + c.Run.Out + " " + in("exported") + " --format hf", 0, "read back and found equal"},
		{"import " + in("exported/discriminator") + " --generator " + in("exported/generator") + " --out " + in("run") + " --step 3 --preset tiny", 0, "as step 3"},
		{"inspect " + in("run"), 0, "step        3 of"},
		{"inspect " + in("run") + " --diff " + c.Run.Out, 0, "config: run.out"},
		{"export " + c.Run.Out, 2, "1 arguments"},
		{"export " + c.Run.Out + " " + in("x") + " --format onnx", 2, "onnx"},
		{"export " + in("nowhere") + " " + in("x"), 69, "nowhere"},
		{"import --out " + in("y"), 2, "0 arguments"},
		{"import " + in("exported/discriminator") + " --out " + in("y") + " --set model.hidden_size=x", 2, "hidden_size"},
		{"import " + in("exported/discriminator") + " --out " + in("run"), 2, "holds a run"},
		{"inspect", 2, "0 arguments"},
		{"inspect " + in("exported"), 0, "generator 1 layers of 16"},
		{"inspect " + in("exported/discriminator"), 0, "no generator"},
		{"inspect --diff " + in("exported") + " " + c.Run.Out, 0, "tensors are equal in every bit, 0 are not"},
		{"inspect --diff " + in("nowhere") + " " + c.Run.Out, 69, "nowhere"},
		{"inspect " + folder, 65, "holds no checkpoint"},
		{"demo " + in("run"), 2, "--fill"},
		{"demo " + in("run") + " text more", 2, "3 arguments"},
		{"demo " + in("run") + " text --http 0", 2, "no text"},
		{"demo " + in("run") + " --json --http 0", 2, "no text"},
		{"demo " + in("run") + " --http nonsense", 2, "nonsense"},
		{"demo " + in("nowhere") + " --http 0", 69, "nowhere"},
		{"demo " + in("run") + " --fill amber", 2, "no [MASK]"},
		{"demo " + in("run") + " " + strings.Repeat("amber,", 600), 2, "at most 512"},
		{"demo " + in("run") + " [MASK]", 0, "    -               [MASK]"},
		{"demo " + in("run") + " amber --platform abacus", 2, "abacus"},
		{"demo " + in("exported/discriminator") + " --fill [MASK]", 65, "no generator"},
	} {
		out, err := run(strings.Fields(step.args)...)
		said := out
		if err != nil {
			said = err.Error()
		}
		if fault.ExitCode(err) != step.code || !strings.Contains(said, step.says) {
			t.Errorf("%s: exit code %d with %q; want %d with %q", step.args, fault.ExitCode(err), said, step.code, step.says)
		}
	}
	var shown struct {
		Step     int64
		Tokens   []Judgement
		Fillings []Filling
	}
	must.M(json.Unmarshal([]byte(must.M1(run("demo", in("run"), "amber resin", "--fill", "amber [MASK]", "--json"))), &shown))
	if shown.Step != 3 || len(shown.Tokens) < 4 || len(shown.Fillings) != 1 {
		t.Errorf("demo --json gave %+v", shown)
	}
	var inspection Inspection
	must.M(json.Unmarshal([]byte(must.M1(run("inspect", in("run"), "--json"))), &inspection))
	if inspection.Step != 3 || inspection.Parameters == 0 || len(inspection.Tensors) == 0 {
		t.Errorf("inspect --json gave step %d, %d parameters", inspection.Step, inspection.Parameters)
	}
}
