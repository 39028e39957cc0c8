package daemon

import (
	"errors"

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
