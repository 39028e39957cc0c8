package daemon_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"netserver/netservertest"
)

// A hostage is a process of a server under test that an attacker has taken
// over. What it has open is the attacker's: the tests take its descriptors and
// speak its protocols, whatever the code in it would do.
type hostage struct {
	t     testing.TB
	pid   int
	pidfd int
}

// seize takes a process over. It needs root.
func seize(t testing.TB, pid int) *hostage {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		t.Fatalf("process %d: %v", pid, err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return &hostage{t, pid, fd}
}

// hold stops the code in it, so that nobody but the attacker reads what comes,
// and returns when it has stopped: a signal is only on its way when kill returns.
// The process goes on at the end of the test at the latest. A server ends a
// worker that is stopped: start it with --worker_timeout 0.
func (h *hostage) hold() {
	h.t.Helper()
	if err := unix.Kill(h.pid, unix.SIGSTOP); err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(h.release)
	netservertest.Eventually(h.t, "each of its threads has stopped", h.stopped)
}

// stopped reports whether none of its threads runs.
func (h *hostage) stopped() bool {
	list, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", h.pid))
	for _, name := range list {
		b, _ := os.ReadFile(name)
		if _, state, _ := bytes.Cut(b[bytes.LastIndexByte(b, ')')+1:], []byte(" ")); len(b) > 0 && !bytes.HasPrefix(state, []byte("T")) {
			return false
		}
	}
	return err == nil && len(list) > 0
}

func (h *hostage) release() { unix.PidfdSendSignal(h.pidfd, unix.SIGCONT, nil, 0) }

// gone reports whether the process has ended.
func (h *hostage) gone() bool { return !alive(h.pid) }

// descriptors lists what it has open: the number, and what /proc says of it.
func (h *hostage) descriptors() map[int]string {
	h.t.Helper()
	list, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", h.pid))
	if err != nil {
		h.t.Fatal(err)
	}
	m := make(map[int]string)
	for _, e := range list {
		n, _ := strconv.Atoi(e.Name())
		if what, err := os.Readlink(filepath.Join(fmt.Sprintf("/proc/%d/fd", h.pid), e.Name())); err == nil {
			m[n] = what
		}
	}
	return m
}

// access returns how a descriptor was opened: O_RDONLY, O_WRONLY or O_RDWR.
func (h *hostage) access(fd int) int {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/fdinfo/%d", h.pid, fd))
	for line := range strings.Lines(string(b)) {
		if text, ok := strings.CutPrefix(line, "flags:"); ok {
			n, _ := strconv.ParseInt(strings.TrimSpace(text), 8, 64)
			return int(n) & unix.O_ACCMODE
		}
	}
	return -1
}

// take takes one of its descriptors: the same open file, not a copy.
func (h *hostage) take(fd int) *os.File {
	h.t.Helper()
	f, err := h.tryTake(fd)
	if err != nil {
		h.t.Fatalf("descriptor %d of process %d: %v", fd, h.pid, err)
	}
	return f
}

// tryTake is take for a descriptor that may have been closed meanwhile.
func (h *hostage) tryTake(fd int) (*os.File, error) {
	n, err := unix.PidfdGetfd(h.pidfd, fd, 0)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(n), fmt.Sprintf("descriptor %d of %d", fd, h.pid))
	h.t.Cleanup(func() { f.Close() })
	return f, nil
}

// sockets takes those of its sockets that are wanted, in the order of their
// numbers.
func (h *hostage) sockets(want func(fd int) bool) (list []*os.File) {
	h.t.Helper()
	var nums []int
	for n, what := range h.descriptors() {
		if strings.HasPrefix(what, "socket:") {
			nums = append(nums, n)
		}
	}
	sort.Ints(nums)
	for _, n := range nums {
		f, err := h.tryTake(n)
		switch {
		case err == unix.EBADF: // that of a client who has left
		case err != nil:
			h.t.Fatalf("descriptor %d of process %d: %v", n, h.pid, err)
		case want(int(f.Fd())):
			list = append(list, f)
		default:
			f.Close()
		}
	}
	return list
}

