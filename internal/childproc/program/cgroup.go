package program

import (
	"fmt"
	"strconv"
)

// A Cgroup has each program in a control group of its own, which ends with it:
// nothing that it has started is left. Zero leaves what the parent allows.
type Cgroup struct {
	Parent    string // a directory of cgroup v2 that the server may make groups in; "" is none
	Memory    int64  // bytes of all processes together
	CPU       int    // hundredths of a processor, of all of them
	Processes int    // of the program and what it starts, threads too
}

// cpuPeriod is the time, in microseconds, in which a group has its part of the
// processors.
const cpuPeriod = 100_000

// files returns what is to be written into the group.
func (c *Cgroup) files() (list [][2]string) {
	if c.Memory > 0 {
		list = append(list, [2]string{"memory.max", strconv.FormatInt(c.Memory, 10)})
	}
	if c.CPU > 0 {
		list = append(list, [2]string{"cpu.max", fmt.Sprintf("%d %d", c.CPU*cpuPeriod/100, cpuPeriod)})
	}
	if c.Processes > 0 {
		list = append(list, [2]string{"pids.max", strconv.Itoa(c.Processes)})
	}
	return list
}
