package proc

import (
	"fmt"
	"os"
)

// openBinary holds the file open and executes it through the descriptor. A
// file that may be executed but not read is executed by its name.
func openBinary(name string) (*Binary, error) {
	b := &Binary{name: name, path: name}
	f, err := os.Open(name)
	switch {
	case err == nil:
		b.file = f
		b.path = fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), f.Fd())
		if _, err := os.Stat(b.path); err != nil {
			b.path = name // no /proc here
		}
	case os.IsNotExist(err):
		// Moved away or being replaced: the kernel still has our own.
		b.path = "/proc/self/exe"
		if _, err := os.Stat(b.path); err != nil {
			return nil, fmt.Errorf("proc: the program's own file %s is gone: %w", name, os.ErrNotExist)
		}
		if b.file, err = os.Open(b.path); err == nil {
			b.path = fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), b.file.Fd())
		}
	}
	return b, nil
}
