package conf

import (
	"fmt"
	"path/filepath"
	"strings"
)

// An Origin tells where a value came from. The zero Origin is a default.
type Origin struct {
	Source Source
	File   string // for SourceFile: the path as given; for SourceEnv: the variable's name
	Line   int    // for SourceFile: counted from 1; for SourceArgs and SourceRun: the argument's position, from 1
}

// A Source is a kind of origin. Sources are ordered, weakest first.
type Source int

const (
	SourceDefault Source = iota // built in
	SourceFile                  // a conf file
	SourceRun                   // arguments given to daemon.Run
	SourceEnv                   // NETSERVER_KEY
	SourceArgs                  // the command line
	SourceCode                  // fixed in code
)

// String names the origin as --check prints it: "command line",
// "environment", "FILE:LINE", "run arguments", "code" or "default".
func (o Origin) String() string {
	switch o.Source {
	case SourceFile:
		return fmt.Sprintf("%s:%d", o.File, o.Line)
	case SourceRun:
		return "run arguments"
	case SourceEnv:
		return "environment"
	case SourceArgs:
		return "command line"
	case SourceCode:
		return "code"
	default:
		return "default"
	}
}

// Place names the origin as error messages do, more precisely than String:
// "argument 3" for the command line, "environment variable NAME", and FILE
// alone when no line is known. It is "" for a default.
func (o Origin) Place() string {
	switch {
	case o.Source == SourceFile && o.Line == 0:
		return o.File
	case o.Source == SourceArgs && o.Line > 0:
		return fmt.Sprintf("argument %d", o.Line)
	case o.Source == SourceRun && o.Line > 0:
		return fmt.Sprintf("run arguments, item %d", o.Line)
	case o.Source == SourceEnv && o.File != "":
		return "environment variable " + o.File
	case o.Source == SourceDefault:
		return ""
	}
	return o.String()
}

// endsText reports whether text ends with the origin in parentheses.
func (o Origin) endsText(text string) bool {
	return o != (Origin{}) &&
		(strings.HasSuffix(text, "("+o.String()+")") || strings.HasSuffix(text, "("+o.Place()+")"))
}

// toml reports whether the origin is a TOML file. There false and 1_000 are
// unambiguous, and Net::Server never read such files.
func (o Origin) toml() bool { return o.Source == SourceFile && isTOML(o.File) }

// isTOML reports whether a conf file is read as TOML.
func isTOML(path string) bool { return strings.EqualFold(filepath.Ext(path), ".toml") }

// A Value is one text given for a key, with its origin.
type Value struct {
	Name   string // the entry's name, for a key with named entries (SNI name to file, say); otherwise ""
	Text   string
	Origin Origin
}

// Errorf returns a Problem with the value's origin and a text formatted as by
// fmt.Errorf. The text should say what is wrong with the value; the Set adds
// the key's name.
func (v Value) Errorf(format string, args ...any) *Problem {
	return &Problem{Origin: v.Origin, Err: fmt.Errorf(format, args...)}
}

// Values holds the values given for each key, in order. The zero Values is
// empty and can be read.
type Values map[string][]Value

// Set replaces the values of key with texts, whose source is SourceCode.
func (v Values) Set(key string, texts ...string) {
	vals := make([]Value, len(texts))
	for i, t := range texts {
		vals[i] = Value{Text: t, Origin: Origin{Source: SourceCode}}
	}
	v[key] = vals
}

// Get returns the last text given for key, or "".
func (v Values) Get(key string) string {
	if l := v[key]; len(l) > 0 {
		return l[len(l)-1].Text
	}
	return ""
}
