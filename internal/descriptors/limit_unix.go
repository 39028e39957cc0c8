//go:build unix

package descriptors

import "golang.org/x/sys/unix"

// DescriptorLimit returns how many descriptors the process may have; 0 is
// unknown. Go has raised the limit to the most it may by itself.
func DescriptorLimit() uint64 {
	var r unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &r) != nil {
		return 0
	}
	return uint64(r.Cur)
}
