//go:build !unix

package netserver

// descriptorLimit returns 0: there is none to be known.
func descriptorLimit() uint64 { return 0 }
