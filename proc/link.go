package proc

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
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
	c *net.UnixConn

	mu     sync.Mutex // one Send at a time
	broken error
}

const (
	linkHeader = 8  // length of a message and number of its files
	maxFiles   = 16 // that one message may carry

	// sendTime bounds a Send to a process that does not read.
	sendTime = 5 * time.Second
)

// ErrTooLong is the error of a message that is longer than the receiver takes.
var ErrTooLong = errors.New("proc: message too long")

// Send sends a message. files are copied; the caller closes them. A process
// that takes nothing for five seconds is an error, and the Link is of no use
// after any error.
func (l *Link) Send(msg []byte, files ...*os.File) error {
	if len(files) > maxFiles {
		return fmt.Errorf("proc: %d files in one message; %d can be", len(files), maxFiles)
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
		l.broken = fmt.Errorf("proc: send to the other process: %w", err)
		return l.broken
	}
	return nil
}

// Receive waits for a message of at most max bytes. The caller closes the
// files. At the end of the other process the error is io.EOF.
func (l *Link) Receive(max int) (msg []byte, files []*os.File, err error) {
	var head [linkHeader]byte
	files, err = l.receiveHead(head[:])
	if err == nil && len(files) != int(head[4]) {
		err = fmt.Errorf("proc: %d of a message's %d files arrived", len(files), head[4])
	}
	n := int64(binary.BigEndian.Uint32(head[:]))
	if err == nil && n > int64(max) {
		err = fmt.Errorf("%w: %d bytes, %d are allowed", ErrTooLong, n, max)
	}
	if err == nil {
		msg = make([]byte, n)
		_, err = io.ReadFull(l.c, msg)
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
