package peers

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// endWithUs has the kernel end the process when this one dies.
func endWithUs(cmd *exec.Cmd) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = new(syscall.SysProcAttr)
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
}

// Apart has a server begin a session of its own. Linux divides processors among
// sessions (autogroup): a server that shares one with its clients gets its turn
// later, finds more to do then, and takes less CPU for each client. netserver's
// workers have their own, as has what a service manager starts, so all that are
// compared need one.
func Apart(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} }

// tick is what /proc counts CPU time in: USER_HZ, which is 100 everywhere.
const tick = 10 * time.Millisecond

// A stat is what /proc/PID/stat tells.
type stat struct {
	pid, parent int
	own, below  time.Duration // CPU of it, and of its children that have ended
	start       string        // tells a process from a later one of the same id
	ended       bool          // but its parent has not asked yet
}

func readStat(pid int) (stat, error) {
	b, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return stat{}, err
	}
	return parseStat(pid, string(b))
}

// parseStat reads the fields after the name, which may hold anything.
func parseStat(pid int, s string) (stat, error) {
	end := strings.LastIndexByte(s, ')')
	f := strings.Fields(s[end+1:])
	if end < 0 || len(f) < 20 {
		return stat{}, fmt.Errorf("/proc/%d/stat has %d fields after the name", pid, len(f))
	}
	st := stat{pid: pid, start: f[19], ended: f[0] == "Z" || f[0] == "X"}
	var err error
	if st.parent, err = strconv.Atoi(f[1]); err != nil {
		return stat{}, err
	}
	for i, v := range f[11:15] { // utime, stime, cutime, cstime
		n, err := strconv.ParseInt(v, 10, 64)
		if err != nil {
			return stat{}, err
		}
		if i < 2 {
			st.own += time.Duration(n) * tick
		} else {
			st.below += time.Duration(n) * tick
		}
	}
	return st, nil
}

// tree returns a process and all below it that live now, itself first.
func tree(root int) ([]stat, error) {
	top, err := readStat(root)
	if err != nil {
		return nil, err
	}
	names, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	children := make(map[int][]stat)
	for _, n := range names {
		pid, err := strconv.Atoi(n.Name())
		if err != nil {
			continue
		}
		if st, err := readStat(pid); err == nil { // else it has just ended
			children[st.parent] = append(children[st.parent], st)
		}
	}
	all := []stat{top}
	for i := 0; i < len(all); i++ {
		all = append(all, children[all[i].pid]...)
	}
	return all, nil
}

// usage returns the CPU time and memory of a process and all below it.
func usage(pid int) (Usage, error) {
	all, err := tree(pid)
	if err != nil {
		return Usage{}, err
	}
	var u Usage
	for _, st := range all {
		u.CPU += exact(st) + st.below
		now, peak := memory(st.pid)
		u.Memory += now
		u.Peak += peak
	}
	u.Processes = len(all)
	return u, nil
}

// CPU returns the CPU time that a process alone has used.
func CPU(pid int) (time.Duration, error) {
	st, err := readStat(pid)
	return exact(st), err
}

// exact returns the CPU time of a process by its own clock, which counts
// nanoseconds where /proc counts ticks.
func exact(st stat) time.Duration {
	const sched = 2 // CPUCLOCK_SCHED of linux/posix-timers.h
	var ts unix.Timespec
	if unix.ClockGettime(int32(^st.pid<<3|sched), &ts) != nil { // it has ended
		return st.own
	}
	return time.Duration(ts.Nano())
}

// share returns a process's share of the memory that it uses (PSS), in bytes.
func share(pid int) int64 {
	b, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "smaps_rollup"))
	if err != nil {
		return 0
	}
	for line := range strings.SplitSeq(string(b), "\n") {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "Pss:" {
			n, _ := strconv.ParseInt(f[1], 10, 64)
			return n << 10
		}
	}
	return 0
}

// descriptors returns how many files a process has open.
func descriptors(pid int) int {
	names, _ := os.ReadDir(filepath.Join("/proc", strconv.Itoa(pid), "fd"))
	return len(names)
}

// memory returns VmRSS and VmHWM in bytes; nothing for a process that ended.
func memory(pid int) (now, peak int64) {
	b, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "status"))
	if err != nil {
		return 0, 0
	}
	for line := range strings.SplitSeq(string(b), "\n") {
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		n, _ := strconv.ParseInt(f[1], 10, 64)
		switch f[0] {
		case "VmRSS:":
			now = n << 10
		case "VmHWM:":
			peak = n << 10
		}
	}
	return now, peak
}

// same returns those of a tree that still live and are the same processes.
func same(all []stat) []int {
	var pids []int
	for _, old := range all {
		if st, err := readStat(old.pid); err == nil && st.start == old.start && !st.ended {
			pids = append(pids, old.pid)
		}
	}
	return pids
}

// Busy returns the CPU time that all processes of the machine have used.
func Busy() (time.Duration, error) {
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, err
	}
	line, _, _ := strings.Cut(string(b), "\n")
	return parseBusy(line)
}

// parseBusy adds up user, nice, system, irq and softirq of the first line.
func parseBusy(line string) (time.Duration, error) {
	f := strings.Fields(line)
	if len(f) < 8 || f[0] != "cpu" {
		return 0, fmt.Errorf("/proc/stat begins with %q", line)
	}
	var sum time.Duration
	for _, i := range []int{1, 2, 3, 6, 7} {
		n, err := strconv.ParseInt(f[i], 10, 64)
		if err != nil {
			return 0, err
		}
		sum += time.Duration(n) * tick
	}
	return sum, nil
}
