package conf

import (
	"maps"
	"slices"
)

// A Layer is one source of configuration: the keys it sets, in order, and its
// problems. Readers make layers; so does LayerOf.
type Layer struct {
	Source  Source
	Entries []Entry
	Blocks  []Block            // the [[listen]] blocks of a TOML file
	Tables  map[string][]Block // its other tables, by name: Set.DefineTable
	// Help and Version report --help and --version among the arguments, unless
	// keys of those names are defined.
	Help, Version bool

	// read reads the layer again with the keys of a Set; nil if the layer does
	// not depend on them.
	read func(*Set) Layer

	// foreign says that the file is another program's, which is a problem unless
	// unknown keys are expected.
	foreign *Problem

	Problems       Problems // errors found in reading; Resolve reports them with its own
	NoFinalNewline bool     // the last line of the file has no newline: it may be half written
	Warnings       Problems // what the reader skipped, and why; copied to Result.Warnings
}

// An Entry is one mention of a key: a line, an argument, a TOML array or
// table.
type Entry struct {
	Key    string // as written, known or not
	Origin Origin
	Values []Value // usually one; none for an empty TOML array

	// fault is an error in the form of the entry. It is reported only if the
	// key is known: the entry may belong to another program.
	fault *Problem
}

// A Block is one [[listen]] block of a TOML file, a port with its own values,
// or one of its other tables.
type Block struct {
	Origin Origin
	// Values are filled in by Resolve: of a [[listen]] block port, host, proto,
	// ipv and keys marked PerPort, of another table its own keys.
	Values Values
	// Tables are the tables within it, in order, by the last part of their
	// name: "route" for [[listen.route]].
	Tables map[string][]Block `json:",omitempty"`

	entries []Entry // as the reader found them; nil in a block made by hand
}

// LayerOf makes a layer of a program's own values: fixed in code (SourceCode)
// or arguments of daemon.Run (SourceRun). Values without an origin get the
// layer's; the others keep theirs.
func LayerOf(src Source, v Values) Layer {
	return Layer{Source: src, Entries: entriesOf(src, v)}
}

// entriesOf makes one entry per key, in alphabetical order, since a map has no
// order.
func entriesOf(src Source, v Values) []Entry {
	var entries []Entry
	for _, key := range slices.Sorted(maps.Keys(v)) {
		e := Entry{Key: key, Origin: Origin{Source: src}, Values: slices.Clone(v[key])}
		for i := range e.Values {
			if e.Values[i].Origin == (Origin{}) {
				e.Values[i].Origin = Origin{Source: src}
			}
		}
		if len(e.Values) > 0 {
			e.Origin = e.Values[0].Origin
		}
		entries = append(entries, e)
	}
	return entries
}

// byStrength returns the layers, strongest source first. Of two layers of one
// source, the one given first is the stronger.
func byStrength(layers []Layer) []Layer {
	layers = slices.Clone(layers)
	slices.SortStableFunc(layers, func(a, b Layer) int { return int(b.Source - a.Source) })
	return layers
}

// Deferred returns l with a read that a Set calls when it resolves l, with the
// keys defined by then: which words are keys, and which of them take a value,
// depends on that.
func (l Layer) Deferred(read func(*Set) Layer) Layer {
	l.read = read
	return l
}

// Read reads the layers that Deferred postponed.
func (s *Set) Read(layers []Layer) []Layer {
	layers = slices.Clone(layers)
	for i, l := range layers {
		if l.read != nil {
			layers[i] = l.read(s)
		}
	}
	return layers
}

// Find returns the values of key in the strongest layer that has it, before
// anything is resolved or checked. A program uses it for keys that decide what
// to read next.
func Find(key string, layers ...Layer) []Value {
	for _, l := range byStrength(layers) {
		var vals []Value
		for _, e := range l.Entries {
			if e.Key == key {
				vals = append(vals, e.Values...)
			}
		}
		if vals != nil {
			return vals
		}
	}
	return nil
}

// confFile is the key that names the conf file.
const confFile = "conf_file"

// WithConfFile returns the layers and, if they name a conf_file (or the key
// has a default), the layer of that file. An empty conf_file names no file.
func (s *Set) WithConfFile(layers []Layer) []Layer {
	layers = s.Read(layers)
	vals := Find(confFile, layers...)
	if d := s.index[confFile]; d != nil && vals == nil {
		vals = d.fallback()
	}
	named := last(vals)
	if named.Text == "" {
		return layers
	}
	l := s.ReadFile(named.Text)
	return append(slices.Clone(layers), l)
}