func option(fd, name int) int {
	n, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, name)
	if err != nil {
		return -1
	}
	return n
}

// isPair reports whether fd is an end of a pair of UNIX sockets.
func isPair(fd int) bool {
	return option(fd, unix.SO_DOMAIN) == unix.AF_UNIX && option(fd, unix.SO_TYPE) == unix.SOCK_STREAM && option(fd, unix.SO_ACCEPTCONN) == 0
}

// link takes its end of the link to the supervisor. That is the one pair over
// which it is sent files: the one to the keys carries none.
func (h *hostage) link() *hostLink {
	h.t.Helper()
	list := h.links()
	if len(list) != 1 {
		h.t.Skipf("%d sockets could be the link; this kernel does not tell them apart", len(list))
	}
	return &hostLink{h.t, list[0]}
}

// links takes what could be the link.
func (h *hostage) links() []*os.File {
	return h.sockets(func(fd int) bool { return isPair(fd) && option(fd, unix.SO_PASSRIGHTS) != 0 })
}

// settle waits until the process, which is just being started, has none but its
// link over which it takes files.
func (h *hostage) settle() {
	h.t.Helper()
	netservertest.Eventually(h.t, "the process takes files over its link alone", func() bool {
		list := h.links()
		unknown := len(list) > 0 && option(int(list[0].Fd()), unix.SO_PASSRIGHTS) < 0 // to this kernel
		for _, f := range list {
			f.Close()
		}
		return len(list) == 1 || unknown
	})
}

// signer takes its end of the socket to the private keys.
func (h *hostage) signer() *os.File {
	h.t.Helper()
	list := h.sockets(func(fd int) bool { return isPair(fd) && option(fd, unix.SO_PASSRIGHTS) == 0 })
	if len(list) != 1 {
		h.t.Skipf("%d sockets could be the one to the keys", len(list))
	}
	return list[0]
}

// A hostLink is a hostage's end of its link.
type hostLink struct {
	t testing.TB
	*os.File
}

// drain drops what has come, of which the hostage may have read a part before it
// was held.
func (l *hostLink) drain() {
	for b := make([]byte, 1<<16); ; {
		if n, _, err := unix.Recvfrom(int(l.Fd()), b, unix.MSG_DONTWAIT); err != unix.EINTR && (err != nil || n == 0) {
			return
		}
	}
}

// frame makes a message of the link of its content.
func frame(content []byte) []byte {
	head := make([]byte, 8, 8+len(content))
	binary.BigEndian.PutUint32(head, uint32(len(content)))
	return append(head, content...)
}

// say sends a message: an object for JSON, or a text that is sent as it is.
func (l *hostLink) say(m any) {
	l.t.Helper()
	if err := l.try(m); err != nil {
		l.t.Fatalf("%v: %v", m, err)
	}
}

// try is say, with the error of a link that is closed.
func (l *hostLink) try(m any) error {
	l.t.Helper()
	b, ok := m.(string)
	if !ok {
		j, err := json.Marshal(m)
		if err != nil {
			l.t.Fatal(err)
		}
		b = string(j)
	}
	return l.raw(frame([]byte(b)))
}

// raw sends bytes, with descriptors.
func (l *hostLink) raw(b []byte, fds ...int) error {
	l.t.Helper()
	var oob []byte
	if len(fds) > 0 {
		oob = unix.UnixRights(fds...)
	}
	for len(b) > 0 {
		n, err := unix.SendmsgN(int(l.Fd()), b, oob, nil, unix.MSG_NOSIGNAL)
		if err == unix.EINTR || err == unix.EAGAIN {
			continue
		}
		if err != nil {
			return err
		}
		b, oob = b[n:], nil
	}
	return nil
}
