//go:build unix

package childproc

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// NewLink makes a socket pair: a Link, and the file of the other end, which is
// for a child. The caller closes both.
func NewLink() (*Link, *os.File, error) {
	syscall.ForkLock.RLock()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err == nil {
		unix.CloseOnExec(fds[0])
		unix.CloseOnExec(fds[1])
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	mine, theirs := os.NewFile(uintptr(fds[0]), "link"), os.NewFile(uintptr(fds[1]), "link")
	defer mine.Close()
	l, err := LinkOf(mine)
	if err != nil {
		theirs.Close()
		return nil, nil, err
	}
	return l, theirs, nil
}

// LinkOf makes a Link of the file that NewLink made in the parent. The caller
// closes f.
func LinkOf(f *os.File) (*Link, error) {
	c, err := net.FileConn(f)
	if err != nil {
		return nil, fmt.Errorf("childproc: link to the parent: %w", err)
	}
	u, ok := c.(*net.UnixConn)
	if !ok {
		c.Close()
		return nil, errors.New("childproc: the link to the parent is no UNIX socket")
	}
	return &Link{c: u}, nil
}

// send writes b; the files go with its first byte.
func (l *Link) send(b []byte, files []*os.File) error {
	var oob []byte
	if len(files) > 0 {
		fds := make([]int, len(files))
		for i, f := range files {
			fds[i] = int(f.Fd())
		}
		oob = unix.UnixRights(fds...)
	}
	n, _, err := l.c.WriteMsgUnix(b, oob, nil)
	if err == nil && n < len(b) {
		_, err = l.c.Write(b[n:])
	}
	return err
}

// receiveHead fills head, and takes the files that come with it.
func (l *Link) receiveHead(head []byte) ([]*os.File, error) {
	var files []*os.File
	oob := make([]byte, unix.CmsgSpace(4*maxRights))
	for got := 0; got < len(head); {
		n, oobn, _, _, err := l.c.ReadMsgUnix(head[got:], oob)
		more, ferr := filesOf(oob[:oobn])
		files = append(files, more...)
		if err == nil {
			err = ferr
		}
		if err == nil && n == 0 {
			err = io.EOF
		}
		if errors.Is(err, io.EOF) || errors.Is(err, unix.ECONNRESET) {
			err = io.EOF // a reset: it ended without reading all that was sent
		}
		if err != nil {
			if err == io.EOF && got > 0 {
				err = io.ErrUnexpectedEOF
			}
			return files, err
		}
		got += n
	}
	return files, nil
}

// receiveBody fills b. Files must not come within a message: the kernel would
// close them, and have this thread wait for that.
func (l *Link) receiveBody(b []byte) error {
	if !l.refuses {
		_, err := io.ReadFull(l.c, b)
		return err
	}
	oob := make([]byte, unix.CmsgSpace(4*maxRights))
	for got := 0; got < len(b); {
		n, oobn, _, _, err := l.c.ReadMsgUnix(b[got:], oob)
		if files, _ := filesOf(oob[:oobn]); len(files) > 0 {
			discard(files)
			return ErrFiles
		}
		if err == nil && n == 0 || errors.Is(err, unix.ECONNRESET) {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return err
		}
		got += n
	}
	return nil
}

// maxRights is how many files the kernel lets one message have.
const maxRights = 253

// discard closes files that nobody asked for. Whoever sent them can have that
// take for ever: nobody waits for it.
func discard(files []*os.File) {
	for _, f := range files {
		// Else a socket would wait until its peer has taken all that was sent.
		unix.SetsockoptLinger(int(f.Fd()), unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{})
	}
	go closeFiles(files)
}

func filesOf(oob []byte) ([]*os.File, error) {
	if len(oob) == 0 {
		return nil, nil
	}
	cs, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil, err
	}
	var files []*os.File
	for i := range cs {
		fds, err := unix.ParseUnixRights(&cs[i])
		if err != nil {
			continue // not files
		}
		for _, fd := range fds {
			unix.CloseOnExec(fd)
			files = append(files, os.NewFile(uintptr(fd), fmt.Sprintf("received descriptor %d", fd)))
		}
	}
	return files, nil
}
