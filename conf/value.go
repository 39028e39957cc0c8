package conf

import "fmt"

// An Origin tells where a value came from. The zero Origin is a default.
type Origin struct {
	Source Source
	File   string // for SourceFile: the path as it was given
	Line   int    // for SourceFile: counted from 1; for SourceArgs: the argument's position, from 1
}

// A Source is a kind of place that values come from, weakest first, so that
// sources can be compared.
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

// A Value is one text given for a key, with the place it was given at.
type Value struct {
	Name   string // for a key that holds a map (SNI name to file, say): the entry's name; else ""
	Text   string
	Origin Origin
}

// Values holds what was given for each key, in the order in which it was
// given. The zero Values holds nothing and can be read.
type Values map[string][]Value

// Set gives key the texts, as fixed in code, in place of what it had.
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
