//go:build !unix

package descriptors

import "os"

// Null opens the null device, for reading and writing. The caller closes it.
func Null() (*os.File, error) { return os.OpenFile(os.DevNull, os.O_RDWR, 0) }
