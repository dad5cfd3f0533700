package arguments

import (
	"fmt"
	"os"

	"github.com/urfave/cli/v2"

	"elektron/internal/settings"
)

// check returns all that is wrong with the flags, or else with the words.
func (l *commandLine) check(named []*cli.Command, p parsed) []string {
	problems := l.unknownFlags(p)
	for _, name := range p.missing {
		problems = append(problems, fmt.Sprintf("the flag --%s needs a value", name))
	}
	if len(problems) > 0 {
		return problems
	}
	if problem := l.unknownCommand(named, p); problem != "" {
		return []string{problem}
	}
	if len(l.path) > 0 && !takesArguments(l.path) {
		for _, w := range p.words {
			problems = append(problems, l.unexpected(w))
		}
	}
	return append(problems, l.absent(p)...)
}

// unknownFlags describes each unknown flag: which may have been meant, or whose it is.
func (l *commandLine) unknownFlags(p parsed) []string {
	var problems []string
	for _, use := range p.flags {
		if l.lookup(l.path, use.name) != nil {
			continue
		}
		message := fmt.Sprintf("unknown flag --%s for `%s`", use.name, l.title())
		if owner := owner(l.app.Commands, l.app.Name, use.name); owner != "" {
			message += fmt.Sprintf("; it is a flag of `%s`", owner)
		} else if hint := settings.Nearest(use.name, l.flagNames()); hint != "" {
			message += settings.DidYouMean("--" + hint)
		} else {
			message += fmt.Sprintf("; `%s --help` lists them", l.title())
		}
		problems = append(problems, message)
	}
	return problems
}

// flagNames lists the flags that are valid here.
func (l *commandLine) flagNames() []string {
	flags := l.app.Flags
	for _, c := range l.path {
		flags = append(flags[:len(flags):len(flags)], c.Flags...)
	}
	var names []string
	for _, flag := range flags {
		names = append(names, flag.Names()...)
	}
	return names
}

// owner names the first command that has the flag; empty if none has.
func owner(commands []*cli.Command, parent, name string) string {
	for _, c := range commands {
		title := parent + " " + c.Name
		if find(c.Flags, name) != nil {
			return title
		}
		if found := owner(c.Subcommands, title, name); found != "" {
			return found
		}
	}
	return ""
}

// unknownCommand describes the first word, if it stands where a command must.
func (l *commandLine) unknownCommand(named []*cli.Command, p parsed) string {
	commands, parent := l.app.Commands, l.app.Name
	for _, c := range named {
		commands, parent = c.Subcommands, parent+" "+c.Name
	}
	if len(p.words) == 0 || p.words[0].literal || len(commands) == 0 || takesArguments(named) || len(l.unknownFlags(p)) > 0 {
		return ""
	}
	var names []string
	for _, c := range commands {
		if !c.Hidden {
			names = append(names, c.Name)
		}
	}
	given := p.words[0].text
	message := fmt.Sprintf("unknown command %q for `%s`", given, parent)
	if hint := settings.Nearest(given, names); hint != "" {
		return message + settings.DidYouMean(hint)
	}
	return message + fmt.Sprintf("; `%s --help` lists them", parent) + hintFor(given)
}

// unexpected describes an argument of a command that takes none.
func (l *commandLine) unexpected(w word) string {
	return fmt.Sprintf("unexpected argument %q: `%s` takes flags only", w.text, l.title()) + hintFor(w.text)
}

// hintFor guesses how a word came to stand alone.
func hintFor(text string) string {
	if text == "true" || text == "false" {
		return "; a switch takes its value behind =, as in --dry-run=" + text
	}
	if _, err := os.Stat(text); err == nil {
		return "; if the shell made it from a pattern such as *.txt, put the pattern in quotes"
	}
	return ""
}

// absent describes the required flags that were not given, neither here nor by an environment variable.
func (l *commandLine) absent(p parsed) []string {
	var problems []string
	for _, c := range l.path {
		for _, flag := range c.Flags {
			if required, ok := flag.(cli.RequiredFlag); ok && required.IsRequired() && !isGiven(flag, p) {
				problems = append(problems, fmt.Sprintf("`%s` needs the flag --%s", l.title(), flag.Names()[0]))
			}
		}
	}
	return problems
}

func isGiven(flag cli.Flag, p parsed) bool {
	for _, use := range p.flags {
		if find([]cli.Flag{flag}, use.name) != nil {
			return true
		}
	}
	described, ok := flag.(cli.DocGenerationFlag)
	if !ok {
		return false
	}
	for _, variable := range described.GetEnvVars() {
		if _, set := os.LookupEnv(variable); set {
			return true
		}
	}
	return false
}
