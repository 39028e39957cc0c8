//go:build !unix

package descriptors

import "os"

// First is the descriptor of the first inherited file.
const First = 3

// Inherited returns files that cannot be used.
func Inherited(names []string) []*os.File {
	files := make([]*os.File, len(names))
	for i := range files {
		files[i] = os.NewFile(^uintptr(0), names[i])
	}
	return files
}
