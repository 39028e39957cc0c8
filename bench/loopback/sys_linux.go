package loopback

import (
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// control lets the kernel choose the port at connect: the pair of addresses
// must be free then, not the port alone, so that one source can have as many
// connections to each target as there are ports.
func control(network, _ string, rc syscall.RawConn) error {
	if network != "tcp4" {
		return nil
	}
	var err error
	cerr := rc.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
	})
	if cerr != nil {
		return cerr
	}
	return err
}

// Nice sets the priority of every thread of this process, from -20 (most) to
// 19 (least). Less than 0 needs a privilege. Threads that start later inherit
// it.
func Nice(n int) error {
	return eachThread(func(tid int) error { return unix.Setpriority(unix.PRIO_PROCESS, tid, n) })
}

// RealTime puts this process before all that are not so too, whatever their
// priority. It needs a privilege, and is for processes that use little CPU.
func RealTime() error {
	attr := unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_FIFO, Priority: 1}
	return eachThread(func(tid int) error { return unix.SchedSetAttr(tid, &attr, 0) })
}

// eachThread calls do for every thread of this process. One that has ended
// meanwhile does not matter.
func eachThread(do func(tid int) error) error {
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return err
	}
	for _, t := range tasks {
		tid, err := strconv.Atoi(t.Name())
		if err != nil {
			continue
		}
		if err := do(tid); err != nil && err != unix.ESRCH {
			return err
		}
	}
	return nil
}

const autogroup = "/proc/self/autogroup"

// NiceSession sets the priority of this session, as Nice does for processes:
// with the kernel's autogroups, those of two processes count only if they are
// of one session. It returns a function that undoes it. Where there are no
// such groups it does nothing.
func NiceSession(n int) (undo func(), err error) {
	b, err := os.ReadFile(autogroup)
	if err != nil {
		return func() {}, nil
	}
	before := "0"
	if f := strings.Fields(string(b)); len(f) > 0 { // "/autogroup-32 nice 0"
		before = f[len(f)-1]
	}
	if err := os.WriteFile(autogroup, []byte(strconv.Itoa(n)), 0); err != nil {
		return func() {}, err
	}
	return func() { os.WriteFile(autogroup, []byte(before), 0) }, nil
}

// A Clock wakes its goroutine more precisely than time.Sleep, whose wake-ups
// come up to a millisecond late. It belongs to one goroutine.
type Clock struct{}

// NewClock binds the calling goroutine to a thread. Release ends that.
func NewClock() Clock {
	runtime.LockOSThread()
	return Clock{}
}

// Release gives the thread back.
func (Clock) Release() { runtime.UnlockOSThread() }

// SleepUntil returns at t, or at once if t has passed.
func (Clock) SleepUntil(t time.Time) {
	for {
		d := time.Until(t)
		if d <= 0 {
			return
		}
		ts := unix.NsecToTimespec(int64(d))
		unix.Nanosleep(&ts, nil)
	}
}
