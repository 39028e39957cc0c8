//go:build !linux

package proc

// DescriptorLimit returns 0: it is not known here.
func DescriptorLimit(int) int { return 0 }

// UsageOf returns nothing: it is not known here.
func UsageOf(int) Usage { return Usage{} }
