// Package arguments lets flags stand anywhere on the command line: before the command, behind it and
// behind its arguments. The package cli/v2 wants the program's flags before the command and every other
// flag between its command and the first argument, and passes over arguments that no command asked for.
package arguments

import (
	"context"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"elektron/internal/fault"
)

// Run runs app on args (os.Args) with flags anywhere: see Normalize. Unlike app.Run it never ends the
// process, reports a wrong flag or value as one error of kind fault.Usage without printing the help, and
// gives a command its first argument also where cli/v2 would take the word for its own ("help", "h", the
// name of a flag).
func Run(ctx context.Context, app *cli.App, args []string) error {
	normal, err := Normalize(app, args)
	if err != nil {
		return err
	}
	defer func(name string) { app.DefaultCommand = name }(app.DefaultCommand)
	app.DefaultCommand = "" // Normalize wrote it out, and cli/v2 would look for it among the arguments
	app.ExitErrHandler = func(*cli.Context, error) {}
	app.OnUsageError = usageError
	prepare(app.Commands)
	return app.RunContext(ctx, normal)
}

func prepare(commands []*cli.Command) {
	for _, c := range commands {
		c.OnUsageError = usageError
		c.HideHelpCommand = c.HideHelpCommand || len(c.Subcommands) == 0
		prepare(c.Subcommands)
	}
}

// usageError rewrites what the package flag says: invalid value "x" for flag -steps: parse error.
func usageError(c *cli.Context, err error, _ bool) error {
	text := strings.Replace(err.Error(), "for flag -", "for --", 1)
	return fault.New(fault.Usage, "%s; see `%s --help`", text, c.Command.HelpName)
}

// Normalize reorders args (os.Args: the program's name comes first) so that cli/v2 reads them as they are
// meant. Every flag moves to the innermost command that has it, in front of the arguments. Without a
// command word, app.DefaultCommand is written out. "--" ends the flags. -h and --help anywhere, and the
// word help where a command may stand, ask for help on the commands that are named.
//
// Errors are of kind fault.Usage and name all problems of one sort: unknown flags (with the nearest
// name), flags without their value, required flags that are absent; or else an unknown command, or
// arguments for a command that takes none. A command takes arguments if its ArgsUsage or Args is set.
func Normalize(app *cli.App, args []string) ([]string, error) {
	if len(args) == 0 {
		args = []string{app.Name}
	}
	if app.EnableBashCompletion && args[len(args)-1] == "--generate-bash-completion" {
		return args, nil
	}
	app.Setup() // adds --help, --version and the command help
	l := &commandLine{app: app, args: args[1:], words: map[int]bool{}}
	l.findPath()
	named := l.path
	if fallback := app.Command(app.DefaultCommand); fallback != nil && len(named) == 0 {
		l.path = []*cli.Command{fallback}
	}
	p := l.parse(l.path, len(l.args))
	if l.help || p.help {
		l.path = named
		if problem := l.unknownCommand(named, p); problem != "" {
			return nil, fault.New(fault.Usage, "%s", problem)
		}
		return append(l.names(args[0]), "--help"), nil
	}
	if problems := l.check(named, p); len(problems) > 0 {
		return nil, fault.New(fault.Usage, "%s", strings.Join(problems, "\n"))
	}
	return l.assemble(args[0], p), nil
}

// assemble writes the command line in the order that cli/v2 wants.
func (l *commandLine) assemble(program string, p parsed) []string {
	flags := make([][]string, len(l.path)+1) // by the depth of the command that has them
	for _, use := range p.flags {
		depth := l.depth(use.name)
		flags[depth] = append(flags[depth], use.tokens...)
	}
	out := append([]string{program}, flags[0]...)
	for i, c := range l.path {
		out = append(out, c.Name)
		out = append(out, flags[i+1]...)
	}
	if slices.ContainsFunc(p.words, func(w word) bool { return looksLikeFlag(w.text) }) {
		out = append(out, "--")
	}
	for _, w := range p.words {
		out = append(out, w.text)
	}
	return out
}

// depth is 0 for a flag of the program, i+1 for one of path[i].
func (l *commandLine) depth(name string) int {
	for depth := len(l.path); depth > 0; depth-- {
		if find(l.path[depth-1].Flags, name) != nil {
			return depth
		}
	}
	return 0
}

// names is the program's name and those of the commands.
func (l *commandLine) names(program string) []string {
	names := []string{program}
	for _, c := range l.path {
		names = append(names, c.Name)
	}
	return names
}

// title is the command as messages show it: elektron data build.
func (l *commandLine) title() string { return strings.Join(l.names(l.app.Name), " ") }
