package childproc

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"
)

// A Link is one end of a socket pair between a process and its child. It
// carries messages, each with some files if wanted. The end of a process,
// however it comes, is the end of its links: Receive returns io.EOF.
//
// Send may be called concurrently, Receive by one goroutine at a time, and
// Close at any time.
type Link struct {
	c       *net.UnixConn
	refuses bool // files that the other process sends

	mu     sync.Mutex // one Send at a time
	broken error
}

const (
	linkHeader = 8  // length of a message and number of its files
	maxFiles   = 16 // that one message may carry

	// sendTime bounds a Send to a process that does not read.
	sendTime = 5 * time.Second
)

// ErrFiles is the error of a message with files at an end that takes none.
var ErrFiles = errors.New("childproc: it sent descriptors, and has none to send")

// RefuseFiles has this end take no files, before the other process has its
// own: to close one can take as long as whoever sent it likes. Where the kernel
// can, the other process cannot send any; else Receive returns ErrFiles.
func (l *Link) RefuseFiles() {
	l.refuses = true
	refuseRights(l.c)
}

// CloseRead ends what the other process can send. What it has sent already can
// be received before Receive returns io.EOF.
func (l *Link) CloseRead() error { return l.c.CloseRead() }

// ErrTooLong is the error of a message that is longer than the receiver takes.
var ErrTooLong = errors.New("childproc: message too long")

// Send sends a message. files are copied; the caller closes them. A process
// that takes nothing for five seconds is an error, and the Link is of no use
// after any error.
func (l *Link) Send(msg []byte, files ...*os.File) error {
	if len(files) > maxFiles {
		return fmt.Errorf("childproc: %d files in one message; %d can be", len(files), maxFiles)
	}
	head := make([]byte, linkHeader, linkHeader+len(msg))
	binary.BigEndian.PutUint32(head, uint32(len(msg)))
	head[4] = byte(len(files))
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.broken != nil {
		return l.broken
	}
	l.c.SetWriteDeadline(time.Now().Add(sendTime))
	if err := l.send(append(head, msg...), files); err != nil {
		l.broken = fmt.Errorf("childproc: send to the other process: %w", err)
		return l.broken
	}
	return nil
}

// Receive waits for a message of at most max bytes. The caller closes the
// files. At the end of the other process the error is io.EOF.
func (l *Link) Receive(max int) (msg []byte, files []*os.File, err error) {
	var head [linkHeader]byte
	files, err = l.receiveHead(head[:])
	if l.refuses && len(files) > 0 {
		discard(files)
		return nil, nil, ErrFiles
	}
	if err == nil && len(files) != int(head[4]) {
		err = fmt.Errorf("childproc: %d of a message's %d files arrived", len(files), head[4])
	}
	n := int64(binary.BigEndian.Uint32(head[:]))
	if err == nil && n > int64(max) {
		err = fmt.Errorf("%w: %d bytes, %d are allowed", ErrTooLong, n, max)
	}
	if err == nil {
		msg = make([]byte, n)
		err = l.receiveBody(msg)
	}
	if err != nil {
		closeFiles(files)
		return nil, nil, err
	}
	return msg, files, nil
}

// Close closes this end. The other one's Receive returns io.EOF.
func (l *Link) Close() error { return l.c.Close() }

func closeFiles(files []*os.File) {
	for _, f := range files {
		f.Close()
	}
}
