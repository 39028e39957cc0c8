package conf

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Args is a command line that ReadArgs has read.
type Args struct {
	Type    string   // the TYPE word it began with, as the caller spells it, or ""
	Layer   Layer    // the keys, known and unknown, and the problems found
	Program []string // the words after --; nil without --
	Help    bool     // --help or -h was given
	Version bool     // --version, -v or -V was given
}

// ReadArgs reads the command line of the program itself, without its name:
//
//	[TYPE] [--key value | --key=value | key=value | key value]... [-- PROGRAM [ARG]...]
//
// If the first argument is one of types, in any case, it is the TYPE. An
// argument that is neither key nor value is a problem. An option that begins with
// two dashes may have dashes for underscores and any case of letters, where that
// means one key (--SSL-cert-file), unless s keeps or warns of unknown keys.
// Arguments after -- are not interpreted.
func (s *Set) ReadArgs(argv []string, types ...string) Args {
	a := Args{Layer: Layer{Source: SourceArgs}}
	r := argReader{set: s, src: SourceArgs, command: true, args: argv}
	if len(argv) > 0 {
		if i := slices.IndexFunc(types, func(t string) bool { return strings.EqualFold(t, argv[0]) }); i >= 0 {
			a.Type = types[i]
			r.next = 1
		}
	}
	for r.next < len(argv) {
		if argv[r.next] == "--" {
			a.Program = append([]string{}, argv[r.next+1:]...)
			if len(a.Program) == 0 {
				r.problem(errors.New("no program follows --"), "")
			}
			break
		}
		if help, version := s.isFlag(argv[r.next]); help || version {
			a.Help, a.Version = a.Help || help, a.Version || version
			r.next++
			continue
		}
		if !r.known() && !r.unknown() {
			r.stray(types)
		}
	}
	a.Layer.Entries, a.Layer.Problems = r.entries, r.problems
	a.Layer.Help, a.Layer.Version = a.Help, a.Version
	return a
}

// TakeArgs removes the known keys from a list of arguments, either a command
// line (SourceArgs) or the arguments of daemon.Run (SourceRun), and returns
// the rest unchanged, for a program with its own options. As in Net::Server,
// only the unknown argument itself is left over, so the next one may be taken
// for a key; and -- does not end the keys.
func (s *Set) TakeArgs(src Source, args []string) (Layer, []string) {
	r := argReader{set: s, src: src, args: args}
	var rest []string
	for r.next < len(args) {
		if !r.known() {
			rest = append(rest, args[r.next])
			r.next++
		}
	}
	return Layer{Source: src, Entries: r.entries, Problems: r.problems}, rest
}

// An argReader walks over arguments.
type argReader struct {
	set      *Set
	src      Source
	command  bool // reading the command's own command line, where -- ends the keys
	args     []string
	next     int // index of the next argument
	entries  []Entry
	problems Problems
}

// An arg is a parsed argument.
type arg struct {
	key      string
	text     string // the value if hasValue
	hasValue bool   // the argument itself contains a value
	dashed   bool   // it begins with --
}

// splitArg parses [--]KEY, [--]KEY=VALUE or "[--]KEY VALUE" (one argument,
// value without blanks) and reports whether s has one of these forms.
func splitArg(s string) (arg, bool) {
	rest, dashed := strings.CutPrefix(s, "--")
	a := arg{key: rest, dashed: dashed}
	if i := strings.IndexAny(rest, "= "); i >= 0 {
		a.key, a.text, a.hasValue = rest[:i], rest[i+1:], true
		if rest[i] == ' ' && (a.text == "" || strings.ContainsAny(a.text, blanks)) {
			return a, false
		}
	}
	return a, isWord(a.key)
}

// known consumes the next argument, and its value, if it is a known key.
func (r *argReader) known() bool {
	a, ok := splitArg(r.args[r.next])
	d := r.set.index[a.key]
	if !ok || d == nil {
		if d = r.spelled(r.args[r.next], &a); d == nil {
			return false
		}
	}
	at := r.origin()
	r.next++
	switch {
	case a.hasValue:
	case r.next < len(r.args) && r.isValue(d, r.args[r.next]):
		a.text = r.args[r.next]
		r.next++
	case d.Bool:
		a.text = "1"
	case d.Refuse != "":
		// Resolve reports that the key was given at all.
	default:
		// Net::Server would use 1, which turns an unfinished option into a
		// user, a port or a file name.
		r.problems.add(&Problem{
			Key: a.key, Origin: at, Err: errors.New("it needs a value"),
			Hint: fmt.Sprintf("write --%s=%s", a.key, d.arg()),
		})
		return true
	}
	r.add(a.key, a.text, at)
	return true
}

// spelled returns the key that an option of the command means which is written in
// another case of letters, with dashes, or without underscores:
// --SSL-cert-file. Net::Server knows none of these. Where keys of others may
// stand beside the command's, they are left alone.
func (r *argReader) spelled(text string, a *arg) *def {
	rest, dashed := strings.CutPrefix(text, "--")
	if !r.command || !dashed || r.set.Unknown != RefuseUnknown {
		return nil
	}
	name, value, valued := strings.Cut(rest, "=")
	if name == "" || name[0] == '-' || len(name) > maxNearest || !isWord(strings.ReplaceAll(name, "-", "_")) {
		return nil
	}
	folded := fold(name)
	var found *def
	for _, d := range r.set.defs {
		if d.Refuse != "" || fold(d.Name) != folded {
			continue
		}
		if found != nil {
			return nil
		}
		found = d
	}
	if found != nil {
		*a = arg{key: found.Name, text: value, hasValue: valued, dashed: true}
	}
	return found
}

