package watch

import (
	"bytes"
	"encoding/binary"
	"path/filepath"
	"sync"

	"golang.org/x/sys/unix"
)

// A tree detects that a directory or link on the way to a file is replaced:
// renamed away and recreated, or mounted over. The watch on the directory
// itself stays with the old one and does not notice. Package fsnotify could
// watch the directories above too, but would wake us for every write in /tmp
// or /var, and does not know about mounts.
type tree struct {
	changed chan struct{} // signals a change
	notify  int           // inotify
	mounts  int           // /proc/self/mountinfo, which signals changes with POLLPRI; -1 without
	stop    int           // an eventfd
	done    chan struct{}

	mu    sync.Mutex
	paths map[string]bool    // watched names: directories and links
	dirs  map[int32][]string // by watch: the directories that hold them
}

const treeEvents = unix.IN_CREATE | unix.IN_DELETE | unix.IN_MOVED_FROM | unix.IN_MOVED_TO | unix.IN_DELETE_SELF | unix.IN_MOVE_SELF | unix.IN_ONLYDIR

// newTree returns nil if the system is out of resources.
func newTree() *tree {
	t := &tree{changed: make(chan struct{}, 1), mounts: -1, done: make(chan struct{}), dirs: make(map[int32][]string)}
	var err error
	if t.notify, err = unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK); err != nil {
		return nil
	}
	if t.stop, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		unix.Close(t.notify)
		return nil
	}
	if fd, err := unix.Open("/proc/self/mountinfo", unix.O_RDONLY|unix.O_CLOEXEC, 0); err == nil {
		t.mounts = fd
	}
	go t.read()
	return t
}

func (t *tree) close() {
	unix.Write(t.stop, binary.NativeEndian.AppendUint64(nil, 1))
	<-t.done
	for _, fd := range []int{t.notify, t.stop, t.mounts} {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
}

// set makes t watch paths. It reports whether a directory is newly watched, so
// that changes in it may have been missed.
func (t *tree) set(paths map[string]bool) (fresh bool) {
	above := make(map[string]bool)
	for w := range paths {
		above[filepath.Dir(w)] = true
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	dirs := make(map[int32][]string, len(above))
	for d := range above {
		// One that is watched already keeps its number.
		wd, err := unix.InotifyAddWatch(t.notify, d, treeEvents)
		if err != nil {
			continue // it does not exist; the one above it will report its creation
		}
		n := int32(wd)
		fresh = fresh || len(t.dirs[n]) == 0
		dirs[n] = append(dirs[n], d)
	}
	for n := range t.dirs {
		if len(dirs[n]) == 0 {
			unix.InotifyRmWatch(t.notify, uint32(n))
		}
	}
	t.paths, t.dirs = paths, dirs
	return fresh
}

// read waits for events until t is closed. It occupies a thread: the kernel
// reports changed mounts only to the first poll, so the runtime's poller would
// hide them from us.
func (t *tree) read() {
	defer close(t.done)
	buf := make([]byte, 16<<10)
	for {
		fds := []unix.PollFd{{Fd: int32(t.stop), Events: unix.POLLIN}, {Fd: int32(t.notify), Events: unix.POLLIN}, {Fd: int32(t.mounts), Events: unix.POLLPRI}}
		if _, err := unix.Poll(fds, -1); err != nil && err != unix.EINTR {
			return
		}
		if fds[0].Revents != 0 {
			return
		}
		if fds[2].Revents&unix.POLLPRI != 0 || fds[1].Revents != 0 && t.take(buf) {
			select {
			case t.changed <- struct{}{}:
			default:
			}
		}
	}
}

// take reads inotify events and reports whether one matters.
func (t *tree) take(buf []byte) (matters bool) {
	n, err := unix.Read(t.notify, buf)
	if err != nil {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for b := buf[:n]; len(b) >= unix.SizeofInotifyEvent; {
		wd := int32(binary.NativeEndian.Uint32(b))
		mask := binary.NativeEndian.Uint32(b[4:])
		size := unix.SizeofInotifyEvent + int(binary.NativeEndian.Uint32(b[12:]))
		if size > len(b) {
			return true
		}
		name, _, _ := bytes.Cut(b[unix.SizeofInotifyEvent:size], []byte{0})
		b = b[size:]
		if mask&(unix.IN_Q_OVERFLOW|unix.IN_UNMOUNT|unix.IN_IGNORED|unix.IN_DELETE_SELF|unix.IN_MOVE_SELF) != 0 {
			matters = true
			if mask&unix.IN_IGNORED != 0 {
				delete(t.dirs, wd)
			}
			continue
		}
		for _, d := range t.dirs[wd] {
			matters = matters || t.paths[filepath.Join(d, string(name))]
		}
	}
	return matters
}
