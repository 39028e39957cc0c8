//go:build !unix

package dirstore

import "testing"

// plantUnix puts nothing there: links, pipes and owners are of other systems.
func plantUnix(*testing.T, *store, func(string) string) []string { return nil }
