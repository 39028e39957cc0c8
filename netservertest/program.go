package netservertest

import (
	"os"
	"syscall"
)

// WriteProgram is os.WriteFile for a program that the test runs. No process is
// started meanwhile: a child that another goroutine starts holds the file open
// for writing until it runs its own program, and until then running this one
// fails with "text file busy" (go.dev/issue/22315).
func WriteProgram(name string, data []byte, perm os.FileMode) error {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	return os.WriteFile(name, data, perm)
}
