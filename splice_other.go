//go:build !linux

package netserver

// splice is Linux's alone.
func splice(*source, *sink) (int64, error) { return 0, errNoSplice }
