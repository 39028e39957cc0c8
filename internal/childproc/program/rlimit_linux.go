package program

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A bound is a limit that a process is to have.
type bound struct {
	resource uintptr
	soft     uint64
	extra    uint64 // by which the hard limit is above the soft one
}

var resourceNames = map[uintptr]string{
	unix.RLIMIT_CPU: "processor time", unix.RLIMIT_AS: "address space", unix.RLIMIT_FSIZE: "file size",
	unix.RLIMIT_NOFILE: "open files", unix.RLIMIT_NPROC: "processes", unix.RLIMIT_CORE: "core dumps",
}

// bounds returns the limits that l has.
func (l Limits) bounds() (list []bound) {
	seconds := int64((l.CPU + time.Second - 1) / time.Second)
	for _, r := range []struct {
		resource uintptr
		value    int64
	}{
		{unix.RLIMIT_CPU, seconds}, {unix.RLIMIT_AS, l.Memory}, {unix.RLIMIT_FSIZE, l.FileSize},
		{unix.RLIMIT_NOFILE, int64(l.Files)}, {unix.RLIMIT_NPROC, int64(l.Processes)}, {unix.RLIMIT_CORE, l.Core},
	} {
		if r.value == 0 {
			continue
		}
		b := bound{resource: r.resource, soft: uint64(max(r.value, 0))}
		if r.resource == unix.RLIMIT_CPU {
			b.extra = 1 // XCPU a second before KILL, for a program that puts things in order
		}
		list = append(list, b)
	}
	return list
}

// setLimits sets the limits of a process that is held.
func (cmd *Command) setLimits(pid int) error {
	list := cmd.Limits.bounds()
	if len(list) == 0 {
		return nil
	}
	at, no := lower(uintptr(pid), list)
	if no == unix.EPERM && cmd.User != nil {
		// Root may not do it to another user without CAP_SYS_RESOURCE, which
		// containers do not give. The same real user may.
		at, no = lowerAs(uintptr(cmd.User.UID), uintptr(cmd.User.GID), uintptr(pid), list)
	}
	switch {
	case no == 0:
		return nil
	case at >= len(list):
		return fmt.Errorf("limits of another user's program: %w", no)
	}
	return fmt.Errorf("limit of %s: %w", resourceNames[list[at].resource], os.NewSyscallError("prlimit", no))
}

// lower lowers limits of a process, and raises none. It returns which one it
// could not, and why. It runs after a fork too, see lowerAs.
//
//go:nosplit
//go:norace
func lower(pid uintptr, list []bound) (int, syscall.Errno) {
	for i := range list {
		b := &list[i]
		var lim unix.Rlimit
		if _, _, no := syscall.RawSyscall6(unix.SYS_PRLIMIT64, pid, b.resource, 0, uintptr(unsafe.Pointer(&lim)), 0, 0); no != 0 {
			return i, no
		}
		if b.soft < lim.Max {
			lim.Max = b.soft + b.extra
		}
		lim.Cur = b.soft
		if lim.Cur > lim.Max {
			lim.Cur = lim.Max
		}
		if _, _, no := syscall.RawSyscall6(unix.SYS_PRLIMIT64, pid, b.resource, uintptr(unsafe.Pointer(&lim)), 0, 0, 0); no != 0 {
			return i, no
		}
	}
	return 0, 0
}

// lowerAs is lower by a real user and group of one's own. No thread of this
// process may be that user, not even for a moment: every program of that user
// could send it a signal, and KILL ends all of the process. So a copy of this
// process does it, and ends. Its effective user stays, so that nobody may look
// into it.
func lowerAs(uid, gid, pid uintptr, list []bound) (at int, why syscall.Errno) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	child, no := forkLower(uid, gid, pid, list)
	if no != 0 {
		return len(list), no
	}
	for {
		var ws syscall.WaitStatus
		switch _, err := syscall.Wait4(child, &ws, syscall.WALL|syscall.WUNTRACED, nil); {
		case err == syscall.EINTR:
		case err != nil:
			errors.As(err, &no)
			return len(list), no
		case ws.Stopped(): // by somebody of that user
			syscall.Kill(child, syscall.SIGKILL)
		case !ws.Exited():
			return len(list), unix.EINTR
		default:
			return ws.ExitStatus() & (1<<placeBits - 1), syscall.Errno(ws.ExitStatus() >> placeBits)
		}
	}
}

// placeBits are those of an exit status that say which limit it was; the others
// say why, for which they suffice: prlimit and setresuid have low numbers.
const placeBits = 3

// forkLower starts the copy. All it does are system calls: it has a copy of the
// memory, whatever other threads were doing to it, and no other thread. Its end
// sends no signal to this process, and no wait but one that asks for all reaps
// it.
//
//go:nosplit
//go:norace
func forkLower(uid, gid, pid uintptr, list []bound) (int, syscall.Errno) {
	const none = ^uintptr(0)
	var old unix.Sigset_t
	all := unix.Sigset_t{}
	for i := range all.Val {
		all.Val[i] = ^all.Val[i]
	}
	syscall.RawSyscall6(unix.SYS_RT_SIGPROCMASK, unix.SIG_SETMASK, uintptr(unsafe.Pointer(&all)), uintptr(unsafe.Pointer(&old)), sigsetSize, 0, 0)
	child, _, no := syscall.RawSyscall6(unix.SYS_CLONE, 0, 0, 0, 0, 0, 0)
	if child != 0 || no != 0 {
		syscall.RawSyscall6(unix.SYS_RT_SIGPROCMASK, unix.SIG_SETMASK, uintptr(unsafe.Pointer(&old)), 0, sigsetSize, 0, 0)
		return int(child), no
	}
	at := 1<<placeBits - 1
	if _, _, no = syscall.RawSyscall(unix.SYS_SETRESGID, gid, none, none); no == 0 {
		if _, _, no = syscall.RawSyscall(unix.SYS_SETRESUID, uid, none, none); no == 0 {
			at, no = lower(pid, list)
		}
	}
	for {
		syscall.RawSyscall(unix.SYS_EXIT_GROUP, uintptr(at)|uintptr(no)<<placeBits, 0, 0)
	}
}

// sigsetSize is the kernel's size of a set of signals but on MIPS, where the
// copy has none blocked.
const sigsetSize = 8
