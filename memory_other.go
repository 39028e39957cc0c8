//go:build !linux

package netserver

// systemMemory returns 0: unknown. GOMEMLIMIT or max_memory tell it.
func systemMemory() int64 { return 0 }
