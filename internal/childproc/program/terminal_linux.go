package program

import (
	"os"
	"syscall"
	"time"

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

// EndInput types the end of input at a terminal, which a program sees as the end
// of a file. In the middle of a line it takes two: the first one ends the line.
// It reports false if the program reads every key by itself, and so would take
// it for one.
func EndInput(in *os.File, midLine bool) bool {
	rc, err := in.SyscallConn()
	if err != nil {
		return true
	}
	var t *unix.Termios
	rc.Control(func(fd uintptr) { t, err = unix.IoctlGetTermios(int(fd), unix.TCGETS) })
	if t == nil || err != nil {
		return true
	}
	if t.Lflag&unix.ICANON == 0 {
		return false
	}
	keys := []byte{t.Cc[unix.VEOF]}
	if midLine {
		keys = append(keys, keys[0])
	}
	in.SetWriteDeadline(time.Now().Add(endWait))
	in.Write(keys) // an error: the program has ended, or reads nothing
	return true
}

// endWait bounds how long the end of input waits for a program that reads
// nothing.
const endWait = 5 * time.Second

// own has the program get its terminal as the controlling one.
func (cmd *Command) own(attr *syscall.SysProcAttr) {
	attr.Setctty, attr.Ctty = cmd.Terminal, 0
}
