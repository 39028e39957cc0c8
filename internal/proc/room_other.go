//go:build !linux

package proc

// Tasks tells nothing here.
func Tasks(int) (n int, ok bool) { return 0, false }

// AddressSpace tells nothing here.
func AddressSpace() (n int64, ok bool) { return 0, false }
