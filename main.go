// Command elektron pre-trains ELECTRA language models, TPU first.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/urfave/cli/v2"

	"elektron/dataset"
	"elektron/glue"
	"elektron/internal/arguments"
	"elektron/internal/fault"
	"elektron/internal/hugepages"
	"elektron/internal/platform"
	"elektron/trainer"
)

func main() {
	hugepages.Ask()
	err := arguments.Run(context.Background(), newApp(), os.Args)
	if err != nil {
		fmt.Fprintln(os.Stderr, "elektron:", err)
	}
	os.Exit(fault.ExitCode(err))
}

// newApp is the command table.
func newApp() *cli.App {
	return &cli.App{
		Name:  "elektron",
		Usage: "pre-train ELECTRA language models on TPU, GPU and CPU",
		Commands: []*cli.Command{
			trainer.PretrainCommand(),
			dataset.Command(),
			glue.Command(),
			trainer.PlanCommand(),
			trainer.BenchCommand(),
			trainer.ExportCommand(),
			trainer.ImportCommand(),
			trainer.InspectCommand(),
			trainer.DemoCommand(),
			platform.Command(),
		},
		DefaultCommand:            "pretrain",
		HideVersion:               true,
		DisableSliceFlagSeparator: true, // --set data.paths=a,b is one value
	}
}