// isValue reports whether text, which follows the key d, is its value.
func (r *argReader) isValue(d *def, text string) bool {
	if len(text) > 2 && strings.HasPrefix(text, "--") && isWordByte(text[2]) {
		return false
	}
	if r.command && text == "--" {
		return false
	}
	if !d.Bool {
		return true
	}
	// A boolean needs no value, so a word that looks like the next key is one.
	a, ok := splitArg(text)
	if ok && r.set.index[a.key] != nil {
		return false
	}
	help, version := r.set.isFlag(text)
	return !help && !version && text != "--"
}

// unknown consumes the next argument, and what would be its value, if it can
// only be an undefined key: it begins with a dash or has the form KEY=VALUE.
func (r *argReader) unknown() bool {
	text, at := r.args[r.next], r.origin()
	a, ok := splitArg(text)
	oneDash := !a.dashed && len(text) > 1 && text[0] == '-'
	if !oneDash && (a.key == "" || strings.ContainsAny(text, blanks) || !a.dashed && !a.hasValue) && !(ok && a.hasValue) {
		return false
	}
	if oneDash {
		r.problem(fmt.Errorf("unknown argument %s", quote(text)), r.twoDashes(a.key))
	}
	r.next++
	if !a.hasValue && r.next < len(r.args) && r.isStray(r.args[r.next]) {
		a.text = r.args[r.next]
		r.next++
	}
	if !oneDash {
		r.add(a.key, a.text, at)
	}
	return true
}

// twoDashes returns the hint for a key written with one dash.
func (r *argReader) twoDashes(name string) string {
	name = strings.TrimLeft(name, "-")
	if instead := r.set.Instead[fold(name)]; instead != "" {
		return "keys begin with two dashes: " + instead
	}
	switch near := Nearest(name, r.set.names()); {
	case near != "":
		name = near
	case len(name) == 1 && isWord(name) && !('0' <= name[0] && name[0] <= '9'): // an option of other programs
		return "keys begin with two dashes and are whole words; --help lists them"
	}
	if !isWord(name) || '0' <= name[0] && name[0] <= '9' {
		return "keys begin with two dashes"
	}
	return "keys begin with two dashes: write --" + name
}

// stray consumes arguments that cannot be keys and reports a whole run of them
// as one problem.
func (r *argReader) stray(types []string) {
	text := r.args[r.next]
	key, kind := Nearest(text, r.set.names()), Nearest(text, types)
	hint := "a program to run follows --"
	a, _ := splitArg(text)
	help, version := r.set.isFlag("--" + text)
	afterPort := len(r.entries) > 0 && r.entries[len(r.entries)-1].Key == portKey
	path := strings.HasPrefix(text, "/") || strings.HasPrefix(text, "./") || strings.HasPrefix(text, "../")
	switch d := r.set.index[a.key]; {
	case help, version:
		hint = "write --" + text
	case path: // almost no key's name
	case r.set.index[portKey] != nil && !afterPort && text != "" && '0' <= text[0] && text[0] <= '9':
		hint = fmt.Sprintf("write --%s %s", portKey, text)
	case afterPort:
		hint = "a port is one word, such as 443/ssl; repeat --port for each further one"
	case d != nil: // the value has several words in one argument
		hint = fmt.Sprintf("write --%s=%s", d.Name, d.arg())
	case len(text) > 1 && r.set.Instead[fold(text)] != "":
		hint = r.set.Instead[fold(text)]
	case r.next == 0 && kind != "":
		hint = didYouMean(kind)
	case slices.Contains(types, text): // before keys of nearly the same name, as http is of HTTP
		hint = fmt.Sprintf("the type of server comes first: %s", text)
	case key != "":
		hint = didYouMean(key)
	case kind != "":
		hint = fmt.Sprintf("the type of server comes first: %s", kind)
	}
	r.problem(fmt.Errorf("unknown argument %s", quote(text)), hint)
	for r.next++; r.next < len(r.args) && r.isStray(r.args[r.next]); r.next++ {
	}
}

// isStray reports whether text is neither a key nor begins with a dash.
func (r *argReader) isStray(text string) bool {
	a, ok := splitArg(text)
	return !strings.HasPrefix(text, "-") && !(ok && (a.hasValue || r.set.index[a.key] != nil))
}

func (r *argReader) add(key, text string, at Origin) {
	r.entries = append(r.entries, Entry{Key: key, Origin: at, Values: []Value{r.set.value(key, text, at)}})
}

func (r *argReader) problem(err error, hint string) {
	r.problems.add(&Problem{Origin: r.origin(), Err: err, Hint: hint})
}

// origin is the position of the next argument.
func (r *argReader) origin() Origin { return Origin{Source: r.src, Line: r.next + 1} }

// isFlag reports whether arg requests help or the version, unless keys of
// those names are defined.
func (s *Set) isFlag(arg string) (help, version bool) {
	switch arg {
	case "--help", "-h":
		return s.index["help"] == nil, false
	case "--version", "-v", "-V":
		return false, s.index["version"] == nil
	}
	return false, false
}

// arg is the name of the key's value in help.
func (d *def) arg() string {
	if d.Arg == "" {
		return "VALUE"
	}
	return d.Arg
}
