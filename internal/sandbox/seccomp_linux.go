//go:build amd64 || arm64

package sandbox

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The filter is a list of refusals and not of what is allowed: the Go runtime,
// and what a handler needs of the kernel, change. The kernel notes once which
// calls pass whatever their arguments are; reading, writing, accepting and
// polling are among them and are not slowed down.

// neverServing are system calls that no part of serving clients in this process
// needs, and that an intruder does: other programs and processes, mounts and
// namespaces, the kernel itself, and interfaces of it in which many a hole was.
var neverServing = []uintptr{
	unix.SYS_EXECVE, unix.SYS_EXECVEAT,
	unix.SYS_PTRACE, unix.SYS_PROCESS_VM_READV, unix.SYS_PROCESS_VM_WRITEV, unix.SYS_PROCESS_MADVISE, unix.SYS_PROCESS_MRELEASE,
	unix.SYS_KCMP, unix.SYS_PIDFD_OPEN, unix.SYS_PIDFD_GETFD, unix.SYS_PIDFD_SEND_SIGNAL,
	unix.SYS_RT_SIGQUEUEINFO, unix.SYS_RT_TGSIGQUEUEINFO, unix.SYS_TKILL,
	unix.SYS_MIGRATE_PAGES, unix.SYS_MOVE_PAGES,
	unix.SYS_SETUID, unix.SYS_SETGID, unix.SYS_SETREUID, unix.SYS_SETREGID, unix.SYS_SETRESUID, unix.SYS_SETRESGID,
	unix.SYS_SETFSUID, unix.SYS_SETFSGID, unix.SYS_SETGROUPS, unix.SYS_CAPSET,
	unix.SYS_UNSHARE, unix.SYS_SETNS,
	unix.SYS_MOUNT, unix.SYS_UMOUNT2, unix.SYS_PIVOT_ROOT, unix.SYS_CHROOT, unix.SYS_OPEN_TREE, unix.SYS_MOVE_MOUNT,
	unix.SYS_FSOPEN, unix.SYS_FSCONFIG, unix.SYS_FSMOUNT, unix.SYS_FSPICK, unix.SYS_MOUNT_SETATTR,
	unix.SYS_SWAPON, unix.SYS_SWAPOFF, unix.SYS_QUOTACTL, unix.SYS_QUOTACTL_FD, unix.SYS_ACCT, unix.SYS_REBOOT, unix.SYS_VHANGUP,
	unix.SYS_SETHOSTNAME, unix.SYS_SETDOMAINNAME, unix.SYS_SYSLOG,
	unix.SYS_SETTIMEOFDAY, unix.SYS_CLOCK_SETTIME, unix.SYS_CLOCK_ADJTIME, unix.SYS_ADJTIMEX,
	unix.SYS_INIT_MODULE, unix.SYS_FINIT_MODULE, unix.SYS_DELETE_MODULE, unix.SYS_KEXEC_LOAD, unix.SYS_KEXEC_FILE_LOAD,
	unix.SYS_BPF, unix.SYS_PERF_EVENT_OPEN, unix.SYS_USERFAULTFD, unix.SYS_FANOTIFY_INIT, unix.SYS_LOOKUP_DCOOKIE,
	unix.SYS_ADD_KEY, unix.SYS_REQUEST_KEY, unix.SYS_KEYCTL,
	unix.SYS_IO_URING_SETUP, unix.SYS_IO_URING_ENTER, unix.SYS_IO_URING_REGISTER,
	unix.SYS_NAME_TO_HANDLE_AT, unix.SYS_OPEN_BY_HANDLE_AT, unix.SYS_PERSONALITY, unix.SYS_NFSSERVCTL,
	unix.SYS_SHMGET, unix.SYS_SHMAT, unix.SYS_SHMCTL, unix.SYS_MSGGET, unix.SYS_MSGSND, unix.SYS_MSGRCV, unix.SYS_MSGCTL,
	unix.SYS_SEMGET, unix.SYS_SEMOP, unix.SYS_SEMTIMEDOP, unix.SYS_SEMCTL,
	unix.SYS_MQ_OPEN, unix.SYS_MQ_UNLINK,
}

// newNamespaces are the flags of clone by which a process leaves its
// namespaces.
const newNamespaces = unix.CLONE_NEWNS | unix.CLONE_NEWCGROUP | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC |
	unix.CLONE_NEWUSER | unix.CLONE_NEWPID | unix.CLONE_NEWNET

// families are the kinds of sockets that a server or its resolver needs.
var families = []uint32{unix.AF_UNIX, unix.AF_INET, unix.AF_INET6, unix.AF_NETLINK}

