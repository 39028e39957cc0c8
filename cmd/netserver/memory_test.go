//go:build unix

package main_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
)

// peakMemory returns the most memory that the process has held so far, in
// bytes, or -1 where the system does not tell.
func (p *process) peakMemory() int {
	p.t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.serving()))
	if err != nil {
		if runtime.GOOS == "linux" {
			p.t.Fatal(err)
		}
		return -1
	}
	m := regexp.MustCompile(`(?m)^VmHWM:\s+(\d+) kB$`).FindSubmatch(b)
	if m == nil {
		p.t.Fatalf("no VmHWM in:\n%s", b)
	}
	kib, err := strconv.Atoi(string(m[1]))
	if err != nil {
		p.t.Fatal(err)
	}
	return kib << 10
}

// grewLittle checks that the peak has not risen by what a client sent.
func (p *process) grewLittle(before int) {
	p.t.Helper()
	limit := 24 << 20
	if raceEnabled {
		limit *= 4 // the detector's own records
	}
	if grown := p.peakMemory() - before; before >= 0 && grown > limit {
		p.t.Errorf("the peak of memory rose by %d MiB, more than %d", grown>>20, limit>>20)
	}
}

// serving returns the process that serves the clients: a child, if there is
// one.
func (p *process) serving() int {
	pid := p.cmd.Process.Pid
	lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, name := range lists {
		b, _ := os.ReadFile(name)
		for _, f := range strings.Fields(string(b)) {
			if n, err := strconv.Atoi(f); err == nil {
				return n
			}
		}
	}
	return pid
}
