package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// endWithUs has the kernel end the process when this one dies.
func endWithUs() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }

// needs is what keeps this program from running here.
func needs() error { return nil }

// A state is what a process holds. Memory is in KiB.
type state struct {
	rss, anon, pss, peak int
	descriptors, threads int
}

// stateOf reads what a process holds now.
func stateOf(pid int) (state, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return state{}, err
	}
	s := state{rss: field(status, "VmRSS:"), anon: field(status, "RssAnon:"), peak: field(status, "VmHWM:"), threads: field(status, "Threads:")}
	if rollup, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid)); err == nil {
		s.pss = field(rollup, "Pss:")
	}
	fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	s.descriptors = len(fds)
	return s, err
}

func field(text []byte, name string) int {
	for line := range strings.SplitSeq(string(text), "\n") {
		if f := strings.Fields(line); len(f) > 1 && f[0] == name {
			n, _ := strconv.Atoi(f[1])
			return n
		}
	}
	return 0
}

// children returns the processes that a process has started, the newest last.
func children(pid int) (pids []int) {
	lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, name := range lists {
		b, _ := os.ReadFile(name)
		for f := range strings.FieldsSeq(string(b)) {
			if n, err := strconv.Atoi(f); err == nil && alive(n) {
				pids = append(pids, n)
			}
		}
	}
	slices.SortFunc(pids, func(a, b int) int { return began(a) - began(b) })
	return pids
}

// began is when a process was started, in the system's ticks.
func began(pid int) int {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	f := strings.Fields(string(b[max(0, strings.LastIndexByte(string(b), ')')):]))
	if len(f) < 21 {
		return 0
	}
	n, _ := strconv.Atoi(f[20])
	return n
}

func alive(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !strings.Contains(string(b), ") Z ")
}