// typing are the ioctl requests that put words into a terminal, or take one.
var typing = []uint32{unix.TIOCSTI, unix.TIOCLINUX, unix.TIOCSCTTY}

// What the kernel does with a system call.
const (
	allow     = unix.SECCOMP_RET_ALLOW
	kill      = unix.SECCOMP_RET_KILL_PROCESS
	noSystem  = unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)
	noFamily  = unix.SECCOMP_RET_ERRNO | uint32(unix.EAFNOSUPPORT)
	offsetNr  = 0
	offsetAPI = 4
)

// offsetArg is where the lower half of an argument is; both systems store it
// first.
func offsetArg(n uint32) uint32 { return 16 + 8*n }

func load(offset uint32) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: offset}
}

func give(verdict uint32) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: verdict}
}

// jump goes on after yes or no instructions.
func jump(how uint16, k uint32, yes, no uint8) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_JMP | how | unix.BPF_K, K: k, Jt: yes, Jf: no}
}

// block is what is done for one system call: the instructions end in a verdict.
func block(nr uintptr, body ...unix.SockFilter) []unix.SockFilter {
	return append([]unix.SockFilter{jump(unix.BPF_JEQ, uint32(nr), 0, uint8(len(body)))}, body...)
}

// oneOf gives yes if an argument is one of the values, and else no.
func oneOf(arg uint32, values []uint32, yes, no uint32) []unix.SockFilter {
	list := []unix.SockFilter{load(offsetArg(arg))}
	for i, v := range values {
		list = append(list, jump(unix.BPF_JEQ, v, uint8(len(values)-i), 0))
	}
	return append(list, give(no), give(yes))
}

// servingFilter is the program of the filter for the process pid.
func servingFilter(pid int) []unix.SockFilter {
	own := []uint32{uint32(pid)}
	f := []unix.SockFilter{
		load(offsetAPI),
		jump(unix.BPF_JEQ, auditArch, 1, 0),
		give(kill), // a call of another kind of processor, whose numbers differ
		load(offsetNr),
		jump(unix.BPF_JGE, foreignCalls, 0, 1),
		give(kill),
	}
	f = append(f, block(unix.SYS_TGKILL, oneOf(0, own, allow, kill)...)...)
	f = append(f, block(unix.SYS_KILL, oneOf(0, own, allow, kill)...)...)
	f = append(f, block(unix.SYS_PRLIMIT64, oneOf(0, append(own, 0), allow, kill)...)...)
	f = append(f, block(unix.SYS_IOCTL, oneOf(1, typing, kill, allow)...)...)
	f = append(f, block(unix.SYS_SOCKET, oneOf(0, families, allow, noFamily)...)...)
	// A thread is no new process. What asks for threads by clone3, whose
	// arguments cannot be seen here, goes back to clone then.
	f = append(f, block(unix.SYS_CLONE,
		load(offsetArg(0)),
		jump(unix.BPF_JSET, newNamespaces, 1, 0),
		jump(unix.BPF_JSET, unix.CLONE_THREAD, 1, 0),
		give(kill),
		give(allow),
	)...)
	f = append(f, block(unix.SYS_CLONE3, give(noSystem))...)
	for _, nr := range slices.Concat(neverServing, neverHere) {
		f = append(f, block(nr, give(kill))...)
	}
	return append(f, give(allow))
}

// RefuseCalls has the kernel end this process, with all its threads, at a system
// call that serving clients in it never needs: to execute a program, to look
// into other processes, to mount, to load code into the kernel and the like. It
// cannot be undone.
func RefuseCalls() error {
	filter := servingFilter(os.Getpid())
	prog := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	// Without this only root could do it; the kernel passes it on to the
	// other threads.
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return os.NewSyscallError("prctl", err)
	}
	const flags = unix.SECCOMP_FILTER_FLAG_TSYNC | unix.SECCOMP_FILTER_FLAG_SPEC_ALLOW
	r, _, errno := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, uintptr(unsafe.Pointer(&prog)))
	runtime.KeepAlive(filter)
	switch {
	case errno == unix.ENOSYS || errno == unix.EINVAL:
		return fmt.Errorf("the kernel has no seccomp filters: %w", errors.ErrUnsupported)
	case errno == unix.EPERM || errno == unix.EACCES:
		// As a filter of the service manager or the container has it.
		return fmt.Errorf("a seccomp filter is not allowed here: %w", errors.ErrUnsupported)
	case errno != 0:
		return os.NewSyscallError("seccomp", errno)
	case r != 0:
		return fmt.Errorf("seccomp: thread %d has a filter of its own", r)
	}
	return nil
}
