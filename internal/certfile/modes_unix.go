//go:build unix

package certfile

import "os"

// OthersCanRead tells whether every user of the system can read a file.
func OthersCanRead(file string) bool {
	fi, err := os.Stat(file)
	return err == nil && fi.Mode().IsRegular() && fi.Mode().Perm()&0o004 != 0
}
