//go:build !unix

package certfile

// OthersCanRead tells whether every user of the system can read a file, which
// is not known here.
func OthersCanRead(string) bool { return false }
