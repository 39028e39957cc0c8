//go:build unix

package tlsparams

import "os"

// OthersCanRead tells whether every user of the system can read a file.
func othersCanRead(file string) bool {
	fi, err := os.Stat(file)
	return err == nil && fi.Mode().IsRegular() && fi.Mode().Perm()&0o004 != 0
}
