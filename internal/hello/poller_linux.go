package hello

import (
	"net"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// pollBatch is how many clients one look at the poller may find.
const pollBatch = 128

// A poller tells which sockets have something: an epoll(7) of its own. The
// runtime's would have to wake a goroutine for each.
type poller struct {
	file   *os.File // known to the runtime's poller, so that waiting holds no thread
	rc     syscall.RawConn
	try    func(fd uintptr) bool
	events [pollBatch]unix.EpollEvent
	found  [pollBatch]found
	n      int
	err    error

	changes sync.Pool // of *change
}

func newPoller() (*poller, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	if err := unix.SetNonblock(fd, true); err != nil { // else os.File would not wait by the runtime's
		unix.Close(fd)
		return nil, os.NewSyscallError("fcntl", err)
	}
	p := &poller{file: os.NewFile(uintptr(fd), "epoll")}
	if p.rc, err = p.file.SyscallConn(); err != nil {
		p.file.Close()
		return nil, err
	}
	p.try = p.tryWait
	return p, nil
}

func (p *poller) tryWait(fd uintptr) bool {
	p.n, p.err = unix.EpollWait(int(fd), p.events[:], 0)
	if p.err == unix.EINTR {
		p.n, p.err = 0, nil
	}
	return p.n > 0 || p.err != nil
}

// wait waits until some clients have something, and returns them, which is
// good until the next call. It is for one goroutine. After close it returns an
// error.
func (p *poller) wait() ([]found, error) {
	if err := p.rc.Read(p.try); err != nil {
		return nil, err
	}
	if p.err != nil {
		return nil, os.NewSyscallError("epoll_wait", p.err)
	}
	for i, e := range p.events[:p.n] {
		p.found[i] = found{
			id:   uint64(uint32(e.Fd)) | uint64(uint32(e.Pad))<<32,
			left: e.Events&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0,
		}
	}
	return p.found[:p.n], nil
}

// add has wait tell once when the client with the number has as many bytes as
// are missing, or has left.
func (p *poller) add(nc net.Conn, id uint64, missing int) error {
	return p.control(nc, unix.EPOLL_CTL_ADD, id, missing)
}

// again is add for a client that wait has told of.
func (p *poller) again(nc net.Conn, id uint64, missing int) error {
	return p.control(nc, unix.EPOLL_CTL_MOD, id, missing)
}

// done ends it. The socket is as it was before.
func (p *poller) done(nc net.Conn, begun bool) error {
	missing := 0
	if begun {
		missing = 1
	}
	return p.control(nc, unix.EPOLL_CTL_DEL, 0, missing)
}

func (p *poller) control(nc net.Conn, op int, id uint64, lowest int) error {
	events := uint32(unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLONESHOT)
	if _, ok := nc.(*net.UnixConn); ok {
		if op == unix.EPOLL_CTL_MOD {
			return nil
		}
		// A UNIX socket is readable at its first byte whatever its low-water
		// mark is: each write of its client tells once.
		events, lowest = unix.EPOLLIN|unix.EPOLLRDHUP|unix.EPOLLET, 0
	}
	c, ok := p.changes.Get().(*change)
	if !ok {
		c = newChange(p)
	}
	defer p.changes.Put(c)
	c.op, c.lowest, c.failed = op, lowest, nil
	c.event = unix.EpollEvent{Events: events, Fd: int32(id), Pad: int32(id >> 32)}
	if err := control(nc, c.onSocket); err != nil {
		return err
	}
	return c.failed
}

// A change is one of what the poller waits for. It is kept for the next.
type change struct {
	p                *poller
	onSocket, onPoll func(fd uintptr) // set and poll, made once
	socket           int
	op, lowest       int
	event            unix.EpollEvent
	failed           error
}

func newChange(p *poller) *change {
	c := &change{p: p}
	c.onSocket, c.onPoll = c.set, c.poll
	return c
}

// set changes a socket's low-water mark, and what the poller waits for.
func (c *change) set(fd uintptr) {
	c.socket = int(fd)
	if c.lowest > 0 && !(c.lowest == 1 && c.op == unix.EPOLL_CTL_ADD) {
		// With a low-water mark even a client that sends a byte at a time
		// wakes us once only.
		if err := unix.SetsockoptInt(c.socket, unix.SOL_SOCKET, unix.SO_RCVLOWAT, c.lowest); err != nil {
			c.failed = os.NewSyscallError("setsockopt", err)
			return
		}
	}
	if err := c.p.rc.Control(c.onPoll); c.failed == nil {
		c.failed = err
	}
}

func (c *change) poll(epfd uintptr) {
	c.failed = unix.EpollCtl(int(epfd), c.op, c.socket, &c.event)
}

func (p *poller) close() { p.file.Close() }
