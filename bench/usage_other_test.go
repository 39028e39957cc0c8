//go:build !unix

package bench

// ownUsage knows nothing here.
func ownUsage() (cpu, rss int64) { return 0, 0 }
