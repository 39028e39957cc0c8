package childproc

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"

	"golang.org/x/sys/unix"
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
			return nil, fmt.Errorf("childproc: the program's own file %s is gone: %w", name, os.ErrNotExist)
		}
		if b.file, err = os.Open(b.path); err == nil {
			b.path = fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), b.file.Fd())
		}
	}
	return b, nil
}

// reach returns a path by which the child of cmd reaches the program's file,
// and a function for when it runs. The descriptors of a process that keeps to
// itself are closed to its child, which looks among its own then. There the file
// must lie where none of cmd's is put.
func (b *Binary) reach(cmd *exec.Cmd) (path string, release func()) {
	release = func() {}
	if open, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0); err != nil || open == 1 || b.file == nil || b.path == b.name {
		return b.path, release
	}
	n := len(cmd.ExtraFiles) + 3
	free := n
	for _, w := range append([]any{cmd.Stdin, cmd.Stdout, cmd.Stderr}, anys(cmd.ExtraFiles)...) {
		if f, ok := w.(*os.File); ok {
			free = max(free, int(f.Fd()))
		}
	}
	how := unix.F_DUPFD_CLOEXEC
	if b.isScript() {
		how = unix.F_DUPFD // what interprets it opens it once more
	}
	// Package syscall moves what is in the way to the numbers behind the
	// highest.
	fd, err := unix.FcntlInt(b.file.Fd(), how, free+n+2)
	if err != nil {
		return b.path, release
	}
	return "/proc/self/fd/" + strconv.Itoa(fd), func() { unix.Close(fd) }
}

func (b *Binary) isScript() bool {
	var head [2]byte
	n, _ := b.file.ReadAt(head[:], 0)
	return string(head[:n]) == "#!"
}

func anys(files []*os.File) []any {
	list := make([]any, len(files))
	for i, f := range files {
		list[i] = f
	}
	return list
}

// openOwn opens the file of this process's program as it was started.
func openOwn() (*os.File, error) { return os.Open("/proc/self/exe") }
