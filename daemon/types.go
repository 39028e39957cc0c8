package daemon

import (
	"slices"
)

// Types returns the names of the server types that can be run, as the command
// line and server_type take them, for documentation and completions.
func Types() []string {
	return slices.DeleteFunc(slices.Clone(types), func(t string) bool {
		return absentTypes[t] != ""
	})
}

// The server types, and those of the original that are refused by name.
const (
	typeFork          = "Fork"
	typeSingle        = "Single"
	typePreForkSimple = "PreForkSimple"
	typePreFork       = "PreFork"
	typeINET          = "INET"
)
