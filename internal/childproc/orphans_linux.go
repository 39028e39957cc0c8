package childproc

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"netserver/internal/proc"
)

// Waiting for any child would take the end of one from package os, whose Wait
// would fail then. What tells the two apart: for each process that it has
// started and not waited for, os holds a descriptor (pidfd), and so does
// handler/exec. Nobody holds one of an orphan.

// AdoptOrphans makes this process the parent of all its descendants whose own
// parent ends. It must see to it that ReapOrphans runs.
func AdoptOrphans() error {
	if err := tellsOrphans(); err != nil {
		return err
	}
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return os.NewSyscallError("prctl", err)
	}
	return nil
}

// tellsOrphans fails where package os has no use of pidfds: it makes the same
// tries.
func tellsOrphans() error {
	fd, err := unix.PidfdOpen(os.Getpid(), 0)
	if err != nil {
		return os.NewSyscallError("pidfd_open", err)
	}
	defer unix.Close(fd)
	if err := unix.PidfdSendSignal(fd, 0, nil, 0); err != nil {
		return os.NewSyscallError("pidfd_send_signal", err)
	}
	if err := unix.Waitid(unix.P_PIDFD, fd, nil, unix.WEXITED, nil); err != unix.ECHILD {
		return fmt.Errorf("waitid of a pidfd: %w", err)
	}
	switch pids, err := held(); {
	case err != nil:
		return err
	case !pids[os.Getpid()]:
		return errors.New("/proc does not tell what pidfds are of")
	}
	return nil
}

// Orphans returns the orphans of this process.
func Orphans() []Orphan {
	list := children()
	if len(list) == 0 {
		return nil
	}
	// After the list: a process has its pidfd before it can end.
	ours, err := held()
	if err != nil {
		return nil
	}
	var orphans []Orphan
	for _, o := range list {
		if !ours[o.Pid] {
			orphans = append(orphans, o)
		}
	}
	return orphans
}

// children lists the children of this process, of all its threads.
func children() (list []Orphan) {
	names, _ := filepath.Glob("/proc/self/task/*/children")
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			continue // the thread has ended
		}
		for _, f := range bytes.Fields(b) {
			if pid, err := strconv.Atoi(string(f)); err == nil {
				if o, parent := look(pid); parent == os.Getpid() {
					list = append(list, o)
				}
			}
		}
	}
	return list
}

// look returns what a process is like, and its parent; 0 if there is none.
func look(pid int) (o Orphan, parent int) {
	state, fields, ok := proc.StatOf(fmt.Sprintf("/proc/%d/stat", pid))
	if !ok || len(fields) < 20 {
		return o, 0
	}
	parent, _ = strconv.Atoi(string(fields[1]))
	began, _ := strconv.ParseInt(string(fields[19]), 10, 64)
	return Orphan{Pid: pid, Dead: state == 'Z', Began: began}, parent
}

// held returns the processes of which this one has a pidfd.
func held() (map[int]bool, error) {
	dir, err := os.Open("/proc/self/fd")
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	pids := make(map[int]bool)
	for _, name := range names {
		to, err := os.Readlink("/proc/self/fd/" + name)
		if err != nil || to != "anon_inode:[pidfd]" && !strings.HasPrefix(to, "pidfd:") {
			continue
		}
		info, err := os.ReadFile("/proc/self/fdinfo/" + name)
		if err != nil {
			if errors.Is(err, os.ErrNotExist) {
				continue // closed meanwhile, after its process was waited for
			}
			return nil, err
		}
		for line := range bytes.Lines(info) {
			if rest, ok := bytes.CutPrefix(line, []byte("Pid:")); ok {
				if pid, err := strconv.Atoi(string(bytes.TrimSpace(rest))); err == nil {
					pids[pid] = true
				}
			}
		}
	}
	return pids, nil
}

// Kill ends it at once.
func (o Orphan) Kill() {
	fd, err := unix.PidfdOpen(o.Pid, 0)
	if err != nil {
		return // it has ended
	}
	defer unix.Close(fd)
	// The descriptor holds the process; now it is known which one it is.
	if now, parent := look(o.Pid); parent == os.Getpid() && now.Began == o.Began {
		unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0)
	}
}

// reap waits for the orphans that have ended.
func reap() {
	var info unix.Siginfo
	if unix.Waitid(unix.P_ALL, 0, &info, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil) != nil || info.Signo == 0 {
		return // no child has ended that nobody has waited for
	}
	for _, o := range Orphans() {
		if o.Dead {
			unix.Wait4(o.Pid, nil, unix.WNOHANG, nil)
		}
	}
}

// reapPause is the least time between two looks for orphans.
const reapPause = 500 * time.Millisecond

// ReapOrphans waits for orphans that end, until done is closed.
func ReapOrphans(done <-chan struct{}) {
	if tellsOrphans() != nil {
		return
	}
	c := make(chan os.Signal, 1)
	signal.Notify(c, unix.SIGCHLD)
	defer signal.Stop(c)
	for {
		reap()
		// One who ended a moment ago may be os's, and hide none.
		t := time.NewTimer(reapPause)
		select {
		case <-t.C:
		case <-done:
			t.Stop()
			return
		}
		select {
		case <-c:
		case <-done:
			return
		}
	}
}
