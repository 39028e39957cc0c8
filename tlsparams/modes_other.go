//go:build !unix

package tlsparams

// OthersCanRead tells whether every user of the system can read a file, which
// is not known here.
func othersCanRead(string) bool { return false }
