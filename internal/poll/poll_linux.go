package poll

import (
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// batch is how many sockets one look at the poller may find.
const batch = 128

// A Poller tells which sockets have something: an epoll(7) of its own. The
// runtime's would have to wake a goroutine for each.
type Poller struct {
	file   *os.File // known to the runtime's poller, so that waiting holds no thread
	rc     syscall.RawConn
	try    func(fd uintptr) bool
	events [batch]unix.EpollEvent
	found  [batch]uint64
	n      int
	err    error
}

// New returns a Poller that has to be closed. It fails with
// errors.ErrUnsupported on systems that have none.
func New() (*Poller, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	if err := unix.SetNonblock(fd, true); err != nil { // else os.File would not wait by the runtime's
		unix.Close(fd)
		return nil, os.NewSyscallError("fcntl", err)
	}
	p := &Poller{file: os.NewFile(uintptr(fd), "epoll")}
	if p.rc, err = p.file.SyscallConn(); err != nil {
		p.file.Close()
		return nil, err
	}
	p.try = p.tryWait
	return p, nil
}

func (p *Poller) tryWait(fd uintptr) bool {
	p.n, p.err = unix.EpollWait(int(fd), p.events[:], 0)
	if p.err == unix.EINTR {
		p.n, p.err = 0, nil
	}
	return p.n > 0 || p.err != nil
}

// Wait waits until some sockets have something, and returns their numbers,
// which are good until the next call. It is for one goroutine. After Close it returns an
// error.
func (p *Poller) Wait() ([]uint64, error) {
	if err := p.rc.Read(p.try); err != nil {
		return nil, err
	}
	if p.err != nil {
		return nil, os.NewSyscallError("epoll_wait", p.err)
	}
	for i, e := range p.events[:p.n] {
		p.found[i] = uint64(uint32(e.Fd)) | uint64(uint32(e.Pad))<<32
	}
	return p.found[:p.n], nil
}

// Watch has Wait tell once when the socket can be read or written, as in and
// out ask, or has failed. known tells that the socket has been watched before.
func (p *Poller) Watch(socket syscall.RawConn, id uint64, known, in, out bool) error {
	w := watches.Get().(*watch)
	defer watches.Put(w)
	w.p, w.op = p, unix.EPOLL_CTL_ADD
	if known {
		w.op = unix.EPOLL_CTL_MOD
	}
	w.event = unix.EpollEvent{Events: unix.EPOLLONESHOT, Fd: int32(id), Pad: int32(id >> 32)}
	if in {
		w.event.Events |= unix.EPOLLIN | unix.EPOLLRDHUP
	}
	if out {
		w.event.Events |= unix.EPOLLOUT
	}
	w.err = nil
	if err := socket.Control(w.outer); err != nil {
		return err
	}
	return w.err
}

// A watch is one call of Watch. They are pooled with their functions, so that
// one allocates nothing.
type watch struct {
	p            *Poller
	op, fd       int
	event        unix.EpollEvent
	err          error
	outer, inner func(fd uintptr)
}

var watches = sync.Pool{New: func() any {
	w := new(watch)
	w.inner = func(epfd uintptr) {
		w.err = os.NewSyscallError("epoll_ctl", unix.EpollCtl(int(epfd), w.op, w.fd, &w.event))
	}
	w.outer = func(fd uintptr) {
		w.fd = int(fd)
		if err := w.p.rc.Control(w.inner); err != nil {
			w.err = err
		}
	}
	return w
}}

// Close ends Wait.
func (p *Poller) Close() { p.file.Close() }
