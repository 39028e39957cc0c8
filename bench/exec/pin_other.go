//go:build !linux

package main

// pinned runs start.
func pinned(start func() error) error { return start() }
