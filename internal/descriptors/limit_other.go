//go:build !unix

package descriptors

// DescriptorLimit returns 0: there is no limit that could be asked for.
func DescriptorLimit() uint64 { return 0 }
