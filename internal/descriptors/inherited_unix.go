//go:build unix

package descriptors

import (
	"os"
	"syscall"
)

// First is the descriptor of the first inherited file.
const First = 3

// Inherited returns the first inherited files, with these names.
func Inherited(names []string) []*os.File {
	files := make([]*os.File, len(names))
	for i := range files {
		fd := First + i
		syscall.CloseOnExec(fd)
		files[i] = os.NewFile(uintptr(fd), names[i])
	}
	return files
}
