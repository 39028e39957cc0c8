//go:build !unix

package proc

import (
	"os"
	"os/exec"
)

// CanSpawn reports whether processes with a Link can be started here.
const CanSpawn = false

// firstFile is the descriptor of the first inherited file elsewhere.
const firstFile = 3

func ownSession(*exec.Cmd) {}

func inherited(names []string) []*os.File {
	files := make([]*os.File, len(names))
	for i := range files {
		files[i] = os.NewFile(^uintptr(0), names[i])
	}
	return files
}
