//go:build unix

package proc

import (
	"os"
	"syscall"
)

// firstFile is the descriptor of the first inherited file.
const firstFile = 3

// inherited returns the first inherited files, with these names.
func inherited(names []string) []*os.File {
	files := make([]*os.File, len(names))
	for i := range files {
		fd := firstFile + i
		syscall.CloseOnExec(fd)
		files[i] = os.NewFile(uintptr(fd), names[i])
	}
	return files
}
