//go:build !linux

package proc

// UsageOf returns nothing: it is not known here.
func UsageOf(int) Usage { return Usage{} }
