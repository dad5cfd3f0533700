package arguments

import (
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// commandLine is a command line in work.
type commandLine struct {
	app   *cli.App
	args  []string       // without the program's name
	path  []*cli.Command // the commands that args names, outermost first
	words map[int]bool   // the indices in args of the words that name them, and of the word help
	help  bool           // the word help was one of them
}

// parsed is a command line taken apart.
type parsed struct {
	flags   []flagUse
	words   []word
	help    bool     // a help flag was among the flags
	missing []string // the flags that lack their value
}

// flagUse is a flag as it stands on the command line.
type flagUse struct {
	name   string   // without dashes and value
	tokens []string // as given: --steps 5 is two, --steps=5 is one
}

// word is an argument that is neither a flag nor a flag's value.
type word struct {
	index   int // in args
	text    string
	literal bool // it stands behind "--"
}

// findPath finds the words that name commands. A word is one if, read with the flags of the command that
// it would name, it is the first word that is left.
func (l *commandLine) findPath() {
	commands := l.app.Commands
	for {
		i, c := l.nextCommand(commands)
		if i < 0 {
			return
		}
		l.words[i] = true
		if c == nil {
			l.help = true
			continue
		}
		l.path = append(l.path, c)
		commands = c.Subcommands
	}
}

// nextCommand finds the next word that names one of commands, or the word help, for which c is nil. The
// index is -1 if there is none.
func (l *commandLine) nextCommand(commands []*cli.Command) (index int, c *cli.Command) {
	for i, text := range l.args {
		c, ok := l.command(commands, text)
		if !ok || l.words[i] {
			continue
		}
		path := l.path
		if c != nil {
			path = append(slices.Clone(path), c)
		}
		if p := l.parse(path, i+1); len(p.words) == 1 && p.words[0].index == i && !p.words[0].literal {
			return i, c
		}
	}
	return -1, nil
}

// command says whether text names one of commands, or asks for help, for which c is nil. A command that
// takes arguments may want the word help for itself.
func (l *commandLine) command(commands []*cli.Command, text string) (c *cli.Command, ok bool) {
	if text == "help" || text == "h" {
		return nil, len(commands) > 0 || !takesArguments(l.path)
	}
	for _, c := range commands {
		if c.HasName(text) {
			return c, true
		}
	}
	return nil, false
}

// takesArguments says whether the innermost command of path takes arguments.
func takesArguments(path []*cli.Command) bool {
	if len(path) == 0 {
		return false
	}
	c := path[len(path)-1]
	return c.Args || c.ArgsUsage != ""
}

// parse takes args[:end] apart as the commands of path would read them, leaving out the words that name
// commands.
func (l *commandLine) parse(path []*cli.Command, end int) parsed {
	var p parsed
	for i := 0; i < end; i++ {
		text := l.args[i]
		switch {
		case l.words[i]:
		case text == "--":
			for j := i + 1; j < end; j++ {
				p.words = append(p.words, word{index: j, text: l.args[j], literal: true})
			}
			return p
		case !looksLikeFlag(text):
			p.words = append(p.words, word{index: i, text: text})
		case l.parseFlag(&p, path, i, end):
			i++
		}
	}
	return p
}

// parseFlag reads the flag at args[i] and says whether args[i+1] is its value.
func (l *commandLine) parseFlag(p *parsed, path []*cli.Command, i, end int) (valueFollows bool) {
	name, hasValue := flagName(l.args[i])
	flag := l.lookup(path, name)
	if flag == nil && isHelp(name) {
		p.help = true
		return false
	}
	if flag == nil {
		flag = l.lookupAnywhere(path, name)
	}
	switch {
	case hasValue:
	case flag == nil: // a mistake; the word behind it is its value, unless that may be the command
		valueFollows = i+2 < end && !looksLikeFlag(l.args[i+1]) && !l.words[i+1]
	case !takesValue(flag):
	case i+1 == len(l.args) || l.words[i+1] || l.isKnownFlag(path, l.args[i+1]):
		p.missing = append(p.missing, name)
	default:
		valueFollows = true
	}
	tokens := l.args[i : i+1]
	if valueFollows {
		tokens = l.args[i : i+2]
	}
	p.flags = append(p.flags, flagUse{name: name, tokens: tokens})
	return valueFollows
}

// looksLikeFlag says whether text begins as a flag does; "-" alone is a word, by custom for standard input.
func looksLikeFlag(text string) bool { return len(text) > 1 && text[0] == '-' }

// flagName is the name in --name, -name or --name=value.
func flagName(text string) (name string, hasValue bool) {
	name, _, hasValue = strings.Cut(strings.TrimPrefix(text[1:], "-"), "=")
	return name, hasValue
}

// isKnownFlag says whether text is a flag rather than a value that begins with a dash, such as -5.
func (l *commandLine) isKnownFlag(path []*cli.Command, text string) bool {
	if !looksLikeFlag(text) {
		return false
	}
	name, _ := flagName(text)
	return text == "--" || isHelp(name) || l.lookup(path, name) != nil
}

// lookup finds a flag of the commands of path or of the program, other than help; nil if there is none.
func (l *commandLine) lookup(path []*cli.Command, name string) cli.Flag {
	for _, c := range slices.Backward(path) {
		if flag := find(c.Flags, name); flag != nil && flag != cli.HelpFlag {
			return flag
		}
	}
	if flag := find(l.app.Flags, name); flag != cli.HelpFlag {
		return flag
	}
	return nil
}

// lookupAnywhere finds a flag of any command, those below path first. While the command is not known yet,
// this tells whether the word behind the flag is its value.
func (l *commandLine) lookupAnywhere(path []*cli.Command, name string) cli.Flag {
	if len(path) > 0 {
		if flag := findBelow(path[len(path)-1].Subcommands, name); flag != nil {
			return flag
		}
	}
	return findBelow(l.app.Commands, name)
}

func findBelow(commands []*cli.Command, name string) cli.Flag {
	for _, c := range commands {
		if flag := find(c.Flags, name); flag != nil {
			return flag
		}
		if flag := findBelow(c.Subcommands, name); flag != nil {
			return flag
		}
	}
	return nil
}

func find(flags []cli.Flag, name string) cli.Flag {
	for _, flag := range flags {
		if slices.Contains(flag.Names(), name) {
			return flag
		}
	}
	return nil
}

func takesValue(flag cli.Flag) bool {
	described, ok := flag.(cli.DocGenerationFlag)
	return !ok || described.TakesValue()
}

func isHelp(name string) bool {
	return cli.HelpFlag != nil && slices.Contains(cli.HelpFlag.Names(), name)
}
