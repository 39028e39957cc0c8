//go:build !linux

package proc

// SystemMemory returns 0: unknown. GOMEMLIMIT or max_memory tell it.
func SystemMemory() int64 { return 0 }

func machineMemory() int64  { return 0 }
func groupMemory() int64    { return 0 }
func ownGroupMemory() int64 { return 0 }
