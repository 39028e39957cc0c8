package childproc

import (
	"fmt"
	"os"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"netserver/internal/descriptors"
)

// Hold prepares to start the process's program a second time, with role in
// place of its own and with the same arguments, environment and all that p
// holds. It opens the program's file, which the new identity and root
// directory may not reach. The function that it returns must run on the thread
// that ran Become, and returns only if it fails. It is how Become reaches
// every thread, and leaves nothing of the former identity in memory. Where
// that is not needed, Hold returns nil.
func (p *Part) Hold(role string) (func() error, error) {
	exe, err := os.Open("/proc/self/exe")
	if err != nil {
		return nil, fmt.Errorf("childproc: the program's own file: %w", err)
	}
	return func() error {
		err := p.reexec(exe, role)
		exe.Close()
		return err
	}, nil
}

func (p *Part) reexec(exe *os.File, role string) error {
	link, err := p.Link.c.File()
	if err != nil {
		return err
	}
	files := append([]*os.File{link}, p.Files...)
	// Out of the way of where the files are going to be.
	self, err := unix.FcntlInt(exe.Fd(), unix.F_DUPFD_CLOEXEC, descriptors.First+len(files))
	if err != nil {
		return os.NewSyscallError("fcntl", err)
	}
	if err := arrange(files); err != nil {
		return err
	}
	env := append(withoutRole(os.Environ()), fmt.Sprintf("%s=%s/%d", RoleVar, role, len(p.Files)))
	argv, err := syscall.SlicePtrFromStrings(os.Args)
	if err != nil {
		return err
	}
	envp, err := syscall.SlicePtrFromStrings(env)
	if err != nil {
		return err
	}
	empty, _ := syscall.BytePtrFromString("")
	// Package syscall raises the limit on descriptors at start and, when it
	// starts a program, lowers it to what it was. It does so here too, before
	// it finds that there is no program of this name.
	syscall.Exec("", nil, nil)
	_, _, errno := syscall.RawSyscall6(unix.SYS_EXECVEAT, uintptr(self), uintptr(unsafe.Pointer(empty)),
		uintptr(unsafe.Pointer(&argv[0])), uintptr(unsafe.Pointer(&envp[0])), unix.AT_EMPTY_PATH, 0)
	runtime.KeepAlive(argv)
	runtime.KeepAlive(envp)
	return fmt.Errorf("childproc: start the program again: %w", errno)
}

// arrange puts the files where Start puts them: at 3 and up.
func arrange(files []*os.File) error {
	// First out of the way, so that none is put over one that is still needed.
	fds := make([]int, len(files))
	for i, f := range files {
		fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, descriptors.First+len(files))
		if err != nil {
			return os.NewSyscallError("fcntl", err)
		}
		fds[i] = fd
	}
	for i, fd := range fds {
		// The poller's descriptor may stand there; nothing polls any more.
		if err := unix.Dup3(fd, descriptors.First+i, 0); err != nil {
			return os.NewSyscallError("dup3", err)
		}
	}
	return nil
}
