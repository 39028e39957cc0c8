//go:build !unix

package proc

import "os"

// firstFile is the descriptor of the first inherited file elsewhere.
const firstFile = 3

// inherited returns files that cannot be used.
func inherited(names []string) []*os.File {
	files := make([]*os.File, len(names))
	for i := range files {
		files[i] = os.NewFile(^uintptr(0), names[i])
	}
	return files
}
