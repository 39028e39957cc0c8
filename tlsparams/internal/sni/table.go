// Package sni finds what belongs to a server name: by the exact name, by a
// wildcard for its first label, or by default.
//
// It imports nothing of this module. Start reading at Table.
package sni

import (
	"fmt"
	"strings"
)

// A Table maps names to values. The zero Table is empty. It must not be
// changed while it is read from other goroutines.
type Table[T any] struct {
	exact    map[string]T
	wildcard map[string]T // by what follows the star: ".example.com"
	byDef    T
	hasDef   bool
}

// Check returns why pattern cannot stand in a table, or "". Patterns are names,
// names with a star as the first label, and "" for all others.
func Check(pattern string) string {
	rest := strings.TrimPrefix(pattern, "*.")
	switch {
	case pattern == "":
		return ""
	case strings.Contains(rest, "*"):
		return fmt.Sprintf("has the name %q: a star can only stand for the whole first label, as in *.example.com", pattern)
	case rest == "" || len(rest) > 253 || strings.ContainsAny(rest, " /:") || strings.HasPrefix(rest, ".") || strings.Contains(rest, ".."):
		return fmt.Sprintf("has %.80q where a host name belongs", pattern)
	}
	return ""
}

// Normal returns a name as tables hold it: in lower case, without the dot at
// the end. It does not allocate for names that are so already.
func Normal(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }

// Empty reports whether no pattern has a value.
func (t *Table[T]) Empty() bool { return len(t.exact) == 0 && len(t.wildcard) == 0 && !t.hasDef }

// Set gives pattern a value.
func (t *Table[T]) Set(pattern string, v T) {
	pattern = Normal(pattern)
	switch {
	case pattern == "":
		t.byDef, t.hasDef = v, true
	case strings.HasPrefix(pattern, "*."):
		if t.wildcard == nil {
			t.wildcard = make(map[string]T)
		}
		t.wildcard[pattern[1:]] = v
	default:
		if t.exact == nil {
			t.exact = make(map[string]T)
		}
		t.exact[pattern] = v
	}
}

// At returns the value of pattern itself.
func (t *Table[T]) At(pattern string) (v T, ok bool) {
	pattern = Normal(pattern)
	switch {
	case pattern == "":
		return t.byDef, t.hasDef
	case strings.HasPrefix(pattern, "*."):
		v, ok = t.wildcard[pattern[1:]]
	default:
		v, ok = t.exact[pattern]
	}
	return v, ok
}

// Find returns the value for a client that asks for name, "" if it names
// none: the exact one, else the wildcard's, else the default.
func (t *Table[T]) Find(name string) (v T, ok bool) {
	if v, ok = t.Own(name); ok {
		return v, true
	}
	return t.byDef, t.hasDef
}

// Own is Find without the default.
func (t *Table[T]) Own(name string) (v T, ok bool) {
	if name == "" {
		return v, false
	}
	name = Normal(name)
	if v, ok = t.exact[name]; ok {
		return v, true
	}
	if t.wildcard != nil {
		if dot := strings.IndexByte(name, '.'); dot > 0 {
			v, ok = t.wildcard[name[dot:]]
		}
	}
	return v, ok
}

// Len returns how many names, wildcards and defaults the table holds.
func (t *Table[T]) Len() int {
	n := len(t.exact) + len(t.wildcard)
	if t.hasDef {
		n++
	}
	return n
}
