package program

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// OpenTerminal makes a pseudo-terminal of that size for a program: what we write
// to in is typed there, what comes from out was shown. theirs is its standard
// input and output, with Command.Terminal its controlling terminal.
func OpenTerminal(columns, rows uint16) (in *os.File, out *Outlet, theirs *os.File, err error) {
	const flags = unix.O_RDWR | unix.O_NOCTTY | unix.O_CLOEXEC
	fd, err := unix.Open("/dev/ptmx", flags|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, nil, &os.PathError{Op: "open", Path: "/dev/ptmx", Err: err}
	}
	in = os.NewFile(uintptr(fd), "/dev/ptmx")
	defer func() {
		if err != nil {
			in.Close()
		}
	}()
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		return nil, nil, nil, os.NewSyscallError("TIOCSPTLCK", err)
	}
	if err := unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: rows, Col: columns}); err != nil {
		return nil, nil, nil, os.NewSyscallError("TIOCSWINSZ", err)
	}
	// From its other end, and not by a path, which another /dev/pts may be at.
	slave, _, no := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.TIOCGPTPEER, flags)
	if no != 0 {
		return nil, nil, nil, os.NewSyscallError("TIOCGPTPEER", no)
	}
	theirs = os.NewFile(slave, "terminal")
	reading, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		theirs.Close()
		return nil, nil, nil, os.NewSyscallError("fcntl", err)
	}
	out, err = newOutlet(os.NewFile(uintptr(reading), "/dev/ptmx"))
	if err != nil {
		theirs.Close()
	}
	return in, out, theirs, err
}

// EndKeys returns the keys that are the end of input at a terminal, which a
// program sees as the end of a file. In the middle of a line it takes two: the
// first one ends the line. last is the key that was typed last, negative if there
// was none. It reports false if the program reads every key by itself, or has no
// key for the end, and so would take it for one.
func EndKeys(in *os.File, last int) (keys []byte, ok bool) {
	rc, err := in.SyscallConn()
	if err != nil {
		return nil, true
	}
	var t *unix.Termios
	rc.Control(func(fd uintptr) { t, err = unix.IoctlGetTermios(int(fd), unix.TCGETS) })
	if t == nil || err != nil {
		return nil, true
	}
	end := t.Cc[unix.VEOF]
	if t.Lflag&unix.ICANON == 0 || end == 0 {
		return nil, false
	}
	keys = []byte{end}
	if last >= 0 && last != '\n' && last != '\r' {
		keys = append(keys, end)
		if t.Lflag&unix.IEXTEN != 0 && last == int(t.Cc[unix.VLNEXT]) {
			keys = append(keys, end) // what follows that key is an ordinary one
		}
	}
	return keys, true
}

// own has the program get its terminal as the controlling one.
func (cmd *Command) own(attr *syscall.SysProcAttr) {
	attr.Setctty, attr.Ctty = cmd.Terminal, 0
}
