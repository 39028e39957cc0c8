//go:build !unix && !windows

package port

func dualStack() bool { return false }
