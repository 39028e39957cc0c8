package daemon

import (
	"errors"
	"strings"

	"netserver/conf"
)

// checkSeccomp refuses a filter that would keep the server from what it is to
// do.
func (c *Config) checkSeccomp() error {
	if c.Process.Seccomp != "1" || len(c.Program) == 0 {
		return nil
	}
	return &conf.Problem{Key: "seccomp", Err: errors.New("it cannot be 1 with a program after --: the processes that serve clients could not start it"), Hint: "leave it out"}
}

// explainEnd says what the end of a process means, of which the system tells
// how.
func explainEnd(how string) string {
	if !strings.Contains(how, "bad system call") {
		return how
	}
	return "killed by its seccomp filter, for a system call that no server makes for its clients (the kernel's audit log names it): somebody may have broken in; if it was the program's own, set seccomp 0"
}
